//! Whether an acknowledgement means that the rows are there.
//!
//! A server that dies, or a connection that is cut, leaves a batch in doubt: the server may have noted its token before its
//! part was in place, and then takes every repetition for known and acknowledges what it has not. So the first
//! acknowledgement of a lane after such a thing is not believed: the keys are looked for, and rows that are not there are sent
//! under a token of their own. That is done only when nothing sent before can be on its way any more, or a row might be there
//! twice. A lane that this process has not written yet is in doubt too: nobody knows what its last process saw.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::columns::Line;
use super::{ClickHouse, failure, schema};
use crate::access::{GapRow, GatewayName, Stream};
use crate::clock::Clock;
use crate::metrics::METRICS;
use crate::store::{Batch, StoreError};

/// What is inserted by one process, one batch after the other.
type Lane = (GatewayName, u64, Stream);

/// Lanes by what is known of what was sent for them.
pub(super) struct Doubts {
    /// Before that nothing was sent by this process; others may have.
    since: Instant,
    lanes: Mutex<HashMap<Lane, Doubt>>,
}

/// What is known of a lane that this process has written.
#[derive(Clone, Copy)]
enum Doubt {
    /// Everything sent was answered, and the answer is known.
    Clear,
    /// Something sent until then has no known end.
    Until(Instant),
}

impl Doubts {
    pub fn new() -> Self {
        Doubts { since: Instant::now(), lanes: Mutex::default() }
    }

    /// The latest instant at which something was sent that has no known end; `None`: there is no such thing.
    fn of(&self, lane: &Lane) -> Option<Instant> {
        match self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(lane) {
            None => Some(self.since),
            Some(Doubt::Until(at)) => Some(*at),
            Some(Doubt::Clear) => None,
        }
    }

    fn set(&self, lane: Lane, doubt: Doubt) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert(lane, doubt);
    }
}

impl ClickHouse {
    /// Sends a batch, and acknowledges what is there only.
    pub(super) async fn insert_surely(&self, batch: &Batch) -> Result<(), StoreError> {
        let token = &batch.token;
        let lane: Lane = (token.gateway.clone(), token.lane, token.stream);
        let outcome = match self.0.doubts.of(&lane) {
            None => self.insert_once(batch).await,
            Some(since) => self.insert_in_doubt(batch, since).await,
        };
        match &outcome {
            Ok(()) => self.0.doubts.set(lane, Doubt::Clear),
            Err(StoreError::Retry(_)) => self.0.doubts.set(lane, Doubt::Until(Instant::now())),
            // The server has said no, and is not at it.
            Err(StoreError::Poison(_) | StoreError::Stop(_)) => {}
        }
        outcome
    }

    /// Sends a batch of a lane of which something sent before has no known end.
    async fn insert_in_doubt(&self, batch: &Batch, since: Instant) -> Result<(), StoreError> {
        // Whole there already: its token may be forgotten since.
        let is_there = !batch.rows.is_empty() && self.missing(batch).await?.rows.is_empty();
        if !is_there {
            self.insert_once(batch).await?;
        }
        self.find_out(batch, since).await
    }

    /// Looks for a batch that was acknowledged after something before it was not.
    async fn find_out(&self, batch: &Batch, since: Instant) -> Result<(), StoreError> {
        if !batch.gaps.is_empty() {
            // A gateway's account does not see gaps; the same one twice is one in every answer.
            self.insert_gaps(batch, &format!("/again/{}", attempt())).await?;
        }
        if self.missing(batch).await?.rows.is_empty() {
            return Ok(());
        }
        // What was sent last is there by then, or will never be.
        tokio::time::sleep_until(since + self.longest()).await;
        self.insert_missing(batch).await.map(drop)
    }

    /// Stores what is missing of a batch of which nothing is on its way; answers how many rows that were.
    pub(super) async fn insert_missing(&self, batch: &Batch) -> Result<u64, StoreError> {
        let missing = self.missing(batch).await?;
        if missing.rows.is_empty() {
            return Ok(0);
        }
        let rows = missing.rows.len() as u64;
        tracing::warn!(token = %batch.token, rows,
            "the store acknowledged rows that it has not: they are sent again under another token");
        METRICS.rows_found_missing.add(rows);
        self.insert_again(&missing, &attempt()).await?;
        match self.missing(&missing).await?.rows.len() {
            0 => Ok(rows),
            rows => Err(StoreError::Retry(format!("{rows} rows of {} are still not there", batch.token))),
        }
    }

    /// The rows of a batch that the server has not.
    async fn missing(&self, batch: &Batch) -> Result<Batch, StoreError> {
        let rows = self.compare(&batch.rows).await.map_err(|error| failure::of_look(&error))?.missing;
        Ok(Batch { token: batch.token.clone(), rows, gaps: Vec::new() })
    }

    pub(super) async fn insert_gaps(&self, batch: &Batch, suffix: &str) -> Result<(), StoreError> {
        let body = super::encode(GapRow::COLUMNS, &batch.gaps, GapRow::put);
        let token = format!("{}/gaps{suffix}", batch.token);
        self.insert_lines(schema::GAPS, GapRow::COLUMNS, &token, &body).await
    }

    /// How long something sent may be on its way: the connection is cut by then, and the server gives it no longer either.
    fn longest(&self) -> Duration {
        self.0.server.send + self.0.server.answer
    }
}

/// Names what no token has named before.
fn attempt() -> String {
    Clock::System.now().as_micros().to_string()
}
