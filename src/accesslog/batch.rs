//! Cuts a stream of a lane into batches, and remembers what the store has of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::disk::write_aside;
use super::error::ShipError;
use super::frame::{self, Key, Kind, Seed, split_record};
use super::header::Header;
use super::journaled::Journaled;
use super::lane::segment_name;
use super::ledger::{Cut, Ledger};
use super::reading::{Place, Reading, Report};
use super::writer::Extent;
use crate::access::encoding::{Canonical, DecodeError};
use crate::access::{AccessRecord, CollegeCode, ConnectionRecord, GatewayName, Row, RowKey, Stream, Timestamp};
use crate::store::{Batch, BatchToken};

/// Cuts one stream of one lane.
pub(super) struct Cutter {
    reading: Reading,
    college: CollegeCode,
    gateway: GatewayName,
    ledger: Ledger,
    /// Up to where it has been read.
    place: Place,
    /// Where the intents lie that have no completion yet.
    open: HashMap<Key, u32>,
    /// Damaged segments that somebody was told of.
    told: HashSet<u32>,
}

/// A batch and what the ledger calls it.
pub(super) struct Next {
    pub batch: Batch,
    cut: Cut,
}

/// The most bytes of records in a batch: far under what a store takes in one insert.
const BATCH_BYTES: u64 = 32 << 20;

/// Rows as they are read, with what could not be read as one.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    newer: Option<u8>,
}

impl Cutter {
    pub(super) fn new(reading: Reading, college: CollegeCode, gateway: GatewayName, ledger: Ledger) -> Self {
        let place = ledger.state().acked.place;
        Cutter { reading, college, gateway, ledger, place, open: HashMap::new(), told: HashSet::new() }
    }

    /// The next batch: the one that was cut and never acknowledged, or a new one, noted in the ledger before it is
    /// sent. `None`: there is nothing to send.
    pub(super) fn next(&mut self, extents: &[(u32, Extent)], most: usize) -> Result<Option<Next>, ShipError> {
        match self.ledger.state().pending {
            Some(cut) => self.again(extents, cut).map(Some),
            None => self.cut(extents, most),
        }
    }

