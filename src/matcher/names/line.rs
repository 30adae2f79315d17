//! One line of the names' table: 64 bytes, ten names.
//!
//! | bytes | what |
//! |---|---|
//! | 0–39 | ten fingerprints, `u32` |
//! | 40–59 | ten slots, `u16`: bits 0–13 the number of the set of lists (0: not listed itself), bit 14 has children, bit 15 has URL rules; 0 is a free slot |
//! | 60–63 | the filter: bit `fingerprint >> 27` is set when a name with that fingerprint came by and found no room |

use crate::matcher::SetNumber;

pub const LINE_BYTES: usize = 64;
pub const SLOTS: usize = 10;
const SLOTS_AT: usize = 4 * SLOTS;
const FILTER_AT: usize = SLOTS_AT + 2 * SLOTS;

const CHILDREN: u16 = 1 << 14;
const URLS: u16 = 1 << 15;
/// The highest number of a set of lists.
pub const MAX_SET: SetNumber = CHILDREN - 1;

/// What the table says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u16);

impl Slot {
    pub fn new(set: SetNumber, has_children: bool, has_urls: bool) -> Slot {
        Slot(set & MAX_SET | if has_children { CHILDREN } else { 0 } | if has_urls { URLS } else { 0 })
    }

    pub fn set(self) -> SetNumber {
        self.0 & MAX_SET
    }

    /// Whether a longer name in the table ends in this one.
    pub fn has_children(self) -> bool {
        self.0 & CHILDREN != 0
    }

    /// Whether URLs of exactly this host (or of its `www`) are listed.
    pub fn has_urls(self) -> bool {
        self.0 & URLS != 0
    }
}

/// A view on a line.
#[derive(Clone, Copy)]
pub struct Line<'a>(pub &'a [u8; LINE_BYTES]);

impl Line<'_> {
    #[inline]
    pub fn find(&self, fingerprint: u32) -> Option<(Slot, usize)> {
        let mut hits = 0u32;
        for (place, bytes) in self.0.as_chunks::<4>().0[..SLOTS].iter().enumerate() {
            hits |= u32::from(u32::from_le_bytes(*bytes) == fingerprint) << place;
        }
        while hits != 0 {
            let place = hits.trailing_zeros() as usize;
            let slot = self.slot(place);
            if slot.0 != 0 {
                return Some((slot, place));
            }
            hits &= hits - 1;
        }
        None
    }

    pub fn slot(&self, place: usize) -> Slot {
        let at = SLOTS_AT + 2 * (place % SLOTS);
        Slot(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    /// Whether a name with this fingerprint may live further on.
    #[inline]
    pub fn handed_on(&self, fingerprint: u32) -> bool {
        let filter = u32::from_le_bytes([self.0[60], self.0[61], self.0[62], self.0[63]]);
        filter >> (fingerprint >> 27) & 1 != 0
    }
}

/// Writes a line.
#[derive(Debug, Clone, Copy)]
pub struct LineBuilder {
    bytes: [u8; LINE_BYTES],
    used: usize,
}

impl Default for LineBuilder {
    fn default() -> Self {
        LineBuilder { bytes: [0; LINE_BYTES], used: 0 }
    }
}

impl LineBuilder {
    pub fn is_full(&self) -> bool {
        self.used == SLOTS
    }

    pub fn push(&mut self, fingerprint: u32, slot: Slot) {
        debug_assert!(!self.is_full() && slot.0 != 0);
        self.bytes[4 * self.used..][..4].copy_from_slice(&fingerprint.to_le_bytes());
        self.bytes[SLOTS_AT + 2 * self.used..][..2].copy_from_slice(&slot.0.to_le_bytes());
        self.used += 1;
    }

    pub fn hand_on(&mut self, fingerprint: u32) {
        let bit = (fingerprint >> 27) as usize;
        self.bytes[FILTER_AT + bit / 8] |= 1 << (bit % 8);
    }

    pub fn into_bytes(self) -> [u8; LINE_BYTES] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_back_what_was_put_in_and_nothing_else() {
        let mut builder = LineBuilder::default();
        for i in 0..SLOTS as u16 {
            builder.push(u32::from(i) * 7, Slot::new(i + 1, i % 2 == 0, i % 3 == 0));
        }
        builder.hand_on(0xffff_ffff);
        let bytes = builder.into_bytes();
        let line = Line(&bytes);
        for i in 0..SLOTS as u16 {
            assert_eq!(line.find(u32::from(i) * 7), Some((Slot::new(i + 1, i % 2 == 0, i % 3 == 0), usize::from(i))));
        }
        assert_eq!(line.find(1), None);
        assert!(line.handed_on(0xf800_0000) && !line.handed_on(0));
        assert_eq!(Line(&[0; LINE_BYTES]).find(0), None, "a free slot is nobody's");
    }
}
