//! Fingerprints known from elsewhere; real ones are in `tests/corpus`.

use super::*;
use crate::detect::tests::hellos::{alpn, body, hello, message, records, server_name, versions};

/// The example of FoxIO's own description: its lists, in another order and with GREASE between.
#[test]
fn the_example_of_the_specification_has_its_fingerprint() {
    let ciphers = [
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let algorithms: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let algorithms: Vec<u8> = algorithms.iter().flat_map(|a| a.to_be_bytes()).collect();
    let mut extensions = vec![
        (0x1a1a, vec![]),
        server_name("example.fr"),
        alpn(&["h2", "http/1.1"]),
        versions(&[0x2a2a, 0x0304, 0x0303]),
        (13, [&[0, 16], &algorithms[..]].concat()),
    ];
    let others = [0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023, 0x0012, 0xff01, 0x000b, 0x000a, 0x0015];
    extensions.extend(others.map(|kind| (kind, vec![0])));
    let ciphers: Vec<u8> = ciphers.iter().flat_map(|c: &u16| c.to_be_bytes()).collect();
    let mut hello = body(&extensions);
    hello.splice(67..73, [&[0, ciphers.len() as u8], &ciphers[..]].concat());
    for size in [16_000, 50] {
        let ja4 = Ja4::of_stream(&records(&message(&hello), size)).expect("a whole hello");
        assert_eq!(ja4.to_string(), "t13d1516h2_8daaf6152771_e5627efa2ab1", "records of {size}");
    }
}

#[test]
fn what_is_missing_is_zero() {
    let bare = Ja4::of_stream(&hello(&[])).expect("a whole hello");
    assert!(bare.as_str().starts_with("t12i020000_") && bare.as_str().ends_with("_000000000000"), "{bare}");
    let odd = Ja4::of_stream(&hello(&[alpn(&["\u{1}a"])])).expect("a whole hello");
    assert!(odd.as_str().starts_with("t12i020101_"), "{odd}");
}

#[test]
fn a_hello_that_is_not_whole_has_none() {
    let whole = hello(&[server_name("example.fr")]);
    assert!(Ja4::of_stream(&whole).is_some());
    assert_eq!(Ja4::of_stream(&whole[..whole.len() - 1]), None);
    assert_eq!(Ja4::of_stream(b"GET / HTTP/1.1\r\n\r\n"), None);
    assert_eq!(Ja4::of_stream(b""), None);
}
