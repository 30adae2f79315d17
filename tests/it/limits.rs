//! How much one client, and all of them, may have: what exceeds it is told so and has its row.

use std::time::Duration;

use crate::harness::browser::Browser;
use crate::harness::cli::{number, text};
use crate::harness::gateway::Gateway;
use crate::harness::raw::Line;
use crate::harness::reply::header;
use crate::harness::school::School;
use crate::harness::site::PUPIL;
use crate::harness::{eventually, meanwhile};

const OTHER: &str = "127.0.0.3";

async fn school(limits: &str) -> School {
    School::open_with(|site| {
        site.set("limits", limits);
    })
    .await
}

async fn line(school: &School, client: &str) -> Line {
    Line::from(client.parse().unwrap(), school.gateway.proxy).await
}

/// The rows of a status, once there are as many.
async fn rows_with(gateway: &Gateway, status: u64, count: usize) -> Vec<serde_json::Value> {
    eventually(&format!("{count} rows with {status}"), async || {
        let mut rows = gateway.search(&["--limit", "1000"]);
        rows.retain(|row| row["status"] == status);
        Some(rows).filter(|rows| rows.len() >= count)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_beyond_the_limits_is_told_so_and_has_its_row() {
    let school = school("header_bytes = 8192\nheader_fields = 20").await;
    let long = "a".repeat(9000);
    let many: String = (0..30).map(|i| format!("X-{i}: 1\r\n")).collect();
    for (status, request) in [
        (431, format!("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nX: {long}\r\n\r\n")),
        (431, format!("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n{many}\r\n")),
        (414, format!("GET http://a.test/{long} HTTP/1.1\r\nHost: a.test\r\n\r\n")),
        (505, "GET http://a.test/ HTTP/3.0\r\nHost: a.test\r\n\r\n".to_owned()),
        (417, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nExpect: tea\r\n\r\n".to_owned()),
        (501, "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned()),
        (400, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n".to_owned()),
    ] {
        let mut line = line(&school, PUPIL).await;
        // A pipelined request behind it is nobody's.
        line.say(request + "GET http://adult.test/ HTTP/1.1\r\nHost: adult.test\r\n\r\n").await;
        let reply = line.reply("GET").await;
        assert_eq!(reply.status, status);
        assert!(reply.text().contains("<html"), "{status}: a page says why");
        line.expect_close().await;
        rows_with(&school.gateway, u64::from(status), 1).await;
    }
    assert!(school.origin.requests().is_empty());
    assert!(school.gateway.search(&["--host", "adult.test"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_fast_is_told_429_and_the_others_are_served() {
    let school = school("requests_per_second = 1\nrequest_burst = 5").await;
    let mut browser = school.pupil().await;
    let url = school.url("fast.test", "/");
    let mut statuses = Vec::new();
    for _ in 0..15 {
        let reply = browser.get(&url).await;
        if reply.status == 429 {
            assert_eq!(header(&reply.headers, "retry-after"), Some("1"));
        }
        statuses.push(reply.status);
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(served >= 5 && refused >= 5 && served + refused == 15, "{statuses:?}");
    // A new connection is the same client.
    assert_eq!(school.pupil().await.get(&url).await.status, 429);
    assert_eq!(Browser::at(OTHER, school.gateway.proxy).await.get(&url).await.status, 200);
    // The first has its row at once; the rest is one row with its count when the gateway leaves.
    let first = rows_with(&school.gateway, 429, 1).await.remove(0);
    assert_eq!((text(&first, "host"), number(&first, "count")), ("fast.test", 1));
    assert_eq!(text(&first, "ending"), "over-limit");
    let School { gateway, site, .. } = school;
    assert_eq!(gateway.stop().await.code(), Some(0));
    let rows = crate::harness::gateway::search(Some(&site.config()), &site.state(), &["--limit", "1000"]);
    let counts: Vec<u64> = rows.iter().filter(|row| row["status"] == 429).map(|row| number(row, "count")).collect();
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>() as usize, refused + 1, "each refused request is counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_many_connections_is_told_429_and_the_others_are_served() {
    let school = school("connections_per_client = 4").await;
    let url = school.url("many.test", "/");
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut browser = school.pupil().await;
        assert_eq!(browser.get(&url).await.status, 200);
        kept.push(browser);
    }
    let mut fifth = school.pupil().await;
    assert_eq!(fifth.get(&url).await.status, 429);
    fifth.line.expect_close().await;
    assert_eq!(Browser::at(OTHER, school.gateway.proxy).await.get(&url).await.status, 200);
    // Tunnels count as well.
    let authority = format!("many.test:{}", school.origin.port());
    drop(kept.pop());
    eventually("a place is free", async || {
        Some(school.pupil().await.connect(&authority).await).filter(|reply| reply.status == 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_places_taken_one_client_still_leaves_half_to_the_others() {
    let school = school("flows = 10").await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut line = line(&school, PUPIL).await;
        line.try_say("GET http://held.test/ HTTP/1.1\r\n").await;
        held.push(line);
    }
    let url = school.url("honest.test", "/");
    let mut honest = Browser::at(OTHER, school.gateway.proxy).await;
    // The polite answers to the others' surplus take places for a moment.
    let reply = eventually("an honest client is served", async || {
        let reply = honest.get(&url).await;
        if reply.status != 200 {
            honest = Browser::at(OTHER, school.gateway.proxy).await;
        }
        Some(reply).filter(|reply| reply.status == 200)
    })
    .await;
    assert_eq!(reply.text(), format!("hello from honest.test:{}\n", school.origin.port()));
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_descriptors_it_does_not_spin_and_serves_honest_clients() {
    let school = School::open_with(|site| {
        site.set("limits", "connections_per_client = 4000\nflows = 8000\nheader_ms = 60000");
        site.descriptors = Some(300);
    })
    .await;
    assert!(
        school.gateway.stderr().contains("LimitNOFILE"),
        "an alarm says what to raise: {}",
        school.gateway.stderr()
    );
    let mut held = Vec::new();
    for _ in 0..400 {
        let line = Line::try_from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
        if let Some(mut line) = line {
            line.try_say("GET http://held.test/ HTTP/1.1\r\n").await;
            held.push(line);
        }
    }
    assert!(held.len() > 20, "the client got its own places");
    let before = school.gateway.cpu_ticks();
    let url = school.url("honest.test", "/");
    for _ in 0..5 {
        let mut honest = Browser::at(OTHER, school.gateway.proxy).await;
        assert_eq!(honest.get(&url).await.status, 200);
    }
    meanwhile(Duration::from_secs(2)).await;
    // 100 ticks are a second of one core.
    let spent = school.gateway.cpu_ticks() - before;
    assert!(spent < 100, "{spent} ticks in two quiet seconds");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_leave_when_others_want_their_places() {
    let school = school("flows = 20\nconnections_per_client = 20").await;
    let url = school.url("idle.test", "/");
    let mut idle = Vec::new();
    for n in 0..20 {
        let mut browser = Browser::at(&format!("127.0.1.{}", n + 1), school.gateway.proxy).await;
        assert_eq!(browser.get(&url).await.status, 200);
        idle.push(browser);
    }
    eventually("somebody new is served", async || {
        let mut browser = Browser::at(OTHER, school.gateway.proxy).await;
        Some(browser.get(&url).await.status).filter(|status| *status == 200)
    })
    .await;
}
