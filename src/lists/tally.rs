//! How much a list holds, counted with the parsers that a compile uses: what an update judges before it takes a list.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::catalogue::Source;
use super::input::ListInput;
use super::parse::{self, MAX_FILE_BYTES};

/// What one source holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries of each list, each time they occur: `ut1/adult` → 4,600,000.
    pub lists: BTreeMap<String, u64>,
    /// Lines that say something or try to.
    pub lines: u64,
    pub bad_lines: u64,
}

impl Tally {
    /// Counts what a source would be if it lay at `path`.
    ///
    /// # Errors
    /// A file cannot be read or is larger than any list.
    pub fn of(source: &Source, path: &Path) -> io::Result<Tally> {
        let mut tally = Tally::default();
        for input in source.inputs_at(path)? {
            tally.add(&input)?;
        }
        Ok(tally)
    }

    pub fn entries(&self) -> u64 {
        self.lists.values().sum()
    }

    fn add(&mut self, input: &ListInput) -> io::Result<()> {
        let mut entries = 0;
        for part in &input.parts {
            if part.text.bytes()? > MAX_FILE_BYTES {
                return Err(io::Error::other(format!("{} is larger than {MAX_FILE_BYTES} bytes", part.file)));
            }
            let (mut lines, mut bad) = (0, 0);
            parse::for_each_line(part.text.open()?, |_, text| {
                let before = entries;
                let parsed = text.map(|text| parse::parse_line(part.kind, text, &mut |_| entries += 1));
                let wrong = !matches!(parsed, Ok(Ok(())));
                bad += u64::from(wrong);
                lines += u64::from(wrong || entries > before);
            })?;
            self.lines += lines;
            self.bad_lines += bad;
        }
        *self.lists.entry(input.name.to_string()).or_default() += entries;
        Ok(())
    }
}
