//! The access log as the gateway has it: append, and hold what is open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::aside::Aside;
use super::budget::Budget;
use super::compress;
use super::disk::{Disk, LocalDisk};
use super::durable::Demand;
use super::error::{AppendError, OpenError};
use super::frame::{self, Key, Kind};
use super::gaps;
use super::journaled::Journaled;
use super::lane::{self, Lane};
use super::open::Open;
use super::owner::Owner;
use super::persons::Persons;
use super::settings::JournalSettings;
use super::stream::StreamJournal;
use super::writer::{Room, Site, Writer};
use crate::access::{AccessRecord, ConnectionRecord, Gap, PersonName, Pseudonym, RowKey, Stream, Timestamp};
use crate::clock::Clock;
use crate::config::OnFull;
use crate::metrics::METRICS;

/// The journal of this process: one lane, two streams. Cheap to clone; the last clone closes the segments.
#[derive(Clone)]
pub struct AccessLog(pub(super) Arc<Own>);

/// What the clones share.
pub(super) struct Own {
    pub settings: JournalSettings,
    pub clock: Clock,
    pub disk: Arc<dyn Disk>,
    pub budget: Arc<Budget>,
    pub lane: Lane,
    pub opened: Timestamp,
    accesses: StreamJournal,
    connections: StreamJournal,
    persons: Persons,
    /// Set where a thread of its own syncs.
    demand: OnceLock<Arc<Demand>>,
}

/// How often the spool's size is counted anew: other processes ship and delete too.
const RECOUNT_EVERY: Duration = Duration::from_secs(10);
/// Where each intent is synced at once, what nobody waits for is synced after this time.
const IDLE: Duration = Duration::from_millis(200);

impl AccessLog {
    /// Takes a new lane in the spool. Reads none of what lies there but a header per older lane.
    pub fn open(settings: JournalSettings, clock: Clock) -> Result<AccessLog, OpenError> {
        let window = settings.sync_window;
        let log = AccessLog::on_disk(settings, clock, Arc::new(LocalDisk))?;
        let own = Arc::downgrade(&log.0);
        let demand = log.0.demand.get_or_init(|| Arc::new(Demand::new())).clone();
        let thread = std::thread::Builder::new().name("journal-sync".into());
        let directory = log.directory().to_owned();
        thread
            .spawn(move || sync_until_dropped(&own, &demand, window))
            .map_err(|error| OpenError::Directory { directory, error })?;
        Ok(log)
    }

    /// As [`AccessLog::open`], on any disk, and syncing only when told to.
    pub(super) fn on_disk(settings: JournalSettings, clock: Clock, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let persons = Persons::new(&settings)?;
        let opened = clock.now();
        let owner = Owner { college: settings.college.clone(), gateway: settings.gateway.clone(), since: opened };
        let lane = Lane::make(&*disk, &settings.directory, &owner, opened)?;
        let others = lane::others(&*disk, &settings.directory, lane.number);
        let budget = Arc::new(Budget::new(settings.max_bytes, lane::spool_bytes(&*disk, &settings.directory)));
        budget.claim(compress::room(&settings));
        let stream = |stream: Stream| {
            let site = Site {
                disk: disk.clone(),
                budget: budget.clone(),
                folder: lane.folder.clone(),
                stream,
                lane: lane.number,
                college: settings.college.clone(),
                gateway: settings.gateway.clone(),
                segment_bytes: settings.segment_bytes,
                segment_age: settings.segment_age,
            };
            let heads = others.heads.iter().filter(|(of, _)| *of == stream).flat_map(|(_, heads)| heads.clone());
            let writer = Writer::new(site, heads.collect(), others.latest, gaps::room(settings.max_bytes));
            StreamJournal::new(writer, clock.clone())
        };
        let (accesses, connections) = (stream(Stream::Accesses), stream(Stream::Connections));
        let demand = OnceLock::new();
        Ok(AccessLog(Arc::new(Own {
            settings,
            clock,
            disk,
            budget,
            lane,
            opened,
            accesses,
            connections,
            persons,
            demand,
        })))
    }

    /// Begins an access: its intent is in the journal before the origin is dialled. The guard writes the completion.
    pub fn begin_access(&self, record: &AccessRecord) -> Result<OpenAccess, AppendError> {
        Open::begin(self.clone(), self.stream(Stream::Accesses).take_sequence(), record)
    }

    /// Begins a connection, in the same way.
    pub fn begin_connection(&self, record: &ConnectionRecord) -> Result<OpenConnection, AppendError> {
        self.begin_promised(self.promise_connection(), record)
    }

