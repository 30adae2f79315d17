//! The tables of the server, as text: for one server, or for a cluster.
//!
//! | table | holds |
//! |---|---|
//! | `accesses`, `connections` | the rows, a part a UTC day, in the order college, person, start |
//! | `gaps` | what is missing |
//! | `hourly` | counts of accesses by college, hour, category and action, kept up by the view `hourly_of_accesses` |
//! | `proofs` | signed roots, a line a tree, and what opens its leaves |
//! | `schema_migrations` | which migrations were applied, and when |
//!
//! The order (college, person, start) was measured on 60 million rows: 23.9 bytes a row where the order of time takes 27.2,
//! and a person's month in 252 ms instead of 1,907. Retention drops whole day parts (`ttl_only_drop_parts`).
//!
//! In a cluster the rows lie in `accesses_local` and so on, replicated, and `accesses` is the Distributed table before them,
//! sharded by college: a college's rows, and the blocks that may come again, meet on one shard.

use crate::access::{Gap, GapRow, GatewayName, Stream, Timestamp};

use super::columns::{Column, Definition, Line};
use super::proofs::Tree;

pub(super) const GAPS: &str = "gaps";
pub(super) const HOURLY: &str = "hourly";
pub(super) const PROOFS: &str = "proofs";

/// What the tables are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub database: String,
    /// The cluster's name in the server's `remote_servers`; `None`: one server.
    pub cluster: Option<String>,
    pub accesses_days: u32,
    pub connections_days: u32,
}

/// Tokens that a table remembers (some 150 bytes each, in memory). 133 colleges that ship every 30 s send 0.38 million
/// inserts a day: two and a half days of all of them. A batch whose acknowledgement was lost and that comes again later than
/// that is looked for before it is sent.
const WINDOW: u32 = 1_000_000;

impl Plan {
    fn days(&self, stream: Stream) -> u32 {
        match stream {
            Stream::Accesses => self.accesses_days,
            Stream::Connections => self.connections_days,
        }
    }

    pub(super) fn on_cluster(&self) -> String {
        self.cluster.as_ref().map(|name| format!(" ON CLUSTER `{name}`")).unwrap_or_default()
    }

    /// Where the rows of a table lie.
    pub(super) fn local(&self, table: &str) -> String {
        let suffix = if self.cluster.is_some() { "_local" } else { "" };
        format!("`{}`.`{table}{suffix}`", self.database)
    }

    /// What is written to and read from.
    pub(super) fn table(&self, table: &str) -> String {
        format!("`{}`.`{table}`", self.database)
    }

    fn engine(&self, kind: &str, table: &str) -> String {
        match self.cluster {
            None => format!("{kind}MergeTree"),
            Some(_) => format!(
                "Replicated{kind}MergeTree('/clickhouse/tables/{{shard}}/{}/{table}', '{{replica}}')",
                self.database
            ),
        }
    }

    fn settings(&self) -> String {
        // `fsync`: acknowledged is on the disk. The defaults leave it to the kernel.
        let window = match self.cluster {
            None => format!("non_replicated_deduplication_window = {WINDOW}"),
            Some(_) => {
                format!("replicated_deduplication_window = {WINDOW}, replicated_deduplication_window_seconds = 1209600")
            }
        };
        format!("ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1, {window}")
    }

    fn create(&self, table: &str, body: &str) -> Vec<String> {
        let mut all = vec![format!("CREATE TABLE IF NOT EXISTS {}{} {body}", self.local(table), self.on_cluster())];
        if let Some(cluster) = &self.cluster {
            all.push(format!(
                "CREATE TABLE IF NOT EXISTS {}{} AS {} ENGINE = Distributed(`{cluster}`, `{}`, `{table}_local`, cityHash64(college))",
                self.table(table),
                self.on_cluster(),
                self.local(table),
                self.database
            ));
        }
        all
    }

    /// A table without a duration.
    pub(super) fn for_ever(&self, table: &str, columns: &[Definition], order: &str) -> Vec<String> {
        let columns: Vec<String> = columns.iter().map(column).collect();
        let body = format!(
            "({}) ENGINE = {} ORDER BY {order} SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
            columns.join(", "),
            self.engine("", table)
        );
        self.create(table, &body)
    }

