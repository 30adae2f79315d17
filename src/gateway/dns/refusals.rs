//! Rows of refused names: one a minute for each client and name, however often it asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::{Access, Ending, HostName, Outcome};
use crate::metrics::METRICS;

use super::super::Gateway;
use super::super::record::{Judgement, access_record, close_access};

/// A browser asks for three kinds of a name, and again when it is denied: that is one attempt.
const WINDOW: Duration = Duration::from_secs(60);
/// Names that are remembered at once. Beyond it each repeat has its own row: none is lost.
const NAMES_MAX: usize = 16_384;

/// What was refused this minute.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(IpAddr, HostName), Instant>>);

impl Refusals {
    /// Whether it is the first time this minute.
    pub fn is_first(&self, client: IpAddr, host: &HostName) -> bool {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (client, host.clone());
        if seen.get(&key).is_some_and(|since| now < *since + WINDOW) {
            return false;
        }
        if seen.len() < NAMES_MAX || seen.contains_key(&key) {
            seen.insert(key, now);
        }
        true
    }

    pub fn forget_old(&self) {
        let now = Instant::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, since| now < *since + WINDOW);
    }
}

impl Gateway {
    /// A refused name is an access, and has its row.
    pub(super) fn note_refused_name(&self, access: &Access, host: &HostName, judgement: &Judgement) {
        if !self.names.refusals.is_first(access.client.address, host) {
            return;
        }
        METRICS.accesses_refused.add(1);
        let mut record = access_record(&self.log, access, judgement, 0);
        close_access(&mut record, &Outcome::ended(Ending::Answered), self.clock.now());
        if let Err(error) = self.log.append_access(&record) {
            tracing::error!(%error, "a refused name could not be written to the journal");
        }
    }
}
