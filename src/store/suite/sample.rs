//! Rows and questions of chance, out of few words, so that questions meet rows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::access::{
    AccessRecord, AccessRow, ActionTaken, CollegeCode, ConnectionRecord, ConnectionRow, Ending, Flags, GatewayName,
    Host, HostName, HostSource, IdentitySource, IdentityStrength, Protocol, Pseudonym, Reference, Row, RowKey, Stream,
    Timestamp, Visit,
};
use crate::store::{Filter, HostFilter, Order, Query};

/// 2026-11-22T12:00:00Z: samples lie in the 60 hours after, which touch four UTC days.
const FIRST: i64 = 1_795_348_800_000_000;
const HOURS: u64 = 60;
const HOSTS: &[&str] =
    &["example.fr", "www.example.fr", "a.b.example.fr", "notexample.fr", "ex_mple.fr", "192.0.2.7", "2001:db8::7", ""];
const CLIENTS: &[&str] = &["10.131.0.5", "10.131.0.6", "10.131.1.5", "10.132.0.1", "2001:db8:1::5", "2001:db8:2::5"];
const NETS: &[&str] = &["10.131.0.5/32", "10.131.0.0/24", "10.131.0.0/16", "0.0.0.0/0", "2001:db8:1::/48", "::/0"];
const CATEGORIES: &[&str] = &["", "adult", "malware", "games"];
const RULES: &[&str] = &["default", "refuse-adult", "lignes-d-écoute"];
const TEXTS: &[&str] = &["", "x", "é\u{1F600}", "a'; DROP TABLE accesses; --", "nul\0inside", "%_\"\\", "=1+1"];
const COLLEGES: &[&str] = &["0131234A", "0131235B"];

/// Choices, from a seed or from bytes that a property test gives (and shrinks).
pub enum Dice<'a> {
    Seeded(u64),
    Given(&'a [u8]),
}

