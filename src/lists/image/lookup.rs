//! Questions to an image.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::access::{EntryRef, Host};
use crate::matcher::addresses::{AddressHit, AddressTable};
use crate::matcher::names::codebook::Codebook;
use crate::matcher::names::exact::{Confirmation, NameLines, NameTexts};
use crate::matcher::names::hash::Seed;
use crate::matcher::names::{Hit, NameTable};
use crate::matcher::patterns::Expression;
use crate::matcher::urls::{UrlHit, UrlTable};
use crate::matcher::{Candidate, ListId, ListMatches, SetNumber, site_of};

use super::{Image, Kind, Spill, UNCONFIRMED};

impl Image {
    /// Every list with an entry that covers the candidate: its name or a parent, its address, a prefix of its URL, an
    /// expression. Allocates nothing for a miss.
    pub fn matches(&self, candidate: &Candidate) -> ListMatches {
        let mut found = ListMatches::EMPTY;
        let may_have_urls = match candidate.target() {
            Host::Name(name) => self.match_names(name.as_str(), &mut found),
            Host::Address(address) => {
                found = self.matches_address(*address);
                true
            }
        };
        if may_have_urls && !candidate.path().is_empty() {
            self.visit_urls(candidate, |hit| found.union_with(&self.set(hit.set)));
        }
        self.patterns.find(candidate.text(), candidate.host_text().len(), |list, _| found.insert(list));
        if !self.rules.is_empty() {
            self.apply_rules(candidate, may_have_urls, &mut found);
        }
        found
    }

    /// What ad blockers' rules refuse of a request; what their exceptions let through is in none of their lists, not
    /// even by its host.
    fn apply_rules(&self, candidate: &Candidate, has_host_rules: bool, found: &mut ListMatches) {
        let Some(names) = self.names() else { return };
        let Some(request) = candidate.request() else {
            // Of a host alone the rules know its name, and so do exceptions.
            if found.intersects(&self.with_rules) && self.excepts_host(candidate, names.seed()) {
                found.subtract(&self.with_rules);
            }
            return;
        };
        let mut important = ListMatches::EMPTY;
        self.rules.refusals(&request, has_host_rules, names.seed(), |line, is_important| {
            if let Some(list) = ListId::new(usize::from(line.list)) {
                found.insert(list);
                if is_important {
                    important.insert(list);
                }
            }
        });
        if found.intersects(&self.with_rules) && self.rules.exception(&request, has_host_rules, names.seed()).is_some()
        {
            found.subtract(&self.with_rules);
            found.union_with(&important);
        }
    }

    /// Whether the host itself, or a parent, is a name of a list.
    pub fn lists_name(&self, host: &str) -> bool {
        let mut found = ListMatches::EMPTY;
        self.match_names(host, &mut found);
        !found.is_empty()
    }

