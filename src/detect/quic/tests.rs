//! The packets of the RFCs, and others sealed here.

use super::packet::number_of;
use super::*;
use crate::detect::reader::Reader;
use crate::detect::tests::hellos::{alpn, body, browser_extensions, message, server_name};
use crate::detect::{Datagrams, detect_datagram};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

pub(crate) mod sealed {
    use super::*;

    pub const DESTINATION: [u8; 8] = *b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

    /// RFC 9001 A.1 and RFC 9369 A.1: key, iv and header protection of that destination.
    pub const V1: (&str, &str, &str) =
        ("1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2");
    pub const V2: (&str, &str, &str) =
        ("8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9");

    pub fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
    }

    /// An Initial packet with these frames, as a client of that version seals it, padded to the least datagram.
    pub fn initial(version: u32, number: u8, frames: &[u8]) -> Vec<u8> {
        let (key, iv, hp) = if version == 1 { V1 } else { V2 };
        let mut payload = frames.to_vec();
        payload.resize(payload.len().max(1165), 0);
        let kind = if version == 1 { 0xc0 } else { 0xd0 };
        let length = (payload.len() as u16 + 17) | 0x4000;
        let mut packet =
            [&[kind][..], &version.to_be_bytes(), &[8], &DESTINATION, &[0, 0], &length.to_be_bytes()].concat();
        let number_at = packet.len();
        packet.push(number);
        let mut nonce: [u8; 12] = bytes(iv);
        nonce[11] ^= number;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes::<16>(key)).unwrap());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::from(packet.clone()), &mut payload).unwrap();
        packet.extend(payload);
        let header = aws_lc_rs::aead::quic::HeaderProtectionKey::new(&aws_lc_rs::aead::quic::AES_128, &bytes::<16>(hp));
        let mask = header.unwrap().new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at] ^= mask[1];
        packet
    }

    pub fn crypto(offset: usize, piece: &[u8]) -> Vec<u8> {
        let number = |n: usize| ((n as u32) | 0x8000_0000).to_be_bytes();
        [&[6][..], &number(offset), &number(piece.len()), piece].concat()
    }
}

use sealed::{crypto, initial};

pub(crate) fn hello(host: &str) -> Vec<u8> {
    message(&body(&[server_name(host), alpn(&["h3"])]))
}

fn done(step: Step) -> Signature {
    match step {
        Step::Done(signature) => signature,
        Step::Need => panic!("no answer"),
    }
}

#[test]
fn the_name_asked_in_quic_is_read_in_both_versions() {
    for version in [1, 0x6b33_43cf] {
        let packet = initial(version, 0, &crypto(0, &hello("www.example.fr")));
        let signature = done(detect_datagram(&packet));
        assert_eq!((signature.protocol, signature.fault), (Protocol::Quic, None), "{version:x}");
        assert_eq!(signature.sni, crate::detect::tests::name("www.example.fr"), "{version:x}");
        assert!(signature.alpn.contains(Alpn::H3), "{version:x}");
    }
    let dns = message(&body(&[server_name("dns.example.fr"), alpn(&["doq"])]));
    assert_eq!(done(detect_datagram(&initial(1, 0, &crypto(0, &dns)))).protocol, Protocol::Doq);
}

#[test]
fn a_hello_spread_over_packets_is_put_together_at_every_cut_and_in_any_order() {
    let hello = message(&body(&browser_extensions("www.example.fr")));
    for cut in 1..hello.len() {
        let front = initial(1, 0, &crypto(0, &hello[..cut]));
        let back = initial(1, 1, &crypto(cut, &hello[cut..]));
        for (first, second) in [(&front, &back), (&back, &front)] {
            let mut flow = Datagrams::default();
            assert_eq!(flow.look(first), Step::Need, "cut at {cut}");
            // The same once more changes nothing.
            assert_eq!(flow.look(first), Step::Need, "cut at {cut}");
            let signature = done(flow.look(second));
            assert_eq!(signature.sni, crate::detect::tests::name("www.example.fr"), "cut at {cut}");
            assert_eq!(signature.fault, None, "cut at {cut}");
            assert!(flow.ja4().is_some_and(|ja4| ja4.as_str().starts_with("q13d")));
        }
    }
}

#[test]
fn pieces_in_one_packet_may_come_shuffled_with_padding_and_pings_between() {
    let hello = hello("www.example.fr");
    let pieces: Vec<Vec<u8>> = hello.chunks(7).enumerate().map(|(i, piece)| crypto(7 * i, piece)).collect();
    let frames: Vec<u8> = pieces.iter().rev().flat_map(|piece| [piece, &[1, 0, 0][..]].concat()).collect();
    assert_eq!(done(detect_datagram(&initial(1, 0, &frames))).sni, crate::detect::tests::name("www.example.fr"));
}

