//! The proofs of all days: `proofs.sqlite`, beside the files of the rows. Its secrets open leaves, so it is read by nobody else
//! than who may read the rows.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::day::{self, DayError};
use crate::access::proof::{Hash, Sealed};
use crate::access::{CollegeCode, Stream, Timestamp};
use crate::store::proof::HORIZON_US;
use crate::store::{ChainName, ReadError, RootsAsked};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS proofs (
    stream TEXT NOT NULL, college TEXT NOT NULL, gateway TEXT NOT NULL, number INTEGER NOT NULL,
    first_time INTEGER, last_time INTEGER, sealed INTEGER NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (stream, college, gateway, number)) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS proofs_sealed ON proofs (stream, college, gateway, sealed);
    CREATE INDEX IF NOT EXISTS proofs_time ON proofs (stream, last_time, first_time)";

fn path_of(directory: &Path) -> PathBuf {
    directory.join("proofs.sqlite")
}

pub(super) fn keep(directory: &Path, sealed: &[Sealed]) -> Result<(), DayError> {
    if sealed.is_empty() {
        return Ok(());
    }
    let path = path_of(directory);
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let bad = |e: String| DayError::Io { path: path.clone(), source: std::io::Error::other(e) };
    let mut connection = open_to_write(&path)?;
    let transaction = connection.transaction().map_err(sql)?;
    for sealed in sealed {
        let root = sealed.root.unverified_root().map_err(|e| bad(e.to_string()))?;
        let line = serde_json::to_string(sealed).map_err(|e| bad(e.to_string()))?;
        let values = params![
            root.stream.as_str(),
            root.college.as_str(),
            root.gateway.as_str(),
            root.number as i64,
            root.first_time.map(Timestamp::as_micros),
            root.last_time.map(Timestamp::as_micros),
            root.sealed.as_micros(),
            line
        ];
        let sentence = "INSERT INTO proofs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(sentence).and_then(|mut insert| insert.execute(values)).map_err(sql)?;
    }
    transaction.commit().map_err(sql)
}

pub(super) fn newest(directory: &Path, chain: &ChainName) -> Result<Option<(u64, Hash)>, DayError> {
    let path = path_of(directory);
    let Some(connection) = open_to_read(&path)? else { return Ok(None) };
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let sentence = "SELECT number, line FROM proofs WHERE stream = ?1 AND college = ?2 AND gateway = ?3
        ORDER BY number DESC LIMIT 1";
    let values = params![chain.stream.as_str(), chain.college.as_str(), chain.gateway.as_str()];
    let mut select = connection.prepare(sentence).map_err(sql)?;
    let found =
        select.query_map(values, |line| Ok((line.get::<_, i64>(0)?, line.get::<_, String>(1)?))).map_err(sql)?.next();
    let Some((number, line)) = found.transpose().map_err(sql)? else { return Ok(None) };
    let bad = |e| DayError::Io { path: path.clone(), source: std::io::Error::other(e) };
    let sealed: Sealed = serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
    Ok(Some((number as u64, sealed.root.hash())))
}

pub(super) fn roots(directory: &Path, asked: &RootsAsked) -> Result<Vec<Sealed>, ReadError> {
    let path = path_of(directory);
    let broke = |e: &dyn std::fmt::Display| ReadError::BrokeOff(e.to_string());
    let Some(connection) = open_to_read(&path).map_err(|e| broke(&e))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for chain in chains(&connection, asked).map_err(|e| broke(&e))? {
        let lines = lines(&connection, &chain, asked).map_err(|e| broke(&e))?;
        if found.len() + lines.len() > asked.most {
            return Err(asked.too_many());
        }
        for line in lines {
            found.push(serde_json::from_str(&line).map_err(|e| broke(&e))?);
        }
    }
    Ok(found)
}

