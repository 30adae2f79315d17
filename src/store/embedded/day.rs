//! The file of one UTC day: its name, its schema, and the two ways to open it.
//!
//! A day holds one table per stream, made when the first row of that stream comes, so that the two can be purged at
//! different times. `user_version` is the schema's version; [`PURGED`] says that the file is about to be removed and takes
//! no row any more (see [`super::purge`]).

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::columns::table_columns;
use crate::access::Stream;

/// Raised when a column is added; [`migrate`] then says how a file of the version before becomes one of this. Version 1 was
/// never released.
pub(super) const SCHEMA: i32 = 2;
/// The `user_version` of a file that is being removed.
pub(super) const PURGED: i32 = -1;
/// "ECLU": what `file` and a reader see in the header (sqlite.org, "application_id").
const APPLICATION_ID: i32 = 0x4543_4C55;
/// How long a writer waits for another process (hand-over, a search that brings in a dead lane) before it says "retry".
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Rows with their indexes are 200 to 400 bytes: larger pages mean fewer of them to write per commit.
const PAGE_BYTES: u32 = 8192;
/// Page cache of a file open for writing, in KiB. A batch touches a page for each host in it: with the 8 MiB that a reader
/// has they were written several times over (measured: 50 thousand rows a second of CPU, with this 68).
const WRITER_CACHE_KIB: i32 = 24 << 10;
const READER_CACHE_KIB: i32 = 8 << 10;

/// Why a day's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DayError {
    #[error("{path}: {source}")]
    Sql { path: PathBuf, source: rusqlite::Error },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} was written by a newer version of this program (schema {found}, this one knows {SCHEMA}): install that version"
    )]
    Newer { path: PathBuf, found: i32 },
    #[error(
        "{path} was written by a trial version of this program (schema {found}), from before its first release: move it elsewhere"
    )]
    Older { path: PathBuf, found: i32 },
    #[error("{path} is being removed by a purge")]
    Purging { path: PathBuf },
}

/// The file's name: `2026-11-23.sqlite`.
pub(super) fn path_of(directory: &Path, day: i32) -> PathBuf {
    let first = crate::access::Timestamp::start_of_day(day).to_string();
    let date = first.split('T').next().unwrap_or(&first);
    directory.join(format!("{date}.sqlite"))
}

/// The day that a file's name tells; `None` for files that are none of ours.
pub(super) fn day_of(name: &str) -> Option<i32> {
    let date = name.strip_suffix(".sqlite")?;
    let first: crate::access::Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
    Some(first.day())
}

/// The days that are kept, oldest first.
pub(super) fn days(directory: &Path) -> std::io::Result<Vec<i32>> {
    let mut days = Vec::new();
    for file in fs::read_dir(directory)? {
        days.extend(file?.file_name().to_str().and_then(day_of));
    }
    days.sort_unstable();
    Ok(days)
}

/// A file beside the database: its write-ahead log (`-wal`) or that one's index (`-shm`).
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens a day for writing, and makes or migrates it where needed.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, DayError> {
    make(path).map_err(|source| DayError::Io { path: path.into(), source })?;
    let sql = |source| DayError::Sql { path: path.into(), source };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(sql)?;
    prepare(&connection).map_err(sql)?;
    migrate(&connection, path)?;
    Ok(connection)
}

