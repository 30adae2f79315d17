//! The name or address somebody wants to reach, in the one spelling that everything is judged by.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

/// RFC 1035 §2.3.4: 255 octets on the wire, which is 253 characters of text.
const NAME_MAX: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;

/// A DNS name in canonical spelling: lower case, punycode, no trailing dot, 1 to 253 characters, labels of 1 to 63.
/// Underscores are allowed (they exist in the wild); anything else outside letters, digits and hyphens is not.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

/// A validated host: a name, or an address whatever way it was spelt.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    Name(HostName),
    Address(IpAddr),
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("the host is empty")]
    Empty,
    #[error("the host is longer than {NAME_MAX} characters")]
    TooLong,
    #[error("a label of the host is empty or longer than {LABEL_MAX} characters")]
    BadLabel,
    #[error("the host contains a character that no host name has")]
    BadCharacter,
    #[error("the host looks like an IP address but is none")]
    BadAddress,
}

impl HostName {
    /// Parses a name and refuses addresses.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        match Host::parse(text)? {
            Host::Name(name) => Ok(name),
            Host::Address(_) => Err(HostError::BadCharacter),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `parent` or one of its subdomains.
    pub fn is_within(&self, parent: &HostName) -> bool {
        match self.0.strip_suffix(&*parent.0) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }
}

impl Host {
    /// Parses what stands as a host in a URL, a `CONNECT` target, an SNI or a list, as browsers do
    /// (WHATWG URL "host parser"): percent-decoding, IDNA (UTS 46), then IPv4 in every historical spelling
    /// (octal, hexadecimal, fewer than four parts, one integer), IPv6 with or without brackets; v4-mapped
    /// IPv6 is the IPv4 address that it carries.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        // The common case needs no allocation but the result's.
        if is_canonical_name(text) {
            return Ok(Host::Name(HostName(text.into())));
        }
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > 4 * NAME_MAX {
            return Err(HostError::TooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::BadAddress)?;
            return parse_v6(inner);
        }
        if text.contains(':') {
            return parse_v6(text);
        }
        let decoded: Cow<'_, str> = percent_decode_str(text).decode_utf8().map_err(|_| HostError::BadCharacter)?;
        let ascii = idna::domain_to_ascii_cow(decoded.as_bytes(), idna::AsciiDenyList::URL)
            .map_err(|_| HostError::BadCharacter)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if ends_in_a_number(name) {
            return parse_v4(name).map(|v4| Host::Address(IpAddr::V4(v4)));
        }
        check_labels(name)?;
        Ok(Host::Name(HostName(name.into())))
    }

    pub fn name(&self) -> Option<&HostName> {
        match self {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The canonical text: the name, or the address without brackets.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Host::Name(name) => Cow::Borrowed(name.as_str()),
            Host::Address(address) => Cow::Owned(address.to_string()),
        }
    }
}

/// An address as it is judged: v4-mapped IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address it carries.
pub fn canonical_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => address,
        },
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Host::Address(canonical_address(address))
    }
}

fn is_canonical_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > NAME_MAX {
        return false;
    }
    // How long the label is, and what stands before: the first of the label or two hyphens want a closer look.
    let (mut label, mut before, mut first, mut hyphens) = (0usize, b'.', 0, false);
    for &b in bytes {
        match b {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => {}
            b'-' => hyphens |= before == b'-',
            b'.' if label > 0 && label <= LABEL_MAX => label = 0,
            _ => return false,
        }
        if b != b'.' {
            label += 1;
            first = if before == b'.' { b } else { first };
        }
        before = b;
    }
    // A last label that starts with a digit may be an address; a punycode label wants the long way.
    label > 0 && label <= LABEL_MAX && !first.is_ascii_digit() && !(hyphens && text.contains("xn--"))
}

fn check_labels(name: &str) -> Result<(), HostError> {
    if name.len() > NAME_MAX {
        return Err(HostError::TooLong);
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_MAX {
            return Err(HostError::BadLabel);
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(HostError::BadCharacter);
        }
    }
    Ok(())
}

fn parse_v6(text: &str) -> Result<Host, HostError> {
    // A zone identifier (RFC 6874) means something on this machine only: it never names an origin.
    let v6: Ipv6Addr = text.parse().map_err(|_| HostError::BadAddress)?;
    Ok(Host::from(IpAddr::V6(v6)))
}

