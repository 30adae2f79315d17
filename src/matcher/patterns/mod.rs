//! Expressions: regular expressions over host and path.
//!
//! Of each expression the literals are taken of which a match must hold at least one (`required`); all of them are
//! looked for at once ([`GramSet`]), and an expression runs only where one of its own was seen. Those that require none
//! share one `RegexSet`. A host alone is asked only where an expression can match one.
//!
//! The text is canonical ([`Candidate::text`]): lower case, ASCII, host first, without scheme and port.
//!
//! [`Candidate::text`]: super::Candidate::text

mod required;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::ListId;
use super::grams::GramSet;

/// Bytes that one compiled expression may take.
const SIZE_LIMIT: usize = 1 << 20;
/// Bytes of the lazy automaton's cache, per expression and thread.
const CACHE_LIMIT: usize = 1 << 20;

/// The literals of which every match of an expression holds one, in lower case.
pub fn required_literals(expression: &str) -> Option<Vec<String>> {
    required::required(expression).literals
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("{0}")]
    Syntax(String),
    #[error("the expression grows beyond {SIZE_LIMIT} bytes when compiled")]
    TooLarge,
    #[error("the expression matches every URL")]
    MatchesAll,
}

/// One expression.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Expression {
    pub text: String,
    /// The index of its list.
    pub list: u16,
    pub line: u32,
}

/// A set of expressions, ready.
#[derive(Debug, Default)]
pub struct PatternSet {
    expressions: Vec<Expression>,
    literals: GramSet,
    /// By literal: the index in `verified`.
    owners: Vec<usize>,
    /// Regexes with literals, and whose they are.
    verified: Vec<(Regex, usize)>,
    without_literals: RegexSet,
    /// By pattern of `without_literals`: the expression.
    others: Vec<usize>,
    /// Whether no expression can match a host alone.
    paths_only: bool,
}

impl PatternSet {
    pub fn new(expressions: Vec<Expression>) -> Result<PatternSet, PatternError> {
        let (mut literals, mut owners, mut verified) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rest, mut others) = (Vec::new(), Vec::new());
        let mut paths_only = true;
        for (number, expression) in expressions.iter().enumerate() {
            let required = required::required(&expression.text);
            paths_only &= required.path;
            match required.literals {
                Some(required) => {
                    owners.extend(required.iter().map(|_| verified.len()));
                    literals.extend(required);
                    verified.push((compile(&expression.text)?, number));
                }
                None => {
                    rest.push(expression.text.as_str());
                    others.push(number);
                }
            }
        }
        let without_literals = RegexSetBuilder::new(&rest)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(SIZE_LIMIT * (1 + rest.len()))
            .dfa_size_limit(CACHE_LIMIT)
            .build()
            .map_err(explain)?;
        let literals = GramSet::new(literals);
        Ok(PatternSet { expressions, literals, owners, verified, without_literals, others, paths_only })
    }

    /// Whether an expression can be used.
    pub fn check(text: &str) -> Result<(), PatternError> {
        let regex = compile(text)?;
        // A match of nothing at all is a match anywhere.
        if regex.is_match(b"") { Err(PatternError::MatchesAll) } else { Ok(()) }
    }

    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    pub fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// Calls `visit` with every expression that matches, once each, in no promised order. `path_at` is where the path
    /// begins in the text: at its end for a host alone.
    #[inline]
    pub fn find<'s>(&'s self, text: &str, path_at: usize, visit: impl FnMut(ListId, &'s Expression)) {
        if path_at < text.len() || !self.paths_only {
            self.find_in(text, visit);
        }
    }

    fn find_in<'s>(&'s self, text: &str, mut visit: impl FnMut(ListId, &'s Expression)) {
        let mut report = |number: usize| {
            if let Some(expression) = self.expressions.get(number)
                && let Some(list) = ListId::new(usize::from(expression.list))
            {
                visit(list, expression);
            }
        };
        let mut tried = Vec::new();
        self.literals.find(text.as_bytes(), |found| {
            let owner = self.owners[found.literal];
            if !tried.contains(&owner) {
                tried.push(owner);
                let (regex, number) = &self.verified[owner];
                if regex.is_match(text.as_bytes()) {
                    report(*number);
                }
            }
        });
        if !self.others.is_empty() {
            self.without_literals.matches(text.as_bytes()).iter().for_each(|other| report(self.others[other]));
        }
    }
}

/// Compiled without regard to case, within limits.
pub fn compile(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(CACHE_LIMIT)
        .build()
        .map_err(explain)
}

fn explain(error: regex::Error) -> PatternError {
    match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        // The last line says what; those before draw where.
        error => PatternError::Syntax(error.to_string().lines().last().unwrap_or_default().trim().to_owned()),
    }
}

#[cfg(test)]
mod tests;
