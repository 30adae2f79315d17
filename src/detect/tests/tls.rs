//! ClientHellos at every split, and hostile ones.

use super::hellos::{self, alpn, hello, server_name, server_names, versions};
use super::{detected, name, other};
use crate::access::Protocol;
use crate::detect::{Alpn, Ech, Fault, Signature, Step, TlsVersion, detect};

#[test]
fn a_browser_says_where_it_goes_and_what_it_speaks() {
    let signature = detected(&hellos::browser("www.example.fr"));
    assert_eq!(signature.protocol, Protocol::Tls);
    assert_eq!(signature.sni, name("www.example.fr"));
    assert!(signature.alpn.contains(Alpn::H2) && signature.alpn.contains(Alpn::Http11));
    assert!(!signature.alpn.contains(Alpn::Other));
    assert_eq!(signature.ech, Some(Ech::Outer { config_id: 77 }));
    assert_eq!(signature.version, Some(TlsVersion::Tls13));
    assert_eq!(signature.fault, None);
}

#[test]
fn records_cut_anywhere_are_put_together() {
    let message = hellos::message(&hellos::body(&hellos::browser_extensions("www.example.fr")));
    let whole = detected(&hellos::record(&message));
    for cut in 1..message.len() {
        let two = [hellos::record(&message[..cut]), hellos::record(&message[cut..])].concat();
        assert_eq!(detect(&two), Step::Done(whole.clone()), "cut at {cut}");
    }
    for size in [1, 2, 3, 4, 5, 7, 64, 500] {
        assert_eq!(detected(&hellos::records(&message, size)), whole, "records of {size}");
    }
}

#[test]
fn what_follows_the_hello_changes_nothing() {
    let hello = hellos::browser("www.example.fr");
    let whole = detect(&hello);
    for more in [&[0x17, 3, 3, 0, 1][..], &[0xff; 100], &[22, 3, 3, 0, 0]] {
        assert_eq!(detect(&[&hello, more].concat()), whole);
    }
}

#[test]
fn every_spelling_of_a_server_name_is_one_name() {
    for spelling in ["college.fr", "College.FR", "college.fr.", "ｃollege.fr"] {
        assert_eq!(detected(&hello(&[server_name(spelling)])).sni, name("college.fr"), "{spelling}");
    }
    for spelling in ["xn--collge-6ua.fr", "collège.fr", "COLLÈGE.fr"] {
        assert_eq!(detected(&hello(&[server_name(spelling)])).sni, name("xn--collge-6ua.fr"), "{spelling}");
    }
    assert_eq!(detected(&hello(&[server_name("a_b.fr")])).fault, None, "underscores exist in the wild");
}

#[test]
fn a_server_name_that_is_none_is_a_fault() {
    let long = "a.".repeat(200);
    for bad in ["", ".", "a..b", "a b", "a\0b", "ex%61mple.fr", "example.fr:443", "1.2.3.4.5", &long] {
        let signature = detected(&hello(&[server_name(bad)]));
        assert_eq!((signature.sni, signature.fault), (None, Some(Fault::BadName)), "{bad:?}");
        assert_eq!(signature.protocol, Protocol::Tls);
    }
    let latin1 = hello(&[server_names(&[(0, b"coll\xe8ge.fr")])]);
    assert_eq!(detected(&latin1).fault, Some(Fault::BadName));
    let other_type = hello(&[server_names(&[(1, b"example.fr")])]);
    assert_eq!(detected(&other_type).fault, Some(Fault::BadName));
    let empty_list = hello(&[server_names(&[])]);
    assert_eq!(detected(&empty_list).fault, Some(Fault::BadName));
}

#[test]
fn an_address_as_server_name_is_told_apart() {
    for (spelling, address) in [("192.0.2.1", "192.0.2.1"), ("0xC0000201", "192.0.2.1"), ("2001:db8::1", "2001:db8::1")]
    {
        let signature = detected(&hello(&[server_name(spelling)]));
        assert_eq!((signature.sni, signature.fault), (None, Some(Fault::AddressAsName(address.parse().unwrap()))));
    }
}

#[test]
fn several_server_names_are_a_fault_and_the_first_is_kept() {
    for extensions in [
        vec![server_names(&[(0, b"a.fr"), (0, b"b.fr")])],
        vec![server_names(&[(0, b"a.fr"), (9, b"b.fr")])],
        vec![server_name("a.fr"), server_name("b.fr")],
        vec![server_name("a.fr"), server_name("a.fr")],
    ] {
        let signature = detected(&hello(&extensions));
        assert_eq!((signature.sni, signature.fault), (name("a.fr"), Some(Fault::SeveralNames)));
    }
}

#[test]
fn a_hello_without_server_name_or_extensions_is_tls() {
    let mut without = hellos::body(&[]);
    without.truncate(without.len() - 2);
    for body in [hellos::body(&[]), without] {
        let expected = Signature { version: Some(TlsVersion::Tls12), ..Signature::of(Protocol::Tls) };
        assert_eq!(detected(&hellos::record(&hellos::message(&body))), expected);
    }
}

#[test]
fn the_highest_version_offered_counts() {
    for (offered, version) in [
        (versions(&[0x0303, 0x0304]), TlsVersion::Tls13),
        (versions(&[0x8a8a, 0x0302]), TlsVersion::Tls11),
        (versions(&[0x8a8a]), TlsVersion::Tls12),
    ] {
        assert_eq!(detected(&hello(&[offered])).version, Some(version));
    }
}

