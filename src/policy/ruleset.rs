//! The snapshot and its questions.

use std::sync::Arc;

use super::compile::{Policy, compile};
use super::judge::{LookedUp, Stage};
use super::rule::Verdict;
use super::schedule::Hours;
use super::{
    AddressAction, Category, ConnectionAction, Decision, DialPermit, Duties, FlowAction, Group, InspectPermit,
    Language, NameAction, NameLimits, People, RelayPermit, RequestAction, RuleSummary, SendAction,
};
use crate::access::{Access, CategoryName, GroupName, HostName, RuleName, RulesVersion};
use crate::config::{Config, Problem, Problems, read_text};
use crate::lists::Image;

/// The compiled policy and lists: immutable, shared, replaced whole.
#[derive(Debug)]
pub struct Ruleset {
    version: RulesVersion,
    notes: Vec<Problem>,
    pub(super) policy: Policy,
    pub(super) people: People,
    pub(super) image: Arc<Image>,
}

impl Ruleset {
    /// Reads `policy.toml` and `people.csv` of the configured directory and compiles them with the lists. No
    /// `people.csv` is nobody known.
    ///
    /// # Errors
    /// Every problem of both files at once.
    pub fn build(config: &Config, image: Arc<Image>) -> Result<Ruleset, Problems> {
        let policy_file = config.rules.directory.join("policy.toml");
        let people_file = config.rules.directory.join("people.csv");
        let policy = read_text(&policy_file, "the policy");
        let people =
            if people_file.exists() { read_text(&people_file, "the list of people") } else { Ok(String::new()) };
        match (policy, people) {
            (Ok(policy), Ok(people)) => Ruleset::from_texts((&policy_file, &policy), (&people_file, &people), image),
            (policy, people) => {
                Err(Problems([policy, people].into_iter().filter_map(Result::err).flat_map(|p| p.0).collect()))
            }
        }
    }

    /// The same from texts, each with the file that problems name.
    ///
    /// # Errors
    /// Every problem of both texts at once.
    pub fn from_texts(
        policy: (&std::path::Path, &str),
        people: (&std::path::Path, &str),
        image: Arc<Image>,
    ) -> Result<Ruleset, Problems> {
        let version = version(policy.1, people.1, &image);
        let (policy, people, notes) = compile(policy, people, &image)?;
        Ok(Ruleset { version, notes, policy, people, image })
    }

    /// A name asked of our DNS: refused where any access to it would be.
    pub fn decide_name(&self, access: &Access) -> Decision<NameAction> {
        let limits = self.name_limits(&access.client);
        self.decide(access, Stage::Name, |verdict| match verdict {
            Verdict::Refuse => NameAction::Refuse,
            Verdict::Allow => NameAction::Answer(limits),
        })
    }

    /// Which bodies are examined, where a rule has the duty.
    pub fn scan(&self) -> &super::ScanPolicy {
        &self.policy.scan
    }

    /// What a client's names are answered with, and whether it may speak HTTP/3.
    pub fn name_limits(&self, client: &crate::access::Client) -> NameLimits {
        let who = self.policy.who(client, &self.people);
        let groups = self.policy.groups.iter().enumerate().filter(|(i, _)| who >> i & 1 == 1);
        groups.map(|(_, group)| group.names).reduce(NameLimits::and).unwrap_or_default()
    }

    /// Whether this is the name that a network shows for all the hosts which it hides behind encrypted ClientHellos.
    pub fn is_ech_public_name(&self, name: &HostName) -> bool {
        self.policy.ech_public_names.contains(name)
    }

    /// A CONNECT, by the name asked.
    pub fn decide_connection(&self, access: &Access) -> Decision<ConnectionAction> {
        self.decide(access, Stage::Connection, |verdict| match verdict {
            Verdict::Refuse => ConnectionAction::Refuse,
            Verdict::Allow => ConnectionAction::Proceed,
        })
    }

    /// An HTTP request before its host is resolved.
    pub fn decide_request(&self, access: &Access) -> Decision<RequestAction> {
        self.decide_request_of(access, &self.look_up(&access.target))
    }

    /// An address about to be dialled: `target.address` is set, but where somebody else is to resolve the name.
    pub fn decide_address(&self, access: &Access) -> Decision<AddressAction> {
        self.decide(access, Stage::Address, |verdict| match verdict {
            Verdict::Refuse => AddressAction::Refuse,
            Verdict::Allow => AddressAction::Dial(DialPermit::new()),
        })
    }

    /// A flow whose first bytes are known: `target.protocol` is set, and `other_name` where the SNI differs.
    pub fn decide_flow(&self, access: &Access) -> Decision<FlowAction> {
        let mut judged = self.judge(access, Stage::Flow);
        self.shield(access, &mut judged);
        let action = match judged.verdict {
            Verdict::Refuse => FlowAction::Refuse,
            Verdict::Allow if judged.duties.inspect => FlowAction::Inspect(InspectPermit::new(judged.duties)),
            Verdict::Allow => FlowAction::Tunnel(RelayPermit::new()),
        };
        Decision { action, duties: judged.duties, reason: judged.reason }
    }

    /// An HTTP request about to be sent to `target.address`.
    pub fn decide_send(&self, access: &Access) -> Decision<SendAction> {
        self.decide_send_of(access, &self.look_up(&access.target))
    }

    /// [`Ruleset::decide_request`] where the target is looked up already.
    pub fn decide_request_of(&self, access: &Access, names: &LookedUp) -> Decision<RequestAction> {
        self.decide_of(access, Stage::Request, names, |verdict| match verdict {
            Verdict::Refuse => RequestAction::Refuse,
            Verdict::Allow => RequestAction::Proceed,
        })
    }

