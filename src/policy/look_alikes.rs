//! Names that look like protected ones and are not: `lаbanque.example` with a Cyrillic letter, `1abanque.example`.
//!
//! Two names look alike where their *skeletons* are the same (UTS 39, §4: each letter is replaced by the one that all its
//! doubles share). Case and accents are taken away as well: `g00gle` and `crédit` deceive, too. What is protected itself
//! resembles nobody. A name is compared from each of its labels on, so subdomains of a look-alike are look-alikes.

use std::borrow::Cow;
use std::collections::HashMap;

use unicode_security::confusable_detection::skeleton;

use super::compile::Compiler;
use super::judge::RuleBits;
use super::rule::{Place, Protected, Rule};
use crate::access::HostName;
use crate::lists::ListId;
use crate::matcher::site_of;

/// UT1's banks are some 7,000; more is a mistake, and each costs memory and time at every change of rules.
const NAMES_MAX: usize = 50_000;
/// RFC 1035 §2.3.4, where each letter may become two.
const FOLDED_MAX: usize = 2 * 253;

/// The protected names by their skeletons.
#[derive(Debug, Default)]
pub(super) struct LookAlikes(HashMap<Box<str>, Vec<Original>>);

/// A protected name.
#[derive(Debug)]
pub(super) struct Original {
    pub name: HostName,
    pub from: Source,
    rules: RuleBits,
}

/// Where a protected name is written.
#[derive(Debug, Clone)]
pub(super) enum Source {
    List(ListId),
    Policy(Place),
}

impl Compiler<'_> {
    pub(super) fn look_alikes(&mut self, rules: &[Rule]) -> LookAlikes {
        let mut found = LookAlikes::default();
        let mut count = 0;
        for (i, rule) in rules.iter().enumerate() {
            for protected in &rule.what.look_alikes_of {
                match protected {
                    Protected::Host(host, place) => found.protect(host.as_str(), Source::Policy(place.clone()), i),
                    Protected::Category(_, lists) => self.image.visit_names(lists, |list, name| {
                        count += 1;
                        if count <= NAMES_MAX {
                            found.protect(name, Source::List(list), i);
                        }
                    }),
                }
            }
        }
        if count > NAMES_MAX {
            let what = format!("`look_alikes_of` protects more than {NAMES_MAX} names");
            self.document.problem(&(0..0), what, "name fewer or smaller categories");
        }
        found
    }
}

impl LookAlikes {
    fn protect(&mut self, name: &str, from: Source, rule: usize) {
        let Ok(name) = HostName::parse(site_of(name)) else { return };
        if !name.as_str().contains('.') {
            return;
        }
        let originals = self.0.entry(skeleton_of(name.as_str()).into()).or_default();
        match originals.iter_mut().find(|original| original.name == name) {
            Some(known) => known.rules.insert(rule),
            None => {
                let mut rules = RuleBits::default();
                rules.insert(rule);
                originals.push(Original { name, from, rules });
            }
        }
    }

    /// The protected names that this one resembles; `None` for nearly all, at the price of a few look-ups.
    pub fn resembled(&self, name: &HostName) -> Option<&[Original]> {
        if self.0.is_empty() {
            return None;
        }
        let mut buffer = [0; FOLDED_MAX];
        let folded = fold_ascii(name.as_str(), &mut buffer).map_or_else(|| skeleton_of(name.as_str()), Cow::Borrowed);
        let (mut own, mut folded) = (name.as_str(), &*folded);
        let mut resembled = None;
        while own.contains('.') {
            if let Some(originals) = self.0.get(folded) {
                if originals.iter().any(|original| original.name.as_str() == own) {
                    return None;
                }
                resembled = resembled.or(Some(originals.as_slice()));
            }
            let (Some((_, parent)), Some((_, folded_parent))) = (own.split_once('.'), folded.split_once('.')) else {
                break;
            };
            (own, folded) = (parent, folded_parent);
        }
        resembled
    }
}

/// The rules that protect one of them.
pub(super) fn rules_of(originals: &[Original]) -> RuleBits {
    originals.iter().fold(RuleBits::default(), |rules, original| rules.union(&original.rules))
}

impl Original {
    /// Whether this rule protects it.
    pub fn is_of(&self, rule: &Rule) -> bool {
        let protects = |protected: &Protected| match (protected, &self.from) {
            (Protected::Category(_, lists), Source::List(list)) => lists.contains(*list),
            (Protected::Host(host, _), _) => *host == self.name,
            _ => false,
        };
        rule.what.look_alikes_of.iter().any(protects)
    }
}

