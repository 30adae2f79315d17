//! Names that are answered without asking anybody.

use crate::access::HostName;

/// Why nobody else is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// A browser or a device asks whether the network filters: its vendor documents that the denial of this name means
    /// "yes, leave the network's own resolver on". Not an access: no row.
    Signal,
    /// It exists on no public network.
    Nowhere,
    /// This machine, whoever asks.
    Localhost,
    /// The gateway's own pages.
    OurPages,
}

/// Firefox, "Canary domain - use-application-dns.net": NXDOMAIN keeps DNS over HTTPS off where the person did not
/// choose it. Apple, "Prepare your network or web server for iCloud Private Relay": NXDOMAIN or an empty answer for
/// these two names tells the person that the network does not allow it; a time-out or a dropped packet would not.
const SIGNALS: [&str; 3] = ["use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com"];

/// Special use: RFC 7686 (`onion`), RFC 6761 (`invalid`), RFC 6762 (`local`). A school whose own domain ends so names it
/// as a zone, which goes first.
const NOWHERE: [&str; 3] = ["onion", "invalid", "local"];

/// The name under which this gateway always is reached.
const OUR_PAGES: &str = "ecluse.internal";

pub fn special(host: &HostName) -> Option<Special> {
    let name = host.as_str();
    if SIGNALS.iter().any(|signal| is_or_is_below(name, signal)) {
        return Some(Special::Signal);
    }
    if name == OUR_PAGES {
        return Some(Special::OurPages);
    }
    match name.rsplit('.').next() {
        Some("localhost") => Some(Special::Localhost),
        Some(last) if NOWHERE.contains(&last) => Some(Special::Nowhere),
        _ => None,
    }
}

fn is_or_is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
