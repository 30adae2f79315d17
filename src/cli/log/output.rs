//! The three shapes of an answer.

use std::io::{self, Write};

use super::table::Table;
use crate::access::{Row, Stream};
use crate::audit::csv::Csv;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err(format!("--format: `{text}` is none of: table, json, csv")),
        }
    }
}

/// Writes rows one after the other.
pub(super) enum Rows {
    Table(Table),
    Json,
    Csv(Csv),
}

impl Rows {
    pub fn new(format: Format, stream: Stream, table: impl FnOnce() -> Table) -> Self {
        match format {
            Format::Table => Rows::Table(table()),
            Format::Json => Rows::Json,
            Format::Csv => Rows::Csv(Csv::new(stream)),
        }
    }

    pub fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Rows::Table(table) => table.begin(out),
            Rows::Json => Ok(()),
            Rows::Csv(csv) => csv.begin(out),
        }
    }

    pub fn row(&self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        match self {
            Rows::Table(table) => table.row(row, out),
            Rows::Json => json(row, out),
            Rows::Csv(csv) => csv.row(row, out),
        }
    }
}

fn json(row: &Row, out: &mut impl Write) -> io::Result<()> {
    match row {
        Row::Access(row) => serde_json::to_writer(&mut *out, row)?,
        Row::Connection(row) => serde_json::to_writer(&mut *out, row)?,
    }
    out.write_all(b"\n")
}
