//! 32 bytes as hashes and secrets, written as 64 lower-case hexadecimal digits and in no other way.

use aws_lc_rs::{digest, hmac};
use serde::{Deserialize, Serialize};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The SHA-256 of the pieces, one after the other.
    pub fn of(pieces: &[&[u8]]) -> Hash {
        let mut context = digest::Context::new(&digest::SHA256);
        pieces.iter().for_each(|piece| context.update(piece));
        Hash::from_digest(context.finish().as_ref())
    }

    pub(super) fn from_digest(bytes: &[u8]) -> Hash {
        let mut hash = [0; 32];
        // SHA-256 has 32 bytes.
        hash.copy_from_slice(&bytes[..32]);
        Hash(hash)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        put_hex(&self.0, f)
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        put_hex(&self.0, f)
    }
}

pub(super) fn put_hex(bytes: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits: String = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect();
    f.write_str(&digits)
}

/// Lower-case digits only: a text that is read and written again is the same text.
pub(super) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return Err(format!("{} hexadecimal digits are expected", 2 * N));
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err("only digits and the letters a to f are expected".into());
        };
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

/// Reads and writes a type around an array of bytes as hexadecimal digits.
macro_rules! hex_text {
    ($name:ident, $length:literal) => {
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                super::hash::parse_hex::<$length>(text).map($name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                struct Digits<'a>(&'a [u8]);
                impl std::fmt::Display for Digits<'_> {
                    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        super::hash::put_hex(self.0, f)
                    }
                }
                s.collect_str(&Digits(&self.0))
            }
        }

        $crate::access::text_enum::read_as_text!($name);
    };
}
pub(super) use hex_text;

hex_text!(Hash, 32);

/// What the salts of a tree's rows are derived from. Whoever has it can open every leaf of that tree.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(Hash);

impl Secret {
    /// A new one; an error: the system gives no randomness.
    pub fn random() -> Result<Secret, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Secret(Hash(bytes)))
    }

    /// For tests, which want the same tree twice.
    pub fn of_bytes(bytes: [u8; 32]) -> Secret {
        Secret(Hash(bytes))
    }

    pub(super) fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_from_its_own_spelling_only() {
        let hash = Hash::of(&[b"a", b"bc"]);
        assert_eq!(hash, Hash::of(&[b"abc"]));
        let text = hash.to_string();
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(text.parse(), Ok(hash));
        for wrong in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), text.replace('a', "g")] {
            assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
        }
    }
}
