//! Bodies flow: nothing is kept whole, and who is slow slows the other side.

use std::time::Duration;

use crate::harness::origin::pattern;
use crate::harness::raw::RawOrigin;
use crate::harness::school::School;
use crate::harness::{eventually_within, meanwhile};

const TEN_MEGABYTES: usize = 10_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_arrive_unchanged_in_both_directions() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let bytes = pattern(TEN_MEGABYTES);

    let down = browser.get(&school.url("down.test", &format!("/bytes/{TEN_MEGABYTES}"))).await;
    assert!(down.whole && down.body == bytes, "the download differs");

    let up = browser.post(&school.url("up.test", "/count"), &bytes).await;
    assert_eq!(up.text(), TEN_MEGABYTES.to_string());

    let row = school.gateway.row("down.test").await;
    assert_eq!(row["bytes_down"], TEN_MEGABYTES);
    let row = school.gateway.row("up.test").await;
    assert_eq!(row["bytes_up"], TEN_MEGABYTES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_of_odd_sizes_arrives_unchanged() {
    let school = School::open().await;
    let url = school.url("chunks.test", "/echo");
    let bytes = pattern(300_000);
    let mut line = crate::harness::raw::Line::to(school.gateway.proxy).await;
    line.say(
        format!("POST {url} HTTP/1.1\r\nHost: chunks.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            .replace("Host: chunks.test", &format!("Host: chunks.test:{}", school.origin.port())),
    )
    .await;
    let mut rest = &bytes[..];
    for size in [1, 2, 3, 1000, 65_535, 65_536, 65_537].into_iter().cycle() {
        let n = size.min(rest.len());
        let mut chunk = format!("{n:x}\r\n").into_bytes();
        chunk.extend_from_slice(&rest[..n]);
        chunk.extend_from_slice(b"\r\n");
        line.say(chunk).await;
        rest = &rest[n..];
        if n == 0 {
            break;
        }
        if rest.is_empty() {
            line.say("0\r\n\r\n").await;
            break;
        }
    }
    let reply = line.reply("POST").await;
    assert!(reply.whole && reply.body == bytes, "the echo differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_part_of_a_body_does_not_wait_for_the_last() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let url = format!("http://slow.test:{}/", origin.address.port());
    let mut browser = school.pupil().await;

    browser.send("POST", &url, &[("Content-Length", "10")], b"").await;
    browser.line.say("12345").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.expect("12345").await;
    browser.line.say("67890").await;
    asked.expect("67890").await;

    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde").await;
    assert_eq!(browser.line.reply_head().await.status, 200);
    browser.line.expect("abcde").await;
    asked.say("fghij").await;
    browser.line.expect("fghij").await;
}

/// Waits until a figure has not moved for half a second.
async fn standstill(what: &str, figure: impl Fn() -> u64) -> u64 {
    let mut last = u64::MAX;
    eventually_within(what, Duration::from_secs(60), async || {
        let now = figure();
        meanwhile(Duration::from_millis(500)).await;
        let still = now == figure() && now == last;
        last = now;
        still.then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_read_stops_the_origin() {
    // More than all the kernel's buffers on the way (two connections of at most 32 + 4 MiB).
    const LENGTH: usize = 160 << 20;
    let school = School::open().await;
    let before = school.gateway.memory_kib("RssAnon");
    let mut browser = school.pupil().await;
    browser.send("GET", &school.url("big.test", &format!("/bytes/{LENGTH}")), &[], b"").await;
    assert_eq!(browser.line.reply_head().await.status, 200);
    let sent = standstill("the origin is held back", || school.origin.ledger.sent()).await;
    assert!(sent < (LENGTH / 2) as u64, "the origin could send {sent} bytes that nobody read");
    let grown = school.gateway.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 16 * 1024, "the gateway kept {grown} KiB of a body that nobody read");

    let body = browser.line.hear(1).await;
    assert_eq!(body, pattern(1));
    let mut heard = 1;
    while heard < LENGTH {
        // Through the line, which may hold bytes that came with the head.
        let n = (LENGTH - heard).min(1 << 20);
        assert_eq!(browser.line.hear(n).await.len(), n, "closed after {heard} bytes");
        heard += n;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_does_not_read_stops_the_browser() {
    const LENGTH: usize = 160 << 20;
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let url = format!("http://deaf.test:{}/", origin.address.port());
    let mut browser = school.pupil().await;
    browser.send("POST", &url, &[("Content-Length", &LENGTH.to_string())], b"").await;
    let asked = origin.accept().await;
    let chunk = pattern(1 << 20);
    let mut said = 0;
    while said < LENGTH {
        let write = tokio::io::AsyncWriteExt::write(&mut browser.line.stream, &chunk);
        match tokio::time::timeout(Duration::from_secs(2), write).await {
            Ok(n) => said += n.expect("the gateway takes what it can"),
            Err(_) => break,
        }
    }
    assert!(said < LENGTH / 2, "the gateway took {said} bytes that the origin did not read");
    drop(asked);
}
