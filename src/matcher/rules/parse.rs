//! One line of a filter list: the network rules of Adblock Plus and uBlock Origin, as far as a proxy can follow them.
//!
//! Rules about what happens inside a page (elements to hide, scripts to run, windows that open, headers to change) say
//! nothing to a proxy and are passed over, like comments.

use super::context::{ALL_KINDS, Kinds, PARTS, RequestKind};
use super::pattern::Pattern;

/// A network rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub what: What,
    /// `@@`: what it covers is not refused by rules of this kind.
    pub is_exception: bool,
    /// `$important`: no exception helps.
    pub is_important: bool,
    pub kinds: Kinds,
    /// `$third-party`: whether the page is of another site.
    pub third_party: Option<bool>,
    /// `$domain`: the pages it is for, and not for.
    pub pages: Domains,
    /// `$to`, `$denyallow`: the hosts it is for, and not for.
    pub hosts: Domains,
    /// `$badfilter`: takes the same rule without this word away.
    pub is_revocation: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Pattern(Pattern),
    /// Between slashes.
    Expression(String),
}

/// Domains named and domains excepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domains {
    pub named: Vec<Box<str>>,
    pub excepted: Vec<Box<str>>,
}

/// Why a line is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the rule covers every request")]
    MatchesAll,
    #[error("the rule holds characters that no URL has")]
    NotAscii,
    #[error("the option `{0}` is not known")]
    Option(String),
}

impl Rule {
    /// `None` for what says nothing to a proxy.
    pub fn parse(line: &str) -> Result<Option<Rule>, RuleError> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(['!', '[']) || is_cosmetic(line) {
            return Ok(None);
        }
        let (line, is_exception) = line.strip_prefix("@@").map_or((line, false), |rest| (rest, true));
        let (text, options) = split_options(line);
        if !text.is_ascii() {
            return Err(RuleError::NotAscii);
        }
        let what = match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(expression) if !expression.is_empty() => What::Expression(expression.to_owned()),
            _ => What::Pattern(Pattern::parse(text)),
        };
        let mut rule = Rule {
            what,
            is_exception,
            is_important: false,
            kinds: PARTS,
            third_party: None,
            pages: Domains::default(),
            hosts: Domains::default(),
            is_revocation: false,
        };
        let mut kinds = KindsGiven::default();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            if !rule.take_option(option, &mut kinds)? {
                return Ok(None);
            }
        }
        rule.kinds = match kinds.taken() {
            Some(0) => return Ok(None),
            Some(kinds) => kinds,
            None => PARTS,
        };
        let says_nothing = matches!(&rule.what, What::Pattern(pattern) if pattern.is_empty());
        let narrow = !rule.pages.named.is_empty() || !rule.hosts.named.is_empty();
        if says_nothing && !narrow { Err(RuleError::MatchesAll) } else { Ok(Some(rule)) }
    }

    /// The host whose whole the rule covers, whoever asks and whatever for: it is as good as a line of a domain list.
    pub fn whole_host(&self) -> Option<&str> {
        let What::Pattern(pattern) = &self.what else { return None };
        let plain = !self.is_exception && !self.is_important && !self.is_revocation;
        let always = self.third_party.is_none() && self.pages.is_empty() && self.hosts.is_empty();
        let any_kind = self.kinds & PARTS == PARTS || self.kinds == RequestKind::Document as Kinds;
        let (host, is_all) = pattern.host()?;
        (plain && always && any_kind && is_all).then_some(host)
    }

    /// The host that a `||` rule names.
    pub fn host(&self) -> Option<&str> {
        match &self.what {
            What::Pattern(pattern) => pattern.host().map(|(host, _)| host),
            What::Expression(_) => None,
        }
    }

    /// The regular expression that the rule is.
    pub fn expression(&self) -> Option<&str> {
        match &self.what {
            What::Pattern(_) => None,
            What::Expression(text) => Some(text),
        }
    }

    /// Takes one option in; `false` when it makes the rule one that says nothing to a proxy.
    fn take_option(&mut self, option: &str, kinds: &mut KindsGiven) -> Result<bool, RuleError> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (name, is_not) = name.strip_prefix('~').map_or((name, false), |name| (name, true));
        match name {
            "third-party" | "3p" | "strict3p" => self.third_party = Some(!is_not),
            "first-party" | "1p" | "strict1p" => self.third_party = Some(is_not),
            "important" => self.is_important = true,
            "badfilter" => self.is_revocation = true,
            "domain" | "from" => self.pages.take(value),
            "to" => self.hosts.take(value),
            "denyallow" => self.hosts.excepted.extend(value.split('|').map(Into::into)),
            "all" => kinds.named |= ALL_KINDS,
            // What stands in the place of what is refused is the browser's affair.
            "redirect" | "rewrite" | "empty" | "mp4" | "reason" => {}
            _ if !name.is_empty() && name.bytes().all(|b| b == b'_') => {}
            "popup" | "popunder" | "inline-script" | "inline-font" | "webrtc" => kinds.other = true,
            "generichide" | "ghide" | "elemhide" | "ehide" | "specifichide" | "shide" | "genericblock" | "content"
            | "jsinject" | "urlblock" | "extension" | "stealth" | "cookie" => return Ok(false),
            "csp" | "permissions" | "removeparam" | "queryprune" | "replace" | "redirect-rule" | "header" | "cname"
            | "ipaddress" | "method" | "match-case" | "uritransform" | "urlskip" | "hls" | "jsonprune" | "app"
            | "network" | "sitekey" | "webbundle" | "requestheader" | "responseheader" | "top" => return Ok(false),
            _ => match RequestKind::named(name) {
                Some(kind) if is_not => kinds.excepted |= kind as Kinds,
                Some(kind) => kinds.named |= kind as Kinds,
                None => return Err(RuleError::Option(option.to_owned())),
            },
        }
        // A page named by an expression is none that can be looked up.
        Ok(!value.contains('/') || !matches!(name, "domain" | "from" | "to"))
    }
}

