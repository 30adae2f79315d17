//! CSV (RFC 4180, lines end in CRLF): a header of column names, then the same values as in JSON; flags are words with spaces
//! between, and what is not there is empty.
//!
//! **Formulas.** A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@`, or with a tabulator or line end before
//! such (OWASP, "CSV Injection"), and a host or a path is whatever somebody typed. Such a cell gets an apostrophe in front,
//! which spreadsheets show as text. Programs that want the exact value take JSON.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::access::{Row, Stream};
use crate::store::embedded::column_names;

/// Writes rows of one stream.
pub struct Csv {
    columns: Vec<&'static str>,
}

impl Csv {
    pub fn new(stream: Stream) -> Self {
        Csv { columns: column_names(stream).collect() }
    }

    pub fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        record(self.columns.iter(), out)
    }

    pub fn row(&self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        let value = match row {
            Row::Access(row) => serde_json::to_value(row)?,
            Row::Connection(row) => serde_json::to_value(row)?,
        };
        record(self.columns.iter().map(|column| cell(&value[column])), out)
    }
}

/// A header, then lines: for counts, whose fields all are columns.
pub fn lines<T: Serialize>(columns: &[&str], lines: &[T], out: &mut impl Write) -> io::Result<()> {
    record(columns, out)?;
    for line in lines {
        let value = serde_json::to_value(line)?;
        record(columns.iter().map(|column| cell(&value[column])), out)?;
    }
    Ok(())
}

fn record<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>, out: &mut impl Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().map_err(|e| io::Error::other(e.to_string()))?;
    out.write_all(&bytes)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The text, with an apostrophe in front where a spreadsheet could take it for a formula.
fn harmless(text: &str) -> String {
    // Full-width forms are taken for the signs by some spreadsheets in Asian locales.
    let runs = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(runs) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_text() {
        for text in ["=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(&text.into()), format!("'{text}"));
        }
        for text in ["example.fr", "/a=b", "2001:db8::1", ""] {
            assert_eq!(cell(&text.into()), text);
        }
    }

    #[test]
    fn a_cell_with_commas_quotes_and_lines_stays_one_cell() {
        let mut out = Vec::new();
        record(["a,b", "say \"x\"", "two\nlines", ""], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\r\n");
    }
}
