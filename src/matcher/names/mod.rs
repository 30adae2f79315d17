//! Host names: which names cover a host, in one cache line per label, most often one altogether.
//!
//! The table is an array of 64-byte lines. A name's hash ([`hash`]) says in which line it lives and what its
//! fingerprint is; a line holds ten fingerprints ([`mod@line`]). A line that was full hands its surplus to the next one and
//! remembers in a 32-bit filter which fingerprints went on, so a miss reads a second line once in a hundred.
//!
//! A host is walked from its last two labels to the left. Names above a listed name are in the table too, marked
//! as having children: a host that is not listed ends at its two-label name, after one probe. Names of one label
//! (`xxx`) are probed only where a filter in the header says that there may be one.
//!
//! A miss is always right. A hit is a fingerprint's word only: [`exact`] compares the name itself, so no host is ever
//! refused because its hash resembles another's, nor let through because the text to compare with is damaged.

pub mod codebook;
pub mod exact;
pub mod hash;
pub mod line;

use hash::{NameHash, Seed};
use line::{LINE_BYTES, Line, Slot};

/// Seed, home lines, number of names; then the filter of single labels; rest zero. As long as a line.
pub const HEADER_BYTES: usize = LINE_BYTES;
/// The bits of the filter of single labels.
pub const TOP_FILTER_BYTES: usize = 32;
const TOP_FILTER_AT: usize = 24;
/// How far from its home line a name may live. The compiler picks another seed before it goes beyond.
pub const MAX_DISPLACEMENT: usize = 64;

/// A view on the table.
#[derive(Clone, Copy)]
pub struct NameTable<'a> {
    seed: Seed,
    home_lines: u32,
    top_filter: &'a [u8; TOP_FILTER_BYTES],
    lines: &'a [[u8; LINE_BYTES]],
}

/// A name of the host that is in the table, listed or only above a listed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Where the name begins in the host's text.
    pub start: usize,
    pub slot: Slot,
    /// The line that holds it, and its place in there.
    pub line: usize,
    pub place: usize,
}

impl<'a> NameTable<'a> {
    /// `None` when the bytes are no such table.
    pub fn view(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let seed = u64::from_le_bytes(*header.first_chunk()?);
        let home_lines = u64::from_le_bytes(*header[8..].first_chunk()?);
        let (lines, surplus) = rest.as_chunks();
        let home_lines = u32::try_from(home_lines).ok()?;
        (surplus.is_empty() && home_lines as usize <= lines.len()).then_some(NameTable {
            seed: Seed(seed),
            home_lines,
            top_filter: header[TOP_FILTER_AT..].first_chunk()?,
            lines,
        })
    }

    pub fn header(seed: Seed, home_lines: u32, names: u64, top_filter: &[u8; TOP_FILTER_BYTES]) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&seed.0.to_le_bytes());
        header[8..16].copy_from_slice(&u64::from(home_lines).to_le_bytes());
        header[16..24].copy_from_slice(&names.to_le_bytes());
        header[TOP_FILTER_AT..TOP_FILTER_AT + TOP_FILTER_BYTES].copy_from_slice(top_filter);
        header
    }

    pub fn seed(&self) -> Seed {
        self.seed
    }

    pub fn line(&self, at: usize) -> Option<Line<'a>> {
        self.lines.get(at).map(Line)
    }

    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Calls `visit` with every name of the table that is `host` or one of its parents, shortest first.
    #[inline]
    pub fn walk(&self, host: &str, mut visit: impl FnMut(Hit)) {
        for (labels, (hash, start)) in (1..).zip(self.seed.suffixes(host)) {
            if labels == 1 && !self.may_be_top(hash) {
                continue;
            }
            match self.probe(hash) {
                Some((slot, line, place)) => {
                    visit(Hit { start, slot, line, place });
                    if labels > 1 && !slot.has_children() {
                        return;
                    }
                }
                None if labels > 1 => return,
                None => {}
            }
        }
    }

    /// Whether a name with that hash may live in that line.
    pub fn may_hold(&self, line: usize, hash: NameHash) -> bool {
        let home = hash.home(self.home_lines);
        (home..home + MAX_DISPLACEMENT).contains(&line)
    }

    fn may_be_top(&self, hash: NameHash) -> bool {
        let (byte, bit) = hash.top_filter_bit();
        self.top_filter[byte] & bit != 0
    }

    #[inline]
    fn probe(&self, hash: NameHash) -> Option<(Slot, usize, usize)> {
        let home = hash.home(self.home_lines);
        let fingerprint = hash.fingerprint();
        for at in home..home + MAX_DISPLACEMENT {
            let line = Line(self.lines.get(at)?);
            if let Some((slot, place)) = line.find(fingerprint) {
                return Some((slot, at, place));
            }
            if !line.handed_on(fingerprint) {
                return None;
            }
        }
        None
    }
}
