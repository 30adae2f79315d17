//! Where the proofs of rows end up: beside the rows, for as long as they.

use std::fmt;
use std::future::Future;

use super::{ReadError, StoreError};
use crate::access::proof::Sealed;
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};

/// Whose chain of roots it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainName {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub stream: Stream,
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

    /// The highest number of a chain that is kept; 0: none.
    fn newest(&self, chain: &ChainName) -> impl Future<Output = Result<u64, ReadError>> + Send;

    /// Of each chain, in the order of its numbers and without a gap between: every tree that may hold something of
    /// `from ≤ t < to`, from the last tree before that was sealed before `from`, to the first that was sealed a day after `to`; where
    /// there is no such, from the first, to the last.
    fn roots(&self, asked: &RootsAsked) -> impl Future<Output = Result<Vec<Sealed>, ReadError>> + Send;
}
