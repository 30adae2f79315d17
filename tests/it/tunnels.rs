//! CONNECT: what is inside is looked at without being opened, and judged with what was asked.

use std::time::Duration;

use crate::harness::browser::{Browser, Refused};
use crate::harness::cli::{number, text};
use crate::harness::meanwhile;
use crate::harness::origin::Origin;
use crate::harness::raw::{ClosedPort, End, RawOrigin};
use crate::harness::school::School;
use crate::harness::site::POLICY;
use crate::harness::tls::{Authority, client_hello};

#[path = "../../src/detect/tests/hellos.rs"]
#[expect(dead_code, reason = "the hellos that the tests of detection make: some of them are for those alone")]
mod hellos;

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_page_passes_unopened_and_both_rows_are_written() {
    let school = School::open().await;
    let authority = Authority::new();
    let origin = Origin::https(authority.acceptor(&["secure.test"])).await;
    let asked = format!("secure.test:{}", origin.port());

    let browser = school.pupil().await;
    let client_port = browser.line.local().port();
    // The handshake checks the origin's own certificate: nobody stands between.
    let mut page = browser.tunnel(&asked, "secure.test", &authority.connector()).await.expect("a tunnel");
    let reply = page.get("secure.test", "/bytes/5000").await;
    assert_eq!((reply.status, reply.body.len()), (200, 5000));
    drop(page);

    let row = school.gateway.row("secure.test").await;
    assert_eq!(text(&row, "method"), "CONNECT");
    assert_eq!(text(&row, "action"), "tunnel");
    assert_eq!(text(&row, "protocol"), "tls");
    assert!(number(&row, "bytes_down") > 5000 && number(&row, "bytes_up") > 0, "{row:#}");

    let connections = school.gateway.rows(1, &["--stream", "connections"]).await;
    let outward = origin.ledger.connections()[0];
    assert_eq!(number(&connections[0], "client_port"), u64::from(client_port));
    assert_eq!(number(&connections[0], "outward_port"), u64::from(outward.port()));
    assert_eq!(number(&connections[0], "origin_port"), u64::from(origin.port()));
    assert_eq!(text(&connections[0], "origin_address"), "127.0.0.1");
    assert_eq!(row["connection"], connections[0]["sequence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_promised_only_when_the_origin_is_there() {
    let school = School::open().await;
    let closed = ClosedPort::new();
    let reply = school.pupil().await.connect(&format!("closed.test:{}", closed.1.port())).await;
    assert_eq!(reply.status, 502);
    assert_eq!(text(&school.gateway.row("closed.test").await, "ending"), "origin-unreachable");

    let reply = school.pupil().await.connect("gone.test:443").await;
    assert_eq!(reply.status, 502);
    let reply = school.pupil().await.connect("silent.test:443").await;
    assert_eq!(reply.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_to_a_listed_name_is_refused_with_a_reference() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let reply = school.pupil().await.connect(&format!("www.adult.test:{}", origin.address.port())).await;
    assert_eq!(reply.status, 403);
    let row = school.gateway.row("www.adult.test").await;
    let reference = text(&row, "reference");
    assert_eq!(reference.len(), 9, "{row:#}");
    let told = format!("{:?} {}", reply.headers, reply.text());
    assert!(told.contains(reference), "{reference} is not in {told}");
    assert_eq!((text(&row, "action"), text(&row, "category")), ("refuse", "adult"));
    origin.expect_nobody(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_name_that_differs_from_the_name_asked_is_judged_as_well() {
    let school = School::open().await;
    let authority = Authority::new();
    let origin = Origin::https(authority.acceptor(&["adult.test"])).await;
    for asked in ["front.test", "127.0.0.1"] {
        let browser = school.pupil().await;
        let through = browser.tunnel(&format!("{asked}:{}", origin.port()), "adult.test", &authority.connector()).await;
        assert!(matches!(through, Err(Refused::Handshake(_))), "{asked}: the handshake ended well");
    }
    assert!(origin.ledger.server_names().is_empty(), "the ClientHello reached the origin");
    for row in school.gateway.rows(2, &["--host", "adult.test"]).await {
        assert_eq!((text(&row, "action"), text(&row, "category")), ("refuse", "adult"));
        assert_eq!(text(&row, "host_source"), "sni");
        assert!(["front.test", "127.0.0.1"].contains(&text(&row, "asked")), "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hello_in_single_bytes_is_read_all_the_same() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let asked = format!("front.test:{}", origin.address.port());

    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&asked).await.status, 200);
    let mut far = origin.accept().await;
    for byte in client_hello("adult.test") {
        if !browser.line.try_say([byte]).await {
            break; // Refused before its end.
        }
    }
    browser.line.hear_all().await;
    far.expect_close().await;

    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&asked).await.status, 200);
    let mut far = origin.accept().await;
    let hello = client_hello("front.test");
    for byte in &hello {
        browser.line.say([*byte]).await;
    }
    assert_eq!(far.hear(hello.len()).await, hello, "the ClientHello arrives as it was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_speaks_first_is_heard() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&format!("mail.test:{}", origin.address.port())).await.status, 200);
    let mut far = origin.accept().await;
    far.say("220 mail.test ESMTP\r\n").await;
    browser.line.expect("220 mail.test ESMTP\r\n").await;
    browser.line.say("EHLO browser\r\n").await;
    far.expect("EHLO browser\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_half_of_a_tunnel_may_close_before_the_other() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&format!("half.test:{}", origin.address.port())).await.status, 200);
    let mut far = origin.accept().await;
    let hello = client_hello("half.test");
    browser.line.say(&hello).await;
    browser.line.finish_saying().await;
    assert_eq!(far.hear_all().await, hello);
    far.say("the answer").await;
    drop(far);
    assert_eq!(browser.line.hear_all().await, b"the answer");
    let row = school.gateway.row("half.test").await;
    assert_eq!(text(&row, "ending"), "complete");
    assert_eq!((number(&row, "bytes_up"), number(&row, "bytes_down")), (hello.len() as u64, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_sent_along_with_connect_are_not_lost() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let asked = format!("eager.test:{}", origin.address.port());
    let hello = client_hello("eager.test");
    let mut browser = Browser::to(school.gateway.proxy).await;
    let mut bytes = format!("CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(&hello);
    browser.line.say(bytes).await;
    assert_eq!(browser.line.reply("CONNECT").await.status, 200);
    assert_eq!(origin.accept().await.hear(hello.len()).await, hello);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_before_it_speaks_is_looked_into_all_the_same() {
    let school = School::open_with(|site| {
        site.set("limits", "detect_ms = 300");
    })
    .await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&format!("front.test:{}", origin.address.port())).await.status, 200);
    let mut at_origin = origin.accept().await;
    // Longer than the first bytes may take once they have begun.
    meanwhile(Duration::from_millis(900)).await;
    browser.line.say(client_hello("adult.test")).await;
    let heard = browser.line.hear_all().await;
    assert_eq!(heard.first(), Some(&0x15), "a TLS alert: {heard:?}");
    assert!(at_origin.hear_all().await.is_empty(), "the origin heard a name that is refused");
    let row = school.gateway.row("adult.test").await;
    assert_eq!((text(&row, "action"), text(&row, "asked")), ("refuse", "front.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_page_in_a_tunnel_is_judged_by_the_host_it_names() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let port = school.origin.port();
    assert_eq!(browser.connect(&format!("front.test:{port}")).await.status, 200);
    browser.line.say(format!("GET /a HTTP/1.1\r\nHost: front.test:{port}\r\n\r\n")).await;
    assert_eq!(browser.line.reply("GET").await.status, 200);
    browser.line.say(format!("GET /b HTTP/1.1\r\nHost: adult.test:{port}\r\n\r\n")).await;
    let reply = browser.line.reply("GET").await;
    assert!(reply.status == 403 && reply.text().contains("adult.test"), "{}", reply.status);
    let seen = school.origin.requests();
    assert_eq!(seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/a"]);
    let methods = school.gateway.rows(2, &["--host", "front.test"]).await;
    let mut methods: Vec<_> = methods.iter().map(|row| text(row, "method")).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["CONNECT", "GET"]);
    assert_eq!(text(&school.gateway.row("adult.test").await, "action"), "refuse");
}

/// The test's policy, with rules that name protocols before the others.
async fn school_with_protocol_rules() -> School {
    const RULES: &str = r#"
[[rule]]
name = "courrier"
protocols = ["mail"]
action = "refuse"

[[rule]]
name = "ni-tls-ni-http"
who = ["eleves"]
schemes = ["tunnel"]
protocols = ["!tls", "!http"]
action = "refuse"

[[rule]]
name = "tor"
protocols = ["tor"]
action = "refuse"
"#;
    School::open_with(|site| {
        site.set("limits", "detect_ms = 300");
        let (groups, rules) = POLICY.split_once("[[rule]]").expect("rules");
        site.write_rule("policy.toml", &format!("{groups}{RULES}\n[[rule]]{rules}"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tunnel_speaks_is_judged_and_what_is_refused_hears_it_in_its_language() {
    let school = school_with_protocol_rules().await;
    let origin = RawOrigin::listen().await;
    let port = origin.address.port();
    let spoken: [(&str, &str, &[u8], &[u8]); 4] = [
        ("ssh.test", "ssh", b"SSH-2.0-OpenSSH_9.2p1\r\n", b""),
        ("torrent.test", "bittorrent", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", b""),
        ("unknown.test", "other", &[0x9e; 64], b""),
        (
            "relay.test",
            "tor",
            &hellos::hello(&[hellos::server_name("www.e6r5p57kbafwrxj3plz.com")]),
            b"\x15\x03\x03\0\x02\x02\x31",
        ),
    ];
    for (host, protocol, first, answer) in spoken {
        let mut pupil = school.pupil().await;
        assert_eq!(pupil.connect(&format!("{host}:{port}")).await.status, 200);
        let mut far = origin.accept().await;
        pupil.line.say(first).await;
        let end = if answer.is_empty() { End::Reset } else { End::Closed };
        assert_eq!(pupil.line.hear_end().await, (answer.to_vec(), end), "{host}");
        far.expect_close().await;
        let seen = if protocol == "tor" { "www.e6r5p57kbafwrxj3plz.com" } else { host };
        let row = school.gateway.row(seen).await;
        assert_eq!((text(&row, "action"), text(&row, "protocol")), ("refuse", protocol), "{row:#}");
    }
    // For a teacher no rule is about SSH: what was read goes on, and comes first.
    let mut teacher = school.teacher().await;
    assert_eq!(teacher.connect(&format!("admin.test:{port}")).await.status, 200);
    let mut far = origin.accept().await;
    teacher.line.say("SSH-2.0-OpenSSH_9.2p1\r\n").await;
    far.expect("SSH-2.0-OpenSSH_9.2p1\r\n").await;
    drop((teacher, far));
    let row = school.gateway.row("admin.test").await;
    assert_eq!((text(&row, "action"), text(&row, "protocol")), ("tunnel", "ssh"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_speaks_first_is_known_by_its_greeting() {
    let school = school_with_protocol_rules().await;
    let origin = RawOrigin::listen().await;
    let port = origin.address.port();
    let greet = async |host: &str, pieces: &[&str]| {
        let mut teacher = school.teacher().await;
        assert_eq!(teacher.connect(&format!("{host}:{port}")).await.status, 200);
        let mut far = origin.accept().await;
        for piece in pieces {
            far.say(piece).await;
            meanwhile(Duration::from_millis(40)).await;
        }
        (teacher, far)
    };

    // Mail is refused, and the greeting does not reach the client either.
    let (mut teacher, mut far) = greet("mail.test", &["220 ma", "il.test ESMTP\r\n"]).await;
    assert_eq!(teacher.line.hear_end().await, (vec![], End::Reset));
    assert!(far.hear_all().await.is_empty());
    let row = school.gateway.row("mail.test").await;
    assert_eq!((text(&row, "action"), text(&row, "protocol"), text(&row, "rule")), ("refuse", "smtp", "courrier"));

    // Files are not.
    let (mut teacher, mut far) = greet("files.test", &["220 (vsFTPd 3.0.3)\r\n"]).await;
    teacher.line.expect("220 (vsFTPd 3.0.3)\r\n").await;
    teacher.line.say("USER lea\r\n").await;
    far.expect("USER lea\r\n").await;
    drop((teacher, far));
    assert_eq!(text(&school.gateway.row("files.test").await, "protocol"), "ftp");

    // Who begins in the middle of TLS, or with nothing known, does not say what the client will speak.
    for (host, words) in [("middle.test", "\x17\x03\x03\0\x01x\x17\x03\x03\0\x01x"), ("odd.test", "hello there\r\n")] {
        let (mut teacher, far) = greet(host, &[words]).await;
        teacher.line.expect(words).await;
        drop((teacher, far));
        assert_eq!(text(&school.gateway.row(host).await, "protocol"), "silent", "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_and_dns_in_a_request_have_their_own_words_in_the_log() {
    let school = School::open().await;
    let port = school.origin.port();
    let mut browser = school.pupil().await;
    for (host, path, field, protocol) in [
        ("doh.test", "/dns-query?dns=AAAB", "Accept: */*", "doh"),
        ("page.test", "/a", "Accept: text/html", "http"),
        ("socket.test", "/chat", "Connection: Upgrade\r\nUpgrade: websocket", "websocket"),
    ] {
        browser
            .line
            .say(format!("GET http://{host}:{port}{path} HTTP/1.1\r\nHost: {host}:{port}\r\n{field}\r\n\r\n"))
            .await;
        browser.line.reply("GET").await;
        let row = school.gateway.row(host).await;
        assert_eq!(text(&row, "protocol"), protocol, "{row:#}");
    }
}
