//! Hostile, broken and slow origins: what the browser sees of them, and what the row says.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::browser::Browser;
use crate::harness::cli::{number, text};
use crate::harness::origin::Origin;
use crate::harness::raw::{End, Line, RawOrigin};
use crate::harness::reply::Reply;
use crate::harness::school::School;
use crate::harness::{eventually, ipv6, meanwhile};

/// What an origin does when it has said everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Close,
    Reset,
    Stay,
}

impl Then {
    async fn end(self, mut asked: Line) -> Option<Line> {
        match self {
            Then::Close => asked.finish_saying().await,
            Then::Reset => asked.reset(),
            Then::Stay => return Some(asked),
        }
        None
    }
}

/// One browser asks one origin, which says these bytes and no others.
async fn asked(school: &School, name: &str, says: impl AsRef<[u8]>, then: Then) -> Reply {
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://{name}.test:{}/", origin.address.port()), &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.try_say(says).await;
    let _staying = then.end(line).await;
    browser.line.reply("GET").await
}

/// The row of what was asked of an origin.
async fn row(school: &School, name: &str) -> Value {
    school.gateway.row(&format!("{name}.test")).await
}

fn response(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

/// A school whose limits of time are short enough to be waited for.
async fn impatient_school() -> School {
    School::open_with(|site| {
        site.set("limits", "body_idle_ms = 1500\ndial_ms = 2000");
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_never_looks_complete() {
    let school = School::open().await;
    let cases = [
        ("length-close", response("Content-Length: 100\r\n", "only this"), Then::Close, "origin-closed"),
        ("length-reset", response("Content-Length: 100\r\n", "only this"), Then::Reset, "origin-closed"),
        ("chunk-close", response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n"), Then::Close, "origin-closed"),
        ("chunk-short", response("Transfer-Encoding: chunked\r\n", "64\r\nonly this"), Then::Close, "origin-closed"),
        (
            "chunk-last",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n0\r\n"),
            Then::Close,
            "origin-closed",
        ),
        ("chunk-reset", response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n"), Then::Reset, "origin-closed"),
        (
            "chunk-bad",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\nxyz\r\n"),
            Then::Stay,
            "origin-invalid",
        ),
        (
            "chunk-minus",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n-1\r\n"),
            Then::Stay,
            "origin-invalid",
        ),
        (
            "chunk-huge",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n11111111111111111\r\n"),
            Then::Stay,
            "origin-invalid",
        ),
        (
            "chunk-long",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this, too\r\n0\r\n\r\n"),
            Then::Stay,
            "origin-invalid",
        ),
    ];
    for (name, says, then, _) in &cases {
        let reply = asked(&school, name, says, *then).await;
        assert_eq!(reply.status, 200, "{name}");
        assert!(!reply.whole, "{name} looked complete: {reply:?}");
    }
    for (name, .., ending) in cases {
        let row = row(&school, name).await;
        assert_eq!((text(&row, "ending"), number(&row, "status")), (ending, 200), "{name}: {row:#}");
        assert!(number(&row, "bytes_down") <= 9, "{name}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_length_ends_where_the_origin_closes_and_breaks_where_it_resets() {
    let school = School::open().await;
    let reply = asked(&school, "closing", response("", "all of it"), Then::Close).await;
    assert!(reply.whole && reply.text() == "all of it", "{reply:?}");
    let row = row(&school, "closing").await;
    assert_eq!((text(&row, "ending"), number(&row, "bytes_down")), ("complete", 9));

    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://resetting.test:{}/", origin.address.port()), &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say(response("", "only this")).await;
    // The browser has the first bytes before the reset: a reset takes what is still on its way.
    assert_eq!(browser.line.reply_head().await.status, 200);
    browser.line.expect("9\r\nonly this\r\n").await;
    line.reset();
    assert!(browser.line.hear_all().await.is_empty(), "a last chunk ended a body that was reset");
    assert_eq!(text(&school.gateway.row("resetting.test").await, "ending"), "origin-closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_of_http_1_0_sees_the_break_as_a_reset() {
    let school = School::open().await;
    let cases = [
        ("old-whole", response("", "all of it"), Then::Close, End::Closed, "complete"),
        (
            "old-chunks",
            response("Transfer-Encoding: chunked\r\n", "9\r\nall of it\r\n0\r\n\r\n"),
            Then::Stay,
            End::Closed,
            "complete",
        ),
        (
            "old-cut",
            response("Transfer-Encoding: chunked\r\n", "9\r\nonly this\r\n"),
            Then::Close,
            End::Reset,
            "origin-closed",
        ),
        ("old-reset", response("", "only this"), Then::Reset, End::Reset, "origin-closed"),
    ];
    for (name, says, then, end, _) in &cases {
        let origin = RawOrigin::listen().await;
        let mut browser = Line::to(school.gateway.proxy).await;
        browser.say(format!("GET http://{name}.test:{}/ HTTP/1.0\r\n\r\n", origin.address.port())).await;
        let mut line = origin.accept().await;
        line.hear_head().await;
        line.say(says).await;
        let head = browser.reply_head().await;
        assert_eq!((head.status, crate::harness::reply::header(&head.headers, "transfer-encoding")), (200, None));
        browser.hear(9).await;
        let _staying = then.end(line).await;
        assert_eq!(browser.hear_end().await, (Vec::new(), *end), "{name}");
    }
    for (name, .., ending) in cases {
        assert_eq!(text(&row(&school, name).await, "ending"), ending, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_no_http_is_the_origins_fault() {
    let school = School::open().await;
    let many = (0..101).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    let large = format!("X-Large: {}\r\n", "a".repeat(1 << 20));
    let cases = [
        ("two-lengths", response("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")),
        ("list-of-lengths", response("Content-Length: 5, 6\r\n", "hello!")),
        ("minus-length", response("Content-Length: -5\r\n", "hello")),
        ("plus-length", response("Content-Length: +5\r\n", "hello")),
        ("odd-length", response("Content-Length: 5x\r\n", "hello")),
        ("huge-length", response("Content-Length: 18446744073709551615\r\n", "hello")),
        ("larger-length", response("Content-Length: 99999999999999999999999\r\n", "hello")),
        ("gzip-chunked", response("Transfer-Encoding: gzip, chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")),
        ("gzip", response("Transfer-Encoding: gzip\r\n", "hello")),
        ("chunked-gzip", response("Transfer-Encoding: chunked, gzip\r\n", "5\r\nhello\r\n0\r\n\r\n")),
        (
            "chunked-twice",
            response("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        ("old-chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("http-0-9", "<html>hello</html>\r\n\r\n".to_owned()),
        ("http-2", "HTTP/2.0 200 OK\r\n\r\n".to_owned()),
        ("nul", response("X-Nul: a\0b\r\n", "hello")),
        ("bare-cr", response("X-Cr: a\rSet-Cookie: b=c\r\n", "hello")),
        ("no-colon", response("X-No-Colon\r\n", "hello")),
        ("space-first", response(" X-Space: 1\r\n", "hello")),
        ("many-fields", response(&many, "hello")),
        ("one-megabyte", response(&large, "hello")),
        (
            "upgrade",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello".to_owned(),
        ),
        (
            "proxy-auth",
            "HTTP/1.1 407 Nice Try\r\nProxy-Authenticate: Basic realm=\"the school\"\r\nContent-Length: 5\r\n\r\nhello"
                .to_owned(),
        ),
        ("empty", String::new()),
        ("half-a-head", "HTTP/1.1 200 OK\r\nContent-Le".to_owned()),
    ];
    for (name, says) in &cases {
        let reply = asked(&school, name, says, Then::Close).await;
        assert_eq!(reply.status, 502, "{name}: {reply:?}");
        assert!(reply.whole && reply.header("proxy-authenticate").is_none(), "{name}: {reply:?}");
    }
    for (name, _) in cases {
        let row = row(&school, name).await;
        let ending = if ["empty", "half-a-head"].contains(&name) { "origin-closed" } else { "origin-invalid" };
        assert_eq!((text(&row, "ending"), number(&row, "status")), (ending, 502), "{name}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_in_one_way_only_arrives_in_its_plain_spelling() {
    let school = School::open().await;
    let cases = [
        ("two-equal-lengths", response("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
        (
            "length-and-chunks",
            response("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        ("too-much", response("Content-Length: 5\r\n", "hello, and more than announced")),
        ("bare-lf", "HTTP/1.1 200 OK\nContent-Length: 5\nX-Folded: a b\n\nhello".to_owned()),
        ("folded", response("X-Folded: a\r\n b\r\nContent-Length: 5\r\n", "hello")),
        ("space-before-colon", response("X-Folded : a b\r\nContent-Length : 5\r\n", "hello")),
        ("extension", response("Transfer-Encoding: chunked\r\n", "5;what=ever\r\nhello\r\n0\r\n\r\n")),
        (
            "named-length",
            response("Connection: Content-Length, X-Named\r\nX-Named: 1\r\nContent-Length: 5\r\n", "hello"),
        ),
    ];
    for (name, says) in &cases {
        let reply = asked(&school, name, says, Then::Stay).await;
        assert_eq!((reply.status, reply.text().as_str(), reply.whole), (200, "hello", true), "{name}: {reply:?}");
        let lengths = reply.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case("content-length")).count();
        let chunked = reply.header("transfer-encoding").is_some();
        assert_eq!(lengths + usize::from(chunked), 1, "{name}: {reply:?}");
        assert!(
            reply.header("x-folded").is_none_or(|value| value.split_whitespace().eq(["a", "b"])),
            "{name}: {reply:?}"
        );
        assert_eq!(reply.header("x-named"), None, "{name}");
    }
    for (name, _) in cases {
        let row = row(&school, name).await;
        assert_eq!((text(&row, "ending"), number(&row, "bytes_down")), ("complete", 5), "{name}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_where_there_is_none_is_not_taken_for_the_next_answer() {
    let school = School::open().await;
    for (name, status) in [("no-content", "204 No Content"), ("not-modified", "304 Not Modified")] {
        let origin = RawOrigin::listen().await;
        let url = format!("http://{name}.test:{}/", origin.address.port());
        let mut browser = school.pupil().await;
        browser.send("GET", &url, &[], b"").await;
        let mut line = origin.accept().await;
        line.hear_head().await;
        let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
        line.say(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len())).await;
        let reply = browser.line.reply("GET").await;
        assert_eq!((reply.status.to_string().as_str(), reply.body.len()), (&status[..3], 0));
        browser.send("GET", &url, &[], b"").await;
        let mut again = origin.accept().await;
        again.hear_head().await;
        again.say(response("Content-Length: 6\r\n", "honest")).await;
        assert_eq!(browser.line.reply("GET").await.text(), "honest", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_one_hop_go_no_further() {
    let school = School::open().await;
    let fields = "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
                  Proxy-Authenticate: Basic realm=\"school\"\r\nUpgrade: h2c\r\nTE: trailers\r\nX-End: 1\r\nContent-Length: 2\r\n";
    let reply = asked(&school, "hops", response(fields, "ok"), Then::Close).await;
    for field in ["x-hop", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade", "te"] {
        assert_eq!(reply.header(field), None, "{field} went on");
    }
    assert_eq!(reply.header("x-end"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_who_asked_for_them_and_break_nothing_for_others() {
    let school = School::open().await;
    let says = response(
        "Trailer: X-Sum, Proxy-Authenticate\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 42\r\nProxy-Authenticate: Basic\r\nX-Not-Announced: 1\r\n\r\n",
    );
    for (name, asks, expected) in
        [("trailed", "TE: trailers\r\n", "0\r\nX-Sum: 42\r\n\r\n"), ("plain", "", "0\r\n\r\n")]
    {
        let origin = RawOrigin::listen().await;
        let authority = format!("{name}.test:{}", origin.address.port());
        let mut browser = Line::to(school.gateway.proxy).await;
        browser
            .say(format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n{asks}Connection: te\r\n\r\n"))
            .await;
        let mut line = origin.accept().await;
        line.hear_head().await;
        line.say(&says).await;
        assert_eq!(browser.reply_head().await.status, 200);
        browser.expect("5\r\nhello\r\n").await;
        let rest = browser.hear(expected.len()).await;
        assert_eq!(String::from_utf8_lossy(&rest).to_lowercase(), expected.to_lowercase(), "{name}");
        assert_eq!(text(&school.gateway.row(&format!("{name}.test")).await, "ending"), "complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_are_dropped_and_the_answer_arrives() {
    let school = School::open().await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let says = format!("{hints}{}", response("Content-Length: 2\r\n", "ok"));
    let reply = asked(&school, "hints", says, Then::Stay).await;
    let row = row(&school, "hints").await;
    assert_eq!((reply.status, reply.text().as_str(), reply.header("link")), (200, "ok", None));
    assert_eq!(text(&row, "ending"), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_informational_answers_is_cut_short() {
    let school = School::open().await;
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".repeat(100_000);
    let started = Instant::now();
    let reply = asked(&school, "flood", flood + &response("Content-Length: 2\r\n", "ok"), Then::Stay).await;
    let row = row(&school, "flood").await;
    assert_eq!((reply.status, text(&row, "ending")), (502, "origin-invalid"), "{row:#}");
    // Its time is over with its bytes: the limit of time would be 300 s.
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_drips_its_head_has_a_deadline_for_the_whole_of_it() {
    let school = impatient_school().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://drip.test:{}/", origin.address.port()), &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say("HTTP/1.1 200 OK\r\nX-Slow: ").await;
    // A byte every 50 ms is never silent; the gateway lets go all the same.
    eventually("the origin is let go", async || (!line.try_say("a").await).then_some(())).await;
    assert_eq!(browser.line.reply("GET").await.status, 504);
    let row = school.gateway.row("drip.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "status")), ("timed-out", 504));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_says_nothing_or_stops_in_its_body_is_let_go() {
    let school = impatient_school().await;
    let reply = asked(&school, "mute", "", Then::Stay).await;
    let mute = row(&school, "mute").await;
    assert_eq!((reply.status, text(&mute, "ending")), (504, "timed-out"));
    let reply = asked(&school, "stops", response("Content-Length: 100\r\n", "only this"), Then::Stay).await;
    let row = row(&school, "stops").await;
    assert!(!reply.whole, "a body that stopped looked complete");
    assert_eq!((text(&row, "ending"), number(&row, "status")), ("timed-out", 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_moves_is_not_cut_by_the_limit_for_silence() {
    let school = impatient_school().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser
        .send("POST", &format!("http://upload.test:{}/", origin.address.port()), &[("Content-Length", "40")], b"")
        .await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    let started = Instant::now();
    // Four seconds and more, twice the limit, never silent for long.
    for _ in 0..40 {
        browser.line.say("x").await;
        line.expect("x").await;
        meanwhile(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(3));
    line.say(response("Content-Length: 2\r\n", "ok")).await;
    assert_eq!(browser.line.reply("POST").await.text(), "ok");
    let row = school.gateway.row("upload.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "bytes_up")), ("complete", 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_request_is_read_reaches_the_browser() {
    let school = impatient_school().await;
    let origin = RawOrigin::listen().await;
    let url = format!("http://early.test:{}/", origin.address.port());
    let mut browser = school.pupil().await;
    browser.send("POST", &url, &[("Content-Length", "1000000")], b"").await;
    browser.line.say("the beginning").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!").await;
    line.finish_saying().await;
    let reply = browser.line.reply("POST").await;
    assert_eq!((reply.status, reply.text().as_str()), (413, "no!"));
    let row = school.gateway.row("early.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "status")), ("complete", 413));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_reads_any_more_is_ended_with_its_answer() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let url = format!("http://unread.test:{}/", origin.address.port());
    let mut browser = school.pupil().await;
    let length = (64 << 20).to_string();
    browser.send("POST", &url, &[("Content-Length", &length)], b"").await;
    browser.line.say("the beginning").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say(response("Content-Length: 2\r\n", "ok")).await;
    assert_eq!(browser.line.reply("POST").await.text(), "ok");
    // Neither side is held by an exchange that is over.
    line.hear_end().await;
    browser.line.hear_end().await;
    assert_eq!(text(&school.gateway.row("unread.test").await, "ending"), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_holds_no_memory() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://endless.test:{}/", origin.address.port()), &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say(response("Transfer-Encoding: chunked\r\n", "")).await;
    assert_eq!(browser.line.reply_head().await.status, 200);
    let before = school.gateway.memory_kib("RssAnon");
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    const CHUNKS: usize = 1_000;
    let mut heard = 0;
    for _ in 0..CHUNKS {
        let (said, got) = tokio::join!(line.try_say(&chunk), browser.line.hear(0x10000));
        assert!(said);
        heard += got.len();
    }
    assert_eq!(heard, CHUNKS * 0x10000);
    let grown = school.gateway.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for a body of {heard} bytes");
    // Who asked goes away, and so does the origin.
    drop(browser);
    eventually("the origin is let go", async || (!line.try_say(&chunk).await).then_some(())).await;
    let row = school.gateway.row("endless.test").await;
    assert_eq!(text(&row, "ending"), "client-closed");
    assert!(number(&row, "bytes_down") >= heard as u64 - 0x20000, "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_content_is_not_touched() {
    let school = School::open().await;
    // Not even gzip: whoever decodes it would see.
    let reply = asked(
        &school,
        "encoded",
        response("Content-Encoding: gzip\r\nContent-Length: 7\r\n", "\x1f\x01 what"),
        Then::Stay,
    )
    .await;
    assert_eq!((reply.header("content-encoding"), reply.body.as_slice()), (Some("gzip"), b"\x1f\x01 what".as_slice()));
}

/// Asks once, so that the link to the origin is kept, then closes it at the moment of the next request.
async fn ask_on_a_dying_link(school: &School, origin: &RawOrigin, url: &str, method: &str, body: &[u8]) -> Browser {
    let mut browser = school.pupil().await;
    browser.send("GET", url, &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say(response("Content-Length: 2\r\n", "ok")).await;
    assert_eq!(browser.line.reply("GET").await.text(), "ok");
    browser.send(method, url, &[], body).await;
    // The request has arrived, whole, and the origin goes away without a word.
    line.hear_head().await;
    line.hear(body.len()).await;
    line.reset();
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_request_whose_kept_link_died_is_asked_again_on_a_new_one() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let url = format!("http://safe.test:{}/", origin.address.port());
    let mut browser = ask_on_a_dying_link(&school, &origin, &url, "GET", b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say(response("Content-Length: 5\r\n", "again")).await;
    assert_eq!(browser.line.reply("GET").await.text(), "again");
    let rows = school.gateway.rows(2, &["--host", "safe.test"]).await;
    assert!(rows.iter().all(|row| text(row, "ending") == "complete"), "{rows:#?}");

    // Once: a new link that dies as well is the origin's answer.
    let url = format!("http://stubborn.test:{}/", origin.address.port());
    let mut browser = ask_on_a_dying_link(&school, &origin, &url, "GET", b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.reset();
    assert_eq!(browser.line.reply("GET").await.status, 502);
    origin.expect_nobody(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_never_asked_twice() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    for (method, body) in
        [("POST", "pay 100 €"), ("POST", ""), ("PATCH", "x"), ("PUT", "x"), ("DELETE", ""), ("GET", "with a body")]
    {
        let host = format!("{}-{}.test", method.to_lowercase(), body.len());
        let url = format!("http://{host}:{}/", origin.address.port());
        let mut browser = ask_on_a_dying_link(&school, &origin, &url, method, body.as_bytes()).await;
        assert_eq!(browser.line.reply(method).await.status, 502, "{method}");
        origin.expect_nobody(Duration::from_millis(200)).await;
        let rows = school.gateway.rows(2, &["--host", &host]).await;
        let row = rows.iter().find(|row| number(row, "status") == 502).expect("the row of the broken one");
        assert_eq!(text(row, "ending"), "origin-closed", "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_as_large_as_the_limits_allow_is_passed_on() {
    let school = School::open().await;
    let fields = (0..98).map(|i| format!("X-{i}: {}\r\n", "a".repeat(600))).collect::<String>();
    let reply = asked(&school, "large", response(&format!("{fields}Content-Length: 2\r\n"), "ok"), Then::Stay).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
    assert_eq!(reply.header("x-97").map(str::len), Some(600));
    // A body in the smallest pieces there are.
    let chunks = "1\r\nx\r\n".repeat(20_000) + "0\r\n\r\n";
    let reply = asked(&school, "pieces", response("Transfer-Encoding: chunked\r\n", &chunks), Then::Stay).await;
    assert!(reply.whole && reply.body.len() == 20_000, "{} bytes", reply.body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_both_families_is_reached_by_the_one_that_answers() {
    if !ipv6() {
        return;
    }
    let school = School::open().await;
    let v6 = Origin::http_on("[::1]:0").await;
    for name in ["four.test", "six.test"] {
        school.names.answers(name, &[&["::1", "127.0.0.1"]]);
    }
    for (origin, name, address) in [(&school.origin, "four.test", "127.0.0.1"), (&v6, "six.test", "::1")] {
        let mut browser = school.pupil().await;
        assert_eq!(browser.get(&origin.url(name, "/")).await.status, 200, "{name}");
        drop(browser);
        let port = u64::from(origin.port());
        let rows = eventually("the row of the connection", async || {
            let rows = school.gateway.search(&["--stream", "connections"]);
            Some(rows).filter(|rows| rows.iter().any(|row| number(row, "origin_port") == port))
        });
        assert!(rows.await.iter().any(|row| text(row, "origin_address") == address), "{name}");
    }
}