    /// The names' table as it lies in the image.
    pub fn names(&self) -> Option<NameTable<'_>> {
        NameTable::view(self.section(Kind::Names))
    }

    fn excepts_host(&self, candidate: &Candidate, seed: Seed) -> bool {
        let candidate = Candidate::new(candidate.target(), "/");
        candidate.request().is_some_and(|request| self.rules.exception(&request, true, seed).is_some())
    }

    /// Every list with that address or a network around it.
    pub fn matches_address(&self, address: IpAddr) -> ListMatches {
        let mut found = ListMatches::EMPTY;
        self.visit_networks(address, |hit| found.union_with(&self.set(hit.set)));
        found
    }

    /// The most specific entry of `list` that covers the candidate: the longest URL, else the longest name, else the
    /// narrowest network, else an expression. Slow: for refusals and explanations.
    pub fn entry(&self, list: ListId, candidate: &Candidate) -> Option<EntryRef> {
        self.url_entry(list, candidate)
            .or_else(|| match candidate.target() {
                Host::Name(name) => self.name_entry(list, name.as_str()),
                Host::Address(address) => self.entry_for_address(list, *address),
            })
            .or_else(|| self.expression_entry(list, candidate))
            .or_else(|| self.rule_entry(list, candidate))
    }

    /// The narrowest network of `list` around the address.
    pub fn entry_for_address(&self, list: ListId, address: IpAddr) -> Option<EntryRef> {
        let mut narrowest: Option<AddressHit> = None;
        self.visit_networks(address, |hit| {
            if self.set(hit.set).contains(list) {
                narrowest = Some(hit);
            }
        });
        let hit = narrowest?;
        let lines = self.section(Kind::AddressLines);
        let count = AddressTable::view(self.section(Kind::Addresses))?.len();
        let line = Spill::line(lines, count, hit.number, self.set(hit.set).rank(list))?;
        let single = hit.network.prefix_len() == hit.network.max_prefix_len();
        let text = if single { hit.network.addr().to_string() } else { hit.network.to_string() };
        Some(EntryRef { text, file: self.list(list)?.files.names.clone(), line })
    }

    /// Collects the lists of the host's names; says whether its URLs are worth a look.
    #[inline]
    fn match_names(&self, host: &str, found: &mut ListMatches) -> bool {
        let Some(table) = NameTable::view(self.section(Kind::Names)) else { return false };
        let mut has_urls = false;
        table.walk(host, |hit| {
            // Rules hold for what is below their host; URLs of another site are none of ours, which is seen later.
            has_urls |= hit.slot.has_urls();
            if hit.slot.set() != 0 && self.counts(&table, &hit, host) {
                found.union_with(&self.set(hit.slot.set()));
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

    fn confirm(&self, table: &NameTable<'_>, hit: &Hit, host: &str) -> Confirmation {
        let Some(codebook) = Codebook::view(self.section(Kind::Codebook)) else { return Confirmation::Damaged };
        let (index, texts) = (self.section(Kind::NameIndex), self.section(Kind::NameTexts));
        NameTexts { codebook, index, texts }.confirm(table, hit, &host[hit.start..])
    }

    fn visit_urls<'a>(&'a self, candidate: &Candidate, visit: impl FnMut(UrlHit<'a>)) {
        let tables = (NameTable::view(self.section(Kind::Names)), UrlTable::view(self.section(Kind::Urls)));
        if let (Some(names), Some(urls)) = tables
            && !urls.is_empty()
        {
            let site = site_of(candidate.host_text());
            urls.find(names.seed().hash(site), site, candidate.path(), visit);
        }
    }

    fn visit_networks(&self, address: IpAddr, visit: impl FnMut(AddressHit)) {
        if let (Some(table), Host::Address(address)) =
            (AddressTable::view(self.section(Kind::Addresses)), address.into())
        {
            table.find(address, visit);
        }
    }

    fn set(&self, number: SetNumber) -> ListMatches {
        self.known_set(number).unwrap_or_default()
    }

    fn known_set(&self, number: SetNumber) -> Option<ListMatches> {
        self.section(Kind::Sets).as_chunks().0.get(usize::from(number)).map(ListMatches::from_bytes)
    }

    fn url_entry(&self, list: ListId, candidate: &Candidate) -> Option<EntryRef> {
        if candidate.path().is_empty() {
            return None;
        }
        let mut longest: Option<UrlHit<'_>> = None;
        self.visit_urls(candidate, |hit| {
            if self.set(hit.set).contains(list) {
                longest = Some(hit);
            }
        });
        let hit = longest?;
        let count = UrlTable::view(self.section(Kind::Urls))?.len();
        let line = Spill::line(self.section(Kind::UrlLines), count, hit.number, self.set(hit.set).rank(list))?;
        let text = String::from_utf8_lossy(hit.text).into_owned();
        Some(EntryRef { text, file: self.list(list)?.files.urls.clone(), line })
    }

    fn name_entry(&self, list: ListId, host: &str) -> Option<EntryRef> {
        let table = NameTable::view(self.section(Kind::Names))?;
        let mut longest: Option<(Hit, Confirmation)> = None;
        table.walk(host, |hit| {
            if self.set(hit.slot.set()).contains(list) {
                match self.confirm(&table, &hit, host) {
                    Confirmation::Other => {}
                    confirmation => longest = Some((hit, confirmation)),
                }
            }
        });
        let (hit, confirmation) = longest?;
        let lines = NameLines { index: self.section(Kind::LineIndex), numbers: self.section(Kind::LineNumbers) };
        let rank = self.set(hit.slot.set()).rank(list);
        let line = lines.line_number(&table, &hit, rank, |set| self.known_set(set))?;
        let mut text = host[hit.start..].to_owned();
        if confirmation == Confirmation::Damaged {
            text.push_str(UNCONFIRMED);
        }
        Some(EntryRef { text, file: self.list(list)?.files.names.clone(), line })
    }

    fn rule_entry(&self, list: ListId, candidate: &Candidate) -> Option<EntryRef> {
        let mut first: Option<&Expression> = None;
        self.rules.refusals(&candidate.request()?, true, self.names()?.seed(), |line, _| {
            if usize::from(line.list) == list.index() && first.is_none_or(|first| line.line < first.line) {
                first = Some(line);
            }
        });
        let Expression { text, line, .. } = first?;
        Some(EntryRef { text: text.clone(), file: self.list(list)?.files.rules.clone(), line: *line })
    }

    fn expression_entry(&self, list: ListId, candidate: &Candidate) -> Option<EntryRef> {
        let mut first: Option<(u32, String)> = None;
        self.patterns.find(candidate.text(), candidate.host_text().len(), |of, expression| {
            if of == list && first.as_ref().is_none_or(|(line, _)| expression.line < *line) {
                first = Some((expression.line, expression.text.clone()));
            }
        });
        let (line, text) = first?;
        Some(EntryRef { text, file: self.list(list)?.files.expressions.clone(), line })
    }
}
