//! A rule, compiled: who, when and what as bits.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::action::Duties;
use crate::access::{CategoryName, Ech, EntryRef, HostName, HostSource, Protocol, RuleName, Scheme};
use crate::lists::{Candidate, ListId, ListMatches};

/// How many groups a policy may have: one bit each.
pub(super) const MAX_GROUPS: usize = 64;

/// What a rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Allow,
    Refuse,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub name: RuleName,
    pub who: u64,
    pub when: When,
    pub what: What,
    pub verdict: Verdict,
    pub duties: Duties,
}

/// Schedules, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct When {
    /// One of these must hold; none named: any time.
    pub inside: u64,
    /// None of these may hold.
    pub outside: u64,
}

impl When {
    pub fn holds(self, holding: u64) -> bool {
        (self.inside == 0 || self.inside & holding != 0) && self.outside & holding == 0
    }

    pub fn is_always(self) -> bool {
        self == When::default()
    }
}

#[derive(Debug, Default)]
pub(super) struct What {
    pub all: bool,
    /// As written, aliases resolved.
    pub categories: Vec<CategoryName>,
    /// Every list named, by itself or by its category.
    pub lists: ListMatches,
    /// The same in the order of the file, for the reason.
    pub named: Vec<(ListId, CategoryName)>,
    pub hosts: Vec<HostEntry>,
    pub urls: Vec<UrlEntry>,
    pub addresses: Vec<AddressEntry>,
    /// Categories, and hosts by themselves, whose look-alikes are meant.
    pub look_alikes_of: Vec<Protected>,
    /// Empty: any.
    pub ports: Vec<(u16, u16)>,
    pub protocols: Set,
    pub schemes: Set,
    pub host_sources: Set,
    pub ech: Set,
    /// Only what dials an address that our DNS did not give.
    pub no_dns: bool,
}

/// A host written in a rule.
#[derive(Debug)]
pub(super) struct HostEntry {
    pub host: HostName,
    /// `*.example.fr`: the subdomains, not the name.
    pub below_only: bool,
    pub place: Place,
}

/// Names that others must not resemble.
#[derive(Debug)]
pub(super) enum Protected {
    Category(CategoryName, ListMatches),
    Host(HostName, Place),
}

impl PartialEq for Protected {
    fn eq(&self, other: &Protected) -> bool {
        match (self, other) {
            (Protected::Category(a, _), Protected::Category(b, _)) => a == b,
            (Protected::Host(a, _), Protected::Host(b, _)) => a == b,
            _ => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct UrlEntry {
    pub prefix: Candidate,
    pub place: Place,
}

#[derive(Debug)]
pub(super) struct AddressEntry {
    pub network: IpNet,
    pub place: Place,
}

/// Where an entry stands that was written in the policy itself.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub text: Arc<str>,
    pub line: u32,
}

impl Place {
    pub fn entry(&self) -> EntryRef {
        EntryRef::at(&*self.text, "policy.toml", self.line)
    }
}

/// A set of words; empty: any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Set(u64);

impl Set {
    pub fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// Everything below `count` that is not in `without`.
    pub fn complement(without: Set, count: usize) -> Set {
        Set((u64::MAX >> (u64::BITS as usize - count)) & !without.0)
    }

    pub fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    pub fn union(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    pub fn holds(self, index: usize) -> bool {
        self.is_any() || self.0 >> index & 1 == 1
    }

    pub fn covers(self, other: Set) -> bool {
        self.is_any() || (!other.is_any() && self.0 & other.0 == other.0)
    }
}

pub(super) fn protocol_index(protocol: Protocol) -> usize {
    protocol as usize
}

pub(super) fn scheme_index(scheme: Scheme) -> usize {
    scheme as usize
}

pub(super) fn ech_index(ech: Ech) -> usize {
    ech as usize
}

pub(super) fn host_source_index(source: HostSource) -> usize {
    source as usize
}

impl What {
    pub fn port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|(from, to)| (*from..=*to).contains(&port))
    }

    pub fn host(&self, name: &HostName) -> Option<&HostEntry> {
        self.hosts.iter().find(|entry| name.is_within(&entry.host) && !(entry.below_only && *name == entry.host))
    }

    /// A prefix covers whole segments: `/a` is `/a`, `/a/b` and `/a?b`, not `/ab`.
    pub fn url(&self, candidate: &Candidate) -> Option<&UrlEntry> {
        let path = candidate.path();
        self.urls.iter().find(|entry| {
            let host = match (candidate.target().name(), entry.prefix.target().name()) {
                (Some(name), Some(parent)) => name.is_within(parent),
                _ => candidate.target() == entry.prefix.target(),
            };
            host && path.strip_prefix(entry.prefix.path()).is_some_and(|rest| {
                rest.is_empty() || entry.prefix.path().ends_with('/') || rest.starts_with(['/', '?'])
            })
        })
    }

    /// Whether some path of this host is written here.
    pub fn has_url_of(&self, candidate: &Candidate) -> bool {
        let host = candidate.target().name();
        let of = |prefix: &Candidate| host.zip(prefix.target().name()).is_some_and(|(host, of)| host.is_within(of));
        self.urls.iter().any(|entry| of(&entry.prefix))
    }

    pub fn address(&self, address: IpAddr) -> Option<&AddressEntry> {
        self.addresses.iter().find(|entry| entry.network.contains(&address))
    }
}
