//! The access log as the gateway has it: append, and hold what is open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::budget::Budget;
use super::disk::{Disk, LocalDisk};
use super::error::{AppendError, OpenError};
use super::frame::{self, Gap, Key, Kind};
use super::journaled::Journaled;
use super::lane::{self, Lane};
use super::open::Open;
use super::persons::Persons;
use super::settings::JournalSettings;
use super::stream::StreamJournal;
use super::writer::{Room, Site, Writer};
use crate::access::{AccessRecord, ConnectionRecord, PersonName, Pseudonym, RowKey, Stream};
use crate::clock::Clock;
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
    accesses: StreamJournal,
    connections: StreamJournal,
    persons: Persons,
}

/// How often the spool's size is counted anew, in sync windows: other processes ship and delete too.
const RECOUNT_TURNS: u32 = 50;

impl AccessLog {
    /// Takes a new lane in the spool. Reads none of what lies there but a header per older lane.
    pub fn open(settings: JournalSettings, clock: Clock) -> Result<AccessLog, OpenError> {
        let window = settings.sync_window;
        let log = AccessLog::on_disk(settings, clock, Arc::new(LocalDisk))?;
        let own = Arc::downgrade(&log.0);
        let thread = std::thread::Builder::new().name("journal-sync".into());
        let directory = log.directory().to_owned();
        thread
            .spawn(move || sync_until_dropped(&own, window))
            .map_err(|error| OpenError::Directory { directory, error })?;
        Ok(log)
    }

    /// As [`AccessLog::open`], on any disk, and syncing only when told to.
    pub(super) fn on_disk(settings: JournalSettings, clock: Clock, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let persons = Persons::new(&settings)?;
        let lane = Lane::make(&*disk, &settings.directory, clock.now())?;
        let others = lane::others(&*disk, &settings.directory, lane.number);
        let budget = Arc::new(Budget::new(settings.max_bytes, lane::spool_bytes(&*disk, &settings.directory)));
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
            StreamJournal::new(Writer::new(site, heads.collect(), others.latest), clock.clone())
        };
        let (accesses, connections) = (stream(Stream::Accesses), stream(Stream::Connections));
        Ok(AccessLog(Arc::new(Own { settings, clock, disk, budget, lane, accesses, connections, persons })))
    }

    /// Begins an access: its intent is in the journal before the origin is dialled. The guard writes the completion.
    pub fn begin_access(&self, record: &AccessRecord) -> Result<OpenAccess, AppendError> {
        Open::begin(self.clone(), record)
    }

    /// Begins a connection, in the same way.
    pub fn begin_connection(&self, record: &ConnectionRecord) -> Result<OpenConnection, AppendError> {
        Open::begin(self.clone(), record)
    }

    /// Appends an access that is complete already: a refusal, an answer of our own.
    pub fn append_access(&self, record: &AccessRecord) -> Result<RowKey, AppendError> {
        self.append(record)
    }

    /// Appends a connection that is complete already.
    pub fn append_connection(&self, record: &ConnectionRecord) -> Result<RowKey, AppendError> {
        self.append(record)
    }

    fn append<R: Journaled>(&self, record: &R) -> Result<RowKey, AppendError> {
        let stream = self.stream(R::STREAM);
        let key = Key { sequence: stream.take_sequence(), slice: 0 };
        stream.append(|doubtful, out| put(Kind::Completion, key, record, doubtful, out), |_| Room::Ask(0))?;
        METRICS.records_appended.add(1);
        Ok(self.row_key(key))
    }

    /// Notes that something is missing from the log: traffic that a person allowed while the journal was full, a bypass.
    pub fn append_gap(&self, stream: Stream, gap: &Gap) -> Result<(), AppendError> {
        self.stream(stream).append(|_, out| gap.put(out), |_| Room::Ask(0))
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

fn sync_until_dropped(own: &Weak<Own>, window: Duration) {
    for turn in 0u32.. {
        std::thread::sleep(window);
        let Some(own) = own.upgrade() else { return };
        if let Err(error) = own.sync() {
            tracing::error!(%error, lane = own.lane.number, "nothing in the journal is durable at present");
        }
        own.persons.turn(&own);
        if turn % RECOUNT_TURNS == 0 {
            own.budget.recount(lane::spool_bytes(&*own.disk, &own.settings.directory));
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
