//! Where records end up.
//!
//! A [`RecordStore`] keeps the rows of both streams and answers questions about them. It knows nothing of journals, lanes
//! being alive or dead, nor of who asks: whoever ships retries the identical [`Batch`] until it is acknowledged,
//! and whoever asks has written that down before. Every store passes the same test-suite.
//!
//! Type to read first: [`RecordStore`]; then [`Query`].

use std::fmt;
use std::future::Future;

use crate::access::{GapRow, GatewayName, Row, Stream};

mod any;
pub mod clickhouse;
mod conditions;
pub mod embedded;
mod fields;
pub mod found;
mod proof;
mod query;
pub mod suite;

pub use any::{AnyStore, OpenError};
pub use clickhouse::ClickHouse;
pub use embedded::Embedded;
pub use found::Found;
pub use proof::{ChainName, ProofStore, RootsAsked};
pub use query::{Dimension, Filter, HostFilter, Order, Query, Question, Tally};

/// Names a batch for ever: the same token always carries the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchToken {
    pub gateway: GatewayName,
    pub lane: u64,
    pub stream: Stream,
    pub first: u64,
    pub last: u64,
}

/// The stable text, as a ledger or a server's deduplication token has it: `gw-1/7/accesses/1-20000`.
impl fmt::Display for BatchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchToken { gateway, lane, stream, first, last } = self;
        write!(f, "{gateway}/{lane}/{stream}/{first}-{last}")
    }
}

/// Rows of one stream, of one lane of one gateway, and what that lane says is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub token: BatchToken,
    pub rows: Vec<Row>,
    pub gaps: Vec<GapRow>,
}

impl Batch {
    /// Rows of one lane and stream, at least one, named by the first and the last of their numbers.
    pub fn of(rows: &[Row]) -> Option<Batch> {
        let first = rows.first()?;
        let sequences = || rows.iter().map(|row| row.key().sequence);
        let token = BatchToken {
            gateway: first.key().gateway.clone(),
            lane: first.key().lane,
            stream: first.stream(),
            first: sequences().min()?,
            last: sequences().max()?,
        };
        Some(Batch { token, rows: rows.to_vec(), gaps: Vec::new() })
    }

    /// Rows that contradict their batch would be found under a key that no ledger knows: they are poison.
    pub fn check(&self) -> Result<(), StoreError> {
        let Batch { token, rows, gaps } = self;
        let belongs = |row: &&Row| {
            row.stream() == token.stream && row.key().gateway == token.gateway && row.key().lane == token.lane
        };
        if let Some(row) = rows.iter().find(|row| !belongs(row)) {
            return Err(StoreError::Poison(format!("{token}: the row {:?} is not of that lane and stream", row.key())));
        }
        let is_ours =
            |gap: &&GapRow| gap.stream == token.stream && gap.gateway == token.gateway && gap.lane == token.lane;
        match gaps.iter().find(|gap| !is_ours(gap)) {
            Some(gap) => Err(StoreError::Poison(format!("{token}: {gap:?} is not of that lane and stream"))),
            None => Ok(()),
        }
    }
}

/// Why a batch was not acknowledged, sorted by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Perhaps stored, perhaps not: send the identical batch again.
    #[error("not stored yet, to be tried again: {0}")]
    Retry(String),
    /// This batch will never be accepted: set it aside and say so.
    #[error("the batch cannot be stored: {0}")]
    Poison(String),
    /// No batch will be accepted until somebody acts: stop and alarm.
    #[error("the store takes nothing: {0}")]
    Stop(String),
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The question asks for a column that the stream has not.
    #[error("{}", misplaced(.0))]
    Misplaced(&'static str),
    /// There is nothing to read, or it may not be read.
    #[error("{0}")]
    Unreadable(String),
    /// Something went wrong while reading: what came before is right, but not all.
    #[error("the answer broke off: {0}")]
    BrokeOff(String),
}

fn misplaced(column: &str) -> String {
    let (here, there) = if column == "device" { ("accesses", "connections") } else { ("connections", "accesses") };
    format!("{here} have no {column}: ask {there} for it")
}

/// The most gaps in an answer.
pub const GAPS_MAX: usize = 1000;

/// Keeps rows for as long as the policy says, each once.
pub trait RecordStore: Send + Sync {
    /// Stores a batch durably. The identical batch that comes again doubles nothing.
    fn insert(&self, batch: &Batch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Looks whether rows that were acknowledged are there all the same, and stores again what is not; answers how many rows that
    /// were. Asked when nothing of the batch is on its way any more. A store that needs no second look has nothing to do.
    fn confirm(&self, _batch: &Batch) -> impl Future<Output = Result<u64, StoreError>> + Send {
        std::future::ready(Ok(0))
    }

    /// The rows that a query is about, in its order.
    fn search(&self, query: &Query) -> impl Future<Output = Result<Found, ReadError>> + Send;

    /// What is missing in the time and the college that a filter asks for, oldest first, at most [`GAPS_MAX`]; of its
    /// other conditions nobody can know whether what is missing had met them.
    fn gaps(&self, filter: &Filter) -> impl Future<Output = Result<Vec<GapRow>, ReadError>> + Send;

    /// Counts of them.
    fn stats(&self, question: &Question) -> impl Future<Output = Result<Vec<Tally>, ReadError>> + Send;
}
