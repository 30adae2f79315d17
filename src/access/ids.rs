//! Names and numbers that identify a college, a gateway, a row and a refusal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text_enum::as_text;

/// Why a text is no such identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("`{0}` is no UAI code: seven digits and a capital letter, as in 0131234A")]
    College(String),
    #[error("`{0}` is no name for a gateway: 1 to 64 lower-case letters, digits and hyphens")]
    Gateway(String),
}

/// A school's UAI code (unité administrative immatriculée): seven digits and a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CollegeCode(Arc<str>);

/// The name of one gateway, unique in its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GatewayName(Arc<str>);

impl CollegeCode {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.as_bytes() {
            [digits @ .., letter]
                if digits.len() == 7 && digits.iter().all(u8::is_ascii_digit) && letter.is_ascii_uppercase() =>
            {
                Ok(CollegeCode(text.into()))
            }
            _ => Err(IdError::College(text.into())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl GatewayName {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(GatewayName(text.into())) } else { Err(IdError::Gateway(text.into())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CollegeCode {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        CollegeCode::parse(&text)
    }
}

impl TryFrom<String> for GatewayName {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        GatewayName::parse(&text)
    }
}

impl std::fmt::Display for CollegeCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::fmt::Display for GatewayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The key of a row, in every store, for ever: the journal's lane of a gateway, the sequence inside that lane and
/// stream, and the slice of a long flow (0 first). A lane's number is never used again by its gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub lane: u64,
    pub sequence: u64,
    pub slice: u32,
}

/// The short code on a block page by which a refusal is found in the log: eight characters of Crockford's base 32
/// (no I, L, O, U), shown as `K7Q2-9XFM`. 40 random bits: it identifies, it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u64);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const REFERENCE_BITS: u32 = 40;

impl Reference {
    /// The lowest 40 bits of a random number.
    pub fn from_random(bits: u64) -> Self {
        Reference(bits & ((1 << REFERENCE_BITS) - 1))
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for i in (0..8u32).rev() {
            let digit = (self.0 >> (5 * i)) & 31;
            write!(f, "{}", char::from(CROCKFORD[digit as usize]))?;
            if i == 4 {
                f.write_str("-")?;
            }
        }
        Ok(())
    }
}

/// As a person copies it from a page: case and hyphen do not matter, O is 0, I and L are 1.
impl std::str::FromStr for Reference {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no reference: eight letters and digits, as in K7Q2-9XFM");
        let mut value = 0u64;
        let mut digits = 0;
        for c in text.chars().filter(|c| *c != '-') {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            let digit = CROCKFORD.iter().position(|&d| char::from(d) == c).ok_or_else(wrong)?;
            digits += 1;
            if digits > 8 {
                return Err(wrong());
            }
            value = value << 5 | digit as u64;
        }
        if digits == 8 { Ok(Reference(value)) } else { Err(wrong()) }
    }
}

as_text!(Reference);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_however_a_person_copies_it() {
        let reference = Reference::from_random(0x1_2345_6789);
        let shown = reference.to_string();
        assert_eq!(shown.len(), 9);
        for copy in [shown.clone(), shown.to_lowercase(), shown.replace('-', ""), shown.replace('0', "o")] {
            assert_eq!(copy.parse(), Ok(reference));
        }
        assert!("K7Q2-9XF".parse::<Reference>().is_err());
        assert!("K7Q2-9XFMM".parse::<Reference>().is_err());
        assert!("K7Q2-9XFU".parse::<Reference>().is_err());
    }

    #[test]
    fn a_code_that_is_no_uai_is_refused() {
        assert!(CollegeCode::parse("0131234A").is_ok());
        for text in ["", "131234A", "0131234a", "01312345", "01312é4A"] {
            assert!(CollegeCode::parse(text).is_err(), "{text}");
        }
    }
}
