//! Who may ask, how much, and what happens when nobody can say.

use std::time::{Duration, Instant};

use super::*;
use crate::harness::soon;

/// Answers that come back within half a second.
async fn answers(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    let mut buffer = [0; 2000];
    while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(500), socket.recv(&mut buffer)).await {
        got.push(buffer[..n].to_vec());
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_of_the_school_is_refused_and_nobody_is_asked_for_him() {
    let Some(guarded) = Guarded::open_with("clients = [\"127.0.20.0/24\"]", |_| {}).await else { return };
    let dug = guarded.pupil("www.free.test A").await;
    assert_eq!((dug.status.as_str(), dug.answers.len()), ("REFUSED", 0));
    assert_eq!(guarded.pupil("+tcp www.free.test A").await.status, "REFUSED");
    assert_eq!(guarded.times_asked("www.free.test"), 0);
    assert_eq!(guarded.teacher("www.free.test A").await.status, "NOERROR");
    let stranger = device("127.0.0.9", guarded.door).await;
    stranger.send(&question(7, "www.free.test")).await.unwrap();
    let got = answers(&stranger).await;
    assert!(got.iter().all(|answer| answer.len() <= question(7, "www.free.test").len() + 48), "never worth a forgery");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_waits_and_the_others_do_not() {
    let keys = "questions_per_second = 1\nquestion_burst = 5";
    let Some(guarded) = Guarded::open_with(keys, |_| {}).await else { return };
    let flood = device(PUPIL, guarded.door).await;
    for i in 0..50 {
        flood.send(&question(i, "www.free.test")).await.unwrap();
    }
    let got = answers(&flood).await.len();
    assert!((5..=8).contains(&got), "{got} answers for a burst of 5 and one a second");
    assert_eq!(guarded.teacher("www.free.test A").await.status, "NOERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_asks_once() {
    let Some(guarded) = Guarded::open().await else { return };
    let mut devices = Vec::new();
    for i in 1..=40 {
        devices.push(device(&format!("127.0.1.{i}"), guarded.door).await);
    }
    for device in &devices {
        device.send(&question(1, "crowd.test")).await.unwrap();
    }
    let mut buffer = [0; 2000];
    for device in &devices {
        let n = soon("an answer for each", device.recv(&mut buffer)).await.unwrap();
        assert!(buffer[..n].ends_with(&[127, 0, 0, 1]));
    }
    assert_eq!(guarded.times_asked("crowd.test"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_can_say_the_client_hears_so_quickly() {
    // A closed port says so at once; who is silent is waited for as long as `[resolver] timeout_ms` says: one second.
    let closed = free_port();
    let Some(guarded) = Guarded::open_with("", |site| {
        site.set("resolver", &format!("servers = [\"127.0.0.1:{closed}\"]\ntimeout_ms = 1000"));
    })
    .await
    else {
        return;
    };
    let began = Instant::now();
    assert_eq!(guarded.pupil("www.free.test A").await.status, "SERVFAIL");
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());

    let Some(guarded) = Guarded::open().await else { return };
    let began = Instant::now();
    assert_eq!(guarded.pupil("silent.test A").await.status, "SERVFAIL");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let (asked, began) = (guarded.times_asked("silent.test"), Instant::now());
    assert_eq!(guarded.pupil("silent.test A").await.status, "SERVFAIL");
    assert!(began.elapsed() < Duration::from_millis(900), "a failure is remembered: {:?}", began.elapsed());
    assert_eq!(guarded.times_asked("silent.test"), asked);
    assert_eq!(guarded.pupil("www.free.test A").await.status, "NOERROR", "other names are answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_answers_when_the_first_is_away() {
    let closed = free_port();
    let Some(guarded) = Guarded::open_with("", |site| {
        let known = site.tables["resolver"].replace("servers = [", &format!("servers = [\"127.0.0.1:{closed}\", "));
        site.set("resolver", &known);
    })
    .await
    else {
        return;
    };
    assert_eq!(guarded.pupil("www.free.test A").await.status, "NOERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_stops_answering_names_and_leaves() {
    let Some(guarded) = Guarded::open().await else { return };
    assert_eq!(guarded.pupil("www.free.test A").await.status, "NOERROR");
    let stream = tokio::net::TcpStream::connect(guarded.door).await.unwrap();
    assert!(guarded.school.gateway.stop().await.success());
    drop(stream);
}
