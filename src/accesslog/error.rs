//! What can go wrong with the journal, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::proof::ProofError;
use crate::store::StoreError;

/// The journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the journal in {directory} cannot be written: {error}\n  help: the folder must belong to the user that runs the gateway; `[journal] directory` names another"
    )]
    Directory { directory: PathBuf, error: io::Error },
    #[error(
        "another process has been opening the journal in {0} for too long\n  help: see which with `fuser -v {0}/lock`"
    )]
    Busy(PathBuf),
    #[error(
        "`{recipient}` in `[persons] recipients` is no age recipient: {reason}\n  help: `age-keygen` prints one as `age1…`"
    )]
    Recipient { recipient: String, reason: String },
}

/// A record was not written. The access it is about must not be forwarded, unless a person has set `on_full = allow`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// What is left is reserved for the completions of the accesses that are open.
    #[error("the journal is full")]
    Full,
    /// Writing failed, and failed again in a new segment.
    #[error("the journal's disk fails: {0}")]
    Disk(String),
    /// Longer than any record can be: a fault of ours.
    #[error("a record of {0} bytes exceeds a frame")]
    TooLong(usize),
}

/// A lane cannot be brought into the store.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    #[error("reading {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path} was written by a newer version of the program (format {version}): run that one to ship it")]
    Newer { path: PathBuf, version: u16 },
    /// The rest is brought in, and a gap record tells of it.
    #[error("{path}: {bytes} bytes of the segment cannot be read and what was in them is lost; all else is brought in")]
    Damaged { path: PathBuf, bytes: u64 },
    #[error(
        "{0} holds no readable segment header: whose rows they are is unknown\n  help: keep the folder, it needs a person"
    )]
    Nameless(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The last copy of these rows is not deleted.
    #[error("whether the store has what it acknowledged cannot be told, and the journal keeps it: {0}")]
    Unconfirmed(StoreError),
    /// What was shipped has no root yet, and stays in the journal.
    #[error(transparent)]
    Proof(#[from] ProofError),
}
