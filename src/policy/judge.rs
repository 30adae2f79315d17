//! The walk through the rules: what is known of an access in, the rule that decides out.
//!
//! The order of things is the one that [`super`] documents. Nothing here allocates but the reason of a refusal; the
//! work of one walk is bounded by the number of rules and of entries written in them.

use std::collections::HashMap;
use std::net::IpAddr;

use super::action::Duties;
use super::look_alikes::{Original, Source, rules_of};
use super::rule::{Place, Rule, Verdict, ech_index, host_source_index, protocol_index, scheme_index};
use super::ruleset::Ruleset;
use crate::access::{
    Access, Carrier, CategoryName, Ech, EntryRef, Host, HostName, HostSource, ListName, Protocol, Reason, RuleName,
    Scheme, Target,
};
use crate::lists::{Candidate, ListId, ListMatches};
use crate::matcher::rules::Context;

/// How many rules a policy may have: one bit each, in one cache line.
pub(super) const MAX_RULES: usize = 512;
/// The rule that a reason names where none decided.
pub(super) const DEFAULT_RULE: &str = "default";
/// The rule that a reason names where QUIC would pass but for the group, which may not speak it.
pub(super) const QUIC_RULE: &str = "gateway-quic";

/// When policy is asked: the later, the more is known. A name knows neither port, scheme nor path; only the last two know everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Name,
    Connection,
    Request,
    Address,
    Flow,
    Send,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Name => "name",
            Stage::Connection => "connection",
            Stage::Request => "request",
            Stage::Address => "address",
            Stage::Flow => "flow",
            Stage::Send => "send",
        }
    }

    fn is_last(self) -> bool {
        matches!(self, Stage::Flow | Stage::Send)
    }
}

/// The answer before it takes the shape of a stage.
#[derive(Debug)]
pub(super) struct Judged {
    pub verdict: Verdict,
    pub duties: Duties,
    pub reason: Reason,
}

/// What a walk found. Indices into the rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    /// The first rule that matches; `None`: the default.
    pub decided: Option<usize>,
    /// The first allowing rule that may still match, before the deciding one.
    pub held: Option<usize>,
    /// The first refusing rule that matches and only logs.
    pub logged: Option<usize>,
}

/// How a rule takes to an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weighed {
    NotThisClient,
    NotNow,
    NotThisPort,
    NotThisProtocol,
    NotThisScheme,
    NotThisHostSource,
    NotThisEch,
    NotRoundDns,
    NotThisTarget,
    /// It depends on what is not known yet.
    Perhaps,
    Matches,
}

/// What is known, whatever the name.
pub(super) struct Facts {
    who: u64,
    holding: u64,
    /// `None`, here and below: not known yet.
    port: Option<u16>,
    scheme: Option<Scheme>,
    protocol: Option<Protocol>,
    /// `Some(None)`: the first bytes hold none.
    ech: Option<Option<Ech>>,
    no_dns: Option<bool>,
    host_source: Option<HostSource>,
    resolved: Option<IpAddr>,
    /// `None`: no list has the address.
    resolved_lists: Option<ListMatches>,
    address_may_come: bool,
}

/// One name (or address) by which the target is judged.
#[derive(Debug)]
pub(super) struct Named {
    candidate: Candidate,
    /// `None`: no list has it, as is true of most.
    lists: Option<ListMatches>,
    /// Rules with a host that covers the name, or with one that it resembles; `None`: no rule has.
    hosts: Option<RuleBits>,
    literal: Option<IpAddr>,
}

/// What of a rule covered the target.
pub(super) enum Cause<'r> {
    List {
        list: ListId,
        category: &'r CategoryName,
        entry_of: Option<IpAddr>,
    },
    Written(&'r Place),
    /// It resembles this one.
    LookAlike(&'r Original),
    /// The rule covers everything.
    Everything,
}

/// What lists and rules say of a target's names, whatever the stage: looked up once for the questions of one access.
#[derive(Debug)]
pub struct LookedUp {
    first: Named,
    /// Another name of the same flow, and the hosts that a translator, an archive… shows.
    others: Vec<Named>,
}

/// The walk that answers, and the name it was for.
pub(super) struct Strictest<'n> {
    pub walk: Walk,
    pub name: &'n Named,
    /// Of all names together.
    duties: Duties,
}

