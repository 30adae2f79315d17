//! What is opened is judged, written down and forwarded request by request; what is not passes untouched.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::{INSPECT, Opened};
use crate::harness::cli::{number, text};
use crate::harness::origin::Origin;
use crate::harness::school::School;
use crate::harness::site::{POLICY, PUPIL, TEACHER};
use crate::harness::soon;
use crate::harness::tls::{Authority, client_config_of};

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_a_page_through_inspection_and_both_rows_say_what_happened() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let url = format!("https://secure.test:{}/bytes/50000?secret=canary", origin.port());
    let Some(said) = opened.curl(PUPIL, &opened.ours, &["-o", "/dev/null", &url]).await else { return };
    assert_eq!((said.code, said.stdout.trim()), (Some(0), "200"), "{}", said.stderr);
    let page = opened.school.pupil().await.get("http://ecluse.internal/information").await.text();
    assert!(page.contains("peuvent être ouvertes") && page.contains("<li>banques</li>"), "{page}");
    // The device believes us for this and nobody else: without our authority it sees a stranger's certificate.
    assert_eq!(opened.curl(PUPIL, &opened.theirs, &[&url]).await.unwrap().code, Some(60));

    let rows = opened.school.gateway.rows(3, &["--host", "secure.test"]).await;
    let inner = rows.iter().find(|row| text(row, "method") == "GET").unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!((text(inner, "action"), text(inner, "host_source")), ("forward", "inspected"));
    assert_eq!((text(inner, "protocol"), number(inner, "status"), number(inner, "bytes_down")), ("http", 200, 50_000));
    assert_eq!((text(inner, "path"), number(inner, "port")), ("", u64::from(origin.port())));
    let outer: Vec<_> = rows.iter().filter(|row| text(row, "method") == "CONNECT").collect();
    assert!(outer.iter().all(|row| text(row, "action") == "inspect" && text(row, "rule") == "ouvrir"), "{outer:#?}");
    assert!(outer.iter().any(|row| row["connection"] == inner["connection"]), "{rows:#?}");
    // What was asked and answered inside stands nowhere.
    assert!(!format!("{rows:?}").contains("canary"));
    let seen = &origin.ledger.requests()[0];
    assert_eq!(
        (seen.target.as_str(), seen.host()),
        ("/bytes/50000?secret=canary", &*format!("secure.test:{}", origin.port()))
    );
    assert_eq!(origin.ledger.server_names()[0].1, "secure.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_each_request_is_judged_by_its_path_and_several_share_a_connection() {
    let rules = format!(
        "{INSPECT}\n[[rule]]\nname = \"garde\"\nhosts = [\"mixed.test\"]\naction = \"allow\"\nduties = [\"keep-path\"]\n"
    );
    let opened = Opened::inspecting(&rules).await;
    let origin = Origin::https(opened.world.acceptor(&["mixed.test"])).await;
    let base = format!("https://mixed.test:{}", origin.port());
    let (good, bad) = (format!("{base}/good?q=1"), format!("{base}/adult/page?q=2"));
    let Some(said) = opened.curl(PUPIL, &opened.ours, &["-w", "\n%{http_code}\n", &good, &bad, &good]).await else {
        return;
    };
    let answers: Vec<&str> = said.stdout.split('\n').filter(|line| ["200", "403"].contains(line)).collect();
    assert_eq!(answers, ["200", "403", "200"], "{said:?}");
    // The whole page, as in clear.
    assert!(said.stdout.contains("Collège des Essais") && said.stdout.contains("contenus réservés aux adultes"));
    assert_eq!((origin.ledger.requests().len(), origin.ledger.connections().len()), (2, 1));
    let rows = opened.school.gateway.rows(4, &["--host", "mixed.test"]).await;
    let refused = rows.iter().find(|row| text(row, "action") == "refuse").expect("a refused row");
    assert_eq!((text(refused, "category"), text(refused, "host_source")), ("adult", "inspected"));
    let kept = rows.iter().filter(|row| text(row, "path") == "/good").count();
    assert_eq!(kept, 2, "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_and_another_group_are_tunnelled_untouched() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["bank.test", "www.bank.test", "secure.test"])).await;
    for (device, host) in [(PUPIL, "bank.test"), (PUPIL, "www.bank.test"), (TEACHER, "secure.test")] {
        let url = format!("https://{host}:{}/", origin.port());
        // The client sees the origin's own certificate.
        let Some(said) = opened.curl(device, &opened.theirs, &[&url]).await else { return };
        assert_eq!((said.code, said.stdout.ends_with("\n200")), (Some(0), true), "{host}: {said:?}");
        let row = opened.school.gateway.row(host).await;
        assert_eq!(text(&row, "action"), "tunnel", "{row:#}");
        assert_eq!(row["flags"].as_array().map(Vec::len), Some(0), "{row:#}");
    }
    assert!(opened.school.gateway.search(&["--host", "bank.test"]).iter().all(|row| text(row, "method") == "CONNECT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_authority_nothing_is_opened_and_the_row_says_that_it_should_have_been() {
    for (duty, passes) in [("inspect", true), ("inspect-or-refuse", false)] {
        let world = Authority::new();
        let school = School::open_with(|site| {
            let rules = INSPECT.replace("\"inspect\"", &format!("\"{duty}\""));
            site.write_rule("policy.toml", &format!("{POLICY}{rules}"));
        })
        .await;
        let said = school.gateway.cli(&["check"]);
        assert!(said.stderr.contains("wants TLS opened, and `[inspection]` names no authority"), "{}", said.stderr);
        let origin = Origin::https(world.acceptor(&["secure.test"])).await;
        let asked = format!("secure.test:{}", origin.port());
        let through = school.pupil().await.tunnel(&asked, "secure.test", &world.connector()).await;
        assert_eq!(through.is_ok(), passes, "{duty}");
        drop(through);
        let row = school.gateway.row("secure.test").await;
        let flagged = row["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "not-inspected"));
        let expected = if passes { ("tunnel", true) } else { ("refuse", false) };
        assert_eq!((text(&row, "action"), flagged), expected, "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_only_the_host_is_served_that_was_opened() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test", "other.test"])).await;
    let (port, trusting) = (origin.port(), Authority::connector_of(&opened.ours));
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"), 200),
        (format!("GET https://secure.test:{port}/ HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"), 200),
        (format!("GET / HTTP/1.1\r\nHost: other.test:{port}\r\n\r\n"), 421),
        ("GET / HTTP/1.1\r\nHost: secure.test:444\r\n\r\n".to_owned(), 421),
        (format!("GET https://other.test:{port}/ HTTP/1.1\r\nHost: other.test:{port}\r\n\r\n"), 421),
        // In clear, through an opened connection: no.
        (format!("GET http://secure.test:{port}/ HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"), 400),
        ("CONNECT secure.test:443 HTTP/1.1\r\nHost: secure.test:443\r\n\r\n".to_owned(), 501),
        (
            "GET / HTTP/1.1\r\nHost: secure.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let asked = format!("secure.test:{port}");
        let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
        line.stream.write_all(head.as_bytes()).await.unwrap();
        let reply = soon("an answer", crate::harness::reply::read_reply(&mut line.stream, Vec::new(), "GET")).await;
        assert_eq!(reply.map(|(reply, _)| reply.status), Some(status), "{head}");
    }
    assert!(origin.ledger.requests().iter().all(|seen| seen.host().starts_with("secure.test")));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_are_opened_and_who_speaks_no_http_1_is_not() {
    let opened = Opened::inspecting(INSPECT).await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test"])).await;
    let asked = format!("secure.test:{}", origin.port());
    for version in [&TLS12, &TLS13] {
        let config: ClientConfig = client_config_of(&opened.ours, &[version]);
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &connector).await.expect("opened");
        assert_eq!(line.stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(line.get(&asked, "/bytes/100").await.body.len(), 100);
    }
    // HTTP/2 alone: it would not understand us, and passes unseen.
    let mut config = opened.world.client_config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    drop(opened.school.pupil().await.tunnel(&asked, "secure.test", &connector).await.expect("a tunnel"));
    let rows = opened.school.gateway.rows(5, &["--host", "secure.test"]).await;
    assert_eq!(rows.iter().filter(|row| format!("{}", row["flags"]).contains("not-inspected")).count(), 1, "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_closes_is_reached_and_verified_again() {
    let opened = Opened::inspecting(INSPECT).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let good = opened.world.acceptor(&["secure.test"]);
    let stranger = Authority::new().acceptor(&["secure.test"]);
    ecluse::tasks::spawn("closing origin", async move {
        for acceptor in [good.clone(), good, stranger] {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: 2\r\n\r\nok";
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let asked = format!("secure.test:{port}");
    let trusting = Authority::connector_of(&opened.ours);
    let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
    for status in [200, 200, 502] {
        let reply = line.get(&asked, "/").await;
        assert_eq!((reply.status, reply.header("alt-svc")), (status, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_opened_too() {
    let opened = Opened::inspecting(INSPECT).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = opened.world.acceptor(&["secure.test"]);
    ecluse::tasks::spawn("websocket origin", async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut head = [0; 4096];
        let n = stream.read(&mut head).await.unwrap();
        assert!(String::from_utf8_lossy(&head[..n]).to_lowercase().contains("upgrade: websocket"));
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    });
    let asked = format!("secure.test:{port}");
    let trusting = Authority::connector_of(&opened.ours);
    let mut line = opened.school.pupil().await.tunnel(&asked, "secure.test", &trusting).await.expect("opened");
    let head = format!("GET /chat HTTP/1.1\r\nHost: {asked}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    line.stream.write_all(head.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let mut chunk = [0; 1024];
    while !heard.ends_with(b"hello") {
        let n = soon("the origin's words", line.stream.read(&mut chunk)).await.unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&chunk[..n]);
    }
    assert!(heard.starts_with(b"HTTP/1.1 101"));
    let words = vec![b'x'; 100_000];
    let (mut read, mut write) = tokio::io::split(line.stream);
    let sent = words.clone();
    let writing = ecluse::tasks::spawn("words", async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    soon("an echo", read.read_to_end(&mut back)).await.unwrap();
    writing.await.unwrap();
    assert!(back == words, "{} bytes came back", back.len());
    let row = opened.school.gateway.rows(2, &["--host", "secure.test"]).await;
    assert!(
        row.iter().any(|row| text(row, "protocol") == "websocket" && number(row, "bytes_up") == 100_000),
        "{row:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_in_its_handshake_is_let_go() {
    let world = Authority::new();
    let school = School::open_with(|site| {
        super::make_authority(site, "");
        world.write_pem(&site.folder().join("world.pem"));
        site.set("limits", "header_ms = 500\ndetect_ms = 300");
        site.write_rule("policy.toml", &format!("{POLICY}{INSPECT}"));
    })
    .await;
    let origin = Origin::https(world.acceptor(&["secure.test"])).await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&format!("secure.test:{}", origin.port())).await.status, 200);
    browser.line.say(crate::harness::tls::client_hello("secure.test")).await;
    // Our flight comes, no answer goes back, and the line is closed.
    let flight = browser.line.hear_all().await;
    assert_eq!(flight[0], 22, "a handshake record");
    assert_eq!(text(&school.gateway.row("secure.test").await, "ending"), "timed-out");
}
