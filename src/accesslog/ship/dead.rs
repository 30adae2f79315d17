//! Lanes that nobody holds: recovered, shipped, and removed when they were kept for long enough.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::batch::Cutter;
use super::super::disk::Disk;
use super::super::error::ShipError;
use super::super::lane::{self, Lane};
use super::super::ledger::Ledger;
use super::super::owner::Owner;
use super::super::reading::{Damage, Reading};
use super::super::recovery::recover;
use super::super::settings::ShipSettings;
use super::super::writer::Extents;
use super::forget::confirm;
use super::send::Patience;
use super::{Shipped, blocking, turn};
use crate::access::{Stream, Timestamp};
use crate::clock::Clock;
use crate::store::RecordStore;

/// More are not kept in memory; each is in the log.
const PROBLEMS_MAX: usize = 100;

/// The dead lanes of a spool, shipped one after the other.
pub(in crate::accesslog) struct DeadLanes {
    disk: Arc<dyn Disk>,
    spool: PathBuf,
    own: Option<u64>,
    waiting: VecDeque<u64>,
    present: Option<DeadLane>,
    /// Lanes that wait for the end of the time that they are kept.
    kept: HashMap<u64, Timestamp>,
    /// Lanes that somebody has been told about.
    troubled: HashSet<u64>,
    shipped: Shipped,
}

/// One of them, its lock held.
struct DeadLane {
    lane: Lane,
    streams: VecDeque<DeadStream>,
    /// Those of which the store has everything.
    done: Vec<DeadStream>,
    /// When the store had everything.
    acked_at: Timestamp,
    backlog_rows: u64,
    interrupted: u64,
    damaged: Vec<(Stream, Damage)>,
}

struct DeadStream {
    cutter: Cutter,
    extents: Extents,
}

impl DeadLanes {
    pub(in crate::accesslog) fn new(disk: Arc<dyn Disk>, spool: PathBuf, own: Option<u64>) -> Self {
        DeadLanes {
            disk,
            spool,
            own,
            waiting: VecDeque::new(),
            present: None,
            kept: HashMap::new(),
            troubled: HashSet::new(),
            shipped: Shipped::default(),
        }
    }

    /// Looks which lanes there are, oldest first.
    pub(in crate::accesslog) async fn search(&mut self) {
        let (disk, spool) = (self.disk.clone(), self.spool.clone());
        let numbers = blocking(move || lane::numbers(&*disk, &spool)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the spool cannot be searched for lanes");
            Vec::new()
        });
        let present = self.present.as_ref().map(|present| present.lane.number);
        let is_waiting = |number: &u64| Some(*number) != self.own && Some(*number) != present;
        self.waiting = numbers.into_iter().filter(|n| is_waiting(n) && !self.troubled.contains(n)).collect();
    }

    /// Ships a few batches of a lane, or takes the next; answers whether there is more to do at once.
    pub(in crate::accesslog) async fn turn<S: RecordStore>(
        &mut self,
        store: &S,
        settings: &ShipSettings,
        clock: &Clock,
        patience: &mut Patience,
    ) -> bool {
        let now = clock.now();
        let Some(mut dead) = self.present.take() else { return self.take_next(settings, now).await };
        let number = dead.lane.number;
        let Some(stream) = dead.streams.pop_front() else {
            return self.finish(dead, store, settings, now).await;
        };
        let turn = turn(stream.cutter, stream.extents.clone(), store, settings, clock, patience).await;
        self.shipped.rows += turn.rows;
        dead.backlog_rows = dead.backlog_rows.saturating_sub(turn.rows);
        match turn.result {
            Ok(flow) => {
                let (mut cutter, mut extents) = (turn.cutter, stream.extents);
                let longer = cutter.longer.take();
                let is_more = longer.is_some() || flow.is_continue();
                extents = longer.unwrap_or(extents);
                extents.retain(|(segment, _)| !turn.forgotten.iter().any(|(gone, _)| gone == segment));
                if is_more {
                    dead.streams.push_front(DeadStream { cutter, extents });
                } else {
                    dead.acked_at = dead.acked_at.max(cutter.acked_at());
                    dead.done.push(DeadStream { cutter, extents });
                }
                self.present = Some(dead);
                true
            }
            // The store's fault, not the lane's: it stays in the spool and is tried at the next search.
            Err(error @ (ShipError::Store(_) | ShipError::Proof(_) | ShipError::Unconfirmed(_))) => {
                tracing::warn!(%error, lane = number, "a lane that nobody holds is not in the store yet");
                self.problem(error);
                self.waiting.clear();
                false
            }
            Err(error) => {
                self.trouble(number, error);
                true
            }
        }
    }

    fn trouble(&mut self, number: u64, error: ShipError) {
        tracing::error!(%error, lane = number, "a lane that nobody holds cannot be shipped: it stays in the spool");
        self.troubled.insert(number);
        self.problem(error);
    }

    fn problem(&mut self, problem: ShipError) {
        if self.shipped.problems.len() < PROBLEMS_MAX {
            self.shipped.problems.push(problem);
        }
    }

    async fn take_next(&mut self, settings: &ShipSettings, now: Timestamp) -> bool {
        let Some(number) = self.waiting.pop_front() else { return false };
        if self.kept.get(&number).is_some_and(|at| now >= *at && now.since(*at) < settings.keep) {
            return true;
        }
        let (disk, spool) = (self.disk.clone(), self.spool.clone());
        match blocking(move || DeadLane::take(&disk, &spool, number, now)).await {
            Ok(Some(dead)) => {
                if dead.interrupted > 0 {
                    tracing::warn!(
                        lane = number,
                        rows = dead.interrupted,
                        "a gateway had died: what it had open is completed as interrupted"
                    );
                }
                self.shipped.interrupted += dead.interrupted;
                self.shipped.damaged += dead.damaged.len() as u64;
                let folder = dead.lane.folder.clone();
                for (stream, damage) in dead.damaged.iter() {
                    let path = folder.join(lane::segment_name(*stream, damage.segment));
                    self.problem(ShipError::Damaged { path, bytes: damage.bytes });
                }
                self.present = Some(dead);
            }
            Ok(None) => {}
            Err(error) => self.trouble(number, error),
        }
        true
    }

    /// Everything of the lane is in the store; answers whether to go on with the next.
    async fn finish<S: RecordStore>(
        &mut self,
        mut dead: DeadLane,
        store: &S,
        settings: &ShipSettings,
        now: Timestamp,
    ) -> bool {
        self.shipped.lanes += 1;
        let number = dead.lane.number;
        if now.since(dead.acked_at) < settings.keep {
            self.kept.insert(number, dead.acked_at);
            return true;
        }
        // What is left goes with the folder.
        for DeadStream { mut cutter, extents } in std::mem::take(&mut dead.done) {
            for segment in extents {
                let confirmed;
                (cutter, confirmed) = confirm(cutter, segment, store, settings, now).await;
                if let Err(error) = confirmed {
                    tracing::warn!(%error, lane = number, "a lane that nobody holds stays in the spool");
                    self.problem(error);
                    self.waiting.clear();
                    return false;
                }
            }
        }
        self.kept.remove(&number);
        let disk = self.disk.clone();
        if let Err(error) = blocking(move || dead.lane.remove(&*disk)).await {
            tracing::warn!(%error, lane = number, "a shipped lane could not be removed");
        }
        true
    }

    /// Whether some lane is not in the store: one that waits its turn, is at work, or needs a person.
    pub(super) fn is_behind(&self) -> bool {
        self.present.is_some() || !self.waiting.is_empty() || !self.troubled.is_empty()
    }

    /// The lane at work: its lock is ours.
    pub(super) fn held(&self) -> Option<u64> {
        self.present.as_ref().map(|present| present.lane.number)
    }

    /// When the lane at work was made.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        let streams = &self.present.as_ref()?.streams;
        streams.iter().filter_map(|stream| u64::try_from(stream.cutter.since().as_micros()).ok()).min()
    }

    pub(super) fn backlog_rows(&self) -> u64 {
        self.present.as_ref().map_or(0, |dead| dead.backlog_rows)
    }

    pub(super) fn backlog_bytes(&self) -> u64 {
        let streams = self.present.iter().flat_map(|dead| &dead.streams);
        streams.map(|stream| stream.cutter.unshipped_bytes(&stream.extents)).sum()
    }

    pub(in crate::accesslog) fn into_shipped(self) -> Shipped {
        self.shipped
    }
}

