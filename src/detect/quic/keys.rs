//! The keys of Initial packets (RFC 9001 §5.2, RFC 9369 §3.3): derived from a public salt and from the destination that
//! the client made up. They hide nothing, they keep accidents away.

use std::fmt;

use aws_lc_rs::aead::quic::{AES_128, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, KeyType, Prk};

/// The versions whose salt is public, by what differs between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Salt {
    Draft23,
    Draft29,
    V1,
    V2,
}

const DRAFT_23: [u8; 20] = *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
const DRAFT_29: [u8; 20] = *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
const V1: [u8; 20] = *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const V2: [u8; 20] = *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";

impl Salt {
    pub fn of(version: u32) -> Option<Salt> {
        match version {
            1 | 0xff00_0021 | 0xff00_0022 => Some(Salt::V1),
            0x6b33_43cf => Some(Salt::V2),
            0xff00_001d..=0xff00_0020 => Some(Salt::Draft29),
            0xff00_0017..=0xff00_001c => Some(Salt::Draft23),
            _ => None,
        }
    }

    fn bytes(self) -> &'static [u8; 20] {
        match self {
            Salt::Draft23 => &DRAFT_23,
            Salt::Draft29 => &DRAFT_29,
            Salt::V1 => &V1,
            Salt::V2 => &V2,
        }
    }

    /// The packet types, which version 2 turned by one (RFC 9369 §3.2).
    pub fn initial_type(self) -> u8 {
        u8::from(self == Salt::V2)
    }

    pub fn retry_type(self) -> u8 {
        if self == Salt::V2 { 0 } else { 3 }
    }

    /// The label of a secret, as in `quic key`.
    fn label(self, of: &str) -> String {
        format!("tls13 {} {of}", if self == Salt::V2 { "quicv2" } else { "quic" })
    }
}

/// Who seals with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// What seals and opens the Initial packets of one side.
pub(super) struct Keys {
    packet: LessSafeKey,
    iv: [u8; NONCE_LEN],
    header: HeaderProtectionKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// `None` where the cryptography itself fails.
    pub fn derive(salt: Salt, destination: &[u8], sender: Sender) -> Option<Keys> {
        let initial = hkdf::Salt::new(HKDF_SHA256, salt.bytes()).extract(destination);
        let label = match sender {
            Sender::Client => "tls13 client in",
            Sender::Server => "tls13 server in",
        };
        let secret: [u8; 32] = expand(&initial, label)?;
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let key: [u8; 16] = expand(&secret, &salt.label("key"))?;
        let header: [u8; 16] = expand(&secret, &salt.label("hp"))?;
        Some(Keys {
            packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand(&secret, &salt.label("iv"))?,
            header: HeaderProtectionKey::new(&AES_128, &header).ok()?,
        })
    }

    /// What hides the packet number and its length (RFC 9001 §5.4.1).
    pub(super) fn mask(&self, sample: &[u8]) -> Option<[u8; 5]> {
        self.header.new_mask(sample).ok()
    }

    /// The frames of a packet; `number_at` is where its packet number begins (RFC 9001 §5.4). `None`: these keys don't
    /// open it.
    pub fn open(&self, packet: &[u8], number_at: usize) -> Option<Vec<u8>> {
        let sample = packet.get(number_at + 4..number_at + 4 + AES_128.sample_len())?;
        let mask = self.mask(sample)?;
        let first = packet.first()? ^ (mask[0] & 0x0f);
        let number_length = usize::from(first & 3) + 1;
        let payload_at = number_at + number_length;
        let mut header = packet.get(..payload_at)?.to_vec();
        header[0] = first;
        let mut nonce = self.iv;
        for (i, byte) in header[number_at..].iter_mut().enumerate() {
            *byte ^= mask[1 + i];
            nonce[NONCE_LEN - number_length + i] ^= *byte;
        }
        let mut payload = packet.get(payload_at..)?.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.packet.open_in_place(nonce, Aad::from(&header), &mut payload).ok()?.len();
        payload.truncate(length);
        Some(payload)
    }

    /// Seals the frames of packet number 0, and protects its header, which ends with that number in one byte
    /// (RFC 9001 §5.3, §5.4). The first packet of a connection and its only one: the nonce is not used again.
    pub fn seal_first(&self, header: &[u8], frames: &[u8]) -> Option<Vec<u8>> {
        let number_at = header.len().checked_sub(1)?;
        let mut payload = frames.to_vec();
        let nonce = Nonce::assume_unique_for_key(self.iv);
        self.packet.seal_in_place_append_tag(nonce, Aad::from(header), &mut payload).ok()?;
        let mut packet = [header, &payload].concat();
        let mask = self.mask(packet.get(number_at + 4..number_at + 4 + AES_128.sample_len())?)?;
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at] ^= mask[1];
        Some(packet)
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let info: [&[u8]; 4] = [&(N as u16).to_be_bytes(), &[label.len() as u8], label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