#[test]
fn a_first_packet_is_read_behind_others_and_with_a_short_destination() {
    // 0-RTT that nobody can open, for the same destination.
    let early = [&[0xd0, 0, 0, 0, 1, 8][..], &sealed::DESTINATION, &[0, 30], &[7; 30]].concat();
    let behind = [&early, &initial(1, 0, &crypto(0, &hello("www.example.fr")))[..]].concat();
    assert_eq!(done(detect_datagram(&behind)).sni, crate::detect::tests::name("www.example.fr"));
    // Not every server refuses a destination that is too short.
    let short = [&[0xc0, 0, 0, 0, 1, 1, 9, 0, 0, 0x44, 0x9c][..], &[0; 1189]].concat();
    assert!(crate::detect::begins_quic(&short));
}

/// An Initial packet of a client of version 1 for another destination, short enough to stand before others.
pub(crate) fn short_initial(destination: &[u8], frames: &[u8]) -> Vec<u8> {
    let keys = Keys::derive(keys::Salt::V1, destination, Sender::Client).unwrap();
    let length = (1 + frames.len() + 16) as u16 | 0x4000;
    let header = [&[0xc0, 0, 0, 0, 1, destination.len() as u8][..], destination, &[0, 0], &length.to_be_bytes(), &[0]];
    keys.seal_first(&header.concat(), frames).unwrap()
}

#[test]
fn what_two_servers_might_read_as_two_names_is_a_fault() {
    let (refused, allowed) = (crypto(0, &hello("refused.example")), crypto(0, &hello("allowed.example")));
    let two = [short_initial(&[7; 8], &refused), initial(1, 0, &allowed)].concat();
    assert_eq!(done(detect_datagram(&two)).fault, Some(Fault::Malformed), "two connections in one datagram");
    let junk: Vec<u8> = (0..8)
        .flat_map(|_| [&[0xc0, 0, 0, 0, 1, 8][..], &sealed::DESTINATION, &[0, 0, 20], &[9; 20]].concat())
        .collect();
    let behind = [&junk[..], &initial(1, 0, &refused)].concat();
    assert_eq!(done(detect_datagram(&behind)).fault, Some(Fault::Malformed), "behind too many packets");
    // One behind the other is another connection, and is counted as one.
    let mut flow = Datagrams::default();
    assert_eq!(done(flow.look(&initial(1, 0, &allowed))).fault, None);
    assert_eq!(flow.connections(), 1);
    let second = [&short_initial(&[7; 8], &refused)[..], &[0; 1200]].concat();
    assert_eq!(done(flow.look(&second)).sni, crate::detect::tests::name("refused.example"));
    assert_eq!(flow.connections(), 2);
}

#[test]
fn a_whole_hello_is_all_that_is_kept() {
    let hello = hello("www.example.fr");
    let mut flow = Datagrams::default();
    let front = initial(1, 0, &crypto(0, &hello));
    assert_eq!(done(flow.look(&front)).fault, None);
    // What comes behind, wherever it is, changes nothing; what contradicts is a fault.
    assert_eq!(done(flow.look(&initial(1, 1, &crypto(hello.len(), &[7; 900])))).fault, None);
    let other = hello.iter().map(|b| b ^ 1).collect::<Vec<u8>>();
    assert_eq!(done(flow.look(&initial(1, 2, &crypto(20, &other[20..])))).fault, Some(Fault::Malformed));
}

#[test]
fn a_stream_that_says_two_things_in_one_place_is_a_fault() {
    let hello = hello("www.example.fr");
    let other = hello.iter().map(|b| b ^ 1).collect::<Vec<u8>>();
    let frames = [crypto(20, &hello[20..60]), crypto(40, &other[40..])].concat();
    assert_eq!(done(detect_datagram(&initial(1, 0, &frames))).fault, Some(Fault::Malformed));
}

#[test]
fn what_no_client_sends_is_a_fault_and_limits_hold() {
    let stream = [&[8, 0][..], &hello("a.fr")].concat();
    assert_eq!(done(detect_datagram(&initial(1, 0, &stream))).fault, Some(Fault::Malformed));
    let far = crypto(CRYPTO_MAX, b"x");
    assert_eq!(done(detect_datagram(&initial(1, 0, &far))).fault, Some(Fault::TooLong));
    let holes: Vec<u8> = (0..100).flat_map(|i| crypto(2 * i + 1, b"x")).collect();
    assert_eq!(done(detect_datagram(&initial(1, 0, &holes))).fault, Some(Fault::TooLong));
    let mut flow = Datagrams::default();
    let part = initial(1, 0, &crypto(0, &hello("www.example.fr")[..90]));
    for _ in 1..DATAGRAMS_MAX {
        assert_eq!(flow.look(&part), Step::Need);
    }
    let signature = done(flow.look(&part));
    assert_eq!((signature.protocol, signature.fault), (Protocol::Quic, Some(Fault::TooLong)));
}

