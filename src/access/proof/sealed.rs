//! A tree as it is kept: its signed root, its secret, and which rows are its leaves.
//!
//! Leaves are in the order of sequence and slice, then gaps in their own order. The rows themselves are in the store, so all
//! that is kept of them here is their keys, as ranges: a few bytes for a segment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Signer;
use super::hash::{Hash, Secret};
use super::leaf::{Halves, Salter, Salts};
use super::root::{ClockQuality, FORMAT, Root, RootError, SignedText};
use super::tree::tree_root;
use crate::access::text_enum::as_text;
use crate::access::{CollegeCode, Flags, Gap, GatewayName, Row, Stream, Timestamp};

/// Sequence and slice: a row's key inside its lane and stream.
type Key = (u64, u32);

/// One tree, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    #[serde(flatten)]
    pub root: SignedText,
    pub secret: Secret,
    pub keys: Keys,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Rows that no store took: what is left of them here is the leaf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<(u64, u32, Hash)>,
}

/// Keys of rows, ascending, kept as runs and written so: `1-40000 40002`, and `7.1` for the slice 1 of 7.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys(Vec<Run>);

/// Rows of consecutive sequences, all of slice 0; or one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: Key,
    count: u64,
    /// The place of the first among all.
    place: u64,
}

/// A tree that is kept does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSealed {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("{missing} of its rows are not in the store, the first with sequence {sequence} slice {slice}")]
    Missing { missing: u64, sequence: u64, slice: u32 },
    #[error("its rows in the store do not give the root that was signed: one of them was altered")]
    Altered,
}

/// What a tree is made of, while it grows.
pub struct Growing {
    salter: Salter,
    secret: Secret,
    leaves: BTreeMap<Key, Hash>,
    gaps: Vec<Gap>,
    times: Option<(Timestamp, Timestamp)>,
    doubtful: u64,
}

/// Whose tree it is, and the circumstances that are signed with it.
pub struct Circumstances {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub stream: Stream,
    pub lane: u64,
    pub segment: u32,
    pub sealed: Timestamp,
    pub clock: ClockQuality,
    pub rules: String,
}

impl Sealed {
    pub fn grow(secret: Secret) -> Growing {
        let salter = Salter::new(&secret);
        Growing { salter, secret, leaves: BTreeMap::new(), gaps: Vec::new(), times: None, doubtful: 0 }
    }

    /// Every leaf, from what the store holds: `rows` are those of the tree, in any order.
    pub fn leaves(&self, rows: &[Row]) -> Result<Vec<Hash>, BadSealed> {
        let root = self.root.unverified_root()?;
        let salter = Salter::new(&self.secret);
        let mut known: BTreeMap<Key, Hash> =
            self.set_aside.iter().map(|(sequence, slice, leaf)| ((*sequence, *slice), *leaf)).collect();
        for row in rows {
            let key = (row.key().sequence, row.key().slice);
            known.insert(key, Halves::of_row(row).leaf(salter.of_row(key.0, key.1)));
        }
        let mut missing = self.keys.iter().filter(|key| !known.contains_key(key));
        if let Some((sequence, slice)) = missing.next() {
            return Err(BadSealed::Missing { missing: missing.count() as u64 + 1, sequence, slice });
        }
        let mut leaves: Vec<Hash> = self.keys.iter().filter_map(|key| known.get(&key)).copied().collect();
        leaves.extend(gap_leaves(&root.college, &root.gateway, root.lane, root.stream, &self.gaps, &salter));
        if tree_root(&leaves) == root.root { Ok(leaves) } else { Err(BadSealed::Altered) }
    }

    pub fn salts(&self, sequence: u64, slice: u32) -> Salts {
        Salter::new(&self.secret).of_row(sequence, slice)
    }

    /// Each gap with its place among the leaves and its salts.
    pub fn gap_leaves(&self) -> Vec<(u64, &Gap, Salts)> {
        let salter = Salter::new(&self.secret);
        let first = self.keys.len();
        (0..).zip(&self.gaps).map(|(n, gap)| (first + n, gap, salter.of_gap(n))).collect()
    }
}

impl Growing {
    /// A row that comes again is the same row.
    pub fn row(&mut self, row: &Row) {
        let (sequence, slice) = (row.key().sequence, row.key().slice);
        if self.leaves.contains_key(&(sequence, slice)) {
            return;
        }
        let flags = match row {
            Row::Access(row) => row.record.flags,
            Row::Connection(row) => row.record.flags,
        };
        self.doubtful += u64::from(flags.contains(Flags::CLOCK_DOUBTFUL));
        self.leaves.insert((sequence, slice), Halves::of_row(row).leaf(self.salter.of_row(sequence, slice)));
        self.saw(row.start(), row.start());
    }

    pub fn gap(&mut self, gap: Gap) {
        self.saw(gap.since, gap.until);
        self.gaps.push(gap);
    }

    fn saw(&mut self, first: Timestamp, last: Timestamp) {
        let (earliest, latest) = self.times.unwrap_or((first, last));
        self.times = Some((earliest.min(first), latest.max(last)));
    }