    /// The number of a connection's row that is written later: accesses may name it before.
    pub fn promise_connection(&self) -> PromisedConnection {
        PromisedConnection(self.stream(Stream::Connections).take_sequence())
    }

    /// As [`AccessLog::begin_connection`], with a number that accesses may have named.
    pub fn begin_promised(
        &self,
        number: PromisedConnection,
        record: &ConnectionRecord,
    ) -> Result<OpenConnection, AppendError> {
        Open::begin(self.clone(), number.0, record)
    }

    /// Appends an access that is complete already: a refusal, an answer of our own.
    pub fn append_access(&self, record: &AccessRecord) -> Result<RowKey, AppendError> {
        self.append(self.stream(Stream::Accesses).take_sequence(), record)
    }

    /// Appends a connection that is complete already.
    pub fn append_connection(&self, record: &ConnectionRecord) -> Result<RowKey, AppendError> {
        self.append_promised(self.promise_connection(), record)
    }

    /// The same, with a number that accesses may have named.
    pub fn append_promised(
        &self,
        number: PromisedConnection,
        record: &ConnectionRecord,
    ) -> Result<RowKey, AppendError> {
        self.append(number.0, record)
    }

    fn append<R: Journaled>(&self, sequence: u64, record: &R) -> Result<RowKey, AppendError> {
        let stream = self.stream(R::STREAM);
        let key = Key { sequence, slice: 0 };
        let encode = |doubtful, out: &mut Vec<u8>| put(Kind::Completion, key, record, doubtful, out);
        if let Err(error) = stream.append(encode, |_| Room::Ask(0)) {
            if error == AppendError::Full {
                // Nothing of it waits for an answer: if not even this can be written, the error says so.
                let _ = stream.count_unwritten(self.time_of(record), self.full_cause());
            }
            return Err(error);
        }
        METRICS.records_appended.add(1);
        Ok(self.row_key(key))
    }

    /// Asks whether something may go on whose record was refused with `error`: a help-line always, everything while the
    /// journal is full if a person has set `on_full = "allow"`. What goes on is counted in a gap record, which has begun
    /// before this answers.
    pub fn pass_unwritten<R: Journaled>(&self, record: &R, error: AppendError) -> Result<(), AppendError> {
        let is_allowed = self.0.settings.on_full == OnFull::Allow && error == AppendError::Full;
        if !is_allowed && !record.is_help_line() {
            return Err(error);
        }
        let counted = self.stream(R::STREAM).count_unwritten(self.time_of(record), self.full_cause());
        match counted {
            Err(worse) if !record.is_help_line() => Err(worse),
            _ => Ok(()),
        }
    }

    /// Now; for a help-line the beginning of the hour, as in its records.
    fn time_of<R: Journaled>(&self, record: &R) -> Timestamp {
        let now = self.0.clock.now();
        if record.is_help_line() { now.hour() } else { now }
    }

    fn full_cause(&self) -> &'static str {
        match self.0.settings.on_full {
            OnFull::Allow => "the journal's disk was full, traffic passed",
            OnFull::Refuse => "the journal's disk was full, all but help-lines was refused",
        }
    }

    /// Notes durably that something is missing from the log. A full journal has room set aside for that.
    pub(super) fn tell(&self, stream: Stream, gap: &Gap) -> Result<(), AppendError> {
        let stream = self.stream(stream);
        let append = |room: Room| stream.append(|_, out| frame::put_gap(gap, out), |_| room);
        match append(Room::Ask(0)) {
            Err(AppendError::Full) => append(Room::Gap)?,
            result => result?,
        }
        METRICS.gaps.add(1);
        stream.sync().map_err(|error| AppendError::Disk(error.to_string()))
    }

    /// The person as today's rows name them. `None` without recipients, and while the day key cannot be sealed.
    pub fn pseudonym(&self, person: &PersonName) -> Option<Pseudonym> {
        self.0.persons.pseudonym(&self.0, person)
    }

    /// The people that the next day key is sealed with. Somebody who is not among them is sealed when first seen.
    pub fn set_roster(&self, people: Vec<PersonName>) {
        self.0.persons.set_roster(people);
    }

    /// Makes durable what was appended before the call: for whoever may lose nothing by a power cut.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    /// To be awaited between an intent and the first byte to an origin. Where the window of the group fsync is nothing
    /// (`sync_ms = 0`), it returns when the intent is on the disk; otherwise at once.
    pub async fn before_traffic(&self) -> Result<(), AppendError> {
        let is_durable = match self.0.demand.get() {
            _ if !self.0.settings.sync_window.is_zero() => return Ok(()),
            Some(demand) => demand.wait().await,
            None => self.sync().is_ok(),
        };
        if is_durable { Ok(()) } else { Err(AppendError::Disk("the intent could not be synced".into())) }
    }

    /// Ends the segments with their footers, as at a drain. Appending opens new ones.
    pub fn close(&self) -> io::Result<()> {
        self.0.accesses.close().and(self.0.connections.close())
    }

    /// The spool.
    pub fn directory(&self) -> &Path {
        &self.0.settings.directory
    }

    /// The number of this process's lane.
    pub fn lane(&self) -> u64 {
        self.0.lane.number
    }

    pub(super) fn stream(&self, stream: Stream) -> &StreamJournal {
        self.0.stream(stream)
    }

    pub(super) fn row_key(&self, key: Key) -> RowKey {
        RowKey {
            college: self.0.settings.college.clone(),
            gateway: self.0.settings.gateway.clone(),
            lane: self.0.lane.number,
            sequence: key.sequence,
            slice: key.slice,
        }
    }
}