#[test]
fn a_packet_that_does_not_open_is_no_answer_and_no_harm() {
    let whole = initial(1, 0, &crypto(0, &hello("www.example.fr")));
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x04;
        let protocol = match detect_datagram(&broken) {
            Step::Done(signature) => signature.sni.map_or(signature.protocol, |_| panic!("{at}: it opened")),
            Step::Need => Protocol::Quic,
        };
        assert!(matches!(protocol, Protocol::Quic | Protocol::Other), "{at}: {protocol}");
    }
    for cut in 0..whole.len() {
        detect_datagram(&whole[..cut]);
    }
}

#[test]
fn quic_of_versions_that_nobody_can_open_is_quic_all_the_same() {
    let asks_for_negotiation = |version: u32| {
        let mut packet = [&[0xc3][..], &version.to_be_bytes(), &[8], &[7; 8], &[0]].concat();
        packet.resize(1200, 0xab);
        packet
    };
    for version in [0x0a0a_0a0a, 0x5a6a_7a8a, 0xff00_0016, 0x5130_3530, 0xface_b002] {
        let signature = done(detect_datagram(&asks_for_negotiation(version)));
        assert_eq!((signature.protocol, signature.sni), (Protocol::Quic, None), "{version:x}");
        assert_eq!(done(detect_datagram(&asks_for_negotiation(version)[..1199])).protocol, Protocol::Other);
    }
    assert_eq!(done(detect_datagram(&asks_for_negotiation(0x1234_5678))).protocol, Protocol::Other);
}

#[test]
fn the_old_quic_of_google_shows_its_name() {
    let tags: [(&[u8; 4], &[u8]); 3] = [(b"PAD\0", &[0x2d; 100]), (b"SNI\0", b"www.example.fr"), (b"VER\0", b"Q043")];
    let mut hello = [&b"CHLO"[..], &3u32.to_le_bytes()].concat();
    let mut end = 0;
    for (tag, value) in tags {
        end += value.len() as u32;
        hello.extend([&tag[..], &end.to_le_bytes()].concat());
    }
    hello.extend(tags.iter().flat_map(|(_, value)| value.to_vec()));
    let packet = [&[0x09][..], &[7; 8], b"Q043", &[1], &[9; 12], &[0xa0, 1, 0, 4], &hello].concat();
    let signature = done(detect_datagram(&packet));
    assert_eq!((signature.protocol, signature.sni), (Protocol::Quic, crate::detect::tests::name("www.example.fr")));
    for cut in 0..packet.len() {
        detect_datagram(&packet[..cut]);
    }
}

#[test]
fn the_keys_of_the_rfcs_are_derived() {
    // RFC 9001 A.2 and RFC 9369 A.2: the sample of the client's first packet, and the mask that it gives.
    for (salt, sample, mask) in [
        (keys::Salt::V1, "d1b1c98dd7689fb8ec11d242b123dc9b", "437b9aec36"),
        (keys::Salt::V2, "ffe67b6abcdb4298b485dd04de806071", "94a0c95e80"),
    ] {
        let keys = Keys::derive(salt, &sealed::DESTINATION, Sender::Client).unwrap();
        assert_eq!(keys.mask(&sealed::bytes::<16>(sample)), Some(sealed::bytes::<5>(mask)), "{salt:?}");
    }
}

#[test]
fn numbers_have_four_lengths() {
    // RFC 9000 A.1.
    for (bytes, number) in [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
    ] {
        assert_eq!(number_of(&mut Reader(bytes)), Some(number));
        assert_eq!(number_of(&mut Reader(&bytes[..bytes.len() - 1])), None);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_sealed_there_is_an_answer_and_it_is_quic(
        frames in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), 1..4),
        starts in proptest::collection::vec(0usize..200, 4),
    ) {
        let mut flow = Datagrams::default();
        for (i, (frames, start)) in frames.iter().zip(starts).enumerate() {
            // Half of them begin as a piece of a hello.
            let frames = if start % 2 == 0 { frames.clone() } else { crypto(start, frames) };
            if let Step::Done(signature) = flow.look(&initial(1, i as u8, &frames)) {
                proptest::prop_assert_eq!(signature.protocol, Protocol::Quic);
                break;
            }
        }
    }
}
