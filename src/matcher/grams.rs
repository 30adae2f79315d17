//! Thousands of literals, found in a text at some bytes a nanosecond: an Aho-Corasick automaton behind bitmaps.
//!
//! Of each literal of five bytes and more its rarest five are taken: two *grams* of four, side by side. Wherever the
//! literal stands, one of the two is at an even place of the text, so that only even places are looked at. A bitmap says
//! of four bytes whether they may be a gram; nearly all are not, and that is all that happens to them: a multiplication
//! and a bit. Where they may be, the places around are asked for both grams; where these may be, the automaton of all
//! literals, each from its first gram on, is walked from there, anchored, as far as it goes; what stands before the gram
//! is compared. Shorter literals have two bitmaps of the three bytes that they begin with, one for each triple of the window:
//! a row for the two bytes in the middle, which both have, and a bit for the third.
//!
//! What is found is exactly what an automaton over the whole text finds with overlapping matches (a test holds it), and
//! each place costs at most the longest literal, however many literals share a gram.

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

use super::rarity::rarity;

/// Bytes of a gram.
const GRAM: usize = 4;
/// Literals of at least so many bytes have two grams side by side.
const LONG: usize = GRAM + 1;
/// 2⁶⁴ divided by the golden ratio, as Knuth has it.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Words of a bitmap of grams, 64 bits each: that of few literals fits the first-level cache beside all else, that of
/// many the second.
const FEW_WORDS: u32 = 9;
const MANY_WORDS: u32 = 13;
/// From here on they are many: one bit in sixteen is set.
const MANY: usize = (64 << FEW_WORDS) / 16;
/// Rows of the bitmaps of triples.
const ROWS: u32 = 11;
/// Windows that are looked at in one go, and the bytes that they are in.
const WINDOWS: usize = 16;
const BLOCK: usize = 2 * WINDOWS + 2;

/// By the hash of two bytes: which bytes may stand before them, and which behind, by their lower six bits.
type Triples = [[u64; 2]; 1 << ROWS];

static NO_TRIPLES: Triples = [[0; 2]; 1 << ROWS];

/// A set of literals, numbered in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct GramSet {
    /// First and second grams, together and each by themselves.
    grams: Vec<u64>,
    firsts: Vec<u64>,
    seconds: Vec<u64>,
    /// Empty when no literal is short.
    triples: Vec<[u64; 2]>,
    /// Of every literal from its first gram on; `None`: there are none.
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
        let mut set = GramSet::default();
        let (mut tails, mut firsts, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (number, literal) in (0u32..).zip(&literals) {
            let literal = literal.as_ref();
            if literal.is_empty() {
                continue;
            }
            let (before, tail) = literal.split_at(rarest(literal).unwrap_or(0));
            if tail.len() < LONG {
                short.push(tail)
            } else {
                firsts.push(tail)
            };
            set.members.push(Member { literal: number, before: before.into() });
            tails.push(tail);
        }
        if tails.is_empty() {
            return set;
        }
        let words = 1usize << if 2 * firsts.len() < MANY { FEW_WORDS } else { MANY_WORDS };
        set.firsts = bitmap_of(words, firsts.iter().map(|tail| word(tail)));
        set.seconds = bitmap_of(words, firsts.iter().map(|tail| word(&tail[1..])));
        set.grams = set.firsts.iter().zip(&set.seconds).map(|(first, second)| first | second).collect();
        if !short.is_empty() {
            set.triples = vec![[0; 2]; 1 << ROWS];
            short.into_iter().for_each(|literal| set_triples(&mut set.triples, literal));
        }
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
        match (self.grams.len() == 1 << FEW_WORDS, self.triples.is_empty()) {
            (true, true) => self.scan::<FEW_WORDS, false>(automaton, text, &mut visit),
            (false, true) => self.scan::<MANY_WORDS, false>(automaton, text, &mut visit),
            (true, false) => self.scan::<FEW_WORDS, true>(automaton, text, &mut visit),
            (false, false) => self.scan::<MANY_WORDS, true>(automaton, text, &mut visit),
        }
    }

    fn scan<const WORDS: u32, const SHORT: bool>(&self, automaton: &NFA, text: &[u8], visit: &mut impl FnMut(Found)) {
        let bitmaps = (self.grams.get(..1 << WORDS), self.firsts.get(..1 << WORDS), self.seconds.get(..1 << WORDS));
        let (Some(grams), Some(firsts), Some(seconds)) = bitmaps else { return };
        let triples: &Triples = self.triples.first_chunk().unwrap_or(&NO_TRIPLES);
        let begins = |at: usize| {
            let five = window(text, at);
            let (first, second) = (five as u32, (five >> 8) as u32);
            (is_in::<WORDS>(firsts, first) && is_in::<WORDS>(seconds, second)) || SHORT && at_first(triples, first) != 0
        };
        // The first place that was not asked whether a literal begins there.
        let mut next = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let behind;
            let block: &[u8; BLOCK] = match rest.first_chunk() {
                Some(block) => block,
                None => {
                    behind = padded(rest);
                    &behind
                }
            };
            let mut candidates = 0u32;
            for i in 0..WINDOWS {
                let window = block[2 * i..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
                let mut bit = bit_of::<WORDS>(grams, window);
                if SHORT {
                    bit |= at_first(triples, window) | at_second(triples, window);
                }
                candidates = candidates >> 1 | (bit as u32 & 1) << (WINDOWS - 1);
            }
            while candidates != 0 {
                let place = at + 2 * candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                // The grams may begin one byte before, a short literal one byte behind.
                for start in next.max(place.saturating_sub(1))..place + 2 {
                    if begins(start) {
                        self.walk(automaton, text, start, visit);
                    }
                }
                next = place + 2;
            }
            at += 2 * WINDOWS;
        }
    }

    /// Every literal whose first gram stands here, or that begins here and has none.
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

