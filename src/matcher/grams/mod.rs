//! Thousands of literals, found in a text at some bytes a nanosecond: tables behind a bitmap.
//!
//! Of each literal of five bytes and more its rarest five are its *key*: two *grams* of four bytes, side by side. Wherever
//! the literal stands, one of the two is at an even place of the text, so that only even places are looked at. A bitmap
//! ([`cells`]) says of four bytes whether they may be a gram; nearly all are not, and that is all that happens to them: a
//! multiplication and a bit, of eight places at once where the processor can ([`avx2`]). Where they may be, the literals
//! with that key are compared ([`buckets`]). Shorter literals are in the same bitmap, with whatever may stand beside them.
//!
//! What is found is exactly what an Aho-Corasick automaton over the whole text finds with overlapping matches (a test
//! holds it), and each place costs at most the longest literal, however many literals share a key.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod buckets;
mod cells;

use std::collections::HashMap;

use super::rarity::rarity;
use buckets::{Buckets, Keyed, eight};
use cells::{Cells, FEW, MANY, NO_PAIRS, Pairs, look, look_at_pairs};

/// Bytes of a gram.
const GRAM: usize = 4;
/// Literals of at least so many bytes have two grams side by side.
const LONG: usize = GRAM + 1;
/// Shorter ones are kept by so many bytes.
const SHORT: usize = 2;
/// From here on they are many: one cell in sixteen is set.
const MANY_LITERALS: usize = (32 << FEW) / 32;
/// As [`rarity`] has it.
const BIT: u32 = 4;
/// Windows that are looked at in one go, and the bytes that they are in.
const WINDOWS: usize = 16;
const BLOCK: usize = 2 * WINDOWS + 8;

/// A set of literals, numbered in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct GramSet {
    cells: Cells,
    long: Buckets<LONG>,
    short: Buckets<SHORT>,
    /// Literals of one byte: the byte, the number.
    single: Vec<(u8, u32)>,
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
        let literals: Vec<L> = literals.into_iter().collect();
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for gram in literals.iter().flat_map(|literal| literal.as_ref().windows(GRAM)) {
            *counts.entry(word(gram)).or_default() += 1;
        }
        let (mut long, mut short, mut single) = (Vec::new(), Vec::new(), Vec::new());
        for (number, literal) in (0u32..).zip(&literals) {
            let literal = literal.as_ref();
            match (literal, rarest(literal, |gram| counts.get(&word(gram)).copied().unwrap_or(1))) {
                ([], _) => {}
                ([b], _) => single.push((*b, number)),
                (_, Some(key_at)) => long.push(Keyed { literal, number, key_at }),
                (_, None) => short.push(Keyed { literal, number, key_at: 0 }),
            }
        }
        let mut cells = Cells::new(if long.len() < MANY_LITERALS { FEW } else { MANY });
        long.iter().chain(&short).for_each(|keyed| cells.mark(&keyed.literal[keyed.key_at..]));
        single.iter().for_each(|(b, _)| cells.mark(&[*b]));
        GramSet { cells, long: Buckets::new(long), short: Buckets::new(short), single }
    }

    pub fn is_empty(&self) -> bool {
        self.long.is_empty() && self.short.is_empty() && self.single.is_empty()
    }

    /// Calls `visit` with every place where a literal stands, in no promised order.
    #[inline]
    pub fn find(&self, text: &[u8], mut visit: impl FnMut(Found)) {
        if self.is_empty() {
            return;
        }
        match (self.cells.rows::<FEW>(), self.cells.rows::<MANY>(), self.cells.pairs()) {
            (Some(rows), _, None) => self.scan::<FEW, false>(rows, &NO_PAIRS, text, &mut visit),
            (Some(rows), _, Some(pairs)) => self.scan::<FEW, true>(rows, pairs, text, &mut visit),
            (_, Some(rows), None) => self.scan::<MANY, false>(rows, &NO_PAIRS, text, &mut visit),
            (_, Some(rows), Some(pairs)) => self.scan::<MANY, true>(rows, pairs, text, &mut visit),
            (None, None, _) => {}
        }
    }

    #[inline]
    fn scan<const ROWS: u32, const PAIRS: bool>(
        &self,
        rows: &[u32],
        pairs: &Pairs,
        text: &[u8],
        visit: &mut impl FnMut(Found),
    ) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was asked.
            #[expect(unsafe_code, reason = "what only some processors do")]
            return unsafe { self.scan_by_eight::<ROWS, PAIRS>(rows, pairs, text, visit) };
        }
        self.scan_blocks(text, |block| candidates::<ROWS, PAIRS>(rows, pairs, block), visit);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn scan_by_eight<const ROWS: u32, const PAIRS: bool>(
        &self,
        rows: &[u32],
        pairs: &Pairs,
        text: &[u8],
        visit: &mut impl FnMut(Found),
    ) {
        self.scan_blocks(text, |block| avx2::candidates::<ROWS, PAIRS>(rows, pairs, block), visit);
    }

    /// `candidates` says which windows of a block may be of a literal.
    #[inline(always)]
    fn scan_blocks(&self, text: &[u8], candidates: impl Fn(&[u8; BLOCK]) -> u32, visit: &mut impl FnMut(Found)) {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let behind;
            let block = match rest.first_chunk() {
                Some(block) => block,
                None => {
                    behind = padded(rest);
                    &behind
                }
            };
            let mut candidates = candidates(block);
            while candidates != 0 {
                self.ask(text, at + 2 * candidates.trailing_zeros() as usize, visit);
                candidates &= candidates - 1;
            }
            at += 2 * WINDOWS;
        }
    }

    /// Every literal that a window may be of: one whose key begins there or one byte before, a short one that begins there
    /// or one byte behind.
    #[inline]
    fn ask(&self, text: &[u8], place: usize, visit: &mut impl FnMut(Found)) {
        // From one byte before on.
        let near = match place.checked_sub(1) {
            Some(before) => {
                let near = eight(text, before);
                self.long.find(text, before, near, visit);
                near
            }
            None => eight(text, place) << 8,
        };
        self.long.find(text, place, near >> 8, visit);
        if !self.short.is_empty() {
            self.short.find(text, place, near >> 8, visit);
            self.short.find(text, place + 1, near >> 16, visit);
        }
        for &(b, literal) in &self.single {
            let places = [place, place + 1].into_iter().filter(|at| text.get(*at) == Some(&b));
            places.for_each(|start| visit(Found { start, literal: literal as usize }));
        }
    }
}