fn chains(connection: &Connection, asked: &RootsAsked) -> rusqlite::Result<Vec<(String, String)>> {
    let sentence = "SELECT DISTINCT college, gateway FROM proofs WHERE stream = ?1 AND (?2 IS NULL OR college = ?2)
        ORDER BY college, gateway";
    let college = asked.college.as_ref().map(CollegeCode::as_str);
    let mut select = connection.prepare(sentence)?;
    let chains = select.query_map(params![asked.stream.as_str(), college], |line| Ok((line.get(0)?, line.get(1)?)))?;
    chains.collect()
}

fn lines(
    connection: &Connection,
    (college, gateway): &(String, String),
    asked: &RootsAsked,
) -> rusqlite::Result<Vec<String>> {
    let of_chain = "stream = ?1 AND college = ?2 AND gateway = ?3";
    // The outermost of: what touches the time, and what was sealed around it.
    let sentence = format!(
        "SELECT line FROM proofs WHERE {of_chain}
        AND number >= coalesce(min(
            (SELECT coalesce(min(number), 9e18) FROM proofs WHERE {of_chain} AND last_time >= ?4 AND first_time < ?5),
            (SELECT coalesce(max(number), 0) FROM proofs WHERE {of_chain} AND sealed <= ?4)), 0)
        AND number <= max(
            (SELECT coalesce(max(number), 0) FROM proofs WHERE {of_chain} AND last_time >= ?4 AND first_time < ?5),
            (SELECT coalesce(min(number), 9e18) FROM proofs WHERE {of_chain} AND sealed >= ?6))
        ORDER BY number LIMIT ?7"
    );
    let from = asked.from.map_or(i64::MIN, Timestamp::as_micros);
    let to = asked.to.map_or(i64::MAX, Timestamp::as_micros);
    let horizon = to.saturating_add(HORIZON_US);
    let most = asked.most as i64 + 1;
    let values = params![asked.stream.as_str(), college, gateway, from, to, horizon, most];
    let mut select = connection.prepare(&sentence)?;
    let lines = select.query_map(values, |line| line.get(0))?;
    lines.collect()
}

/// The numbers and hashes of the trees that hold something of a UTC day.
pub(super) fn roots_of_day(directory: &Path, stream: Stream, day: i32) -> Result<Vec<Sealed>, DayError> {
    let path = path_of(directory);
    let Some(connection) = open_to_read(&path)? else { return Ok(Vec::new()) };
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let sentence = "SELECT line FROM proofs WHERE stream = ?1 AND last_time >= ?2 AND first_time < ?3
        ORDER BY college, gateway, number";
    let (from, to) = (Timestamp::start_of_day(day).as_micros(), Timestamp::start_of_day(day + 1).as_micros());
    let mut select = connection.prepare(sentence).map_err(sql)?;
    let lines = select.query_map(params![stream.as_str(), from, to], |line| line.get::<_, String>(0));
    let lines: Vec<String> = lines.and_then(Iterator::collect).map_err(sql)?;
    // A line of ours that cannot be read proves nothing any more.
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Deletes the proofs of a stream's trees whose rows were all before the UTC day `before`; answers how many.
pub(super) fn purge(directory: &Path, stream: Stream, before: i32) -> Result<u64, DayError> {
    let path = path_of(directory);
    if !path.exists() {
        return Ok(0);
    }
    let sql = |source| DayError::Sql { path: path.clone(), source };
    let connection = open_to_write(&path)?;
    let until = Timestamp::start_of_day(before).as_micros();
    let sentence = "DELETE FROM proofs WHERE stream = ?1 AND coalesce(last_time, sealed) < ?2 AND sealed < ?2";
    let gone = connection.execute(sentence, params![stream.as_str(), until]);
    gone.map(|gone| gone as u64).map_err(sql)
}

fn open_to_read(path: &Path) -> Result<Option<Connection>, DayError> {
    if !path.exists() {
        return Ok(None);
    }
    let sql = |source| DayError::Sql { path: path.into(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(day::BUSY).map_err(sql)?;
    Ok(Some(connection))
}

fn open_to_write(path: &Path) -> Result<Connection, DayError> {
    day::open_beside_days(path, TABLE)
}
