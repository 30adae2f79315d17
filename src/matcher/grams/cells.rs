//! The bitmap in front: whether four bytes of a text may be of a literal.
//!
//! The last three bytes say in which row, the first one which bit of it. So a literal of three bytes is in the bitmap as
//! well: before it a whole row, behind it one bit in each of 256. For literals of one byte and two there is a table
//! beside it, by the second byte of the window: which may stand before it, and which behind.

use super::GRAM;

/// Rows of the bitmap of few literals, which fits the first-level cache beside all else, and of many, as powers of two.
pub const FEW: u32 = 10;
pub const MANY: u32 = 14;
/// 2³² divided by the golden ratio, as Knuth has it.
pub const SPREAD: u32 = 0x9e37_79b9;
/// Which bits of a hash change the place of the first byte's bit in a row.
pub const TURN: u32 = 12;

/// 2^[`FEW`] or 2^[`MANY`] rows.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    rows: Vec<u32>,
    pairs: Option<Box<Pairs>>,
}

/// By a byte: which bytes may stand before it (lower half) and which behind it (upper half), by their lower four bits.
pub type Pairs = [u32; 256];

pub static NO_PAIRS: Pairs = [0; 256];

impl Cells {
    pub fn new(rows: u32) -> Cells {
        Cells { rows: vec![0; 1 << rows], pairs: None }
    }

    /// The rows, if there are 2^`ROWS`.
    pub fn rows<const ROWS: u32>(&self) -> Option<&[u32]> {
        (self.rows.len() == 1 << ROWS).then_some(&self.rows)
    }

    pub fn pairs(&self) -> Option<&Pairs> {
        self.pairs.as_deref()
    }

    /// Marks a literal that is recognised by the bytes that `tail` begins with: wherever it stands, one of the windows at
    /// even places finds it.
    pub fn mark(&mut self, tail: &[u8]) {
        match *tail {
            [a, b, c, d, e, ..] => {
                self.mark_gram([a, b, c, d]);
                self.mark_gram([b, c, d, e]);
            }
            [a, b, c, d] => {
                self.mark_gram([a, b, c, d]);
                self.mark_row([a, b, c]);
            }
            [a, b, c] => {
                (0..=u8::MAX).for_each(|d| self.mark_gram([a, b, c, d]));
                self.mark_row([a, b, c]);
            }
            [a, b] => {
                let pairs = self.pairs.get_or_insert_with(|| Box::new(NO_PAIRS));
                pairs[usize::from(b)] |= 1 << (a & 15);
                pairs[usize::from(a)] |= 1 << (16 + (b & 15));
            }
            [a] => {
                let pairs = self.pairs.get_or_insert_with(|| Box::new(NO_PAIRS));
                pairs.iter_mut().for_each(|row| *row |= 1 << (a & 15));
                pairs[usize::from(a)] = u32::MAX;
            }
            [] => {}
        }
    }

    fn mark_gram(&mut self, gram: [u8; GRAM]) {
        let (row, bit) = cell(u32::from_le_bytes(gram), 32 - self.rows.len().ilog2());
        self.rows[row] |= 1 << bit;
    }

    /// Whatever stands before the three.
    fn mark_row(&mut self, [b, c, d]: [u8; 3]) {
        let (row, _) = cell(u32::from_le_bytes([0, b, c, d]), 32 - self.rows.len().ilog2());
        self.rows[row] = u32::MAX;
    }
}

/// Whether the window may be of a literal, in the lowest bit.
#[inline(always)]
pub fn look<const ROWS: u32>(rows: &[u32], window: u32) -> u32 {
    let (row, bit) = cell(window, 32 - ROWS);
    rows[row] >> bit
}

/// Whether a literal of one byte or two may stand at the first byte of the window or at the second, in the lowest bit.
#[inline(always)]
pub fn look_at_pairs(pairs: &Pairs, window: u32) -> u32 {
    let sides = pairs[(window >> 8 & 0xff) as usize];
    sides >> (window & 15) | sides >> 16 >> (window >> 16 & 15)
}

/// The row and the bit.
#[inline(always)]
fn cell(window: u32, shift: u32) -> (usize, u32) {
    let hash = (window >> 8).wrapping_mul(SPREAD);
    ((hash >> shift) as usize, (hash >> TURN ^ window) & 31)
}
