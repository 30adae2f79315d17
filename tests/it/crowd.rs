//! Many at once, and very many small things: everybody gets their own answer and memory stays bounded.
//!
//! The numbers are for every day; `tests/run --full` sets `$ECLUSE_TEST_CONNECTIONS` and `$ECLUSE_TEST_CANARIES` to those that
//! `docs/reliability.md` states.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::harness::cli::{number, text};
use crate::harness::raw::{Line, RawOrigin};
use crate::harness::recorder::Recorder;
use crate::harness::reply::read_reply;
use crate::harness::school::School;
use crate::harness::site::{PUPIL, TEACHER};
use crate::harness::table::Table;
use crate::harness::{amount, eventually};

/// Connections from many devices that one gateway must bear.
fn connections() -> u64 {
    amount("ECLUSE_TEST_CONNECTIONS", 1_500)
}

/// A device of its own for each few connections: the limit of connections a client is not what is tested here.
fn device(number: u64) -> Ipv4Addr {
    let [high, low] = ((number / 50) as u16 + 1).to_be_bytes();
    Ipv4Addr::new(127, 90, high, low)
}

/// A school whose limits of time don't run out while a crowd assembles.
async fn patient_school() -> School {
    School::open_with(|site| {
        site.set("limits", "header_ms = 600000\nkeep_alive_ms = 3600000\nbody_idle_ms = 600000");
    })
    .await
}

/// Opens connections one after the other, each by `open`, and keeps them.
async fn assemble(count: u64, proxy: SocketAddr, bytes: &[u8], answered: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for number in 0..count {
        let mut line = Line::from(device(number).into(), proxy).await;
        line.say(bytes).await;
        if answered {
            assert_eq!(line.reply("GET").await.status, 403);
        }
        lines.push(line);
    }
    lines
}