    pub(super) fn tables(&self) -> Vec<String> {
        let mut all = Vec::new();
        for stream in Stream::ALL {
            let mut parts: Vec<String> = super::columns::columns(*stream).iter().map(column).collect();
            parts.extend(
                indexes(*stream).map(|(name, of)| format!("INDEX {name} {of} TYPE bloom_filter(0.01) GRANULARITY 4")),
            );
            parts.extend(constraints());
            let body = format!(
                "({}) ENGINE = {} PARTITION BY toDate(start) ORDER BY (college, person, start) TTL {} SETTINGS {}",
                parts.join(", "),
                self.engine("", stream.as_str()),
                self.ttl(*stream),
                self.settings()
            );
            all.extend(self.create(stream.as_str(), &body));
        }
        let mut parts: Vec<String> = GapRow::COLUMNS.iter().map(column).collect();
        parts.extend(constraints());
        let body = format!(
            "({}) ENGINE = {} PARTITION BY toYYYYMM(until) ORDER BY (stream, college, since) TTL {} SETTINGS {}",
            parts.join(", "),
            self.engine("", GAPS),
            self.ttl_of_gaps(),
            self.settings()
        );
        all.extend(self.create(GAPS, &body));
        all
    }

    pub(super) fn rollups(&self) -> Vec<String> {
        let sum = "SimpleAggregateFunction(sum, UInt64)";
        let body = format!(
            "(college LowCardinality(String), hour DateTime('UTC') CODEC(Delta, ZSTD), category LowCardinality(String),
              action LowCardinality(String), number {sum}, bytes_up {sum}, bytes_down {sum})
             ENGINE = {} PARTITION BY toDate(hour) ORDER BY (college, hour, category, action) TTL {} SETTINGS {}",
            self.engine("Aggregating", HOURLY),
            self.ttl_of_hours(),
            self.settings()
        );
        let mut all = self.create(HOURLY, &body);
        all.push(format!(
            "CREATE MATERIALIZED VIEW IF NOT EXISTS {}{} TO {} AS {}",
            self.table("hourly_of_accesses"),
            self.on_cluster(),
            self.local(HOURLY),
            counted(&self.local("accesses"))
        ));
        all
    }

    pub(super) fn proofs(&self) -> Vec<String> {
        let mut parts: Vec<String> = Tree::COLUMNS.iter().map(column).collect();
        parts.extend(constraints());
        let body = format!(
            "({}) ENGINE = {} PARTITION BY toYYYYMM(sealed) ORDER BY (stream, college, gateway, number) TTL {} SETTINGS {}",
            parts.join(", "),
            self.engine("", PROOFS),
            self.ttl_of_proofs(),
            self.settings()
        );
        self.create(PROOFS, &body)
    }

    /// A day longer than the policy: `ecluse store purge` deletes on the day and certifies it, and this is its net.
    pub(super) fn ttl(&self, stream: Stream) -> String {
        format!("toDateTime(toDate(start), 'UTC') + toIntervalDay({})", self.days(stream) + 1)
    }

    pub(super) fn ttl_of_hours(&self) -> String {
        format!("toDateTime(toDate(hour), 'UTC') + toIntervalDay({})", self.accesses_days + 1)
    }

    pub(super) fn ttl_of_gaps(&self) -> String {
        self.ttl_by_stream("until")
    }

    pub(super) fn ttl_of_proofs(&self) -> String {
        self.ttl_by_stream("sealed")
    }

    fn ttl_by_stream(&self, column: &str) -> String {
        format!(
            "toDateTime(toDate({column}), 'UTC') + toIntervalDay(if(stream = 'accesses', {}, {}))",
            self.accesses_days + 1,
            self.connections_days + 1
        )
    }
}

/// The rows of `accesses`, counted as `hourly` has them.
pub(super) fn counted(accesses: &str) -> String {
    format!(
        "SELECT college, toDateTime(toStartOfHour(start), 'UTC') AS hour, category, action,
            sum(if(slice = 0, toUInt64(`count`), 0)) AS number, sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down
         FROM {accesses} GROUP BY college, hour, category, action"
    )
}

