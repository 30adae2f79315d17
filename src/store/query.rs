//! What can be asked of a store, in values already checked: texts of people become a [`Query`] in `audit`.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use crate::access::{
    ActionTaken, CategoryName, CollegeCode, Host, HostName, Pseudonym, Reference, RuleName, Stream, Timestamp,
};
use crate::access::{Row, RowKey};

/// Which rows, in which order, how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub filter: Filter,
    pub order: Order,
    /// `None`: all of them.
    pub limit: Option<u64>,
}

/// Rows in order of start; rows of one instant in order of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// How two rows stand to each other in an answer: the same in every store.
    pub fn compare(self, a: &Row, b: &Row) -> std::cmp::Ordering {
        fn place(row: &Row) -> (Timestamp, &RowKey) {
            (row.start(), row.key())
        }
        match self {
            Order::OldestFirst => place(a).cmp(&place(b)),
            Order::NewestFirst => place(b).cmp(&place(a)),
        }
    }
}

/// What a row must be to be in the answer. Everything given must hold; an empty list asks nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub stream: Stream,
    /// The first instant of start that is in.
    pub from: Option<Timestamp>,
    /// The first instant of start that is out again.
    pub to: Option<Timestamp>,
    pub college: Option<CollegeCode>,
    pub client: Option<IpNet>,
    /// Any of them: one person has another pseudonym every day.
    pub persons: Option<Vec<Pseudonym>>,
    /// Any of them.
    pub actions: Vec<ActionTaken>,
    /// The next four are words of accesses: a connection has none of them, so asking is an error.
    pub host: Option<HostFilter>,
    pub category: Option<CategoryName>,
    pub rule: Option<RuleName>,
    pub reference: Option<Reference>,
    /// A word of connections: an access leads to its connection, and that to its device.
    pub device: Option<Arc<str>>,
}

impl Filter {
    /// Every row of a stream.
    pub fn all(stream: Stream) -> Self {
        Filter {
            stream,
            from: None,
            to: None,
            college: None,
            client: None,
            persons: None,
            actions: Vec::new(),
            host: None,
            category: None,
            rule: None,
            reference: None,
            device: None,
        }
    }

    /// The first thing asked that this stream has no column for.
    pub fn misplaced(&self) -> Option<&'static str> {
        if self.stream == Stream::Accesses {
            return self.device.as_ref().map(|_| "device");
        }
        let asked = [
            ("host", self.host.is_some()),
            ("category", self.category.is_some()),
            ("rule", self.rule.is_some()),
            ("reference", self.reference.is_some()),
        ];
        asked.into_iter().find(|(_, given)| *given).map(|(column, _)| column)
    }
}

/// Which host. A name is looked for in `host` and in `asked`: an access that asked for one name and named
/// another in its ClientHello is found under both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostFilter {
    Exactly(Host),
    /// A name and all its subdomains.
    Within(HostName),
}

/// Counts of the rows that a filter lets through.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub filter: Filter,
    pub by: Dimension,
    /// Days are days of this zone. Its offsets are taken at the start of each UTC hour.
    pub zone: TimeZone,
    /// The highest this many; days and hours are always all given, in order of time.
    pub top: u32,
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    Day,
    Hour,
    Decision,
    Category,
    Host,
    Rule,
    College,
    Protocol,
    Ending,
}

impl Dimension {
    pub const ALL: &'static [Dimension] = &[
        Dimension::Day,
        Dimension::Hour,
        Dimension::Decision,
        Dimension::Category,
        Dimension::Host,
        Dimension::Rule,
        Dimension::College,
        Dimension::Protocol,
        Dimension::Ending,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Dimension::Day => "day",
            Dimension::Hour => "hour",
            Dimension::Decision => "decision",
            Dimension::Category => "category",
            Dimension::Host => "host",
            Dimension::Rule => "rule",
            Dimension::College => "college",
            Dimension::Protocol => "protocol",
            Dimension::Ending => "ending",
        }
    }

    /// Whether the stream has such a column.
    pub fn is_of(self, stream: Stream) -> bool {
        stream == Stream::Accesses || !matches!(self, Dimension::Category | Dimension::Host | Dimension::Rule)
    }
}

/// One line of counts. A slice of a long flow counts its bytes, and the flow once, by its first slice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// The day (`2026-11-23`), the hour's first instant (RFC 3339, UTC), or the column's text; empty where there is none.
    pub key: String,
    /// Accesses or connections: the `count` of every row whose slice is 0.
    pub number: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
}
