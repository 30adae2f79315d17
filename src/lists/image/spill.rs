//! The lines of entries of which a table has few: URLs and addresses.

use crate::matcher::u32_at;

/// A view on, or the making of, the section: where each entry's lines begin, then the lines.
#[derive(Debug, Default)]
pub struct Spill {
    starts: Vec<u32>,
    lines: Vec<u32>,
}

impl Spill {
    /// The lines of the next entry: one for each list of its set, in order.
    pub fn push(&mut self, lines: impl IntoIterator<Item = u32>) {
        self.starts.push(self.lines.len() as u32);
        self.lines.extend(lines);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let end = self.lines.len() as u32;
        self.starts.iter().chain([&end]).chain(&self.lines).flat_map(|n| n.to_le_bytes()).collect()
    }

    /// The line of entry `number` in the `rank`-th list of its set, of `count` entries.
    pub fn line(bytes: &[u8], count: usize, number: usize, rank: usize) -> Option<u32> {
        let start = u32_at(bytes, 4 * number)? as usize + rank;
        let end = u32_at(bytes, 4 * (number + 1))? as usize;
        if number < count && start < end { u32_at(bytes, 4 * (count + 1 + start)) } else { None }
    }
}
