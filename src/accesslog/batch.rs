//! Cuts a stream of a lane into batches, and remembers what the store has of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::aside::{Aside, Dates};
use super::error::ShipError;
use super::frame::{self, Key, Kind, split_record};
use super::inspect::row;
use super::lane::segment_name;
use super::ledger::{Cut, Ledger};
use super::log::AccessLog;
use super::owner::Owner;
use super::proof::Proofs;
use super::reading::{Damage, Place, Reading, Report};
use super::recovery;
use super::settings::ShipSettings;
use super::told;
use super::writer::{Extent, Extents};
use crate::access::encoding::DecodeError;
use crate::access::{Gap, GapRow, Row, RowKey, Timestamp};
use crate::metrics::METRICS;
use crate::store::{Batch, BatchToken};

/// Cuts one stream of one lane.
pub(super) struct Cutter {
    reading: Reading,
    owner: Owner,
    ledger: Ledger,
    /// Where the lane is this process's own: gaps are appended to it.
    log: Option<AccessLog>,
    /// Up to where it has been read.
    place: Place,
    /// Where the intents lie that have no completion yet.
    open: HashMap<Key, u32>,
    /// Damaged segments that somebody was told of.
    told: HashSet<u32>,
    /// Those of them that no gap record tells of yet.
    untold: Vec<Damage>,
    /// Gaps that were told, about whatever.
    gaps: Vec<Gap>,
    /// A dead lane has a segment more than it had: a gap was told in it.
    pub longer: Option<Extents>,
}

/// A batch and what the ledger calls it.
pub(super) struct Next {
    pub batch: Batch,
    /// Rows that the store would not keep, for their dates.
    strange: Vec<Row>,
    cut: Cut,
}

impl Next {
    /// Rows of the lane that are done with when it is acknowledged.
    pub(super) fn rows(&self) -> u64 {
        self.cut.last + 1 - self.cut.first
    }
}

/// The most bytes of records in a batch: far under what a store takes in one insert.
const BATCH_BYTES: u64 = 32 << 20;

/// Rows as they are read, with what could not be read as one.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    gaps: Vec<GapRow>,
    newer: Option<u8>,
}

impl Rows {
    fn len(&self) -> usize {
        self.rows.len() + self.gaps.len()
    }
}

impl Cutter {
    pub(super) fn new(reading: Reading, owner: Owner, ledger: Ledger, log: Option<AccessLog>) -> Self {
        let place = ledger.state().acked.place;
        let (open, told) = (HashMap::new(), HashSet::new());
        let (untold, gaps) = (Vec::new(), Vec::new());
        Cutter { reading, owner, ledger, log, place, open, told, untold, gaps, longer: None }
    }

    /// The next batch: the one that was cut and never acknowledged, or a new one, noted in the ledger before it is
    /// sent. What it does not hold was told before: damage, and rows in quarantine. `None`: there is nothing to send.
    pub(super) fn next(
        &mut self,
        extents: &[(u32, Extent)],
        settings: &ShipSettings,
        now: Timestamp,
    ) -> Result<Option<Next>, ShipError> {
        self.ledger.settle().map_err(|error| self.wrong(error))?;
        let next = match self.ledger.state().pending {
            Some(cut) => self.again(extents, cut, settings.dates).map(Some),
            None => self.cut(extents, settings, now),
        }?;
        self.tell_damage(now)?;
        if let Some(next) = &next {
            self.quarantine(next, now)?;
        }
        Ok(next)
    }

