//! The cold side of the names' table: the text of each listed name, and the line of each of its entries.
//!
//! Both are written line of the table by line of the table. An index (`u32` per line) says where the records of a line
//! begin; the records follow in the order of the slots, for slots with a set only: the text as its length and its
//! codes, the entries as one `u24` line number for each list of the set, in the order of the lists.

use crate::matcher::{ListMatches, SetNumber, u32_at};

use super::codebook::Codebook;
use super::line::{Line, SLOTS};
use super::{Hit, NameTable};

/// Bytes of one line number.
pub const LINE_NUMBER_BYTES: usize = 3;

/// A view on the texts.
#[derive(Clone, Copy)]
pub struct NameTexts<'a> {
    pub codebook: Codebook<'a>,
    pub index: &'a [u8],
    pub texts: &'a [u8],
}

/// What the text kept for a slot says of the name that hit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// It is this name.
    Same,
    /// It is another name with the same fingerprint: one look-up in thousands of millions.
    Other,
    /// It is no text, or that of a name which does not belong there: the image is damaged.
    Damaged,
}

impl NameTexts<'_> {
    /// Compares the text of the slot that was hit. What differs must at least hash to the slot: so damage is told
    /// from chance, and no listed name gets through because its text was spoilt.
    #[inline]
    pub fn confirm(&self, table: &NameTable<'_>, hit: &Hit, name: &str) -> Confirmation {
        match self.find(table, hit) {
            Some(written) if self.codebook.spells(written, name.as_bytes()) => Confirmation::Same,
            Some(written) => self.explain(table, hit, name, written),
            None => Confirmation::Damaged,
        }
    }

    #[cold]
    fn explain(&self, table: &NameTable<'_>, hit: &Hit, name: &str, written: &[u8]) -> Confirmation {
        let (asked, text) = (table.seed().hash(name), self.codebook.read(written));
        let found = text.map(|text| table.seed().hash(&text));
        match found.is_some_and(|found| found.fingerprint() == asked.fingerprint() && table.may_hold(hit.line, found)) {
            true => Confirmation::Other,
            false => Confirmation::Damaged,
        }
    }

    /// The names of one line of the table, each with its set and a way to read it; what is damaged ends it.
    pub fn visit_line(
        &self,
        table: &NameTable<'_>,
        line: usize,
        mut visit: impl FnMut(SetNumber, &dyn Fn() -> Option<String>),
    ) {
        let (Some(slots), Some(at)) = (table.line(line), u32_at(self.index, 4 * line)) else { return };
        let mut at = at as usize;
        for set in (0..SLOTS).map(|place| slots.slot(place).set()).filter(|set| *set != 0) {
            let Some(written) =
                self.texts.get(at).and_then(|length| self.texts.get(at + 1..at + 1 + usize::from(*length)))
            else {
                return;
            };
            visit(set, &|| self.codebook.read(written));
            at += 1 + written.len();
        }
    }

    fn find(&self, table: &NameTable<'_>, hit: &Hit) -> Option<&[u8]> {
        let mut at = u32_at(self.index, 4 * hit.line)? as usize;
        for _ in 0..listed_before(&table.line(hit.line)?, hit.place) {
            at += 1 + usize::from(*self.texts.get(at)?);
        }
        let length = usize::from(*self.texts.get(at)?);
        self.texts.get(at + 1..at + 1 + length)
    }
}

fn listed_before(line: &Line<'_>, place: usize) -> usize {
    (0..place).filter(|&p| line.slot(p).set() != 0).count()
}

/// A view on the line numbers.
#[derive(Clone, Copy)]
pub struct NameLines<'a> {
    pub index: &'a [u8],
    pub numbers: &'a [u8],
}

impl NameLines<'_> {
    /// The line of the entry in the `rank`-th list of the hit's set.
    pub fn line_number(
        &self,
        table: &NameTable<'_>,
        hit: &Hit,
        rank: usize,
        set_of: impl Fn(SetNumber) -> Option<ListMatches>,
    ) -> Option<u32> {
        let line = table.line(hit.line)?;
        let mut skip = rank;
        for place in 0..hit.place {
            skip += set_of(line.slot(place).set())?.len();
        }
        let at = u32_at(self.index, 4 * hit.line)? as usize + LINE_NUMBER_BYTES * skip;
        let bytes = self.numbers.get(at..)?.first_chunk::<LINE_NUMBER_BYTES>()?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
    }
}
