//! What an operator does with the tables: compare, delete by days, copy for a case.

use std::collections::BTreeMap;
use std::time::Duration;

use super::columns::{Column, Definition, Line, names};
use super::migrate::MigrationError;
use super::read::all;
use super::schema::{HOURLY, Plan};
use super::select::{Value, condition, literal, until_the_last};
use super::{ClickHouse, columns};
use crate::access::{CollegeCode, GatewayName, Row, Stream, Timestamp};
use crate::store::{Batch, Filter, ReadError, StoreError};

/// What is asked for at once: a lane's rows of one day of one college.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    stream: Stream,
    college: CollegeCode,
    gateway: GatewayName,
    lane: u64,
    /// Days since 1970.
    day: i32,
}

impl Part {
    fn of(row: &Row) -> Part {
        let key = row.key();
        let (college, gateway) = (key.college.clone(), key.gateway.clone());
        Part { stream: row.stream(), college, gateway, lane: key.lane, day: row.start().day() }
    }
}

/// Rows held against what the server has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Those that it has not.
    pub missing: Vec<Row>,
    /// How many it has more than once.
    pub doubled: u64,
}

macro_rules! line {
    ($name:ident { $($field:ident: $kind:ty),+ }) => {
        struct $name { $($field: $kind),+ }

        impl Line for $name {
            const COLUMNS: &'static [Definition] =
                &[$(Definition::new(stringify!($field), <$kind as Column>::TYPE)),+];
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                $(let $field = Column::take(input)?;)+
                Some($name { $($field),+ })
            }
        }
    };
}

line!(KeyCount { sequence: u64, slice: u32, times: u64 });
line!(DayCount { day: i64, rows: u64 });
line!(Number { number: u64 });

impl ClickHouse {
    /// Which of some rows the server has, by their keys.
    pub async fn compare(&self, rows: &[Row]) -> Result<Compared, ReadError> {
        let mut parts: BTreeMap<Part, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            parts.entry(Part::of(row)).or_default().push(row);
        }
        let mut compared = Compared::default();
        for (part, rows) in parts {
            let there = self.keys(&part, &rows).await?;
            for row in rows {
                match there.get(&(row.key().sequence, row.key().slice)) {
                    None => compared.missing.push(row.clone()),
                    Some(times) => compared.doubled += u64::from(*times > 1),
                }
            }
        }
        Ok(compared)
    }

    /// The keys that are there between the first and the last of some rows, each with how often.
    async fn keys(&self, part: &Part, rows: &[&Row]) -> Result<BTreeMap<(u64, u32), u64>, ReadError> {
        let Part { stream, college, gateway, lane, .. } = part;
        let starts = || rows.iter().map(|row| row.start());
        let sequences = || rows.iter().map(|row| row.key().sequence);
        let mut filter = Filter::all(*stream);
        (filter.from, filter.to) = (starts().min(), starts().max().map(|last| last.plus(Duration::from_micros(1))));
        filter.college = Some(college.clone());
        let (clause, mut values) = condition(&filter);
        values.push(Value::from(gateway.as_str()));
        let (first, last) = (sequences().min().unwrap_or(0), sequences().max().unwrap_or(u64::MAX));
        let select = format!(
            "SELECT sequence, slice, count() AS times FROM `{}`.`{stream}` WHERE {clause} AND gateway = ? AND lane = {lane} \
             AND sequence BETWEEN {first} AND {last} GROUP BY sequence, slice",
            self.0.server.database
        );
        let statement = until_the_last(&select, KeyCount::COLUMNS, "sequence, slice", values);
        let lines: Vec<KeyCount> = all(self, &statement).await?;
        Ok(lines.into_iter().map(|line| ((line.sequence, line.slice), line.times)).collect())
    }

    /// Stores rows that a token of before stands for and that are missing all the same: under a token of its own.
    pub async fn insert_again(&self, batch: &Batch, attempt: &str) -> Result<(), StoreError> {
        batch.check()?;
        self.insert_rows(batch, &format!("{}/again/{attempt}", batch.token)).await
    }

    /// The days of a stream before `first` (days since 1970) that have rows, and how many.
    pub async fn days_before(&self, plan: &Plan, stream: Stream, first: i32) -> Result<Vec<(i32, u64)>, ReadError> {
        let mut filter = Filter::all(stream);
        filter.to = Some(Timestamp::start_of_day(first));
        let (clause, values) = condition(&filter);
        let select = format!(
            "SELECT toInt64(toDate(start)) AS day, count() AS rows FROM `{}`.`{stream}` WHERE {clause} GROUP BY day",
            plan.database
        );
        let statement = until_the_last(&select, DayCount::COLUMNS, "day", values);
        let lines: Vec<DayCount> = all(self, &statement).await?;
        Ok(lines.into_iter().map(|line| (line.day as i32, line.rows)).collect())
    }

    /// Drops the rows of a day, and the counts made of them.
    pub async fn drop_day(&self, plan: &Plan, stream: Stream, day: i32) -> Result<(), MigrationError> {
        let (date, on) = (date(day), plan.on_cluster());
        let mut tables = vec![stream.as_str()];
        tables.extend((stream == Stream::Accesses).then_some(HOURLY));
        for table in tables {
            self.execute(&format!("ALTER TABLE {}{on} DROP PARTITION '{date}'", plan.local(table))).await?;
        }
        Ok(())
    }

    /// Copies the rows of a filter into the table of a case, which has no duration. Answers how many it holds.
    pub async fn hold(&self, plan: &Plan, case: &str, filter: &Filter) -> Result<u64, MigrationError> {
        if let Some(column) = filter.misplaced() {
            return Err(ReadError::Misplaced(column).into());
        }
        let (database, stream) = (&plan.database, filter.stream);
        let table = format!("`{database}`.`hold_{case}_{stream}`");
        let columns = columns::columns(stream);
        let kinds: Vec<String> = columns.iter().map(|column| format!("`{}` {}", column.name, column.kind())).collect();
        self.execute(&format!(
            "CREATE TABLE {table} ({}) ENGINE = MergeTree ORDER BY (college, start) SETTINGS fsync_after_insert = 1",
            kinds.join(", ")
        ))
        .await?;
        let names = names(columns);
        let select = format!("SELECT {names} FROM `{database}`.`{stream}` WHERE {}", literal(filter));
        self.execute(&format!("INSERT INTO {table} ({names}) {select}")).await?;
        let count = format!("SELECT count() AS number FROM {table}");
        let lines: Vec<Number> = all(self, &until_the_last(&count, Number::COLUMNS, "number", Vec::new())).await?;
        Ok(lines.first().map_or(0, |line| line.number))
    }

    /// Sends statements, one after the other.
    pub async fn run(&self, statements: &[String]) -> Result<(), MigrationError> {
        for statement in statements {
            self.execute(statement).await?;
        }
        Ok(())
    }
}

/// `2026-11-23`.
pub(super) fn date(day: i32) -> String {
    let first = Timestamp::start_of_day(day).to_string();
    first.split('T').next().unwrap_or(&first).to_owned()
}
