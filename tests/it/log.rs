//! What the log holds, what it never holds, and how it is asked.

use std::path::Path;

use age::secrecy::ExposeSecret;
use serde_json::Value;

use crate::harness::cli::{self, number, text};
use crate::harness::raw::Line;
use crate::harness::school::School;
use crate::harness::site::{PUPIL, TEACHER};

/// Whether the bytes of `needle` stand in any file below `folder`; the first such file.
fn file_holding(folder: &Path, needle: &str) -> Option<std::path::PathBuf> {
    let finder = aho_corasick::AhoCorasick::new([needle]).expect("a pattern");
    std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()).find_map(
        |path| {
            if path.is_dir() {
                return file_holding(&path, needle);
            }
            // Sockets and files that go away meanwhile hold nothing.
            std::fs::read(&path).ok().filter(|bytes| finder.is_match(bytes)).map(|_| path)
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cry_for_help_names_nobody() {
    let school = School::open_with(|site| {
        site.set("persons", &format!("recipients = [\"{}\"]", age::x25519::Identity::generate().to_public()));
        site.write_rule("people.csv", &format!("address,person,groups\n{PUPIL},lea.martin,eleves\n"));
    })
    .await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.get(&school.url("help.test", "/talk")).await.status, 200);
    drop(browser);

    let row = school.gateway.row("help.test").await;
    for field in ["person", "client_address"] {
        assert_eq!(row[field], Value::Null, "{field}: {row:#}");
    }
    assert!(text(&row, "start").ends_with(":00:00.000000Z"), "{row:#}");
    assert!(text(&row, "end").ends_with(":00:00.000000Z"), "{row:#}");
    assert_eq!(text(&row, "path"), "");
    assert_eq!(row["flags"], serde_json::json!(["help-line"]));

    let connections = school.gateway.rows(1, &["--stream", "connections"]).await;
    for field in ["person", "client_address", "client_port", "origin_address", "outward_port"] {
        assert_eq!(connections[0][field], Value::Null, "{field}: {:#}", connections[0]);
    }
    assert_eq!(text(&connections[0], "device"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_a_pseudonym_in_the_log_and_a_name_nowhere_on_the_disk() {
    let key = age::x25519::Identity::generate();
    let school = School::open_with(|site| {
        site.set("persons", &format!("recipients = [\"{}\"]", key.to_public()));
        site.write_rule(
            "people.csv",
            &format!("address,person,groups\n{PUPIL},lea.canari,eleves\n{TEACHER},m.serin,enseignants\n"),
        );
    })
    .await;
    for host in ["one.test", "two.test"] {
        assert_eq!(school.pupil().await.get(&school.url(host, "/")).await.status, 200);
    }
    assert_eq!(school.teacher().await.get(&school.url("three.test", "/")).await.status, 200);

    let (one, two, three) = (
        school.gateway.row("one.test").await,
        school.gateway.row("two.test").await,
        school.gateway.row("three.test").await,
    );
    let pseudonym = text(&one, "person");
    assert!(pseudonym.len() == 32 && pseudonym.bytes().all(|b| b.is_ascii_hexdigit()), "{one:#}");
    assert_eq!(pseudonym, text(&two, "person"), "the same person on the same day");
    assert_ne!(pseudonym, text(&three, "person"), "another person");
    assert_eq!(text(&one, "identity_source"), "address-map");
    for needle in ["lea.canari", "m.serin", key.to_string().expose_secret()] {
        assert_eq!(file_holding(&school.site.state(), needle), None, "{needle} is on the disk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_recipients_no_person_is_written() {
    let school = School::open_with(|site| {
        site.write_rule("people.csv", &format!("address,person,groups\n{PUPIL},lea.martin,enseignants\n"));
    })
    .await;
    // The groups of the person count all the same.
    assert_eq!(school.pupil().await.get(&school.url("games.test", "/")).await.status, 200);
    assert_eq!(school.gateway.row("games.test").await["person"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_kept_is_not_on_the_disk() {
    let school = School::open().await;
    let mut line = Line::to(school.gateway.proxy).await;
    let url = school.url("paths.test", "/kept/path?query=canari-query");
    let host = format!("paths.test:{}", school.origin.port());
    line.say(format!(
        "POST {url} HTTP/1.1\r\nHost: {host}\r\nCookie: canari-cookie\r\nAuthorization: Bearer canari-token\r\n\
         Proxy-Authorization: Basic canari-basic\r\nContent-Length: 11\r\n\r\ncanari-body"
    ))
    .await;
    assert_eq!(line.reply("POST").await.status, 200);
    let mut browser = school.pupil().await;
    browser.get(&school.url("other.example.test", "/canari-path")).await;

    assert_eq!(text(&school.gateway.row("paths.test").await, "path"), "/kept/path");
    school.gateway.row("other.example.test").await;
    for needle in ["canari-query", "canari-cookie", "canari-token", "canari-basic", "canari-body", "canari-path"] {
        assert_eq!(file_holding(&school.site.state(), needle), None, "{needle} is on the disk");
        assert!(!school.gateway.stderr().contains(needle), "{needle} is in the diagnostics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_the_log_give_the_same_reasons() {
    let school = School::open().await;
    let cases = [
        (PUPIL, "adult.test", "/", "refuse"),
        (PUPIL, "www.games.test", "/x", "refuse"),
        (TEACHER, "www2.games.test", "/x", "forward"),
        (PUPIL, "mixed.test", "/adult/page", "refuse"),
        (PUPIL, "a.mixed.test", "/adult/page", "forward"),
        (PUPIL, "bank.test", "/", "forward"),
        (PUPIL, "plain.test", "/", "forward"),
        (PUPIL, "127.66.0.9", "/", "refuse"),
    ];
    for (client, host, path, action) in cases {
        let url = school.url(host, path);
        let mut browser = crate::harness::browser::Browser::at(client, school.gateway.proxy).await;
        browser.get(&url).await;
        let row = school.gateway.row(host).await;
        let said = school.gateway.cli(&["explain", "--url", &url, "--client", client, "--json"]).ok();
        let said: Value = serde_json::from_str(&said).expect("one object");
        assert_eq!(text(&row, "action"), action, "{url} for {client}: {row:#}");
        let explained = text(&said, "action");
        assert_eq!(explained == "refuse", action == "refuse", "{url} for {client}: {said:#}");
        for field in ["rule", "category", "list", "rules_version"] {
            assert_eq!(text(&said, field), text(&row, field), "{field} of {url} for {client}: {said:#} {row:#}");
        }
        if action == "refuse" {
            assert!(text(&row, "entry").starts_with(text(&said, "entry")), "{said:#} {row:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_by_time_host_client_category_and_decision() {
    let school = School::open().await;
    let before = ecluse::clock::Clock::System.now();
    school.pupil().await.get(&school.url("adult.test", "/")).await;
    school.pupil().await.get(&school.url("plain.test", "/")).await;
    school.teacher().await.get(&school.url("plain.test", "/")).await;
    let gateway = &school.gateway;
    gateway.rows(3, &[]).await;

    let (past, now) = (before.to_string(), ecluse::clock::Clock::System.now().to_string());
    assert_eq!(gateway.search(&["--from", &past, "--to", &now]).len(), 3);
    assert_eq!(gateway.search(&["--to", &past]).len(), 0);
    assert_eq!(gateway.search(&["--from", &now]).len(), 0);
    assert_eq!(gateway.search(&["--host", "plain.test"]).len(), 2);
    assert_eq!(gateway.search(&["--host", "plain.test", "--client", TEACHER]).len(), 1);
    assert_eq!(gateway.search(&["--category", "adult"]).len(), 1);
    assert_eq!(gateway.search(&["--decision", "refuse"]).len(), 1);
    assert_eq!(gateway.search(&["--decision", "forward", "--client", PUPIL]).len(), 1);
    let table = gateway.cli(&["log", "search", "--format", "table"]).ok();
    assert!(table.contains("adult.test") && table.contains("plain.test"), "{table}");
    let csv = gateway.cli(&["log", "search", "--format", "csv"]).ok();
    assert_eq!(csv.lines().count(), 4, "a line of names and three rows: {csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_has_a_row_also_those_that_said_nothing_useful() {
    let school = School::open_with(|site| {
        site.set("limits", "header_ms = 500");
    })
    .await;
    // Nothing at all, nonsense, and half a request until the limit.
    let mut quiet = Line::to(school.gateway.proxy).await;
    quiet.finish_saying().await;
    quiet.hear_all().await;
    let mut nonsense = Line::to(school.gateway.proxy).await;
    nonsense.say("\x16\x03\x01 what?\r\n\r\n").await;
    nonsense.hear_all().await;
    let mut half = Line::to(school.gateway.proxy).await;
    half.say("GET http://half.test/ HTTP/1.1\r\nHo").await;
    half.hear_all().await;
    let rows = school.gateway.rows(3, &["--stream", "connections"]).await;
    let mut endings: Vec<_> = rows.iter().map(|row| text(row, "ending")).collect();
    endings.sort_unstable();
    assert!(endings.contains(&"client-invalid") && endings.contains(&"timed-out"), "{endings:?}");
    assert!(rows.iter().all(|row| number(row, "client_port") > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_searched_when_the_gateway_is_gone() {
    let school = School::open().await;
    school.pupil().await.get(&school.url("adult.test", "/")).await;
    school.pupil().await.get(&school.url("plain.test", "/")).await;
    let School { gateway, site, .. } = school;
    gateway.kill();
    let found = crate::harness::gateway::search(Some(&site.config()), &site.state(), &[]);
    let mut hosts: Vec<_> = found.iter().map(|row| cli::text(row, "host")).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["adult.test", "plain.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cry_for_help_that_cannot_be_forwarded_names_nobody_either() {
    let school = School::open_with(|site| {
        site.write_rule("people.csv", &format!("address,person,groups\n{PUPIL},eleve,\n"));
        site.set("limits", "requests_per_second = 1\nrequest_burst = 1");
    })
    .await;
    school.names.answers("far.help.test", &[&["169.254.169.254"]]);
    let mut browser = school.pupil().await;
    assert_eq!(browser.get("http://far.help.test/").await.status, 403);
    // Help-lines pass limits: the burst is long over.
    assert_eq!(browser.get(&school.url("help.test", "/talk")).await.status, 200);
    assert_eq!(school.pupil().await.connect("far.help.test:443").await.status, 403);
    let rows = school.gateway.rows(2, &["--host", "far.help.test"]).await;
    for row in &rows {
        assert_eq!(row["flags"], serde_json::json!(["help-line"]), "{row:#}");
        for named in ["person", "client_address"] {
            assert!(row[named].is_null() || row[named] == "", "{named}: {row:#}");
        }
        assert!(text(row, "start").ends_with(":00:00Z") || text(row, "start").contains(":00:00."), "{row:#}");
    }
}
