//! Where the proofs of rows end up: beside the rows, for as long as they.

use std::fmt;
use std::future::Future;

use super::{ReadError, StoreError};
use crate::access::proof::{Hash, Sealed};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};

/// Whose chain of roots it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainName {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub stream: Stream,
}

/// Rows may come into a tree that is sealed after their day: those of a gateway that died and was started a day later.
pub(super) const HORIZON_US: i64 = 86_400_000_000;

impl ChainName {
    /// What to do where a store has another root of that number.
    pub fn is_another(&self, number: u64) -> String {
        format!(
            "the store has another root {number} of {self}: a gateway that was set up anew, or lost its state directory, needs a `gateway` name of its own"
        )
    }
}

impl RootsAsked {
    pub(super) fn too_many(&self) -> ReadError {
        ReadError::Unreadable(format!("more than {} roots tell about this time: narrow --from and --to", self.most))
    }
}

/// As files are named after it: `0131234A-gw-1-accesses`.
impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.college, self.gateway, self.stream)
    }
}

/// Roots that tell about a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootsAsked {
    pub stream: Stream,
    pub college: Option<CollegeCode>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// No more than so many, or an error that says so.
    pub most: usize,
}

/// Keeps proofs. A store of rows keeps theirs as well.
pub trait ProofStore: Send + Sync {
    /// Keeps trees durably. A tree that comes again doubles nothing.
    fn keep(&self, sealed: &[Sealed]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The last root of a chain that is kept: its number, and the hash of its text.
    fn newest(&self, chain: &ChainName) -> impl Future<Output = Result<Option<(u64, Hash)>, ReadError>> + Send;

    /// Of each chain, in the order of its numbers and without a gap between: every tree that may hold something of
    /// `from ≤ t < to`, from the last tree before that was sealed before `from`, to the first that was sealed a day after `to`; where
    /// there is no such, from the first, to the last.
    fn roots(&self, asked: &RootsAsked) -> impl Future<Output = Result<Vec<Sealed>, ReadError>> + Send;
}