/// WHATWG URL "ends in a number checker".
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or("");
    (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())) || parse_v4_part(last).is_some()
}

/// WHATWG URL "IPv4 number parser": decimal, `0` octal, `0x` hexadecimal. `None` where it is no number.
fn parse_v4_part(part: &str) -> Option<u64> {
    if part.is_empty() {
        return None;
    }
    let (digits, radix) = match part.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&part[2..], 16),
        [b'0', _, ..] => (&part[1..], 8),
        _ => (part, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// WHATWG URL "IPv4 parser".
fn parse_v4(name: &str) -> Result<Ipv4Addr, HostError> {
    let parts: Vec<u64> =
        name.split('.').map(|part| parse_v4_part(part).ok_or(HostError::BadAddress)).collect::<Result<_, _>>()?;
    let (&last, first) = parts.split_last().ok_or(HostError::BadAddress)?;
    if first.len() > 3 || first.iter().any(|&part| part > 255) {
        return Err(HostError::BadAddress);
    }
    let room = 4 - first.len() as u32;
    if last >= 256u64.pow(room) {
        return Err(HostError::BadAddress);
    }
    let mut value = last;
    for (i, &part) in first.iter().enumerate() {
        value |= part << (8 * (3 - i));
    }
    // Checked above: every part fits its place.
    Ok(Ipv4Addr::from(value as u32))
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// As it stands in a URL: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => fmt::Display::fmt(name, f),
            Host::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Host::parse(text).map_or_else(|e| format!("error: {e}"), |h| h.to_string())
    }

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for text in ["example.fr", "EXAMPLE.fr", "example.fr.", "ex%61mple.fr", "ｅxample.fr", "example。fr"] {
            assert_eq!(parsed(text), "example.fr", "{text}");
        }
        assert_eq!(parsed("Collège.fr"), "xn--collge-6ua.fr");
        assert_eq!(parsed("XN--COLLGE-6UA.fr"), "xn--collge-6ua.fr");
        assert_eq!(parsed("_dmarc.example.fr"), "_dmarc.example.fr");
    }

    #[test]
    fn every_spelling_of_an_address_is_one_address() {
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.01",
            "0x7F.0.0x0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
        ] {
            assert_eq!(parsed(text), "127.0.0.1", "{text}");
        }
        assert_eq!(parsed("[2001:DB8::0:1]"), "[2001:db8::1]");
        assert_eq!(parsed("0"), "0.0.0.0");
    }

    #[test]
    fn what_is_no_host_is_refused_and_says_why() {
        for (text, error) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            ("a..b", HostError::BadLabel),
            ("1.2.3.4.5", HostError::BadAddress),
            ("256.1.1.1", HostError::BadAddress),
            ("4294967296", HostError::BadAddress),
            ("1.2.3.08", HostError::BadAddress),
            ("fe80::1%eth0", HostError::BadAddress),
            ("[::1", HostError::BadAddress),
            ("a b", HostError::BadCharacter),
            ("a%00b", HostError::BadCharacter),
            ("a/b", HostError::BadCharacter),
            ("a%2fb", HostError::BadCharacter),
            ("user@example.fr", HostError::BadCharacter),
        ] {
            assert_eq!(Host::parse(text), Err(error), "{text}");
        }
        assert!(Host::parse(&"a".repeat(64)).is_err());
        assert!(Host::parse(&format!("{}fr", "a.".repeat(200))).is_err());
        assert!(Host::parse(&"a".repeat(100_000)).is_err());
    }

    #[test]
    fn a_subdomain_is_within_its_parent_and_a_lookalike_is_not() {
        let name = |t: &str| HostName::parse(t).unwrap();
        assert!(name("a.b.fr").is_within(&name("b.fr")));
        assert!(name("b.fr").is_within(&name("b.fr")));
        assert!(!name("ab.fr").is_within(&name("b.fr")));
        assert!(!name("b.fr").is_within(&name("a.b.fr")));
    }

    proptest::proptest! {
        #[test]
        fn a_parsed_host_is_read_back_as_itself(text in "\\PC{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                proptest::prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }
    }
}