    fn again(&mut self, extents: &[(u32, Extent)], cut: Cut, dates: Dates) -> Result<Next, ShipError> {
        let mut rows = Rows::default();
        let reading = self.reading.clone();
        let report = reading.read(extents, cut.from, &mut |met| {
            if met.place > cut.to {
                return ControlFlow::Break(());
            }
            self.meet(&mut rows, met.kind, met.payload, met.place.segment);
            if met.place == cut.to { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.note(&report, &rows)?;
        let found = rows.len() as u64;
        if found != cut.last + 1 - cut.first {
            tracing::error!(lane = self.reading.lane, stream = %self.reading.stream, found, expected = cut.last + 1 - cut.first,
                "a batch that was cut before has lost rows: its segments are damaged");
        }
        self.place = cut.to;
        Ok(self.name(rows, cut, dates))
    }

    fn cut(
        &mut self,
        extents: &[(u32, Extent)],
        settings: &ShipSettings,
        now: Timestamp,
    ) -> Result<Option<Next>, ShipError> {
        let (mut rows, mut bytes, from) = (Rows::default(), 0, self.place);
        let reading = self.reading.clone();
        let report = reading.read(extents, from, &mut |met| {
            self.meet(&mut rows, met.kind, met.payload, met.place.segment);
            bytes += met.payload.len() as u64;
            if rows.len() >= settings.batch_rows || bytes >= BATCH_BYTES {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        self.note(&report, &rows)?;
        if rows.len() == 0 {
            self.place = report.place;
            return Ok(None);
        }
        let first = self.ledger.state().acked.last + 1;
        let last = first + rows.len() as u64 - 1;
        let cut = Cut { first, last, from, to: report.place, at: now };
        self.ledger.cut(cut).map_err(|error| self.wrong(error))?;
        self.place = report.place;
        Ok(Some(self.name(rows, cut, settings.dates)))
    }

    fn name(&self, rows: Rows, cut: Cut, dates: Dates) -> Next {
        let Reading { lane, stream, .. } = self.reading;
        let token = BatchToken { gateway: self.owner.gateway.clone(), lane, stream, first: cut.first, last: cut.last };
        let (kept, strange) = rows.rows.into_iter().partition(|row| dates.keep(stream, row.start(), cut.at));
        Next { batch: Batch { token, rows: kept, gaps: rows.gaps }, strange, cut }
    }

    fn meet(&mut self, rows: &mut Rows, kind: Kind, payload: &[u8], segment: u32) {
        match (kind, split_record(payload)) {
            (Kind::Intent, Some((key, _))) => {
                self.open.insert(key, segment);
            }
            (Kind::Completion, Some((key, record))) => {
                self.open.remove(&key);
                match self.row(key, record) {
                    Ok(row) => rows.rows.push(row),
                    Err(DecodeError::Version(version)) => rows.newer = Some(version),
                    // Its checksum was right: it was written so, and cannot be read by anybody.
                    Err(error) => tracing::error!(%error, lane = self.reading.lane, sequence = key.sequence,
                        "a completion in the journal is no record: a fault of the program that wrote it"),
                }
            }
            (Kind::Gap, _) => rows.gaps.extend(frame::read_gap(payload).map(|gap| self.gap_row(gap))),
            _ => {}
        }
    }

    fn gap_row(&self, gap: Gap) -> GapRow {
        let Owner { college, gateway, .. } = self.owner.clone();
        GapRow { college, gateway, lane: self.reading.lane, stream: self.reading.stream, gap }
    }

    fn row(&self, key: Key, record: &[u8]) -> Result<Row, DecodeError> {
        let key = RowKey {
            college: self.owner.college.clone(),
            gateway: self.owner.gateway.clone(),
            lane: self.reading.lane,
            sequence: key.sequence,
            slice: key.slice,
        };
        row(self.reading.stream, key, record)
    }

    /// Notes what could not be read, once per segment. What a newer program wrote is left for it.
    fn note(&mut self, report: &Report, rows: &Rows) -> Result<(), ShipError> {
        for damage in &report.damage {
            if self.told.insert(damage.segment) {
                self.untold.push(*damage);
                tracing::error!(lane = self.reading.lane, stream = %self.reading.stream, segment = damage.segment,
                    bytes = damage.bytes, frames = damage.frames,
                    "a segment of the journal is damaged: the records in these bytes are lost, all others are kept");
            }
        }
        match rows.newer {
            Some(version) => Err(ShipError::Newer { path: self.reading.folder.clone(), version: version.into() }),
            None => Ok(()),
        }
    }

    /// Damage that was met is told before anything is sent that came behind it.
    fn tell_damage(&mut self, now: Timestamp) -> Result<(), ShipError> {
        while let Some(damage) = self.untold.last() {
            let gap = match &self.log {
                Some(log) => told::damage(damage, log.0.opened, now),
                None => self.reading.dead_extents()?.1.around(damage, &self.owner, now),
            };
            self.tell(gap, now)?;
            self.untold.pop();
        }
        Ok(())
    }

    /// Sets aside what the store would not keep, and tells of it.
    fn quarantine(&mut self, next: &Next, now: Timestamp) -> Result<(), ShipError> {
        if next.strange.is_empty() {
            return Ok(());
        }
        self.put_aside(Aside::Quarantine, &next.batch.token, (&next.strange, &[]), now)?;
        let between = (self.owner.since, now);
        let gap = told::quarantine(&next.batch.token, next.cut.to.segment, &next.strange, between);
        if self.tell(gap, now)? {
            METRICS.quarantined_rows.up_by(next.strange.len() as u64);
            tracing::error!(token = %next.batch.token, rows = next.strange.len(),
                "rows bear dates that cannot be right: they are set aside in the spool's folder `quarantine`; check the clock");
        }
        Ok(())
    }

    /// Puts a batch that no store will take where a person finds it, and tells of it.
    pub(super) fn refused(&mut self, next: &Next, why: &str, now: Timestamp) -> Result<(), ShipError> {
        let Batch { token, rows, gaps } = &next.batch;
        self.put_aside(Aside::Poison, token, (rows, gaps), now)?;
        let gap = told::refusal(token, next.cut.to.segment, rows, now, why);
        if self.tell(gap, now)? {
            METRICS.poison_batches.up();
        }
        Ok(())
    }

    fn put_aside(
        &self,
        aside: Aside,
        token: &BatchToken,
        what: (&[Row], &[GapRow]),
        now: Timestamp,
    ) -> Result<(), ShipError> {
        let Reading { disk, folder, .. } = &self.reading;
        let spool = folder.parent().unwrap_or(folder);
        let put = aside.put(&**disk, spool, token, &self.owner, now, what);
        put.map_err(|error| ShipError::Read { path: aside.folder(spool), error })
    }

    /// Tells of a gap, durably and once; answers whether it had not been told before.
    fn tell(&mut self, gap: Gap, now: Timestamp) -> Result<bool, ShipError> {
        if self.gaps.iter().any(|known| told::is_same(known, &gap)) {
            return Ok(false);
        }
        let is_new = match &self.log {
            Some(log) => {
                log.tell(self.reading.stream, &gap).map_err(|error| self.wrong(io::Error::other(error)))?;
                true
            }
            None => {
                let is_new = recovery::tell(&self.reading, &self.owner, &gap, now)?;
                if is_new {
                    self.longer = Some(self.reading.dead_extents()?.0);
                }
                if let Some(rows) = self.ledger.state().recovered.filter(|_| is_new) {
                    self.ledger.recovered(rows + 1).map_err(|error| self.wrong(error))?;
                }
                is_new
            }
        };
        self.gaps.push(gap);
        Ok(is_new)
    }

    /// The store has the batch.
    pub(super) fn acknowledge(&mut self, next: &Next, at: Timestamp) -> Result<(), ShipError> {
        self.ledger.ack(next.cut.last, next.cut.to, at).map_err(|error| self.wrong(error))
    }

    /// Segments that need not be kept: the store has had what is in them for long enough, and every intent in them is
    /// completed. Always the oldest first, so that what is left never begins with a completion whose intent is open.
    pub(super) fn forgettable(&mut self, extents: &[(u32, Extent)], now: Timestamp, keep: Duration) -> Vec<u32> {
        let oldest_open = self.open.values().copied().min().unwrap_or(u32::MAX);
        let is_forgettable = |(segment, extent): &&(u32, Extent)| {
            extent.is_final && *segment < oldest_open && self.ledger.state().has_passed(*segment, now, keep)
        };
        let segments: Vec<u32> = extents.iter().take_while(is_forgettable).map(|(segment, _)| *segment).collect();
        // A batch whose acknowledgement a power cut could take is sent again, from these segments.
        if !segments.is_empty()
            && let Err(error) = self.ledger.make_durable()
        {
            tracing::warn!(%error, lane = self.reading.lane, "shipped segments are kept until the ledger can be synced");
            return Vec::new();
        }
        segments
    }

    /// The rows of a segment that the store was sent and still keeps.
    pub(super) fn rows_kept(
        &self,
        (segment, extent): (u32, Extent),
        dates: Dates,
        now: Timestamp,
    ) -> Result<Vec<Row>, ShipError> {
        // What was strange when the segment was begun is in quarantine; what expires within two days may be gone.
        let opened = self.reading.header(segment)?.map_or(now, |(header, _)| header.opened);
        let soon = now.plus(Duration::from_secs(2 * 86_400));
        let (stream, mut rows) = (self.reading.stream, Vec::new());
        self.reading.read(&[(segment, extent)], Place { segment, offset: 0 }, &mut |met| {
            if let (Kind::Completion, Some((key, record))) = (met.kind, split_record(met.payload)) {
                rows.extend(self.row(key, record));
            }
            ControlFlow::Continue(())
        })?;
        rows.retain(|row| [opened, soon].iter().all(|at| dates.keep(stream, row.start(), *at)));
        Ok(rows)
    }

    /// Seals every segment that nobody writes any more and that was shipped whole, oldest first.
    pub(super) fn seal(&mut self, proofs: &Proofs, extents: &[(u32, Extent)]) -> Result<(), ShipError> {
        let state = self.ledger.state();
        let place = if state.pending.is_some() { state.acked.place } else { self.place };
        let is_shipped = |(segment, extent): &&(u32, Extent)| {
            let is_read = Place { segment: *segment, offset: extent.readable } <= place;
            extent.is_final && is_read
        };
        let sealed = state.sealed;
        let due: Vec<_> = extents.iter().take_while(is_shipped).filter(|(segment, _)| *segment > sealed).collect();
        for (segment, extent) in due {
            proofs.seal(&self.reading, &self.owner, *segment, *extent)?;
            self.ledger.sealed(*segment).map_err(|error| self.wrong(error))?;
        }
        Ok(())
    }

    /// The last segment that has its root.
    pub(super) fn sealed(&self) -> u32 {
        self.ledger.state().sealed
    }

    /// Removes a segment, durably before the next one goes: one that a power cut brought back without those that complete
    /// its intents would be recovered again. Answers its size.
    pub(super) fn forget(&self, segment: u32) -> io::Result<u64> {
        let path = self.reading.folder.join(segment_name(self.reading.stream, segment));
        let (disk, is_gone) = (&self.reading.disk, |error: &io::Error| error.kind() == io::ErrorKind::NotFound);
        let size = match disk.size(&path) {
            Ok(size) => {
                disk.remove(&path)?;
                size
            }
            // Removed before, but perhaps not durably.
            Err(error) if is_gone(&error) => 0,
            Err(error) => return Err(error),
        };
        disk.sync_dir(&self.reading.folder)?;
        Ok(size)
    }

    /// Nothing in the lane is older.
    pub(super) fn since(&self) -> Timestamp {
        self.owner.since
    }

    /// Rows that the store has.
    pub(super) fn acked(&self) -> u64 {
        self.ledger.state().acked.last
    }

    /// Since when the store has everything up to there.
    pub(super) fn acked_at(&self) -> Timestamp {
        self.ledger.state().acked.at
    }

    /// Bytes that the store has not.
    pub(super) fn unshipped_bytes(&self, extents: &[(u32, Extent)]) -> u64 {
        let state = self.ledger.state();
        let place = if state.pending.is_some() { state.acked.place } else { self.place };
        let left = |(segment, extent): &(u32, Extent)| match segment.cmp(&place.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => extent.readable.saturating_sub(place.offset),
            std::cmp::Ordering::Greater => extent.readable,
        };
        extents.iter().map(left).sum()
    }

    fn wrong(&self, error: io::Error) -> ShipError {
        ShipError::Read { path: self.reading.folder.clone(), error }
    }
}
