//! Where nobody is taken, in whatever spelling and by whatever name; and what no page, no row and no line ever shows.

use std::path::Path;
use std::time::Duration;

use crate::harness::browser::Browser;
use crate::harness::cli::text;
use crate::harness::eventually;
use crate::harness::origin::Origin;
use crate::harness::raw::{Line, RawOrigin};
use crate::harness::school::School;

/// A school whose guard lets these networks through and no others.
async fn school_that_allows(networks: &str) -> School {
    let allow = format!("allow = [{networks}]");
    School::open_with(|site| {
        site.set("guard", &allow);
    })
    .await
}

/// The status of a request on a line of its own, written as it is.
async fn status_of(school: &School, line: &str, authority: &str) -> u16 {
    let mut browser = Line::to(school.gateway.proxy).await;
    browser.say(format!("{line} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).await;
    browser.reply_head().await.status
}

const LOOPBACK: [&str; 22] = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "self.test",
];

const OTHERS: [&str; 16] = [
    "0.0.0.0",
    "0",
    "[::]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "100.64.0.1",
    "[fc00::1]",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_guarded_address_is_dialled() {
    let school = school_that_allows("").await;
    let port = school.origin.port();
    for host in LOOPBACK.into_iter().chain(OTHERS) {
        let authority = format!("{host}:{port}");
        assert_eq!(status_of(&school, &format!("GET http://{authority}/"), &authority).await, 403, "GET {host}");
        assert_eq!(status_of(&school, &format!("CONNECT {authority}"), &authority).await, 403, "CONNECT {host}");
    }
    // What no URL holds is no host at all; whoever decodes it would see loopback.
    for host in
        ["127.0.0.%31", "[fe80::1%25lo]", "[::1%25lo]", "127.0.0.1%00.fr", "\u{ff11}\u{ff12}\u{ff17}.1", "[127.0.0.1]"]
    {
        let authority = format!("{host}:{port}");
        let status = status_of(&school, &format!("GET http://{authority}/"), &authority).await;
        assert!([400, 403].contains(&status), "GET {host}: {status}");
        let status = status_of(&school, &format!("CONNECT {authority}"), &authority).await;
        assert!([400, 403].contains(&status), "CONNECT {host}: {status}");
    }
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
    let rows = eventually("rows of the refusals", async || {
        Some(school.gateway.search(&["--host", "localhost"])).filter(|rows| !rows.is_empty())
    });
    for row in rows.await {
        assert_eq!((text(&row, "action"), text(&row, "rule")), ("refuse", "gateway-guard"), "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_of_ours_is_closed_from_inside_whatever_is_open() {
    let school = school_that_allows("\"0.0.0.0/0\", \"::/0\"").await;
    let port = school.gateway.proxy.port();
    for host in
        ["127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "self.test", "v6.self.test"]
    {
        let authority = format!("{host}:{port}");
        assert_eq!(status_of(&school, &format!("GET http://{authority}/"), &authority).await, 403, "{host}");
        assert_eq!(status_of(&school, &format!("CONNECT {authority}"), &authority).await, 403, "{host}");
    }
}

/// Gets a page, and gives the origin's end of the kept connection.
async fn first_page(browser: &mut Browser, url: &str, origin: &RawOrigin) -> Line {
    browser.send("GET", url, &[], b"").await;
    let mut line = origin.accept().await;
    line.hear_head().await;
    line.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(browser.line.reply("GET").await.text(), "ok");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_pointed_elsewhere_is_judged_by_where_it_points_now() {
    let school = school_that_allows("\"127.9.0.0/16\"").await;
    let origin = RawOrigin::listen_on("127.9.0.1:0").await;
    let trap = RawOrigin::listen_on(&format!("127.0.0.1:{}", origin.address.port())).await;
    let url = format!("http://rebound.test:{}/", origin.address.port());
    school.names.answers("rebound.test", &[&["127.9.0.1"], &["127.0.0.1"]]);

    let mut browser = school.pupil().await;
    for _ in 0..2 {
        let mut line = first_page(&mut browser, &url, &origin).await;
        // A kept link goes where it went: nobody is asked for the name again.
        browser.send("GET", &url, &[], b"").await;
        line.hear_head().await;
        line.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nkept").await;
        assert_eq!(browser.line.reply("GET").await.text(), "kept");
        line.finish_saying().await;

        let refused = browser.get(&url).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert_eq!(browser.connect(&format!("rebound.test:{}", origin.address.port())).await.status, 403);
        trap.expect_nobody(Duration::from_millis(100)).await;
        // Where it points back, it is open again.
        school.names.answers("rebound.test", &[&["127.9.0.1"], &["127.0.0.1"]]);
        browser = school.pupil().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_asked_again_and_then_refused_has_one_row() {
    let school = school_that_allows("\"127.9.0.0/16\"").await;
    let origin = RawOrigin::listen_on("127.9.0.1:0").await;
    let url = format!("http://turned.test:{}/", origin.address.port());
    school.names.answers("turned.test", &[&["127.9.0.1"], &["127.0.0.1"]]);
    let mut browser = school.pupil().await;
    let mut line = first_page(&mut browser, &url, &origin).await;
    // The kept link dies under the next one, and the name leads elsewhere by now.
    browser.send("GET", &url, &[], b"").await;
    line.hear_head().await;
    line.reset();
    assert_eq!(browser.line.reply("GET").await.status, 403);
    let rows = school.gateway.rows(2, &["--host", "turned.test"]).await;
    let refused = rows.iter().find(|row| text(row, "action") == "refuse").expect("a refusal");
    assert_eq!((text(refused, "rule"), text(refused, "ending")), ("gateway-guard", "answered"), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_only_those_that_may_be_are_dialled() {
    let school = school_that_allows("\"127.9.0.0/16\"").await;
    let origin = Origin::http_on("127.9.0.1:0").await;
    let trap = RawOrigin::listen_on(&format!("127.0.0.1:{}", origin.port())).await;
    school.names.answers("mixed.test", &[&["127.0.0.1", "10.0.0.1", "127.9.0.1", "::1"]]);
    for _ in 0..3 {
        assert_eq!(school.pupil().await.get(&origin.url("mixed.test", "/")).await.status, 200);
    }
    assert_eq!(origin.requests().len(), 3);
    trap.expect_nobody(Duration::from_millis(50)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_names_the_address_that_answered() {
    let school = School::open().await;
    let origin = Origin::http_on("127.9.0.2:0").await;
    // Nobody listens at the first; the rule on `127.66.0.0/16` refuses the third.
    school.names.answers("several.test", &[&["127.9.0.1", "127.9.0.2", "127.66.0.1"]]);
    assert_eq!(school.pupil().await.get(&origin.url("several.test", "/")).await.status, 200);
    let rows = school.gateway.rows(1, &["--stream", "connections"]).await;
    assert_eq!(text(&rows[0], "origin_address"), "127.9.0.2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_link_ends_with_the_permission_it_was_dialled_under() {
    let mut school = school_that_allows("\"127.0.0.0/8\"").await;
    let mut browser = school.pupil().await;
    let url = school.url("was-open.test", "/");
    assert_eq!(browser.get(&url).await.status, 200);
    school.site.set("guard", "allow = []");
    school.site.write_config();
    school.site.write_rule("policy.toml", &crate::harness::site::POLICY.replace("Essai", "Essai 2"));
    school.gateway.reload().await;
    assert_eq!(browser.get(&url).await.status, 403);
    assert_eq!(school.origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_policy_does_not_open_what_the_guard_keeps() {
    let school = School::open_with(|site| {
        site.set("guard", "allow = []");
        let open = "\n[[rule]]\nname = \"ouvert\"\nlabel = \"Ouvert\"\naddresses = [\"127.0.0.0/16\"]\nhosts = [\"self.test\"]\n\
                    action = \"allow\"\nreason = \"Non.\"\n\n[[rule]]\nname = \"lignes-d-ecoute\"";
        let policy = crate::harness::site::POLICY.replacen("\n[[rule]]\nname = \"lignes-d-ecoute\"", open, 1);
        site.write_rule("policy.toml", &policy);
    })
    .await;
    for host in ["self.test", "127.0.0.1"] {
        assert_eq!(school.pupil().await.get(&school.url(host, "/")).await.status, 403, "{host}");
    }
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
}

/// Whether any file under a folder holds these bytes.
fn is_written(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a kind") {
            kind if kind.is_dir() => is_written(&entry.path(), bytes),
            // A socket is no file to be read.
            kind if !kind.is_file() => false,
            _ => {
                let text = std::fs::read(entry.path()).expect("a readable file");
                text.windows(bytes.len()).any(|window| window == bytes)
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_reaches_a_page_a_row_or_a_line_of_diagnostics() {
    const SECRET: &str = "hunter2canary";
    // The same in base64, as Basic carries it.
    const BASIC: &str = "dXNlcjpodW50ZXIyY2FuYXJ5";
    let school = School::open_with(|site| {
        site.set("log", "level = \"trace\"");
    })
    .await;
    let port = school.origin.port();
    let headers = [
        ("Proxy-Authorization", format!("Basic {BASIC}")),
        ("Authorization", format!("Basic {BASIC}")),
        ("Cookie", format!("session={SECRET}")),
        ("X-Api-Key", SECRET.to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut pages = Vec::new();
    for url in [
        format!("http://allowed.test:{port}/?password={SECRET}"),
        format!("http://adult.test:{port}/?password={SECRET}"),
        format!("http://gone.test:{port}/?password={SECRET}"),
        format!("http://user:{SECRET}@allowed.test:{port}/"),
        format!("http://paths.test:{port}/path?password={SECRET}"),
        format!("http://ecluse.internal/{SECRET}"),
    ] {
        let mut browser = school.pupil().await;
        pages.push(browser.get_with(&url, &headers).await);
    }
    let mut line = Line::to(school.gateway.proxy).await;
    line.say(format!("CONNECT user:{SECRET}@tunnel.test:{port} HTTP/1.1\r\nHost: tunnel.test\r\n\r\n")).await;
    pages.push(line.reply("CONNECT").await);
    // Broken ones are told of as well.
    let mut line = Line::to(school.gateway.proxy).await;
    line.say(format!("GET http://broken.test/ HTTP/1.1\r\nAuthorization: {SECRET}\r\nbad header {SECRET}\r\n\r\n"))
        .await;
    let said = line.hear_all().await;
    assert!(!String::from_utf8_lossy(&said).contains(SECRET));

    for page in &pages {
        let whole = format!("{:?} {}", page.headers, String::from_utf8_lossy(&page.body));
        assert!(!whole.contains(SECRET) && !whole.contains(BASIC), "{whole}");
    }
    // The origin got what was meant for it, and nothing of what was meant for us.
    let seen = school.origin.requests();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|request| request.header("proxy-authorization").is_none()));
    assert!(seen.iter().all(|request| request.header("authorization").is_some_and(|value| value.contains(BASIC))));

    let rows = school.gateway.rows(1, &["--host", "paths.test"]).await;
    assert_eq!(text(&rows[0], "path"), "/path");
    let all = format!("{:?}", school.gateway.search(&[]));
    assert!(!all.contains(SECRET) && !all.contains(BASIC), "{all}");
    for secret in [SECRET, BASIC] {
        let lines = school.gateway.lines();
        assert!(lines.iter().all(|line| !line.contains(secret)), "in the diagnostics: {secret}");
        assert!(!is_written(&school.site.state(), secret.as_bytes()), "on the disk: {secret}");
    }
    assert!(is_written(&school.site.state(), b"allowed.test"), "the search finds nothing at all");
}
