//! The names' table and its cold part, written side by side from the sorted records.

use std::collections::VecDeque;

use crate::matcher::names::exact::LINE_NUMBER_BYTES;
use crate::matcher::names::hash::{NameHash, Seed};
use crate::matcher::names::line::{LINE_BYTES, LineBuilder, Slot};
use crate::matcher::names::{HEADER_BYTES, MAX_DISPLACEMENT, NameTable, TOP_FILTER_BYTES};

use super::gather::{Record, Texts};
use super::sets::SetNumbers;
use super::{CompileError, Counts};

/// Names for each 10 lines of 10 slots: 83 % full, a name in five lives one line on, a miss reads 1.05 lines.
const NAMES_PER_10_LINES: u64 = 83;

/// Why the names could not be written.
#[derive(Debug)]
pub enum NamesError {
    /// Another seed may do.
    Collision,
    Fatal(CompileError),
}

impl From<CompileError> for NamesError {
    fn from(error: CompileError) -> Self {
        NamesError::Fatal(error)
    }
}

/// The sections.
pub struct NameSections {
    pub table: Vec<u8>,
    pub text_index: Vec<u8>,
    pub texts: Vec<u8>,
    pub line_index: Vec<u8>,
    pub line_numbers: Vec<u8>,
    /// Listed names.
    pub distinct: u64,
}

pub fn write(
    records: &mut [Record],
    texts: &Texts,
    seed: Seed,
    top_filter: &[u8; TOP_FILTER_BYTES],
    sets: &mut SetNumbers,
    counts: &mut Counts,
) -> Result<NameSections, NamesError> {
    records.sort_unstable_by_key(|record| (record.hash, record.place));
    let groups = || records.chunk_by(|a, b| a.hash == b.hash);
    let home_lines = (groups().count() as u64 * 10).div_ceil(NAMES_PER_10_LINES).max(1);
    let home_lines = u32::try_from(home_lines).map_err(|_| CompileError::TooLarge)?;
    let mut writer = Writer::new(texts, home_lines);
    for block in blocks(records) {
        texts.touch(block.iter().filter_map(Record::text));
        for group in block.chunk_by(|a, b| a.hash == b.hash) {
            writer.add(Name::of(group, texts, sets, counts)?)?;
        }
    }
    let mut sections = writer.finish()?;
    let header = NameTable::header(seed, home_lines, sections.distinct, top_filter);
    sections.table[..HEADER_BYTES].copy_from_slice(&header);
    Ok(sections)
}

/// Some hundred records at a time, and all those of a name together.
fn blocks(mut records: &[Record]) -> impl Iterator<Item = &[Record]> {
    const BLOCK: usize = 256;
    std::iter::from_fn(move || {
        let last = records.get(BLOCK.min(records.len()).checked_sub(1)?)?;
        let more = records[BLOCK.min(records.len())..].iter().take_while(|record| record.hash == last.hash).count();
        let (block, rest) = records.split_at(BLOCK.min(records.len()) + more);
        records = rest;
        Some(block)
    })
}

/// One name with all its entries.
struct Name<'a> {
    hash: NameHash,
    slot: Slot,
    text: Option<u32>,
    records: &'a [Record],
}

impl<'a> Name<'a> {
    fn of(
        group: &'a [Record],
        texts: &Texts,
        sets: &mut SetNumbers,
        counts: &mut Counts,
    ) -> Result<Name<'a>, NamesError> {
        let mut entries = entries(group).peekable();
        let text = entries.peek().and_then(|record| record.text());
        if let Some(text) = text
            && group.iter().filter_map(Record::text).any(|other| other != text && texts.at(other) != texts.at(text))
        {
            return Err(NamesError::Collision);
        }
        let mut set = Vec::with_capacity(1);
        for record in entries {
            set.push(record.place.list());
            counts.names[record.place.list().index()] += 1;
        }
        let number = match set[..] {
            [] => 0,
            [list] => sets.of_one(list)?,
            _ => sets.of(set.into_iter().collect())?,
        };
        let slot = Slot::new(number, group.iter().any(Record::is_above), group.iter().any(Record::is_site));
        Ok(Name { hash: group[0].hash, slot, text, records: group })
    }
}

/// The first entry in each list, in the order of the lists: records are sorted by list, then line.
fn entries(group: &[Record]) -> impl Iterator<Item = &Record> {
    let mut last = None;
    group.iter().filter(|record| record.text().is_some()).filter(move |record| {
        let list = Some(record.place.list());
        std::mem::replace(&mut last, list) != list
    })
}

struct Writer<'a> {
    texts: &'a Texts,
    home_lines: u32,
    /// Names whose home is this line or one before, not written yet.
    waiting: VecDeque<Name<'a>>,
    /// The line to write next.
    line: usize,
    sections: NameSections,
}

impl<'a> Writer<'a> {
    fn new(texts: &'a Texts, home_lines: u32) -> Self {
        let mut table = Vec::with_capacity(HEADER_BYTES + LINE_BYTES * (home_lines as usize + MAX_DISPLACEMENT));
        table.resize(HEADER_BYTES, 0);
        let sections = NameSections {
            table,
            text_index: Vec::new(),
            texts: Vec::new(),
            line_index: Vec::new(),
            line_numbers: Vec::new(),
            distinct: 0,
        };
        Writer { texts, home_lines, waiting: VecDeque::new(), line: 0, sections }
    }

    fn add(&mut self, name: Name<'a>) -> Result<(), NamesError> {
        let home = name.hash.home(self.home_lines);
        while self.line < home {
            self.write_line()?;
        }
        self.sections.distinct += u64::from(name.text.is_some());
        self.waiting.push_back(name);
        Ok(())
    }

    fn finish(mut self) -> Result<NameSections, NamesError> {
        while self.line < self.home_lines as usize || !self.waiting.is_empty() {
            self.write_line()?;
        }
        Ok(self.sections)
    }

    fn write_line(&mut self) -> Result<(), NamesError> {
        // Whoever looks one of these up passes all of the others: no two may look alike.
        let fingerprint = |name: &Name<'_>| name.hash.fingerprint();
        for (i, name) in self.waiting.iter().enumerate() {
            if self.waiting.iter().take(i).any(|other| fingerprint(other) == fingerprint(name)) {
                return Err(NamesError::Collision);
            }
        }
        self.sections.text_index.extend(offset(&self.sections.texts)?);
        self.sections.line_index.extend(offset(&self.sections.line_numbers)?);
        let mut line = LineBuilder::default();
        while !line.is_full()
            && let Some(name) = self.waiting.pop_front()
        {
            line.push(fingerprint(&name), name.slot);
            self.write_cold(&name);
        }
        for name in &self.waiting {
            if self.line + 1 >= name.hash.home(self.home_lines) + MAX_DISPLACEMENT {
                return Err(NamesError::Collision);
            }
            line.hand_on(fingerprint(name));
        }
        self.sections.table.extend(line.into_bytes());
        self.line += 1;
        Ok(())
    }

    fn write_cold(&mut self, name: &Name<'_>) {
        let Some(text) = name.text.map(|text| self.texts.at(text)) else { return };
        self.sections.texts.push(text.len() as u8);
        self.sections.texts.extend_from_slice(text);
        for record in entries(name.records) {
            let number = record.place.line().to_le_bytes();
            self.sections.line_numbers.extend_from_slice(&number[..LINE_NUMBER_BYTES]);
        }
    }
}

fn offset(section: &[u8]) -> Result<[u8; 4], CompileError> {
    u32::try_from(section.len()).map(u32::to_le_bytes).map_err(|_| CompileError::TooLarge)
}
