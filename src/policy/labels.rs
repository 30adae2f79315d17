//! What pages say: categories, groups and rules in words that people read.

use super::NameLimits;
use crate::access::{CategoryName, GroupName, RuleName};

/// The languages of the gateway's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    French,
    English,
}

/// A text in French and, where the author gave one, in English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub french: String,
    pub english: Option<String>,
}

impl Label {
    pub fn in_language(&self, language: Language) -> &str {
        match (language, &self.english) {
            (Language::English, Some(english)) => english,
            _ => &self.french,
        }
    }
}

/// A category of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    pub name: CategoryName,
    pub(super) label: Label,
    /// `false`: being listed isn't being refused (bank, press…).
    pub forbids: bool,
}

impl Category {
    pub fn label(&self, language: Language) -> &str {
        self.label.in_language(language)
    }
}

/// A group of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: GroupName,
    pub(super) label: Label,
    /// Clients in no other group are in this one.
    pub default: bool,
    pub names: NameLimits,
}

impl Group {
    pub fn label(&self, language: Language) -> &str {
        self.label.in_language(language)
    }
}

/// A rule, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    pub name: RuleName,
    pub(super) label: Label,
    /// A sentence that says why; may be empty.
    pub reason: String,
    /// Where the rule's content comes from; may be empty.
    pub source: String,
}

impl RuleSummary {
    pub fn label(&self, language: Language) -> &str {
        self.label.in_language(language)
    }
}
