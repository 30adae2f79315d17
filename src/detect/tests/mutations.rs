//! Hostile ClientHellos: whatever they say, the answer comes, and it does not depend on how they were cut.

use proptest::prelude::*;

use super::{concluded, hellos};
use crate::access::Protocol;
use crate::detect::{Detector, Fault, Signature, Step, detect, detect_datagram, detect_server};

fn hello() -> impl Strategy<Value = Vec<u8>> {
    let message = hellos::message(&hellos::body(&hellos::browser_extensions("www.example.fr")));
    (1usize..2000).prop_map(move |size| hellos::records(&message, size))
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Truncate(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = prop_oneof![0usize..120, 0usize..3000];
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, b)| Mutation::Set(at, b)),
        (at.clone(), prop_oneof![Just(0u8), Just(1), Just(0xff)]).prop_map(|(at, b)| Mutation::Set(at, b)),
        (at.clone(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, b)| Mutation::Insert(at, b)),
        (at.clone(), 1usize..200).prop_map(|(at, n)| Mutation::Remove(at, n)),
        at.prop_map(Mutation::Truncate),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    let length = bytes.len();
    match mutation {
        Mutation::Set(at, b) if at < length => bytes[at] = b,
        Mutation::Insert(at, more) if at < length => drop(bytes.splice(at..at, more)),
        Mutation::Remove(at, n) if at < length => drop(bytes.drain(at..length.min(at + n))),
        Mutation::Truncate(at) => bytes.truncate(at),
        _ => {}
    }
}

/// How protocols begin, from either side and in datagrams.
const FIRST: &[&[u8]] = &[
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"220 mail.example.fr ESMTP\r\n",
    b"* OK ready\r\n",
    b"+OK ready\r\n",
    b"a1 CAPABILITY\r\n",
    b"EHLO client.example\r\n",
    b"NICK lea\r\nUSER lea +iw * :Lea\r\n",
    b"<?xml version='1.0' ?> <stream:stream to='a'>",
    b"RFB 003.008\n",
    b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0",
    b"\x05\x03\0\x01\x02",
    b"\x04\x01\x01\xbb\xc0\0\x02\x01lea\0",
    b"\x10\x9a\x02\0\x04MQTT\x04\xc0",
    b"\0\0\0\x9b\xffSMB\x72\0\0\0\0",
    b"\x13BitTorrent protocol",
    b"\0\x0e\x38\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\0\0\0\0\0",
    b"\0\x20\x80\xfb\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x02fr\0\0\x1c\0\x01",
    b"\0\x01\0\x08\x21\x12\xa4\x42abcdefghijkl\0\x06\0\x04abcd",
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    b"POST /x HTTP/1.1\r\nContent-Type: application/dns-message\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x03\0\x50\x02\0\0\x4c\x03\x03",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_mutated_hello_has_one_answer(
        mut bytes in hello(),
        mutations in proptest::collection::vec(mutation(), 1..6),
        mut cuts in proptest::collection::vec(0usize..4000, 0..8),
    ) {
        mutations.into_iter().for_each(|m| mutate(&mut bytes, m));
        let whole = concluded(&[bytes.len()], &bytes);
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(bytes.len()));
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let cut = concluded(&cuts, &bytes);
        // A fault may be known before the bytes that follow it are; the protocol and the name may not differ.
        prop_assert_eq!(cut.protocol, whole.protocol);
        prop_assert_eq!(cut.sni, whole.sni);
        prop_assert_eq!(cut.fault, whole.fault);
    }

    #[test]
    fn first_messages_that_are_mutated_have_one_answer(
        seed in proptest::sample::select(FIRST.to_vec()),
        mutations in proptest::collection::vec(mutation(), 0..4),
        cut in 0usize..200,
    ) {
        let mut bytes = seed.to_vec();
        mutations.into_iter().for_each(|m| mutate(&mut bytes, m));
        let whole = concluded(&[bytes.len()], &bytes);
        let cut = concluded(&[cut.min(bytes.len()), bytes.len()], &bytes);
        prop_assert_eq!(cut.protocol, whole.protocol);
        let server = detect_server(&bytes);
        for end in 0..bytes.len() {
            let step = detect_server(&bytes[..end]);
            prop_assert!(step == Step::Need || step == server, "{:?} after {}, {:?} in the end", step, end, server);
        }
        // One datagram is whole: it only may not hurt.
        let _ = detect_datagram(&bytes);
    }

    #[test]
    fn no_bytes_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let signature = concluded(&[bytes.len()], &bytes);
        prop_assert_eq!(signature.protocol == Protocol::Silent, bytes.is_empty());
    }

    #[test]
    fn bytes_behind_a_record_header_are_read_to_an_answer(fragment in proptest::collection::vec(any::<u8>(), 5..300)) {
        let bytes = hellos::record(&hellos::message(&fragment));
        let Step::Done(signature) = detect(&bytes) else { panic!("a whole record left a doubt") };
        prop_assert_eq!(signature.protocol, Protocol::Tls);
        prop_assert!(signature.fault.is_none_or(|f| f != Fault::Incomplete));
    }
}

#[test]
fn a_few_bytes_of_nobodys_protocol_hide_no_name() {
    for bytes in [&[1, 2, 3, 4, 5][..], &[0, 7, 0x78, 1, 2, 3], &[1], b"{\"a\":1}"] {
        let mut detector = Detector::default();
        let signature = match detector.look(bytes) {
            Step::Done(signature) => signature,
            Step::Need => detector.conclude(bytes, Fault::Incomplete),
        };
        assert_eq!(signature, Signature::of(Protocol::Other), "{bytes:?}");
    }
}
