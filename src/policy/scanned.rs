//! `[scan]`: which types and sizes of bodies are examined, where a rule has the duty `scan`.

use super::written::WrittenScan;
use crate::config::written::{At, Document};

/// 100 MiB: what clamd takes by default since its version 1.0 (`StreamMaxLength`).
const MAX_BYTES: u64 = 100 * 1024 * 1024;
/// More than this clamd never takes in one stream (its length is a 32-bit number).
const MOST_BYTES: u64 = 4 * 1024 * 1024 * 1024 - 1;

/// Which bodies are examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPolicy {
    /// Patterns of types that are.
    with: Vec<Pattern>,
    /// Of those, which are not.
    without: Vec<Pattern>,
    /// The largest that is examined, decoded, in bytes.
    pub max_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    /// `video/*`.
    Main(String),
    /// `video/mp4`.
    Whole(String),
}

impl Pattern {
    fn parse(text: &str) -> Option<Pattern> {
        if matches!(text, "*" | "*/*") {
            return Some(Pattern::Any);
        }
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        match text.split_once('/')? {
            (main, "*") if token(main) => Some(Pattern::Main(main.to_ascii_lowercase())),
            (main, sub) if token(main) && token(sub) => Some(Pattern::Whole(text.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// `name`: a type without parameters, in lower case.
    fn covers(&self, name: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Main(main) => name.split('/').next() == Some(main),
            Pattern::Whole(whole) => name == whole,
        }
    }
}

impl Default for ScanPolicy {
    /// Everything but streams of events, which have no end that a verdict could wait for: a page's script takes them, and
    /// nobody saves one.
    fn default() -> Self {
        let without = vec![Pattern::Whole("text/event-stream".to_owned())];
        ScanPolicy { with: vec![Pattern::Any], without, max_bytes: MAX_BYTES }
    }
}

impl ScanPolicy {
    pub(super) fn compile(written: WrittenScan, document: &mut Document<'_>) -> ScanPolicy {
        let mut policy = ScanPolicy::default();
        if let Some(types) = written.types {
            (policy.with, policy.without) = (Vec::new(), Vec::new());
            for At { value, span } in types.value {
                let (text, patterns) = match value.strip_prefix('!') {
                    Some(text) => (text, &mut policy.without),
                    None => (value.as_str(), &mut policy.with),
                };
                match Pattern::parse(text) {
                    Some(pattern) => patterns.push(pattern),
                    None => {
                        let help = "as in \"*\", \"application/*\", \"application/zip\" or \"!video/*\"";
                        document.problem(&span, format!("`{value}` is no type"), help);
                    }
                }
            }
            if policy.with.is_empty() {
                policy.with.push(Pattern::Any);
            }
        }
        if let Some(At { value, span }) = written.max_bytes {
            match value {
                1..=MOST_BYTES => policy.max_bytes = value,
                _ => document.problem(&span, format!("{value} is not between 1 and {MOST_BYTES}"), ""),
            }
        }
        policy
    }

    /// Whether a body of this `Content-Type` is examined; one that names none may be anything.
    pub fn wants(&self, content_type: Option<&str>) -> bool {
        let Some(content_type) = content_type else { return true };
        let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let covers = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.covers(&name));
        name.is_empty() || (covers(&self.with) && !covers(&self.without))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_as_the_policy_lists_them() {
        let policy = |texts: &[&str]| {
            let mut policy = ScanPolicy { with: Vec::new(), without: Vec::new(), max_bytes: 1 };
            for text in texts {
                match text.strip_prefix('!') {
                    Some(text) => policy.without.push(Pattern::parse(text).unwrap()),
                    None => policy.with.push(Pattern::parse(text).unwrap()),
                }
            }
            policy
        };
        let some = policy(&["application/*", "Text/HTML", "!application/json"]);
        for (name, wanted) in [
            ("application/zip", true),
            ("Application/ZIP; a=b", true),
            ("text/html;charset=utf-8", true),
            ("application/json", false),
            ("video/mp4", false),
            ("", true),
            ("text/plain", false),
        ] {
            assert_eq!(some.wants(Some(name)), wanted, "{name}");
        }
        assert!(some.wants(None));
        assert!(ScanPolicy::default().wants(Some("video/mp4")));
        assert!(!ScanPolicy::default().wants(Some("text/event-stream")));
        for text in ["", "zip", "a/", "/b", "a b/c", "*/zip"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
