//! The root of a tree with all that is signed together with it, and texts that are signed.

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::key::{PublicKey, Signature, Signer};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};

/// The version of everything in this folder.
pub const FORMAT: u32 = 1;

/// What is known of the clock, from the kernel (`adjtimex(2)`); `None` where it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct ClockQuality {
    pub synchronised: Option<bool>,
    /// What is still to be corrected.
    pub offset_us: Option<i64>,
    /// The kernel's own bound of the error.
    pub max_error_us: Option<i64>,
}

/// One tree, as its gateway vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    pub format: u32,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub stream: Stream,
    /// From 1, without a gap, over all lanes: a lane cannot be left out.
    pub number: u64,
    /// The hash of the text of the root before; zeros in the first.
    pub previous: Hash,
    pub lane: u64,
    pub segment: u32,
    pub rows: u64,
    pub gaps: u64,
    /// Rows of it that no store took, which wait for a person.
    pub set_aside: u64,
    /// Rows whose clock was doubtful.
    pub doubtful: u64,
    pub root: Hash,
    /// Sequence and slice of its first and last row, in the order of the leaves.
    pub first_row: Option<(u64, u32)>,
    pub last_row: Option<(u64, u32)>,
    /// The earliest and the latest start of a row, or instant of a gap.
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    pub sealed: Timestamp,
    pub clock: ClockQuality,
    /// The version of the policy in force when it was sealed; each access has its own.
    pub rules: String,
    pub software: String,
    pub key: PublicKey,
}

/// A text and the signature over it. Signed are the bytes of the text itself, behind a line that says what it is, so that nobody
/// has to agree about how JSON is spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedText {
    pub text: String,
    pub signature: Signature,
}

/// Why a text is no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is of format {0}, and this program knows {FORMAT}: verify with a newer one")]
    Newer(u32),
    #[error("its signature is not that of its key")]
    Signature,
}

const ROOT: &str = "ecluse root\n";

impl SignedText {
    pub fn sign(signer: &Signer, kind: &str, text: String) -> SignedText {
        let signature = signer.sign(&message(kind, &text));
        SignedText { text, signature }
    }

    pub fn is_signed_by(&self, key: &PublicKey, kind: &str) -> bool {
        key.verifies(&message(kind, &self.text), &self.signature)
    }

    /// What the next in the chain names.
    pub fn hash(&self) -> Hash {
        Hash::of(&[self.text.as_bytes()])
    }

    /// The root in it, as signed by the key that it names. Whether that key is to be trusted is another question.
    pub fn root(&self) -> Result<Root, RootError> {
        let root = self.unverified_root()?;
        if self.is_signed_by(&root.key, ROOT) { Ok(root) } else { Err(RootError::Signature) }
    }

    /// For whoever wrote it.
    pub fn unverified_root(&self) -> Result<Root, RootError> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let unreadable = |e: serde_json::Error| RootError::Unreadable(e.to_string());
        let Versioned { format } = serde_json::from_str(&self.text).map_err(unreadable)?;
        if format != FORMAT {
            return Err(RootError::Newer(format));
        }
        serde_json::from_str(&self.text).map_err(unreadable)
    }
}

impl Root {
    pub fn sign(&self, signer: &Signer) -> Result<SignedText, RootError> {
        let text = serde_json::to_string(self).map_err(|e| RootError::Unreadable(e.to_string()))?;
        Ok(SignedText::sign(signer, ROOT, text))
    }

    /// Whether it may hold a row that started, or a gap that touches, `from ≤ t < to`.
    pub fn touches(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        let (Some(first), Some(last)) = (self.first_time, self.last_time) else { return false };
        from.is_none_or(|from| last >= from) && to.is_none_or(|to| first < to)
    }

    pub fn leaves(&self) -> u64 {
        self.rows.saturating_add(self.gaps)
    }
}

fn message(kind: &str, text: &str) -> Vec<u8> {
    [kind.as_bytes(), text.as_bytes()].concat()
}
