//! The domains that a rule names and excepts, to be looked up by the names above a host: some rules name hundreds.

use super::context::is_within;
use super::parse::Domains;
use super::request::{Above, bit};
use crate::matcher::names::hash::{NameHash, Seed};

#[derive(Debug)]
pub struct DomainSet {
    pub is_empty: bool,
    named: Names,
    excepted: Names,
}

#[derive(Debug, Default)]
struct Names {
    /// Ascending.
    hashes: Box<[NameHash]>,
    /// A bit for each.
    bits: u64,
    /// `example.*`.
    in_any_suffix: Box<[Box<str>]>,
}

impl DomainSet {
    pub fn new(domains: &Domains, seed: Seed) -> DomainSet {
        let (named, excepted) = (Names::new(&domains.named, seed), Names::new(&domains.excepted, seed));
        DomainSet { is_empty: domains.is_empty(), named, excepted }
    }

    /// A bit for each name of which one must be above a host; all where there is no such.
    pub fn named_bits(&self) -> u64 {
        let are_known = self.named.in_any_suffix.is_empty() && !self.named.hashes.is_empty();
        if are_known { self.named.bits } else { u64::MAX }
    }

    pub fn hold(&self, host: &Above<'_>) -> bool {
        (self.named.are_none() || self.named.hold(host)) && !self.excepted.hold(host)
    }
}

impl Names {
    fn new(domains: &[Box<str>], seed: Seed) -> Names {
        let (any, exact): (Vec<&Box<str>>, Vec<_>) = domains.iter().partition(|domain| domain.ends_with(".*"));
        let mut hashes: Vec<NameHash> = exact.into_iter().map(|domain| seed.hash(domain)).collect();
        hashes.sort_unstable();
        let bits = hashes.iter().fold(0, |bits, hash| bits | bit(*hash));
        Names { hashes: hashes.into(), bits, in_any_suffix: any.into_iter().cloned().collect() }
    }

    fn are_none(&self) -> bool {
        self.hashes.is_empty() && self.in_any_suffix.is_empty()
    }

    fn hold(&self, host: &Above<'_>) -> bool {
        let by_hash = host.may_be_among(self.bits)
            && host.hashes().any(|(hash, _)| self.bits & bit(hash) != 0 && self.hashes.binary_search(&hash).is_ok());
        by_hash || self.in_any_suffix.iter().any(|domain| is_within(host.name, domain))
    }
}
