//! Thousands of literals, found in a text at a byte or two a nanosecond.
//!
//! Of each literal its rarest four bytes are taken, its *gram*. A bitmap says of every four bytes of the text whether
//! they may be a gram; nearly all are not, and that is all that happens to them: a multiplication and a bit. Where they
//! may be, a table gives the literals with that gram and the text is compared. Literals of one to three bytes have a
//! bitmap of their first two bytes, asked in the same loop.
//!
//! What is found is exactly what an Aho-Corasick automaton finds with overlapping matches (a test holds it); on texts
//! that hold few of the literals it costs a quarter, and it is built in no time: nothing of it is in an image.

/// Bytes of a gram.
const GRAM: usize = 4;
/// 2³² divided by the golden ratio, as Knuth has it.
const SPREAD: u32 = 0x9e37_79b1;
/// The bitmap of the grams of few literals fits the first-level cache beside all else; that of many just about.
const FEW_BITS: u32 = 15;
const MANY_BITS: u32 = 18;
/// From here on they are many: one bit in sixteen is set.
const MANY: usize = (1 << FEW_BITS) / 16;
/// The bitmap of literals that have no gram.
const SHORT_BITS: u32 = 16;
const SHORT_BYTES: usize = (1 << SHORT_BITS) / 8;
/// The three bytes of a window that it is asked about.
const TRIPLE: u32 = 0x00ff_ffff;

static NO_SHORT: [u8; SHORT_BYTES] = [0; SHORT_BYTES];

/// A set of literals, numbered in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct GramSet {
    literals: Vec<Box<[u8]>>,
    bitmap: Vec<u8>,
    /// Open addressing; a power of two.
    slots: Vec<Slot>,
    /// The literals of the slots, side by side.
    members: Vec<Member>,
    /// Empty when no literal is short.
    short_bitmap: Vec<u8>,
    short: Vec<Short>,
}

/// A literal of one to three bytes.
#[derive(Debug, Clone, Copy)]
struct Short {
    bytes: u32,
    /// Which bytes of a window it has.
    mask: u32,
    literal: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    gram: u32,
    first: u32,
    /// 0: the slot is free.
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    literal: u32,
    /// Where its gram is in it.
    offset: u32,
}

/// A literal that stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub start: usize,
    pub literal: usize,
}

impl GramSet {
    /// Empty literals are never found.
    pub fn new<L: AsRef<[u8]>>(literals: impl IntoIterator<Item = L>) -> GramSet {
        let literals: Vec<Box<[u8]>> = literals.into_iter().map(|literal| literal.as_ref().into()).collect();
        let mut set = GramSet { literals, ..GramSet::default() };
        let mut grams: Vec<(u32, Member)> = Vec::new();
        for (number, literal) in (0u32..).zip(&set.literals) {
            match rarest(literal) {
                Some(offset) => {
                    grams.push((word(&literal[offset as usize..]), Member { literal: number, offset }));
                }
                None if literal.is_empty() => {}
                None => {
                    let mask = (1 << (8 * literal.len())) - 1;
                    set.short.push(Short { bytes: word(literal), mask, literal: number });
                }
            }
        }
        grams.sort_by_key(|(gram, member)| (*gram, member.literal));
        set.build_slots(&grams);
        set.build_short();
        set
    }

    fn build_slots(&mut self, grams: &[(u32, Member)]) {
        if self.literals.is_empty() {
            return;
        }
        // Never full: whoever looks for what is not there comes upon a free slot.
        self.slots = vec![Slot::default(); (2 * grams.len()).next_power_of_two()];
        let bits = if self.slots.len() < 2 * MANY { FEW_BITS } else { MANY_BITS };
        self.bitmap = vec![0; 1 << (bits - 3)];
        for group in grams.chunk_by(|a, b| a.0 == b.0) {
            let gram = group[0].0;
            let bit = spread(gram) >> (32 - bits);
            self.bitmap[bit as usize / 8] |= 1 << (bit % 8);
            let mut at = spread(gram) as usize & (self.slots.len() - 1);
            while self.slots[at].count > 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = Slot { gram, first: self.members.len() as u32, count: group.len() as u32 };
            self.members.extend(group.iter().map(|(_, member)| *member));
        }
    }

    fn build_short(&mut self) {
        if self.short.is_empty() {
            return;
        }
        let mut bitmap = vec![0; SHORT_BYTES];
        for short in &self.short {
            match *self.literals[short.literal as usize] {
                [a, b, c, ..] => set_triple(&mut bitmap, [a, b, c, 0]),
                [a, b] => (0..=255).for_each(|c| set_triple(&mut bitmap, [a, b, c, 0])),
                [a] => (0..=u16::MAX).map(u16::to_le_bytes).for_each(|[b, c]| set_triple(&mut bitmap, [a, b, c, 0])),
                [] => {}
            }
        }
        self.short_bitmap = bitmap;
    }

    pub fn is_empty(&self) -> bool {
        self.literals.is_empty()
    }

    /// Calls `visit` with every place where a literal stands, in no promised order.
    #[inline]
    pub fn find(&self, text: &[u8], mut visit: impl FnMut(Found)) {
        match (self.slots.len() < 2 * MANY, self.short.is_empty()) {
            (true, true) => self.scan::<FEW_BITS, false>(text, &mut visit),
            (false, true) => self.scan::<MANY_BITS, false>(text, &mut visit),
            (true, false) => self.scan::<FEW_BITS, true>(text, &mut visit),
            (false, false) => self.scan::<MANY_BITS, true>(text, &mut visit),
        }
    }

