//! Search engines that filter for whoever reaches them under another name.
//!
//! Sources: Google, "Lock SafeSearch for accounts, devices & networks you manage" (`forcesafesearch.google.com`, for
//! `www.google.com` and every country's); Google, "Manage your organization's YouTube settings: network DNS"
//! (`restrict.youtube.com`, `restrictmoderate.youtube.com`, and the five names); Microsoft, "Blocking adult content with
//! SafeSearch" (`strict.bing.com`); DuckDuckGo, "Safe Search" (`safe.duckduckgo.com`). Qwant has no page of its own about
//! it: `safeapi.qwant.com` for `api.qwant.com` is what public filters use.

use crate::access::HostName;
use crate::policy::{NameLimits, Youtube};

/// The names that others are answered by, read once.
#[derive(Debug)]
pub struct SafeNames {
    google: HostName,
    bing: HostName,
    duckduckgo: HostName,
    qwant: HostName,
    strict: HostName,
    moderate: HostName,
}

const YOUTUBE: [&str; 5] = [
    "www.youtube.com",
    "m.youtube.com",
    "youtubei.googleapis.com",
    "youtube.googleapis.com",
    "www.youtube-nocookie.com",
];

impl Default for SafeNames {
    fn default() -> Self {
        let name = |text: &str| {
            let Ok(name) = HostName::parse(text) else { unreachable!("each is a host name: a test reads them all") };
            name
        };
        SafeNames {
            google: name("forcesafesearch.google.com"),
            bing: name("strict.bing.com"),
            duckduckgo: name("safe.duckduckgo.com"),
            qwant: name("safeapi.qwant.com"),
            strict: name("restrict.youtube.com"),
            moderate: name("restrictmoderate.youtube.com"),
        }
    }
}

impl SafeNames {
    /// By which name `host` is answered, if by another than its own.
    pub fn of(&self, host: &HostName, limits: NameLimits) -> Option<&HostName> {
        let name = host.as_str();
        if YOUTUBE.contains(&name) {
            return match limits.youtube {
                Youtube::Free => None,
                Youtube::Moderate => Some(&self.moderate),
                Youtube::Strict => Some(&self.strict),
            };
        }
        if !limits.safe_search {
            return None;
        }
        match name {
            "www.bing.com" | "bing.com" => Some(&self.bing),
            "duckduckgo.com" | "www.duckduckgo.com" | "start.duckduckgo.com" | "noai.duckduckgo.com" => {
                Some(&self.duckduckgo)
            }
            "api.qwant.com" => Some(&self.qwant),
            _ => is_google(name).then_some(&self.google),
        }
    }
}

/// `www.google.com`, `www.google.fr`, `www.google.co.uk`, `www.google.com.br`, `www.google.cat`…: every country's, those to
/// come included.
fn is_google(name: &str) -> bool {
    let Some(domain) = name.strip_prefix("www.google.") else { return false };
    let country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase());
    match domain.split_once('.') {
        None => matches!(domain, "com" | "cat") || country(domain),
        Some(("co" | "com", last)) => country(last),
        Some(_) => false,
    }
}
