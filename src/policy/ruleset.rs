//! The snapshot and its questions.

use super::{
    AddressAction, Category, ConnectionAction, Decision, Duties, Explanation, FlowAction, Group, Language, People,
    RequestAction, RuleSummary, SendAction,
};
use crate::access::{Access, ActionTaken, CategoryName, GroupName, Reason, RuleName, RulesVersion};
use crate::config::Problem;

/// The compiled policy and lists: immutable, shared, replaced whole.
#[derive(Debug)]
pub struct Ruleset {
    version: RulesVersion,
    people: People,
    categories: Vec<Category>,
    groups: Vec<Group>,
    rules: Vec<RuleSummary>,
}

impl Ruleset {
    pub fn version(&self) -> &RulesVersion {
        &self.version
    }

    pub fn people(&self) -> &People {
        &self.people
    }

    /// A CONNECT, by the name asked.
    pub fn decide_connection(&self, access: &Access) -> Decision<ConnectionAction> {
        self.refuse(access, ConnectionAction::Refuse)
    }

    /// An HTTP request before its host is resolved.
    pub fn decide_request(&self, access: &Access) -> Decision<RequestAction> {
        self.refuse(access, RequestAction::Refuse)
    }

    /// An address about to be dialled: `target.address` is set.
    pub fn decide_address(&self, access: &Access) -> Decision<AddressAction> {
        self.refuse(access, AddressAction::Refuse)
    }

    /// A flow whose first bytes are known: `target.protocol` is set, and `other_name` where the SNI differs.
    pub fn decide_flow(&self, access: &Access) -> Decision<FlowAction> {
        self.refuse(access, FlowAction::Refuse)
    }

    /// An HTTP request about to be sent to `target.address`.
    pub fn decide_send(&self, access: &Access) -> Decision<SendAction> {
        self.refuse(access, SendAction::Refuse)
    }

    /// The decision the gateway would take on what is known of the access, and why.
    pub fn explain(&self, _access: &Access) -> Explanation {
        Explanation {
            action: ActionTaken::Refuse,
            duties: Vec::new(),
            stage: "connection",
            rule: "default".into(),
            category: None,
            list: None,
            entry: None,
            line: None,
            source_date: None,
            rules_version: self.version.clone(),
            considered: Vec::new(),
        }
    }

    /// Every `[[expect]]` that does not hold.
    pub fn check_expectations(&self) -> Vec<Problem> {
        Vec::new()
    }

    pub fn category(&self, name: &CategoryName) -> Option<&Category> {
        self.categories.iter().find(|category| category.name == *name)
    }

    pub fn rule(&self, name: &RuleName) -> Option<&RuleSummary> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The label of a category in a language; its name where policy does not know it.
    pub fn category_label<'a>(&'a self, name: &'a CategoryName, language: Language) -> &'a str {
        self.category(name).map_or(name.as_str(), |category| category.label(language))
    }

    pub fn rule_label<'a>(&'a self, name: &'a RuleName, language: Language) -> &'a str {
        self.rule(name).map_or(name.as_str(), |rule| rule.label(language))
    }

    /// What is refused to a group at some time, in the order of the rules.
    pub fn refused_categories(&self, _group: &GroupName) -> Vec<&Category> {
        Vec::new()
    }

    /// The rules that allow everybody something at all times, before any that refuses it.
    pub fn always_reachable(&self) -> Vec<&RuleSummary> {
        Vec::new()
    }

    fn refuse<A>(&self, _access: &Access, action: A) -> Decision<A> {
        Decision { action, duties: Duties::default(), reason: Reason::rule("default", self.version.clone()) }
    }
}