/// Label by label, so that the dots stay where they are.
fn skeleton_of(name: &str) -> Cow<'static, str> {
    let mut out = String::with_capacity(name.len());
    for (i, label) in name.split('.').enumerate() {
        if i > 0 {
            out.push('.');
        }
        let (unicode, _) = idna::domain_to_unicode(label);
        let letters = skeleton(&unicode).filter(|c| !('\u{300}'..='\u{36f}').contains(c) && *c != '.');
        out.extend(letters.flat_map(char::to_lowercase));
    }
    Cow::Owned(out)
}

/// The same for a name of plain letters, which nearly all are, without tables and without memory of its own.
fn fold_ascii<'b>(name: &str, buffer: &'b mut [u8; FOLDED_MAX]) -> Option<&'b str> {
    if !name.is_ascii() || name.contains("xn--") || name.len() > FOLDED_MAX / 2 {
        return None;
    }
    let mut length = 0;
    for &b in name.as_bytes() {
        let (first, second) = match b {
            b'0' => (b'o', None),
            b'1' => (b'l', None),
            b'm' => (b'r', Some(b'n')),
            b => (b, None),
        };
        for b in std::iter::once(first).chain(second) {
            buffer[length] = b;
            length += 1;
        }
    }
    std::str::from_utf8(&buffer[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protecting(names: &[&str]) -> LookAlikes {
        let mut protected = LookAlikes::default();
        let place = Place { text: "".into(), line: 1 };
        names.iter().for_each(|name| protected.protect(name, Source::Policy(place.clone()), 0));
        protected
    }

    fn check(protected: &[&str], cases: &[(&str, Option<&str>)]) {
        let protected = protecting(protected);
        for (name, expected) in cases {
            let host = HostName::parse(name).unwrap();
            let found = protected.resembled(&host).map(|originals| originals[0].name.as_str());
            assert_eq!(found, *expected, "{name}");
        }
    }

    #[test]
    fn a_name_that_looks_like_a_protected_one_is_told_and_that_one_is_not() {
        let bank = Some("labanque.example");
        check(
            &["labanque.example", "mail.gouv.example", "www.cornu.example", "pernod.example"],
            &[
                ("labanque.example", None),
                ("www.labanque.example", None),
                // Cyrillic а, Greek ο, a digit, an accent, fullwidth (which is the same name).
                ("lаbanque.example", bank),
                ("www.lаbanque.example", bank),
                ("xn--lbanque-2fg.example", bank),
                ("1abanque.example", bank),
                ("l\u{e1}banque.example", bank),
                ("ｌａｂａｎｑｕｅ.example", None),
                ("mai1.gouv.example", Some("mail.gouv.example")),
                ("rnail.gouv.example", Some("mail.gouv.example")),
                ("gouv.example", None),
                ("g0uv.example", None),
                ("c0rnu.example", Some("cornu.example")),
                ("cornu.example", None),
                ("pemod.example", Some("pernod.example")),
                // Another site, whatever stands before or behind.
                ("labanques.example", None),
                ("labanque.example.org", None),
                ("labanque.exarnple", Some("labanque.example")),
            ],
        );
    }

    #[test]
    fn a_protected_name_that_resembles_another_one_is_no_look_alike() {
        check(
            &["lcl.example", "1cl.example"],
            &[("lcl.example", None), ("1cl.example", None), ("lc1.example", Some("lcl.example"))],
        );
        check(&[], &[("lcl.example", None)]);
    }

    #[test]
    fn a_plain_name_folds_to_its_skeleton() {
        for b in b"abcdefghijklmnopqrstuvwxyz0123456789-_" {
            let name = format!("{}{}x.{}", char::from(*b), char::from(*b), char::from(*b));
            assert_eq!(fold_ascii(&name, &mut [0; FOLDED_MAX]).unwrap(), skeleton_of(&name));
        }
        let longest = ["m".repeat(63), "m".repeat(63), "m".repeat(63), "m".repeat(61)].join(".");
        assert_eq!(longest.len(), 253);
        assert_eq!(fold_ascii(&longest, &mut [0; FOLDED_MAX]).unwrap(), skeleton_of(&longest));
    }
}
