//! What every match of an expression holds: one of a few literals; a character that no host has.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::matcher::grams::worth;

/// A shorter literal hits in most texts: the set is quicker.
const MIN_BYTES: usize = 3;
/// So many bytes tell a text from others.
const TELLING: usize = 5;
/// An expression with more alternatives than that is better run as it is.
const MAX_LITERALS: usize = 64;

/// What every match holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Required {
    /// One of these, in lower case; `None` when there is no set worth having.
    pub literals: Option<Vec<String>>,
    /// A character that no host has: of a host alone the expression says nothing.
    pub path: bool,
}

pub fn required(expression: &str) -> Required {
    match ParserBuilder::new().unicode(false).utf8(false).build().parse(expression) {
        Ok(hir) => Required { literals: best(&hir), path: leaves_the_host(&hir) },
        Err(_) => Required { literals: None, path: false },
    }
}

fn leaves_the_host(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(|&b| !may_be_in_a_host(b)),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().all(|range| !(range.start()..=range.end()).any(may_be_in_a_host))
        }
        HirKind::Class(Class::Unicode(_)) | HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Capture(capture) => leaves_the_host(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min > 0 && leaves_the_host(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().any(leaves_the_host),
        HirKind::Alternation(branches) => branches.iter().all(leaves_the_host),
    }
}

/// Names, and addresses in either family.
fn may_be_in_a_host(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':')
}

fn best(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => usable(vec![std::str::from_utf8(&literal.0).ok()?.to_ascii_lowercase()]),
        HirKind::Capture(capture) => best(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => best(&repetition.sub),
        HirKind::Concat(parts) => best_of(parts),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<Vec<String>>> = branches.iter().map(best).collect();
            usable(all?.concat())
        }
        HirKind::Repetition(_) | HirKind::Class(_) | HirKind::Empty | HirKind::Look(_) => None,
    }
}

/// The part whose commonest literal is rarest (`search` stands in many texts, `q=tbn` in few), if none is too short to
/// tell; then the longest, then the one with fewest. Neighbouring letters are one literal.
fn best_of(parts: &[Hir]) -> Option<Vec<String>> {
    let runs = runs(parts).into_iter().filter_map(|run| usable(vec![run]));
    parts.iter().filter_map(best).chain(runs).max_by_key(|set| {
        let shortest = set.iter().map(String::len).min().unwrap_or_default();
        let worth = set.iter().map(|literal| worth(literal.as_bytes())).min();
        (shortest.min(TELLING), worth, shortest, std::cmp::Reverse(set.len()))
    })
}

/// The literals that stand side by side, joined: `/A` as a class of two cases is a letter, too.
fn runs(parts: &[Hir]) -> Vec<String> {
    let mut runs = vec![String::new()];
    for part in parts {
        match (letters(part), runs.last_mut()) {
            (Some(letters), Some(run)) => run.push_str(&letters),
            _ => runs.push(String::new()),
        }
    }
    runs
}

fn letters(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(std::str::from_utf8(&literal.0).ok()?.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            let mut bytes = class.iter().flat_map(|range| range.start()..=range.end());
            let first = bytes.next()?.to_ascii_lowercase();
            (first.is_ascii() && bytes.all(|b| b.to_ascii_lowercase() == first)).then(|| char::from(first).to_string())
        }
        _ => None,
    }
}

fn usable(set: Vec<String>) -> Option<Vec<String>> {
    (set.len() <= MAX_LITERALS && set.iter().all(|literal| literal.len() >= MIN_BYTES)).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_literals_that_a_match_must_hold_are_taken() {
        for (expression, expected) in [
            ("abcd", Some(vec!["abcd"])),
            (".*/setup\\.exe", Some(vec!["/setup.exe"])),
            ("(/banner/|/Sponsor/)", Some(vec!["/banner/", "/sponsor/"])),
            ("(/banner/|.)", None),
            ("(abc)+x?", Some(vec!["abc"])),
            ("(abc)*", None),
            ("ab", None),
            ("search\\?q=[0-9]+$", Some(vec!["search?q="])),
            ("images.google.[a-z]+/images.q=tbn", Some(vec!["q=tbn"])),
        ] {
            let expected = expected.map(|set| set.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(required(expression).literals, expected, "{expression}");
        }
    }

    #[test]
    fn an_expression_that_no_host_can_match_is_known() {
        for (expression, expected) in [
            ("/ads/", true),
            ("ads", false),
            ("ads.", false),
            ("ads[/?]", true),
            ("ads[/.]", false),
            ("(a/|b\\?)", true),
            ("(a/|b)", false),
            ("(a/)?b", false),
            ("(a/)+b", true),
        ] {
            assert_eq!(required(expression).path, expected, "{expression}");
        }
    }
}
