//! The one table of what is open: every access and every origin connection between its intent and its completion.
//!
//! The table is asked by `status` (how many), by the drain (until when to wait) and by the clock of slices: a flow that
//! stays open gets a row every [`SLICE`], so that a search finds what is going on now and no journal segment waits for
//! a tunnel.
//!
//! A flow is ended exactly once: by [`Flow::finish`], or, when its [`Flow`] is dropped because the client went away and
//! hyper dropped the request with it, as `client-closed`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access::{AccessRecord, ConnectionRecord, Ending, Outcome, Timestamp};
use crate::accesslog::{AppendError, OpenAccess, OpenConnection};
use crate::clock::Clock;
use crate::metrics::METRICS;
use crate::relay::Counts;

use super::record::close_access;

/// IPFIX's active time-out (RFC 5102 §5.11.3) at the value the log promises.
pub const SLICE: Duration = Duration::from_secs(600);

/// The number of a flow that is not in the table.
const UNTRACED: u64 = u64::MAX;

/// A record of one of the two streams, open in the journal.
pub trait OpenRecord: Send + 'static {
    type Record: Clone + Send;
    fn slice(&mut self, record: &Self::Record) -> Result<(), AppendError>;
    fn complete(self, record: &Self::Record) -> Result<(), AppendError>;
    /// Writes how far it got into a record.
    fn close(record: &mut Self::Record, outcome: &Outcome, end: Timestamp);
    /// Moves the record's start: the next slice begins there.
    fn restart(record: &mut Self::Record, start: Timestamp);
    fn start(record: &Self::Record) -> Timestamp;
}

struct Entry<O: OpenRecord> {
    open: O,
    record: O::Record,
    /// What the slices before this one have reported.
    reported_up: u64,
    reported_down: u64,
    counts: Arc<Counts>,
}

/// Open flows of one stream.
pub struct Flows<O: OpenRecord> {
    next: AtomicU64,
    /// How many there are, told without taking the lock.
    count: AtomicUsize,
    open: Mutex<HashMap<u64, Entry<O>>>,
    clock: Clock,
}

pub type AccessFlows = Flows<OpenAccess>;
pub type ConnectionFlows = Flows<OpenConnection>;