/// Opens a small file that is of no day, and makes its table where there is none.
pub(super) fn open_beside_days(path: &Path, table: &str) -> Result<Connection, DayError> {
    make(path).map_err(|source| DayError::Io { path: path.into(), source })?;
    let sql = |source| DayError::Sql { path: path.into(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    // No WAL: a reader that may not write here can read it all the same.
    let settings = "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF";
    connection.execute_batch(settings).and_then(|()| connection.execute_batch(table)).map_err(sql)?;
    Ok(connection)
}

/// SQLite would make the file readable by all; its neighbours get the mode and the owner of the file.
pub(super) fn make(path: &Path) -> std::io::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path) {
        Ok(file) => {
            let directory = path.parent().unwrap_or(Path::new("."));
            give_to_owner_of(directory, &file)?;
            fs::File::open(directory)?.sync_all()
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// What root makes for somebody (a search with `sudo` that brings rows in) belongs to who owns the directory: otherwise the
/// gateway, which is not root, could not go on writing it. `file` is to be opened with [`NO_FOLLOW`]: that account could
/// else put a link there, and be given what it points to.
pub fn give_to_owner_of(directory: &Path, file: &fs::File) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (owner, given) = (fs::metadata(directory)?, file.metadata()?);
    if given.is_file() && given.nlink() != 1 {
        return Err(std::io::Error::other("a file of ours has a second name: somebody made a link to it"));
    }
    std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// For `OpenOptions::custom_flags`: a symbolic link is an error (open(2), O_NOFOLLOW).
pub const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // FULL: a commit is on the disk before the batch is acknowledged, and the journal may forget it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(8);
    Ok(())
}

/// Brings a file to [`SCHEMA`], in one transaction.
fn migrate(connection: &Connection, path: &Path) -> Result<(), DayError> {
    let sql = |source| DayError::Sql { path: path.into(), source };
    match version(connection).map_err(sql)? {
        SCHEMA => return Ok(()),
        PURGED => return Err(DayError::Purging { path: path.into() }),
        found if found > SCHEMA => return Err(DayError::Newer { path: path.into(), found }),
        found if found > 0 => return Err(DayError::Older { path: path.into(), found }),
        _ => {}
    }
    let transaction = connection.unchecked_transaction().map_err(sql)?;
    // Version 0 is an empty file. A later version adds its steps here, one after the other:
    // 1 => "ALTER TABLE … ADD COLUMN …" for each table that is there, and so on.
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql)?;
    transaction.pragma_update(None, "user_version", SCHEMA).map_err(sql)?;
    transaction.commit().map_err(sql)
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |line| line.get(0))
}

/// Whether the day has a table of this stream.
pub(super) fn has_table(connection: &Connection, stream: Stream) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?
        .exists([stream.as_str()])
}

/// Makes the table of a stream and its indexes.
///
/// The key is the table's own order (WITHOUT ROWID), and completes every index: an answer in order of start
/// and key is read from an index without sorting.
pub(super) fn make_table(connection: &Connection, stream: Stream) -> rusqlite::Result<()> {
    let columns: Vec<String> = table_columns(stream).map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    let table = stream.as_str();
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS sources (source INTEGER PRIMARY KEY, college TEXT NOT NULL, gateway TEXT NOT NULL,
             lane INTEGER NOT NULL, UNIQUE (college, gateway, lane)) STRICT;
         CREATE TABLE \"{table}\" ({}, PRIMARY KEY (source, sequence, slice)) STRICT, WITHOUT ROWID;
         CREATE INDEX {table}_start ON \"{table}\" (start);
         CREATE INDEX {table}_person ON \"{table}\" (person, start) WHERE person IS NOT NULL;",
        columns.join(", ")
    );
    if stream == Stream::Accesses {
        sql.push_str(
            "CREATE INDEX accesses_host ON accesses (host, start);
             CREATE INDEX accesses_asked ON accesses (asked, start) WHERE asked <> '';
             CREATE INDEX accesses_reference ON accesses (reference) WHERE reference IS NOT NULL;",
        );
    }
    connection.execute_batch(&sql)
}

/// A day opened for reading, whoever writes to it.
pub(super) struct ReadOnly {
    pub connection: Connection,
    path: PathBuf,
    /// Opened as a file that nobody changes, since its neighbours could not be made.
    immutable: bool,
}

impl ReadOnly {
    /// Opens a day that another process may be writing.
    ///
    /// In a directory where this account cannot write, SQLite cannot make the `-shm` file that a database in WAL mode
    /// wants. If there is no `-wal` beside the day either, nobody writes and the file is whole: it is read as immutable, and
    /// [`ReadOnly::is_unchanged`] tells afterwards whether that was so until the end.
    pub fn open(path: &Path) -> Result<Self, DayError> {
        let sql = |source| DayError::Sql { path: path.into(), source };
        match open_shared(path) {
            Ok(connection) => Ok(ReadOnly { connection, path: path.into(), immutable: false }),
            Err(e) if beside(path, "-wal").exists() => Err(sql(e)),
            Err(_) => Self::open_immutable(path).map_err(sql),
        }
    }

    pub(super) fn open_immutable(path: &Path) -> rusqlite::Result<Self> {
        let text = path.to_string_lossy();
        let uri = format!("file:{}?immutable=1", text.replace('%', "%25").replace('?', "%3f").replace('#', "%23"));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags)?;
        version(&connection)?;
        Ok(ReadOnly { connection, path: path.into(), immutable: true })
    }

    /// Whether what was read is what the file held all the time.
    pub fn is_unchanged(&self) -> bool {
        !self.immutable || !beside(&self.path, "-wal").exists()
    }
}

fn open_shared(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    // The first reading is what needs the neighbours.
    version(&connection)?;
    Ok(connection)
}
