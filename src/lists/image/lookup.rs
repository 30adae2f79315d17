//! Questions to an image.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::access::Host;
use crate::matcher::addresses::{AddressHit, AddressTable};
use crate::matcher::names::codebook::Codebook;
use crate::matcher::names::exact::{Confirmation, NameTexts};
use crate::matcher::names::hash::Seed;
use crate::matcher::names::{Hit, NameTable};
use crate::matcher::urls::{UrlHit, UrlTable};
use crate::matcher::{Candidate, ListId, ListMatches, SetNumber, site_of};

use super::super::urgent::Width;
use super::{Image, Kind, network_width, url_width};

impl Image {
    /// Every list with an entry that covers the candidate: its name or a parent, its address, a prefix of its URL, an
    /// expression; after the urgent changes. Allocates nothing for a miss.
    pub fn matches(&self, candidate: &Candidate) -> ListMatches {
        let Some(overlay) = &self.overlay else { return self.matches_where(candidate, |lists, _| lists) };
        let said = overlay.about(candidate);
        let mut found = self.matches_where(candidate, |lists, width| overlay.left(&said, lists, width));
        overlay.additions(&said).for_each(|(lists, _)| found.union_with(&lists));
        found
    }

    /// `left` says which lists of an entry count, given how narrow it is.
    #[inline]
    fn matches_where(&self, candidate: &Candidate, left: impl Fn(ListMatches, Width) -> ListMatches) -> ListMatches {
        let mut found = ListMatches::EMPTY;
        let may_have_urls = match candidate.target() {
            Host::Name(name) => self.match_names(name.as_str(), &mut found, &left),
            Host::Address(address) => {
                self.visit_networks(*address, |hit| found.union_with(&left(self.set(hit.set), network_width(&hit))));
                true
            }
        };
        if may_have_urls && !candidate.path().is_empty() {
            self.visit_urls(candidate, |hit| found.union_with(&left(self.set(hit.set), url_width(candidate, &hit))));
        }
        let alone = |list| left(std::iter::once(list).collect(), 0);
        self.patterns.find(candidate.text(), candidate.host_text().len(), |list, _| found.union_with(&alone(list)));
        if !self.rules.is_empty() {
            self.apply_rules(candidate, may_have_urls, &mut found, alone);
        }
        found
    }

    /// What ad blockers' rules refuse of a request; what their exceptions let through is in none of their lists, not
    /// even by its host.
    fn apply_rules(
        &self,
        candidate: &Candidate,
        has_host_rules: bool,
        found: &mut ListMatches,
        left: impl Fn(ListId) -> ListMatches,
    ) {
        let Some(names) = self.names() else { return };
        let Some(request) = candidate.request(names.seed()) else {
            // Of a host alone the rules know its name, and so do exceptions.
            if found.intersects(&self.with_rules) && self.excepts_host(candidate, names.seed()) {
                found.subtract(&self.with_rules);
            }
            return;
        };
        let mut important = ListMatches::EMPTY;
        self.rules.refusals(&request, has_host_rules, |line, is_important| {
            if let Some(list) = ListId::new(usize::from(line.list)) {
                found.union_with(&left(list));
                if is_important {
                    important.union_with(&left(list));
                }
            }
        });
        if found.intersects(&self.with_rules) && self.rules.exception(&request, has_host_rules).is_some() {
            found.subtract(&self.with_rules);
            found.union_with(&important);
        }
    }

    /// Whether an answer may depend on who asks and what for: [`Candidate::with_context`] is worth its while.
    pub fn asks_for_context(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether the host itself, or a parent, is a name of a list.
    pub fn lists_name(&self, host: &str) -> bool {
        let mut found = ListMatches::EMPTY;
        self.match_names(host, &mut found, &|lists, _| lists);
        !found.is_empty()
    }

    /// The names' table as it lies in the image.
    pub fn names(&self) -> Option<NameTable<'_>> {
        NameTable::view(self.section(Kind::Names))
    }

    fn excepts_host(&self, candidate: &Candidate, seed: Seed) -> bool {
        let candidate = Candidate::new(candidate.target(), "/");
        candidate.request(seed).is_some_and(|request| self.rules.exception(&request, true).is_some())
    }

    /// Every list with that address or a network around it, after the urgent changes.
    pub fn matches_address(&self, address: IpAddr) -> ListMatches {
        let mut found = ListMatches::EMPTY;
        let Some(overlay) = &self.overlay else {
            self.visit_networks(address, |hit| found.union_with(&self.set(hit.set)));
            return found;
        };
        let said = overlay.about_address(address);
        self.visit_networks(address, |hit| {
            found.union_with(&overlay.left(&said, self.set(hit.set), network_width(&hit)))
        });
        overlay.additions(&said).for_each(|(lists, _)| found.union_with(&lists));
        found
    }

    /// Collects the lists of the host's names; says whether its URLs are worth a look.
    #[inline]
    fn match_names(
        &self,
        host: &str,
        found: &mut ListMatches,
        left: &impl Fn(ListMatches, Width) -> ListMatches,
    ) -> bool {
        let Some(table) = NameTable::view(self.section(Kind::Names)) else { return false };
        let mut has_urls = false;
        table.walk(host, |hit| {
            // Rules hold for what is below their host; URLs of another site are none of ours, which is seen later.
            has_urls |= hit.slot.has_urls();
            if hit.slot.set() != 0 && self.counts(&table, &hit, host) {
                found.union_with(&left(self.set(hit.slot.set()), host.len() - hit.start));
            }
        });
        has_urls
    }

    /// Whether the name is listed: what cannot be confirmed because the image is damaged counts, lest it open the way.
    fn counts(&self, table: &NameTable<'_>, hit: &Hit, host: &str) -> bool {
        let confirmation = self.confirm(table, hit, host);
        if confirmation == Confirmation::Damaged {
            self.unconfirmed.fetch_add(1, Ordering::Relaxed);
        }
        confirmation != Confirmation::Other
    }

    pub(super) fn confirm(&self, table: &NameTable<'_>, hit: &Hit, host: &str) -> Confirmation {
        let Some(codebook) = Codebook::view(self.section(Kind::Codebook)) else { return Confirmation::Damaged };
        let (index, texts) = (self.section(Kind::NameIndex), self.section(Kind::NameTexts));
        NameTexts { codebook, index, texts }.confirm(table, hit, &host[hit.start..])
    }

    pub(super) fn visit_urls<'a>(&'a self, candidate: &Candidate, visit: impl FnMut(UrlHit<'a>)) {
        let tables = (NameTable::view(self.section(Kind::Names)), UrlTable::view(self.section(Kind::Urls)));
        if let (Some(names), Some(urls)) = tables
            && !urls.is_empty()
        {
            let site = site_of(candidate.host_text());
            urls.find(names.seed().hash(site), site, candidate.path(), visit);
        }
    }

    pub(super) fn visit_networks(&self, address: IpAddr, visit: impl FnMut(AddressHit)) {
        if let (Some(table), Host::Address(address)) =
            (AddressTable::view(self.section(Kind::Addresses)), address.into())
        {
            table.find(address, visit);
        }
    }

    pub(super) fn set(&self, number: SetNumber) -> ListMatches {
        self.known_set(number).unwrap_or_default()
    }

    pub(super) fn known_set(&self, number: SetNumber) -> Option<ListMatches> {
        self.section(Kind::Sets).as_chunks().0.get(usize::from(number)).map(ListMatches::from_bytes)
    }
}
