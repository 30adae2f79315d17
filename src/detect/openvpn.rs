//! OpenVPN: the first packet of a client asks for a hard reset (OpenVPN wire protocol, draft-openvpn-openvpn §5). Its
//! length is told by how the control channel is protected.

use super::guess::Guess;

/// Operation and key: hard reset by the client, version 2 …
const RESET_V2: u8 = 7 << 3;
/// … and version 3, which brings the client's own wrapped key (`tls-crypt-v2`).
const RESET_V3: u8 = 10 << 3;

/// Operation, session, no acknowledgements, packet number 0.
const BARE: usize = 1 + 8 + 1 + 4;
/// A replay number and a time, which go with every HMAC.
const REPLAY: usize = 8;
/// The HMACs that `tls-auth` may use: MD5 to SHA-512.
const HMACS: [usize; 6] = [16, 20, 28, 32, 48, 64];
/// `tls-crypt`: an HMAC of SHA-256, and what follows it encrypted.
const CRYPT: usize = BARE + REPLAY + 32;

/// Over TCP each packet is preceded by its length.
pub(super) fn client(bytes: &[u8]) -> Guess {
    let Some((&[high, low], packet)) = bytes.split_first_chunk::<2>() else { return Guess::Perhaps };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let begins = Guess::at(packet, 0, |[first]| may_be(first, length));
    match packet.get(..length) {
        Some(packet) => begins.and(datagram(packet)),
        None => begins.and(Guess::Perhaps),
    }
}

pub(super) fn datagram(packet: &[u8]) -> Guess {
    let Some((&first, rest)) = packet.split_first() else { return Guess::No };
    if !may_be(first, packet.len()) {
        return Guess::No;
    }
    let told = match (first, packet.len()) {
        (RESET_V3, length) => {
            let wrapped = rest.last_chunk().map_or(0, |&length| usize::from(u16::from_be_bytes(length)));
            wrapped == length - CRYPT
        }
        // The first packet has the number 1: before the HMAC with `tls-crypt`, behind it with `tls-auth`.
        (_, CRYPT) if packet[9..13] == [0, 0, 0, 1] || packet[9..13] == [0x0f, 0, 0, 1] => true,
        (_, length) => rest.ends_with(&[0; 5]) && (length == BARE || rest[length - 14..].starts_with(&[0, 0, 0, 1])),
    };
    Guess::when(told)
}

fn may_be(first: u8, length: usize) -> bool {
    match first {
        RESET_V2 => length == BARE || HMACS.iter().any(|hmac| length == BARE + REPLAY + hmac),
        // A wrapped key has 290 bytes and more; a client sends it in one datagram.
        RESET_V3 => (CRYPT + 290..1500).contains(&length),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{OpenVpn, Other};
    use crate::detect::tests::{from_client, in_datagram};

    fn packet(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn a_tunnel_of_openvpn_is_told_by_its_reset() {
        let session = [0xa5; 8];
        let bare = packet(&[&[0x38], &session, &[0; 5]]);
        let auth = packet(&[&[0x38], &session, &[7; 20], &[0, 0, 0, 1], &[0x65, 0, 0, 0], &[0; 5]]);
        let crypt = packet(&[&[0x38], &session, &[0, 0, 0, 1], &[0x65, 0, 0, 0], &[9; 32], &[3; 5]]);
        let wrapped = packet(&[&[0x50], &crypt[1..], &[4; 298], &300u16.to_be_bytes()]);
        for reset in [&bare, &auth, &crypt, &wrapped] {
            assert_eq!(in_datagram(reset), OpenVpn, "{}", reset.len());
            let framed = packet(&[&(reset.len() as u16).to_be_bytes(), reset, b"more"]);
            assert_eq!(from_client(&framed), OpenVpn, "{}", reset.len());
        }
        let mut other_end = bare.clone();
        other_end[13] = 1;
        let mut other_number = auth.clone();
        other_number[32] = 9;
        let other_length = &wrapped[..wrapped.len() - 1];
        for not in [&other_end, &other_number, other_length, &bare[..13], &[]] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
