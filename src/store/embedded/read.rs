//! Answers: day after day in the order asked for, each in its own read-only connection.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::Value;
use rusqlite::{Connection, InterruptHandle, params_from_iter};

use super::columns::read_row;
use super::day::{self, ReadOnly};
use super::select;
use crate::access::{Row, Stream, Timestamp};
use crate::store::found::{Finder, ROWS_AT_ONCE, Stop};
use crate::store::{Dimension, Filter, Order, Query, Question, ReadError, Tally};

/// Lets the one who waits break off the statement that runs.
#[derive(Default)]
pub(super) struct Interrupt {
    wanted: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl Interrupt {
    fn watch(&self, connection: &Connection) {
        let mut running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *running = Some(connection.get_interrupt_handle());
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }
}

impl Stop for Interrupt {
    fn stop(&self) {
        self.wanted.store(true, Ordering::Release);
        let running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(handle) = &*running {
            handle.interrupt();
        }
    }
}

/// The days of a store that a filter can touch, oldest first.
pub(super) fn days(directory: &Path, filter: &Filter) -> Result<Vec<i32>, ReadError> {
    if let Some(column) = filter.misplaced() {
        return Err(ReadError::Misplaced(column));
    }
    let mut days = day::days(directory).map_err(|e| ReadError::Unreadable(unreadable(directory, &e)))?;
    let first = filter.from.map_or(i32::MIN, Timestamp::day);
    // `to` is out: the day of the microsecond before it is the last.
    let last = filter.to.map_or(i32::MAX, |to| Timestamp::from_micros(to.as_micros().saturating_sub(1)).day());
    days.retain(|day| (first..=last).contains(day));
    Ok(days)
}

fn unreadable(directory: &Path, e: &std::io::Error) -> String {
    let directory = directory.display();
    match e.kind() {
        std::io::ErrorKind::NotFound => {
            format!("there is no store in {directory}: nothing was written yet, or --state names another directory")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{directory} may not be read by this account: run this as the gateway's account or with sudo")
        }
        _ => format!("{directory}: {e}"),
    }
}

/// Opens a day; `None` where it has no row of this stream.
fn open(path: &Path, stream: Stream) -> Result<Option<ReadOnly>, ReadError> {
    let broken = |e: &dyn std::fmt::Display| ReadError::BrokeOff(e.to_string());
    if !path.exists() {
        return Ok(None); // purged since the directory was read
    }
    let file = ReadOnly::open(path).map_err(|e| broken(&e))?;
    let has_table = day::has_table(&file.connection, stream).map_err(|e| broken(&e))?;
    Ok(has_table.then_some(file))
}

/// Reads the rows of a query and sends them on. Blocks.
pub(super) fn search(directory: &Path, days: Vec<i32>, query: &Query, interrupt: &Interrupt, finder: &Finder) {
    let days: Box<dyn Iterator<Item = i32>> = match query.order {
        Order::OldestFirst => Box::new(days.into_iter()),
        Order::NewestFirst => Box::new(days.into_iter().rev()),
    };
    let mut left = query.limit;
    for day in days {
        if left == Some(0) || interrupt.is_wanted() {
            return;
        }
        match search_day(&day::path_of(directory, day), query, left, interrupt, finder) {
            Ok(sent) => left = left.map(|left| left.saturating_sub(sent)),
            Err(_) if interrupt.is_wanted() => return,
            Err(e) => return finder.fail_blocking(e),
        }
    }
}

fn search_day(
    path: &Path,
    query: &Query,
    limit: Option<u64>,
    interrupt: &Interrupt,
    finder: &Finder,
) -> Result<u64, ReadError> {
    let stream = query.filter.stream;
    let Some(file) = open(path, stream)? else { return Ok(0) };
    interrupt.watch(&file.connection);
    let statement = select::rows(query, limit);
    let sql = |e: rusqlite::Error| ReadError::BrokeOff(format!("{}: {e}", path.display()));
    let mut prepared = file.connection.prepare(&statement.sql).map_err(sql)?;
    let mut lines = prepared.query(params_from_iter(statement.values)).map_err(sql)?;
    let (mut sent, mut rows): (u64, Vec<Row>) = (0, Vec::new());
    while let Some(line) = lines.next().map_err(sql)? {
        rows.push(read_row(stream, line).map_err(sql)?);
        sent += 1;
        if rows.len() == ROWS_AT_ONCE && finder.send_blocking(std::mem::take(&mut rows)).is_err() {
            return Ok(sent);
        }
    }
    if !file.is_unchanged() {
        return Err(changed(path));
    }
    // Where nobody listens any more, the next day sees it.
    let _ = finder.send_blocking(rows);
    Ok(sent)
}

fn changed(path: &Path) -> ReadError {
    ReadError::BrokeOff(format!("{} began to be written while it was read: ask again", path.display()))
}

/// Counts the rows of a question. Blocks. Days are merged in a table of their own, which spills to the disk.
pub(super) fn stats(
    directory: &Path,
    days: Vec<i32>,
    question: &Question,
    interrupt: &Interrupt,
) -> Result<Vec<Tally>, ReadError> {
    let merged = Merged::new().map_err(|e| ReadError::BrokeOff(e.to_string()))?;
    for day in days {
        if interrupt.is_wanted() {
            return Ok(Vec::new());
        }
        let path = day::path_of(directory, day);
        let Some(file) = open(&path, question.filter.stream)? else { continue };
        interrupt.watch(&file.connection);
        merged
            .add_day(&file.connection, question)
            .map_err(|e| ReadError::BrokeOff(format!("{}: {e}", path.display())))?;
        if !file.is_unchanged() {
            return Err(changed(&path));
        }
    }
    merged.highest(question).map_err(|e| ReadError::BrokeOff(e.to_string()))
}

struct Merged(Connection);

impl Merged {
    fn new() -> rusqlite::Result<Self> {
        // An empty name is a temporary database of its own (sqlite.org, "Temporary Databases").
        let connection = Connection::open(PathBuf::new())?;
        connection.execute_batch(
            "CREATE TABLE tallies (key TEXT PRIMARY KEY, number INTEGER, up INTEGER, down INTEGER) WITHOUT ROWID; BEGIN",
        )?;
        Ok(Merged(connection))
    }

