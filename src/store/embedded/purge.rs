//! Retention: what is older than the policy's duration goes, for each stream in its own time.
//!
//! The two streams have different durations, so a day loses its accesses first and keeps its connections. When no stream
//! has a row left the file goes. What is dropped is overwritten (`secure_delete`) and the file shrinks, so that a
//! copy of the disk made afterwards does not hold it.
//!
//! A file is removed in two steps, so that a row that another process writes at that moment is not lost with it:
//! the last transaction marks it [`day::PURGED`], then its name goes. A writer that holds the file open sees the mark at its
//! next transaction, says "retry", and begins the day anew. One process purges at a time (`purge.lock`).

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::day::{self, DayError};
use super::select::count_all;
use crate::access::Stream;

/// What a purge took away from one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// Days since 1970-01-01, UTC.
    pub day: i32,
    pub stream: Stream,
    pub rows: u64,
    /// Nothing of the day is left.
    pub file_removed: bool,
}

/// Why a purge did not finish. What went before it stays purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error("another purge of {0} is running")]
    Running(String),
    #[error("not purged: {0}")]
    Failed(String),
}

impl From<DayError> for PurgeError {
    fn from(e: DayError) -> Self {
        PurgeError::Failed(e.to_string())
    }
}

/// Purges a stream's rows of every day before `before`. `close` lets go of a day's file in this process.
pub(super) fn purge(
    directory: &Path,
    stream: Stream,
    before: i32,
    mut close: impl FnMut(i32),
) -> Result<Vec<Purged>, PurgeError> {
    let _lock = lock(directory)?;
    let days = day::days(directory).map_err(|e| PurgeError::Failed(format!("{}: {e}", directory.display())))?;
    let mut purged = Vec::new();
    for day in days.into_iter().filter(|day| *day < before) {
        close(day);
        purged.extend(purge_day(&day::path_of(directory, day), day, stream)?);
    }
    Ok(purged)
}

fn lock(directory: &Path) -> Result<fs::File, PurgeError> {
    let path = directory.join("purge.lock");
    let failed = |e: std::io::Error| PurgeError::Failed(format!("{}: {e}", path.display()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o640).custom_flags(day::NO_FOLLOW);
    let file = options.open(&path).map_err(failed)?;
    day::give_to_owner_of(directory, &file).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(PurgeError::Running(directory.display().to_string())),
        Err(fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

fn purge_day(path: &Path, day: i32, stream: Stream) -> Result<Option<Purged>, PurgeError> {
    let connection = match day::open_to_write(path) {
        Ok(connection) => connection,
        // A purge was killed between its two steps.
        Err(DayError::Purging { .. }) => {
            remove(path)?;
            return Ok(Some(Purged { day, stream, rows: 0, file_removed: true }));
        }
        Err(e) => return Err(e.into()),
    };
    let sql = |source| DayError::Sql { path: path.into(), source };
    let (rows, is_empty) = drop_table(&connection, stream).map_err(sql)?;
    if is_empty {
        drop(connection);
        remove(path)?;
    } else if rows.is_some() {
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(sql)?;
    }
    Ok((rows.is_some() || is_empty).then_some(Purged { day, stream, rows: rows.unwrap_or(0), file_removed: is_empty }))
}

/// Drops a stream's table; how many rows it had, if it was there, and whether the day is empty now and so marked.
fn drop_table(connection: &Connection, stream: Stream) -> rusqlite::Result<(Option<u64>, bool)> {
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    let outcome = drop_and_mark(connection, stream);
    connection.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    outcome
}

fn drop_and_mark(connection: &Connection, stream: Stream) -> rusqlite::Result<(Option<u64>, bool)> {
    let rows = count(connection, stream)?;
    if rows.is_some() {
        connection.execute_batch(&format!("DROP TABLE \"{stream}\""))?;
    }
    let mut is_empty = true;
    for stream in Stream::ALL {
        is_empty &= count(connection, *stream)?.unwrap_or(0) == 0;
    }
    if is_empty {
        connection.pragma_update(None, "user_version", day::PURGED)?;
    }
    Ok((rows, is_empty))
}

fn count(connection: &Connection, stream: Stream) -> rusqlite::Result<Option<u64>> {
    if !day::has_table(connection, stream)? {
        return Ok(None);
    }
    connection.query_row(&count_all(stream), [], |line| line.get::<_, i64>(0)).map(|n| u64::try_from(n).ok())
}

fn remove(path: &Path) -> Result<(), DayError> {
    for file in [path.to_path_buf(), day::beside(path, "-wal"), day::beside(path, "-shm")] {
        match fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(DayError::Io { path: file, source });
            }
            _ => {}
        }
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| DayError::Io { path: directory.into(), source })
}
