//! What an operator does with the tables: compare, delete by days.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ClickHouse;
use super::columns::{Column, Definition, Line, line};
use super::migrate::MigrationError;
use super::read::all;
use super::schema::{HOURLY, Plan};
use super::select::{Value, condition, until_the_last};
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

/// A day that is past its duration.
#[derive(Debug, PartialEq, Eq)]
pub struct PastDay {
    /// Days since 1970.
    pub day: i32,
    /// How many rows each college has.
    pub rows: Vec<(String, u64)>,
}

impl PastDay {
    /// How many rows all have.
    pub fn rows(&self) -> u64 {
        self.rows.iter().map(|(_, rows)| rows).sum()
    }
}

line!(KeyCount { sequence: u64, slice: u32, times: u64 });
line!(DayCount { day: i64, college: String, rows: u64 });

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

    /// The days of a stream before `first` that have rows, and how many each college has.
    pub async fn days_before(&self, plan: &Plan, stream: Stream, first: i32) -> Result<Vec<PastDay>, ReadError> {
        let mut filter = Filter::all(stream);
        filter.to = Some(Timestamp::start_of_day(first));
        let (clause, values) = condition(&filter);
        let select = format!(
            "SELECT toInt64(toDate(start)) AS day, college, count() AS rows FROM `{}`.`{stream}` WHERE {clause} GROUP BY day, college",
            plan.database
        );
        let statement = until_the_last(&select, DayCount::COLUMNS, "day, college", values);
        let lines: Vec<DayCount> = all(self, &statement).await?;
        let mut days: Vec<PastDay> = Vec::new();
        for DayCount { day, college, rows } in lines {
            let (day, rows) = (day as i32, (college, rows));
            match days.last_mut() {
                Some(last) if last.day == day => last.rows.push(rows),
                _ => days.push(PastDay { day, rows: vec![rows] }),
            }
        }
        Ok(days)
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
