//! The page of a refusal over TLS.

use std::time::Duration;

use super::Opened;
use crate::harness::browser::Refused;
use crate::harness::cli::{number, text};
use crate::harness::origin::Origin;
use crate::harness::raw::RawOrigin;
use crate::harness::school::School;
use crate::harness::site::PUPIL;
use crate::harness::tls::Authority;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_shows_its_page_over_tls_and_the_row_says_what_it_said_before() {
    let opened = Opened::with("", "").await;
    let origin = RawOrigin::listen().await;
    let url = format!("https://www.adult.test:{}/secret?q=1", origin.address.port());
    let Some(said) = opened.curl(PUPIL, &opened.ours, &["-D", "-", &url]).await else { return };
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.ends_with("\n403"), "{}", said.stdout);
    let row = opened.school.gateway.row("www.adult.test").await;
    for words in
        ["Collège des Essais", "contenus réservés aux adultes", text(&row, "reference"), "content-security-policy"]
    {
        assert!(!words.is_empty() && said.stdout.contains(words), "{words} is not in {}", said.stdout);
    }
    assert_eq!((text(&row, "method"), text(&row, "action")), ("CONNECT", "refuse"));
    assert_eq!((number(&row, "status"), text(&row, "category")), (403, "adult"));
    assert_eq!((text(&row, "path"), text(&row, "ending")), ("", "answered"));
    // Nothing of what was asked inside is kept anywhere.
    assert_eq!(opened.school.gateway.search(&[]).len(), 1);
    origin.expect_nobody(Duration::from_millis(50)).await;

    // In the browser's language, and whatever it asks.
    let english = ["-H", "Accept-Language: en", "-X", "POST", "-d", "a=b", url.as_str()];
    let said = opened.curl(PUPIL, &opened.ours, &english).await.unwrap();
    assert!(said.stdout.contains("adult content") && said.stdout.ends_with("\n403"), "{}{}", said.stdout, said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_believe_us_is_shown_nothing() {
    let opened = Opened::with("", "").await;
    let Some(said) = opened.curl(PUPIL, &opened.theirs, &["https://www.adult.test/"]).await else { return };
    assert_eq!(said.code, Some(60), "a certificate that it does not know: {}{}", said.stdout, said.stderr);
    assert_eq!(text(&opened.school.gateway.row("www.adult.test").await, "action"), "refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_authority_or_where_alerts_are_wanted_a_refused_connect_gets_403_as_before() {
    let school = School::open().await;
    assert_eq!(school.pupil().await.connect("www.adult.test:443").await.status, 403);
    let opened = Opened::with("", "block_page_https = \"alert\"").await;
    assert_eq!(opened.school.pupil().await.connect("www.adult.test:443").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_is_not_opened_for_the_sake_of_a_page() {
    let opened = Opened::with("", "").await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let url = format!("https://secure.test:{}/bytes/5000", origin.port());
    // The origin's own certificate is what the client sees.
    let Some(said) = opened.curl(PUPIL, &opened.theirs, &["-o", "/dev/null", &url]).await else { return };
    assert_eq!((said.code, said.stdout.trim()), (Some(0), "200"), "{}", said.stderr);
    let said = opened.curl(PUPIL, &opened.ours, &[&url]).await.unwrap();
    assert_eq!(said.code, Some(60), "{}", said.stderr);
    for row in opened.school.gateway.rows(2, &["--host", "secure.test"]).await {
        assert_eq!(text(&row, "action"), "tunnel");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_refused_tunnel_a_name_that_is_allowed_is_not_opened() {
    let opened = Opened::with("", "").await;
    let trusting = trusting(&opened);
    let through = opened.school.pupil().await.tunnel("www.adult.test:443", "secure.test", &trusting).await;
    let Err(Refused::Handshake(error)) = through else { panic!("a certificate for an allowed name") };
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    // One refused name in another's tunnel is shown its own page, for that is what it is refused as well.
    let through = opened.school.pupil().await.tunnel("www.adult.test:443", "adult.test", &trusting).await;
    let reply = through.expect("a tunnel").get("adult.test", "/").await;
    assert_eq!(reply.status, 403);
    // The first bytes may name what the CONNECT did not.
    let origin = RawOrigin::listen().await;
    let asked = format!("front.test:{}", origin.address.port());
    let through = opened.school.pupil().await.tunnel(&asked, "adult.test", &trusting).await;
    let reply = through.expect("a tunnel").get("adult.test", "/").await;
    assert_eq!((reply.status, reply.text().contains("adult.test")), (403, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_never_to_be_opened_is_not_opened_to_refuse_it() {
    let rules = r#"
[[rule]]
name = "jamais"
label = "Jamais ouvert"
hosts = ["games.test"]
action = "refuse"
duties = ["never-inspect"]
reason = "Refusé, et jamais ouvert."
"#;
    let opened = Opened::with(rules, "").await;
    assert_eq!(opened.school.pupil().await.connect("games.test:443").await.status, 403);
    assert_eq!(opened.school.pupil().await.connect("www.adult.test:443").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_inside_a_refused_tunnel_gets_the_words_and_silence_is_not_waited_for() {
    let opened = Opened::with("", "").await;
    let mut browser = opened.school.pupil().await;
    assert_eq!(browser.connect("www.adult.test:80").await.status, 200);
    browser.line.say("GET / HTTP/1.1\r\nHost: www.adult.test\r\n\r\n").await;
    assert_eq!(browser.line.reply("GET").await.status, 403);
    // Who says nothing is let go after the time for a head at the latest.
    let mut browser = opened.school.pupil().await;
    assert_eq!(browser.connect("www.adult.test:443").await.status, 200);
    browser.line.hear_all().await;
}

/// A client that believes the school's authority alone.
fn trusting(opened: &Opened) -> tokio_rustls::TlsConnector {
    Authority::connector_of(&opened.ours)
}
