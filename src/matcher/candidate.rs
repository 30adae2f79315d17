//! One target, prepared once for all look-ups.

use crate::access::Host;

use super::names::hash::Seed;
use super::rules::{Context, Request, SCHEME};
use super::url::canonical_path;

/// A host, and the path where there is one, in the spelling that lists are compiled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    host: Host,
    /// [`SCHEME`], host, canonical path and query, lower case, ASCII: `https://example.fr/a/b?c=d`. Empty for a host
    /// alone that is a name: the name itself is the text then.
    url: String,
    /// Where the path begins in `url`.
    path_at: usize,
    context: Context,
}

impl Candidate {
    /// A request: `path_and_query` as the client wrote it. An empty one is a host alone.
    pub fn new(host: &Host, path_and_query: &str) -> Candidate {
        if path_and_query.is_empty() {
            return Candidate::host(host);
        }
        let mut url = String::with_capacity(SCHEME.len() + path_and_query.len() + 40);
        url.push_str(SCHEME);
        url.push_str(&host.to_text());
        let path_at = url.len();
        canonical_path(path_and_query, &mut url);
        Candidate { host: host.clone(), url, path_at, context: Context::default() }
    }

    /// A host of which nothing more is known (a tunnel, a DNS name).
    pub fn host(host: &Host) -> Candidate {
        let url = match host {
            Host::Name(_) => String::new(),
            Host::Address(address) => format!("{SCHEME}{address}"),
        };
        Candidate { host: host.clone(), path_at: url.len(), url, context: Context::default() }
    }

    /// What the browser says besides: rules of ad blockers may depend on it.
    pub fn with_context(self, context: Context) -> Candidate {
        Candidate { context, ..self }
    }

    pub fn target(&self) -> &Host {
        &self.host
    }

    /// What expressions are matched against: host and path without scheme and port, lower case.
    pub fn text(&self) -> &str {
        match &self.host {
            Host::Name(name) if self.url.is_empty() => name.as_str(),
            _ => &self.url[SCHEME.len()..],
        }
    }

    /// The host's canonical text, IPv6 without brackets.
    pub fn host_text(&self) -> &str {
        match &self.host {
            Host::Name(name) => name.as_str(),
            Host::Address(_) => &self.url[SCHEME.len()..self.path_at],
        }
    }

    /// The canonical path and query; empty for a host alone.
    pub fn path(&self) -> &str {
        &self.url[self.path_at..]
    }

    /// As rules of ad blockers see it, with the seed of their hashes; `None` for a host alone.
    pub fn request(&self, seed: Seed) -> Option<Request<'_>> {
        if self.path().is_empty() {
            return None;
        }
        Request::new(&self.url, self.host_text(), &self.context, seed)
    }
}
