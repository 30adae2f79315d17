//! Bodies through opened connections: large ones, many at once, and those that break off.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{INSPECT, Opened};
use crate::harness::browser::Browser;
use crate::harness::cli::{number, text};
use crate::harness::eventually;
use crate::harness::origin::Origin;
use crate::harness::site::{POLICY, PUPIL};
use crate::harness::soon;
use crate::harness::tls::Authority;

#[tokio::test(flavor = "multi_thread")]
async fn eight_megabytes_go_up_and_come_back_whole_and_are_counted() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let (up, down) = (opened.school.site.folder().join("up"), opened.school.site.folder().join("down"));
    let bytes: Vec<u8> = (0..8_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&up, &bytes).unwrap();
    let url = format!("https://secure.test:{}/echo", origin.port());
    let (data, out) = (format!("@{}", up.display()), down.display().to_string());
    for more in [&["-H", "Content-Type: a/b"][..], &["-H", "Transfer-Encoding: chunked"]] {
        let arguments = [&["--data-binary", &data, "-o", &out][..], more, &[&url]].concat();
        let Some(said) = opened.curl(PUPIL, &opened.ours, &arguments).await else { return };
        assert_eq!((said.code, said.stdout.trim()), (Some(0), "200"), "{more:?}: {}", said.stderr);
        assert!(std::fs::read(&down).unwrap() == bytes, "{more:?}: other bytes came back");
    }
    let rows = opened.school.gateway.rows(4, &["--host", "secure.test"]).await;
    for row in rows.iter().filter(|row| text(row, "method") == "POST") {
        assert_eq!((number(row, "bytes_up"), number(row, "bytes_down")), (8_000_000, 8_000_000), "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_clients_at_once_each_get_their_own_answers() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let (asked, proxy) = (format!("secure.test:{}", origin.port()), opened.school.gateway.proxy);
    let trusting = Authority::connector_of(&opened.ours);
    let clients = (0..30).map(|client: usize| {
        let (asked, trusting) = (asked.clone(), trusting.clone());
        ecluse::tasks::spawn("client", async move {
            let browser = Browser::at(&format!("127.0.1.{}", client + 1), proxy).await;
            let mut line = browser.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
            for turn in 0..4 {
                let length = 100_000 + 1_000 * client + turn;
                assert_eq!(line.get(&asked, &format!("/bytes/{length}")).await.body.len(), length);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("no panic");
    }
    // No connection to the origin served two clients.
    assert_eq!(origin.ledger.connections().len(), 30);
    let mut seen: Vec<_> = origin.ledger.requests().iter().map(|request| request.peer).collect();
    seen.sort();
    assert_eq!(seen.chunk_by(|a, b| a == b).map(<[_]>::len).collect::<Vec<_>>(), [4; 30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order_and_who_leaves_early_has_left() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let asked = format!("secure.test:{}", origin.port());
    let trusting = Authority::connector_of(&opened.ours);
    let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
    let requests: String =
        (1..=3).map(|n| format!("GET /bytes/{} HTTP/1.1\r\nHost: {asked}\r\n\r\n", n * 10)).collect();
    line.stream.write_all(requests.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    for length in [10, 20, 30] {
        let (reply, left) = soon("an answer", crate::harness::reply::read_reply(&mut line.stream, rest, "GET"))
            .await
            .expect("an answer");
        assert_eq!(reply.body.len(), length);
        rest = left;
    }
    line.stream.write_all(format!("GET /bytes/100000000 HTTP/1.1\r\nHost: {asked}\r\n\r\n").as_bytes()).await.unwrap();
    let mut some = vec![0; 10_000];
    line.stream.read_exact(&mut some).await.unwrap();
    drop(line);
    let rows = opened.school.gateway.rows(5, &["--host", "secure.test"]).await;
    let broken = rows.iter().find(|row| text(row, "ending") == "client-closed").unwrap_or_else(|| panic!("{rows:#?}"));
    assert!(number(broken, "bytes_down") < 100_000_000, "{broken:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_and_who_sends_nothing_of_a_body_is_let_go() {
    let limits = "pace_ms = 700\nbody_idle_ms = 5000\nkeep_alive_ms = 700";
    let opened = Opened::with_limits(&format!("{POLICY}{INSPECT}"), "", limits).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let asked = format!("secure.test:{}", origin.port());
    let trusting = Authority::connector_of(&opened.ours);
    for head in [
        format!("GET /bytes/100000000 HTTP/1.1\r\nHost: {asked}\r\n\r\n"),
        format!("POST /count HTTP/1.1\r\nHost: {asked}\r\nContent-Length: 1000\r\n\r\nsome"),
    ] {
        let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
        line.stream.write_all(head.as_bytes()).await.unwrap();
        // The client holds its line and does nothing: the row ends all the same.
        let method = head.split(' ').next().unwrap_or_default();
        let row = eventually("the row of who stalls", async || {
            let rows = opened.school.gateway.search(&["--host", "secure.test"]);
            rows.into_iter().find(|row| text(row, "method") == method && text(row, "ending") != "continues")
        });
        assert_eq!(text(&row.await, "ending"), "timed-out", "{method}");
        drop(line);
    }
    // Nor is who asks nothing waited for.
    let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
    let mut rest = Vec::new();
    soon("the end", line.stream.read_to_end(&mut rest)).await.expect("a goodbye of TLS");
    assert!(rest.is_empty());
}