    fn add_day(&self, day: &Connection, question: &Question) -> rusqlite::Result<()> {
        let statement = select::counts(question);
        let mut counts = day.prepare(&statement.sql)?;
        let mut lines = counts.query(params_from_iter(statement.values))?;
        let mut add = self.0.prepare_cached(
            "INSERT INTO tallies VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
             number = number + excluded.number, up = up + excluded.up, down = down + excluded.down",
        )?;
        while let Some(line) = lines.next()? {
            let key = key_text(line.get(0)?, question);
            add.execute((key, line.get::<_, i64>(1)?, line.get::<_, i64>(2)?, line.get::<_, i64>(3)?))?;
        }
        Ok(())
    }

    fn highest(&self, question: &Question) -> rusqlite::Result<Vec<Tally>> {
        let (order, limit) = match question.by {
            Dimension::Day | Dimension::Hour => ("key", -1),
            _ => ("number DESC, up + down DESC, key", i64::from(question.top)),
        };
        let mut select =
            self.0.prepare(&format!("SELECT key, number, up, down FROM tallies ORDER BY {order} LIMIT ?1"))?;
        let tallies = select.query_map([limit], |line| {
            let count = |place| line.get::<_, i64>(place).map(|n| u64::try_from(n).unwrap_or(0));
            Ok(Tally { key: line.get(0)?, number: count(1)?, bytes_up: count(2)?, bytes_down: count(3)? })
        })?;
        tallies.collect()
    }
}

fn key_text(key: Value, question: &Question) -> String {
    match (question.by, key) {
        (Dimension::Day, Value::Integer(hour)) => {
            question.zone.to_datetime(Timestamp::from_micros(hour).to_jiff()).date().to_string()
        }
        (_, Value::Integer(hour)) => Timestamp::from_micros(hour).to_string(),
        (_, Value::Text(text)) => text,
        _ => String::new(),
    }
}
