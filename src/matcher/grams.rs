//! Thousands of literals, found in a text at a byte or two a nanosecond: an Aho-Corasick automaton behind a bitmap.
//!
//! Of each literal its rarest four bytes are taken, its *gram*. A bitmap says of every four bytes of the text whether
//! they may be a gram; nearly all are not, and that is all that happens to them: a multiplication and a bit. Where they
//! may be, the automaton of all literals, each from its gram on, is walked from there, anchored, as far as it goes; what
//! stands before the gram is compared. Literals of one to three bytes have a bitmap of their own, asked in the same loop.
//!
//! What is found is exactly what an automaton over the whole text finds with overlapping matches (a test holds it), and
//! each place costs at most the longest literal, however many literals share a gram.

use std::collections::HashMap;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

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
    bitmap: Vec<u8>,
    /// Empty when no literal is short.
    short_bitmap: Vec<u8>,
    /// Of every literal from its gram on; `None`: there are none.
    automaton: Option<NFA>,
    /// By pattern of the automaton.
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    literal: u32,
    /// What stands before its gram.
    before: Box<[u8]>,
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
        // What many literals hold is common in the texts that they are meant for, too.
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for literal in &literals {
            literal.as_ref().windows(GRAM).for_each(|gram| *shared.entry(word(gram)).or_default() += 1);
        }
        let mut set = GramSet::default();
        let (mut tails, mut grams, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (number, literal) in (0u32..).zip(&literals) {
            let literal = literal.as_ref();
            if literal.is_empty() {
                continue;
            }
            let offset = rarest(literal, &shared);
            let (before, tail) = literal.split_at(offset.unwrap_or(0) as usize);
            match offset {
                Some(_) => grams.push(word(tail)),
                None => short.push(tail),
            }
            set.members.push(Member { literal: number, before: before.into() });
            tails.push(tail);
        }
        if tails.is_empty() {
            return set;
        }
        let bits = if grams.len() < MANY { FEW_BITS } else { MANY_BITS };
        set.bitmap = vec![0; 1 << (bits - 3)];
        for gram in grams {
            let bit = spread(gram) >> (32 - bits);
            set.bitmap[bit as usize / 8] |= 1 << (bit % 8);
        }
        set.short_bitmap = bitmap_of(&short);
        let automaton = NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(&tails);
        set.automaton =
            Some(automaton.expect("literals of one image are far fewer bytes than the 2^31 states there can be"));
        set
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Calls `visit` with every place where a literal stands, in no promised order.
    #[inline]
    pub fn find(&self, text: &[u8], mut visit: impl FnMut(Found)) {
        let Some(automaton) = &self.automaton else { return };
        match (self.bitmap.len() == 1 << (FEW_BITS - 3), self.short_bitmap.is_empty()) {
            (true, true) => self.scan::<FEW_BITS, false>(automaton, text, &mut visit),
            (false, true) => self.scan::<MANY_BITS, false>(automaton, text, &mut visit),
            (true, false) => self.scan::<FEW_BITS, true>(automaton, text, &mut visit),
            (false, false) => self.scan::<MANY_BITS, true>(automaton, text, &mut visit),
        }
    }

    /// Eight bytes are loaded at once and hold the next four windows of four; behind the text there are zeros.
    #[inline]
    fn scan<const BITS: u32, const SHORT: bool>(&self, automaton: &NFA, text: &[u8], visit: &mut impl FnMut(Found)) {
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
                self.walk(automaton, text, at + candidates.trailing_zeros() as usize, visit);
                candidates &= candidates - 1;
            }
            at += GRAM;
        }
    }

    /// Every literal whose gram stands here, or that begins here and has none.
    #[inline]
    fn walk(&self, automaton: &NFA, text: &[u8], at: usize, visit: &mut impl FnMut(Found)) {
        // An automaton that was built without a choice of its starts has both. Windows may begin behind the text.
        let (Ok(mut state), Some(rest)) = (automaton.start_state(Anchored::Yes), text.get(at..)) else { return };
        for (length, &b) in (1usize..).zip(rest) {
            state = automaton.next_state(Anchored::Yes, state, b);
            if !automaton.is_special(state) {
                continue;
            }
            if automaton.is_dead(state) {
                return;
            }
            if !automaton.is_match(state) {
                continue;
            }
            for i in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, i);
                let Member { literal, before } = &self.members[pattern.as_usize()];
                // A state also tells of literals that end here and began later.
                if automaton.pattern_len(pattern) == length && text[..at].ends_with(before) {
                    visit(Found { start: at - before.len(), literal: *literal as usize });
                }
            }
        }
    }
}

/// Of literals without a gram; empty where there are none.
fn bitmap_of(short: &[&[u8]]) -> Vec<u8> {
    if short.is_empty() {
        return Vec::new();
    }
    let mut bitmap = vec![0; SHORT_BYTES];
    for literal in short {
        match **literal {
            [a, b, c, ..] => set_triple(&mut bitmap, [a, b, c, 0]),
            [a, b] => (0..=255).for_each(|c| set_triple(&mut bitmap, [a, b, c, 0])),
            [a] => (0..=u16::MAX).map(u16::to_le_bytes).for_each(|[b, c]| set_triple(&mut bitmap, [a, b, c, 0])),
            [] => {}
        }
    }
    bitmap
}

fn padded(rest: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    eight
}

/// The first four bytes, or as many as there are.
pub fn word(bytes: &[u8]) -> u32 {
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

/// Whether a literal has no four bytes that tell one URL from another.
pub fn is_common(literal: &[u8]) -> bool {
    literal.windows(GRAM).all(|gram| COMMON.iter().any(|common| *common == gram))
}

/// What stands in nearly every URL.
const COMMON: [&[u8; GRAM]; 18] = [
    b"http", b"ttps", b"tps:", b"ps:/", b"s://", b"://w", b"//ww", b"/www", b"www.", b".com", b"com/", b".net",
    b"net/", b".org", b"org/", b"imag", b"mage", b"ages",
];

/// Where the rarest four bytes of a literal are; the first of equals.
fn rarest(literal: &[u8], shared: &HashMap<u32, u32>) -> Option<u32> {
    let weight = |gram: &[u8]| match COMMON.iter().any(|common| *common == gram) {
        true => u32::MAX,
        false => {
            let by_letters: u32 = gram.iter().map(|&b| u32::from(frequency(b))).sum();
            by_letters + 8 * shared.get(&word(gram)).map_or(0, |count| count.ilog2())
        }
    };
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
