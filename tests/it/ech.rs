//! Encrypted ClientHellos: the keys do not arrive, and who has them from elsewhere is known by what our DNS saw of them.
//!
//! The clients are rustls and quinn with a real key; what they hide nobody reads, the origins neither.

use serde_json::Value;

use crate::harness::cli::{has_flag, text};
use crate::harness::dns::NameServer;
use crate::harness::gateway::Gateway;
use crate::harness::lab::{GATEWAY_V4, INTERNET, Lab, NOBODY_V4, ORIGIN_V4, run};
use crate::harness::quic::{self, Client};
use crate::harness::raw::RawOrigin;
use crate::harness::site::{POLICY, Site};
use crate::harness::tls::{Authority, client_hello, ech_configs, hiding_hello};
use crate::harness::tool;
use crate::names::{Guarded, HTTPS};

/// Pupils may hide nothing; for teachers the outer name is judged.
const NOTHING_HIDDEN: &str = "\n[[rule]]\nname = \"noms-caches\"\nlabel = \"Noms cachés\"\nwho = [\"eleves\"]\n\
                              ech = [\"real\"]\naction = \"refuse\"\nreason = \"Un nom caché ne peut pas être jugé.\"\n";

/// RFC 9460 §2.2: priority 1, target ".", ech.
fn service(configs: &[u8]) -> Vec<u8> {
    [&[0, 1, 0, 0, 5][..], &(configs.len() as u16).to_be_bytes(), configs].concat()
}

fn policy() -> String {
    format!("ech_public_names = [\"known.test\"]\n{POLICY}{NOTHING_HIDDEN}")
}

/// `-`, `ech`, `ech-real`, and what became of it by which rule.
fn said(row: &Value) -> (String, String, String) {
    let word = match (has_flag(row, "ech"), has_flag(row, "ech-real")) {
        (false, false) => "-",
        (true, false) => "unknown",
        (true, true) => "real",
        (false, true) => "real, and there is none",
    };
    (word.to_owned(), text(row, "action").to_owned(), text(row, "rule").to_owned())
}