impl Ruleset {
    /// For questions about this very target, as long as neither its host, its path nor its other name changes.
    pub fn look_up(&self, target: &Target) -> LookedUp {
        self.look_up_in(target, Context::default)
    }

    /// The same, where it is known who asks and what for: `context` is called only if a list wants it.
    pub fn look_up_in(&self, target: &Target, context: impl FnOnce() -> Context) -> LookedUp {
        let first = self.named(&target.host, &target.path_and_query, context);
        let embeds = &self.policy.embeds;
        let mut shown = embeds.within(&target.host, &target.path_and_query);
        let mut others = Vec::new();
        if let Some(other) = &target.other_name {
            let other = Host::Name(other.clone());
            others.push(self.named(&other, "", Context::default));
            shown.extend(embeds.within(&other, ""));
        }
        others.extend(shown.iter().map(|(host, path)| self.named(host, path, Context::default)));
        LookedUp { first, others }
    }

    pub(super) fn judge(&self, access: &Access, stage: Stage) -> Judged {
        self.judge_looked_up(access, stage, &self.look_up(&access.target))
    }

    pub(super) fn judge_looked_up(&self, access: &Access, stage: Stage, names: &LookedUp) -> Judged {
        let judged = self.judge_by_rules(access, stage, names);
        let is_quic = access.target.protocol.carrier() == Carrier::Quic;
        if judged.verdict == Verdict::Refuse || !is_quic {
            return judged;
        }
        // What is to be opened comes by TCP: here nobody could look.
        let is_to_be_opened = judged.duties.inspect && !self.is_shielded(access);
        if self.name_limits(&access.client).quic && !is_to_be_opened {
            return judged;
        }
        let reason = Reason::rule(RuleName::new(QUIC_RULE), self.version().clone());
        Judged { verdict: Verdict::Refuse, duties: Duties { log_only: false, ..judged.duties }, reason }
    }

    fn judge_by_rules(&self, access: &Access, stage: Stage, names: &LookedUp) -> Judged {
        let facts = self.facts(access, stage);
        let Strictest { walk, name, duties } = self.strictest(names, &facts);
        let mut judged = self.judged(walk, name, &facts);
        if judged.verdict == Verdict::Allow {
            judged.duties = duties;
        }
        judged
    }

