//! What an operator does with the tables: compare, delete by days, copy for a case.

use std::collections::BTreeMap;

use super::columns::{Column, Definition, Line, names};
use super::migrate::MigrationError;
use super::read::all;
use super::schema::{HOURLY, Plan};
use super::select::{Value, condition, literal, until_the_last};
use super::{ClickHouse, columns, encode, put_row};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};
use crate::store::{Batch, Filter, ReadError, StoreError};

/// Rows of a stream of a lane of a gateway, that started on a UTC day.
#[derive(Debug, Clone)]
pub struct Keys {
    pub stream: Stream,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub lane: u64,
    /// Days since 1970.
    pub day: i32,
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
    /// The keys that are there, each with how often.
    pub async fn keys(&self, keys: &Keys) -> Result<BTreeMap<(u64, u32), u64>, ReadError> {
        let Keys { stream, college, gateway, lane, day } = keys;
        let (first, next) = (Timestamp::start_of_day(*day), Timestamp::start_of_day(day + 1));
        let mut filter = Filter::all(*stream);
        (filter.from, filter.to, filter.college) = (Some(first), Some(next), Some(college.clone()));
        let (clause, mut values) = condition(&filter);
        values.push(Value::from(gateway.as_str()));
        let select = format!(
            "SELECT sequence, slice, count() AS times FROM `{}`.`{stream}` WHERE {clause} AND gateway = ? AND lane = {lane} \
             GROUP BY sequence, slice",
            self.0.server.database
        );
        let statement = until_the_last(&select, KeyCount::COLUMNS, "sequence, slice", values);
        let lines: Vec<KeyCount> = all(self, &statement).await?;
        Ok(lines.into_iter().map(|line| ((line.sequence, line.slice), line.times)).collect())
    }

    /// Stores rows that a token of before stands for and that are missing all the same: under a token of its own.
    pub async fn insert_again(&self, batch: &Batch, attempt: &str) -> Result<(), StoreError> {
        batch.check()?;
        let (stream, token) = (batch.token.stream, format!("{}/again/{attempt}", batch.token));
        let columns = columns::columns(stream);
        self.insert_lines(stream.as_str(), columns, &token, &encode(columns, &batch.rows, put_row)).await
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