    /// The tree, signed as the one after `previous` (number and hash). `refused`: keys of rows that no store took.
    pub fn seal(
        mut self,
        about: Circumstances,
        previous: (u64, Hash),
        refused: &[Key],
        signer: &Signer,
    ) -> Result<Sealed, RootError> {
        self.gaps.sort();
        self.gaps.dedup();
        let Circumstances { college, gateway, stream, lane, segment, sealed, clock, rules } = about;
        let set_aside: Vec<(u64, u32, Hash)> =
            refused.iter().filter_map(|key| self.leaves.get(key).map(|leaf| (key.0, key.1, *leaf))).collect();
        let (first_row, last_row) = (self.leaves.keys().next().copied(), self.leaves.keys().last().copied());
        let keys = Keys::of(self.leaves.keys().copied().collect());
        let mut leaves: Vec<Hash> = self.leaves.into_values().collect();
        let rows = leaves.len() as u64;
        leaves.extend(gap_leaves(&college, &gateway, lane, stream, &self.gaps, &self.salter));
        let root = Root {
            format: FORMAT,
            college,
            gateway,
            stream,
            number: previous.0 + 1,
            previous: previous.1,
            lane,
            segment,
            rows,
            gaps: self.gaps.len() as u64,
            set_aside: set_aside.len() as u64,
            doubtful: self.doubtful,
            root: tree_root(&leaves),
            first_row,
            last_row,
            first_time: self.times.map(|(first, _)| first),
            last_time: self.times.map(|(_, last)| last),
            sealed,
            clock,
            rules,
            software: env!("CARGO_PKG_VERSION").into(),
            key: signer.public(),
        };
        Ok(Sealed { root: root.sign(signer)?, secret: self.secret, keys, gaps: self.gaps, set_aside })
    }
}

fn gap_leaves<'a>(
    college: &'a CollegeCode,
    gateway: &'a GatewayName,
    lane: u64,
    stream: Stream,
    gaps: &'a [Gap],
    salter: &'a Salter,
) -> impl Iterator<Item = Hash> + 'a {
    (0..).zip(gaps).map(move |(n, gap)| Halves::of_gap(college, gateway, lane, stream, gap).leaf(salter.of_gap(n)))
}

impl Keys {
    pub fn of(mut keys: Vec<Key>) -> Keys {
        keys.sort_unstable();
        keys.dedup();
        let mut all = Keys::default();
        keys.into_iter().for_each(|key| all.push(key, 1));
        all
    }

    fn push(&mut self, first: Key, count: u64) {
        let place = self.len();
        match self.0.last_mut() {
            Some(run) if first.1 == 0 && run.first.1 == 0 && run.first.0 + run.count == first.0 => run.count += count,
            _ => self.0.push(Run { first, count, place }),
        }
    }

    pub fn len(&self) -> u64 {
        self.0.last().map_or(0, |run| run.place + run.count)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of a key among all.
    pub fn place(&self, sequence: u64, slice: u32) -> Option<u64> {
        let run = self.0[..self.0.partition_point(|run| run.first <= (sequence, slice))].last()?;
        let is_in = slice == run.first.1 && sequence - run.first.0 < run.count;
        is_in.then(|| run.place + (sequence - run.first.0))
    }

    pub fn contains(&self, sequence: u64, slice: u32) -> bool {
        self.place(sequence, slice).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = Key> {
        self.0.iter().flat_map(|run| (0..run.count).map(|n| (run.first.0 + n, run.first.1)))
    }
}

impl std::fmt::Display for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, Run { first: (sequence, slice), count, .. }) in self.0.iter().enumerate() {
            f.write_str(if n > 0 { " " } else { "" })?;
            match (slice, count) {
                (0, 1) => write!(f, "{sequence}")?,
                (0, count) => write!(f, "{sequence}-{}", sequence + count - 1)?,
                (slice, _) => write!(f, "{sequence}.{slice}")?,
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Keys {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys = Keys::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let wrong = || format!("`{word}` names no rows");
            // The highest sequence has one above.
            let number = |text: &str| text.parse::<u64>().ok().filter(|n| *n < u64::MAX).ok_or_else(wrong);
            let (first, last) = match (word.split_once('-'), word.split_once('.')) {
                (Some((first, last)), _) => ((number(first)?, 0), number(last)?),
                (None, Some((sequence, slice))) => {
                    ((number(sequence)?, slice.parse().map_err(|_| wrong())?), number(sequence)?)
                }
                (None, None) => ((number(word)?, 0), number(word)?),
            };
            let after = keys.0.last().map(|run| (run.first.0 + run.count - 1, run.first.1));
            if last < first.0 || after.is_some_and(|after| first <= after) {
                return Err(format!("`{word}` is out of order"));
            }
            keys.push(first, last - first.0 + 1);
        }
        Ok(keys)
    }
}

as_text!(Keys);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_written_as_ranges() {
        let keys = Keys::of(vec![(3, 0), (1, 0), (2, 0), (2, 1), (9, 0), (11, 2)]);
        assert_eq!(keys.to_string(), "1-2 2.1 3 9 11.2");
        for wrong in ["2 1", "1-", "x", "1.x", "1 1"] {
            assert!(wrong.parse::<Keys>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_read_back(keys in prop::collection::vec((0u64..40, 0u32..3), 0..60)) {
            let keys = Keys::of(keys);
            let all: Vec<Key> = keys.iter().collect();
            prop_assert_eq!(all.len() as u64, keys.len());
            for (n, (sequence, slice)) in all.iter().enumerate() {
                prop_assert_eq!(keys.place(*sequence, *slice), Some(n as u64));
            }
            let absent = (0..42).flat_map(|sequence| (0..4).map(move |slice| (sequence, slice))).filter(|key| !all.contains(key));
            for (sequence, slice) in absent {
                prop_assert!(!keys.contains(sequence, slice));
            }
            prop_assert_eq!(keys.to_string().parse(), Ok(keys));
        }
    }
}
