//! A browser that believes the school's authority, as a managed device does.

use std::process::Command;

use super::{INSPECT, Opened};
use crate::harness::cli::{Said, text};
use crate::harness::eventually;
use crate::harness::origin::Origin;
use crate::harness::tls::Authority;
use crate::harness::tool;

#[tokio::test(flavor = "multi_thread")]
async fn chromium_sees_pages_refusals_and_warnings_through_inspection_without_a_warning_of_its_own() {
    let (Some(chromium), Some(certutil)) = (tool("chromium"), tool("certutil")) else { return };
    let opened = Opened::inspecting(INSPECT).await;
    let home = opened.school.site.folder().join("home");
    let store = home.join(".pki/nssdb");
    std::fs::create_dir_all(&store).unwrap();
    let database = format!("sql:{}", store.display());
    let ours = opened.ours.display().to_string();
    for arguments in [&["-N", "--empty-password"][..], &["-A", "-t", "C,,", "-n", "ecole", "-i", &ours]] {
        let said = Said::of(Command::new(&certutil).args(["-d", &database]).args(arguments).output().unwrap());
        assert_eq!(said.code, Some(0), "certutil {arguments:?}: {said:?}");
    }
    let dump = async |url: &str| {
        let mut command = Command::new(&chromium);
        command.env("HOME", &home);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--accept-lang=fr-FR", "--proxy-bypass-list=<-loopback>"]);
        command.arg(format!("--proxy-server=http://{}", opened.school.gateway.proxy));
        command.args(["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", url]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let said = Said::of(output.expect("chromium starts"));
        format!("{}\n{}", said.stdout, said.stderr)
    };
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let page = dump(&format!("https://secure.test:{}/", origin.port())).await;
    assert!(page.contains("hello from secure.test"), "{page}");
    eventually("the row of a visit that was opened", async || {
        let rows = opened.school.gateway.search(&["--host", "secure.test"]);
        rows.into_iter().find(|row| text(row, "host_source") == "inspected" && text(row, "visit") == "visited")
    })
    .await;

    let page = dump("https://www.adult.test/").await;
    assert!(page.contains("Collège des Essais") && page.contains("contenus réservés aux adultes"), "{page}");

    let stranger = Origin::https(Authority::acceptor_alone(&["self.test"])).await;
    let page = dump(&format!("https://self.test:{}/", stranger.port())).await;
    assert!(page.contains("Personne de connu ne garantit ce site"), "{page}");
    assert!(stranger.ledger.requests().is_empty());
}