/// What each of `count` connections costs in KiB, between two readings of the gateway's memory.
fn each_kib(before: u64, after: u64, count: u64) -> f64 {
    after.saturating_sub(before) as f64 / count as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_costs_little_memory() {
    const MOST_KIB: f64 = 40.0;
    let school = patient_school().await;
    let request = b"GET http://adult.test/ HTTP/1.1\r\nHost: adult.test\r\n\r\n";
    // Warm: what the first requests allocate is not a connection's.
    drop(assemble(50, school.gateway.proxy, request, true).await);
    let before = school.gateway.memory_kib("VmRSS");
    let count = connections();
    let lines = assemble(count, school.gateway.proxy, request, true).await;
    let after = school.gateway.memory_kib("VmRSS");
    let each = each_kib(before, after, count);

    let mut table = Table::new("Idle connections");
    table.row(
        "connections that were answered once and stay",
        &count,
        &format!("{each:.1} KiB each, {} MiB in all; at most {MOST_KIB} KiB each allowed", after / 1024),
    );
    table.print();
    assert!(each < MOST_KIB, "{each:.1} KiB each");
    // All of them still work.
    for mut line in lines.into_iter().step_by(100) {
        line.say(request).await;
        assert_eq!(line.reply("GET").await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_64_kib_costs_what_it_is_long_and_no_more() {
    const HEAD: usize = 60 * 1024;
    const MOST_KIB: f64 = 160.0;
    let school = patient_school().await;
    let filler = "x".repeat(HEAD / 8);
    let fields: String = (0..8).map(|n| format!("X-{n}: {filler}\r\n")).collect();
    let unfinished = format!("GET http://adult.test/ HTTP/1.1\r\nHost: adult.test\r\n{fields}");
    let whole = format!("{unfinished}\r\n");
    drop(assemble(50, school.gateway.proxy, whole.as_bytes(), true).await);
    let before = school.gateway.memory_kib("VmRSS");

    // Held open, unfinished.
    let count = connections();
    let lines = assemble(count, school.gateway.proxy, unfinished.as_bytes(), false).await;
    let after = eventually("everything is read", async || {
        let before = school.gateway.memory_kib("VmRSS");
        crate::harness::meanwhile(Duration::from_millis(300)).await;
        let now = school.gateway.memory_kib("VmRSS");
        (now.abs_diff(before) < 1024).then_some(now)
    })
    .await;
    let each = each_kib(before, after, count);
    let mut table = Table::new("Large heads");
    table.row(
        "unfinished heads of 60 KiB at the same time",
        &count,
        &format!("{each:.1} KiB each, {} MiB in all; at most {MOST_KIB} KiB each allowed", after / 1024),
    );
    drop(lines);

    // One after the other: the memory of one is the memory of all.
    let many = amount("ECLUSE_TEST_HEADS", 2_000);
    let began = Instant::now();
    let top_before = school.gateway.memory_kib("VmHWM");
    for _ in 0..many / 50 {
        drop(assemble(50, school.gateway.proxy, whole.as_bytes(), true).await);
    }
    let grown = school.gateway.memory_kib("VmHWM").saturating_sub(top_before) / 1024;
    table.row(
        "whole heads of 60 KiB, 50 connections at a time",
        &many,
        &format!("all answered in {:.1} s, the peak of memory grew by {grown} MiB", began.elapsed().as_secs_f64()),
    );
    table.print();
    assert!(each < MOST_KIB, "{each:.1} KiB each");
    assert!(grown < 32, "heads that come one after the other cost {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_chunks_of_one_byte_pass_both_ways_in_bounded_memory() {
    const MOST_MIB: u64 = 24;
    let chunks = amount("ECLUSE_TEST_CHUNKS", 200_000);
    let school = patient_school().await;
    let before = school.gateway.memory_kib("VmHWM");
    let began = Instant::now();
    let block = b"1\r\nx\r\n".repeat(1000);

    // Up.
    let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
    let host = format!("up.test:{}", school.origin.port());
    line.say(format!("POST http://{host}/count HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    for _ in 0..chunks / 1000 {
        line.say(&block).await;
    }
    line.say(b"0\r\n\r\n").await;
    let reply = line.reply("POST").await;
    assert_eq!((reply.status, reply.text()), (200, chunks.to_string()));
    let up = began.elapsed();

    // Down.
    let origin = RawOrigin::listen().await;
    let host = format!("down.test:{}", origin.address.port());
    line.say(format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let mut from = origin.accept().await;
    from.hear_head().await;
    let send = async {
        from.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..chunks / 1000 {
            from.say(&block).await;
        }
        from.say(b"0\r\n\r\n").await;
    };
    let ((), reply) = tokio::join!(send, long_reply(&mut line));
    assert_eq!((reply.0, reply.1), (chunks, true));

    let grown = school.gateway.memory_kib("VmHWM").saturating_sub(before) / 1024;
    let mut table = Table::new("Small chunks");
    table.row(
        "chunks of one byte, up and down",
        &chunks,
        &format!(
            "all arrived in {:.1} s up and {:.1} s down; the peak of memory grew by {grown} MiB (allowed: {MOST_MIB})",
            up.as_secs_f64(),
            (began.elapsed() - up).as_secs_f64()
        ),
    );
    table.print();
    assert!(grown < MOST_MIB, "the peak of memory grew by {grown} MiB");
}

/// How many bytes a response's body has, and whether it is whole; for one that takes longer than soon.
async fn long_reply(line: &mut Line) -> (u64, bool) {
    let reply = tokio::time::timeout(Duration::from_secs(120), read_reply(&mut line.stream, Vec::new(), "GET")).await;
    let (reply, _) = reply.expect("a response within two minutes").expect("a response and not a close");
    assert_eq!(reply.status, 200);
    (reply.body.len() as u64, reply.whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pipelined_requests_are_answered_in_their_order() {
    let school = School::open().await;
    let recorder = Recorder::start().await;
    let host = format!("pipe.test:{}", recorder.port());
    let request = |n: u32| format!("GET http://{host}/{n} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // Devices have a limit of requests a second, with a burst: each sends no more than that.
    const EACH: u32 = 200;
    for device in 0..5 {
        let client = Ipv4Addr::new(127, 0, 3, device + 1);
        let mut line = Line::from(client.into(), school.gateway.proxy).await;
        let all: String = (0..EACH).map(request).collect();
        line.say(all).await;
        for n in 0..EACH {
            let reply = line.reply("GET").await;
            assert_eq!((reply.status, reply.text()), (200, format!("GET /{n} for {host}\n")));
        }
    }
    let rows = school.gateway.rows(5 * EACH as usize, &["--host", "pipe.test"]).await;
    assert!(rows.iter().all(|row| text(row, "ending") == "complete" && number(row, "status") == 200));
    // And what the origin read is what was asked, in the order asked.
    let read: Vec<_> =
        recorder.connections().iter().flat_map(|c| crate::harness::readers::ALL[0].read(&c.bytes)).collect();
    assert_eq!(read.len(), 5 * EACH as usize);
    assert!(read.iter().enumerate().all(|(at, one)| one.path == format!("/{}", at as u32 % EACH)));
}

/// One connection of a user: requests with a canary each, and answers that must hold this canary and no other's.
async fn sing(proxy: SocketAddr, client: Ipv4Addr, user: &'static str, first: u64, count: u64, port: u16) -> u64 {
    let mut line = Line::from(client.into(), proxy).await;
    let mut served = 0;
    for n in first..first + count {
        let canary = format!("{user}-{n}");
        // Both users ask the same hosts; every third request has a body.
        let host = format!("shared{}.test:{port}", n % 4);
        let request = if n % 3 == 0 {
            format!(
                "POST http://{host}/echo HTTP/1.1\r\nHost: {host}\r\nCookie: c={canary}\r\nContent-Length: {}\r\n\r\n{canary}",
                canary.len()
            )
        } else {
            format!("GET http://{host}/{canary} HTTP/1.1\r\nHost: {host}\r\nCookie: c={canary}\r\n\r\n")
        };
        line.stream.write_all(request.as_bytes()).await.expect("the gateway reads");
        let (reply, rest) = read_reply(&mut line.stream, Vec::new(), "GET").await.expect("an answer");
        assert_eq!(reply.status, 200, "{canary}");
        assert!(rest.is_empty(), "an answer that nobody asked for");
        let (head, body) = (format!("{:?}", reply.headers), String::from_utf8_lossy(&reply.body).into_owned());
        assert!(head.contains(&canary) && body.contains(&canary), "{canary} got {head} {body}");
        let other = if user == "ane" { "boeuf" } else { "ane" };
        assert!(!head.contains(other) && !body.contains(other), "{user} got a byte of {other}: {head} {body}");
        served += 1;
    }
    served
}

/// Echoes target, cookie and body of each request, in its head and its body.
async fn echo_origin() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    ecluse::tasks::spawn("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            ecluse::tasks::spawn("echo connection", async move {
                let _ = stream.set_nodelay(true);
                let mut bytes = Vec::new();
                while stream.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
                    let requests = crate::harness::readers::ALL[0].read(&bytes);
                    let Some(request) = requests.first().filter(|request| request.whole) else { continue };
                    let cookie =
                        request.fields.iter().find(|(name, _)| name == "cookie").map(|(_, value)| value.clone());
                    let cookie = cookie.unwrap_or_default();
                    let body = format!("{} {cookie} {}", request.target, String::from_utf8_lossy(&bytes));
                    let head =
                        format!("HTTP/1.1 200 OK\r\nX-Canary: {cookie}\r\nContent-Length: {}\r\n\r\n", body.len());
                    if stream.write_all((head + &body).as_bytes()).await.is_err() {
                        return;
                    }
                    bytes.clear();
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_one_user_is_in_the_answers_of_another() {
    /// Connections of each user at the same time.
    const LINES: u64 = 100;
    let each = amount("ECLUSE_TEST_CANARIES", 6_000);
    let school = School::open_with(|site| {
        // As many as they like: who asks too often is another test's business.
        site.set("limits", "requests_per_second = 1000000\nrequest_burst = 1000000");
    })
    .await;
    let port = echo_origin().await;
    let began = Instant::now();
    let mut singers = JoinSet::new();
    for line in 0..LINES {
        for (user, address) in [("ane", PUPIL), ("boeuf", TEACHER)] {
            let client = address.parse().unwrap();
            singers.spawn(sing(school.gateway.proxy, client, user, line * each, each / LINES, port));
        }
    }
    let mut served = 0;
    while let Some(count) = singers.join_next().await {
        served += count.expect("no panic");
    }
    let took = began.elapsed();
    assert_eq!(served, 2 * (each / LINES) * LINES);
    let mut table = Table::new("Canaries");
    table.row(
        &format!("requests of two users, {LINES} connections each, the same four hosts"),
        &served,
        &format!("each answer holds its own canary and no other's ({:.0} s)", took.as_secs_f64()),
    );
    table.print();
    // And each is in the log under its own client.
    for address in [PUPIL, TEACHER] {
        let rows = eventually("every request has its row", async || {
            let rows = school.gateway.search(&["--client", address]);
            (rows.len() as u64 >= served / 2).then_some(rows.len() as u64)
        })
        .await;
        assert_eq!(rows, served / 2, "rows of {address}");
    }
}