/// The kinds that the options name.
#[derive(Debug, Default)]
struct KindsGiven {
    named: Kinds,
    excepted: Kinds,
    /// Kinds that no proxy sees.
    other: bool,
}

impl KindsGiven {
    fn taken(&self) -> Option<Kinds> {
        match (self.named, self.excepted, self.other) {
            (0, 0, false) => None,
            (0, 0, true) => Some(0),
            (0, excepted, _) => Some(PARTS & !excepted),
            (named, excepted, _) => Some(named & !excepted),
        }
    }
}

impl Domains {
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.excepted.is_empty()
    }

    fn take(&mut self, value: &str) {
        for domain in value.split('|').filter(|domain| !domain.is_empty()) {
            match domain.strip_prefix('~') {
                Some(domain) => self.excepted.push(domain.to_ascii_lowercase().into()),
                None => self.named.push(domain.to_ascii_lowercase().into()),
            }
        }
    }
}

/// `##`, `#@#`, `#?#`, `#$#`, `#%#`, `#@?#` …: what is to be hidden in a page, and `$$` of AdGuard.
fn is_cosmetic(line: &str) -> bool {
    let after_hash = |rest: &str| rest.trim_start_matches(['@', '?', '$', '%']).starts_with('#');
    line.match_indices('#').any(|(at, _)| after_hash(&line[at + 1..])) || line.contains("$$")
}

/// The pattern, and the options behind the last `$` that options follow.
fn split_options(line: &str) -> (&str, &str) {
    let is_expression = line.starts_with('/') && line.ends_with('/') && line.len() > 1;
    let options = line.rfind('$').filter(|_| !is_expression).map(|at| (&line[..at], &line[at + 1..]));
    match options {
        Some((text, options)) if options.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '~' | '_')) => {
            (text, options)
        }
        _ => (line, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_to_a_proxy_is_passed_over() {
        for line in [
            "",
            "! comment",
            "[Adblock Plus 2.0]",
            "example.fr##.ad",
            "example.fr#@#.ad",
            "example.fr#?#div:has(a)",
            "##.ad",
            "||example.fr^$popup",
            "||example.fr^$removeparam=utm",
            "@@||example.fr^$generichide",
            "||example.fr^$csp=script-src 'none'",
        ] {
            assert_eq!(Rule::parse(line), Ok(None), "{line}");
        }
        assert_eq!(Rule::parse("*"), Err(RuleError::MatchesAll));
        assert_eq!(Rule::parse("||a.fr^$nonsense"), Err(RuleError::Option("nonsense".to_owned())));
        assert_eq!(Rule::parse("||é.fr^"), Err(RuleError::NotAscii));
    }

    #[test]
    fn a_rule_about_all_of_a_host_is_known() {
        for (line, whole, host) in [
            ("||example.fr^", Some("example.fr"), Some("example.fr")),
            ("||Example.fr^$document", Some("example.fr"), Some("example.fr")),
            ("||example.fr^$all", Some("example.fr"), Some("example.fr")),
            ("||example.fr^$doc,popup", Some("example.fr"), Some("example.fr")),
            ("||example.fr^$third-party", None, Some("example.fr")),
            ("||example.fr^$script", None, Some("example.fr")),
            ("||example.fr^$domain=a.fr", None, Some("example.fr")),
            ("||example.fr^$important", None, Some("example.fr")),
            ("@@||example.fr^", None, Some("example.fr")),
            ("||example.fr^*/x", None, Some("example.fr")),
            ("||example.fr/x", None, Some("example.fr")),
            ("||example.", None, None),
            ("/ads/", None, None),
        ] {
            let rule = Rule::parse(line).unwrap().unwrap();
            assert_eq!((rule.whole_host(), rule.host()), (whole, host), "{line}");
        }
    }

    #[test]
    fn options_are_read_in_every_spelling() {
        let rule = Rule::parse("/ads.js$script,~3p,domain=a.fr|~b.a.fr").unwrap().unwrap();
        assert_eq!((rule.kinds, rule.third_party), (RequestKind::Script as Kinds, Some(false)));
        assert_eq!((rule.pages.named, rule.pages.excepted), (vec!["a.fr".into()], vec!["b.a.fr".into()]));
        let rule = Rule::parse("/price$1,00/x$~image").unwrap().unwrap();
        assert_eq!(rule.kinds, PARTS & !(RequestKind::Image as Kinds));
        let expression = Rule::parse(r"/^https:\/\/a\.fr\/[0-9]+$/$xhr").unwrap().unwrap();
        assert_eq!(expression.what, What::Expression(r"^https:\/\/a\.fr\/[0-9]+$".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "(@@)?(\\|\\|)?[a-z./*^|$~,=#é]{0,30}") {
            let _ = Rule::parse(&line);
        }
    }
}
