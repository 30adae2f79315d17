//! What a proxy must take out of a message and put into it (RFC 9110 §7.6).

use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};

/// Fields that concern one connection only (RFC 9110 §7.6.1), whether or not `Connection` names them.
/// `Transfer-Encoding` is among them because each side frames its own messages.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what must not travel further: the fixed fields and all those that `Connection` names.
/// `Content-Length` and `Host` stay even when a client names them there: naming them is an attack on framing.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have one such field or none: looking costs less than removing what is not there.
    let present = headers.keys().fold(0, |present: u16, name| present | concerns_one_hop(name));
    if present == 0 {
        return;
    }
    if present & bit(&CONNECTION) != 0 {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            // What nearly all say; `Keep-Alive` is removed in any case.
            .filter(|token| !token.eq_ignore_ascii_case("keep-alive") && !token.eq_ignore_ascii_case("close"))
            .filter_map(|token| token.parse().ok())
            .filter(|name| *name != http::header::CONTENT_LENGTH && *name != HOST)
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for (i, name) in HOP_BY_HOP.iter().enumerate() {
        if present >> i & 1 == 1 {
            headers.remove(name);
        }
    }
    if headers.get(TRAILER).is_some_and(HeaderValue::is_empty) {
        headers.remove(TRAILER);
    }
}

/// The field's bit: its place in [`HOP_BY_HOP`], the first bit after them for `Trailer`, none for every other.
fn concerns_one_hop(name: &HeaderName) -> u16 {
    match name.as_str().len() {
        2 | 7 | 10 | 16..=19 => bit(name),
        _ => 0,
    }
}

fn bit(name: &HeaderName) -> u16 {
    match HOP_BY_HOP.iter().position(|field| field == name) {
        Some(at) => 1 << at,
        None if *name == TRAILER => 1 << HOP_BY_HOP.len(),
        None => 0,
    }
}

/// How this gateway signs `Via`: a pseudonym (RFC 9110 §7.6.3), the same for one gateway, other for each.
#[derive(Debug, Clone)]
pub struct ViaName {
    value_http11: HeaderValue,
    value_http10: HeaderValue,
    pseudonym: String,
}

impl ViaName {
    /// From the gateway's name, which consists of lower-case letters, digits and hyphens.
    pub fn new(gateway: &crate::access::GatewayName) -> Self {
        let pseudonym = format!("ecluse-{gateway}");
        let value = |version: &str| {
            HeaderValue::from_str(&format!("{version} {pseudonym}")).expect("a gateway's name is printable ASCII")
        };
        ViaName { value_http11: value("1.1"), value_http10: value("1.0"), pseudonym }
    }

    /// Signs a message received with this version.
    pub fn sign(&self, version: http::Version, headers: &mut HeaderMap) {
        let value = if version == http::Version::HTTP_10 { &self.value_http10 } else { &self.value_http11 };
        headers.append(VIA, value.clone());
    }

    /// Whether the message has already passed this gateway.
    pub fn has_signed(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(VIA)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|hop| hop.split_whitespace().nth(1).is_some_and(|by| by.eq_ignore_ascii_case(&self.pseudonym)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let mut h = headers(&[
            ("connection", "close, X-Secret,te"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic Zm9v"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        remove_hop_by_hop(&mut h);
        assert_eq!(h.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn a_client_cannot_have_the_framing_removed() {
        let mut h = headers(&[("connection", "content-length, host"), ("content-length", "3"), ("host", "a.fr")]);
        remove_hop_by_hop(&mut h);
        assert_eq!(h.get("content-length").unwrap(), "3");
        assert_eq!(h.get("host").unwrap(), "a.fr");
    }

    #[test]
    fn our_own_signature_is_recognised_among_others() {
        let via = ViaName::new(&crate::access::GatewayName::parse("g1").unwrap());
        for (line, ours) in [
            ("1.1 other", false),
            ("1.0 fred, 1.1 ecluse-g1", true),
            ("HTTP/1.1 ECLUSE-G1 (comment)", true),
            ("1.1 ecluse-g10", false),
        ] {
            assert_eq!(via.has_signed(&headers(&[("via", line)])), ours, "{line}");
        }
    }
}
