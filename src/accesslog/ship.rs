//! Brings what is in the journal into the store: the own lane as it grows, and lanes that nobody holds any more.
//!
//! A batch is cut once, noted in the lane's ledger, and sent again, the same, until the store acknowledges it. Traffic
//! waits for none of this; files are read and synced on blocking threads.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use self::dead::DeadLanes;
use self::forget::{Forgotten, forget};
use self::send::{Patience, Sent, send};
use super::batch::Cutter;
use super::compress::Compressor;
use super::disk::LocalDisk;
use super::error::ShipError;
use super::ledger::Ledger;
use super::log::AccessLog;
use super::owner::Owner;
use super::reading::Reading;
use super::settings::ShipSettings;
use super::writer::{Extent, Extents};
use crate::access::{Stream, Timestamp};
use crate::clock::Clock;
use crate::metrics::METRICS;
use crate::store::RecordStore;

pub(super) mod dead;
mod forget;
pub(super) mod send;

/// How often the spool is searched for lanes that nobody holds.
const DEAD_LANES_EVERY: Duration = Duration::from_secs(10);
/// Batches of one stream before the next has its turn: a long backlog does not keep what is new waiting.
const BATCHES_A_TURN: usize = 4;

/// What came of bringing dead lanes into the store.
#[derive(Debug, Default)]
pub struct Shipped {
    pub lanes: usize,
    pub rows: u64,
    /// Rows that end `interrupted` because their process died.
    pub interrupted: u64,
    /// Segments that hold bytes which cannot be read.
    pub damaged: u64,
    /// What was damaged, and lanes that could not be brought in, which stay; the first hundred.
    pub problems: Vec<ShipError>,
}

/// Ships until told to stop, then what there is once more. Everything acknowledged is deleted when it was kept for
/// long enough.
pub async fn ship<S: RecordStore>(log: AccessLog, store: &S, settings: ShipSettings, mut stop: watch::Receiver<bool>) {
    let mut own: Vec<OwnStream> = Vec::new();
    // Connections first: an access that is found leads to its connection.
    for stream in [Stream::Connections, Stream::Accesses] {
        match OwnStream::new(&log, stream) {
            Ok(stream) => own.push(stream),
            Err(error) => tracing::error!(%error, "the own lane cannot be shipped; the next start ships it"),
        }
    }
    let mut dead = DeadLanes::new(log.0.disk.clone(), log.directory().to_owned(), Some(log.lane()));
    let compressor = Arc::new(Mutex::new(Compressor::new(log.clone())));
    let mut searched: Option<Timestamp> = None;
    loop {
        let is_last = *stop.borrow() || stop.has_changed().is_err();
        let settings = settings.clone().with_room(log.0.budget.is_half_empty());
        let mut patience = if is_last { Patience::tries(0) } else { Patience::until(stop.clone(), compressor.clone()) };
        compressor.lock().unwrap_or_else(PoisonError::into_inner).held = dead.held();
        let mut is_more = false;
        for stream in &mut own {
            is_more |= stream.turn(&log, store, &settings, &mut patience, is_last).await;
        }
        let now = log.0.clock.now();
        if !is_last {
            if searched.is_none_or(|at| now < at || now.since(at) >= DEAD_LANES_EVERY) {
                searched = Some(now);
                dead.search().await;
            }
            is_more |= dead.turn(store, &settings, &log.0.clock, &mut patience).await;
        }
        report(&log, &own, &dead);
        if is_last && !is_more {
            return;
        }
        if !is_more {
            patience.pause(settings.interval).await;
        }
        // A signal that came meanwhile is seen at the top.
        let _ = stop.borrow_and_update();
    }
}

/// Brings the lanes that nobody holds into the store: what a killed gateway left is found by the next search.
pub async fn ship_dead_lanes<S: RecordStore>(directory: &Path, store: &S, settings: &ShipSettings) -> Shipped {
    let mut lanes = DeadLanes::new(Arc::new(LocalDisk), directory.to_owned(), None);
    lanes.search().await;
    // Somebody waits for the answer.
    let mut patience = Patience::tries(3);
    while lanes.turn(store, settings, &Clock::System, &mut patience).await {}
    lanes.into_shipped()
}

fn report(log: &AccessLog, own: &[OwnStream], dead: &DeadLanes) {
    // Asked before the counting: what ends meanwhile is counted, or ends later than it says.
    let now = log.0.clock.now();
    let rows = own.iter().map(|stream| stream.backlog_rows(log)).sum::<u64>() + dead.backlog_rows();
    let micros = u64::try_from(now.as_micros()).unwrap_or(0);
    if rows == 0 && !dead.is_behind() {
        METRICS.shipped_up_to_us.set(micros);
    }
    // Nothing older waits: it came after the last time that nothing waited, or after this process began.
    let began = u64::try_from(log.0.opened.as_micros()).unwrap_or(0);
    let oldest = dead.oldest_us().unwrap_or(METRICS.shipped_up_to_us.value().max(began));
    METRICS.backlog_age_s.set(if rows == 0 { 0 } else { micros.saturating_sub(oldest) / 1_000_000 });
    let bytes = own.iter().map(|stream| stream.backlog_bytes(log)).sum::<u64>() + dead.backlog_bytes();
    METRICS.backlog_rows.set(rows);
    METRICS.backlog_bytes.set(bytes);
}

/// A stream of the own lane.
pub(super) struct OwnStream {
    stream: Stream,
    /// Away only while a blocking thread has it.
    cutter: Option<Cutter>,
}

