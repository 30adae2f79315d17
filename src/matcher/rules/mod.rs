//! Rules of ad blockers, for requests as a proxy sees them.
//!
//! A rule ([`Rule`]) has a pattern and conditions: which page asks, what for, whether it is of the same site. A rule
//! about the whole of a host is no matter of this module: it stands in the names' table, like the line of a domain list. Of
//! the others there are four kinds, by how they are found:
//!
//! | rule | found by |
//! |---|---|
//! | `\|\|example.fr/ads/` | the hash of the host, where the names' table says that the host has any |
//! | `/ads/banner.` | a run of its letters, all of them looked for at once in the URL ([`GramSet`]) |
//! | `*$script,domain=a.fr` | the page that asks |
//! | the rest, a handful | tried each time |
//!
//! A condition of which nothing is known (no `Referer`, no `Sec-Fetch-Dest`) does not hold for a rule that refuses and
//! holds for an exception: a proxy that guesses must not break pages. A rule without kinds is about parts of pages, and
//! is taken to hold where the kind is not known.
//!
//! Exceptions hold for all rules of all such lists, as in a browser, and are looked for only when something is found.

mod context;
mod parse;
mod pattern;

use std::collections::HashMap;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::grams::GramSet;
use super::names::hash::{NameHash, Seed};
use super::patterns::{self, Expression};

pub use context::{Context, RequestKind};
pub use parse::{Rule, RuleError};
pub use pattern::SCHEME;

use context::{Kinds, PARTS, is_within, site};
use parse::{Domains, What};
use pattern::{HOST_AT, Text};

/// A literal must be that long to be looked for: shorter ones stand in every URL.
const MIN_LITERAL: usize = 3;
/// How expressions write the beginning of a URL.
const SCHEMES: [&str; 4] = [r"^https?:\/\/", r"^https:\/\/", r"^http:\/\/", "^https?://"];

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    text: Text<'a>,
    host: &'a str,
    context: &'a Context,
}

impl<'a> Request<'a> {
    /// `url` begins with [`SCHEME`] and the host; `None` where it does not.
    pub fn new(url: &'a str, host: &'a str, context: &'a Context) -> Option<Request<'a>> {
        let host_end = HOST_AT + host.len();
        let whole = url.starts_with(SCHEME) && url.get(HOST_AT..host_end) == Some(host);
        whole.then_some(Request { text: Text { url: url.as_bytes(), host_end }, host, context })
    }
}

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
    line: Expression,
    /// Compiled when a request first wants it; most are never wanted. `None` inside: it cannot be.
    expression: OnceLock<Option<Regex>>,
}

