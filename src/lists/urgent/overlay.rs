//! The urgent changes, ready to be asked: one look-up per label of the host, however many there are.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::access::Host;
use crate::matcher::names::hash::{ByHash, Seed};
use crate::matcher::{Candidate, ListMatches, site_of, urls};

use super::{Change, UrgentEntry};

/// Narrower than any name: where the widths of URLs begin.
const BEYOND_NAMES: usize = 256;

/// How narrow an entry is: the length of a name, or that of a path beyond any name. Expressions, rules and networks are
/// 0: wider than every host.
pub type Width = usize;

/// That of an entry of `host` with a `path`, or none.
pub fn width(host: &str, path: &str) -> Width {
    if path.is_empty() { host.len() } else { BEYOND_NAMES + path.len() }
}

/// What lies over an image.
#[derive(Debug, Default)]
pub struct Overlay {
    seed: Option<Seed>,
    entries: Vec<UrgentEntry>,
    /// By entry.
    lists: Vec<Lists>,
    /// By the hash of the host: entries of exactly that host.
    by_name: ByHash<Vec<u32>>,
    by_address: HashMap<IpAddr, Vec<u32>>,
    /// Lists of the image that hold what an older file added: they do not count.
    pub void: ListMatches,
    /// The lists of additions, whether the image has them or not.
    pub urgent: ListMatches,
    /// Whether the image has the additions among its entries.
    pub is_merged: bool,
}

/// The lists that an entry is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lists {
    /// An addition's.
    pub added: ListMatches,
    /// A removal's: every list of its categories.
    pub lifted: ListMatches,
}

/// What the changes say of one target.
#[derive(Debug, Default)]
pub struct Said {
    /// How wide, which lists.
    removals: Vec<(Width, ListMatches)>,
    /// How wide, which lists, the entry.
    additions: Vec<(Width, ListMatches, u32)>,
}

impl Overlay {
    /// `lists_of` says which lists an entry is about; `seed` is that of the image.
    pub fn new(seed: Seed, entries: Vec<UrgentEntry>, lists_of: impl Fn(&UrgentEntry) -> Lists) -> Overlay {
        let mut overlay =
            Overlay { seed: Some(seed), lists: entries.iter().map(lists_of).collect(), ..Overlay::default() };
        for (number, entry) in (0u32..).zip(&entries) {
            match Host::parse(&entry.host) {
                Ok(Host::Address(address)) => overlay.by_address.entry(address).or_default().push(number),
                _ => overlay.by_name.entry(seed.hash(&entry.host)).or_default().push(number),
            }
        }
        Overlay { entries, ..overlay }
    }

    pub fn entries(&self) -> &[UrgentEntry] {
        &self.entries
    }

    pub fn entry(&self, number: u32) -> Option<&UrgentEntry> {
        self.entries.get(number as usize)
    }

    /// Of a host, and its URL where the path is known. Allocates nothing where nothing is said.
    pub fn about(&self, candidate: &Candidate) -> Said {
        let mut said = Said::default();
        match (candidate.target(), self.seed) {
            (Host::Address(address), _) => self.about_numbers(self.by_address.get(address), candidate, &mut said),
            (Host::Name(name), Some(seed)) if !self.by_name.is_empty() => {
                let host = name.as_str();
                for (hash, start) in seed.suffixes(host) {
                    let numbers = self.by_name.get(&hash);
                    self.about_numbers_of(numbers, &host[start..], candidate, &mut said);
                }
                // URLs of `example.fr` are those of `www.example.fr`, which the walk has come by.
            }
            _ => {}
        }
        said
    }

    /// Of an address that a name resolved to.
    pub fn about_address(&self, address: IpAddr) -> Said {
        match Host::from(address) {
            Host::Address(address) if self.by_address.contains_key(&address) => {
                self.about(&Candidate::host(&Host::Address(address)))
            }
            _ => Said::default(),
        }
    }

    fn about_numbers(&self, numbers: Option<&Vec<u32>>, candidate: &Candidate, said: &mut Said) {
        self.about_numbers_of(numbers, candidate.host_text(), candidate, said);
    }

    fn about_numbers_of(&self, numbers: Option<&Vec<u32>>, name: &str, candidate: &Candidate, said: &mut Said) {
        for &number in numbers.into_iter().flatten() {
            let entry = &self.entries[number as usize];
            let is_same = entry.host == name;
            let covers = entry.path.is_empty() || {
                let same_site = name == site_of(candidate.host_text());
                same_site && !candidate.path().is_empty() && urls::covers(&entry.path, candidate.path())
            };
            // Merged additions are found in the image.
            let counts = entry.change == Change::Remove || !self.is_merged;
            if !is_same || !covers || !counts {
                continue;
            }
            let Lists { added, lifted } = self.lists[number as usize];
            let width = width(&entry.host, &entry.path);
            match entry.change {
                Change::Add => said.additions.push((width, added, number)),
                Change::Remove => said.removals.push((width, lifted)),
            }
        }
    }

    /// Those of the lists of an entry of the image that count.
    pub fn left(&self, said: &Said, mut lists: ListMatches, width: Width) -> ListMatches {
        lists.subtract(&self.void);
        self.lift(said, &mut lists, width);
        lists
    }

    /// An addition of the very entry goes before its removal.
    fn lift(&self, said: &Said, lists: &mut ListMatches, width: Width) {
        for (removal, lifted) in said.removals.iter().filter(|(removal, _)| *removal >= width) {
            let mut lifted = *lifted;
            if *removal == width {
                lifted.subtract(&self.urgent);
            }
            lists.subtract(&lifted);
        }
    }

    /// The additions that count: their lists, and the entry of each, narrowest last.
    pub fn additions(&self, said: &Said) -> impl Iterator<Item = (ListMatches, &UrgentEntry)> {
        let mut found: Vec<(Width, ListMatches, u32)> = said.additions.clone();
        found.sort_by_key(|(width, _, _)| *width);
        found.into_iter().filter_map(|(width, mut lists, number)| {
            self.lift(said, &mut lists, width);
            Some((lists, self.entry(number)?))
        })
    }
}
