//! An answer with everything that was weighed for it.

use serde::Serialize;

use super::action::Duties;
use super::judge::{Judged, QUIC_RULE, Stage, Strictest, Walk, Weighed, weigh};
use super::rule::Verdict;
use super::ruleset::Ruleset;
use crate::access::{Access, ActionTaken, CategoryName, ListName, Protocol, Reason, RuleName, RulesVersion, Scheme};

/// The decision the gateway would take, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub action: ActionTaken,
    pub duties: Vec<&'static str>,
    /// Where it was decided: `connection`, `request`, `address`, `flow` or `send`.
    pub stage: &'static str,
    pub rule: RuleName,
    pub category: Option<CategoryName>,
    pub list: Option<ListName>,
    /// The entry's text.
    pub entry: Option<String>,
    /// Where it stands: `adult/domains:1234`.
    pub line: Option<String>,
    /// Who answers for the entry: its author, else the list's.
    pub author: Option<String>,
    /// The date of the entry where it has one, else that which the list's source gives itself.
    pub source_date: Option<String>,
    pub rules_version: RulesVersion,
    /// The rules in order, each with what kept it from deciding, up to the one that did.
    pub considered: Vec<Considered>,
}

/// One rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    pub rule: RuleName,
    /// `decides`, `not for this client`, `not at this time`…
    pub verdict: &'static str,
}

impl Ruleset {
    /// The decision the gateway would take on what is known of the access, and why: every stage in the order of the
    /// packets, up to the first that refuses.
    pub fn explain(&self, access: &Access) -> Explanation {
        let stages = stages(access);
        let mut last = (stages[0], self.judge(access, stages[0]));
        for &stage in &stages[1..] {
            if last.1.verdict == Verdict::Refuse {
                break;
            }
            last = (stage, self.judge(access, stage));
        }
        let (stage, mut judged) = last;
        if access.target.scheme == Scheme::Tunnel {
            self.shield(access, &mut judged);
        }
        self.explained(access, stage, judged)
    }

    fn explained(&self, access: &Access, stage: Stage, judged: Judged) -> Explanation {
        let (reason, considered) = self.weighed(access, stage, &judged);
        let list = reason.list.as_ref().and_then(|name| self.image.list_named(name));
        let list = list.and_then(|list| self.image.list(list));
        let of_list = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let entry = reason.entry.as_ref();
        Explanation {
            action: action(stage, judged.verdict, judged.duties),
            duties: judged.duties.words().collect(),
            stage: stage.as_str(),
            author: entry.and_then(|e| e.author.clone()).or_else(|| of_list(&list?.attribution)),
            source_date: entry.and_then(|e| e.date.clone()).or_else(|| list?.source_date.clone()),
            rule: reason.rule,
            category: reason.category,
            list: reason.list,
            line: entry.map(|entry| format!("{}:{}", entry.file, entry.line)),
            entry: reason.entry.map(|entry| entry.text),
            rules_version: reason.version,
            considered,
        }
    }

    /// The reason with its entry (which an allowed access does without), and every rule up to the deciding one, for
    /// the name whose answer it was.
    fn weighed(&self, access: &Access, stage: Stage, judged: &Judged) -> (Reason, Vec<Considered>) {
        let facts = self.facts(access, stage);
        let names = self.look_up(&access.target);
        let Strictest { walk, name, .. } = self.strictest(&names, &facts);
        let reason = match self.answering(walk).filter(|_| judged.reason.rule.as_str() != QUIC_RULE) {
            Some(rule) => self.reason(&self.policy.rules[rule], name, &facts, true),
            None => judged.reason.clone(),
        };
        let rules = self.policy.rules.iter().enumerate().take(walk.decided.map_or(usize::MAX, |i| i + 1));
        let considered = rules.map(|(i, rule)| Considered {
            rule: rule.name.clone(),
            verdict: words(weigh(i, rule, name, &facts), rule.duties, walk, i),
        });
        (reason, considered.collect())
    }
}

/// The stages of an access, as far as it is known.
fn stages(access: &Access) -> Vec<Stage> {
    let target = &access.target;
    let tunnel = target.scheme == Scheme::Tunnel;
    let mut stages = vec![if tunnel { Stage::Connection } else { Stage::Request }];
    if target.address.is_some() {
        stages.push(Stage::Address);
    }
    match (tunnel, target.protocol) {
        (true, Protocol::Unseen) => {}
        (true, _) => stages.push(Stage::Flow),
        (false, _) => stages.push(Stage::Send),
    }
    stages
}

fn action(stage: Stage, verdict: Verdict, duties: Duties) -> ActionTaken {
    match (verdict, stage) {
        (Verdict::Refuse, _) => ActionTaken::Refuse,
        (Verdict::Allow, Stage::Flow) if duties.inspect => ActionTaken::Inspect,
        (Verdict::Allow, Stage::Flow) => ActionTaken::Tunnel,
        (Verdict::Allow, Stage::Send) => ActionTaken::Forward,
        (Verdict::Allow, Stage::Name | Stage::Connection | Stage::Request | Stage::Address) => ActionTaken::Nothing,
    }
}

fn words(weighed: Weighed, duties: Duties, walk: Walk, rule: usize) -> &'static str {
    match weighed {
        Weighed::NotThisClient => "not for this client",
        Weighed::NotNow => "not at this time",
        Weighed::NotThisPort => "not this port",
        Weighed::NotThisProtocol => "not this protocol",
        Weighed::NotThisScheme => "not this scheme",
        Weighed::NotThisHostSource => "the host is known otherwise",
        Weighed::NotThisEch => "not this encrypted ClientHello",
        Weighed::NotRoundDns => "not known to go round our DNS",
        Weighed::NotThisTarget => "does not cover the target",
        Weighed::Perhaps => "may match once more is known",
        Weighed::Matches if duties.log_only => "would refuse, and only logs",
        Weighed::Matches if walk.decided == Some(rule) => "decides",
        Weighed::Matches => "matches",
    }
}
