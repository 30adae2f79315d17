//! Rules of ad blockers, for requests as a proxy sees them.
//!
//! A rule ([`Rule`]) has a pattern and conditions: which page asks, what for, whether it is of the same site. A rule
//! about the whole of a host is no matter of this module: it stands in the names' table, like the line of a domain list. Of
//! the others there are five kinds, by how they are found:
//!
//! | rule | found by |
//! |---|---|
//! | `\|\|example.fr/ads/` | the hash of the host, where the names' table says that the host has any |
//! | `/ads/banner.` | a run of its letters, all of them looked for at once in the URL ([`GramSet`]) |
//! | `\|\|example.fr/x/*-pixel` | the same, of what stands behind the host, which is asked then |
//! | `*$script,domain=a.fr` | the page that asks, where there is no run of letters |
//! | the rest, a handful | tried each time |
//!
//! A condition of which nothing is known (no `Referer`, no `Sec-Fetch-Dest`) does not hold for a rule that refuses and
//! holds for an exception: a proxy that guesses must not break pages. A rule without kinds is about parts of pages, and
//! is taken to hold where the kind is not known.
//!
//! Exceptions hold for all rules of all such lists, as in a browser, and are looked for only when something is found.

mod context;
mod domains;
mod parse;
mod pattern;
mod request;

use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::grams::{self, GramSet, is_common, word};
use super::names::hash::{ByHash, NameHash, Seed};
use super::patterns::{self, Expression};

pub use context::{Context, RequestKind};
pub use parse::{Rule, RuleError};
pub use pattern::SCHEME;
pub use request::Request;

use context::{Kinds, PARTS};
use domains::DomainSet;
use parse::What;
use pattern::HOST_AT;
use request::Above;

/// A literal must be that long to be looked for: shorter ones stand in every URL, or so it seems.
const MIN_LITERAL: usize = 4;
/// How expressions write the beginning of a URL.
const SCHEMES: [&str; 4] = [r"^https?:\/\/", r"^https:\/\/", r"^http:\/\/", "^https?://"];

/// All rules of all lists, ready.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Ready>,
    refusals: Index,
    exceptions: Index,
}

/// A rule, and the line it was.
#[derive(Debug)]
struct Ready {
    rule: Rule,
    pages: DomainSet,
    hosts: DomainSet,
    line: Expression,
    /// Compiled when a request first wants it; most are never wanted. `None` inside: it cannot be.
    expression: OnceLock<Option<Regex>>,
}

/// Where to look for rules.
#[derive(Debug, Default)]
struct Index {
    /// By the hash of a host: where its rules are in `of_hosts`.
    hosts: ByHash<Range<u32>>,
    of_hosts: Vec<Owner>,
    literals: GramSet,
    /// By literal.
    owners: Vec<Owner>,
    /// By the hash of a page's domain.
    pages: ByHash<Vec<u32>>,
    /// By the hash of `example` in `example.*` and `www.example.*`.
    pages_in_any_suffix: ByHash<Vec<u32>>,
    for_unknown_pages: bool,
    rest: Vec<Owner>,
}

/// A rule, and what tells without a look at it that it does not hold.
#[derive(Debug, Clone, Copy)]
struct Owner {
    rule: u32,
    /// For which kinds it may hold where the kind is known.
    kinds: Kinds,
    third_party: Option<bool>,
    is_exception: bool,
    /// A bit for each page that it names, all where it may be any.
    pages: u64,
    /// What must stand behind the host and its slash, and which of its bytes are meant.
    after_host: [u32; 2],
    /// How to go on from a literal.
    from: From,
}

/// Where a pattern would begin of which a literal was found.
#[derive(Debug, Clone, Copy)]
enum From {
    /// So many bytes before the literal.
    Literal(u16),
    /// With the host of that hash.
    Host(NameHash),
    Anywhere,
}

impl Owner {
    fn may_hold(&self, request: &Request<'_>) -> bool {
        is_for_kind(self.kinds, self.third_party, self.is_exception, request)
            && request.page.as_ref().is_none_or(|page| page.may_be_among(self.pages))
    }
}

impl RuleSet {
    /// `seed` is that of the names' table. Lines that are no rules are left out: the parser has told of them.
    pub fn new(lines: Vec<Expression>, seed: Seed) -> RuleSet {
        let parsed = lines.into_iter().filter_map(|line| Some((Rule::parse(&line.text).ok()??, line)));
        let (revocations, rules): (Vec<_>, Vec<_>) = parsed.partition(|(rule, _)| rule.is_revocation);
        let revoked: Vec<Rule> =
            revocations.into_iter().map(|(rule, _)| Rule { is_revocation: false, ..rule }).collect();
        let mut set = RuleSet::default();
        for (rule, line) in rules {
            if !revoked.contains(&rule) {
                let (pages, hosts) = (DomainSet::new(&rule.pages, seed), DomainSet::new(&rule.hosts, seed));
                set.rules.push(Ready { rule, pages, hosts, line, expression: OnceLock::new() });
            }
        }
        set.refusals = set.index(false, seed);
        set.exceptions = set.index(true, seed);
        set
    }