fn saying(ech: &str, action: &str, rule: &str) -> (String, String, String) {
    (ech.to_owned(), action.to_owned(), rule.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hides_a_name_behind_a_key_that_our_dns_saw_is_known_by_it() {
    let Some(guarded) = Guarded::open_with("", |site| site.write_rule("policy.toml", &policy())).await else { return };
    let school = &guarded.school;
    let configs = ech_configs(7, "front.test");
    school.names.tells("hidden.test", HTTPS, vec![(HTTPS, 300, service(&configs))]);
    let origin = RawOrigin::listen().await;
    let port = origin.address.port();
    let mut rows = 0;
    let mut tunnel = async |is_pupil: bool, asked: &str, hello: Vec<u8>| {
        let mut browser = if is_pupil { school.pupil().await } else { school.teacher().await };
        assert_eq!(browser.connect(&format!("{asked}:{port}")).await.status, 200);
        let mut far = origin.accept().await;
        browser.line.say(&hello).await;
        let heard = far.try_hear(hello.len()).await;
        drop((browser, far));
        rows += 1;
        let all = school.gateway.rows(rows, &["--host", asked]).await;
        let connections = school.gateway.search(&["--stream", "connections"]);
        let row = all.into_iter().max_by_key(|row| row["sequence"].as_u64()).expect("a row");
        let connection = connections.iter().find(|one| one["sequence"] == row["connection"]).expect("its connection");
        assert_eq!(said(connection).0, said(&row).0, "both rows say the same");
        assert_eq!(heard.is_some_and(|heard| heard == hello), text(&row, "action") == "tunnel");
        said(&row)
    };
    let hidden = || hiding_hello(&configs, "adult.test");
    // Nobody has asked our DNS yet: a random one would look the same.
    assert_eq!(tunnel(true, "front.test", hidden()).await, saying("unknown", "tunnel", "default"));
    let dug = guarded.pupil("hidden.test HTTPS").await;
    assert!(!dug.text.contains("ech="), "{}", dug.text);
    assert_eq!(tunnel(true, "front.test", hidden()).await, saying("real", "refuse", "noms-caches"));
    assert_eq!(tunnel(false, "front.test", hidden()).await, saying("real", "tunnel", "default"));
    // Another id is nobody's key, and no encrypted ClientHello is none.
    let other = hiding_hello(&ech_configs(8, "front.test"), "adult.test");
    assert_eq!(tunnel(true, "front.test", other).await, saying("unknown", "tunnel", "default"));
    assert_eq!(tunnel(true, "front.test", client_hello("front.test")).await, saying("-", "tunnel", "default"));
    let figures = &school.gateway.status()["figures"];
    assert_eq!(figures["ech_real"].as_u64(), Some(2), "{figures:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_name_that_the_policy_knows_needs_no_key_that_was_seen() {
    let Some(guarded) = Guarded::open_with("", |site| site.write_rule("policy.toml", &policy())).await else { return };
    let origin = RawOrigin::listen().await;
    let mut browser = guarded.school.pupil().await;
    assert_eq!(browser.connect(&format!("known.test:{}", origin.address.port())).await.status, 200);
    let mut far = origin.accept().await;
    browser.line.say(hiding_hello(&ech_configs(99, "known.test"), "adult.test")).await;
    far.expect_close().await;
    assert_eq!(said(&guarded.school.gateway.row("known.test").await), saying("real", "refuse", "noms-caches"));
}

/// Over TCP and QUIC, without any setting on the device.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_at_the_transparent_doors_too() {
    if tool("dig").is_none() {
        return;
    }
    let Some(lab) = Lab::enter("ech::it_is_known_at_the_transparent_doors_too") else { return };
    let names = NameServer::start().await;
    names.answers("front.test", &[&[ORIGIN_V4]]);
    let configs = ech_configs(7, "front.test");
    names.tells("hidden.test", HTTPS, vec![(HTTPS, 300, service(&configs))]);
    let authority = Authority::new();
    quic::serve(lab.origin.datagrams("[::]:443"), &authority, &["front.test"]);
    let origin = RawOrigin::on(lab.origin.listen("[::]:443"));
    let mut site = Site::new(Some(names.address));
    // The client of the lab is a teacher, and what is refused is refused to everybody.
    let everybody = policy().replace("who = [\"eleves\"]\nech", "ech");
    let policy = everybody.replace("[groups.eleves]\n", "[groups.eleves]\nhttp3 = true\n");
    site.write_rule("policy.toml", &policy);
    site.set("guard", &format!("allow = [\"127.0.0.0/8\", {INTERNET}]"));
    site.set(
        "listen",
        &format!(
            "transparent_tls = [\"0.0.0.0:3130\"]\ntransparent_udp = [\"0.0.0.0:443\"]\ndns = [\"{GATEWAY_V4}:5300\"]"
        ),
    );
    site.set("transparent", "interfaces = [\"eth-c\"]");
    site.set("dns", "private_names = [\"test\"]");
    site.set("limits", "datagram_idle_ms = 1000");
    let gateway = Gateway::start(&mut site).await;
    for (arguments, shell) in [(&["nftables"][..], "nft -f"), (&["nftables", "--routing"], "sh -e")] {
        let file = site.folder().join("firewall");
        std::fs::write(&file, gateway.cli(arguments).ok()).expect("a writable folder");
        run(&format!("{shell} {}", file.display()));
    }
    let at = format!("{ORIGIN_V4}:443").parse().expect("an address");
    let hidden = hiding_hello(&configs, "adult.test");
    let mut count = 0;
    for is_known in [false, true] {
        if is_known {
            // Whatever server is asked, by UDP and TCP.
            for by in ["+notcp", "+tcp"] {
                let asked = [&format!("@{NOBODY_V4}"), by, "+time=5", "+tries=1", "hidden.test", "HTTPS"];
                let dug = lab.client.say("dig", &asked.map(|word| word as &str)).await;
                assert!(dug.stdout.contains("NOERROR") && !dug.stdout.contains("ech="), "{}", dug.stdout);
            }
        }
        let expected =
            if is_known { saying("real", "refuse", "noms-caches") } else { saying("unknown", "tunnel", "default") };
        let mut line = lab.client.connect(at);
        line.say(&hidden).await;
        if is_known {
            line.hear_all().await;
        } else {
            assert_eq!(origin.accept().await.hear(hidden.len()).await, hidden);
        }
        drop(line);
        let client = Client::with(lab.client.datagrams("0.0.0.0:0"), authority.hiding_config(&configs));
        // The origin has no such key, or is not reached: either way it does not come about.
        assert!(client.connect("adult.test", at).await.is_err());
        client.leave().await;
        count += 2;
        let rows = gateway.rows(count, &["--host", "front.test"]).await;
        for protocol in ["tls", "quic"] {
            let found: Vec<_> = rows.iter().filter(|row| text(row, "protocol") == protocol).map(said).collect();
            assert_eq!(found.iter().filter(|said| **said == expected).count(), 1, "{protocol}: {rows:#?}");
        }
    }
}