fn column(column: &Definition) -> String {
    let codec = codec(column.name).map(|codec| format!(" CODEC({codec})")).unwrap_or_default();
    format!("`{}` {}{codec}", column.name, column.kind())
}

/// Measured on realistic rows: what is not here is best with the server's own LZ4 or small anyway.
fn codec(name: &str) -> Option<&'static str> {
    match name {
        "start" | "end" | "since" | "until" | "first_time" | "last_time" | "sealed" | "number" | "lane"
        | "sequence" | "connection" => Some("Delta, ZSTD(1)"),
        "bytes_up" | "bytes_down" => Some("T64, ZSTD(1)"),
        "person" | "path" | "entry" | "host" | "reference" | "client_address" | "client_port" | "outward_port"
        | "origin_address" | "cause" | "line" => Some("ZSTD(1)"),
        _ => None,
    }
}

fn indexes(stream: Stream) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_accesses: &[_] = &[
        ("host_bloom", "host"),
        ("asked_bloom", "asked"),
        ("reference_bloom", "reference"),
        ("person_bloom", "person"),
    ];
    let of_connections: &[_] = &[("person_bloom", "person"), ("origin_bloom", "origin_address")];
    match stream {
        Stream::Accesses => of_accesses.iter().copied(),
        Stream::Connections => of_connections.iter().copied(),
    }
}

/// The account of a gateway.
pub(super) fn account_of(gateway: &GatewayName) -> String {
    format!("gw_{gateway}")
}

/// The account `gw_<name>` writes rows of gateway `<name>` only, and of the one college that its (constant) setting
/// `SQL_college` names. An account of a gateway without that setting writes nothing.
fn constraints() -> [String; 2] {
    [
        "CONSTRAINT own_gateway CHECK NOT startsWith(currentUser(), 'gw_') OR gateway = substring(currentUser(), 4)".to_owned(),
        "CONSTRAINT own_college CHECK if(startsWith(currentUser(), 'gw_') OR getSettingOrDefault('SQL_college', '') != '', college = getSettingOrDefault('SQL_college', ''), 1)".to_owned(),
    ]
}

/// Whether the server can keep the day for its time. Its `DateTime` ends in February 2106: where start and duration together
/// go beyond, they begin anew in 1970, and the row would go as soon as it came. Before 1970 it has no day part of its own.
pub(super) fn has_a_day(start: Timestamp) -> bool {
    /// 2100-01-01.
    const FIRST_WITHOUT: i32 = 47_482;
    (1..FIRST_WITHOUT).contains(&start.day())
}

impl Line for GapRow {
    const COLUMNS: &'static [Definition] = &[
        Definition::new("stream", <Stream as Column>::TYPE),
        Definition::new("college", <String as Column>::TYPE),
        Definition::new("gateway", <String as Column>::TYPE),
        Definition::new("lane", <u64 as Column>::TYPE),
        Definition::new("since", <Timestamp as Column>::TYPE),
        Definition::new("until", <Timestamp as Column>::TYPE),
        Definition::new("count", <u64 as Column>::TYPE),
        Definition::new("segment", <u32 as Column>::TYPE),
        Definition::new("cause", <String as Column>::TYPE),
    ];

    fn put(&self, out: &mut Vec<u8>) {
        let GapRow { college, gateway, lane, stream, gap } = self;
        let Gap { since, until, count, segment, cause } = gap;
        stream.put(out);
        college.put(out);
        gateway.put(out);
        lane.put(out);
        since.put(out);
        until.put(out);
        count.put(out);
        segment.put(out);
        cause.put(out);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let stream = Column::take(input)?;
        let (college, gateway, lane) = (Column::take(input)?, Column::take(input)?, Column::take(input)?);
        let (since, until) = (Column::take(input)?, Column::take(input)?);
        let gap = Gap {
            since,
            until,
            count: Column::take(input)?,
            segment: Column::take(input)?,
            cause: Column::take(input)?,
        };
        Some(GapRow { college, gateway, lane, stream, gap })
    }
}
