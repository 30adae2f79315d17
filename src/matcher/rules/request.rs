//! A request as rules see it.

use super::context::{Context, site_start};
use super::pattern::{HOST_AT, SCHEME, Text};
use crate::matcher::names::hash::{NameHash, Seed, Suffixes};

/// Names above a host that are hashed beforehand; few hosts have more.
const BEFOREHAND: usize = 8;

/// What is asked for, by whom; with the hashes of all names above both, which rules ask for again and again.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub(super) text: Text<'a>,
    pub(super) host: Above<'a>,
    pub(super) context: &'a Context,
    /// The host of the page, where it is known.
    pub(super) page: Option<Above<'a>>,
    /// Whether the page is of another site, where it is known.
    pub(super) third_party: Option<bool>,
}

impl<'a> Request<'a> {
    /// `url` begins with [`SCHEME`] and the host; `None` where it does not. `seed` is that of the rules.
    pub fn new(url: &'a str, host: &'a str, context: &'a Context, seed: Seed) -> Option<Request<'a>> {
        let host_end = HOST_AT + host.len();
        let whole = url.starts_with(SCHEME) && url.get(HOST_AT..host_end) == Some(host);
        if !whole {
            return None;
        }
        let host = Above::new(host, seed);
        let page = context.page.as_ref().map(|page| Above::new(page.as_str(), seed));
        let third_party = page.as_ref().map(|page| page.site() != host.site());
        Some(Request { text: Text { url: url.as_bytes(), host_end }, host, context, page, third_party })
    }
}

/// A name, and the hashes of itself and the names above it, shortest first.
#[derive(Debug, Clone)]
pub(super) struct Above<'a> {
    pub name: &'a str,
    pub seed: Seed,
    first: [(NameHash, usize); BEFOREHAND],
    count: usize,
    rest: Suffixes<'a>,
    /// A bit for each of them: see [`bit`].
    bits: u64,
}

impl<'a> Above<'a> {
    fn new(name: &'a str, seed: Seed) -> Above<'a> {
        let mut rest = seed.suffixes(name);
        let mut first = [(NameHash(0), 0); BEFOREHAND];
        let (mut count, mut bits) = (0, 0);
        for (place, suffix) in first.iter_mut().zip(&mut rest) {
            *place = suffix;
            count += 1;
            bits |= bit(suffix.0);
        }
        if first[BEFOREHAND - 1].1 > 0 {
            bits = u64::MAX;
        }
        Above { name, seed, first, count, rest, bits }
    }

    /// Each with where it begins.
    pub fn hashes(&self) -> impl Iterator<Item = (NameHash, usize)> {
        self.first.iter().take(self.count).copied().chain(self.rest.clone())
    }

    /// Whether one of the names may be among those of which `bits` has the bits.
    pub fn may_be_among(&self, bits: u64) -> bool {
        self.bits & bits != 0
    }

    /// Where the name with that hash begins.
    pub fn start_of(&self, hash: NameHash) -> Option<usize> {
        self.hashes().find(|(found, _)| *found == hash).map(|(_, start)| start)
    }

    /// The labels before the last one and before the last two, where there are such.
    pub fn labels_before_suffixes(&self) -> impl Iterator<Item = &'a str> {
        let labels = self.first[..self.count.min(3)].windows(2);
        labels.map(|pair| &self.name[pair[1].1..pair[0].1 - 1])
    }

    /// The part of the host that one owner registers.
    fn site(&self) -> &'a str {
        let start = |i: usize| self.first[..self.count].get(i).map(|(_, start)| *start);
        &self.name[site_start(self.name, start)..]
    }
}

/// One of 64.
pub(super) fn bit(hash: NameHash) -> u64 {
    1 << (hash.0 & 63)
}
