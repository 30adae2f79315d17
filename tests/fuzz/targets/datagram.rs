//! Datagrams: raw ones as they are, and frames sealed into QUIC Initial packets as a client would, so that what is behind the
//! encryption is reached too. What a client is answered is answered by nobody, and shorter than what it sent.

#![no_main]

use aws_lc_rs::aead::quic::{AES_128, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ecluse::access::Carrier;
use ecluse::detect::{Datagrams, Fault, Step, begins_quic, quic_refusal, quic_version_negotiation};
use libfuzzer_sys::fuzz_target;

/// RFC 9001 A.1: a destination, and the keys of its client.
const DESTINATION: [u8; 8] = *b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
const KEY: [u8; 16] = *b"\x1f\x36\x96\x13\xdd\x76\xd5\x46\x77\x30\xef\xcb\xe3\xb1\xa2\x2d";
const IV: [u8; 12] = *b"\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c";
const HEADER: [u8; 16] = *b"\x9f\x50\x44\x9e\x04\xa0\xe8\x10\x28\x3a\x1e\x99\x33\xad\xed\xd2";

/// A packet with these frames, numbered.
fn sealed(number: u8, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames.to_vec();
    payload.resize(payload.len().max(1165), 0);
    let length = (payload.len() as u16 + 17) | 0x4000;
    let mut packet = [&[0xc0, 0, 0, 0, 1, 8][..], &DESTINATION, &[0, 0], &length.to_be_bytes()].concat();
    let number_at = packet.len();
    packet.push(number);
    let mut nonce = IV;
    nonce[11] ^= number;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).expect("a key"));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(packet.clone()), &mut payload)
        .expect("sealed");
    packet.extend(payload);
    let header = HeaderProtectionKey::new(&AES_128, &HEADER).expect("a key");
    let mask = header.new_mask(&packet[number_at + 4..number_at + 20]).expect("a mask");
    packet[0] ^= mask[0] & 0x0f;
    packet[number_at] ^= mask[1];
    packet
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    // Up to eight datagrams, parted by a byte that says so; longer ones than the net carries are cut.
    let pieces = rest.split(|&b| b == 0xf5).take(8).map(|piece| &piece[..piece.len().min(1400)]);
    let datagrams: Vec<Vec<u8>> = match kind % 2 {
        0 => pieces.map(<[u8]>::to_vec).collect(),
        _ => pieces.enumerate().map(|(i, frames)| sealed(i as u8, frames)).collect(),
    };
    for datagram in &datagrams {
        let answers = [quic_refusal(datagram), quic_version_negotiation(datagram)];
        assert!(answers.iter().flatten().count() <= usize::from(begins_quic(datagram)));
        for answer in answers.iter().flatten() {
            assert!(answer.len() < 100 && answer.len() < datagram.len() && !begins_quic(answer), "{answer:?}");
        }
    }
    let mut flow = Datagrams::default();
    let answer = datagrams.iter().find_map(|datagram| match flow.look(datagram) {
        Step::Done(signature) => Some(signature),
        Step::Need => None,
    });
    let signature = answer.unwrap_or_else(|| flow.conclude(Fault::Incomplete));
    if kind % 2 == 1 {
        assert_eq!(signature.protocol.carrier(), Carrier::Quic, "{signature:?}");
    }
    if let Some(name) = &signature.sni {
        assert!(!name.as_str().is_empty());
    }
    if flow.ja4().is_some() {
        assert_eq!(signature.protocol.carrier(), Carrier::Quic, "{signature:?}");
    }
    // A flow that is known is looked at further: another may begin in its place.
    for datagram in &datagrams {
        let _ = flow.look(datagram);
    }
});
