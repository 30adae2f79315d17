//! Questions as SQL. Texts of people are bound by the client, which quotes them; what is put together here are names.
//!
//! Every answer ends with a line that only a whole answer has (`last` = 1): it sorts behind all others, so what was cut off
//! before it, whoever cut, is known to be cut.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::columns::{Definition, as_v6, columns, names};
use super::schema::{GAPS, HOURLY};
use crate::access::{Host, HostName, Stream, Timestamp};
use crate::store::{Dimension, Filter, GAPS_MAX, HostFilter, Order, Query, Question};

/// A statement and what stands for its question marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

type Conditions = crate::store::conditions::Conditions<Value>;

fn instant(at: Timestamp) -> [Value; 1] {
    [Value::Number(at.as_micros())]
}

const INSTANT: &str = "fromUnixTimestamp64Micro(toInt64(?), 'UTC')";

/// A filter as a condition, and what stands for its question marks.
pub(super) fn condition(filter: &Filter) -> (String, Vec<Value>) {
    let all = conditions(filter);
    (all.clause(), all.values)
}

/// A filter as a condition that holds its values itself, for statements that are not asked but sent. Values are quoted as the
/// server's manual says: a backslash before each backslash and quote.
pub(super) fn literal(filter: &Filter) -> String {
    let (clause, values) = condition(filter);
    let mut values = values.iter();
    let mut sql = String::with_capacity(clause.len() * 2);
    for (place, piece) in clause.split('?').enumerate() {
        if place > 0 {
            match values.next() {
                Some(Value::Text(text)) => {
                    sql.push('\'');
                    sql.push_str(&text.replace('\\', "\\\\").replace('\'', "\\'"));
                    sql.push('\'');
                }
                Some(Value::Number(number)) => sql.push_str(&number.to_string()),
                None => sql.push('?'),
            }
        }
        sql.push_str(piece);
    }
    sql
}

fn conditions(filter: &Filter) -> Conditions {
    let mut all = Conditions::default();
    if let Some(from) = filter.from {
        all.add(format!("start >= {INSTANT}"), instant(from));
    }
    if let Some(to) = filter.to {
        all.add(format!("start < {INSTANT}"), instant(to));
    }
    all.words(filter, Value::Text);
    if let Some(net) = filter.client {
        client(net, &mut all);
    }
    if let Some(persons) = &filter.persons {
        let values = persons.iter().map(|person| Value::Text(person.to_string()));
        all.any_of("person", "toFixedString(unhex(?), 16)", values);
    }
    if !filter.actions.is_empty() {
        all.any_of("action", "?", filter.actions.iter().map(|action| action.as_str().into()));
    }
    match &filter.host {
        None => {}
        Some(HostFilter::Exactly(host)) => exactly(host, &mut all),
        Some(HostFilter::Within(name)) => within(name, &mut all),
    }
    all
}

