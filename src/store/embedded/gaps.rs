//! What is missing from the log: one small file, `gaps.sqlite`, beside those of the days.
//!
//! A gap may span days, and none is asked for without the others: so they lie together. Equal gaps are one, which makes a
//! batch that comes again harmless. A stream's gaps are purged with its rows.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::day::{self, DayError};
use crate::access::{CollegeCode, Gap, GapRow, GatewayName, Stream, Timestamp};
use crate::store::{Filter, GAPS_MAX};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS gaps (
    stream TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, college TEXT NOT NULL, gateway TEXT NOT NULL,
    lane INTEGER NOT NULL, segment INTEGER NOT NULL, count INTEGER NOT NULL, cause TEXT NOT NULL,
    PRIMARY KEY (stream, since, until, college, gateway, lane, segment, count, cause)) STRICT, WITHOUT ROWID";

fn path_of(directory: &Path) -> PathBuf {
    directory.join("gaps.sqlite")
}

/// Stores gaps, durably.
pub(super) fn insert(directory: &Path, gaps: &[GapRow]) -> Result<(), DayError> {
    if gaps.is_empty() {
        return Ok(());
    }
    let path = path_of(directory);
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let mut connection = open_to_write(&path)?;
    let transaction = connection.transaction().map_err(sql)?;
    for GapRow { college, gateway, lane, stream, gap } in gaps {
        let (since, until) = (gap.since.as_micros(), gap.until.as_micros());
        let values = params![
            stream.as_str(),
            since,
            until,
            college.as_str(),
            gateway.as_str(),
            *lane as i64,
            gap.segment,
            gap.count as i64,
            gap.cause
        ];
        let sentence = "INSERT INTO gaps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(sentence).and_then(|mut insert| insert.execute(values)).map_err(sql)?;
    }
    transaction.commit().map_err(sql)
}

/// The gaps that touch the time of a filter.
pub(super) fn search(directory: &Path, filter: &Filter) -> Result<Vec<GapRow>, DayError> {
    let path = path_of(directory);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(sql)?;
    connection.busy_timeout(day::BUSY).map_err(sql)?;
    let sentence = "SELECT college, gateway, lane, since, until, count, segment, cause FROM gaps
        WHERE stream = ?1 AND until >= ?2 AND since < ?3 AND (?4 IS NULL OR college = ?4)
        ORDER BY since, until, college, gateway, lane LIMIT ?5";
    let mut select = connection.prepare(sentence).map_err(sql)?;
    let from = filter.from.map_or(i64::MIN, Timestamp::as_micros);
    let to = filter.to.map_or(i64::MAX, Timestamp::as_micros);
    let college = filter.college.as_ref().map(CollegeCode::as_str);
    let rows = select.query_map(params![filter.stream.as_str(), from, to, college, GAPS_MAX as i64], |line| {
        read(line, filter.stream)
    });
    rows.and_then(Iterator::collect).map_err(sql)
}

fn read(line: &rusqlite::Row<'_>, stream: Stream) -> rusqlite::Result<GapRow> {
    let wrong = |place, name: &str| rusqlite::Error::InvalidColumnType(place, name.into(), rusqlite::types::Type::Text);
    Ok(GapRow {
        college: CollegeCode::parse(&line.get::<_, String>(0)?).map_err(|_| wrong(0, "college"))?,
        gateway: GatewayName::parse(&line.get::<_, String>(1)?).map_err(|_| wrong(1, "gateway"))?,
        lane: line.get::<_, i64>(2)? as u64,
        stream,
        gap: Gap {
            since: Timestamp::from_micros(line.get(3)?),
            until: Timestamp::from_micros(line.get(4)?),
            count: line.get::<_, i64>(5)? as u64,
            segment: line.get(6)?,
            cause: line.get(7)?,
        },
    })
}

/// Deletes a stream's gaps that ended before the UTC day `before`; answers how many.
pub(super) fn purge(directory: &Path, stream: Stream, before: i32) -> Result<u64, DayError> {
    let path = path_of(directory);
    if !path.exists() {
        return Ok(0);
    }
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let connection = open_to_write(&path)?;
    let until = Timestamp::start_of_day(before).as_micros();
    let gone = connection.execute("DELETE FROM gaps WHERE stream = ?1 AND until < ?2", params![stream.as_str(), until]);
    gone.map(|gone| gone as u64).map_err(sql)
}

fn open_to_write(path: &Path) -> Result<Connection, DayError> {
    day::open_beside_days(path, TABLE)
}