impl DeadLane {
    fn take(
        disk: &Arc<dyn Disk>,
        spool: &std::path::Path,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<DeadLane>, ShipError> {
        let wrong = |error| ShipError::Read { path: spool.to_owned(), error };
        let Some(lane) = Lane::take_dead(&**disk, spool, number).map_err(wrong)? else { return Ok(None) };
        let mut dead = DeadLane {
            streams: VecDeque::new(),
            done: Vec::new(),
            acked_at: Timestamp::from_micros(i64::MIN),
            backlog_rows: 0,
            interrupted: 0,
            damaged: Vec::new(),
            lane,
        };
        let dead_folder = dead.lane.folder.clone();
        let reading = |stream| Reading { disk: disk.clone(), folder: dead_folder.clone(), lane: number, stream };
        let readings = [Stream::Connections, Stream::Accesses].map(reading);
        let owner = owner_of(&readings)?;
        for reading in readings {
            let mut ledger = Ledger::read(disk, &dead.lane.folder, reading.stream).map_err(wrong)?;
            dead.backlog_rows += dead.recover(&reading, owner.as_ref(), &mut ledger, now)?;
            let (extents, _) = reading.dead_extents()?;
            if !extents.is_empty() {
                let owner = owner.clone().ok_or_else(|| ShipError::Nameless(reading.folder.clone()))?;
                dead.streams.push_back(DeadStream { cutter: Cutter::new(reading, owner, ledger, None), extents });
            }
        }
        Ok(Some(dead))
    }

    /// Recovers a stream unless that was done before; answers how many rows the store has not.
    fn recover(
        &mut self,
        reading: &Reading,
        owner: Option<&Owner>,
        ledger: &mut Ledger,
        now: Timestamp,
    ) -> Result<u64, ShipError> {
        let rows = match ledger.state().recovered {
            Some(rows) => rows,
            None => {
                let recovered = recover(reading, owner, ledger.state().acked.place.segment, now)?;
                self.interrupted += recovered.interrupted;
                self.damaged.extend(recovered.damage.iter().map(|damage| (reading.stream, *damage)));
                let noted = ledger.recovered(recovered.rows);
                noted.map_err(|error| ShipError::Read { path: reading.folder.clone(), error })?;
                recovered.rows
            }
        };
        Ok(rows.saturating_sub(ledger.state().acked.last))
    }
}

/// Whose the lane is: as its file says, or else any header in it.
fn owner_of(readings: &[Reading]) -> Result<Option<Owner>, ShipError> {
    let said = readings.first().and_then(|reading| Owner::read(&*reading.disk, &reading.folder));
    let mut headers = readings.iter().map(Reading::dead_extents);
    match said {
        Some(owner) => Ok(Some(owner)),
        None => headers.try_fold(None, |known, headers| Ok(known.or(headers?.1.owner))),
    }
}
