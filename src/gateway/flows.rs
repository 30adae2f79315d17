//! The one table of what is open: every access and every origin connection between its intent and its completion.
//!
//! The table is asked by `status` (how many), by the drain (until when to wait) and by the clock of slices: a flow that
//! stays open gets a row every `[journal] slice_seconds`, so that a search finds what is going on now and no journal segment waits for
//! a tunnel.
//!
//! A flow is ended exactly once: by [`Flow::finish`], or, when its [`Flow`] is dropped because the client went away and
//! hyper dropped the request with it, as `client-closed`.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access::{AccessRecord, ConnectionRecord, Ending, Outcome, Timestamp};
use crate::accesslog::{AppendError, OpenAccess, OpenConnection};
use crate::clock::Clock;
use crate::relay::Counts;

use super::record::close_access;

/// The number of a flow that is not in the table.
const UNTRACED: u64 = u64::MAX;

/// A record of one of the two streams, open in the journal.
pub trait OpenRecord: Send + 'static {
    type Record: Clone + Send;
    fn slice(&mut self, record: &Self::Record) -> Result<(), AppendError>;
    fn complete(self, record: &Self::Record) -> Result<(), AppendError>;
    /// Writes how far it got into a record.
    fn close(record: &mut Self::Record, outcome: &Outcome, end: Timestamp);
    fn start(record: &Self::Record) -> Timestamp;
}

struct Entry<O: OpenRecord> {
    open: O,
    record: O::Record,
    /// When the present slice began.
    slice_began: Timestamp,
    counts: Arc<Counts>,
}

type Table<O> = HashMap<u64, Entry<O>, BuildHasherDefault<NumberHasher>>;

/// For keys that we number ourselves: nobody outside chooses them, so spreading their bits is enough.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(self.0 ^ u64::from(byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the multiplier is 2^64 divided by the golden ratio.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Open flows of one stream.
pub struct Flows<O: OpenRecord> {
    next: AtomicU64,
    /// How many there are, told without taking the lock.
    count: AtomicUsize,
    open: Mutex<Table<O>>,
    slice: Duration,
    clock: Clock,
}

pub type AccessFlows = Flows<OpenAccess>;
pub type ConnectionFlows = Flows<OpenConnection>;

impl<O: OpenRecord> Flows<O> {
    pub fn new(slice: Duration, clock: Clock) -> Arc<Self> {
        let (next, count) = (AtomicU64::new(0), AtomicUsize::new(0));
        Arc::new(Flows { next, count, open: Mutex::default(), slice, clock })
    }

    /// Enters a flow whose intent is written.
    pub fn enter(self: &Arc<Self>, open: O, record: O::Record, counts: Arc<Counts>) -> Flow<O> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.table().insert(id, Entry { open, slice_began: O::start(&record), record, counts: counts.clone() });
        Flow { id, table: self.clone(), counts, left: Ending::ClientClosed }
    }

    /// A flow that has no record: while the journal is full, a help-line, or whatever a person has allowed. A gap counts it.
    pub fn untraced(self: &Arc<Self>, counts: Arc<Counts>) -> Flow<O> {
        Flow { id: UNTRACED, table: self.clone(), counts, left: Ending::ClientClosed }
    }

    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes a slice of every flow whose present slice began long enough ago.
    pub fn slice_old(&self) {
        let now = self.clock.now();
        let due = now.minus(self.slice);
        for entry in self.table().values_mut() {
            if entry.slice_began <= due {
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

    fn table(&self) -> std::sync::MutexGuard<'_, Table<O>> {
        // A panic while the lock is held leaves at worst one entry as it was: the table stays usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: OpenRecord> Entry<O> {
    /// What moved since the start; the journal takes from it what earlier slices have told of.
    fn outcome(&self, status: Option<u16>, ending: Ending) -> Outcome {
        Outcome { status, bytes_up: self.counts.up(), bytes_down: self.counts.down(), finding: None, ending }
    }

    fn slice(&mut self, now: Timestamp) {
        let outcome = self.outcome(None, Ending::Continues);
        let mut record = self.record.clone();
        O::close(&mut record, &outcome, now);
        // Refused, the slice goes on and is longer.
        match self.open.slice(&record) {
            Ok(()) => self.slice_began = now,
            Err(error) => tracing::warn!(%error, "a slice of a long access is not written yet"),
        }
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

/// Writes into the record of a flow, as long as it is open.
pub struct Pen<O: OpenRecord> {
    id: u64,
    table: Arc<Flows<O>>,
}

impl<O: OpenRecord> Pen<O> {
    pub fn amend(&self, change: impl FnOnce(&mut O::Record)) {
        self.table.amend(self.id, change);
    }
}

pub type AccessPen = Pen<OpenAccess>;
pub type AccessFlow = Flow<OpenAccess>;
pub type ConnectionFlow = Flow<OpenConnection>;

impl<O: OpenRecord> Flow<O> {
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub fn amend(&self, change: impl FnOnce(&mut O::Record)) {
        self.table.amend(self.id, change);
    }

    /// For who learns something of it and does not end it.
    pub fn pen(&self) -> Pen<O> {
        Pen { id: self.id, table: self.table.clone() }
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
    fn start(record: &ConnectionRecord) -> Timestamp {
        record.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CollegeCode, GatewayName, Row, Stream};
    use crate::accesslog::{AccessLog, JournalSettings, ShipSettings, ship_dead_lanes};
    use crate::store::Embedded;
    use crate::store::suite::sample::{self, Dice};
    use crate::store::suite::{everything, search};

    #[test]
    fn a_long_flow_has_a_row_a_slice_and_together_they_tell_of_the_whole() {
        let state = tempfile::TempDir::new().unwrap();
        let clock = Clock::manual("2026-11-23T12:00:00Z".parse().unwrap());
        let settings = JournalSettings::new(
            state.path().join("journal"),
            CollegeCode::parse("0131234A").unwrap(),
            GatewayName::parse("gw-1").unwrap(),
        );
        let log = AccessLog::open(settings, clock.clone()).unwrap();
        let Row::Access(row) = sample::rows(&mut Dice::seeded(1), Stream::Accesses, 1).remove(0) else {
            unreachable!()
        };
        let begun = AccessRecord { start: clock.now(), end: clock.now(), flags: Default::default(), ..row.record };
        let flows = AccessFlows::new(Duration::from_secs(60), clock.clone());
        let counts = Arc::<Counts>::default();
        let flow = flows.enter(log.begin_access(&begun).unwrap(), begun.clone(), counts.clone());
        // 59 seconds are no slice; then one after each minute.
        for (seconds, bytes) in [(59, 100), (1, 0), (60, 150)] {
            clock.set(clock.now().plus(Duration::from_secs(seconds)));
            counts.add_down(bytes);
            flows.slice_old();
        }
        clock.set(clock.now().plus(Duration::from_secs(10)));
        counts.add_down(50);
        flow.finish(Some(200), Ending::Complete);
        drop((flows, log));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Embedded::open(&state.path().join("store")).unwrap();
        let rows = runtime.block_on(async {
            ship_dead_lanes(&state.path().join("journal"), &store, &ShipSettings::default()).await;
            search(&store, &everything(Stream::Accesses)).await
        });
        let told: Vec<_> = rows
            .iter()
            .map(|row| match row {
                Row::Access(row) => (row.key.slice, row.record.bytes_down, row.record.ending),
                Row::Connection(_) => unreachable!(),
            })
            .collect();
        assert_eq!(told, [(0, 100, Ending::Continues), (1, 150, Ending::Continues), (2, 50, Ending::Complete)]);
    }
}
