//! Repeats of one client's refused requests: under a flood, two rows a minute and no more.
//!
//! The first of a kind has a row of its own, found at once. The next within the minute writes an intent like any
//! access, so that it is in the journal before its answer leaves; those that follow add to its count; when the minute
//! is over the row is completed. A gateway that dies meanwhile leaves the intent, and its row then says one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::Reference;

use super::answer::Failure;
use super::flows::AccessFlow;

/// Repeats within this time are one row.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds that are remembered at once: a bound, since clients can be many. Beyond it each repeat has its own row.
const OPEN_MAX: usize = 4096;

struct Repeat {
    reference: Reference,
    since: Instant,
    /// The row that counts the repeats, once there is one.
    flow: Option<AccessFlow>,
}

/// What each client was answered this minute.
#[derive(Default)]
pub struct Repeats(Mutex<HashMap<(IpAddr, Failure), Repeat>>);

/// Whether a failure is one that a flood repeats.
pub fn is_repeatable(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::RequestTimedOut
            | Failure::RequestTooLarge
            | Failure::TargetTooLong
            | Failure::TooManyRequests
            | Failure::TooManyConnections
            | Failure::TooBusy
    )
}

impl Repeats {
    /// Counts one more of a kind that had its row within the minute, and gives that row's reference; `begin` opens the
    /// row that counts.
    pub fn again(
        &self,
        client: IpAddr,
        failure: Failure,
        begin: impl FnOnce(Reference) -> Option<AccessFlow>,
    ) -> Option<Reference> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let repeat = open.get_mut(&(client, failure))?;
        if repeat.since.elapsed() >= WINDOW {
            open.remove(&(client, failure));
            return None;
        }
        match &repeat.flow {
            Some(flow) => flow.amend(|record| record.count = record.count.saturating_add(1)),
            None => repeat.flow = Some(begin(repeat.reference)?),
        }
        Some(repeat.reference)
    }

    /// The first of its kind this minute; its row is written.
    pub fn first(&self, client: IpAddr, failure: Failure, reference: Reference) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() < OPEN_MAX {
            open.insert((client, failure), Repeat { reference, since: Instant::now(), flow: None });
        }
    }

    /// Completes the rows whose minute is over.
    pub fn complete_old(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, repeat| repeat.since.elapsed() < WINDOW);
    }

    /// Completes them all.
    pub fn complete_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Rows that are open.
    pub fn len(&self) -> usize {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().filter(|repeat| repeat.flow.is_some()).count()
    }
}