    /// [`Ruleset::decide_send`] where the target is looked up already.
    pub fn decide_send_of(&self, access: &Access, names: &LookedUp) -> Decision<SendAction> {
        self.decide_of(access, Stage::Send, names, |verdict| match verdict {
            Verdict::Refuse => SendAction::Refuse,
            Verdict::Allow => SendAction::Forward(RelayPermit::new()),
        })
    }

    fn decide_of<A>(
        &self,
        access: &Access,
        stage: Stage,
        names: &LookedUp,
        action: impl Fn(Verdict) -> A,
    ) -> Decision<A> {
        let judged = self.judge_looked_up(access, stage, names);
        Decision { action: action(judged.verdict), duties: judged.duties, reason: judged.reason }
    }

    fn decide<A>(&self, access: &Access, stage: Stage, action: impl Fn(Verdict) -> A) -> Decision<A> {
        self.decide_of(access, stage, &self.look_up(&access.target), action)
    }

    pub fn version(&self) -> &RulesVersion {
        &self.version
    }

    pub fn people(&self) -> &People {
        &self.people
    }

    /// The policy's own name.
    pub fn name(&self) -> &str {
        &self.policy.name
    }

    /// What works and deserves a word all the same.
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }

    /// The image that this snapshot judges by: a reload of the policy alone shares it.
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub fn groups(&self) -> &[Group] {
        &self.policy.groups
    }

    pub fn group(&self, name: &GroupName) -> Option<&Group> {
        self.policy.groups.iter().find(|group| group.name == *name)
    }

    /// Every category that the policy declares, in the order of the file, then those that only lists carry.
    pub fn categories(&self) -> &[Category] {
        &self.policy.categories
    }

    /// By its name or an alias.
    pub fn category(&self, name: &CategoryName) -> Option<&Category> {
        let found = |name: &CategoryName| self.policy.categories.iter().find(|category| category.name == *name);
        found(name).or_else(|| self.image.category_of_alias(name).and_then(found))
    }

    pub fn rule(&self, name: &RuleName) -> Option<&RuleSummary> {
        self.policy.summaries.iter().find(|rule| rule.name == *name)
    }

    /// The label of a category in a language; its name where policy does not know it.
    pub fn category_label<'a>(&'a self, name: &'a CategoryName, language: Language) -> &'a str {
        self.category(name).map_or(name.as_str(), |category| category.label(language))
    }

    /// The label of a rule in a language; its name where it has none.
    pub fn rule_label<'a>(&'a self, name: &'a RuleName, language: Language) -> &'a str {
        self.rule(name).map_or(name.as_str(), |rule| rule.label(language))
    }

    /// The groups that a client counts as in: what is filtered for it.
    pub fn groups_of(&self, client: &crate::access::Client) -> Vec<&Group> {
        let who = self.policy.who(client, &self.people);
        self.policy.groups.iter().enumerate().filter(|(i, _)| who >> i & 1 == 1).map(|(_, group)| group).collect()
    }

    /// The categories refused to a group and when, in the order of the rules.
    pub fn refused_categories(&self, group: &GroupName) -> Vec<RefusedCategory<'_>> {
        let mut refused: Vec<RefusedCategory<'_>> = Vec::new();
        for rule in self.policy.rules_of(group).filter(|rule| rule.verdict == Verdict::Refuse && !rule.duties.log_only)
        {
            let hours = self.policy.timetable.hours(rule.when);
            for category in rule.what.categories.iter().filter_map(|name| self.category(name)) {
                match refused.iter_mut().find(|known| known.category.name == category.name) {
                    // Several rules: at the hours of the one or the other, and always where one knows no hours.
                    Some(known) if known.hours.is_empty() || hours.is_empty() => known.hours.clear(),
                    Some(known) => known
                        .hours
                        .extend(hours.iter().filter(|h| !known.hours.contains(h)).cloned().collect::<Vec<_>>()),
                    None => refused.push(RefusedCategory { category, hours: hours.clone() }),
                }
            }
        }
        refused
    }

    /// The rules whose duties are such.
    pub fn rules_with(&self, wanted: impl Fn(&Duties) -> bool) -> Vec<&RuleSummary> {
        let rules = self.policy.rules.iter().zip(&self.policy.summaries);
        rules.filter(|(rule, _)| wanted(&rule.duties)).map(|(_, summary)| summary).collect()
    }

    /// The rules that allow everybody something at all times and that no earlier rule can overrule.
    pub fn always_reachable(&self) -> Vec<&RuleSummary> {
        let everybody = self.policy.everybody();
        let rules = self.policy.rules.iter().zip(&self.policy.summaries);
        let standing = rules.take_while(|(rule, _)| rule.verdict == Verdict::Allow || rule.duties.log_only);
        let always = standing.filter(|(rule, _)| {
            rule.verdict == Verdict::Allow && rule.who == everybody && rule.when.is_always() && !rule.what.all
        });
        always.map(|(_, summary)| summary).collect()
    }
}

/// A category that a group is refused.
#[derive(Debug, Clone)]
pub struct RefusedCategory<'a> {
    pub category: &'a Category,
    /// None: at all times.
    pub hours: Vec<Hours>,
}

/// 12 hexadecimal digits over everything that an answer depends on.
fn version(policy: &str, people: &str, image: &Image) -> RulesVersion {
    let mut sum = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [policy.as_bytes(), people.as_bytes(), &image.fingerprint()] {
        sum.update(&(part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let digits: String = sum.finish().as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    RulesVersion::new(digits)
}