/// The windows of a block that may be of a literal, a bit each.
#[inline(always)]
fn candidates<const ROWS: u32, const PAIRS: bool>(rows: &[u32], pairs: &Pairs, block: &[u8; BLOCK]) -> u32 {
    let mut found = 0;
    for i in 0..WINDOWS {
        let window = block[2 * i..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
        let mut bit = look::<ROWS>(rows, window);
        if PAIRS {
            bit |= look_at_pairs(pairs, window);
        }
        found |= (bit & 1) << i;
    }
    found
}

/// Behind the text there are zeros.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let length = rest.len().min(BLOCK);
    block[..length].copy_from_slice(&rest[..length]);
    block
}

/// The first four bytes, or as many as there are.
pub fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(GRAM).rev().fold(0, |word, &b| word << 8 | u32::from(b))
}

/// How well a literal tells one text from another: by its rarest five bytes, or by all if there are fewer.
pub fn worth(literal: &[u8]) -> u32 {
    rarest(literal, |_| 1).map_or_else(|| rarity(literal), |at| cost(&literal[at..at + LONG], |_| 1))
}

/// Whether a literal has no four bytes that tell one URL from another.
pub fn is_common(literal: &[u8]) -> bool {
    literal.windows(GRAM).all(|gram| COMMON.iter().any(|common| *common == gram))
}

/// What stands in nearly every URL.
const COMMON: [&[u8; GRAM]; 18] = [
    b"http", b"ttps", b"tps:", b"ps:/", b"s://", b"://w", b"//ww", b"/www", b"www.", b".com", b"com/", b".net",
    b"net/", b".org", b"org/", b"imag", b"mage", b"ages",
];

/// Where the rarest five bytes of a literal are; the first of equals. `None`: it has not so many. `count` says how many
/// literals hold a gram.
fn rarest(literal: &[u8], count: impl Fn(&[u8]) -> u32) -> Option<usize> {
    let five = literal.windows(LONG).enumerate();
    five.min_by_key(|(_, five)| std::cmp::Reverse(cost(five, &count))).map(|(offset, _)| offset)
}

/// The commoner of both grams decides how often somebody looks in vain. What stands in many literals stands in many
/// texts, whatever the pages say of it.
fn cost(five: &[u8], count: impl Fn(&[u8]) -> u32) -> u32 {
    let worth = |gram: &[u8]| {
        let is_common = COMMON.iter().any(|common| *common == gram);
        if is_common { 0 } else { rarity(gram).saturating_sub(BIT * count(gram).max(1).ilog2()) }
    };
    worth(&five[..GRAM]).min(worth(&five[1..]))
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
        let zeros = [vec![0], vec![0; 2], vec![0; 3], vec![0; 6]];
        (0..40).for_each(|length| assert_eq!(found(&zeros, &vec![b'a'; length]), []));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn of_many_literals_too(seed in any::<u64>(), letters in 2..7usize, text in "[a-f]{0,80}") {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize
            };
            let literals: Vec<Vec<u8>> =
                (0..1000).map(|_| (0..1 + next() % 9).map(|_| b'a' + (next() % letters) as u8).collect()).collect();
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
    #[cfg(target_arch = "x86_64")]
    proptest! {
        #[test]
        fn eight_at_once_are_as_one_by_one(
            literals in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 1..300),
            block in prop::collection::vec(any::<u8>(), BLOCK),
        ) {
            let set = GramSet::new(&literals);
            let (rows, pairs) = (set.cells.rows::<FEW>().unwrap(), set.cells.pairs().unwrap_or(&NO_PAIRS));
            let block: &[u8; BLOCK] = block.first_chunk().unwrap();
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor was asked.
                #[expect(unsafe_code, reason = "what only some processors do")]
                let (with, without) = unsafe {
                    (avx2::candidates::<FEW, true>(rows, pairs, block), avx2::candidates::<FEW, false>(rows, pairs, block))
                };
                prop_assert_eq!(with, candidates::<FEW, true>(rows, pairs, block));
                prop_assert_eq!(without, candidates::<FEW, false>(rows, pairs, block));
            }
        }
    }
}