#[test]
fn protocols_offered_are_named_and_unknown_ones_are_other() {
    let signature = detected(&hello(&[alpn(&["dot", "acme-tls/1", "x"])]));
    for offered in [Alpn::Dot, Alpn::Acme, Alpn::Other] {
        assert!(signature.alpn.contains(offered), "{offered:?}");
    }
    assert!(!signature.alpn.contains(Alpn::H2));
    assert!(detected(&hello(&[])).alpn.is_empty());
}

#[test]
fn an_inner_hello_in_clear_is_told_apart() {
    assert_eq!(detected(&hello(&[(0xfe0d, vec![1])])).ech, Some(Ech::Inner));
    for bad in [vec![], vec![1, 0], vec![2], vec![0, 0, 1, 0, 1], vec![0, 0, 1, 0, 1, 7, 0, 9]] {
        assert_eq!(detected(&hello(&[(0xfe0d, bad)])).fault, Some(Fault::Malformed));
    }
}

#[test]
fn lengths_that_contradict_each_other_are_a_fault_and_what_stood_before_is_kept() {
    let good = hellos::body(&[server_name("a.fr"), alpn(&["h2"])]);
    let longer = [&good[..], &[0]].concat();
    let mut last_extension_too_long = good.clone();
    let at = good.len() - 5;
    last_extension_too_long[at - 1] += 1;
    let twice = hellos::body(&[server_name("a.fr"), alpn(&["h2"]), alpn(&["h2"])]);
    for body in [longer, last_extension_too_long, twice] {
        let signature = detected(&hellos::record(&hellos::message(&body)));
        assert_eq!((signature.protocol, signature.fault), (Protocol::Tls, Some(Fault::Malformed)), "{body:?}");
    }
    let shorter = hellos::record(&hellos::message(&good[..good.len() - 1]));
    assert_eq!(detected(&shorter).sni, name("a.fr"));
    assert_eq!(detected(&shorter).fault, Some(Fault::Malformed));
    for cut in 0..good.len() {
        let step = detect(&hellos::record(&hellos::message(&good[..cut])));
        assert!(matches!(&step, Step::Done(s) if s.protocol == Protocol::Tls), "{step:?}");
    }
}

#[test]
fn records_that_no_server_takes_are_a_fault() {
    let message = hellos::message(&hellos::body(&[server_name("a.fr")]));
    let (front, back) = message.split_at(20);
    for between in [vec![22, 3, 3, 0, 0], vec![20, 3, 3, 0, 1, 1], vec![22, 3, 3, 0x40, 1], b"GET / HTTP/1.1".to_vec()]
    {
        let bytes = [hellos::record(front), between, hellos::record(back)].concat();
        assert_eq!(detected(&bytes), Signature::faulty(Protocol::Tls, Fault::Malformed));
    }
}

#[test]
fn a_hello_of_more_than_64_kib_is_told_by_its_length_alone() {
    let bytes = [22, 3, 1, 0, 4, 1, 1, 0, 0];
    assert_eq!(detected(&bytes), Signature::faulty(Protocol::Tls, Fault::TooLong));
    let most = hellos::message(&hellos::body(&[server_name("a.fr"), (21, vec![0; 65_000])]));
    let step = detect(&hellos::records(&most, 16_384));
    assert!(matches!(step, Step::Done(s) if s.sni == name("a.fr") && s.fault.is_none()));
}

#[test]
fn a_hello_broken_off_keeps_the_name_it_had_shown() {
    let hello = hellos::browser("www.example.fr");
    let signature = detected(&hello[..500]);
    assert_eq!(signature.protocol, Protocol::Tls);
    assert_eq!(signature.sni, name("www.example.fr"));
    assert_eq!(signature.fault, Some(Fault::Incomplete));
    assert_eq!(detected(&hello[..7]), Signature::faulty(Protocol::Tls, Fault::Incomplete));
    assert_eq!(detected(&hello[..2]), Signature::faulty(Protocol::Other, Fault::Incomplete));
}

#[test]
fn tls_that_begins_in_its_middle_says_so() {
    let no_hello = Signature::faulty(Protocol::Tls, Fault::NoHello);
    let data = [&[23, 3, 3, 0, 3][..], b"xyz", &[23, 3, 3, 0, 9]].concat();
    // What follows is waited for, however the bytes come; when nothing does, the beginning has to do.
    let cut = &data[..data.len() - 1];
    assert_eq!(detect(cut), Step::Need);
    assert_eq!(detected(cut), no_hello);
    let cipher_change = [20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 9, 9, 9, 9];
    let server_hello = hellos::record(&[2, 0, 0, 1, 0]);
    for bytes in [&data[..], &cipher_change, &server_hello] {
        assert_eq!(detect(bytes), Step::Done(no_hello.clone()));
    }
    for bytes in [&[23, 3, 3, 0xff, 0xff][..], &[23, 3, 3, 0, 1, 0, 99], &[20, 3, 3, 0, 2], &[22, 2, 0], &[21, 3, 5]] {
        assert_eq!(detected(bytes), other(), "{bytes:?}");
    }
}

#[test]
fn a_hello_in_the_clothes_of_ssl2_is_tls() {
    let mut hello = vec![0x80, 0, 1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 1, 0, 0x80];
    hello.extend([4; 16]);
    hello[1] = (hello.len() - 2) as u8;
    let signature = detect(&hello);
    assert!(matches!(&signature, Step::Done(s) if s.protocol == Protocol::Tls && s.version == Some(TlsVersion::Tls10)));
    assert_eq!(detected(&hello).version, Some(TlsVersion::Tls10));
    hello[1] += 1;
    assert_eq!(detected(&hello), other());
}