fn bitmap_of(words: usize, grams: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut bitmap = vec![0; words];
    for hash in grams.map(spread) {
        bitmap[(hash >> (64 - words.ilog2())) as usize] |= 1 << (hash >> 40 & 63);
    }
    bitmap
}

/// The gram's bit, lowest of the word.
#[inline]
fn bit_of<const WORDS: u32>(bitmap: &[u64], gram: u32) -> u64 {
    let hash = spread(gram);
    bitmap[(hash >> (64 - WORDS)) as usize] >> (hash >> 40 & 63)
}

#[inline]
fn is_in<const WORDS: u32>(bitmap: &[u64], gram: u32) -> bool {
    bit_of::<WORDS>(bitmap, gram) & 1 != 0
}

/// The three bytes that a literal of less than five begins with: whatever may follow where it is shorter itself.
fn set_triples(triples: &mut [[u64; 2]], literal: &[u8]) {
    match *literal {
        [a, b, c, ..] => {
            triples[row(word(&[b, c]))][0] |= 1 << (a & 63);
            triples[row(word(&[a, b]))][1] |= 1 << (c & 63);
        }
        [a, b] => {
            (0..=u8::MAX).for_each(|c| triples[row(word(&[b, c]))][0] |= 1 << (a & 63));
            triples[row(word(&[a, b]))][1] = u64::MAX;
        }
        [a] => {
            triples.iter_mut().for_each(|row| row[0] |= 1 << (a & 63));
            (0..=u8::MAX).for_each(|b| triples[row(word(&[a, b]))][1] = u64::MAX);
        }
        [] => {}
    }
}

/// Whether the first three bytes of a window may be such, in the lowest bit.
#[inline]
fn at_first(triples: &Triples, window: u32) -> u64 {
    triples[row(window >> 8 & 0xffff)][0] >> (window & 63) & 1
}

/// The same of the last three.
#[inline]
fn at_second(triples: &Triples, window: u32) -> u64 {
    triples[row(window >> 8 & 0xffff)][1] >> (window >> 24 & 63) & 1
}

#[inline]
fn row(pair: u32) -> usize {
    (pair.wrapping_mul(SPREAD as u32) >> (32 - ROWS)) as usize
}

/// Five bytes at a place and three more, zeros behind the text.
#[inline]
fn window(text: &[u8], at: usize) -> u64 {
    match text.get(at..at + 8).and_then(|eight| eight.first_chunk()) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => at_the_end(text, at),
    }
}

#[cold]
fn at_the_end(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(8).rev().fold(0, |window, &b| window << 8 | u64::from(b))
}

/// Behind the text there are zeros.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// The first four bytes, or as many as there are.
pub fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(GRAM).rev().fold(0, |word, &b| word << 8 | u32::from(b))
}

#[inline]
fn spread(gram: u32) -> u64 {
    u64::from(gram).wrapping_mul(SPREAD)
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

/// Where the rarest five bytes of a literal are; the first of equals. `None`: it has not so many.
fn rarest(literal: &[u8]) -> Option<usize> {
    let worth = |gram: &[u8]| if COMMON.iter().any(|common| *common == gram) { 0 } else { rarity(gram) };
    // The commoner of both decides how often somebody looks in vain.
    let cost = |five: &[u8]| std::cmp::Reverse(worth(&five[..GRAM]).min(worth(&five[1..])));
    literal.windows(LONG).enumerate().min_by_key(|(_, five)| cost(five)).map(|(offset, _)| offset)
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
