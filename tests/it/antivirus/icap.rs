//! The same by ICAP: Debian's c-icap with its echo service and its antivirus.

use super::shelf::{Item, Shelf};
use super::{SCAN, held};
use crate::harness::clamd::{Clamd, EICAR_NAME, eicar};
use crate::harness::cli::text;
use crate::harness::icap::Icap;
use crate::harness::origin::pattern;
use crate::harness::school::School;
use crate::harness::site::POLICY;

const SCAN_BOTH: &str = r#"
[[rule]]
name = "antivirus"
all = true
who = ["eleves"]
action = "allow"
duties = ["scan", "scan-uploads"]
"#;

async fn school(icap: &Icap, service: &str, rules: &str) -> School {
    let settings = icap.settings(service, "");
    School::open_with(|site| {
        site.set("antivirus", &settings);
        site.write_rule("policy.toml", &format!("{POLICY}{rules}"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c_icap_s_antivirus_names_what_it_finds_in_both_directions() {
    let Some(clamd) = Clamd::start("").await else { return };
    let Some(icap) = Icap::start(&clamd).await else { return };
    let (school, shelf) = (school(&icap, "avscan", SCAN_BOTH).await, Shelf::open().await);
    let mut pupil = school.pupil().await;
    // Less than a preview, more than one, and coded.
    let long = [pattern(200_000), eicar()].concat();
    for (name, item) in [
        ("short", Item::of(eicar())),
        ("long", Item::of(long)),
        ("coded", Item::of(held::gzip(&eicar())).coded("gzip").header("content-type", "text/plain")),
    ] {
        let page = pupil.get(&shelf.put("/eicar", item)).await;
        assert!(page.status == 403 && page.text().contains(EICAR_NAME), "{name}: {}", page.status);
    }
    let page = pupil.post(&shelf.put("/in", Item::of("thanks")), &eicar()).await;
    assert!(page.status == 403 && page.text().contains(EICAR_NAME), "{}", page.status);
    for size in [10, 1024, 1025, 300_000, 3_000_000] {
        let reply = pupil.get(&shelf.put("/clean", Item::of(pattern(size)))).await;
        assert!(reply.status == 200 && reply.whole && reply.body == pattern(size), "{size}");
        let reply = pupil.post(&shelf.put("/in", Item::of("thanks")), &pattern(size)).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "thanks"), "{size}");
    }
    let rows = school.gateway.rows(14, &["--host", "files.test"]).await;
    let findings = |finding: &str| rows.iter().filter(|row| text(row, "finding") == finding).count();
    assert_eq!((findings(&format!("virus: {EICAR_NAME}")), findings("clean")), (4, 10), "{rows:#?}");
    let log = icap.access_log();
    assert!(log.contains("RESPMOD") && log.contains("REQMOD"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_before_its_verdict_is_not_believed() {
    let Some(clamd) = Clamd::start("").await else { return };
    let Some(icap) = Icap::start(&clamd).await else { return };
    // It gives the head back at once, and an end in place of the body when it has found something.
    let (school, shelf) = (school(&icap, "virus_scan", SCAN).await, Shelf::open().await);
    let mut pupil = school.pupil().await;
    let reply = pupil.get(&shelf.put("/long", Item::of([pattern(200_000), eicar()].concat()))).await;
    assert_eq!(reply.status, 403);
    let reply = pupil.get(&shelf.put("/clean", Item::of(pattern(200_000)))).await;
    assert!(reply.status == 200 && reply.whole && reply.body == pattern(200_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_echo_service_gives_back_is_clean_and_comes_as_it_was() {
    let Some(clamd) = Clamd::start("").await else { return };
    let Some(icap) = Icap::start(&clamd).await else { return };
    let (school, shelf) = (school(&icap, "echo", SCAN_BOTH).await, Shelf::open().await);
    let mut pupil = school.pupil().await;
    for size in [1, 1024, 5000, 4_000_000] {
        let reply = pupil.get(&shelf.put("/file", Item::of(pattern(size)).header("etag", "\"x\""))).await;
        assert!(reply.status == 200 && reply.whole && reply.body == pattern(size), "{size}");
        assert_eq!(reply.header("etag"), Some("\"x\""));
        let reply = pupil.post(&shelf.put("/in", Item::of("thanks")), &pattern(size)).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "thanks"), "{size}");
    }
    for row in school.gateway.rows(8, &["--host", "files.test"]).await {
        assert_eq!(text(&row, "finding"), "clean");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_gives_no_verdict() {
    let Some(clamd) = Clamd::start("").await else { return };
    let Some(icap) = Icap::start(&clamd).await else { return };
    let (school, shelf) = (school(&icap, "nothing", SCAN).await, Shelf::open().await);
    let reply = school.pupil().await.get(&shelf.put("/file", Item::of("hello"))).await;
    assert_eq!(reply.status, 403);
    assert_eq!(text(&school.gateway.row("files.test").await, "finding"), "no-verdict");
}