impl OwnStream {
    pub(super) fn new(log: &AccessLog, stream: Stream) -> Result<Self, ShipError> {
        let own = &log.0;
        let folder = own.lane.folder.clone();
        let ledger = Ledger::read(&own.disk, &folder, stream)
            .map_err(|error| ShipError::Read { path: folder.clone(), error })?;
        let reading = Reading { disk: own.disk.clone(), folder, lane: own.lane.number, stream };
        let settings = &own.settings;
        let owner = Owner { college: settings.college.clone(), gateway: settings.gateway.clone(), since: own.opened };
        let cutter = Cutter::new(reading, owner, ledger, Some(log.clone()));
        Ok(OwnStream { stream, cutter: Some(cutter) })
    }

    /// Ships a few batches; answers whether there is more to ship at once.
    pub(super) async fn turn<S: RecordStore>(
        &mut self,
        log: &AccessLog,
        store: &S,
        settings: &ShipSettings,
        patience: &mut Patience,
        is_last: bool,
    ) -> bool {
        let Some(cutter) = self.cutter.take() else { return false };
        let (log, stream) = (log.clone(), self.stream);
        let extents = blocking({
            let log = log.clone();
            move || {
                if is_last && let Err(error) = log.stream(stream).close() {
                    tracing::error!(%error, "what was appended last cannot be synced, and so not shipped");
                }
                // Nobody appends at night: what was written last would have no root until the morning.
                if let Err(error) = log.stream(stream).close_if_due() {
                    tracing::error!(%error, "a segment whose time is over cannot be synced, and so not sealed");
                }
                log.stream(stream).writer().extents()
            }
        })
        .await;
        let turn = turn(cutter, extents, store, settings, &log.0.clock, patience).await;
        if let Err(error) = &turn.result {
            tracing::error!(%error, "the own lane cannot be shipped at present");
        }
        let is_more = matches!(turn.result, Ok(ControlFlow::Continue(())));
        for (segment, bytes) in turn.forgotten {
            log.stream(stream).writer().forget(segment);
            log.0.budget.removed(bytes);
        }
        self.cutter = Some(turn.cutter);
        is_more
    }

    fn backlog_rows(&self, log: &AccessLog) -> u64 {
        let acked = self.cutter.as_ref().map_or(0, Cutter::acked);
        log.stream(self.stream).writer().rows().saturating_sub(acked)
    }

    fn backlog_bytes(&self, log: &AccessLog) -> u64 {
        let extents = log.stream(self.stream).writer().extents();
        self.cutter.as_ref().map_or(0, |cutter| cutter.unshipped_bytes(&extents))
    }
}

/// What became of a turn.
struct Turn {
    cutter: Cutter,
    rows: u64,
    /// Segments that were deleted, with their sizes.
    forgotten: Vec<(u32, u64)>,
    /// Break: nothing more to ship at present.
    result: Result<ControlFlow<()>, ShipError>,
}

/// Ships up to [`BATCHES_A_TURN`] batches of one stream of one lane and deletes what need not be kept.
async fn turn<S: RecordStore>(
    mut cutter: Cutter,
    extents: Extents,
    store: &S,
    settings: &ShipSettings,
    clock: &Clock,
    patience: &mut Patience,
) -> Turn {
    let extents: Arc<[(u32, Extent)]> = extents.into();
    let (mut rows, mut result) = (0, Ok(ControlFlow::Continue(())));
    for _ in 0..BATCHES_A_TURN {
        let shared = extents.clone();
        let (cut, now) = (settings.clone(), clock.now());
        let next;
        (cutter, next) = blocking(move || {
            let next = cutter.next(&shared, &cut, now);
            (cutter, next)
        })
        .await;
        let next = match next {
            Ok(Some(next)) => next,
            Ok(None) => {
                result = Ok(ControlFlow::Break(()));
                break;
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        // What is all set aside needs no store.
        let is_empty = next.batch.rows.is_empty() && next.batch.gaps.is_empty();
        let sent = if is_empty { Sent::Stored } else { send(store, &next.batch, settings, patience).await };
        let now = clock.now();
        let (shipped, count) = ((next.batch.rows.len() + next.batch.gaps.len()) as u64, next.rows());
        if let Sent::GivenUp(error) = sent {
            result = Err(error.into());
            break;
        }
        let is_refused = matches!(sent, Sent::Refused(_));
        let noted;
        (cutter, noted) = blocking(move || {
            let aside = if let Sent::Refused(why) = &sent { cutter.refused(&next, why, now) } else { Ok(()) };
            let noted = aside.and_then(|()| cutter.acknowledge(&next, now));
            (cutter, noted)
        })
        .await;
        if let Err(error) = noted {
            result = Err(error);
            break;
        }
        METRICS.acknowledged_us.set(u64::try_from(now.as_micros()).unwrap_or(0));
        METRICS.rows_shipped.add(if is_refused { 0 } else { shipped });
        rows += count;
    }
    if let Some(proofs) = settings.proofs.clone() {
        let shared = extents.clone();
        let outcome;
        (cutter, outcome) = blocking(move || {
            let outcome = cutter.seal(&proofs, &shared);
            (cutter, outcome)
        })
        .await;
        if let (Ok(_), Err(error)) = (&result, outcome) {
            result = Err(error);
        }
    }
    let Forgotten { cutter, segments, result: more } = forget(cutter, &extents, store, settings, clock.now()).await;
    match (&result, more) {
        (Ok(ControlFlow::Break(())), Err(error)) => result = Err(error),
        // What is new goes on; the segments are asked for again.
        (Ok(ControlFlow::Continue(())), Err(error)) => tracing::warn!(%error, "shipped segments stay in the journal"),
        (Ok(ControlFlow::Break(())), Ok(true)) => result = Ok(ControlFlow::Continue(())),
        _ => {}
    }
    Turn { cutter, rows, forgotten: segments, result }
}

/// Runs what touches the disk beside the runtime. A panic there goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
