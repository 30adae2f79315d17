//! One target, prepared once for all look-ups.

use crate::access::Host;

use super::url::canonical_path;

/// A host, and the path where there is one, in the spelling that lists are compiled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    host: Host,
    /// Host and canonical path and query, lower case, ASCII: `example.fr/a/b?c=d`. Empty for a host alone that is a
    /// name: the name itself is the text then.
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
}

impl Candidate {
    /// A request: `path_and_query` as the client wrote it. An empty one is a host alone.
    pub fn new(host: &Host, path_and_query: &str) -> Candidate {
        if path_and_query.is_empty() {
            return Candidate::host(host);
        }
        let mut text = String::with_capacity(path_and_query.len() + 40);
        text.push_str(&host.to_text());
        let path_at = text.len();
        canonical_path(path_and_query, &mut text);
        Candidate { host: host.clone(), text, path_at }
    }

    /// A host of which nothing more is known (a tunnel, a DNS name).
    pub fn host(host: &Host) -> Candidate {
        let text = match host {
            Host::Name(_) => String::new(),
            Host::Address(address) => address.to_string(),
        };
        Candidate { host: host.clone(), path_at: text.len(), text }
    }

    pub fn target(&self) -> &Host {
        &self.host
    }

    /// What expressions are matched against: host and path without scheme and port, lower case.
    pub fn text(&self) -> &str {
        match &self.host {
            Host::Name(name) if self.text.is_empty() => name.as_str(),
            _ => &self.text,
        }
    }

    /// The host's canonical text, IPv6 without brackets.
    pub fn host_text(&self) -> &str {
        match &self.host {
            Host::Name(name) => name.as_str(),
            Host::Address(_) => &self.text[..self.path_at],
        }
    }

    /// The canonical path and query; empty for a host alone.
    pub fn path(&self) -> &str {
        &self.text[self.path_at..]
    }
}