    /// Eight bytes are loaded at once and hold the next four windows of four; behind the text there are zeros.
    #[inline]
    fn scan<const BITS: u32, const SHORT: bool>(&self, text: &[u8], visit: &mut impl FnMut(Found)) {
        let Some(bitmap) = self.bitmap.get(..1 << (BITS - 3)) else { return };
        let short: &[u8; SHORT_BYTES] = self.short_bitmap.first_chunk().unwrap_or(&NO_SHORT);
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let eight = u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| padded(rest)));
            let mut candidates = 0u32;
            for i in 0..4 {
                let window = (eight >> (8 * i)) as u32;
                let bit = spread(window) >> (32 - BITS);
                let mut byte = u32::from(bitmap[(bit >> 3) as usize]) >> (bit & 7);
                if SHORT {
                    let bit = spread(window & TRIPLE) >> (32 - SHORT_BITS);
                    byte |= u32::from(short[(bit >> 3) as usize]) >> (bit & 7);
                }
                candidates |= (byte & 1) << i;
            }
            while candidates != 0 {
                let i = candidates.trailing_zeros();
                if at + (i as usize) < text.len() {
                    self.try_at::<SHORT>(text, at + i as usize, (eight >> (8 * i)) as u32, visit);
                }
                candidates &= candidates - 1;
            }
            at += GRAM;
        }
    }

    #[inline]
    fn try_at<const SHORT: bool>(&self, text: &[u8], at: usize, window: u32, visit: &mut impl FnMut(Found)) {
        self.try_gram(text, at, window, visit);
        if SHORT {
            for short in &self.short {
                // A zero of the text is one, those behind it are not.
                if window & short.mask == short.bytes && self.stands(text, at, short.literal) {
                    visit(Found { start: at, literal: short.literal as usize });
                }
            }
        }
    }

    fn stands(&self, text: &[u8], start: usize, literal: u32) -> bool {
        text[start..].starts_with(&self.literals[literal as usize])
    }

    #[inline]
    fn try_gram(&self, text: &[u8], at: usize, gram: u32, visit: &mut impl FnMut(Found)) {
        let mut slot = spread(gram) as usize & (self.slots.len() - 1);
        loop {
            let Slot { gram: held, first, count } = self.slots[slot];
            if count == 0 {
                return;
            }
            if held == gram {
                for member in &self.members[first as usize..(first + count) as usize] {
                    if let Some(start) = at.checked_sub(member.offset as usize)
                        && self.stands(text, start, member.literal)
                    {
                        visit(Found { start, literal: member.literal as usize });
                    }
                }
                return;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

fn padded(rest: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    eight
}

/// The first four bytes, or as many as there are.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(GRAM).rev().fold(0, |word, &b| word << 8 | u32::from(b))
}

#[inline]
fn spread(gram: u32) -> u32 {
    gram.wrapping_mul(SPREAD)
}

fn set_triple(bitmap: &mut [u8], bytes: [u8; 4]) {
    let bit = spread(u32::from_le_bytes(bytes)) >> (32 - SHORT_BITS);
    bitmap[bit as usize / 8] |= 1 << (bit % 8);
}

/// Where the rarest four bytes of a literal are; the first of equals.
fn rarest(literal: &[u8]) -> Option<u32> {
    let weight = |gram: &[u8]| gram.iter().map(|&b| u32::from(frequency(b))).sum::<u32>();
    literal.windows(GRAM).enumerate().min_by_key(|(_, gram)| weight(gram)).map(|(offset, _)| offset as u32)
}

/// How common a byte is in URLs and in French and English text, by and large: only the order matters.
fn frequency(b: u8) -> u8 {
    match b {
        b'e' | b's' | b' ' => 12,
        b'a' | b'i' | b'n' | b'r' | b't' | b'o' => 10,
        b'/' | b'.' | b'c' | b'l' | b'm' | b'd' | b'u' | b'p' => 8,
        b'g' | b'h' | b'w' | b'b' | b'f' | b'v' | b'-' | b'=' => 6,
        b'0'..=b'9' | b'&' | b'%' | b'_' | b'y' => 5,
        b'j' | b'k' | b'q' | b'x' | b'z' | b'?' => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(literals: &[Vec<u8>], text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        GramSet::new(literals).find(text, |place| found.push(place));
        found.sort_unstable();
        found
    }

    fn by_automaton(literals: &[Vec<u8>], text: &[u8]) -> Vec<Found> {
        let automaton = aho_corasick::AhoCorasick::new(literals).unwrap();
        let places = automaton.find_overlapping_iter(text);
        let mut found: Vec<Found> =
            places.map(|hit| Found { start: hit.start(), literal: hit.pattern().as_usize() }).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_set_of_nothing_finds_nothing() {
        assert_eq!(found(&[], b"text"), []);
        assert_eq!(found(&[vec![]], b"text"), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn of_many_literals_too(seed in any::<u64>(), text in "[a-f]{0,80}") {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize
            };
            let literals: Vec<Vec<u8>> =
                (0..3000).map(|_| (0..1 + next() % 7).map(|_| b'a' + (next() % 6) as u8).collect()).collect();
            prop_assert_eq!(found(&literals, text.as_bytes()), by_automaton(&literals, text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn it_finds_exactly_what_an_automaton_finds(
            literals in prop::collection::vec(prop::collection::vec(prop_oneof![9 => b'a'..=b'c', 1 => Just(0)], 1..9), 0..12),
            long in any::<bool>(),
            text in prop::collection::vec(prop_oneof![9 => b'a'..=b'c', 1 => Just(0)], 0..60),
        ) {
            let literals: Vec<Vec<u8>> = literals.into_iter().filter(|l| !long || l.len() >= 4).collect();
            prop_assert_eq!(found(&literals, &text), by_automaton(&literals, &text));
        }
    }
}