    fn index(&self, exceptions: bool, seed: Seed) -> Index {
        let mut index = Index { for_unknown_pages: exceptions, ..Index::default() };
        let mut literals: Vec<Vec<u8>> = Vec::new();
        let mut hosts: Vec<(NameHash, Owner)> = Vec::new();
        for (number, ready) in (0u32..).zip(&self.rules).filter(|(_, ready)| ready.rule.is_exception == exceptions) {
            let Rule { kinds, third_party, is_exception, .. } = ready.rule;
            let pages = ready.pages.named_bits();
            let (after_host, from) = ([0; 2], From::Anywhere);
            let owner = Owner { rule: number, kinds, third_party, is_exception, pages, after_host, from };
            if let Some(host) = ready.rule.host() {
                let hash = seed.hash(host);
                match ready.literal_behind_host() {
                    Some(literal) => {
                        index.owners.push(Owner { from: From::Host(hash), ..owner });
                        literals.push(literal);
                    }
                    None => hosts.push((hash, Owner { after_host: ready.after_host(), ..owner })),
                }
                continue;
            }
            let required = ready.required_literals();
            if required.is_empty() && !ready.rule.pages.named.is_empty() {
                for page in &ready.rule.pages.named {
                    let (map, name) = match page.strip_suffix(".*") {
                        Some(name) => (&mut index.pages_in_any_suffix, name.rsplit('.').next().unwrap_or(name)),
                        None => (&mut index.pages, &**page),
                    };
                    map.entry(seed.hash(name)).or_default().push(number);
                }
                continue;
            }
            if required.is_empty() {
                index.rest.push(owner);
            }
            for literal in required {
                index.owners.push(Owner { from: ready.place_of(&literal), ..owner });
                literals.push(literal);
            }
        }
        hosts.sort_unstable_by_key(|(hash, owner)| (*hash, owner.rule));
        for group in hosts.chunk_by(|a, b| a.0 == b.0) {
            let first = index.of_hosts.len() as u32;
            index.of_hosts.extend(group.iter().map(|(_, owner)| *owner));
            index.hosts.insert(group[0].0, first..index.of_hosts.len() as u32);
        }
        index.literals = GramSet::new(literals);
        index
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many rules are in force.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Calls `visit` with each rule that refuses the request: its line, and whether it is important.
    pub fn refusals<'s>(
        &'s self,
        request: &Request<'_>,
        has_host_rules: bool,
        mut visit: impl FnMut(&'s Expression, bool),
    ) {
        self.search(&self.refusals, request, has_host_rules, |ready| {
            visit(&ready.line, ready.rule.is_important);
            false
        });
    }

    /// The exception that lets the request through.
    pub fn exception(&self, request: &Request<'_>, has_host_rules: bool) -> Option<&Expression> {
        let mut found = None;
        self.search(&self.exceptions, request, has_host_rules, |ready| {
            found = Some(&ready.line);
            true
        });
        found
    }

    /// Calls `visit` with each rule that holds, until it says that it is enough.
    fn search<'s>(
        &'s self,
        index: &'s Index,
        request: &Request<'_>,
        has_host_rules: bool,
        mut visit: impl FnMut(&'s Ready) -> bool,
    ) {
        let mut done = false;
        let (mut held, mut tried) = (None, None);
        let mut try_at = |number: u32, at: Option<usize>| {
            // A literal that stands in a URL twice names its rule twice.
            if done || held == Some(number) || tried == Some((number, at)) {
                return;
            }
            tried = Some((number, at));
            if let Some(ready) = self.rules.get(number as usize).filter(|ready| ready.holds(request, at)) {
                held = Some(number);
                done = visit(ready);
            }
        };
        if has_host_rules && !index.hosts.is_empty() {
            let behind = word(request.text.url.get(request.text.host_end + 1..).unwrap_or_default());
            let fits = |owner: &&Owner| behind & owner.after_host[1] == owner.after_host[0] && owner.may_hold(request);
            for (hash, start) in request.host.hashes() {
                let Some(of_host) = index.hosts.get(&hash) else { continue };
                let owners = index.of_hosts[of_host.start as usize..of_host.end as usize].iter();
                // A host in full, and what must follow it: the pattern begins nowhere else.
                owners.filter(fits).for_each(|owner| try_at(owner.rule, Some(HOST_AT + start)));
            }
        }
        match &request.page {
            Some(page) => index.of_page(page).for_each(|number| try_at(*number, None)),
            // It may be any page: that speaks for exceptions only.
            None if !index.for_unknown_pages => {}
            None => {
                let all = index.pages.values().chain(index.pages_in_any_suffix.values());
                all.flatten().for_each(|number| try_at(*number, None));
            }
        }
        index.rest.iter().filter(|owner| owner.may_hold(request)).for_each(|owner| try_at(owner.rule, None));
        index.literals.find(request.text.url, |found| {
            let owner = &index.owners[found.literal];
            if !owner.may_hold(request) {
                return;
            }
            match owner.from {
                From::Anywhere => try_at(owner.rule, None),
                From::Literal(place) => {
                    if let Some(at) = found.start.checked_sub(usize::from(place)) {
                        try_at(owner.rule, Some(at));
                    }
                }
                From::Host(hash) => {
                    if let Some(start) = request.host.start_of(hash) {
                        try_at(owner.rule, Some(HOST_AT + start));
                    }
                }
            }
        });
    }
}

impl Index {
    /// The rules that name the page, by its domain or by its name without the suffix.
    fn of_page<'a>(&'a self, page: &Above<'_>) -> impl Iterator<Item = &'a u32> {
        let by_domain = page.hashes().filter_map(|(hash, _)| self.pages.get(&hash));
        let labels = page.labels_before_suffixes().filter(|_| !self.pages_in_any_suffix.is_empty());
        let by_name = labels.filter_map(|label| self.pages_in_any_suffix.get(&page.seed.hash(label)));
        by_domain.chain(by_name).flatten()
    }
}

fn is_worth_looking_for(literal: &[u8]) -> bool {
    literal.len() >= MIN_LITERAL && !is_common(literal)
}

impl Ready {
    /// One of these stands in every URL that the rule matches; empty where there is none worth looking for.
    fn required_literals(&self) -> Vec<Vec<u8>> {
        match &self.rule.what {
            What::Pattern(pattern) => {
                let literals = pattern.runs().filter(|literal| is_worth_looking_for(literal));
                literals.max_by_key(|literal| grams::worth(literal)).map(<[u8]>::to_vec).into_iter().collect()
            }
            What::Expression(text) => {
                // What every URL begins with tells none from another.
                let text = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
                let required = patterns::required_literals(text).unwrap_or_default();
                let all_worth = required.iter().all(|literal| is_worth_looking_for(literal.as_bytes()));
                if all_worth { required.into_iter().map(String::into_bytes).collect() } else { Vec::new() }
            }
        }
    }

