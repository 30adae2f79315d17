//! Which entry it was, and where it stands: slow, for refusals and explanations.

use std::net::IpAddr;

use crate::access::{EntryRef, Host};
use crate::matcher::addresses::{AddressHit, AddressTable};
use crate::matcher::names::codebook::Codebook;
use crate::matcher::names::exact::{Confirmation, NameLines, NameTexts};
use crate::matcher::names::{Hit, NameTable};
use crate::matcher::patterns::Expression;
use crate::matcher::urls::{UrlHit, UrlTable};
use crate::matcher::{Candidate, ListId, ListMatches};

use super::super::urgent::{Overlay, Said, Width, is_urgent};
use super::{Image, Kind, Spill, UNCONFIRMED, network_width, url_width};

/// What the urgent changes leave of a list.
struct Left<'a>(Option<(&'a Overlay, Said)>);

impl Left<'_> {
    fn holds(&self, list: ListId, width: Width) -> bool {
        self.0
            .as_ref()
            .is_none_or(|(overlay, said)| overlay.left(said, std::iter::once(list).collect(), width).contains(list))
    }
}

impl Image {
    /// The most specific entry of `list` that covers the candidate: an urgent one, else the longest URL, else the longest
    /// name, else the narrowest network, else an expression.
    pub fn entry(&self, list: ListId, candidate: &Candidate) -> Option<EntryRef> {
        let left = Left(self.overlay.as_ref().map(|overlay| (overlay, overlay.about(candidate))));
        self.urgent_entry(list, &left)
            .or_else(|| self.url_entry(list, candidate, &left))
            .or_else(|| match candidate.target() {
                Host::Name(name) => self.name_entry(list, name.as_str(), &left),
                Host::Address(address) => self.network_entry(list, *address, &left),
            })
            .or_else(|| self.expression_entry(list, candidate, &left))
            .or_else(|| self.rule_entry(list, candidate, &left))
            .map(|entry| self.signed(list, entry))
    }

    /// The urgent entry, or the narrowest network of `list` around the address.
    pub fn entry_for_address(&self, list: ListId, address: IpAddr) -> Option<EntryRef> {
        let left = Left(self.overlay.as_ref().map(|overlay| (overlay, overlay.about_address(address))));
        let found = self.urgent_entry(list, &left).or_else(|| self.network_entry(list, address, &left));
        found.map(|entry| self.signed(list, entry))
    }

    /// Every name that is an entry of one of `lists`, with that list (the first, where several have it); urgent changes
    /// are not looked at. Reads the whole table of names.
    pub fn visit_names(&self, lists: &ListMatches, mut visit: impl FnMut(ListId, &str)) {
        let (Some(table), Some(codebook)) =
            (NameTable::view(self.section(Kind::Names)), Codebook::view(self.section(Kind::Codebook)))
        else {
            return;
        };
        let texts = NameTexts { codebook, index: self.section(Kind::NameIndex), texts: self.section(Kind::NameTexts) };
        for line in 0..table.line_count() {
            texts.visit_line(&table, line, |set, name| {
                let among = self.set(set).iter().find(|list| lists.contains(*list));
                if let (Some(list), Some(name)) = (among, among.and_then(|_| name())) {
                    visit(list, &name);
                }
            });
        }
    }

    fn urgent_entry(&self, list: ListId, left: &Left<'_>) -> Option<EntryRef> {
        let (overlay, said) = left.0.as_ref()?;
        let narrowest = overlay.additions(said).filter(|(lists, _)| lists.contains(list)).last();
        narrowest.map(|(_, entry)| entry.reference())
    }

    /// An urgent entry that a compile has merged is still its author's.
    fn signed(&self, list: ListId, entry: EntryRef) -> EntryRef {
        let merged = self.overlay.as_ref().filter(|_| self.list(list).is_some_and(|list| is_urgent(&list.name)));
        let written = merged.and_then(|overlay| overlay.entries().iter().find(|urgent| urgent.line == entry.line));
        written.map_or(entry, |urgent| urgent.reference())
    }

    fn url_entry(&self, list: ListId, candidate: &Candidate, left: &Left<'_>) -> Option<EntryRef> {
        if candidate.path().is_empty() {
            return None;
        }
        let mut longest: Option<UrlHit<'_>> = None;
        self.visit_urls(candidate, |hit| {
            if self.set(hit.set).contains(list) && left.holds(list, url_width(candidate, &hit)) {
                longest = Some(hit);
            }
        });
        let hit = longest?;
        let count = UrlTable::view(self.section(Kind::Urls))?.len();
        let line = Spill::line(self.section(Kind::UrlLines), count, hit.number, self.set(hit.set).rank(list))?;
        Some(EntryRef::at(String::from_utf8_lossy(hit.text), &*self.list(list)?.files.urls, line))
    }

    fn name_entry(&self, list: ListId, host: &str, left: &Left<'_>) -> Option<EntryRef> {
        let table = NameTable::view(self.section(Kind::Names))?;
        let mut longest: Option<(Hit, Confirmation)> = None;
        table.walk(host, |hit| {
            if self.set(hit.slot.set()).contains(list) && left.holds(list, host.len() - hit.start) {
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
        Some(EntryRef::at(text, &*self.list(list)?.files.names, line))
    }

    fn network_entry(&self, list: ListId, address: IpAddr, left: &Left<'_>) -> Option<EntryRef> {
        let mut narrowest: Option<AddressHit> = None;
        self.visit_networks(address, |hit| {
            if self.set(hit.set).contains(list) && left.holds(list, network_width(&hit)) {
                narrowest = Some(hit);
            }
        });
        let hit = narrowest?;
        let lines = self.section(Kind::AddressLines);
        let count = AddressTable::view(self.section(Kind::Addresses))?.len();
        let line = Spill::line(lines, count, hit.number, self.set(hit.set).rank(list))?;
        let single = hit.network.prefix_len() == hit.network.max_prefix_len();
        let text = if single { hit.network.addr().to_string() } else { hit.network.to_string() };
        Some(EntryRef::at(text, &*self.list(list)?.files.names, line))
    }

    fn expression_entry(&self, list: ListId, candidate: &Candidate, left: &Left<'_>) -> Option<EntryRef> {
        let mut first: Option<&Expression> = None;
        self.patterns.find(candidate.text(), candidate.host_text().len(), |of, expression| {
            if of == list && first.is_none_or(|first| expression.line < first.line) {
                first = Some(expression);
            }
        });
        let Expression { text, line, .. } = first.filter(|_| left.holds(list, 0))?;
        Some(EntryRef::at(text, &*self.list(list)?.files.expressions, *line))
    }

    fn rule_entry(&self, list: ListId, candidate: &Candidate, left: &Left<'_>) -> Option<EntryRef> {
        let mut first: Option<&Expression> = None;
        self.rules.refusals(&candidate.request(self.names()?.seed())?, true, |line, _| {
            if usize::from(line.list) == list.index() && first.is_none_or(|first| line.line < first.line) {
                first = Some(line);
            }
        });
        let Expression { text, line, .. } = first.filter(|_| left.holds(list, 0))?;
        Some(EntryRef::at(text, &*self.list(list)?.files.rules, *line))
    }
}
