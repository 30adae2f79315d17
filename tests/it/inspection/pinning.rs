//! Hosts whose clients believe no certificate but their own.

use super::{INSPECT, Opened};
use crate::harness::browser::Browser;
use crate::harness::cli::text;
use crate::harness::eventually;
use crate::harness::origin::Origin;

#[tokio::test(flavor = "multi_thread")]
async fn three_failures_of_two_clients_are_learned_and_what_follows_is_tunnelled_or_refused_as_the_rule_says() {
    for (duty, action) in [("inspect", "tunnel"), ("inspect-or-refuse", "refuse")] {
        let opened = Opened::inspecting(&INSPECT.replace("\"inspect\"", &format!("\"{duty}\""))).await;
        let origin = Origin::https(opened.world.acceptor(&["pinned.test", "games.test"])).await;
        let asked = format!("pinned.test:{}", origin.port());
        // These devices know the origin's authority and not ours.
        let pinning = opened.world.connector();
        let tries = async |device: &str| {
            let browser = Browser::at(device, opened.school.gateway.proxy).await;
            browser.tunnel(&asked, "pinned.test", &pinning).await.is_ok()
        };
        for device in ["127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3"] {
            assert!(!tries(device).await, "{duty}: opened for who does not believe us");
        }
        eventually("the host is learned", async || {
            let lines = opened.school.gateway.stderr();
            lines.contains("do not believe our certificate").then_some(())
        })
        .await;
        assert_eq!(tries("127.0.0.4").await, action == "tunnel", "{duty}");
        let rows = opened.school.gateway.rows(5, &["--host", "pinned.test"]).await;
        let last: Vec<_> = rows.iter().filter(|row| text(row, "client_address") == "127.0.0.4").collect();
        assert_eq!(text(last[0], "action"), action, "{last:#?}");
        assert_eq!(format!("{}", last[0]["flags"]).contains("not-inspected"), action == "tunnel", "{last:#?}");
        let status = opened.school.gateway.status();
        assert_eq!(status["not_inspected"], serde_json::json!(["pinned.test"]), "{status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn learning_lifts_no_refusal() {
    let opened = Opened::inspecting(INSPECT).await;
    let pinning = opened.world.connector();
    for device in ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        let browser = Browser::at(device, opened.school.gateway.proxy).await;
        assert!(browser.tunnel("www.adult.test:443", "www.adult.test", &pinning).await.is_err());
    }
    assert!(
        opened
            .school
            .gateway
            .rows(4, &["--host", "www.adult.test"])
            .await
            .iter()
            .all(|row| text(row, "action") == "refuse")
    );
}