/// The number of one row of the stream of connections that is not written yet.
#[derive(Debug)]
pub struct PromisedConnection(u64);

impl PromisedConnection {
    /// By which accesses name the row.
    pub fn sequence(&self) -> u64 {
        self.0
    }
}

/// An access whose intent is in the journal.
pub type OpenAccess = Open<AccessRecord>;
/// A connection whose intent is in the journal.
pub type OpenConnection = Open<ConnectionRecord>;

impl Own {
    pub(super) fn stream(&self, stream: Stream) -> &StreamJournal {
        match stream {
            Stream::Accesses => &self.accesses,
            Stream::Connections => &self.connections,
        }
    }

    /// Journals a sealed day key.
    pub(super) fn append_sealed(&self, sealed: &[u8]) -> Result<(), AppendError> {
        let encode = |_, out: &mut Vec<u8>| frame::put(Kind::SealedKey, out, |out| out.extend_from_slice(sealed));
        self.accesses.append(encode, |_| Room::Ask(0))
    }

    /// Where sealed day keys outlive the segments.
    pub(super) fn sealed_folder(&self) -> PathBuf {
        super::sealed::folder(&self.settings.directory)
    }

    /// Counts what lies in the spool: other processes write and delete there too.
    fn recount(&self) {
        let spool = &self.settings.directory;
        self.budget.recount(lane::spool_bytes(&*self.disk, spool));
        let on_disk = self.disk.left(spool).unwrap_or(u64::MAX);
        METRICS.journal_left_bytes.set(on_disk.min(self.budget.left()));
        METRICS.poison_batches.set(Aside::Poison.count(&*self.disk, spool).0);
        METRICS.quarantined_rows.set(Aside::Quarantine.count(&*self.disk, spool).1);
    }

    fn sync(&self) -> io::Result<()> {
        // Both, whatever becomes of the first.
        let accesses = self.accesses.sync();
        accesses.and(self.connections.sync())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for stream in [&self.accesses, &self.connections] {
            if let Err(error) = stream.close() {
                tracing::error!(%error, lane = self.lane.number, "the journal's last segment could not be synced");
            }
        }
    }
}

fn sync_until_dropped(own: &Weak<Own>, demand: &Demand, window: Duration) {
    let mut recounted: Option<Instant> = None;
    loop {
        if !window.is_zero() {
            std::thread::sleep(window);
        }
        let waiters = demand.next(if window.is_zero() { IDLE } else { Duration::ZERO });
        let Some(own) = own.upgrade() else { return };
        let synced = own.sync();
        demand.answer(waiters, synced.is_ok());
        if let Err(error) = synced {
            tracing::error!(%error, lane = own.lane.number, "nothing in the journal is durable at present");
        }
        own.persons.turn(&own);
        if recounted.is_none_or(|at| at.elapsed() >= RECOUNT_EVERY) {
            recounted = Some(Instant::now());
            own.recount();
        }
    }
}

/// Encodes the frame of a record, flagged where the clock is doubtful, stripped where it must be.
pub(super) fn put<R: Journaled>(kind: Kind, key: Key, record: &R, doubtful: bool, out: &mut Vec<u8>) {
    let strip = record.is_help_line() && !record.is_stripped();
    debug_assert!(!strip, "the gateway strips a help-line's record before it hands it over");
    if !doubtful && !strip {
        return frame::put_record(kind, key, out, |out| record.encode(out));
    }
    let mut record = record.clone();
    if doubtful {
        record.flags().insert(crate::access::Flags::CLOCK_DOUBTFUL);
    }
    if strip {
        record.strip();
    }
    frame::put_record(kind, key, out, |out| record.encode(out));
}
