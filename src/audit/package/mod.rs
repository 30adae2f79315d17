//! What leaves the house: rows with all that somebody needs to verify them who has nothing else and trusts nobody here.
//!
//! A package is a folder, so that who receives it opens the table and the LISEZ-MOI with what they have, and nothing
//! has to be unpacked before it is verified. [`write()`] makes one, [`verify()`] checks one; `docs/proof.md` specifies it.
//!
//! | file | holds |
//! |---|---|
//! | `LISEZ-MOI.txt` | what all this is, for a person |
//! | `manifest.json` | [`Manifest`]: what was asked, how many, and the sum of every file |
//! | `manifest.sig` | [`ManifestSignature`] |
//! | `manifest.tsr` | an RFC 3161 token over the manifest, where there is an authority |
//! | `rows.csv`, `rows.jsonl` | the rows, oldest first, the same in both |
//! | `leaves.jsonl` | a line for each row: where it stands in which tree, and its salts ([`LeafLine`]) |
//! | `roots.jsonl` | signed roots, each chain without a gap, with the hashes that prove rows ([`RootLine`]) |
//! | `openings.jsonl` | leaves that are no rows of the package: halves that show so, gaps ([`OpeningLine`]) |

mod carry;
mod files;
mod readme;
mod timestamp;
mod trees;
mod verify;
mod wanted;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::proof::{HalfName, Hash, PublicKey, Salt, Signature, SignedText};
use crate::access::{CollegeCode, Gap, GapRow, GatewayName, Stream, Timestamp};

pub use carry::{Carried, most_bytes};
pub use timestamp::{Authority, TokenError, request as timestamp_request, token_of_response};
pub use verify::{Altered, Report, Trust, TrustProblem, verify};
pub use wanted::Wanted;
pub use write::{ExportError, ExportOrder, Written, write};

/// The format of packages that this program writes and reads.
pub const FORMAT: &str = "ecluse package 1";

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
const TOKEN: &str = "manifest.tsr";
const ROWS: &str = "rows.jsonl";
const TABLE: &str = "rows.csv";
const LEAVES: &str = "leaves.jsonl";
const ROOTS: &str = "roots.jsonl";
const OPENINGS: &str = "openings.jsonl";
const README: &str = "LISEZ-MOI.txt";

/// Files that the manifest sums up, in the order of their names.
const SUMMED: [&str; 6] = [README, LEAVES, OPENINGS, ROOTS, TABLE, ROWS];

/// The most rows in a package: with all that proves them they fit the memory of who verifies.
pub const ROWS_MAX: u64 = 500_000;
/// The most roots: 300 a day and stream.
const ROOTS_MAX: usize = 200_000;
/// The most leaves that are opened beside the rows.
const OPENINGS_MAX: u64 = 1_500_000;

/// What a package holds, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    pub made: Timestamp,
    pub software: String,
    /// Who made it, and with which key.
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub key: PublicKey,
    pub stream: Stream,
    /// As they were asked.
    pub filters: serde_json::Value,
    /// As they were understood.
    pub wanted: Wanted,
    pub reason: String,
    /// The number of the question in the trail of consultations.
    pub question: u64,
    /// Whether every leaf of the trees of the time asked for is opened.
    pub complete: bool,
    pub rows: u64,
    /// How many of them have a proof.
    pub proven: u64,
    /// What is known to be missing in that time.
    pub gaps: Vec<GapRow>,
    pub chains: Vec<ChainPart>,
    /// What was not in the store yet.
    pub pending: String,
    /// What the writer could not prove, and why.
    pub notes: Vec<String>,
    pub files: BTreeMap<String, FileSum>,
}

/// The numbers of the roots of one chain that the package holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainPart {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub first: u64,
    pub last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    pub bytes: u64,
    pub sha256: Hash,
}

/// The signature over the manifest and, where there is one, the time-stamp's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestSignature {
    pub key: PublicKey,
    pub signature: Signature,
}

/// A line of `leaves.jsonl`, of the row in the same line of `rows.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafLine {
    pub gateway: GatewayName,
    pub lane: u64,
    pub sequence: u64,
    pub slice: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<LeafProof>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafProof {
    /// The line of `roots.jsonl`, from 0.
    pub root: u32,
    /// Its place in that tree.
    pub leaf: u64,
    pub hash: Hash,
    pub who: Salt,
    pub what: Salt,
}

/// A line of `roots.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootLine {
    pub text: String,
    pub signature: Signature,
    /// With the leaves that are in the package it gives the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<Hash>>,
}

impl RootLine {
    pub fn signed(&self) -> SignedText {
        SignedText { text: self.text.clone(), signature: self.signature }
    }
}

/// A line of `openings.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningLine {
    pub root: u32,
    pub leaf: u64,
    pub opened: Opened,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Opened {
    /// One half with its fields, and the hash of the other.
    Half {
        half: HalfName,
        salt: Salt,
        fields: serde_json::Value,
        other: Hash,
    },
    Gap {
        gap: Gap,
        who: Salt,
        what: Salt,
    },
    /// A row that no store took: only its leaf is left.
    SetAside {
        hash: Hash,
    },
}

/// What is signed: the sums of manifest and token. A token is after the manifest and before the signature, so it stands apart.
fn signed_message(manifest: &[u8], token: Option<&[u8]>) -> String {
    let token = token.map_or_else(|| "none".to_owned(), |token| Hash::of(&[token]).to_string());
    format!("manifest {}\ntoken {token}\n", Hash::of(&[manifest]))
}

const PACKAGE: &str = "ecluse package\n";

#[cfg(test)]
mod tests;
