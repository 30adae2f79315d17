//! The key of a gateway: Ed25519 (RFC 8032).

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::hash::{Hash, hex_text, put_hex};

/// Signs for one gateway.
pub struct Signer(Ed25519KeyPair);

/// What a signature is checked with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// The SHA-256 of a public key: what people compare, eight groups of eight digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(Hash);

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is no Ed25519 key in PKCS #8, neither DER nor PEM: `openssl genpkey -algorithm ed25519` makes one")]
    Unreadable,
    #[error("the system gives no randomness for a new key")]
    NoRandomness,
}

impl Signer {
    /// A new key and its PKCS #8 file.
    pub fn generate() -> Result<(Signer, Vec<u8>), KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::NoRandomness)?;
        let file = pair.to_pkcs8().map_err(|_| KeyError::NoRandomness)?;
        Ok((Signer(pair), file.as_ref().to_vec()))
    }

    /// Reads a PKCS #8 file, with or without the public half.
    pub fn from_pkcs8(der: &[u8]) -> Result<Signer, KeyError> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Signer).map_err(|_| KeyError::Unreadable)
    }

    /// The same key from its 32 bytes, for tests that want one without a file.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Signer, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Signer).map_err(|_| KeyError::Unreadable)
    }

    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&self.0.public_key().as_ref()[..32]);
        PublicKey(bytes)
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        // Ed25519 signatures have 64 bytes.
        bytes.copy_from_slice(&self.0.sign(message).as_ref()[..64]);
        Signature(bytes)
    }

    /// The secret half, to be written to a file.
    pub fn seed(&self) -> Result<[u8; 32], KeyError> {
        let seed = self.0.seed().map_err(|_| KeyError::Unreadable)?;
        let bytes = seed.as_be_bytes().map_err(|_| KeyError::Unreadable)?;
        bytes.as_ref().try_into().map_err(|_| KeyError::Unreadable)
    }
}

impl PublicKey {
    /// Whether `signature` is of this key over `message`.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature.0).is_ok()
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Hash::of(&[&self.0]))
    }
}

hex_text!(PublicKey, 32);
hex_text!(Signature, 64);

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        put_hex(&self.0, f)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        put_hex(&self.0, f)
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        put_hex(&self.0, f)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.0.to_string();
        for start in (0..digits.len()).step_by(8) {
            write!(f, "{}{}", if start == 0 { "" } else { "-" }, &digits[start..start + 8])?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// As a person copies it: hyphens, colons and blanks, and the case of letters, do not matter.
impl std::str::FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':' | ' ')).collect();
        digits.to_ascii_lowercase().parse().map(Fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_over_one_message() {
        let (signer, file) = Signer::generate().unwrap();
        let again = Signer::from_pkcs8(&file).unwrap();
        assert_eq!(again.public(), signer.public());
        let signature = again.sign(b"message");
        assert!(signer.public().verifies(b"message", &signature));
        assert!(!signer.public().verifies(b"messagf", &signature));
        let (other, _) = Signer::generate().unwrap();
        assert!(!other.public().verifies(b"message", &signature));
        assert_eq!(Signer::from_pkcs8(b"no key").unwrap_err(), KeyError::Unreadable);
    }

    #[test]
    fn a_fingerprint_is_found_however_a_person_copies_it() {
        let fingerprint = Signer::from_seed(&[7; 32]).unwrap().public().fingerprint();
        let shown = fingerprint.to_string();
        assert_eq!(shown.split('-').count(), 8);
        for copy in [shown.clone(), shown.to_uppercase(), shown.replace('-', ":"), shown.replace('-', " ")] {
            assert_eq!(copy.parse(), Ok(fingerprint));
        }
        assert!(shown[1..].parse::<Fingerprint>().is_err());
    }
}