    fn after_host(&self) -> [u32; 2] {
        match &self.rule.what {
            What::Pattern(pattern) => {
                let bytes = pattern.after_host();
                [word(bytes), word(&[0xff; 4][..bytes.len()])]
            }
            What::Expression(_) => [0; 2],
        }
    }

    /// Of a rule about a host that would have to be searched to its end: what stands in each URL that it matches.
    fn literal_behind_host(&self) -> Option<Vec<u8>> {
        let What::Pattern(pattern) = &self.rule.what else { return None };
        let literals = pattern.runs_behind_host().filter(|literal| is_worth_looking_for(literal));
        literals.max_by_key(|literal| grams::worth(literal)).map(<[u8]>::to_vec)
    }

    fn place_of(&self, literal: &[u8]) -> From {
        match &self.rule.what {
            What::Pattern(pattern) => {
                let place = pattern.place_of(literal).and_then(|place| u16::try_from(place).ok());
                place.map_or(From::Anywhere, From::Literal)
            }
            What::Expression(_) => From::Anywhere,
        }
    }

    /// The cheapest question first.
    fn holds(&self, request: &Request<'_>, at: Option<usize>) -> bool {
        let rule = &self.rule;
        is_for_kind(rule.kinds, rule.third_party, rule.is_exception, request)
            && self.is_for_domains(request)
            && match (&rule.what, at) {
                (What::Pattern(pattern), Some(at)) => pattern.matches_from(&request.text, at),
                (What::Pattern(pattern), None) => pattern.matches(&request.text),
                (What::Expression(text), _) => {
                    let regex = self.expression.get_or_init(|| patterns::compile(text).ok());
                    regex.as_ref().is_some_and(|regex| regex.is_match(request.text.url))
                }
            }
    }

    fn is_for_domains(&self, request: &Request<'_>) -> bool {
        let page_fits = self.pages.is_empty
            || match &request.page {
                Some(page) => self.pages.hold(page),
                None => self.rule.is_exception || self.rule.pages.named.is_empty(),
            };
        page_fits && (self.hosts.is_empty || self.hosts.hold(&request.host))
    }
}

/// What is not known speaks for an exception and against a refusal.
fn is_for_kind(kinds: Kinds, third_party: Option<bool>, is_exception: bool, request: &Request<'_>) -> bool {
    let kind_fits = match request.context.kind {
        Some(kind) => kinds & kind as Kinds != 0,
        None => is_exception || kinds & PARTS == PARTS || kinds & RequestKind::Document as Kinds != 0,
    };
    kind_fits && third_party.is_none_or(|third| request.third_party.map_or(is_exception, |is| is == third))
}

#[cfg(test)]
mod tests;