impl<O: OpenRecord> Flows<O> {
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Flows { next: AtomicU64::new(0), count: AtomicUsize::new(0), open: Mutex::new(HashMap::new()), clock })
    }

    /// Enters a flow whose intent is written.
    pub fn enter(self: &Arc<Self>, open: O, record: O::Record, counts: Arc<Counts>) -> Flow<O> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.table().insert(id, Entry { open, record, reported_up: 0, reported_down: 0, counts: counts.clone() });
        Flow { id, table: self.clone(), counts, left: Ending::ClientClosed }
    }

    /// A flow that has no record: a help-line while the journal is full. It is counted by nobody.
    pub fn untraced(self: &Arc<Self>, counts: Arc<Counts>) -> Flow<O> {
        Flow { id: UNTRACED, table: self.clone(), counts, left: Ending::ClientClosed }
    }

    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes a slice of every flow whose present slice began more than [`SLICE`] ago.
    pub fn slice_old(&self) {
        let now = self.clock.now();
        let due = now.minus(SLICE);
        for entry in self.table().values_mut() {
            if O::start(&entry.record) <= due {
                entry.slice(now);
            }
        }
    }

    /// Ends everything that is open.
    pub fn end_all(&self, ending: Ending) {
        let open = std::mem::take(&mut *self.table());
        self.count.fetch_sub(open.len(), Ordering::Relaxed);
        let now = self.clock.now();
        for entry in open.into_values() {
            entry.complete(None, ending, now);
        }
    }

    /// The flow's record may be changed while it is open: the name found in the first bytes, the last decision.
    fn amend(&self, id: u64, change: impl FnOnce(&mut O::Record)) {
        if let Some(entry) = self.table().get_mut(&id) {
            change(&mut entry.record);
        }
    }

    fn leave(&self, id: u64, status: Option<u16>, ending: Ending) {
        let entry = self.table().remove(&id);
        if let Some(entry) = entry {
            self.count.fetch_sub(1, Ordering::Relaxed);
            entry.complete(status, ending, self.clock.now());
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Entry<O>>> {
        // A panic while the lock is held leaves at worst one entry as it was: the table stays usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: OpenRecord> Entry<O> {
    /// What moved since the last slice.
    fn outcome(&mut self, status: Option<u16>, ending: Ending) -> Outcome {
        let (up, down) = (self.counts.up(), self.counts.down());
        let outcome = Outcome {
            status,
            bytes_up: up - self.reported_up,
            bytes_down: down - self.reported_down,
            finding: None,
            ending,
        };
        (self.reported_up, self.reported_down) = (up, down);
        outcome
    }

    fn slice(&mut self, now: Timestamp) {
        let outcome = self.outcome(None, Ending::Continues);
        let mut record = self.record.clone();
        O::close(&mut record, &outcome, now);
        report(self.open.slice(&record));
        O::restart(&mut self.record, now);
    }

    fn complete(mut self, status: Option<u16>, ending: Ending, now: Timestamp) {
        let outcome = self.outcome(status, ending);
        O::close(&mut self.record, &outcome, now);
        report(self.open.complete(&self.record));
    }
}

/// A completion that cannot be written leaves its intent: recovery makes the row, and somebody is told.
fn report(result: Result<(), AppendError>) {
    if let Err(error) = result {
        METRICS.append_failures.add(1);
        tracing::error!(%error, "the end of an access could not be written to the journal; its row will read `interrupted`");
    }
}

/// One open flow. Dropping it ends it.
pub struct Flow<O: OpenRecord> {
    id: u64,
    table: Arc<Flows<O>>,
    counts: Arc<Counts>,
    left: Ending,
}

pub type AccessFlow = Flow<OpenAccess>;
pub type ConnectionFlow = Flow<OpenConnection>;

impl<O: OpenRecord> Flow<O> {
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub fn amend(&self, change: impl FnOnce(&mut O::Record)) {
        self.table.amend(self.id, change);
    }

    /// How it ends if it is dropped from now on.
    pub fn if_dropped(&mut self, ending: Ending) {
        self.left = ending;
    }

    pub fn finish(self, status: Option<u16>, ending: Ending) {
        self.table.leave(self.id, status, ending);
        // Dropping finds nothing more to end.
    }
}

impl<O: OpenRecord> Drop for Flow<O> {
    fn drop(&mut self) {
        self.table.leave(self.id, None, self.left);
    }
}

impl OpenRecord for OpenAccess {
    type Record = AccessRecord;

    fn slice(&mut self, record: &AccessRecord) -> Result<(), AppendError> {
        OpenAccess::slice(self, record)
    }
    fn complete(self, record: &AccessRecord) -> Result<(), AppendError> {
        OpenAccess::complete(self, record)
    }
    fn close(record: &mut AccessRecord, outcome: &Outcome, end: Timestamp) {
        let status = outcome.status.or(record.status);
        close_access(record, outcome, end);
        record.status = status;
    }
    fn restart(record: &mut AccessRecord, start: Timestamp) {
        record.start = start;
        record.strip_if_help_line();
    }
    fn start(record: &AccessRecord) -> Timestamp {
        record.start
    }
}

impl OpenRecord for OpenConnection {
    type Record = ConnectionRecord;

    fn slice(&mut self, record: &ConnectionRecord) -> Result<(), AppendError> {
        OpenConnection::slice(self, record)
    }
    fn complete(self, record: &ConnectionRecord) -> Result<(), AppendError> {
        OpenConnection::complete(self, record)
    }
    fn close(record: &mut ConnectionRecord, outcome: &Outcome, end: Timestamp) {
        record.end = end;
        record.bytes_up = outcome.bytes_up;
        record.bytes_down = outcome.bytes_down;
        record.ending = outcome.ending;
        record.strip_if_help_line();
    }
    fn restart(record: &mut ConnectionRecord, start: Timestamp) {
        record.start = start;
        record.strip_if_help_line();
    }
    fn start(record: &ConnectionRecord) -> Timestamp {
        record.start
    }
}
