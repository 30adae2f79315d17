//! Answers as they stream in: the head is compared, the lines are read one after the other, the last one ends it.

use std::sync::Arc;

use bytes::BytesMut;
use clickhouse::error::Error;
use clickhouse::query::BytesCursor;
use tokio::sync::Notify;

use super::columns::{Column, Definition, Line, columns, head, take_row};
use super::select::{COUNTS, LAST, Statement, Value, rows};
use super::{ClickHouse, failure};
use crate::access::{AccessRow, Row, Timestamp};
use crate::store::found::{Finder, ROWS_AT_ONCE, Stop};
use crate::store::{Dimension, Found, Query, Question, ReadError, Tally};
use crate::tasks;

/// What every question says: an answer is whole or an error, and the server stops when we go.
const READ_SETTINGS: [(&str, &str); 9] = [
    ("timeout_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("skip_unavailable_shards", "0"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
    // What does not fit in memory is sorted and counted on the server's disk.
    ("max_bytes_before_external_sort", "1000000000"),
    ("max_bytes_before_external_group_by", "1000000000"),
];

/// Says that nobody waits any more.
#[derive(Default)]
struct Unwatched(Notify);

impl Stop for Unwatched {
    fn stop(&self) {
        self.0.notify_one();
    }
}

/// Begins a search; its rows come through the channel while the server still sends.
pub(super) async fn search(store: &ClickHouse, query: &Query) -> Result<Found, ReadError> {
    let statement = rows(query, &store.0.server.database);
    let stream = query.filter.stream;
    let mut answer = Answer::begin(store, &statement, columns(stream), AccessRow::BYTES_MAX).await?;
    let stop = Arc::new(Unwatched::default());
    let (finder, found) = Found::channel(stop.clone());
    tasks::spawn("search", async move {
        tokio::select! {
            () = stop.0.notified() => {}
            () = async {
                if let Err(error) = send(&mut answer, &finder, |input| take_row(stream, input)).await {
                    finder.fail(error).await;
                }
            } => {}
        }
    });
    Ok(found)
}

async fn send(answer: &mut Answer, finder: &Finder, take: impl Fn(&mut &[u8]) -> Option<Row>) -> Result<(), ReadError> {
    let mut waiting = Vec::new();
    while let Some(row) = answer.next(&take).await? {
        waiting.push(row);
        if waiting.len() == ROWS_AT_ONCE && finder.send(std::mem::take(&mut waiting)).await.is_err() {
            return Ok(());
        }
    }
    // Where nobody listens any more there is nothing left to do.
    let _ = finder.send(waiting).await;
    Ok(())
}

/// A whole answer that is known to be small.
pub(super) async fn all<T: Line>(store: &ClickHouse, statement: &Statement) -> Result<Vec<T>, ReadError> {
    let mut lines = Vec::new();
    each(store, statement, |line| {
        lines.push(line);
        Ok(())
    })
    .await?;
    Ok(lines)
}

/// An answer, a line at a time. What was taken counts only where this ends well.
pub(super) async fn each<T: Line>(
    store: &ClickHouse,
    statement: &Statement,
    mut take: impl FnMut(T) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut answer = Answer::begin(store, statement, T::COLUMNS, T::BYTES_MAX).await?;
    while let Some(line) = answer.next(&T::take).await? {
        take(line)?;
    }
    Ok(())
}

/// An answer on its way.
struct Answer {
    cursor: BytesCursor,
    endpoint: String,
    bytes: BytesMut,
    within: std::time::Duration,
    line_max: usize,
}

impl Answer {
    /// Asks one endpoint after the other until one begins to answer.
    async fn begin(
        store: &ClickHouse,
        statement: &Statement,
        columns: &[Definition],
        line_max: usize,
    ) -> Result<Self, ReadError> {
        let mut last = ReadError::Unreadable("no endpoint was asked".to_owned());
        for (place, endpoint) in store.endpoints() {
            // Bound by the client: a question mark in the text of the statement itself would be taken for one of ours.
            let mut query = endpoint.client.query(&statement.sql);
            for value in &statement.values {
                query = match value {
                    Value::Text(text) => query.bind(text),
                    Value::Number(number) => query.bind(number),
                };
            }
            for (name, value) in READ_SETTINGS {
                query = query.with_setting(name, value);
            }
            let url = endpoint.url.clone();
            let cursor = query.fetch_bytes("RowBinaryWithNamesAndTypes").map_err(|e| broken(&url, &e))?;
            let within = store.0.server.answer;
            let mut answer = Answer { cursor, endpoint: url, bytes: BytesMut::new(), within, line_max };
            match answer.read_head(columns).await {
                Ok(()) => {
                    store.answered(place);
                    return Ok(answer);
                }
                Err(error) => last = error,
            }
            if !matches!(last, ReadError::BrokeOff(_)) {
                break;
            }
        }
        Err(last)
    }

    async fn read_head(&mut self, columns: &[Definition]) -> Result<(), ReadError> {
        let columns: Vec<Definition> = std::iter::once(LAST).chain(columns.iter().copied()).collect();
        let expected = head(&columns);
        while self.bytes.len() < expected.len() {
            if !self.more().await? {
                break;
            }
        }
        if !self.bytes.starts_with(&expected) {
            let why = format!(
                "{}: the tables are of another version than this program; see `ecluse store migrate`",
                self.endpoint
            );
            return Err(ReadError::Unreadable(why));
        }
        let _ = self.bytes.split_to(expected.len());
        Ok(())
    }

    /// Waits for more bytes; `false` at their end.
    async fn more(&mut self) -> Result<bool, ReadError> {
        let late = |_| broken(&self.endpoint, &Error::TimedOut);
        match tokio::time::timeout(self.within, self.cursor.next()).await.map_err(late)? {
            Ok(Some(more)) => {
                self.bytes.extend_from_slice(&more);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(broken(&self.endpoint, &error)),
        }
    }

    /// The next line; `None` at the end of an answer that is whole.
    async fn next<T>(&mut self, take: &impl Fn(&mut &[u8]) -> Option<T>) -> Result<Option<T>, ReadError> {
        loop {
            let mut input = &self.bytes[..];
            match u8::take(&mut input) {
                // Its other columns hold nothing.
                Some(1) => return Ok(None),
                Some(_) => {
                    if let Some(line) = take(&mut input) {
                        let read = self.bytes.len() - input.len();
                        let _ = self.bytes.split_to(read);
                        return Ok(Some(line));
                    }
                }
                None => {}
            }
            if self.bytes.len() > self.line_max {
                return Err(ReadError::BrokeOff(format!("{}: a line that this program cannot read", self.endpoint)));
            }
            if !self.more().await? {
                let why = format!(
                    "{}: the answer ended before its last line, or with one that this program cannot read",
                    self.endpoint
                );
                return Err(ReadError::BrokeOff(why));
            }
        }
    }
}

fn broken(endpoint: &str, error: &Error) -> ReadError {
    let why = format!("{endpoint}: {}", failure::words(error));
    match failure::code(error) {
        // Tables, columns and rights are not there: asking again changes nothing.
        Some(16 | 47 | 60 | 81 | 164 | 192..=194 | 452 | 497 | 516) => ReadError::Unreadable(why),
        _ => ReadError::BrokeOff(why),
    }
}

/// A line of counts.
pub(super) struct Count {
    hour: i64,
    text: String,
    number: u64,
    up: u64,
    down: u64,
}

impl Line for Count {
    const COLUMNS: &'static [Definition] = COUNTS;

    fn put(&self, out: &mut Vec<u8>) {
        let Count { hour, text, number, up, down } = self;
        hour.put(out);
        text.put(out);
        [number, up, down].into_iter().for_each(|count| count.put(out));
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let (hour, text) = (Column::take(input)?, Column::take(input)?);
        Some(Count { hour, text, number: Column::take(input)?, up: Column::take(input)?, down: Column::take(input)? })
    }
}

/// Hours become hours or days of the question's zone; texts come in their order already.
pub(super) fn tallies(counts: Vec<Count>, question: &Question) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for Count { hour, text, number, up, down } in counts {
        let hour = Timestamp::from_micros(hour);
        let key = match question.by {
            Dimension::Day => question.zone.to_datetime(hour.to_jiff()).date().to_string(),
            Dimension::Hour => hour.to_string(),
            _ => text,
        };
        match tallies.last_mut() {
            Some(tally) if tally.key == key => {
                tally.number += number;
                tally.bytes_up += up;
                tally.bytes_down += down;
            }
            _ => tallies.push(Tally { key, number, bytes_up: up, bytes_down: down }),
        }
    }
    tallies
}
