//! What is wrong with a list or a catalogue, said like a compiler would: where, what, and the cure.

use std::fmt;
use std::path::PathBuf;

/// One thing wrong in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// 1-based.
    pub line: Option<u32>,
    /// 1-based.
    pub column: Option<u32>,
    pub what: String,
    /// The cure.
    pub help: String,
}

impl Problem {
    pub(super) fn in_file(file: impl Into<PathBuf>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Problem { file: file.into(), line: None, column: None, what: what.into(), help: help.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}\n  help: {}", self.what, self.help)
    }
}
