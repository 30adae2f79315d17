//! Whether a trail is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::Line;
use super::chain::{BEGINNING, files, hash};

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub lines: u64,
    /// The number of the first line that is here: above 1 where older months were deleted.
    pub first: u64,
    /// Lines that a crash tore.
    pub torn: u64,
    /// The hash of the last line: whoever noted an earlier one can see that it is still in the chain.
    pub head: String,
}

/// Where it does not.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("{path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path}:{line}: the line before (number {before}) was altered, or lines between were removed or moved")]
    Chain { path: PathBuf, line: u64, before: u64 },
    #[error("{path}:{line}: this line has number {found} where {expected} follows: lines were added, removed or moved")]
    Number { path: PathBuf, line: u64, found: u64, expected: u64 },
    #[error("{path}:{line}: this is no line of a trail, and the next does not follow it: it was altered")]
    NoLine { path: PathBuf, line: u64 },
}

/// Walks the whole chain in `<state>/trail`. No trail at all is a whole one of no lines.
pub fn verify(state: &Path) -> Result<Verified, Broken> {
    let directory = state.join("trail");
    let files = match files(&directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        files => files.map_err(|source| Broken::Unreadable { path: directory, source })?,
    };
    let mut walk = Walk::default();
    for path in files {
        let unreadable = |source| Broken::Unreadable { path: path.clone(), source };
        let file = BufReader::new(File::open(&path).map_err(unreadable)?);
        for (line, bytes) in (1..).zip(file.split(b'\n')) {
            walk.step(&path, line, &bytes.map_err(unreadable)?)?;
        }
    }
    walk.end()
}

#[derive(Default)]
struct Walk {
    lines: u64,
    first: u64,
    torn: u64,
    number: u64,
    head: Option<String>,
    /// A line that cannot be read, until the next one vouches for it.
    unread: Option<(PathBuf, u64)>,
}

impl Walk {
    fn step(&mut self, path: &Path, at: u64, bytes: &[u8]) -> Result<(), Broken> {
        let path = || path.to_path_buf();
        let line: Option<Line> = serde_json::from_slice(bytes).ok();
        match &line {
            Some(line) => self.follows(line, path(), at)?,
            None if self.unread.is_some() => return Err(Broken::NoLine { path: path(), line: at }),
            None => {
                self.unread = Some((path(), at));
                self.torn += 1;
                self.number += 1;
            }
        }
        self.lines += 1;
        self.head = Some(hash(bytes));
        Ok(())
    }

    fn follows(&mut self, line: &Line, path: PathBuf, at: u64) -> Result<(), Broken> {
        let previous = match &self.head {
            Some(head) => head.as_str(),
            None if line.number > 1 => line.previous.as_str(),
            None => BEGINNING,
        };
        if line.previous != previous {
            return Err(match self.unread.take() {
                Some((path, line)) => Broken::NoLine { path, line },
                None => Broken::Chain { path, line: at, before: self.number },
            });
        }
        let expected = if self.head.is_none() { line.number } else { self.number + 1 };
        if line.number != expected {
            return Err(Broken::Number { path, line: at, found: line.number, expected });
        }
        if self.head.is_none() {
            self.first = line.number;
        }
        self.unread = None;
        self.number = line.number;
        Ok(())
    }

    fn end(self) -> Result<Verified, Broken> {
        // The last line may be torn and not yet followed: that is what a crash leaves.
        let head = self.head.unwrap_or_else(|| BEGINNING.into());
        Ok(Verified { lines: self.lines, first: self.first, torn: self.torn, head })
    }
}
