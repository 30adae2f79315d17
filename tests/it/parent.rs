//! A parent proxy between the school and the Internet: what it gets, and what happens when it is away.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::browser::Browser;
use crate::harness::cli::{self, number, text};
use crate::harness::origin::Origin;
use crate::harness::raw::{ClosedPort, Line, RawOrigin};
use crate::harness::school::School;
use crate::harness::site::Site;
use crate::harness::tls::Authority;

const SECRET: &str = "ecole:hunter2canary";
const BASIC: &str = "Basic ZWNvbGU6aHVudGVyMmNhbmFyeQ==";

/// Writes the `[parent]` of a site, with credentials that only its owner can read.
fn go_through(site: &mut Site, port: u16, more: &str) {
    let file = site.folder().join("parent.secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.set("parent", &format!("url = \"http://127.0.0.1:{port}\"\ncredentials_file = \"parent.secret\"\n{more}"));
}

/// A school behind a parent proxy that the test plays.
async fn school_behind(parent: &RawOrigin, more: &str) -> School {
    School::open_with(|site| go_through(site, parent.address.port(), more)).await
}

fn flags(row: &Value) -> Vec<&str> {
    row["flags"].as_array().map(|flags| flags.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_in_absolute_form_with_our_credentials_and_not_the_clients() {
    let parent = RawOrigin::listen().await;
    let school = school_behind(&parent, "").await;
    let mut browser = school.pupil().await;
    for path in ["/a?b=c", "/again"] {
        let headers = [("Proxy-Authorization", "Basic cHVwaWw6cHVwaWw="), ("Connection", "proxy-authorization")];
        browser.send("GET", &format!("http://Far.Test:8080{path}"), &headers, b"").await;
    }
    let mut line = parent.accept().await;
    for path in ["/a?b=c", "/again"] {
        // Over one connection: it is kept like an origin's.
        let head = line.hear_head().await;
        assert!(head.starts_with(&format!("GET http://far.test:8080{path} HTTP/1.1\r\n")), "{head}");
        assert!(head.to_lowercase().contains("\r\nhost: far.test:8080\r\n"), "{head}");
        let credentials = head.lines().filter(|line| line.to_lowercase().starts_with("proxy-authorization:"));
        assert_eq!(credentials.map(|line| line.split_once(": ").unwrap().1).collect::<Vec<_>>(), [BASIC], "{head}");
        line.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(browser.line.reply("GET").await.text(), "ok");
    }
    // The parent resolves: nobody was asked here.
    assert_eq!(school.names.times_asked("far.test"), 0);
    let rows = school.gateway.rows(2, &["--host", "far.test"]).await;
    assert!(rows.iter().all(|row| text(row, "action") == "forward" && flags(row).is_empty()), "{rows:#?}");
    drop(browser);
    let connections = school.gateway.rows(1, &["--stream", "connections"]).await;
    assert_eq!(number(&connections[0], "origin_port"), u64::from(parent.address.port()), "whom we really spoke to");
    assert!(!school.gateway.stderr().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_goes_through_the_parents_connect_and_loses_no_byte() {
    let parent = RawOrigin::listen().await;
    let school = school_behind(&parent, "").await;
    let mut browser = school.pupil().await;
    browser.line.say("CONNECT mail.test:993 HTTP/1.1\r\nHost: mail.test:993\r\n\r\n").await;
    let mut line = parent.accept().await;
    let head = line.hear_head().await;
    assert!(head.starts_with("CONNECT mail.test:993 HTTP/1.1\r\nHost: mail.test:993\r\n"), "{head}");
    assert!(head.contains(&format!("Proxy-Authorization: {BASIC}\r\n")), "{head}");
    // The origin behind it speaks first, in the same breath.
    line.say("HTTP/1.1 200 Connection established\r\nVia: 1.1 parent\r\n\r\n* OK ready\r\n").await;
    assert_eq!(browser.line.reply("CONNECT").await.status, 200);
    browser.line.expect("* OK ready\r\n").await;
    browser.line.say("a1 LOGOUT\r\n").await;
    line.expect("a1 LOGOUT\r\n").await;
    drop((line, browser));
    let row = school.gateway.row("mail.test").await;
    assert_eq!((text(&row, "action"), number(&row, "bytes_down"), number(&row, "bytes_up")), ("tunnel", 12, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_one_behind_the_other_serve_clear_and_secure_pages() {
    let upper = School::open().await;
    let lower = School::open_with(|site| {
        site.set("gateway", "name = \"college\"");
        go_through(site, upper.gateway.proxy.port(), "");
    })
    .await;
    let authority = Authority::new();
    let secure = Origin::https(authority.acceptor(&["secure.test"])).await;
    assert_eq!(lower.pupil().await.get(&upper.url("clear.test", "/bytes/100000")).await.body.len(), 100_000);
    let asked = format!("secure.test:{}", secure.port());
    let mut page = lower.pupil().await.tunnel(&asked, "secure.test", &authority.connector()).await.expect("a tunnel");
    assert_eq!(page.get("secure.test", "/bytes/5000").await.body.len(), 5000);
    drop(page);
    for school in [&upper, &lower] {
        for host in ["clear.test", "secure.test"] {
            assert_eq!(text(&school.gateway.row(host).await, "ending"), "complete", "{host}");
        }
    }
    // What the upper one refuses is its answer to us, and its page to the browser where there is one.
    let refused = lower.pupil().await.get(&upper.url("127.66.0.1", "/")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(lower.names.times_asked("clear.test") + lower.names.times_asked("secure.test"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_parent_answers_to_connect_is_an_error_of_ours_to_the_client() {
    let parent = RawOrigin::listen().await;
    let school = School::open_with(|site| {
        site.set("limits", "dial_ms = 1500");
        go_through(site, parent.address.port(), "");
    })
    .await;
    let denied = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"up\"\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        ("denied", denied, 500, "failed"),
        ("forbidden", "HTTP/1.1 403 Forbidden\r\n\r\n", 502, "origin-unreachable"),
        ("unreachable", "HTTP/1.1 503 No\r\n\r\n", 502, "origin-unreachable"),
        ("late", "HTTP/1.1 504 Late\r\n\r\n", 504, "timed-out"),
        ("garbage", "SSH-2.0-OpenSSH\r\n\r\n", 502, "origin-invalid"),
        ("closes", "", 502, "origin-closed"),
        ("silent", "stays", 504, "timed-out"),
    ];
    for (name, answer, status, _) in cases {
        let mut browser = school.pupil().await;
        browser.line.say(format!("CONNECT {name}.test:443 HTTP/1.1\r\nHost: {name}.test:443\r\n\r\n")).await;
        let mut line = parent.accept().await;
        line.hear_head().await;
        if answer != "stays" {
            line.say(answer).await;
            line.finish_saying().await;
        }
        let reply = browser.line.reply("CONNECT").await;
        assert_eq!((reply.status, reply.header("proxy-authenticate")), (status, None), "{name}");
    }
    for (name, _, status, ending) in cases {
        let row = school.gateway.row(&format!("{name}.test")).await;
        assert_eq!((number(&row, "status"), text(&row, "ending")), (u64::from(status), ending), "{name}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_does_not_accept_us_is_an_alarm_and_never_the_pupils_question() {
    let parent = RawOrigin::listen().await;
    let school = school_behind(&parent, "fallback = \"direct\"").await;
    for _ in 0..2 {
        let mut browser = school.pupil().await;
        browser.send("GET", "http://far.test/", &[], b"").await;
        let mut line = parent.accept().await;
        line.hear_head().await;
        line.say("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"up\"\r\nContent-Length: 4\r\n\r\nwho?").await;
        let reply = browser.line.reply("GET").await;
        assert_eq!((reply.status, reply.header("proxy-authenticate")), (500, None));
        assert!(!reply.text().contains("who?"));
    }
    let rows = school.gateway.rows(2, &["--host", "far.test"]).await;
    assert!(rows.iter().all(|row| text(row, "ending") == "failed"), "{rows:#?}");
    let lines = school.gateway.lines();
    let alarms: Vec<_> = lines.iter().filter(|line| line.contains("ERROR") && line.contains("407")).collect();
    assert!(alarms.len() == 1 && alarms[0].contains("credentials_file"), "{alarms:?}");
    assert!(lines.iter().all(|line| !line.contains("hunter2") && !line.contains(BASIC)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_parent_nothing_passes_unless_the_operator_says_so() {
    let closed = ClosedPort::new();
    let school = School::open_with(|site| go_through(site, closed.1.port(), "")).await;
    assert_eq!(school.pupil().await.get(&school.url("shut.test", "/")).await.status, 502);
    assert_eq!(school.pupil().await.connect(&format!("shut.test:{}", school.origin.port())).await.status, 502);
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
    for row in school.gateway.rows(2, &["--host", "shut.test"]).await {
        assert_eq!((text(&row, "ending"), flags(&row)), ("origin-unreachable", vec!["failed-closed"]), "{row:#}");
    }
    let alarms = school.gateway.lines().iter().filter(|line| line.contains("parent proxy cannot be reached")).count();
    assert_eq!(alarms, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_away_is_passed_by_where_the_operator_says_so_and_each_row_tells() {
    let closed = ClosedPort::new();
    let school = School::open_with(|site| go_through(site, closed.1.port(), "fallback = \"direct\"")).await;
    let mut browser = school.pupil().await;
    for _ in 0..3 {
        assert_eq!(browser.get(&school.url("open.test", "/")).await.status, 200);
    }
    assert_eq!(school.origin.ledger.connections().len(), 1, "the link is kept");
    let mut tunnel = school.pupil().await;
    assert_eq!(tunnel.connect(&format!("open.test:{}", school.origin.port())).await.status, 200);
    tunnel.line.say("GET / HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!(tunnel.line.reply("GET").await.status, 200);
    drop(tunnel);
    // Guard and rules are asked for the address that is found now.
    assert_eq!(school.pupil().await.get(&school.url("adult.test", "/")).await.status, 403);
    school.names.answers("bad.test", &[&["127.66.0.1"]]);
    assert_eq!(school.pupil().await.get(&school.url("bad.test", "/")).await.status, 403);

    // Three pages, a tunnel, and the page in it.
    let rows = school.gateway.rows(5, &["--host", "open.test"]).await;
    assert!(rows.iter().all(|row| flags(row) == ["failed-open"]), "{rows:#?}");
    assert_eq!(text(&school.gateway.row("bad.test").await, "rule"), "adresse-interdite");
    let asked_for = school.origin.requests();
    assert!(
        asked_for.iter().all(|seen| seen.target == "/" && seen.header("proxy-authorization").is_none()),
        "{asked_for:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_access_that_finds_the_parent_away_is_judged_by_its_address_too() {
    let closed = ClosedPort::new();
    let school = School::open_with(|site| {
        site.set("guard", "allow = [\"127.66.0.0/16\"]");
        go_through(site, closed.1.port(), "fallback = \"direct\"");
    })
    .await;
    school.names.answers("ruled.test", &[&["127.66.0.1"]]);
    let reply = school.pupil().await.get(&school.url("ruled.test", "/")).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("Adresse interdite"), "{}", reply.text());
    let row = school.gateway.row("ruled.test").await;
    assert_eq!(
        (text(&row, "action"), text(&row, "rule"), text(&row, "ending")),
        ("refuse", "adresse-interdite", "answered")
    );
    assert_eq!((number(&row, "status"), flags(&row)), (403, vec!["failed-open"]));
    assert!(reply.text().contains(text(&row, "reference")), "the page has the row's reference");

    // The same by the guard, on a gateway that has not learnt yet.
    let school = School::open_with(|site| {
        site.set("guard", "allow = []");
        go_through(site, closed.1.port(), "fallback = \"direct\"");
    })
    .await;
    let reply = school.pupil().await.connect(&format!("kept.test:{}", school.origin.port())).await;
    assert_eq!(reply.status, 403);
    let row = school.gateway.row("kept.test").await;
    assert_eq!(
        (text(&row, "action"), text(&row, "rule"), flags(&row)),
        ("refuse", "gateway-guard", vec!["failed-open"])
    );
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_says_nothing_costs_its_time_once() {
    // Nobody answers there: its queue is full.
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    silent.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    silent.listen(0).unwrap();
    let address = silent.local_addr().unwrap().as_socket().unwrap();
    let _fillers: Vec<_> = (0..4)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address.into());
            filler
        })
        .collect();
    let school = School::open_with(|site| {
        site.set("limits", "dial_ms = 6000");
        go_through(site, address.port(), "fallback = \"direct\"");
    })
    .await;
    assert_eq!(school.pupil().await.get(&school.url("first.test", "/")).await.status, 200);
    let started = Instant::now();
    for name in ["second.test", "third.test"] {
        assert_eq!(school.pupil().await.get(&school.url(name, "/")).await.status, 200);
    }
    // A third of the deadline each would be 4 s.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_home_is_reached_without_the_parent() {
    let parent = RawOrigin::listen().await;
    let school = school_behind(&parent, "no_proxy = [\"home.test\", \"127.0.0.0/8\"]").await;
    for host in ["home.test", "www.home.test", "127.0.0.1"] {
        let reply = school.pupil().await.get(&school.url(host, "/")).await;
        assert_eq!(reply.status, 200, "{host}");
    }
    let port = school.origin.port();
    assert_eq!(school.pupil().await.connect(&format!("home.test:{port}")).await.status, 200);
    parent.expect_nobody(Duration::from_millis(50)).await;
    assert!(school.origin.requests().iter().all(|seen| seen.header("proxy-authorization").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_and_the_rules_judge_what_is_asked_for_before_the_parent_hears_of_it() {
    let parent = RawOrigin::listen().await;
    let school = School::open_with(|site| {
        site.set("guard", "allow = []");
        go_through(site, parent.address.port(), "");
    })
    .await;
    for host in
        ["127.0.0.1", "2130706433", "10.0.0.1", "[::1]", "169.254.169.254", "localhost", "a.localhost", "adult.test"]
    {
        assert_eq!(school.pupil().await.get(&format!("http://{host}:8080/")).await.status, 403, "{host}");
        assert_eq!(school.pupil().await.connect(&format!("{host}:443")).await.status, 403, "{host}");
    }
    parent.expect_nobody(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_this_gateway_is_noticed() {
    let school = School::open_with(|site| {
        let port = site.proxy().port();
        go_through(site, port, "");
    })
    .await;
    assert_eq!(school.pupil().await.get("http://far.test/").await.status, 502);
    assert!(school.gateway.stderr().contains("is this gateway itself"), "{}", school.gateway.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_parent_for_kept_connections_too() {
    let (old, new) = (RawOrigin::listen().await, RawOrigin::listen().await);
    let mut school = school_behind(&old, "").await;
    let mut browser = school.pupil().await;
    let answer = async |browser: &mut Browser, line: &mut Line| {
        line.hear_head().await;
        line.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(browser.line.reply("GET").await.text(), "ok");
    };
    browser.send("GET", "http://far.test/", &[], b"").await;
    let mut line = old.accept().await;
    answer(&mut browser, &mut line).await;

    go_through(&mut school.site, new.address.port(), "");
    school.site.write_config();
    school.site.write_rule("policy.toml", &crate::harness::site::POLICY.replace("Essai", "Essai 2"));
    school.gateway.reload().await;
    browser.send("GET", "http://far.test/", &[], b"").await;
    let mut line = new.accept().await;
    answer(&mut browser, &mut line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_others_can_read_are_refused_at_the_start_and_by_check() {
    let mut site = Site::new(None);
    go_through(&mut site, 3128, "");
    let file = site.folder().join("parent.secret");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = site.write_config();
    let said = cli::run(Some(&config), &site.state(), &["check"]);
    assert_eq!(said.code, Some(64), "{}", said.stderr);
    assert!(said.stderr.contains("chmod 600") && !said.stderr.contains("hunter2"), "{}", said.stderr);
    let Err(not) = crate::harness::gateway::Gateway::try_start(&site).await else { panic!("it started") };
    assert!(not.stderr.contains("chmod 600") && !not.stderr.contains("hunter2"), "{}", not.stderr);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = cli::run(Some(&config), &site.state(), &["check"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("a parent proxy resolves the names"), "{}", said.stderr);
}