impl Dice<'_> {
    pub fn seeded(seed: u64) -> Self {
        Dice::Seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn number(&mut self) -> u64 {
        match self {
            // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
            Dice::Seeded(state) => {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                state.wrapping_mul(0x2545_F491_4F6C_DD1D)
            }
            Dice::Given(bytes) => {
                let (head, rest) = bytes.split_at(bytes.len().min(2));
                *bytes = rest;
                head.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
            }
        }
    }

    /// 0 up to, without, `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high bits of xorshift64* are the good ones.
        let number = self.number();
        let number = if matches!(self, Dice::Seeded(_)) { number >> 20 } else { number };
        number % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Rows of a stream in two lanes, with keys of their own; some are further slices.
pub fn rows(dice: &mut Dice<'_>, stream: Stream, number: usize) -> Vec<Row> {
    (0..number).map(|i| row(dice, stream, i as u64)).collect()
}

fn row(dice: &mut Dice<'_>, stream: Stream, i: u64) -> Row {
    let key = RowKey {
        // A gateway is of one college, but a store need not know.
        college: CollegeCode::parse(COLLEGES[(i % 5 / 4) as usize]).expect("a code"),
        gateway: GatewayName::parse("gw-1").expect("a name"),
        lane: 1,
        sequence: 1 + i / 3,
        slice: (i % 3) as u32,
    };
    match stream {
        Stream::Accesses => Row::Access(Box::new(AccessRow { key, record: access(dice) })),
        Stream::Connections => Row::Connection(Box::new(ConnectionRow { key, record: connection(dice) })),
    }
}

fn start(dice: &mut Dice<'_>) -> Timestamp {
    // Coarse, so that rows of one instant exist.
    let (hour, step) = (dice.below(HOURS), dice.below(4));
    Timestamp::from_micros(FIRST).plus(Duration::from_secs(3600 * hour + 900 * step))
}

fn person(dice: &mut Dice<'_>) -> Option<Pseudonym> {
    let person = dice.below(5) as u8;
    (person > 0).then_some(Pseudonym([person; 16]))
}

fn address(dice: &mut Dice<'_>) -> Option<IpAddr> {
    if dice.one_in(8) { None } else { dice.pick(CLIENTS).parse().ok() }
}

fn access(dice: &mut Dice<'_>) -> AccessRecord {
    let start = start(dice);
    AccessRecord {
        connection: dice.below(100),
        person: person(dice),
        identity_source: dice.pick(IdentitySource::ALL),
        identity_strength: dice.pick(IdentityStrength::ALL),
        client_address: address(dice),
        start,
        end: start.plus(Duration::from_micros(dice.below(1 << 40))),
        method: dice.pick(&["GET", "CONNECT", ""]).into(),
        host: dice.pick(HOSTS).into(),
        host_source: dice.pick(HostSource::ALL),
        port: dice.pick(&[0, 80, 443, u16::MAX]),
        protocol: dice.pick(Protocol::ALL),
        path: dice.pick(TEXTS).into(),
        category: dice.pick(CATEGORIES).into(),
        action: dice.pick(ActionTaken::ALL),
        rule: dice.pick(RULES).into(),
        list: dice.pick(TEXTS).into(),
        entry: dice.pick(TEXTS).into(),
        rules_version: "0123456789ab".into(),
        status: dice.pick(&[None, Some(200), Some(403)]),
        bytes_up: dice.below(1 << 40),
        bytes_down: dice.below(1 << 40),
        finding: dice.pick(TEXTS).into(),
        visit: dice.pick(Visit::ALL),
        ending: dice.pick(Ending::ALL),
        asked: if dice.one_in(3) { dice.pick(HOSTS).into() } else { "".into() },
        earlier_rule: dice.pick(TEXTS).into(),
        reference: dice.one_in(3).then(|| Reference::from_random(dice.below(4))),
        count: 1 + dice.below(3) as u32,
        flags: Flags(dice.below(128) as u32),
    }
}

fn connection(dice: &mut Dice<'_>) -> ConnectionRecord {
    let start = start(dice);
    ConnectionRecord {
        start,
        end: start.plus(Duration::from_micros(dice.below(1 << 40))),
        person: person(dice),
        identity_source: dice.pick(IdentitySource::ALL),
        identity_strength: dice.pick(IdentityStrength::ALL),
        device: dice.pick(TEXTS).into(),
        client_address: address(dice),
        client_port: dice.pick(&[None, Some(0), Some(u16::MAX)]),
        outward_address: address(dice),
        outward_port: dice.pick(&[None, Some(40_000)]),
        origin_address: address(dice),
        origin_port: dice.pick(&[None, Some(443)]),
        protocol: dice.pick(Protocol::ALL),
        bytes_up: dice.below(1 << 40),
        bytes_down: dice.below(1 << 40),
        action: dice.pick(ActionTaken::ALL),
        ending: dice.pick(Ending::ALL),
        count: 1 + dice.below(3) as u32,
        flags: Flags(dice.below(128) as u32),
    }
}

pub fn set_key(row: &mut Row, key: RowKey) {
    match row {
        Row::Access(row) => row.key = key,
        Row::Connection(row) => row.key = key,
    }
}

pub fn set_start(row: &mut Row, start: Timestamp) {
    match row {
        Row::Access(row) => row.record.start = start,
        Row::Connection(row) => row.record.start = start,
    }
}

/// A question with few filters, each of which some rows pass.
pub fn query(dice: &mut Dice<'_>, rows: &BTreeMap<Stream, Vec<Row>>) -> Query {
    let stream = dice.pick(Stream::ALL);
    let mut filter = Filter::all(stream);
    filter.from = dice.one_in(3).then(|| start(dice));
    filter.to = dice.one_in(3).then(|| start(dice));
    filter.college = dice.one_in(4).then(|| CollegeCode::parse(dice.pick(COLLEGES)).expect("a code"));
    filter.client = dice.one_in(3).then(|| dice.pick(NETS).parse().expect("a network"));
    filter.persons = dice.one_in(4).then(|| (0..dice.below(3)).map(|i| Pseudonym([i as u8 + 1; 16])).collect());
    if dice.one_in(4) {
        filter.actions = (0..2).map(|_| dice.pick(ActionTaken::ALL)).collect();
    }
    if stream == Stream::Accesses {
        filter.host = dice.one_in(3).then(|| host(dice));
        filter.category = dice.one_in(4).then(|| dice.pick(&CATEGORIES[1..]).into());
        filter.rule = dice.one_in(4).then(|| dice.pick(RULES).into());
        let a_row = dice.below(rows[&stream].len() as u64) as usize;
        filter.reference = if dice.one_in(5) { reference(&rows[&stream][a_row]) } else { None };
    } else {
        filter.device = dice.one_in(4).then(|| dice.pick(TEXTS).into());
    }
    Query {
        filter,
        order: dice.pick(&[Order::OldestFirst, Order::NewestFirst]),
        limit: dice.one_in(3).then(|| dice.below(20)),
    }
}

fn host(dice: &mut Dice<'_>) -> HostFilter {
    let text = dice.pick(&HOSTS[..HOSTS.len() - 1]);
    let name = HostName::parse(dice.pick(&["example.fr", "b.example.fr", "fr", "ex_mple.fr"])).expect("a name");
    if dice.one_in(2) { HostFilter::Within(name) } else { HostFilter::Exactly(Host::parse(text).expect("a host")) }
}

fn reference(row: &Row) -> Option<Reference> {
    match row {
        Row::Access(row) => row.record.reference,
        Row::Connection(_) => None,
    }
}