/// A network is a range of IPv6; one of IPv6 does not hold the addresses of IPv4 that lie inside of it.
fn client(net: IpNet, all: &mut Conditions) {
    let mut between = |not: &str, first: IpAddr, last: IpAddr| {
        let values = [first, last].map(|address| Value::Text(as_v6(address).to_string()));
        all.add(format!("{not}(client_address BETWEEN toIPv6(?) AND toIPv6(?))"), values);
    };
    between("", net.network(), net.broadcast());
    if matches!(net, IpNet::V6(_)) {
        between("NOT ", Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    }
}

fn exactly(host: &Host, all: &mut Conditions) {
    let text = Value::Text(host.to_text().into_owned());
    all.add("(host = ? OR (asked = ? AND asked != ''))", [text.clone(), text]);
}

fn within(name: &HostName, all: &mut Conditions) {
    let one = |column| format!("{column} = ? OR endsWith({column}, ?)");
    let values = [Value::Text(name.as_str().into()), Value::Text(format!(".{name}"))];
    all.add(format!("({} OR {})", one("host"), one("asked")), [values.clone(), values].concat());
}

/// What a line at the end of an answer has in the columns of the others.
fn nothing(columns: &[Definition]) -> String {
    let each: Vec<String> = columns
        .iter()
        .map(|column| format!("defaultValueOfTypeName('{}') AS `{}`", column.kind().replace('\'', "\\'"), column.name))
        .collect();
    each.join(", ")
}

/// Marks the last line: 1 there, 0 elsewhere.
pub(super) const LAST: Definition = Definition::new("last", "UInt8");

/// `select`, in order, and the line that ends it.
pub(super) fn until_the_last(select: &str, columns: &[Definition], order: &str, values: Vec<Value>) -> Statement {
    let names = names(columns);
    let sql = format!(
        "SELECT toUInt8(last) AS last, {names} FROM (SELECT 0 AS last, {names} FROM ({select}) UNION ALL \
         SELECT 1 AS last, {}) ORDER BY last, {order}",
        nothing(columns)
    );
    Statement { sql, values }
}

/// The rows of a query, in its order.
pub(super) fn rows(query: &Query, database: &str) -> Statement {
    let stream = query.filter.stream;
    let all = conditions(&query.filter);
    let direction = match query.order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    let order =
        ["start", "college", "gateway", "lane", "sequence", "slice"].map(|c| format!("{c} {direction}")).join(", ");
    let columns = columns(stream);
    // Inside: the last line comes whatever the limit.
    let inner = query.limit.map(|limit| format!(" ORDER BY {order} LIMIT {limit}")).unwrap_or_default();
    let select = format!("SELECT {} FROM `{database}`.`{stream}` WHERE {}{inner}", names(columns), all.clause());
    until_the_last(&select, columns, &order, all.values)
}

/// The gaps that touch the time of a filter.
pub(super) fn gaps(filter: &Filter, database: &str) -> Statement {
    use super::columns::Line;
    let columns = crate::access::GapRow::COLUMNS;
    let mut all = Conditions::default();
    all.add("stream = ?", [filter.stream.as_str().into()]);
    if let Some(from) = filter.from {
        all.add(format!("until >= {INSTANT}"), instant(from));
    }
    if let Some(to) = filter.to {
        all.add(format!("since < {INSTANT}"), instant(to));
    }
    if let Some(college) = &filter.college {
        all.add("college = ?", [college.as_str().into()]);
    }
    let order = "since, until, college, gateway, lane, segment, `count`, cause";
    let names = names(columns);
    let select = format!(
        "SELECT DISTINCT {names} FROM `{database}`.`{GAPS}` WHERE {} ORDER BY {order} LIMIT {GAPS_MAX}",
        all.clause()
    );
    until_the_last(&select, columns, order, all.values)
}

/// The columns of [`counts`].
pub(super) const COUNTS: &[Definition] = &[
    Definition::new("hour", "Int64"),
    Definition::new("text", "String"),
    Definition::new("number", "UInt64"),
    Definition::new("up", "UInt64"),
    Definition::new("down", "UInt64"),
];

/// Counts: the hour's first microsecond or a text, number, bytes up, bytes down.
pub(super) fn counts(question: &Question, database: &str) -> Statement {
    let from_rollup = is_in_the_rollup(question);
    let start = "toUnixTimestamp64Micro(start)";
    let (hour, text) = match question.by {
        Dimension::Day | Dimension::Hour if from_rollup => {
            ("toInt64(toUnixTimestamp(hour)) * 1000000".to_owned(), "''")
        }
        Dimension::Day | Dimension::Hour => (format!("{start} - positiveModulo({start}, 3600000000)"), "''"),
        by => ("toInt64(0)".to_owned(), column_of(by)),
    };
    let (order, limit) = match question.by {
        Dimension::Day | Dimension::Hour => ("hour".to_owned(), None),
        _ => ("number DESC, up + down DESC, text".to_owned(), Some(u64::from(question.top))),
    };
    let (table, number, all) = if from_rollup {
        (HOURLY, "sum(number)", rolled_up(&question.filter))
    } else {
        (question.filter.stream.as_str(), "sum(if(slice = 0, toUInt64(`count`), 0))", conditions(&question.filter))
    };
    let most = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    let select = format!(
        "SELECT h AS hour, t AS text, n AS number, u AS up, d AS down FROM (\
         SELECT {hour} AS h, toString({text}) AS t, {number} AS n, sum(bytes_up) AS u, sum(bytes_down) AS d \
         FROM `{database}`.`{table}` WHERE {} GROUP BY h, t) ORDER BY {order}{most}",
        all.clause()
    );
    until_the_last(&select, COUNTS, &order, all.values)
}

fn column_of(by: Dimension) -> &'static str {
    match by {
        Dimension::Day | Dimension::Hour => "''",
        Dimension::Decision => "action",
        Dimension::Category => "category",
        Dimension::Host => "host",
        Dimension::Rule => "rule",
        Dimension::College => "college",
        Dimension::Protocol => "protocol",
        Dimension::Ending => "ending",
    }
}

/// Whether `hourly` knows enough: its columns, and hours that are whole.
fn is_in_the_rollup(question: &Question) -> bool {
    let Filter { stream, from, to, client, persons, host, rule, reference, device, .. } = &question.filter;
    let is_whole = |at: &Option<Timestamp>| at.is_none_or(|at| at.hour() == at);
    let has_column =
        !matches!(question.by, Dimension::Host | Dimension::Rule | Dimension::Protocol | Dimension::Ending);
    let asks_nothing_else = client.is_none()
        && persons.is_none()
        && host.is_none()
        && rule.is_none()
        && reference.is_none()
        && device.is_none();
    *stream == Stream::Accesses && has_column && asks_nothing_else && is_whole(from) && is_whole(to)
}

/// The conditions of a filter on `hourly`, whose time is `hour`.
fn rolled_up(filter: &Filter) -> Conditions {
    let mut all = conditions(filter);
    for term in &mut all.terms {
        if let Some(rest) = term.strip_prefix("start ") {
            *term = format!("hour {rest}");
        }
    }
    all
}
