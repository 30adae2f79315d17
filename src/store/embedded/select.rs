//! Questions as SQL. Texts of people are parameters, always; what is put together here are names of columns.

use ipnet::IpNet;
use rusqlite::types::Value;

use super::columns::{address_bytes, from, names};
use crate::access::{Host, HostName, Stream};
use crate::store::{Dimension, Filter, HostFilter, Order, Query, Question};

/// A statement and what stands for its question marks.
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
}

type Conditions = crate::store::conditions::Conditions<Value>;

/// Everything a filter asks but the host.
fn conditions(filter: &Filter) -> Conditions {
    let mut all = Conditions::default();
    if let Some(from) = filter.from {
        all.add("start >= ?", [Value::Integer(from.as_micros())]);
    }
    if let Some(to) = filter.to {
        all.add("start < ?", [Value::Integer(to.as_micros())]);
    }
    all.words(filter, Value::Text);
    if let Some(net) = filter.client {
        // A comparison of BLOBs is one of bytes; without the length an IPv6 address could lie between two of IPv4.
        let (first, last) = bounds(net);
        let length = Value::Integer(first.len() as i64);
        all.add(
            "length(client_address) = ? AND client_address BETWEEN ? AND ?",
            [length, Value::Blob(first), Value::Blob(last)],
        );
    }
    if let Some(persons) = &filter.persons {
        all.any_of("person", "?", persons.iter().map(|p| Value::Blob(p.0.to_vec())));
    }
    if !filter.actions.is_empty() {
        all.any_of("action", "?", filter.actions.iter().map(|a| Value::Text(a.as_str().into())));
    }
    all
}

fn bounds(net: IpNet) -> (Vec<u8>, Vec<u8>) {
    (address_bytes(net.network()), address_bytes(net.broadcast()))
}

/// `host` or `asked`: this host.
fn exactly(host: &Host) -> (String, [Value; 2]) {
    let text = Value::Text(host.to_text().into_owned());
    ("(host = ? OR (asked = ? AND asked <> ''))".into(), [text.clone(), text])
}

/// `host` or `asked`: this name or one that ends in a dot and it.
fn within(name: &HostName) -> (String, Vec<Value>) {
    let exact = Value::Text(name.as_str().into());
    let suffix = Value::Text(format!(".{name}"));
    let length = Value::Integer(-(name.as_str().len() as i64 + 1));
    let one = |column| format!("{column} = ? OR substr({column}, ?) = ?");
    let values = [exact, length, suffix];
    (format!("({} OR {})", one("host"), one("asked")), [values.clone(), values].concat())
}

/// The rows of one day, in order.
pub(super) fn rows(query: &Query, limit: Option<u64>) -> Statement {
    let stream = query.filter.stream;
    let arms = arms(&query.filter);
    let selects: Vec<String> = arms
        .iter()
        .map(|arm| format!("SELECT {} FROM {} WHERE {}", names(stream), from(stream), arm.clause()))
        .collect();
    let direction = match query.order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    let order = ["start", "college", "gateway", "lane", "sequence", "slice"].map(|c| format!("{c} {direction}"));
    let mut values: Vec<Value> = arms.into_iter().flat_map(|arm| arm.values).collect();
    // A negative LIMIT is none.
    values.push(Value::Integer(limit.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX))));
    Statement { sql: format!("{} ORDER BY {} LIMIT ?", selects.join(" UNION ALL "), order.join(", ")), values }
}

/// One SELECT, or two for an exact host: each then reads its own index in order, and SQLite merges them.
fn arms(filter: &Filter) -> Vec<Conditions> {
    match &filter.host {
        None => vec![conditions(filter)],
        Some(HostFilter::Within(name)) => {
            let mut arm = conditions(filter);
            let (term, values) = within(name);
            arm.add(term, values);
            vec![arm]
        }
        Some(HostFilter::Exactly(host)) => {
            let text = Value::Text(host.to_text().into_owned());
            let mut by_host = conditions(filter);
            by_host.add("host = ?", [text.clone()]);
            let mut by_asked = conditions(filter);
            by_asked.add("asked = ? AND asked <> '' AND host <> ?", [text.clone(), text]);
            vec![by_host, by_asked]
        }
    }
}

/// The counts of one day: key, number, bytes up, bytes down. The key of days and hours is the hour's first microsecond.
pub(super) fn counts(question: &Question) -> Statement {
    let filter = &question.filter;
    let mut all = conditions(filter);
    match &filter.host {
        None => {}
        Some(HostFilter::Exactly(host)) => {
            let (term, values) = exactly(host);
            all.add(term, values);
        }
        Some(HostFilter::Within(name)) => {
            let (term, values) = within(name);
            all.add(term, values);
        }
    }
    // `total` is a floating sum: it never overflows, and is exact up to 2^53.
    let sql = format!(
        "SELECT {}, CAST(total(CASE slice WHEN 0 THEN count ELSE 0 END) AS INTEGER),
                CAST(total(bytes_up) AS INTEGER), CAST(total(bytes_down) AS INTEGER)
         FROM {} WHERE {} GROUP BY 1",
        key_of(question.by),
        from(filter.stream),
        all.clause()
    );
    Statement { sql, values: all.values }
}

fn key_of(by: Dimension) -> &'static str {
    match by {
        // Floor, also before 1970 where `%` is negative.
        Dimension::Day | Dimension::Hour => "start - ((start % 3600000000) + 3600000000) % 3600000000",
        Dimension::Decision => "action",
        Dimension::Category => "category",
        Dimension::Host => "host",
        Dimension::Rule => "rule",
        Dimension::College => "college",
        Dimension::Protocol => "protocol",
        Dimension::Ending => "ending",
    }
}

/// Counts the rows of a stream, for the certificate of a purge.
pub(super) fn count_all(stream: Stream) -> String {
    format!("SELECT count(*) FROM \"{stream}\"")
}
