//! Why an access was allowed or refused, in terms that a person can look up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::client::plain_name;
use super::text_enum::text_enum;

/// A rule of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleName(Arc<str>);
/// A list, as in `rules/lists`: `ut1/adult`, `starter/phishing`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListName(Arc<str>);
/// What a list says about its entries: `adult`, `bank`…
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CategoryName(Arc<str>);
/// The version of a whole snapshot of rules: 12 hexadecimal digits over policy, people and lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RulesVersion(Arc<str>);

plain_name!(RuleName);
plain_name!(ListName);
plain_name!(CategoryName);
plain_name!(RulesVersion);

text_enum! {
    /// What policy answered in the end.
    pub enum ActionTaken {
        Refuse = "refuse",
        Warn = "warn",
        Identify = "identify",
        Tunnel = "tunnel",
        Inspect = "inspect",
        Forward = "forward",
        /// Our own pages: nothing was asked of any origin.
        Serve = "serve",
        /// No answer was reached: the client left, spoke no language we know, or exceeded a limit.
        Nothing = "none",
    }
}

/// The line of a list that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRef {
    /// As it stands in the list, normalised: `example.net`, `example.net/path`, `10.0.0.0/8`, an expression.
    pub text: String,
    /// The file of the list, as the catalogue names it: `adult/domains`.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// Who wrote it and when (RFC 3339), where the entry says so itself: an urgent one. Of others the list knows.
    pub author: Option<String>,
    pub date: Option<String>,
}

impl EntryRef {
    /// An entry that says no more than its place.
    pub fn at(text: impl Into<String>, file: impl Into<String>, line: u32) -> Self {
        EntryRef { text: text.into(), file: file.into(), line, author: None, date: None }
    }
}

/// `example.net (adult/domains:1234)`, as the log has it.
impl std::fmt::Display for EntryRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}:{}", self.text, self.file, self.line)?;
        let signed = self.author.iter().chain(&self.date);
        signed.into_iter().try_for_each(|word| write!(f, ", {word}"))?;
        f.write_str(")")
    }
}

/// Why. `category`, `list` and `entry` are there when a list decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub rule: RuleName,
    pub category: Option<CategoryName>,
    pub list: Option<ListName>,
    pub entry: Option<EntryRef>,
    /// The snapshot that answered.
    pub version: RulesVersion,
}

impl Reason {
    pub fn rule(rule: impl Into<RuleName>, version: RulesVersion) -> Self {
        Reason { rule: rule.into(), category: None, list: None, entry: None, version }
    }
}
