//! Keys of encrypted ClientHellos, read out of answers and remembered.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

/// One of public.tls-ech.dev's, as it stood in the DNS.
const OF_THE_WORLD: &str = "0049fe0d00452b002000200158\
    81d41a3e2ef8f2208185dc479245d20624ddd0918a8056f2e26af47e26280008000100010001000340127075626c69632e746c732d6563682e6465760000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn vec16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

fn contents(id: u8, public_name: &[u8]) -> Vec<u8> {
    let key = vec16(&[9; 32]);
    [&[id, 0, 32][..], &key, &vec16(&[0, 1, 0, 1]), &[64, public_name.len() as u8], public_name, &vec16(&[])].concat()
}

fn config(version: u16, contents: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes()[..], &vec16(contents)].concat()
}

fn list(configs: &[Vec<u8>]) -> Vec<u8> {
    vec16(&configs.concat())
}

fn known(id: u8, public_name: &str) -> EchConfig {
    EchConfig { id, public_name: host(public_name) }
}

#[test]
fn a_list_of_the_world_is_read() {
    assert_eq!(ech_configs(&bytes(OF_THE_WORLD)), [known(0x2b, "public.tls-ech.dev")]);
}

#[test]
fn other_versions_and_names_that_are_none_are_passed_over() {
    let long = [b'a'; 255];
    let list = list(&[
        config(0xfe0a, &[1, 2, 3]),
        config(0xfe0d, &contents(7, b"ECH.example")),
        config(0xfe0d, &contents(8, b"192.0.2.1")),
        config(0xfe0d, &contents(8, &long)),
        config(0xfe0d, &contents(7, b"ech.example")),
        config(0xfe0d, &contents(9, b"ech.example")),
    ]);
    assert_eq!(ech_configs(&list), [known(7, "ech.example"), known(9, "ech.example")]);
}

#[test]
fn cut_anywhere_it_holds_no_more_than_what_was_whole() {
    let whole = list(&[config(0xfe0d, &contents(1, b"a.example")), config(0xfe0d, &contents(2, b"b.example"))]);
    for cut in 0..whole.len() {
        assert_eq!(ech_configs(&whole[..cut]), [], "a list that is shorter than it says");
        // The same with a length that fits.
        let fitting = vec16(&whole[2..cut.max(2)]);
        let found = ech_configs(&fitting);
        let expected = usize::from(cut >= 2 + (whole.len() - 2) / 2);
        assert_eq!(found.len(), expected, "{cut}");
    }
    assert_eq!(ech_configs(&whole).len(), 2);
    let mut trailing = contents(3, b"c.example");
    trailing.push(0);
    assert_eq!(ech_configs(&list(&[config(0xfe0d, &trailing)])), []);
}

#[test]
fn no_list_is_worth_more_than_its_bound() {
    let many: Vec<Vec<u8>> = (0..=255).map(|id| config(0xfe0d, &contents(id, b"ech.example"))).collect();
    assert_eq!(ech_configs(&list(&many)).len(), 16);
}

#[test]
fn what_is_taken_out_of_an_answer_is_told() {
    let value = SvcParamValue::EchConfigList(EchConfigList(bytes(OF_THE_WORLD)));
    let records = vec![https("a.fr.", vec![alpn(&["h2"]), (SvcParamKey::EchConfigList, value)])];
    let stored = rewritten(&answer("a.fr.", RecordType::HTTPS, records), PLAIN);
    assert_eq!(&*stored.ech, [known(0x2b, "public.tls-ech.dev")]);
    let plain = rewritten(&answer("a.fr.", RecordType::A, vec![a("a.fr.", 60, "192.0.2.1")]), PLAIN);
    assert!(plain.ech.is_empty());
}

#[test]
fn a_key_is_remembered_by_id_and_name_for_a_day() {
    let (keys, now) = (EchKeys::default(), Instant::now());
    keys.remember(&[known(7, "ech.example")], Duration::from_secs(300), now);
    let hours = |n: u64| now + Duration::from_secs(n * 3600);
    assert!(keys.knows(7, &host("ech.example"), hours(23)));
    assert!(!keys.knows(8, &host("ech.example"), now) && !keys.knows(7, &host("www.ech.example"), now));
    assert!(!keys.knows(7, &host("ech.example"), hours(24)));
    keys.remember(&[known(7, "ech.example")], Duration::from_secs(300), hours(2));
    keys.forget_old(hours(25));
    assert!(keys.knows(7, &host("ech.example"), hours(25)), "seen again, it lasts longer");
    keys.forget_old(hours(26));
    assert!(!keys.knows(7, &host("ech.example"), hours(23)), "forgotten");
}

#[test]
fn the_memory_of_keys_is_bounded() {
    let (keys, now) = (EchKeys::default(), Instant::now());
    let later = |n: usize| now + Duration::from_secs(n as u64);
    for id in 0..=255 {
        keys.remember(&[known(id, "ech.example")], Duration::ZERO, later(id.into()));
    }
    let kept = (0..=255).filter(|id| keys.knows(*id, &host("ech.example"), later(255))).count();
    assert_eq!((kept, keys.knows(255, &host("ech.example"), later(255))), (48, true), "the last ones");
    for n in 0..1024 {
        keys.remember(&[known(1, &format!("n{n}.example"))], Duration::ZERO, later(300 + n));
    }
    assert!(!keys.knows(255, &host("ech.example"), later(256)), "the one that was seen the longest ago went");
    assert!(keys.knows(1, &host("n0.example"), later(300)) && keys.knows(1, &host("n1023.example"), later(300)));
}