    /// Every name is judged; the strictest answer counts, the first of equals.
    pub(super) fn strictest<'n>(&self, names: &'n LookedUp, facts: &Facts) -> Strictest<'n> {
        let walk = self.walk(&names.first, facts);
        let mut strictest = Strictest { walk, name: &names.first, duties: self.duties(walk) };
        for name in &names.others {
            let walk = self.walk(name, facts);
            strictest.duties = together(strictest.duties, self.duties(walk));
            if self.verdict(walk) > self.verdict(strictest.walk) {
                (strictest.walk, strictest.name) = (walk, name);
            }
        }
        strictest
    }

    /// Takes the wish to open a flow away where nothing is to be opened: it is no TLS, or a rule shields it. TLS that says
    /// it carries something else than HTTP is not TLS to open.
    pub(super) fn shield(&self, access: &Access, judged: &mut Judged) {
        if !judged.duties.inspect {
            return;
        }
        let shielded = self.is_shielded(access);
        if shielded || access.target.protocol != Protocol::Tls {
            judged.duties = Duties {
                inspect: false,
                inspect_or_refuse: false,
                never_inspect: judged.duties.never_inspect || shielded,
                ..judged.duties
            };
        }
    }

    /// Whether a rule shields the connection from being opened, wherever in the file it stands: a promise to the person
    /// does not depend on the order of rules. The name asked or the server name is enough; a page that is shown inside
    /// another is not.
    pub fn is_shielded(&self, access: &Access) -> bool {
        let facts = self.facts(access, Stage::Connection);
        let names = self.look_up(&access.target);
        let shields = |name: &Named| {
            self.policy.rules.iter().enumerate().any(|(i, rule)| {
                (rule.duties.never_inspect || rule.duties.help_line)
                    && matches!(weigh(i, rule, name, &facts), Weighed::Matches | Weighed::Perhaps)
            })
        };
        let other = names.others.first().filter(|_| access.target.other_name.is_some());
        shields(&names.first) || other.is_some_and(shields)
    }

    pub(super) fn facts(&self, access: &Access, stage: Stage) -> Facts {
        let target = &access.target;
        let named_more = stage != Stage::Name;
        // The first bytes of a tunnel to an address may hold a name.
        let may_name_itself = !stage.is_last()
            && target.scheme == Scheme::Tunnel
            && target.protocol == Protocol::Unseen
            && target.host_source == HostSource::Address;
        let protocol_known = stage.is_last() || (named_more && target.protocol != Protocol::Unseen);
        Facts {
            who: self.policy.who(&access.client, &self.people),
            holding: self.policy.timetable.holding(access.start),
            port: named_more.then_some(target.port),
            scheme: named_more.then_some(target.scheme),
            protocol: protocol_known.then_some(target.protocol),
            ech: protocol_known.then_some(target.ech),
            no_dns: named_more.then_some(target.no_dns),
            host_source: (named_more && !may_name_itself).then_some(target.host_source),
            resolved: target.address,
            resolved_lists: target.address.map(|a| self.image.matches_address(a)).filter(|lists| !lists.is_empty()),
            address_may_come: target.address.is_none() && !stage.is_last(),
        }
    }

    pub(super) fn named(&self, host: &Host, path_and_query: &str, context: impl FnOnce() -> Context) -> Named {
        let candidate = Candidate::new(host, path_and_query);
        let candidate = if self.image.asks_for_context() { candidate.with_context(context()) } else { candidate };
        let mut lists = self.image.matches(&candidate);
        let (hosts, literal) = match host {
            Host::Name(name) => {
                let covering = self.policy.hosts.covering(name);
                let protecting = self.policy.look_alikes.resembled(name).map(rules_of);
                (covering.map_or(protecting, |rules| Some(rules.union(&protecting.unwrap_or_default()))), None)
            }
            Host::Address(address) => {
                lists.union_with(&self.image.matches_address(*address));
                (None, Some(*address))
            }
        };
        Named { candidate, lists: Some(lists).filter(|lists| !lists.is_empty()), hosts, literal }
    }

    pub(super) fn walk(&self, name: &Named, facts: &Facts) -> Walk {
        let mut walk = Walk::default();
        for (i, rule) in self.policy.rules.iter().enumerate() {
            match weigh(i, rule, name, facts) {
                Weighed::Perhaps if rule.verdict == Verdict::Allow => walk.held = walk.held.or(Some(i)),
                Weighed::Matches if rule.duties.log_only => walk.logged = walk.logged.or(Some(i)),
                Weighed::Matches => {
                    walk.decided = Some(i);
                    break;
                }
                _ => {}
            }
        }
        walk
    }

    /// A refusal waits for the answer of an earlier rule that may still allow.
    pub(super) fn verdict(&self, walk: Walk) -> Verdict {
        match (walk.held, walk.decided) {
            (Some(_), _) => Verdict::Allow,
            (None, Some(rule)) => self.policy.rules[rule].verdict,
            (None, None) => self.policy.default,
        }
    }

    fn duties(&self, walk: Walk) -> Duties {
        let rule = walk.held.or(walk.decided);
        let mut duties = rule.map_or(Duties::default(), |rule| self.policy.rules[rule].duties);
        duties.log_only = walk.logged.is_some() && self.verdict(walk) == Verdict::Allow;
        duties
    }

    /// The rule whose name the row bears.
    pub(super) fn answering(&self, walk: Walk) -> Option<usize> {
        match self.duties(walk).log_only {
            true => walk.logged,
            false => walk.held.or(walk.decided),
        }
    }

    fn judged(&self, walk: Walk, name: &Named, facts: &Facts) -> Judged {
        let verdict = self.verdict(walk);
        let reason = match self.answering(walk) {
            None => Reason::rule(self.policy.default_name.clone(), self.version().clone()),
            Some(rule) => {
                let rule = &self.policy.rules[rule];
                // An entry is looked up in the text of the lists: worth it for a refusal, real or only logged.
                let with_entry = rule.verdict == Verdict::Refuse;
                self.reason(rule, name, facts, with_entry)
            }
        };
        Judged { verdict, duties: self.duties(walk), reason }
    }

    pub(super) fn reason(&self, rule: &Rule, name: &Named, facts: &Facts, with_entry: bool) -> Reason {
        let cause = self.cause(rule, name, facts);
        let (category, list): (Option<CategoryName>, Option<ListName>) = match &cause {
            Cause::List { list, category, .. } => {
                (Some((*category).clone()), self.image.list(*list).map(|meta| meta.name.clone()))
            }
            // What it resembles is in a category, not it.
            Cause::LookAlike(Original { from: Source::List(list), .. }) => {
                (None, self.image.list(*list).map(|meta| meta.name.clone()))
            }
            _ => (None, None),
        };
        let entry = if with_entry { self.entry(&cause, name) } else { None };
        Reason { rule: rule.name.clone(), category, list, entry, version: self.version().clone() }
    }

    fn entry(&self, cause: &Cause<'_>, name: &Named) -> Option<EntryRef> {
        match cause {
            Cause::List { list, entry_of: None, .. } => self.image.entry(*list, &name.candidate),
            Cause::List { list, entry_of: Some(address), .. } => {
                let by_address = self.image.entry_for_address(*list, *address);
                by_address.or_else(|| self.image.entry(*list, &name.candidate))
            }
            Cause::Written(place) => Some(place.entry()),
            Cause::LookAlike(Original { from: Source::Policy(place), .. }) => Some(place.entry()),
            Cause::LookAlike(Original { from: Source::List(list), name, .. }) => {
                self.image.entry(*list, &Candidate::host(&Host::Name(name.clone())))
            }
            Cause::Everything => None,
        }
    }

    /// What covered the target, most telling first: a list (it has a category to show), then what the rule itself writes.
    fn cause<'r>(&'r self, rule: &'r Rule, name: &Named, facts: &Facts) -> Cause<'r> {
        let what = &rule.what;
        let named_in = |lists: &ListMatches| what.named.iter().find(|(list, _)| lists.contains(*list));
        if let Some((list, category)) = name.lists.as_ref().and_then(named_in) {
            return Cause::List { list: *list, category, entry_of: name.literal };
        }
        let by_address = facts.resolved_lists.as_ref().and_then(named_in);
        if let Some((list, category)) = by_address.filter(|_| rule.verdict == Verdict::Refuse) {
            return Cause::List { list: *list, category, entry_of: facts.resolved };
        }
        let host = name.candidate.target().name().and_then(|host| what.host(host)).map(|entry| &entry.place);
        let url = || what.url(&name.candidate).map(|entry| &entry.place);
        let address = || name.literal.or(facts.resolved).and_then(|a| what.address(a)).map(|entry| &entry.place);
        if let Some(place) = host.or_else(url).or_else(address) {
            return Cause::Written(place);
        }
        let resembled = name.candidate.target().name().filter(|_| !what.look_alikes_of.is_empty());
        let mut resembled = resembled.and_then(|name| self.policy.look_alikes.resembled(name)).into_iter().flatten();
        resembled.find(|original| original.is_of(rule)).map_or(Cause::Everything, Cause::LookAlike)
    }
}

