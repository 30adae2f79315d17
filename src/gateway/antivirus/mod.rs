//! What policy wants scanned, on its way through: uploads before their origin, answers before their client.
//!
//! A body of 1 MiB at most is held whole until its verdict, so that the page can name what was found. A larger one streams
//! with its tail held back; where something is found it ends broken off, its row says why, and so does the next page that
//! its client asks for ([`Notices`]). [`settle`](finding::settle) is the one place that says what becomes of a body.
//!
//! Type to read first: [`Plan`].

mod examined;
mod finding;
mod notices;
mod plan;

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, HeaderMap, HeaderValue, IF_RANGE, RANGE};

use crate::config::{self, ScannerPlace};
use crate::scan::coding::{Coding, CodingLimits};
use crate::scan::{ClamdAddress, Icap, IcapAddress, ScanLimits, Scanner, Service, Waits};

pub use examined::{Examined, NoBody, examine};
pub use finding::{Finding, Passed, RULE, Refused};
pub use notices::{Notice, Notices};
pub use plan::{Answer, Plan, Whose};

/// The scanner that is configured, and what becomes of what it cannot judge.
#[derive(Debug)]
pub struct Antivirus {
    pub scanner: Scanner,
    pub settings: config::Antivirus,
}

impl Antivirus {
    /// `None`: none is configured.
    pub fn new(settings: &config::Antivirus) -> Option<Arc<Self>> {
        let service = match settings.scanner.clone()? {
            ScannerPlace::ClamdUnix(path) => Service::Clamd(ClamdAddress::Unix(path)),
            ScannerPlace::ClamdTcp(host, port) => Service::Clamd(ClamdAddress::Tcp(host, port)),
            ScannerPlace::Icap { host, port, service } => Service::Icap(Icap::new(IcapAddress { host, port, service })),
        };
        let limits = ScanLimits {
            waits: Waits { connect: settings.connect, verdict: settings.verdict },
            at_once: settings.at_once,
            coding: CodingLimits { ratio: settings.max_ratio, depth: settings.max_codings, time: settings.decode },
        };
        Some(Arc::new(Antivirus { scanner: Scanner::new(service, limits), settings: settings.clone() }))
    }
}

/// A request whose answer is to be scanned asks for the whole, in codings that can be taken off.
pub fn ask_for_the_whole(headers: &mut HeaderMap) {
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    let mut known = Vec::new();
    for field in headers.get_all(ACCEPT_ENCODING) {
        let words = field.to_str().unwrap_or_default().split(',').map(str::trim);
        known.extend(words.filter(|word| is_known(word)).map(str::to_owned));
    }
    if headers.contains_key(ACCEPT_ENCODING) {
        // None left: `identity` is what every server has.
        let known = if known.is_empty() { "identity".to_owned() } else { known.join(", ") };
        headers.insert(ACCEPT_ENCODING, HeaderValue::try_from(known).unwrap_or(HeaderValue::from_static("identity")));
    }
}

/// Whether a coding of `Accept-Encoding`, with its weight, is one that we take off. `*` would mean any.
fn is_known(word: &str) -> bool {
    let name = word.split(';').next().unwrap_or_default().trim();
    !name.is_empty() && Coding::parse(name).is_ok()
}

/// A client that was told that ranges are served would come for the rest of what was broken off.
pub fn offer_no_ranges(headers: &mut HeaderMap) {
    if headers.contains_key(ACCEPT_RANGES) {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_asked_for_in_codings_that_we_know() {
        for (asked, passed) in [
            (Some("gzip, deflate, br, zstd"), Some("gzip, deflate, br, zstd")),
            (Some("gzip;q=0.5, dcb, compress, *"), Some("gzip;q=0.5")),
            (Some("dcz"), Some("identity")),
            (Some("identity;q=0, br"), Some("identity;q=0, br")),
            (None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static("bytes=5-"));
            headers.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
            if let Some(asked) = asked {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(asked));
            }
            ask_for_the_whole(&mut headers);
            assert_eq!(headers.get(ACCEPT_ENCODING).map(|value| value.to_str().unwrap()), passed, "{asked:?}");
            assert!(!headers.contains_key(RANGE) && !headers.contains_key(IF_RANGE));
        }
    }
}
