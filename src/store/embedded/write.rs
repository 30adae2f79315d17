//! Batches into day files: the few that are open, and one transaction per day and batch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::columns::{bind_row, from, names, read_row, table_columns};
use super::day::{self, DayError};
use super::gaps;
use crate::access::{Row, RowKey, Stream};
use crate::store::{Batch, StoreError};

/// Day files kept open for writing: today, yesterday, and one that a gateway catches up with; each holds a page cache.
const OPEN_FILES: usize = 3;

/// The day files open for writing, the one used last first.
pub(super) struct DayFiles {
    directory: PathBuf,
    open: Vec<(i32, Connection)>,
}

impl DayFiles {
    pub fn new(directory: &Path) -> Self {
        DayFiles { directory: directory.into(), open: Vec::new() }
    }

    /// Stores a batch: nothing of it if a row of it cannot be stored. (A batch over more than [`OPEN_FILES`] days goes in parts
    /// of so many days, and that is true of each part.) A crash between two commits may leave the first; the identical
    /// batch then completes it.
    pub fn insert(&mut self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        gaps::insert(&self.directory, &batch.gaps).map_err(|e| classify(&e))?;
        let days: Vec<_> = by_day(&batch.rows).into_iter().collect();
        days.chunks(OPEN_FILES).try_for_each(|days| self.insert_days(batch.token.stream, days))
    }

    fn insert_days(&mut self, stream: Stream, days: &[(i32, Vec<&Row>)]) -> Result<(), StoreError> {
        let mut begun = Vec::with_capacity(days.len());
        let stored = days.iter().try_for_each(|(day, rows)| {
            let (connection, path) = self.begin(*day)?;
            let inserted = insert_rows(&connection, stream, rows).map_err(|e| e.into_store_error(&path));
            begun.push((*day, connection, path));
            inserted
        });
        let ended = stored.and_then(|()| commit(&begun));
        for (day, connection, _) in begun {
            // A connection whose transaction does not end is closed, which ends it.
            if connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok() {
                self.keep(day, connection);
            }
        }
        ended
    }

    /// Takes the day's file out of the open ones, or opens it, and begins a transaction.
    fn begin(&mut self, day: i32) -> Result<(Connection, PathBuf), StoreError> {
        let path = day::path_of(&self.directory, day);
        let connection = match self.open.iter().position(|(open, _)| *open == day) {
            Some(place) => self.open.remove(place).1,
            None => day::open_to_write(&path).map_err(|e| classify(&e))?,
        };
        let sql = |source| classify(&DayError::Sql { path: path.clone(), source });
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        if day::version(&connection).map_err(sql)? == day::PURGED {
            return Err(StoreError::Retry(format!("{} was purged: its day begins anew", path.display())));
        }
        Ok((connection, path))
    }

    fn keep(&mut self, day: i32, connection: Connection) {
        self.open.insert(0, (day, connection));
        self.open.truncate(OPEN_FILES);
    }

    /// Closes a day's file.
    pub fn close(&mut self, day: i32) {
        self.open.retain(|(open, _)| *open != day);
    }
}

fn by_day(rows: &[Row]) -> BTreeMap<i32, Vec<&Row>> {
    let mut days: BTreeMap<i32, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        days.entry(row.start().day()).or_default().push(row);
    }
    days
}

enum InsertError {
    Sql(rusqlite::Error),
    /// A key that is there with other contents: the first, and how many.
    Contradicted {
        key: String,
        rows: usize,
    },
}

impl From<rusqlite::Error> for InsertError {
    fn from(e: rusqlite::Error) -> Self {
        InsertError::Sql(e)
    }
}

impl InsertError {
    fn into_store_error(self, path: &Path) -> StoreError {
        match self {
            InsertError::Sql(source) => classify(&DayError::Sql { path: path.into(), source }),
            InsertError::Contradicted { key, rows } => StoreError::Poison(format!(
                "{rows} rows are in {} already with other contents, the first under {key}",
                path.display()
            )),
        }
    }
}

fn insert_rows(connection: &Connection, stream: Stream, rows: &[&Row]) -> Result<(), InsertError> {
    if !day::has_table(connection, stream)? {
        day::make_table(connection, stream)?;
    }
    let columns: Vec<String> = table_columns(stream).map(|(name, _)| format!("\"{name}\"")).collect();
    let marks = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO \"{stream}\" ({}) VALUES ({marks}) ON CONFLICT DO NOTHING", columns.join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut contradicted = Vec::new();
    let mut source: Option<(&RowKey, i64)> = None;
    for row in rows {
        // A batch is of one lane; its rows seldom are of two colleges.
        let number = match source {
            Some((known, number)) if is_same_source(known, row.key()) => number,
            _ => source_of(connection, row.key())?,
        };
        source = Some((row.key(), number));
        bind_row(row, number, &mut statement)?;
        if statement.raw_execute()? == 0 && !is_stored(connection, row, number)? {
            contradicted.push(row.key());
        }
    }
    match contradicted.first() {
        None => Ok(()),
        Some(key) => Err(InsertError::Contradicted { key: format!("{key:?}"), rows: contradicted.len() }),
    }
}

fn is_same_source(a: &RowKey, b: &RowKey) -> bool {
    (&a.college, &a.gateway, a.lane) == (&b.college, &b.gateway, b.lane)
}

/// The number of a college, gateway and lane; it is given one where it has none.
fn source_of(connection: &Connection, key: &RowKey) -> rusqlite::Result<i64> {
    let params = (key.college.as_str(), key.gateway.as_str(), key.lane as i64);
    let insert = "INSERT INTO sources (college, gateway, lane) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    connection.prepare_cached(insert)?.execute(params)?;
    let select = "SELECT source FROM sources WHERE college = ?1 AND gateway = ?2 AND lane = ?3";
    connection.prepare_cached(select)?.query_row(params, |line| line.get(0))
}

/// Whether exactly this row is there.
fn is_stored(connection: &Connection, row: &Row, source: i64) -> rusqlite::Result<bool> {
    let (stream, key) = (row.stream(), row.key());
    let sql =
        format!("SELECT {} FROM {} WHERE source = ?1 AND sequence = ?2 AND slice = ?3", names(stream), from(stream));
    let params = (source, key.sequence as i64, key.slice);
    connection.prepare_cached(&sql)?.query_row(params, |line| Ok(read_row(stream, line)? == *row))
}

fn commit(begun: &[(i32, Connection, PathBuf)]) -> Result<(), StoreError> {
    begun.iter().try_for_each(|(_, connection, path)| {
        let committed = connection.execute_batch("COMMIT");
        committed.map_err(|source| classify(&DayError::Sql { path: path.clone(), source }))
    })
}

/// What to do about an error (sqlite.org, "Result and Error Codes").
fn classify(error: &DayError) -> StoreError {
    let text = error.to_string();
    let code = match error {
        DayError::Purging { .. } => return StoreError::Retry(text),
        DayError::Newer { .. } | DayError::Older { .. } => return StoreError::Stop(text),
        DayError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            return StoreError::Retry(text);
        }
        DayError::Io { .. } => return StoreError::Stop(text),
        DayError::Sql { source, .. } => source.sqlite_error_code(),
    };
    match code {
        // A full disk is an alarm of its own; when there is room again the batch goes through.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
        | Some(ErrorCode::OutOfMemory | ErrorCode::SystemIoFailure | ErrorCode::OperationInterrupted) => {
            StoreError::Retry(text)
        }
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => StoreError::Poison(text),
        _ => StoreError::Stop(text),
    }
}
