//! An origin's bad certificate is never made good: its client is told what was wrong, and nothing it asked goes there.

use rcgen::date_time_ymd;
use tokio_rustls::TlsAcceptor;

use super::{INSPECT, Opened};
use crate::harness::cli::text;
use crate::harness::origin::Origin;
use crate::harness::site::PUPIL;
use crate::harness::tls::Authority;

/// What curl gets of an origin through inspection: the status, the page, and the row of the request.
async fn through(opened: &Opened, acceptor: TlsAcceptor, host: &str) -> Option<(u64, String)> {
    let origin = Origin::https(acceptor).await;
    let url = format!("https://{host}:{}/login?password=canary", origin.port());
    let said = opened.curl(PUPIL, &opened.ours, &[&url]).await?;
    assert_eq!(said.code, Some(0), "{host}: {}", said.stderr);
    let (page, status) = said.stdout.rsplit_once('\n').expect("a status");
    let status: u64 = status.parse().unwrap();
    let asked = origin.ledger.requests().len();
    assert_eq!(asked, usize::from(status == 200), "{host}: what reached the origin");
    let rows = opened.school.gateway.rows(2, &["--host", host]).await;
    let inner = rows.iter().find(|row| text(row, "method") == "GET").unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(inner["status"], status, "{inner:#}");
    if status != 200 {
        assert!(text(inner, "ending").starts_with("origin-"), "{inner:#}");
        assert!(page.contains(text(inner, "reference")) && page.contains("Collège des Essais"), "{page}");
    }
    Some((status, page.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_would_warn_of_is_a_page_that_says_so() {
    let opened = Opened::inspecting(INSPECT).await;
    let world = &opened.world;
    let past = |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    let future = |params: &mut rcgen::CertificateParams| params.not_before = date_time_ymd(2900, 1, 1);
    let nameless = |params: &mut rcgen::CertificateParams| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "nosan.test");
    };
    let crowd: Vec<String> = (0..1000).map(|n| format!("a{n}.test")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).chain(["crowd.test"]).collect();
    let cases = [
        ("expired.test", world.acceptor_with(&["expired.test"], past), "n’est plus valable"),
        ("notyet.test", world.acceptor_with(&["notyet.test"], future), "n’est plus valable"),
        ("wrong.test", world.acceptor(&["right.test"]), "le certificat d’un autre"),
        ("nosan.test", world.acceptor_with(&[], nameless), "le certificat d’un autre"),
        ("self.test", Authority::acceptor_alone(&["self.test"]), "Personne de connu"),
        ("untrusted.test", Authority::new().acceptor(&["untrusted.test"]), "Personne de connu"),
        ("incomplete.test", world.acceptor_behind(&["incomplete.test"], false), "Personne de connu"),
        ("client.test", world.acceptor_for_clients_of(&["client.test"], world), "inutilisable"),
    ];
    for (host, acceptor, words) in cases {
        let Some((status, page)) = through(&opened, acceptor, host).await else { return };
        assert_eq!((status, page.contains(words)), (502, true), "{host}: {page}");
    }
    for (host, acceptor) in [
        ("crowd.test", world.acceptor(&crowd)),
        ("complete.test", world.acceptor_behind(&["complete.test"], true)),
        ("www.wild.test", world.acceptor(&["*.wild.test"])),
    ] {
        assert_eq!(through(&opened, acceptor, host).await.map(|(status, _)| status), Some(200), "{host}");
    }
}
