//! Host names and URLs as the gateway reads them, against the `url` crate (the WHATWG's reading, which browsers have).
//!
//! What both take must be the same host and port. Either may refuse what the other takes: a browser refuses more (`%`
//! in a host), and we do (names over 253 bytes).

#![no_main]

use ecluse::access::Host;
use ecluse::policy::target_of_url;
use libfuzzer_sys::fuzz_target;
use url::Url;

/// The host of a browser's URL, read by us; a v4 address in v6 clothes is the same host for us.
fn theirs(url: &Url) -> Option<Host> {
    Host::parse(url.host_str()?).ok()
}

fuzz_target!(|text: &str| {
    let ours = Host::parse(text);
    if let Ok(host) = &ours {
        // Its own text is read as the same host.
        let again = host.to_text().into_owned();
        assert_eq!(Host::parse(&again).as_ref(), Ok(host), "{text:?} became {again:?}");
        // As a URL's host, where nothing in it could end the authority or is taken out of URLs.
        let within = !text.contains(['/', '?', '#', '\\', '@', '\t', '\n', '\r'])
            && (!text.contains(':') || text.starts_with('['));
        if within && let Ok(url) = Url::parse(&format!("http://{text}/")) {
            assert_eq!(theirs(&url).as_ref(), Some(host), "{text:?}: a browser's host, and ours");
        }
    }
    let url = format!("http://{text}");
    if text.contains(['\\', '\t', '\n', '\r']) {
        return;
    }
    if let (Ok(target), Ok(url)) = (target_of_url(&url), Url::parse(&url)) {
        assert_eq!(theirs(&url).as_ref(), Some(&target.host), "{url}: a browser's host, and ours");
        assert_eq!(url.port().unwrap_or(80), target.port, "the port of {url}");
    }
});
