//! Accesses as a school day makes them: who, where and when are spread as they are there.

use std::time::Duration;

use ecluse::access::{
    AccessRecord, ActionTaken, Ending, Flags, HostSource, IdentitySource, IdentityStrength, Protocol, Pseudonym,
    Reference, Timestamp, Visit,
};

const PERSONS: u64 = 800;
const HOSTS: u64 = 5_000;
/// 2026-11-23T07:00:00Z, for eight hours.
const START: i64 = 1_795_417_200_000_000;

/// A mixed, repeatable number.
fn mix(i: u64) -> u64 {
    let mixed = (i ^ i >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 29
}

/// The access number `i` of `rows`.
pub fn record(i: u64, rows: u64) -> AccessRecord {
    let dice = mix(i);
    let start = Timestamp::from_micros(START + (i * (8 * 3_600_000_000 / rows)) as i64);
    let who = dice % PERSONS;
    // Popular hosts are much more popular.
    let host = (dice >> 12) % ((dice >> 40) % HOSTS + 1);
    let refused = (dice >> 52).is_multiple_of(40);
    let text = |text: &str| text.into();
    AccessRecord {
        connection: i / 4,
        person: Some(Pseudonym(u128::from(mix(who + 1)).wrapping_mul(0x1234_5678_9abc_def1_2345).to_be_bytes())),
        identity_source: IdentitySource::Radius,
        identity_strength: IdentityStrength::Medium,
        client_address: Some(std::net::Ipv4Addr::from(0x0a83_0000 + who as u32).into()),
        start,
        end: start.plus(Duration::from_millis(dice % 4000)),
        method: text("CONNECT"),
        host: format!("www.site-{host}.example").into(),
        host_source: HostSource::Asked,
        port: 443,
        protocol: Protocol::Tls,
        path: text(""),
        category: text(if refused { "games" } else { "" }),
        action: if refused { ActionTaken::Refuse } else { ActionTaken::Tunnel },
        rule: text(if refused { "jeux-refuses-aux-eleves" } else { "default" }),
        list: text(if refused { "ut1/games" } else { "" }),
        entry: if refused { format!("site-{host}.example (games/domains:{host})").into() } else { text("") },
        rules_version: text("0123456789ab"),
        status: Some(if refused { 403 } else { 200 }),
        bytes_up: dice % 5_000,
        bytes_down: dice % 500_000,
        finding: text(""),
        visit: Visit::Unknown,
        ending: if refused { Ending::Answered } else { Ending::Complete },
        asked: text(""),
        earlier_rule: text(""),
        reference: refused.then(|| Reference::from_random(dice)),
        count: 1,
        flags: Flags::default(),
    }
}