/// Where to look for rules.
#[derive(Debug, Default)]
struct Index {
    /// By the hash of a host; ascending.
    hosts: Vec<(NameHash, u32)>,
    literals: GramSet,
    /// By literal: the rule.
    owners: Vec<u32>,
    /// By the hash of a page's domain.
    pages: HashMap<NameHash, Vec<u32>>,
    for_unknown_pages: bool,
    rest: Vec<u32>,
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
                set.rules.push(Ready { rule, line, expression: OnceLock::new() });
            }
        }
        set.refusals = set.index(false, seed);
        set.exceptions = set.index(true, seed);
        set
    }

    fn index(&self, exceptions: bool, seed: Seed) -> Index {
        let mut index = Index { for_unknown_pages: exceptions, ..Index::default() };
        let mut literals: Vec<Vec<u8>> = Vec::new();
        for (number, ready) in (0u32..).zip(&self.rules).filter(|(_, ready)| ready.rule.is_exception == exceptions) {
            let required = ready.required_literals();
            if let Some(host) = ready.rule.host() {
                index.hosts.push((seed.hash(host), number));
            } else if !required.is_empty() {
                index.owners.extend(required.iter().map(|_| number));
                literals.extend(required);
            } else if ready.rule.pages.are_plain() {
                for page in &ready.rule.pages.named {
                    index.pages.entry(seed.hash(page)).or_default().push(number);
                }
            } else {
                index.rest.push(number);
            }
        }
        index.hosts.sort_unstable();
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
        seed: Seed,
        mut visit: impl FnMut(&'s Expression, bool),
    ) {
        self.search(&self.refusals, request, has_host_rules, seed, |ready| {
            visit(&ready.line, ready.rule.is_important);
            false
        });
    }

    /// The exception that lets the request through.
    pub fn exception(&self, request: &Request<'_>, has_host_rules: bool, seed: Seed) -> Option<&Expression> {
        let mut found = None;
        self.search(&self.exceptions, request, has_host_rules, seed, |ready| {
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
        seed: Seed,
        mut visit: impl FnMut(&'s Ready) -> bool,
    ) {
        let mut done = false;
        let mut last = None;
        let mut try_rule = |number: u32| {
            // A literal that stands in a URL twice names its rule twice.
            if done || last == Some(number) {
                return;
            }
            if let Some(ready) = self.rules.get(number as usize).filter(|ready| ready.holds(request)) {
                last = Some(number);
                done = visit(ready);
            }
        };
        if has_host_rules {
            for (hash, _) in seed.suffixes(request.host) {
                let first = index.hosts.partition_point(|(of, _)| *of < hash);
                index.hosts[first..].iter().take_while(|(of, _)| *of == hash).for_each(|(_, number)| try_rule(*number));
            }
        }
        match &request.context.page {
            _ if index.pages.is_empty() => {}
            Some(page) => {
                let rules = seed.suffixes(page.as_str()).filter_map(|(hash, _)| index.pages.get(&hash));
                rules.flatten().for_each(|number| try_rule(*number));
            }
            // It may be any page: that speaks for exceptions only.
            None if !index.for_unknown_pages => {}
            None => index.pages.values().flatten().for_each(|number| try_rule(*number)),
        }
        index.rest.iter().for_each(|number| try_rule(*number));
        index.literals.find(request.text.url, |found| try_rule(index.owners[found.literal]));
    }
}

impl Ready {
    /// One of these stands in every URL that the rule matches; empty where there is none worth looking for.
    fn required_literals(&self) -> Vec<Vec<u8>> {
        match &self.rule.what {
            What::Pattern(pattern) => {
                let literal = pattern.literal();
                if literal.len() >= MIN_LITERAL { vec![literal.to_vec()] } else { Vec::new() }
            }
            What::Expression(text) => {
                // What every URL begins with tells none from another.
                let text = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
                let required = patterns::required_literals(text).unwrap_or_default();
                required.into_iter().map(String::into_bytes).collect()
            }
        }
    }

    fn holds(&self, request: &Request<'_>) -> bool {
        self.rule.applies(request) && self.matches(request)
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        match &self.rule.what {
            What::Pattern(pattern) => pattern.matches(&request.text),
            What::Expression(text) => {
                let regex = self.expression.get_or_init(|| patterns::compile(text).ok());
                regex.as_ref().is_some_and(|regex| regex.is_match(request.text.url))
            }
        }
    }
}

impl Rule {
    /// Whether its conditions hold.
    fn applies(&self, request: &Request<'_>) -> bool {
        let Context { page, kind } = request.context;
        let unknown = self.is_exception;
        let kind_fits = match kind {
            Some(kind) => self.kinds & *kind as Kinds != 0,
            None => unknown || self.kinds & PARTS == PARTS || self.kinds & RequestKind::Document as Kinds != 0,
        };
        let page = page.as_ref().map(|page| page.as_str());
        let party_fits = self
            .third_party
            .is_none_or(|third| page.map_or(unknown, |page| (site(page) != site(request.host)) == third));
        let page_fits = self.pages.is_empty()
            || match page {
                Some(page) => self.pages.hold(page),
                None => unknown || self.pages.named.is_empty(),
            };
        kind_fits && party_fits && page_fits && self.hosts.hold(request.host)
    }
}

impl Domains {
    fn hold(&self, host: &str) -> bool {
        let is_in = |domains: &[Box<str>]| domains.iter().any(|domain| is_within(host, domain));
        (self.named.is_empty() || is_in(&self.named)) && !is_in(&self.excepted)
    }

    /// Whether there are some, and all of them can be looked up by hash.
    fn are_plain(&self) -> bool {
        !self.named.is_empty() && self.named.iter().all(|domain| !domain.ends_with(".*"))
    }
}

#[cfg(test)]
mod tests;
