//! The literals behind the bitmap: by the bytes at which they are recognised, compared one by one.

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

use super::Found;

/// 2⁶⁴ divided by the golden ratio, as Knuth has it.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// So many literals with the same key are compared one by one; more are left to an automaton.
const CROWD: usize = 64;
/// Bits of the filter for each slot.
const FILTER: usize = 16;

/// A literal, and the place in it where its key stands.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    pub literal: &'a [u8],
    pub number: u32,
    pub key_at: usize,
}

/// Literals by `KEY` bytes of theirs, at most eight.
#[derive(Debug, Clone)]
pub struct Buckets<const KEY: usize> {
    /// Whether there is a key with that hash: sixteen bits a slot.
    filter: Vec<u64>,
    /// What a hash is shifted by to be a bit of the filter.
    shift: u32,
    /// By slot: where its members begin; one more than there are slots.
    starts: Vec<u32>,
    members: Vec<Member>,
    /// Of the literals that are too many for their key, from it on.
    crowds: Option<NFA>,
    /// By pattern of the automaton.
    crowded: Vec<(u32, Box<[u8]>)>,
}

#[derive(Debug, Clone)]
struct Member {
    /// Up to eight bytes from the key on, and which bytes of a text are compared with them.
    head: u64,
    mask: u64,
    key_at: usize,
    /// A crowd has no text.
    literal: Option<Box<[u8]>>,
    number: u32,
}

impl<const KEY: usize> Default for Buckets<KEY> {
    fn default() -> Self {
        Buckets {
            filter: Vec::new(),
            shift: 0,
            starts: Vec::new(),
            members: Vec::new(),
            crowds: None,
            crowded: Vec::new(),
        }
    }
}

impl<const KEY: usize> Buckets<KEY> {
    /// Each literal has its whole key.
    pub fn new(mut literals: Vec<Keyed<'_>>) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let slots = 2 * literals.len().next_power_of_two().max(4);
        let shift = 64 - (FILTER * slots).ilog2();
        let key_of = |keyed: &Keyed<'_>| eight(keyed.literal, keyed.key_at) & first_bytes(KEY);
        literals.sort_by_key(|keyed| (place(key_of(keyed), shift), key_of(keyed)));
        let filter = vec![0; slots * FILTER / 64];
        let mut buckets = Self { filter, shift, starts: vec![0; slots + 1], ..Self::default() };
        let mut tails = Vec::new();
        for group in literals.chunk_by(|a, b| key_of(a) == key_of(b)) {
            let key = key_of(&group[0]);
            if group.len() > CROWD {
                for keyed in group {
                    buckets.crowded.push((keyed.number, keyed.literal[..keyed.key_at].into()));
                    tails.push(&keyed.literal[keyed.key_at..]);
                }
                let crowd = Member { head: key, mask: first_bytes(KEY), key_at: 0, literal: None, number: 0 };
                buckets.members.push(crowd);
            } else {
                buckets.members.extend(group.iter().map(Member::of));
            }
            let place = place(key, shift);
            buckets.filter[place / 64] |= 1 << (place % 64);
            buckets.starts[place / FILTER + 1] = buckets.members.len() as u32;
        }
        let mut end = 0;
        for start in &mut buckets.starts {
            end = end.max(*start);
            *start = end;
        }
        buckets.crowds = (!tails.is_empty()).then(|| {
            let automaton = NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(&tails);
            automaton.expect("literals of one image are far fewer bytes than the 2^31 states there can be")
        });
        buckets
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Every literal whose key stands at `at`, where the text goes on with `bytes`, of which the key's are looked at.
    #[inline(always)]
    pub fn find(&self, text: &[u8], at: usize, bytes: u64, visit: &mut impl FnMut(Found)) {
        let place = place(bytes & first_bytes(KEY), self.shift);
        if self.filter.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 != 0) {
            self.compare(text, at, place / FILTER, visit);
        }
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, slot: usize, visit: &mut impl FnMut(Found)) {
        let eight = eight(text, at);
        let (first, end) = (self.starts[slot], self.starts[slot + 1]);
        for member in &self.members[first as usize..end as usize] {
            if eight & member.mask != member.head {
                continue;
            }
            let Some(literal) = &member.literal else {
                self.walk(text, at, visit);
                continue;
            };
            if let Some(start) = at.checked_sub(member.key_at)
                // Zeros behind the text may look like a literal.
                && text.get(start..).is_some_and(|rest| rest.starts_with(literal))
            {
                visit(Found { start, literal: member.number as usize });
            }
        }
    }

    /// Every literal of a crowd whose key stands there.
    #[cold]
    fn walk(&self, text: &[u8], at: usize, visit: &mut impl FnMut(Found)) {
        // An automaton that was built without a choice of its starts has both.
        let Some(automaton) = &self.crowds else { return };
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
                let (number, before) = &self.crowded[pattern.as_usize()];
                // A state also tells of literals that end here and began later.
                if automaton.pattern_len(pattern) == length && text[..at].ends_with(before) {
                    visit(Found { start: at - before.len(), literal: *number as usize });
                }
            }
        }
    }
}

impl Member {
    fn of(keyed: &Keyed<'_>) -> Member {
        let mask = first_bytes(keyed.literal.len() - keyed.key_at);
        let head = eight(keyed.literal, keyed.key_at) & mask;
        Member { head, mask, key_at: keyed.key_at, literal: Some(keyed.literal.into()), number: keyed.number }
    }
}

/// Eight bytes at a place, zeros behind the text.
#[inline(always)]
pub fn eight(text: &[u8], at: usize) -> u64 {
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

#[inline(always)]
fn first_bytes(count: usize) -> u64 {
    u64::MAX >> (64 - 8 * count.clamp(1, 8))
}

/// The bit of the filter.
#[inline(always)]
fn place(key: u64, shift: u32) -> usize {
    (key.wrapping_mul(SPREAD) >> shift) as usize
}
