//! One pass over a host from the right gives the hash of each of its suffixes.
//!
//! A label at a time is folded into the state (64 × 64 → 128 bits, halves xored, as in wyhash and foldhash). The seed is
//! the compiler's: it takes the next one when two names of a list collide.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::TOP_FILTER_BYTES;

// The first digits of π, as everybody takes them: nothing up the sleeve.
const PI_0: u64 = 0x243f_6a88_85a3_08d3;
const PI_1: u64 = 0x1319_8a2e_0370_7344;
const PI_2: u64 = 0xa409_3822_299f_31d0;

/// What makes the hashes of one image its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The hash of a name: the upper half says in which line it lives, the lower half is its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash(pub u64);

impl Seed {
    /// The n-th seed that a compiler tries: the same text gives the same image.
    pub fn nth(attempt: u64) -> Seed {
        Seed(fold(PI_0 ^ attempt, PI_1))
    }

    /// The hashes of `name`'s suffixes at each label, shortest first, each with where it starts.
    #[inline]
    pub fn suffixes(self, name: &str) -> Suffixes<'_> {
        Suffixes { state: self.0, name: name.as_bytes(), end: Some(name.len()) }
    }

    /// The hash of the whole name.
    pub fn hash(self, name: &str) -> NameHash {
        self.suffixes(name).last().map_or(NameHash(self.0), |(hash, _)| hash)
    }
}

impl NameHash {
    /// The names of an image sorted by hash are sorted by home line, too.
    #[inline]
    pub fn home(self, home_lines: u32) -> usize {
        (((self.0 >> 32) * u64::from(home_lines)) >> 32) as usize
    }

    #[inline]
    pub fn fingerprint(self) -> u32 {
        self.0 as u32
    }

    /// The byte of the filter of single labels, and the bit in it.
    pub fn top_filter_bit(self) -> (usize, u8) {
        (self.0 as usize >> 3 & (TOP_FILTER_BYTES - 1), 1 << (self.0 & 7))
    }
}

/// Whatever is kept by the hash of a name, which is as good a hash as any.
pub type ByHash<T> = HashMap<NameHash, T, BuildHasherDefault<AsItIs>>;

/// Hashes a hash to itself.
#[derive(Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = self.0.rotate_left(8) ^ u64::from(b));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// See [`Seed::suffixes`].
#[derive(Debug, Clone)]
pub struct Suffixes<'a> {
    state: u64,
    name: &'a [u8],
    end: Option<usize>,
}

impl Iterator for Suffixes<'_> {
    type Item = (NameHash, usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.name.get(..self.end?)?;
        let start = after_last_dot(rest);
        self.state = absorb(self.state, &rest[start..]);
        self.end = start.checked_sub(1);
        Some((NameHash(self.state), start))
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn absorb(mut state: u64, label: &[u8]) -> u64 {
    let mut rest = label;
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        if tail.is_empty() {
            break;
        }
        state = fold(word(&head[..8]) ^ state, word(&head[8..]) ^ PI_1);
        rest = tail;
    }
    let (low, high) = match rest.len() {
        8.. => (word(rest), word(&rest[rest.len() - 8..])),
        4.. => (half(rest), half(&rest[rest.len() - 4..])),
        0 => (0, 0),
        len => (u64::from(rest[0]) | u64::from(rest[len / 2]) << 8, u64::from(rest[len - 1])),
    };
    fold(low ^ state, high ^ PI_2 ^ (label.len() as u64) << 56)
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn half(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// Where the last label begins.
#[inline]
fn after_last_dot(text: &[u8]) -> usize {
    const DOTS: u64 = u64::from_ne_bytes([b'.'; 8]);
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let mut end = text.len();
    while let Some(chunk) = text[..end].last_chunk::<8>() {
        let x = u64::from_le_bytes(*chunk) ^ DOTS;
        // Exactly the bytes that are zero, that is, dots, get their top bit.
        let dots = !(((x & LOW) + LOW) | x | LOW);
        if dots != 0 {
            return end - dots.leading_zeros() as usize / 8;
        }
        end -= 8;
    }
    text[..end].iter().rposition(|&b| b == b'.').map_or(0, |dot| dot + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_hashes_as_the_name_it_is() {
        let seed = Seed::nth(0);
        let host = "a.bb.a-label-of-more-than-sixteen-letters.example.fr";
        let mut starts = Vec::new();
        for (hash, start) in seed.suffixes(host) {
            assert_eq!(hash, seed.hash(&host[start..]));
            starts.push(&host[start..]);
        }
        assert_eq!(starts.len(), 5);
        assert_eq!(starts[1], "example.fr");
        assert_ne!(seed.hash("a.b"), seed.hash("ab"));
        assert_ne!(seed.hash("a.b"), Seed::nth(1).hash("a.b"));
    }

    proptest::proptest! {
        #[test]
        fn the_last_label_is_found(text in "[a-c.]{0,30}") {
            let expected = text.rfind('.').map_or(0, |dot| dot + 1);
            proptest::prop_assert_eq!(after_last_dot(text.as_bytes()), expected);
        }

        #[test]
        fn different_names_hash_differently(a in "[a-c]{1,20}", b in "[a-c]{1,20}") {
            proptest::prop_assume!(a != b);
            proptest::prop_assert_ne!(Seed::nth(0).hash(&a), Seed::nth(0).hash(&b));
        }
    }
}
