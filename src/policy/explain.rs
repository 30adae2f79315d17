//! An answer with everything that was weighed for it.

use serde::Serialize;

use crate::access::{ActionTaken, CategoryName, ListName, RuleName, RulesVersion};

/// The decision the gateway would take, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// The date that the list's source gives itself.
    pub source_date: Option<String>,
    pub rules_version: RulesVersion,
    /// The rules in order, each with what kept it from deciding, up to the one that did.
    pub considered: Vec<Considered>,
}

/// One rule that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Considered {
    pub rule: RuleName,
    /// `decides`, `not for this client`, `not at this time`…
    pub verdict: String,
}
