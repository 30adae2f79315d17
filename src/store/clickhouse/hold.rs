//! A legal hold is a copy: the rows of a case and what proves them go into tables without a duration.
//!
//! | table | holds |
//! |---|---|
//! | `hold_<case>_<stream>` | the rows, as they are in the log |
//! | `hold_<case>_<stream>_package` | the files of the package that proves them (`audit::package`), in pieces |
//!
//! The proof of a row wants the leaves of all other rows of its tree, and those go on their day. So what is kept is what was
//! computed while they were there.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::columns::{Column, Definition, Line, line, names};
use super::migrate::MigrationError;
use super::read::{all, each};
use super::schema::Plan;
use super::select::{Value, literal, until_the_last};
use super::{ClickHouse, columns, encode};
use crate::access::{CollegeCode, Stream};
use crate::store::{Filter, ReadError, StoreError};

/// Bytes of a file that are one line of the table.
const PIECE: usize = 1 << 20;
/// Lines sent at once.
const AT_ONCE: usize = 64;

line!(Number { number: u64 });

/// A piece of a file.
struct Piece {
    college: CollegeCode,
    file: String,
    place: u64,
    bytes: Bytes,
}

impl Line for Piece {
    const COLUMNS: &'static [Definition] = &[
        Definition::new("college", <CollegeCode as Column>::TYPE),
        Definition::new("file", <String as Column>::TYPE),
        Definition::new("place", <u64 as Column>::TYPE),
        Definition::new("bytes", <Bytes as Column>::TYPE),
    ];
    const BYTES_MAX: usize = PIECE + (64 << 10);

    fn put(&self, out: &mut Vec<u8>) {
        let Piece { college, file, place, bytes } = self;
        college.put(out);
        file.put(out);
        place.put(out);
        bytes.put(out);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let (college, file) = (Column::take(input)?, Column::take(input)?);
        Some(Piece { college, file, place: Column::take(input)?, bytes: Column::take(input)? })
    }
}

/// Why a package is not held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Table(#[from] MigrationError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("there is a case {0} of {1} already: a case is held once, give this one another name")]
    There(String, Stream),
    #[error("the files of case {0} are not whole in the server: {1}")]
    NotWhole(String, String),
}

fn rows_of(case: &str, stream: Stream) -> String {
    format!("hold_{case}_{stream}")
}

fn package_of(case: &str, stream: Stream) -> String {
    format!("hold_{case}_{stream}_package")
}

impl ClickHouse {
    /// Copies the rows of a filter into the table of a case, which has no duration. Answers how many it holds.
    pub async fn hold(&self, plan: &Plan, case: &str, filter: &Filter) -> Result<u64, HoldError> {
        if let Some(column) = filter.misplaced() {
            return Err(ReadError::Misplaced(column).into());
        }
        let (database, stream) = (&plan.database, filter.stream);
        let name = rows_of(case, stream);
        if self.has_table(plan, &name).await? {
            return Err(HoldError::There(case.to_owned(), stream));
        }
        let columns = columns::columns(stream);
        for statement in plan.for_ever(&name, columns, "(college, start)") {
            self.execute(&statement).await?;
        }
        let (table, names) = (plan.table(&name), names(columns));
        let select = format!("SELECT {names} FROM `{database}`.`{stream}` WHERE {}", literal(filter));
        let insert = format!("INSERT INTO {table} ({names}) SETTINGS distributed_foreground_insert = 1 {select}");
        self.execute(&insert).await?;
        let count = format!("SELECT count() AS number FROM {table}");
        let lines: Vec<Number> = all(self, &until_the_last(&count, Number::COLUMNS, "number", Vec::new())).await?;
        Ok(lines.first().map_or(0, |line| line.number))
    }

    /// Keeps the files of a package beside the rows of its case, and looks whether they are there.
    pub async fn hold_package<'a>(
        &self,
        plan: &Plan,
        case: &str,
        (college, stream): (&CollegeCode, Stream),
        files: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), HoldError> {
        let name = package_of(case, stream);
        for statement in plan.for_ever(&name, Piece::COLUMNS, "(file, place)") {
            self.execute(&statement).await?;
        }
        let mut there = BTreeMap::new();
        for (file, bytes) in files {
            there.insert(file.to_owned(), bytes.len() as u64);
            // An empty file has one piece.
            let pieces = (0u64..).zip(bytes.chunks(PIECE).chain(bytes.is_empty().then_some(bytes)));
            let pieces: Vec<Piece> = pieces
                .map(|(place, bytes)| Piece {
                    college: college.clone(),
                    file: file.to_owned(),
                    place,
                    bytes: Bytes::copy_from_slice(bytes),
                })
                .collect();
            for pieces in pieces.chunks(AT_ONCE) {
                let token = format!("{name}/{file}/{}", pieces[0].place);
                self.insert_lines(&name, Piece::COLUMNS, &token, &encode(Piece::COLUMNS, pieces, Piece::put)).await?;
            }
        }
        let held = self.held_package(plan, case, stream, |_| u64::MAX).await?;
        let held: BTreeMap<String, u64> = held.into_iter().map(|(name, bytes)| (name, bytes.len() as u64)).collect();
        if held != there {
            return Err(HoldError::NotWhole(case.to_owned(), "they were acknowledged and are not there".to_owned()));
        }
        Ok(())
    }

    /// The files of a case's package. `most` says how large a file of a name may be.
    pub async fn held_package(
        &self,
        plan: &Plan,
        case: &str,
        stream: Stream,
        most: impl Fn(&str) -> u64,
    ) -> Result<BTreeMap<String, Vec<u8>>, HoldError> {
        let table = plan.table(&package_of(case, stream));
        // An insert that was repeated has left the same piece twice.
        let select = format!("SELECT DISTINCT {} FROM {table}", names(Piece::COLUMNS));
        let statement = until_the_last(&select, Piece::COLUMNS, "file, place", Vec::new());
        let mut files: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
        let mut wrong = None;
        each(self, &statement, |piece: Piece| {
            let (next, bytes) = files.entry(piece.file.clone()).or_default();
            let is_next = piece.place == *next && (bytes.len() + piece.bytes.len()) as u64 <= most(&piece.file);
            if is_next {
                bytes.extend_from_slice(&piece.bytes);
                *next += 1;
            } else {
                wrong.get_or_insert(format!("{}, piece {}", piece.file, piece.place));
            }
            Ok(())
        })
        .await?;
        match wrong {
            Some(piece) => Err(HoldError::NotWhole(case.to_owned(), piece)),
            None => Ok(files.into_iter().map(|(name, (_, bytes))| (name, bytes)).collect()),
        }
    }

    async fn has_table(&self, plan: &Plan, name: &str) -> Result<bool, ReadError> {
        let select = "SELECT count() AS number FROM system.tables WHERE database = ? AND name = ?";
        let values = [plan.database.as_str(), name].map(Value::from).to_vec();
        let lines: Vec<Number> = all(self, &until_the_last(select, Number::COLUMNS, "number", values)).await?;
        Ok(lines.first().is_some_and(|line| line.number > 0))
    }
}