    fn again(&mut self, extents: &[(u32, Extent)], cut: Cut) -> Result<Next, ShipError> {
        let mut rows = Rows::default();
        let reading = self.reading.clone();
        let report = reading.read(extents, cut.from, &mut |met| {
            if met.place > cut.to {
                return ControlFlow::Break(());
            }
            self.meet(&mut rows, met.kind, met.payload, met.place.segment);
            if met.place == cut.to { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.tell(&report, &rows)?;
        let found = rows.rows.len() as u64;
        if found != cut.last + 1 - cut.first {
            tracing::error!(lane = self.reading.lane, stream = %self.reading.stream, found, expected = cut.last + 1 - cut.first,
                "a batch that was cut before has lost rows: its segments are damaged");
        }
        self.place = cut.to;
        Ok(self.name(rows.rows, cut))
    }

    fn cut(&mut self, extents: &[(u32, Extent)], most: usize) -> Result<Option<Next>, ShipError> {
        let (mut rows, mut bytes, from) = (Rows::default(), 0, self.place);
        let reading = self.reading.clone();
        let report = reading.read(extents, from, &mut |met| {
            self.meet(&mut rows, met.kind, met.payload, met.place.segment);
            bytes += met.payload.len() as u64;
            if rows.rows.len() >= most || bytes >= BATCH_BYTES {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        self.tell(&report, &rows)?;
        if rows.rows.is_empty() {
            self.place = report.place;
            return Ok(None);
        }
        let first = self.ledger.state().acked.last + 1;
        let last = first + rows.rows.len() as u64 - 1;
        let cut = Cut { first, last, from, to: report.place };
        self.ledger.cut(cut).map_err(|error| self.wrong(error))?;
        self.place = report.place;
        Ok(Some(self.name(rows.rows, cut)))
    }

    fn name(&self, rows: Vec<Row>, cut: Cut) -> Next {
        let Reading { lane, stream, .. } = self.reading;
        let token = BatchToken { gateway: self.gateway.clone(), lane, stream, first: cut.first, last: cut.last };
        Next { batch: Batch { token, rows }, cut }
    }

    fn meet(&mut self, rows: &mut Rows, kind: Kind, payload: &[u8], segment: u32) {
        let Some((key, record)) = split_record(payload) else { return };
        match kind {
            Kind::Intent => {
                self.open.insert(key, segment);
            }
            Kind::Completion => {
                self.open.remove(&key);
                match self.row(key, record) {
                    Ok(row) => rows.rows.push(row),
                    Err(DecodeError::Version(version)) => rows.newer = Some(version),
                    // Its checksum was right: it was written so, and cannot be read by anybody.
                    Err(error) => tracing::error!(%error, lane = self.reading.lane, sequence = key.sequence,
                        "a completion in the journal is no record: a fault of the program that wrote it"),
                }
            }
            Kind::SealedKey | Kind::Gap | Kind::Footer => {}
        }
    }

    fn row(&self, key: Key, record: &[u8]) -> Result<Row, DecodeError> {
        let key = RowKey {
            college: self.college.clone(),
            gateway: self.gateway.clone(),
            lane: self.reading.lane,
            sequence: key.sequence,
            slice: key.slice,
        };
        Ok(match self.reading.stream {
            Stream::Accesses => AccessRecord::decode(record)?.into_row(key),
            Stream::Connections => ConnectionRecord::decode(record)?.into_row(key),
        })
    }

    /// Says what could not be read, once per segment. What a newer program wrote is left for it.
    fn tell(&mut self, report: &Report, rows: &Rows) -> Result<(), ShipError> {
        for damage in &report.damage {
            if self.told.insert(damage.segment) {
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

    /// The store has the batch.
    pub(super) fn acknowledge(&mut self, next: &Next, at: Timestamp) -> Result<(), ShipError> {
        self.ledger.ack(next.cut.last, next.cut.to, at).map_err(|error| self.wrong(error))
    }

    /// Puts a batch that no store will take where a person finds it, in the format of a segment.
    pub(super) fn set_aside(&self, next: &Next, at: Timestamp) -> Result<(), ShipError> {
        let Reading { lane, stream, .. } = self.reading;
        let header = Header {
            stream,
            college: self.college.clone(),
            gateway: self.gateway.clone(),
            lane,
            segment: 0,
            first_sequence: 0,
            opened: at,
            cuts: vec![],
            heads: vec![],
        };
        let mut frames = Vec::new();
        for row in &next.batch.rows {
            let key = Key { sequence: row.key().sequence, slice: row.key().slice };
            frame::put_record(Kind::Completion, key, &mut frames, |out| match row {
                Row::Access(row) => row.record.encode(out),
                Row::Connection(row) => row.record.encode(out),
            });
        }
        frame::seal(&mut frames, Seed::of(stream, lane, 0));
        let mut bytes = header.encode();
        bytes.append(&mut frames);
        let spool = self.reading.folder.parent().unwrap_or(&self.reading.folder);
        let folder = spool.join("poison");
        let name = format!("lane-{lane:010}-{stream}-{}-{}.seg", next.cut.first, next.cut.last);
        let disk = &*self.reading.disk;
        disk.create_dir(&folder)
            .and_then(|()| write_aside(disk, &folder, &name, &bytes).map(drop))
            .map_err(|error| ShipError::Read { path: folder, error })
    }

    /// Segments that need not be kept: the store has had what is in them for long enough, and every intent in them is
    /// completed. Always the oldest first, so that what is left never begins with a completion whose intent is open.
    pub(super) fn forgettable(&self, extents: &[(u32, Extent)], now: Timestamp, keep: Duration) -> Vec<u32> {
        let oldest_open = self.open.values().copied().min().unwrap_or(u32::MAX);
        extents
            .iter()
            .take_while(|(segment, extent)| {
                extent.is_final && *segment < oldest_open && self.ledger.state().has_passed(*segment, now, keep)
            })
            .map(|(segment, _)| *segment)
            .collect()
    }

    /// Removes a segment; answers its size.
    pub(super) fn forget(&self, segment: u32) -> io::Result<u64> {
        let path = self.reading.folder.join(segment_name(self.reading.stream, segment));
        let size = self.reading.disk.size(&path)?;
        self.reading.disk.remove(&path)?;
        Ok(size)
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