pub(super) fn weigh(i: usize, rule: &Rule, name: &Named, facts: &Facts) -> Weighed {
    if rule.who & facts.who == 0 {
        return Weighed::NotThisClient;
    }
    if !rule.when.holds(facts.holding) {
        return Weighed::NotNow;
    }
    let port_open = facts.port.is_none() && !rule.what.ports.is_empty();
    if facts.port.is_some_and(|port| !rule.what.port(port)) {
        return Weighed::NotThisPort;
    }
    let scheme_open = facts.scheme.is_none() && !rule.what.schemes.is_any();
    if facts.scheme.is_some_and(|scheme| !rule.what.schemes.holds(scheme_index(scheme))) {
        return Weighed::NotThisScheme;
    }
    let source_open = facts.host_source.is_none() && !rule.what.host_sources.is_any();
    if facts.host_source.is_some_and(|source| !rule.what.host_sources.holds(host_source_index(source))) {
        return Weighed::NotThisHostSource;
    }
    let protocol_open = facts.protocol.is_none() && !rule.what.protocols.is_any();
    if !protocol_open && !facts.protocol.is_none_or(|p| rule.what.protocols.holds(protocol_index(p))) {
        return Weighed::NotThisProtocol;
    }
    let ech_open = facts.ech.is_none() && !rule.what.ech.is_any();
    let is_ech = |ech: Option<Ech>| rule.what.ech.is_any() || ech.is_some_and(|e| rule.what.ech.holds(ech_index(e)));
    if !facts.ech.is_none_or(is_ech) {
        return Weighed::NotThisEch;
    }
    let no_dns_open = facts.no_dns.is_none() && rule.what.no_dns;
    if rule.what.no_dns && facts.no_dns == Some(false) {
        return Weighed::NotRoundDns;
    }
    match covers(i, rule, name, facts) {
        true if port_open || scheme_open || source_open || protocol_open || ech_open || no_dns_open => Weighed::Perhaps,
        true => Weighed::Matches,
        // The path is not known either.
        false if facts.scheme.is_none() && rule.what.has_url_of(&name.candidate) => Weighed::Perhaps,
        false if facts.address_may_come && name.literal.is_none() && !rule.what.addresses.is_empty() => {
            Weighed::Perhaps
        }
        false => Weighed::NotThisTarget,
    }
}

