//! The answer of every look-up: a set of lists.

/// How many lists an image may hold: one bit each in a cache line.
pub const MAX_LISTS: usize = 512;
const WORDS: usize = MAX_LISTS / 64;

/// A list, as its index in [`crate::lists::Image::lists`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ListId(u16);

impl ListId {
    /// `None` when no image holds so many lists.
    pub fn new(index: usize) -> Option<Self> {
        (index < MAX_LISTS).then_some(ListId(index as u16))
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of lists, copied freely, iterated in the order of [`ListId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ListMatches([u64; WORDS]);

impl ListMatches {
    pub const EMPTY: ListMatches = ListMatches([0; WORDS]);

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn contains(&self, list: ListId) -> bool {
        self.0[list.index() / 64] >> (list.index() % 64) & 1 == 1
    }

    pub fn intersects(&self, other: &ListMatches) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub fn insert(&mut self, list: ListId) {
        self.0[list.index() / 64] |= 1 << (list.index() % 64);
    }

    pub fn union_with(&mut self, other: &ListMatches) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Takes every list of the other set out.
    pub fn subtract(&mut self, other: &ListMatches) {
        for (word, less) in self.0.iter_mut().zip(&other.0) {
            *word &= !less;
        }
    }

    /// The lists, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = ListId> + '_ {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors((word != 0).then_some(word), |rest| Some(rest & (rest - 1)).filter(|&rest| rest != 0))
                .map(move |rest| ListId((i as u32 * 64 + rest.trailing_zeros()) as u16))
        })
    }

    /// How many lists of the set come before `list`.
    pub(crate) fn rank(&self, list: ListId) -> usize {
        let word = list.index() / 64;
        let before: u32 = self.0[..word].iter().map(|w| w.count_ones()).sum();
        (before + (self.0[word] & ((1 << (list.index() % 64)) - 1)).count_ones()) as usize
    }

    pub(crate) fn to_bytes(self) -> [u8; MAX_LISTS / 8] {
        let mut bytes = [0; MAX_LISTS / 8];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&self.0) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; MAX_LISTS / 8]) -> Self {
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        ListMatches(words)
    }
}

impl FromIterator<ListId> for ListMatches {
    fn from_iter<I: IntoIterator<Item = ListId>>(lists: I) -> Self {
        let mut set = ListMatches::EMPTY;
        lists.into_iter().for_each(|list| set.insert(list));
        set
    }
}

impl std::fmt::Debug for ListMatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(ListId::index)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_back_its_lists_in_order() {
        let ids: Vec<ListId> = [511, 0, 63, 64, 127, 300].iter().map(|&i| ListId::new(i).unwrap()).collect();
        let set: ListMatches = ids.iter().copied().collect();
        let back: Vec<usize> = set.iter().map(ListId::index).collect();
        assert_eq!(back, [0, 63, 64, 127, 300, 511]);
        for (rank, list) in set.iter().enumerate() {
            assert_eq!(set.rank(list), rank);
            assert!(set.contains(list));
        }
        assert_eq!(ListMatches::from_bytes(&set.to_bytes()), set);
        assert!(ListId::new(MAX_LISTS).is_none());
    }
}
