//! Domain lists and hosts files.

use crate::access::{Host, HostError};

use super::{Entry, Fault, single, without_comment};

/// Names that every hosts file gives to the machine itself.
const OWN_NAMES: [&str; 14] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "localhost4",
    "localhost6",
    "0.0.0.0",
];

/// `example.fr`; a leading `*.` or `.` says what is meant anyway: it and all below it.
pub fn parse_domain(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    if is_plain_name(line) {
        sink(Entry::Name(line));
        return Ok(());
    }
    let text = without_comment(line);
    let text = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    if text.contains(char::is_whitespace) {
        let help = "one domain a line; a hosts file has the format `hosts`";
        return Err(Fault::new("there is more than one word on the line", help));
    }
    if text.starts_with("||") || text.starts_with("@@") {
        let help = "give the domain alone: `||example.fr^` is `example.fr`";
        return Err(Fault::new("this is a rule of an ad blocker", help));
    }
    if text.contains('/') && !text.contains("//") || text.contains("://") {
        return Err(Fault::new("this is a URL, not a domain", "put it into a list of format `urls` (the file `urls`)"));
    }
    parse_host(text, sink)
}

/// `0.0.0.0 example.fr other.example.fr # comment`.
pub fn parse_hosts(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let address = words.next().unwrap_or_default();
    // `fe80::1%lo0` stands in the hosts file of every Mac.
    let address = address.split('%').next().unwrap_or_default();
    if !matches!(Host::parse(address), Ok(Host::Address(_))) {
        let help = "a line of a hosts file is `0.0.0.0 name`; a list of names alone has the format `domains`";
        return Err(Fault::new("the line does not begin with an address", help));
    }
    words.filter(|name| !OWN_NAMES.contains(name)).try_for_each(|name| parse_host(name, sink))
}

fn parse_host(text: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    if is_plain_name(text) {
        sink(Entry::Name(text));
        return Ok(());
    }
    match Host::parse(text) {
        Ok(Host::Name(name)) => sink(Entry::Name(name.as_str())),
        Ok(Host::Address(address)) => sink(single(address)),
        Err(error) => return Err(fault_of(error)),
    }
    Ok(())
}

pub fn fault_of(error: HostError) -> Fault {
    let help = match error {
        HostError::Empty => "give a domain, as in `example.fr`",
        HostError::TooLong | HostError::BadLabel => {
            "a name has labels of 1 to 63 characters between dots, 253 characters altogether"
        }
        HostError::BadCharacter => "a name has letters, digits, hyphens, underscores and dots",
        HostError::BadAddress => "an address has four numbers of 0 to 255, or is IPv6",
    };
    Fault::new(error.to_string(), help)
}

/// Whether a text is a name in canonical spelling, said at once: most lines are. What it declines takes the long way
/// through [`Host::parse`], with the same result (a test holds it).
pub fn is_plain_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 253 {
        return false;
    }
    let mut label = 0;
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => label += 1,
            // `xn--` wants the long way; other hyphens there are rare enough to take it, too.
            b'-' if label == 3 && bytes[..i].ends_with(b"xn-") => return false,
            b'-' => label += 1,
            b'.' if label > 0 && label <= 63 => label = 0,
            _ => return false,
        }
    }
    label > 0 && label <= 63 && !bytes[bytes.len() - label].is_ascii_digit()
}
