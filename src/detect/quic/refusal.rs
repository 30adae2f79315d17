//! What a QUIC client is told that is not to go on: packets of a server, sealed with the same public keys as its own.
//!
//! Pure: the words are made here, and whoever has the socket says them.

use super::keys::{Keys, Sender};
use super::packet::{self, Version};

/// CONNECTION_CLOSE of the transport (RFC 9000 §19.19): CONNECTION_REFUSED (§20.1), because of no frame, without words.
const CONNECTION_CLOSE: [u8; 4] = [0x1c, 0x02, 0x00, 0x00];
/// AEAD_AES_128_GCM's tag (RFC 9001 §5.3).
const TAG: usize = 16;
/// The versions that are offered instead of one that is not known.
const OFFERED: [u32; 2] = [1, 0x6b33_43cf];

/// The answer to a client's Initial packet that ends its connection at once; `None`: it is none that could be answered.
///
/// Our connection ID is the one that the client made up for us, as servers may choose that one: nothing comes after it.
pub fn refusal(datagram: &[u8]) -> Option<Vec<u8>> {
    let header = packet::read(datagram).filter(|header| header.is_initial && header.may_be_first(datagram.len()))?;
    let Version::Known(salt) = header.version else { return None };
    let keys = Keys::derive(salt, header.destination, Sender::Server)?;
    // Long header, fixed bit, Initial, a packet number of one byte.
    let mut answer = vec![0xc0 | salt.initial_type() << 4];
    answer.extend(datagram.get(1..5)?);
    push_ids(&mut answer, header.source, header.destination);
    // No token. The length fits into one byte: below 64.
    let length = 1 + CONNECTION_CLOSE.len() + TAG;
    answer.extend([0, length as u8, 0]);
    keys.seal_first(&answer, &CONNECTION_CLOSE)
}

/// The answer to a client's first packet of a version that nobody here can open (RFC 9000 §6.1): which ones can be; `None`:
/// it is no such packet.
pub fn version_negotiation(datagram: &[u8]) -> Option<Vec<u8>> {
    let header = packet::read(datagram).filter(|header| header.may_be_first(datagram.len()))?;
    if header.version != Version::Unknown {
        return None;
    }
    // RFC 9000 §17.2.1: the fixed bit is set for who tells protocols apart by it.
    let mut answer = vec![0xc0, 0, 0, 0, 0];
    push_ids(&mut answer, header.source, header.destination);
    answer.extend(OFFERED.iter().flat_map(|version| version.to_be_bytes()));
    Some(answer)
}

/// To whom and from whom: each side's is the other's.
fn push_ids(packet: &mut Vec<u8>, client: &[u8], ours: &[u8]) {
    for id in [client, ours] {
        // `packet::read` takes none of more than 20 bytes.
        packet.push(id.len() as u8);
        packet.extend(id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Salt;
    use super::*;
    use crate::detect::quic::tests::sealed::{DESTINATION, bytes, crypto, initial};

    #[test]
    fn a_refusal_opens_with_the_servers_keys_and_says_connection_refused() {
        for version in OFFERED {
            let asked = initial(version, 0, &crypto(0, b"hello"));
            let said = refusal(&asked).unwrap();
            let header = packet::read(&said).unwrap();
            assert!(header.is_initial && said[1..5] == version.to_be_bytes(), "{version:x}");
            // The client's own had no bytes; ours is the one it made up.
            assert_eq!((header.destination, header.source), (&[][..], &DESTINATION[..]));
            assert_eq!(header.end, Some(said.len()), "nothing follows");
            let keys = |sender| Keys::derive(Salt::of(version).unwrap(), &DESTINATION, sender).unwrap();
            assert_eq!(keys(Sender::Server).open(&said, header.number_at).unwrap(), CONNECTION_CLOSE);
            assert!(keys(Sender::Client).open(&said, header.number_at).is_none(), "it is no echo");
        }
    }

    #[test]
    fn the_servers_keys_are_those_of_the_rfcs() {
        // RFC 9001 A.3 and RFC 9369 A.3: the sample of the server's first packet, and the mask that it gives.
        for (salt, sample, mask) in [
            (Salt::V1, "2cd0991cd25b0aac406a5816b6394100", "2ec0d8356a"),
            (Salt::V2, "6f05d8a4398c47089698baeea26b91eb", "4dd92e91ea"),
        ] {
            let keys = Keys::derive(salt, &DESTINATION, Sender::Server).unwrap();
            assert_eq!(keys.mask(&bytes::<16>(sample)), Some(bytes::<5>(mask)), "{salt:?}");
        }
    }

    #[test]
    fn only_a_clients_first_packet_is_answered_and_by_less_than_it_sent() {
        let asked = initial(1, 0, &crypto(0, b"hello"));
        assert!(refusal(&asked).unwrap().len() < 64);
        for (datagram, what) in [
            (&asked[..1199], "shorter than any client's first"),
            (&refusal(&asked).unwrap(), "a server's"),
            (&[0x40; 1200], "a short header"),
            (&[], "nothing"),
        ] {
            assert_eq!((refusal(datagram), version_negotiation(datagram)), (None, None), "{what}");
        }
    }

    #[test]
    fn a_version_that_nobody_can_open_is_answered_with_those_that_can_be() {
        // RFC 9000 §15: one that asks for negotiation.
        let asked = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], &DESTINATION, &[2, 7, 8], &[0; 1200]].concat();
        assert_eq!(refusal(&asked), None);
        let said = version_negotiation(&asked).unwrap();
        let expected = [&[0xc0, 0, 0, 0, 0, 2, 7, 8, 8][..], &DESTINATION, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]];
        assert_eq!(said, expected.concat());
        assert_eq!(version_negotiation(&initial(1, 0, &[])), None, "what can be opened is");
    }
}
