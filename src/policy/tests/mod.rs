//! A small school: what each promise of [`super`] means for it.

mod broken;
mod decisions;
mod ech;
mod expectations;
mod inspection;
mod names;
mod no_dns;
mod protocols;
mod scanning;
mod ways_round;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::access::{Access, Client, GroupName, HostName, Protocol, Reason, Target, Timestamp, Visit};
use crate::config::Problems;
use crate::lists::{Format, Image, ListText};

/// Groups, categories and schedules that every test may use; rules follow.
const SCHOOL: &str = r#"
name = "école d'essai"
default = "allow"
[categories.adult]
label = "contenus pour adultes"
label_en = "adult content"
forbids = true
[categories.games]
label = "jeux"
forbids = true
[categories.malware]
forbids = true
[categories.press]
label = "presse"
forbids = false
[categories.help-line]
label = "lignes d'écoute"
forbids = false
[groups.eleves]
label = "Élèves"
label_en = "Pupils"
networks = ["10.131.0.0/16"]
default = true
[groups.enseignants]
label = "Enseignants"
networks = ["10.132.0.0/16"]
[schedules.journee]
days = ["mon", "tue", "thu", "fri"]
from = "08:00"
to = "18:00"
[schedules.nuit]
from = "21:00"
to = "07:00"
"#;

/// Monday, in school hours.
const MONDAY_10H: &str = "2026-11-23T10:00:00+01:00";

fn image() -> Arc<Image> {
    let list = |name: &str, category: &str, format, text| ListText {
        name: name.into(),
        category: category.into(),
        format,
        text,
    };
    let lists = [
        list("t/adult", "adult", Format::Domains, "adult.example\nboth.example\n"),
        list("t/adult-urls", "adult", Format::Urls, "mixed.example/adult\n"),
        list("t/games", "games", Format::Domains, "games.example\nboth.example\n"),
        list("t/malware", "malware", Format::Cidr, "198.51.100.0/24\n203.0.113.7\n"),
        list("t/press", "press", Format::Domains, "press.example\n"),
        list("t/press-net", "press", Format::Cidr, "192.0.2.0/24\n"),
        list("t/help", "help-line", Format::Domains, "119.example\n"),
        list("t/odd", "odd", Format::Domains, "odd.example\n"),
    ];
    Arc::new(Image::from_texts(&lists).unwrap())
}

fn build(policy: &str, people: &str) -> Result<Ruleset, Problems> {
    Ruleset::from_texts((Path::new("policy.toml"), policy), (Path::new("people.csv"), people), image())
}

fn school(rules: &str) -> Ruleset {
    build(&format!("{SCHOOL}{rules}"), "").unwrap_or_else(|problems| panic!("{problems}"))
}

fn client(group: &str) -> Client {
    let groups = if group.is_empty() { Vec::new() } else { vec![GroupName::from(group)] };
    Client { groups, ..Client::unknown([10, 9, 9, 9].into(), 40_000) }
}

fn access(client: Client, target: Target, at: &str) -> Access {
    Access {
        client: Arc::new(client),
        target,
        method: "GET".into(),
        visit: Visit::Unknown,
        start: at.parse::<Timestamp>().unwrap(),
    }
}

fn pupil(target: Target) -> Access {
    access(client("eleves"), target, MONDAY_10H)
}

/// A TLS tunnel, its first bytes seen.
fn tls(host: &str) -> Target {
    target_of_connect(host, Protocol::Tls, None).unwrap()
}

fn http(url: &str) -> Target {
    target_of_url(url).unwrap()
}

fn with_sni(mut target: Target, sni: &str) -> Target {
    target.other_name = Some(HostName::parse(sni).unwrap());
    target
}

fn at_address(mut target: Target, address: &str) -> Target {
    target.address = Some(address.parse().unwrap());
    target
}

/// `refuse by rule (category, list, entry at file:line) +duties`.
fn answer(ruleset: &Ruleset, access: &Access) -> String {
    let e = ruleset.explain(access);
    let mut text = format!("{} by {}", e.action, e.rule);
    if let (Some(category), Some(list)) = (&e.category, &e.list) {
        text += &format!(" ({category}, {list})");
    }
    for duty in e.duties {
        text += &format!(" +{duty}");
    }
    text
}

fn check(ruleset: &Ruleset, cases: &[(Access, &str)]) {
    for (access, expected) in cases {
        assert_eq!(answer(ruleset, access), *expected, "{:?}", access.target);
    }
}