fn covers(i: usize, rule: &Rule, name: &Named, facts: &Facts) -> bool {
    let what = &rule.what;
    what.all
        || name.lists.as_ref().is_some_and(|lists| what.lists.intersects(lists))
        || name.hosts.as_ref().is_some_and(|rules| rules.contains(i))
        || (rule.verdict == Verdict::Refuse && facts.resolved_lists.as_ref().is_some_and(|l| what.lists.intersects(l)))
        || (!what.urls.is_empty() && what.url(&name.candidate).is_some())
        || (!what.addresses.is_empty()
            && name.literal.or(facts.resolved).is_some_and(|address| what.address(address).is_some()))
}

/// Two names of one flow are allowed. A shield against inspection is a promise to the person: one name is enough.
/// What leaves fewer traces needs both, or the second name would hide behind the first.
fn together(a: Duties, b: Duties) -> Duties {
    Duties {
        help_line: a.help_line && b.help_line,
        never_inspect: a.never_inspect || b.never_inspect,
        inspect: a.inspect || b.inspect,
        inspect_or_refuse: a.inspect_or_refuse || b.inspect_or_refuse,
        keep_path: a.keep_path && b.keep_path,
        log_only: a.log_only || b.log_only,
        scan: a.scan || b.scan,
        scan_uploads: a.scan_uploads || b.scan_uploads,
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RuleBits([u64; MAX_RULES / 64]);

impl RuleBits {
    pub fn union(&self, other: &RuleBits) -> RuleBits {
        RuleBits(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    pub fn contains(&self, rule: usize) -> bool {
        self.0[rule / 64] >> (rule % 64) & 1 == 1
    }

    pub fn insert(&mut self, rule: usize) {
        self.0[rule / 64] |= 1 << (rule % 64);
    }
}

/// The hosts written in rules: one look-up per label of the name, however many rules there are.
#[derive(Debug, Default)]
pub(super) struct HostIndex(HashMap<Box<str>, Vec<(usize, bool)>>);

impl HostIndex {
    pub fn new(rules: &[Rule]) -> Self {
        let mut index: HashMap<Box<str>, Vec<(usize, bool)>> = HashMap::new();
        for (i, rule) in rules.iter().enumerate() {
            for entry in &rule.what.hosts {
                index.entry(entry.host.as_str().into()).or_default().push((i, entry.below_only));
            }
        }
        HostIndex(index)
    }

    fn covering(&self, name: &HostName) -> Option<RuleBits> {
        let mut rules = None;
        if self.0.is_empty() {
            return None;
        }
        let mut suffix = name.as_str();
        let mut whole = true;
        loop {
            for (rule, below_only) in self.0.get(suffix).into_iter().flatten() {
                if !(whole && *below_only) {
                    rules.get_or_insert_with(RuleBits::default).insert(*rule);
                }
            }
            match suffix.split_once('.') {
                Some((_, parent)) => suffix = parent,
                None => return rules,
            }
            whole = false;
        }
    }
}
