use super::lines::LineError;
use super::*;

use crate::access::Host;

fn parsed(kind: LineKind, line: &str) -> String {
    let mut entries = Vec::new();
    let result = parse_line(kind, line, &mut |entry| {
        entries.push(match entry {
            Entry::Name(name) => name.to_owned(),
            Entry::Network(network) => network.to_string(),
            Entry::Url { site, text } => format!("{site}|{text}"),
            Entry::Expression(text) | Entry::Rule { text, .. } => text.to_owned(),
        })
    });
    match result {
        Ok(()) => entries.join(" "),
        Err(fault) => format!("error: {}", fault.what),
    }
}

#[test]
fn a_domain_line_is_read_in_every_spelling() {
    for (line, expected) in [
        ("example.fr", "example.fr"),
        ("  Example.FR.  ", "example.fr"),
        ("*.example.fr", "example.fr"),
        (".example.fr", "example.fr"),
        ("example.fr # why", "example.fr"),
        ("# example.fr", ""),
        ("", ""),
        ("collège.fr", "xn--collge-6ua.fr"),
        ("XN--COLLGE-6UA.fr", "xn--collge-6ua.fr"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("0x0a.1.515", "10.1.2.3/32"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("a..fr", "error: a label of the host is empty or longer than 63 characters"),
        ("example.fr/path", "error: this is a URL, not a domain"),
        ("||example.fr^", "error: this is a rule of an ad blocker"),
        ("one two", "error: there is more than one word on the line"),
    ] {
        assert_eq!(parsed(LineKind::Domain, line), expected, "{line}");
    }
}

#[test]
fn a_hosts_line_gives_its_names_but_not_the_machine_s_own() {
    for (line, expected) in [
        ("0.0.0.0 a.fr B.fr # why", "a.fr b.fr"),
        ("127.0.0.1\tlocalhost", ""),
        ("::1 ip6-loopback x.fr", "x.fr"),
        ("fe80::1%lo0 localhost", ""),
        ("a.fr", "error: the line does not begin with an address"),
        ("0.0.0.0 a b_c -d ..", "error: a label of the host is empty or longer than 63 characters"),
    ] {
        assert_eq!(parsed(LineKind::Hosts, line), expected, "{line}");
    }
}

#[test]
fn a_url_line_is_a_site_and_a_canonical_path() {
    for (line, expected) in [
        ("example.fr/a", "example.fr|example.fr/a"),
        ("HTTP://www.Example.fr:80/A/../b/", "example.fr|example.fr/b"),
        ("https://example.fr:443/%61?q=%41", "example.fr|example.fr/a?q=a"),
        ("example.fr", "example.fr|example.fr"),
        ("example.fr/", "example.fr|example.fr"),
        ("www.fr/x", "www.fr|www.fr/x"),
        ("0x7f.1/x", "127.0.0.1|127.0.0.1/x"),
        ("[2001:DB8::1]/x", "2001:db8::1|2001:db8::1/x"),
        ("example.fr/a#b", "example.fr|example.fr/a"),
        ("example.fr/#b", "example.fr|example.fr/"),
        ("example.fr:8080/a", "error: an entry of a list has no port"),
        ("ftp://example.fr/a", "error: only http and https URLs are judged"),
        ("/a", "error: the host is empty"),
    ] {
        assert_eq!(parsed(LineKind::Url, line), expected, "{line}");
    }
}

#[test]
fn a_network_line_is_a_network_or_an_address() {
    for (line, expected) in [
        ("10.0.0.0/8 ; SBL1", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("10.0.0.0/33", "error: this is no network"),
        ("example.fr", "error: this is no address"),
    ] {
        assert_eq!(parsed(LineKind::Network, line), expected, "{line}");
    }
}

#[test]
fn lines_have_limits_and_a_bad_one_does_not_hide_the_next() {
    let text = format!("\u{feff}one\r\n{}\n\u{fffd}two\nthree", "x".repeat(100_000));
    let mut bytes = text.into_bytes();
    let at = bytes.windows(3).position(|w| w == "\u{fffd}".as_bytes()).unwrap();
    bytes[at] = 0xff;
    let mut seen = Vec::new();
    for_each_line(&bytes[..], |number, line| seen.push((number, line.map(str::to_owned)))).unwrap();
    let expected = [
        (1, Ok("one".to_owned())),
        (2, Err(LineError::TooLong)),
        (3, Err(LineError::NotText)),
        (4, Ok("three".to_owned())),
    ];
    assert_eq!(seen, expected);
}

proptest::proptest! {
    #[test]
    fn the_short_way_agrees_with_the_long_way(text in "[a-z0-9._xn-]{0,30}") {
        if is_plain_name(&text) {
            let host = Host::parse(&text).unwrap();
            proptest::prop_assert_eq!(host.name().map(|n| n.as_str()), Some(&*text));
        }
    }

    #[test]
    fn no_line_makes_a_parser_panic(line in "\\PC{0,60}") {
        for kind in [LineKind::Domain, LineKind::Hosts, LineKind::Url, LineKind::Expression, LineKind::Network] {
            let _ = parse_line(kind, &line, &mut |_| {});
        }
    }
}
