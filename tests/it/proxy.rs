//! The explicit proxy: requests in absolute form, what reaches the origin, what comes back, what is written down.

use std::collections::HashSet;

use crate::harness::browser::Browser;
use crate::harness::cli::{number, text};
use crate::harness::origin::Origin;
use crate::harness::raw::{ClosedPort, Line, RawOrigin};
use crate::harness::school::School;
use crate::harness::site::PUPIL;
use crate::harness::{eventually, ipv6};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reaches_the_browser_and_its_row_the_log() {
    let school = School::open().await;
    let mut browser = school.pupil().await;

    let reply = browser.get(&school.url("allowed.test", "/article?q=1")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), format!("hello from allowed.test:{}\n", school.origin.port()));

    let seen = school.origin.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target, "/article?q=1");
    assert_eq!(seen[0].version, "HTTP/1.1");

    let row = school.gateway.row("allowed.test").await;
    assert_eq!(text(&row, "action"), "forward");
    assert_eq!(text(&row, "method"), "GET");
    assert_eq!(text(&row, "client_address"), PUPIL);
    assert_eq!(text(&row, "protocol"), "http");
    assert_eq!(text(&row, "ending"), "complete");
    assert_eq!(number(&row, "status"), 200);
    assert_eq!(number(&row, "port"), u64::from(school.origin.port()));
    assert_eq!(number(&row, "bytes_down"), reply.body.len() as u64);
    assert_eq!(text(&row, "path"), "", "the path is kept only where policy says so");
    assert!(text(&row, "start") <= text(&row, "end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_keep_their_spelling_and_hop_by_hop_ones_stay_here() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let port = origin.address.port();
    let mut line = Line::to(school.gateway.proxy).await;

    line.say(format!(
        "GET http://raw.test:{port}/a HTTP/1.1\r\nHost: raw.test:{port}\r\nX-MiXeD-CaSe: One\r\nlower-case: two\r\n\
         UPPER-CASE: three\r\nConnection: keep-alive, X-Mine\r\nX-Mine: stays here\r\nKeep-Alive: timeout=9\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\nTE: trailers\r\n\r\n"
    ))
    .await;
    let mut asked = origin.accept().await;
    let head = asked.hear_head().await;
    assert!(head.starts_with("GET /a HTTP/1.1\r\n"), "{head}");
    for kept in ["X-MiXeD-CaSe: One\r\n", "lower-case: two\r\n", "UPPER-CASE: three\r\n"] {
        assert!(head.contains(kept), "{kept:?} is missing in {head}");
    }
    let lower = head.to_ascii_lowercase();
    for gone in ["x-mine", "\r\nkeep-alive:", "proxy-connection", "proxy-authorization", "\r\nte:", "c2vjcmv0"] {
        assert!(!lower.contains(gone), "{gone:?} reached the origin: {head}");
    }
    assert_eq!(lower.matches("\r\nhost:").count(), 1, "{head}");
    assert!(lower.contains("\r\nvia: 1.1 "), "{head}");

    asked
        .say(
            "HTTP/1.1 200 Fine\r\nX-AnSwEr: Four\r\nContent-Length: 2\r\nConnection: X-Theirs\r\nX-Theirs: no\r\n\
              Keep-Alive: timeout=5\r\n\r\nok",
        )
        .await;
    let reply = line.reply("GET").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
    assert!(reply.headers.iter().any(|(name, value)| name == "X-AnSwEr" && value == "Four"), "{reply:?}");
    assert_eq!(reply.header("x-theirs"), None);
    assert_eq!(reply.header("keep-alive"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_already_passed_here_goes_no_further() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    browser.get(&school.url("first.test", "/")).await;
    let via = school.origin.requests()[0].header("via").expect("the gateway says that it was there").to_owned();

    let reply = browser.get_with(&school.url("again.test", "/"), &[("Via", &via)]).await;
    assert_eq!(reply.status, 508, "{reply:?}");
    assert_eq!(school.origin.requests().len(), 1);
    let row = school.gateway.row("again.test").await;
    assert_eq!(number(&row, "status"), 508);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_browser_keeps_its_origin_connection_and_lends_it_to_nobody() {
    let school = School::open().await;
    let url = school.url("allowed.test", "/");
    let mut first = school.pupil().await;
    for _ in 0..3 {
        assert_eq!(first.get(&url).await.status, 200);
    }
    let ports: HashSet<_> = school.origin.requests().iter().map(|seen| seen.peer).collect();
    assert_eq!(ports.len(), 1, "three requests of one browser used {ports:?}");

    let mut second = school.pupil().await;
    assert_eq!(second.get(&url).await.status, 200);
    drop(first);
    let mut third = school.teacher().await;
    assert_eq!(third.get(&url).await.status, 200);
    let ports: HashSet<_> = school.origin.requests().iter().map(|seen| seen.peer).collect();
    assert_eq!(ports.len(), 3, "three browsers used {ports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_browser_visits_several_origins_over_one_connection() {
    let school = School::open().await;
    let other = Origin::http().await;
    let mut browser = school.pupil().await;
    for _ in 0..2 {
        assert!(browser.get(&school.url("one.test", "/")).await.text().contains("one.test"));
        assert!(browser.get(&other.url("two.test", "/")).await.text().contains("two.test"));
    }
    assert_eq!((school.origin.requests().len(), other.requests().len()), (2, 2));
    school.gateway.rows(2, &["--host", "one.test"]).await;
    school.gateway.rows(2, &["--host", "two.test"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_answered_and_closed() {
    let school = School::open().await;
    let mut line = Line::to(school.gateway.proxy).await;
    let url = school.url("old.test", "/");
    line.say(format!("GET {url} HTTP/1.0\r\nUser-Agent: old\r\n\r\n")).await;
    let reply = line.reply("GET").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("old.test"), "the origin got the host of the URL: {}", reply.text());
    assert_eq!(reply.header("transfer-encoding"), None);
    line.expect_close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let school = School::open().await;
    let mut line = Line::to(school.gateway.proxy).await;
    let mut all = String::new();
    for host in ["a.test", "b.test", "c.test"] {
        let url = school.url(host, "/");
        all += &format!("GET {url} HTTP/1.1\r\nHost: {host}:{}\r\n\r\n", school.origin.port());
    }
    line.say(all).await;
    for host in ["a.test", "b.test", "c.test"] {
        assert!(line.reply("GET").await.text().contains(host));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_do_not_desynchronise_the_connection() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    browser.send("HEAD", &school.url("allowed.test", "/bytes/1000"), &[], b"").await;
    let head = browser.line.reply("HEAD").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000")));
    for status in [204, 304, 404, 500] {
        assert_eq!(browser.get(&school.url("allowed.test", &format!("/status/{status}"))).await.status, status);
    }
    assert!(browser.get(&school.url("last.test", "/")).await.text().contains("last.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_cannot_be_reached_is_said_and_written() {
    let school = School::open_with(|site| {
        site.set("limits", "dial_ms = 2000");
    })
    .await;
    let closed = ClosedPort::new();
    let mut browser = school.pupil().await;

    let reply = browser.get(&format!("http://closed.test:{}/", closed.1.port())).await;
    assert_eq!(reply.status, 502);
    let row = school.gateway.row("closed.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "status")), ("origin-unreachable", 502));

    let reply = browser.get(&school.url("gone.test", "/")).await;
    assert_eq!(reply.status, 502);
    assert_eq!(text(&school.gateway.row("gone.test").await, "ending"), "origin-unreachable");

    let reply = browser.get(&school.url("silent.test", "/")).await;
    assert_eq!(reply.status, 504);
    assert_eq!(number(&school.gateway.row("silent.test").await, "status"), 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_resolved_once_for_everybody() {
    let school = School::open().await;
    for _ in 0..3 {
        let mut browser = school.pupil().await;
        assert_eq!(browser.get(&school.url("popular.test", "/")).await.status, 200);
    }
    assert_eq!(school.names.times_asked("popular.test"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_are_served() {
    if !ipv6() {
        return;
    }
    let school = School::open().await;
    let origin = Origin::http_on("[::1]:0").await;
    let mut browser = Browser::to(school.gateway.proxy_v6.expect("a v6 listener")).await;
    assert_eq!(browser.get(&origin.url("v6.test", "/")).await.status, 200);
    assert_eq!(browser.get(&origin.url("[::1]", "/")).await.status, 200);
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(text(&school.gateway.row("v6.test").await, "client_address"), "::1");
    assert_eq!(number(&school.gateway.row("::1").await, "status"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_proxy_settings_is_told_how_to_set_them() {
    let school = School::open().await;
    let mut line = Line::to(school.gateway.proxy).await;
    line.say("GET / HTTP/1.1\r\nHost: anything.test\r\n\r\n").await;
    let reply = line.reply("GET").await;
    assert!(reply.status >= 400, "{reply:?}");
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(reply.text().contains("proxy"), "{}", reply.text());
    assert!(school.origin.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_has_a_page_about_itself_under_its_own_name() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let reply = browser.get("http://ecluse.internal/information").await;
    assert_eq!(reply.status, 200);
    let page = reply.text();
    for told in ["dpo@academie.test", "Collège des Essais", "filtrage@college.test"] {
        assert!(page.contains(told), "{told} is missing in {page}");
    }
    let row = school.gateway.row("ecluse.internal").await;
    assert_eq!(text(&row, "action"), "serve");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_never_asked_to_ask_itself() {
    let school = School::open().await;
    let port = school.gateway.proxy.port();
    let mut browser = school.pupil().await;
    for host in ["127.0.0.1", "self.test", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let reply = browser.get(&format!("http://{host}:{port}/")).await;
        assert_eq!(reply.status, 403, "{host}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_out_of_reach_unless_the_configuration_allows_it() {
    let school = School::open_with(|site| {
        site.set("guard", "allow = []");
    })
    .await;
    let mut browser = school.pupil().await;
    for host in ["127.0.0.1", "rebound.test", "0177.1"] {
        let reply = browser.get(&school.url(host, "/")).await;
        assert_eq!(reply.status, 403, "{host}: {reply:?}");
    }
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
    assert_eq!(text(&school.gateway.row("rebound.test").await, "action"), "refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_never_looks_complete() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let port = origin.address.port();

    // The origin leaves early: the browser sees the break.
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://short.test:{port}/"), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").await;
    drop(asked);
    let reply = browser.line.reply("GET").await;
    assert!(!reply.whole, "a short body looked complete");
    let row = school.gateway.row("short.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "bytes_down")), ("origin-closed", 9));

    // The browser leaves early: the origin is let go.
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://left.test:{port}/"), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nonly this").await;
    assert_eq!(browser.line.reply_head().await.status, 200);
    drop(browser);
    eventually("the origin is let go", async || (!asked.try_say("more").await).then_some(())).await;
    assert_eq!(text(&school.gateway.row("left.test").await, "ending"), "client-closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_speaks_something_else_is_an_error_of_the_origin() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://odd.test:{}/", origin.address.port()), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("SSH-2.0-OpenSSH_9\r\n\r\n").await;
    assert_eq!(browser.line.reply("GET").await.status, 502);
    assert_eq!(text(&school.gateway.row("odd.test").await, "ending"), "origin-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_chunks_keeps_its_body() {
    let school = School::open().await;
    let host = format!("search.test:{}", school.origin.port());
    let mut line = Line::to(school.gateway.proxy).await;
    line.say(format!(
        "GET http://{host}/count HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!(line.reply("GET").await.text(), "5");
    // And the connection serves the next.
    line.say(format!("GET http://{host}/2 HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!(line.reply("GET").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_takes_does_not_cost_the_answer() {
    const LENGTH: usize = 200_000;
    let school = School::open().await;
    let host = format!("offer.test:{}", school.origin.port());
    let mut line = Line::to(school.gateway.proxy).await;
    line.say(format!(
        "GET http://{host}/bytes/{LENGTH} HTTP/1.1\r\nHost: {host}\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
    ))
    .await;
    // What the gateway has written whole is read late: a reset would take it away.
    eventually("the row ends", async || {
        school.gateway.search(&["--host", "offer.test"]).pop().filter(|row| text(row, "ending") == "complete")
    })
    .await;
    let reply = line.reply("GET").await;
    assert!(reply.whole && reply.body.len() == LENGTH, "{} bytes", reply.body.len());
    line.expect_close().await;
}
