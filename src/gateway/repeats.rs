//! Repeats of one client's refused requests: under a flood, one row a minute with its count.
//!
//! The first of a kind writes an intent like any access, so that it is in the journal before its answer leaves; what
//! follows within the minute adds to its count; when the minute is over the row is completed. A gateway that dies
//! meanwhile leaves the intent, and its row then says one.

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
/// Rows that may be open at once: a bound, since clients can be many. Beyond it each repeat has its own row.
const OPEN_MAX: usize = 4096;

struct Repeat {
    flow: AccessFlow,
    reference: Reference,
    since: Instant,
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
    /// Counts one more of a kind that has its row already, and gives that row's reference.
    pub fn again(&self, client: IpAddr, failure: Failure) -> Option<Reference> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let repeat = open.get_mut(&(client, failure))?;
        if repeat.since.elapsed() >= WINDOW {
            open.remove(&(client, failure));
            return None;
        }
        repeat.flow.amend(|record| record.count = record.count.saturating_add(1));
        Some(repeat.reference)
    }

    /// The first of its kind: its row stays open for the repeats. Its end is told already.
    pub fn first(&self, client: IpAddr, failure: Failure, flow: AccessFlow, reference: Reference) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() < OPEN_MAX {
            open.insert((client, failure), Repeat { flow, reference, since: Instant::now() });
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

    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
