//! What a request is besides its URL: of which page it is a part, and what of it.

use crate::access::HostName;

/// What the browser said. Of a request of which nothing is known, rules that depend on it do not refuse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The host of the page that asks (`Referer`, `Origin`).
    pub page: Option<HostName>,
    /// `Sec-Fetch-Dest`.
    pub kind: Option<RequestKind>,
}

/// What is asked for: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum RequestKind {
    Document = 1,
    Frame = 1 << 1,
    Script = 1 << 2,
    Style = 1 << 3,
    Image = 1 << 4,
    Font = 1 << 5,
    Media = 1 << 6,
    Fetch = 1 << 7,
    WebSocket = 1 << 8,
    Ping = 1 << 9,
    Object = 1 << 10,
    Other = 1 << 11,
}

/// Several kinds.
pub type Kinds = u16;

pub const ALL_KINDS: Kinds = (1 << 12) - 1;
/// What a rule means that names no kind: parts of pages, not pages.
pub const PARTS: Kinds = ALL_KINDS & !(RequestKind::Document as Kinds);

impl RequestKind {
    /// By the names that rules use, the short ones of uBlock Origin too.
    pub fn named(name: &str) -> Option<RequestKind> {
        Some(match name {
            "document" | "doc" => RequestKind::Document,
            "subdocument" | "frame" => RequestKind::Frame,
            "script" => RequestKind::Script,
            "stylesheet" | "css" => RequestKind::Style,
            "image" => RequestKind::Image,
            "font" => RequestKind::Font,
            "media" => RequestKind::Media,
            "xmlhttprequest" | "xhr" => RequestKind::Fetch,
            "websocket" => RequestKind::WebSocket,
            "ping" | "beacon" => RequestKind::Ping,
            "object" | "object-subrequest" => RequestKind::Object,
            "other" => RequestKind::Other,
            _ => return None,
        })
    }
}

/// Second labels under which sites are registered: `co.uk`, `gouv.fr`. The whole of the Public Suffix List would tell a
/// few more apart.
fn is_second(label: &str) -> bool {
    matches!(
        label,
        "co" | "com" | "net" | "org" | "gov" | "gouv" | "edu" | "ac" | "asso" | "or" | "ne" | "go" | "gob" | "github"
    )
}

/// Where the part of a host begins that one owner registers. `label` says where the labels begin, from the last one on.
pub fn site_start(host: &str, label: impl Fn(usize) -> Option<usize>) -> usize {
    let (Some(last), Some(second)) = (label(0), label(1)) else { return 0 };
    let middle = &host[second..last - 1];
    if is_second(middle) { label(2).unwrap_or(second) } else { second }
}

/// Whether `host` is `domain` or below it; `example.*` is a name in any suffix of one label or two.
pub fn is_within(host: &str, domain: &str) -> bool {
    let at_label = |start: usize| start == 0 || host.as_bytes().get(start - 1) == Some(&b'.');
    match domain.strip_suffix(".*") {
        None => host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        Some(name) => host.match_indices(name).any(|(start, _)| {
            let suffix = host[start + name.len()..].strip_prefix('.');
            at_label(start) && suffix.is_some_and(|suffix| suffix.matches('.').count() < 2)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_what_one_owner_registers() {
        for (host, expected) in [
            ("www.example.fr", "example.fr"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.fr", "example.fr"),
            ("co.uk", "co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("localhost", "localhost"),
        ] {
            let mut starts: Vec<usize> = host.match_indices('.').map(|(dot, _)| dot + 1).collect();
            starts.insert(0, 0);
            starts.reverse();
            assert_eq!(&host[site_start(host, |i| starts.get(i).copied())..], expected);
        }
    }

    #[test]
    fn a_host_is_within_a_domain_by_whole_labels() {
        for (host, domain, expected) in [
            ("a.example.fr", "example.fr", true),
            ("example.fr", "example.fr", true),
            ("notexample.fr", "example.fr", false),
            ("fr", "example.fr", false),
            ("www.example.co.uk", "example.*", true),
            ("example.evil.a.b", "example.*", false),
            ("notexample.fr", "example.*", false),
        ] {
            assert_eq!(is_within(host, domain), expected, "{host} {domain}");
        }
    }
}
