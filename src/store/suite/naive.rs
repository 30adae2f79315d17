//! The oracle: the same questions answered by a loop over all rows, too simple to be wrong in the same way.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::tz::TimeZone;

use crate::access::{ActionTaken, Host, Pseudonym, Row, Timestamp};
use crate::store::{Dimension, Filter, HostFilter, Query, Question, Tally};

pub fn paris() -> TimeZone {
    TimeZone::get("Europe/Paris").expect("the time zones are built in")
}

pub fn search(query: &Query, rows: &[Row]) -> Vec<Row> {
    let mut found: Vec<Row> = rows.iter().filter(|row| matches(&query.filter, row)).cloned().collect();
    found.sort_by(|a, b| query.order.compare(a, b));
    found.truncate(query.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)));
    found
}

/// What both streams have.
struct BothStreams {
    person: Option<Pseudonym>,
    client: Option<IpAddr>,
    action: ActionTaken,
    count: u32,
    bytes: (u64, u64),
}

fn common(row: &Row) -> BothStreams {
    match row {
        Row::Access(row) => BothStreams {
            person: row.record.person,
            client: row.record.client_address,
            action: row.record.action,
            count: row.record.count,
            bytes: (row.record.bytes_up, row.record.bytes_down),
        },
        Row::Connection(row) => BothStreams {
            person: row.record.person,
            client: row.record.client_address,
            action: row.record.action,
            count: row.record.count,
            bytes: (row.record.bytes_up, row.record.bytes_down),
        },
    }
}

pub fn matches(filter: &Filter, row: &Row) -> bool {
    let common = common(row);
    row.stream() == filter.stream
        && filter.from.is_none_or(|from| row.start() >= from)
        && filter.to.is_none_or(|to| row.start() < to)
        && filter.college.as_ref().is_none_or(|college| row.key().college == *college)
        && filter.client.is_none_or(|net| common.client.is_some_and(|client| net.contains(&client)))
        && filter.persons.as_ref().is_none_or(|any| common.person.is_some_and(|person| any.contains(&person)))
        && (filter.actions.is_empty() || filter.actions.contains(&common.action))
        && words_match(filter, row)
}

fn words_match(filter: &Filter, row: &Row) -> bool {
    let row = match row {
        Row::Access(row) => row,
        Row::Connection(row) => return filter.device.as_ref().is_none_or(|device| row.record.device == *device),
    };
    let record = &row.record;
    filter.category.as_ref().is_none_or(|category| *record.category == *category.as_str())
        && filter.rule.as_ref().is_none_or(|rule| *record.rule == *rule.as_str())
        && filter.reference.is_none_or(|reference| record.reference == Some(reference))
        && filter.host.as_ref().is_none_or(|host| host_matches(host, &record.host) || host_matches(host, &record.asked))
}

fn host_matches(filter: &HostFilter, text: &str) -> bool {
    match (filter, Host::parse(text)) {
        (HostFilter::Exactly(host), Ok(found)) => found == *host,
        (HostFilter::Within(parent), Ok(Host::Name(name))) => name.is_within(parent),
        _ => false,
    }
}

pub fn stats(question: &Question, rows: &[Row]) -> Vec<Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for row in rows.iter().filter(|row| matches(&question.filter, row)) {
        let common = common(row);
        let key = key(question, row);
        let tally = tallies.entry(key.clone()).or_insert(Tally { key, number: 0, bytes_up: 0, bytes_down: 0 });
        tally.number += if row.key().slice == 0 { u64::from(common.count) } else { 0 };
        tally.bytes_up += common.bytes.0;
        tally.bytes_down += common.bytes.1;
    }
    let mut tallies: Vec<Tally> = tallies.into_values().collect();
    if !matches!(question.by, Dimension::Day | Dimension::Hour) {
        // Stable: what is equal stays in order of key.
        tallies.sort_by_key(|t| std::cmp::Reverse((t.number, t.bytes_up + t.bytes_down)));
        tallies.truncate(question.top as usize);
    }
    tallies
}

fn key(question: &Question, row: &Row) -> String {
    let hour: Timestamp = row.start().hour();
    match (question.by, row) {
        (Dimension::Day, _) => question.zone.to_datetime(hour.to_jiff()).date().to_string(),
        (Dimension::Hour, _) => hour.to_string(),
        (Dimension::College, row) => row.key().college.to_string(),
        (Dimension::Decision, row) => common(row).action.to_string(),
        (Dimension::Protocol, Row::Access(row)) => row.record.protocol.to_string(),
        (Dimension::Protocol, Row::Connection(row)) => row.record.protocol.to_string(),
        (Dimension::Ending, Row::Access(row)) => row.record.ending.to_string(),
        (Dimension::Ending, Row::Connection(row)) => row.record.ending.to_string(),
        (Dimension::Category, Row::Access(row)) => row.record.category.to_string(),
        (Dimension::Host, Row::Access(row)) => row.record.host.to_string(),
        (Dimension::Rule, Row::Access(row)) => row.record.rule.to_string(),
        (Dimension::Category | Dimension::Host | Dimension::Rule, Row::Connection(_)) => String::new(),
    }
}
