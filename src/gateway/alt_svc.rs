//! `Alt-Svc` (RFC 7838): an origin that says it speaks QUIC as well, to a client that may not.
//!
//! Such a browser would try, be refused and come back; without the word it does not try.

use ::http::header::{ALT_SVC, HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

/// Takes the alternatives by QUIC out of a response's head. A field that cannot be read goes whole: it is but an offer.
pub fn remove_quic(headers: &mut HeaderMap) {
    if !headers.contains_key(ALT_SVC) {
        return;
    }
    let fields: Vec<HeaderValue> = headers.get_all(ALT_SVC).iter().filter_map(without_quic).collect();
    headers.remove(ALT_SVC);
    for field in fields {
        headers.append(ALT_SVC, field);
    }
}

/// What is left of one field; `None`: nothing.
fn without_quic(field: &HeaderValue) -> Option<HeaderValue> {
    let left: Vec<&str> = alternatives(field.to_str().ok()?)?.into_iter().filter(|one| !is_quic(one)).collect();
    if left.is_empty() { None } else { HeaderValue::try_from(left.join(", ")).ok() }
}

/// Parted at the commas that do not stand in quotes; `None`: a quote is not closed.
fn alternatives(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then(|| parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect())
}

/// The protocols that go over QUIC: `h3` and its drafts, `hq` (HTTP/0.9 over it), Google's own.
fn is_quic(alternative: &str) -> bool {
    let protocol = alternative.split('=').next().unwrap_or_default();
    // RFC 7838 §3: octets that no token may hold are percent-encoded.
    let protocol = percent_decode_str(protocol.trim()).decode_utf8_lossy().to_ascii_lowercase();
    ["h3", "hq", "quic"].iter().any(|of_quic| protocol.starts_with(of_quic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_over_quic_is_taken_out() {
        for (said, left) in [
            (&["h3=\":443\"; ma=86400"][..], &[][..]),
            (&["h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000"], &[]),
            (&["h2=\"alt.example:8000\", h3=\":443\""], &["h2=\"alt.example:8000\""]),
            (&["h3=\":443\"", "h2=\":443\"; persist=1"], &["h2=\":443\"; persist=1"]),
            (&["H3=\":443\"", "%68%33=\":443\"", "quic=\":443\"; v=\"46,43\"", "hq-29=\":443\""], &[]),
            (&["h2=\"a,h3=\\\"\", h3=\":443\""], &["h2=\"a,h3=\\\"\""]),
            (&["clear"], &["clear"]),
            (&["h2=\":443"], &[]),
            (&[","], &[]),
            (&[], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for field in said {
                headers.append(ALT_SVC, HeaderValue::from_static(field));
            }
            remove_quic(&mut headers);
            assert_eq!(headers.get_all(ALT_SVC).iter().collect::<Vec<_>>(), left, "{said:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(ALT_SVC, HeaderValue::from_bytes(b"h3=\xff").unwrap());
        remove_quic(&mut headers);
        assert!(headers.is_empty(), "what cannot be read is no offer");
    }
}
