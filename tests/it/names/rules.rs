//! What policy says of a name, what is answered then, and what stands in the log.

use super::*;
use crate::harness::cli::text;
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_answered_as_the_name_server_says_and_asked_there_once() {
    let Some(guarded) = Guarded::open().await else { return };
    for name in ["www.free.test", "WWW.Free.test", "www.FREE.test"] {
        let dug = guarded.pupil(&format!("{name} A")).await;
        assert_eq!((dug.status.as_str(), dug.data("A").join(" ").as_str()), ("NOERROR", "127.0.0.1"), "{}", dug.text);
        assert!(dug.has_flag("ra") && dug.answers[0].to_lowercase().starts_with("www.free.test. "), "{}", dug.text);
    }
    assert_eq!(guarded.times_asked("www.free.test"), 1, "two of three are from memory");
    let gone = guarded.pupil("gone.test A").await;
    assert_eq!((gone.status.as_str(), gone.answers.len()), ("NXDOMAIN", 0));
    let over_tcp = guarded.pupil("+tcp www.free.test A").await;
    assert_eq!(over_tcp.data("A"), ["127.0.0.1"]);
    assert_eq!(guarded.pupil("v6.test AAAA").await.data("AAAA"), ["::1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_does_not_exist_for_who_is_refused_and_has_one_row_a_minute() {
    let Some(guarded) = Guarded::open().await else { return };
    for question in ["games.test A", "games.test AAAA", "games.test HTTPS", "GAMES.test A", "www.games.test A"] {
        let dug = guarded.pupil(question).await;
        assert_eq!(dug.status, "NXDOMAIN", "{question}: {}", dug.text);
        assert!(dug.text.contains("EDE: 15 (Blocked)"), "{}", dug.text);
    }
    assert_eq!(guarded.teacher("games.test A").await.data("A"), ["127.0.0.1"]);
    assert_eq!(guarded.teacher("adult.test A").await.status, "NXDOMAIN");
    assert_eq!(guarded.times_asked("games.test"), 1, "the teacher's");
    assert_eq!(guarded.times_asked("adult.test"), 0);
    // Five questions of a pupil for two names, and a question that was allowed: a question is no access.
    guarded.pupil("www.free.test A").await;
    let gateway = &guarded.school.gateway;
    let row = gateway.row("www.games.test").await;
    assert_eq!(
        (text(&row, "action"), text(&row, "rule"), text(&row, "host_source")),
        ("refuse", "jeux", "dns"),
        "{row:#}"
    );
    assert_eq!((text(&row, "client_address"), text(&row, "protocol")), (PUPIL, "dns"), "{row:#}");
    assert_eq!(gateway.row("adult.test").await["client_address"], TEACHER);
    let all = eventually("all rows", async || Some(gateway.search(&[])).filter(|rows| rows.len() >= 3)).await;
    let mut hosts: Vec<&str> = all.iter().map(|row| text(row, "host")).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["adult.test", "games.test", "www.games.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_help_line_is_answered_and_leaves_nothing() {
    let Some(guarded) = Guarded::open().await else { return };
    assert_eq!(guarded.pupil("help.test A").await.data("A"), ["127.0.0.1"]);
    assert_eq!(guarded.pupil("adult.test A").await.status, "NXDOMAIN");
    guarded.school.gateway.row("adult.test").await;
    assert_eq!(guarded.school.gateway.search(&["--host", "help.test"]), Vec::<serde_json::Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_can_lead_to_the_page_that_says_why() {
    let keys = "refused = \"block-page\"";
    let Some(guarded) = Guarded::open_with(keys, |_| {}).await else { return };
    let dug = guarded.pupil("games.test A").await;
    assert_eq!((dug.status.as_str(), dug.data("A").join(" ").as_str()), ("NOERROR", "127.0.0.1"), "where it was asked");
    assert_eq!(guarded.times_asked("games.test"), 0);
    let dug = guarded.pupil("games.test HTTPS").await;
    assert_eq!((dug.status.as_str(), dug.answers.len()), ("NOERROR", 0));

    let keys = "refused = \"block-page\"\nown_addresses = [\"10.131.0.1\", \"fd00:131::1\"]";
    let Some(guarded) = Guarded::open_with(keys, |_| {}).await else { return };
    assert_eq!(guarded.pupil("games.test A").await.data("A"), ["10.131.0.1"]);
    assert_eq!(guarded.pupil("games.test AAAA").await.data("AAAA"), ["fd00:131::1"]);
    assert_eq!(guarded.pupil("ecluse.internal A").await.data("A"), ["10.131.0.1"], "our own pages have our address");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_hold_for_names_that_were_answered_before() {
    let Some(guarded) = Guarded::open().await else { return };
    assert_eq!(guarded.pupil("www.later.test A").await.status, "NOERROR");
    guarded.school.site.write_rule("lists/games.txt", "games.test\nlater.test\n");
    guarded.school.gateway.reload().await;
    assert_eq!(guarded.pupil("www.later.test A").await.status, "NXDOMAIN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_needs_to_know_more_than_a_name_does_not_refuse_it() {
    let Some(guarded) = Guarded::open_with("", |site| {
        let rules = "\n[[rule]]\nname = \"une-page\"\nlabel = \"Une page\"\nurls = [\"mostly.test/lesson\"]\naction = \"allow\"\nreason = \"Cours.\"\n\
             [[rule]]\nname = \"le-reste\"\nlabel = \"Le reste\"\nhosts = [\"mostly.test\"]\naction = \"refuse\"\nreason = \"Non.\"\n\
             [[rule]]\nname = \"courriel\"\nlabel = \"Courriel\"\nall = true\nports = [25]\naction = \"refuse\"\nreason = \"Non.\"\n\
             [[rule]]\nname = \"tunnels\"\nlabel = \"Tunnels\"\nhosts = [\"other-only.test\"]\nprotocols = [\"other\"]\naction = \"refuse\"\nreason = \"Non.\"\n";
        site.write_rule("policy.toml", &format!("{}{rules}", crate::harness::site::POLICY));
    })
    .await
    else {
        return;
    };
    for name in ["mostly.test", "www.free.test", "other-only.test"] {
        assert_eq!(guarded.pupil(&format!("{name} A")).await.status, "NOERROR", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vendors_signals_are_answered_as_they_ask_and_reach_nobody() {
    let Some(guarded) = Guarded::open().await else { return };
    for name in ["use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com", "www.facebook.onion"] {
        for kind in ["A", "AAAA"] {
            assert_eq!(guarded.teacher(&format!("{name} {kind}")).await.status, "NXDOMAIN", "{name}");
        }
        assert!(guarded.school.names.questions(name).is_empty(), "{name} was asked of others");
    }
    assert_eq!(guarded.pupil("localhost A").await.data("A"), ["127.0.0.1"]);
    assert_eq!(guarded.pupil("ecluse.internal A").await.data("A"), ["127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schools_own_names_are_asked_of_its_own_server() {
    let own = crate::harness::dns::NameServer::start().await;
    own.answers("intranet.college.local", &[&["10.131.0.20"]]);
    own.answers("nas.sub.college.local", &[&["10.131.0.21"]]);
    let keys = format!("zones = {{ \"college.local\" = [\"{}\"] }}", own.address);
    let Some(guarded) = Guarded::open_with(&keys, |_| {}).await else { return };
    assert_eq!(guarded.pupil("intranet.college.local A").await.data("A"), ["10.131.0.20"]);
    assert_eq!(guarded.pupil("nas.sub.college.local A").await.data("A"), ["10.131.0.21"]);
    assert!(guarded.school.names.questions("intranet.college.local").is_empty(), "the provider hears nothing of it");
    assert_eq!(guarded.pupil("printer.local A").await.status, "NXDOMAIN");
}

/// Pupils reach nothing by an address alone.
fn names_only() -> String {
    let rule = "\n[[rule]]\nname = \"sans-nom\"\nlabel = \"Sans nom\"\nwho = [\"eleves\"]\nhost_sources = [\"address\"]\n\
                action = \"refuse\"\nreason = \"Par son nom.\"\n";
    format!("{}{rule}", crate::harness::site::POLICY)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_our_dns_never_gave_can_be_refused() {
    let Some(guarded) = Guarded::open_with("", |site| site.write_rule("policy.toml", &names_only())).await else {
        return;
    };
    let school = &guarded.school;
    let by_address = school.url("127.0.0.1", "/");
    let mut pupil = school.pupil().await;
    assert_eq!(pupil.get(&by_address).await.status, 403);
    assert_eq!(pupil.get(&school.url("www.free.test", "/")).await.status, 200, "by its name");
    assert_eq!(school.teacher().await.get(&by_address).await.status, 200);
    let rows = school.gateway.rows(2, &["--host", "127.0.0.1"]).await;
    let refused = rows.iter().find(|row| text(row, "action") == "refuse").unwrap();
    assert_eq!((text(refused, "host_source"), text(refused, "rule")), ("address", "sans-nom"), "{refused:#}");
    // Our DNS tells this device, and no other, of that address.
    assert_eq!(guarded.pupil("www.free.test A").await.data("A"), ["127.0.0.1"]);
    assert_eq!(pupil.get(&by_address).await.status, 200);
    let other = crate::harness::browser::Browser::at("127.0.0.3", school.gateway.proxy).await.get(&by_address).await;
    assert_eq!(other.status, 403);
    let rows = school.gateway.rows(4, &["--host", "127.0.0.1"]).await;
    assert!(
        rows.iter().any(|row| text(row, "host_source") == "dns" && text(row, "client_address") == PUPIL),
        "{rows:#?}"
    );
}
