//! Writes one stream of one lane: its live segment, and those that wait for their last sync.
//!
//! Everything here happens under the stream's lock, and an append touches the disk once. What was not synced yet is
//! also kept in memory, so that a sync that fails costs nothing (`writer/sync.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::disk::{Disk, DiskFile};
use super::error::AppendError;
use super::frame::{self, Footer, PAYLOAD_MAX, Seed};
use super::header::{Cut, Head, Header, NAMED_MAX};
use super::lane::segment_name;
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};

pub(super) mod sync;

/// Room on the disk is asked for in steps: 5,000 records between two system calls.
const ROOM_STEP: u64 = 1 << 20;
/// The most that is kept in memory for a disk that does not sync: ten seconds of the heaviest load.
const COPIES_MAX: usize = 64 << 20;
/// The most completions, in bytes, that wait for a disk that does not write.
const OWED_MAX: usize = 4 << 20;
/// Room for one access and its completion: with less, nothing is written again yet.
const RECORD_ROOM: u64 = 4 << 10;
/// After a write failed twice, how long the disk is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a writer writes, and its limits.
pub(super) struct Site {
    pub disk: Arc<dyn Disk>,
    pub budget: Arc<Budget>,
    pub folder: PathBuf,
    pub stream: Stream,
    pub lane: u64,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub segment_bytes: u64,
    pub segment_age: Duration,
}

pub(super) struct Writer {
    site: Site,
    live: Option<Segment>,
    /// Segments that are not written any more but not wholly synced, oldest first.
    closing: VecDeque<Segment>,
    /// What may be read of each segment that is still there.
    extents: BTreeMap<u32, Extent>,
    next_segment: u32,
    heads: Vec<Head>,
    cuts: Vec<Cut>,
    /// The latest instant seen, and the last.
    high: Timestamp,
    last: Timestamp,
    /// Room promised to completions, and set aside for gaps.
    reserved: u64,
    /// The part of it that is for gaps, and what it is when whole.
    gap_room: u64,
    gap_room_whole: u64,
    /// Completions that could not be written; the next sync tries again.
    owed: Vec<u8>,
    barred: Option<Timestamp>,
    /// Why nothing is durable at present.
    failing: Option<String>,
    rows: u64,
}

/// How far a segment may be read, and whether that is final. Only what is synced is read, so that nothing is in the
/// store that a power cut could take from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub readable: u64,
    pub is_final: bool,
}

/// The segments of a stream, oldest first, with what may be read of each.
pub(super) type Extents = Vec<(u32, Extent)>;

struct Segment {
    number: u32,
    file: Arc<dyn DiskFile>,
    seed: Seed,
    /// Bytes up to the end of the last whole write.
    length: u64,
    synced: u64,
    /// Bytes the disk has promised to have room for.
    room: u64,
    opened: Timestamp,
    counts: Footer,
    /// The frames from `synced` to `length`, but for the footer.
    copies: Vec<u8>,
    /// Whether its name is durable.
    is_named: bool,
    /// A sync of it failed: what the next one says about it means nothing.
    is_doomed: bool,
}

/// What an append means for the room on the disk.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// It must leave what is reserved, and reserves so much more.
    Ask(u64),
    /// It was reserved beforehand: so much less is reserved now.
    Use(u64),
    /// It is of a gap, and takes what it needs of the room for gaps.
    Gap,
}

impl Writer {
    pub(super) fn new(site: Site, heads: Vec<Head>, latest: Timestamp, gap_room: u64) -> Self {
        site.budget.claim(gap_room);
        Writer {
            site,
            live: None,
            closing: VecDeque::new(),
            extents: BTreeMap::new(),
            next_segment: 1,
            heads,
            cuts: Vec::new(),
            high: latest,
            last: Timestamp::from_micros(i64::MIN),
            reserved: gap_room,
            gap_room,
            gap_room_whole: gap_room,
            owed: Vec::new(),
            barred: None,
            failing: None,
            rows: 0,
        }
    }

    /// Turns to the time of an append; opens another segment where that is due. Answers whether the clock is doubtful:
    /// it went backwards and has not caught up.
    pub(super) fn turn(&mut self, now: Timestamp, next_sequence: u64) -> bool {
        let stepped_back = now < self.last;
        self.last = now;
        self.high = self.high.max(now);
        if stepped_back && self.live.is_some() || self.is_due(now) {
            self.begin_next(now, next_sequence);
        }
        now < self.high
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.live.as_ref().is_some_and(|live| {
            live.length >= self.site.segment_bytes
                || now.since(live.opened) >= self.site.segment_age
                || now.day() != live.opened.day()
        })
    }

    /// The same where nobody appends; whether another segment was begun. An empty one waits for its first record.
    pub(super) fn turn_if_idle(&mut self, now: Timestamp, next_sequence: u64) -> bool {
        let holds_any = self.live.as_ref().is_some_and(|live| live.counts.frames() > 0);
        holds_any && now >= self.last && self.is_due(now) && self.begin_next(now, next_sequence)
    }

    /// Without room for another segment this one goes on: it holds the reserve.
    fn begin_next(&mut self, now: Timestamp, next_sequence: u64) -> bool {
        let Ok(next) = self.open_segment(now, next_sequence, 0) else { return false };
        self.close_live();
        self.live = Some(next);
        true
    }

    /// Writes whole frames: one `write(2)`, or a second one in a new segment when the first fails.
    pub(super) fn append(&mut self, frames: &mut [u8], room: Room, next_sequence: u64) -> Result<(), AppendError> {
        if frames.len() > PAYLOAD_MAX {
            return Err(AppendError::TooLong(frames.len()));
        }
        match room {
            Room::Ask(more) => self.promise(frames.len() as u64, more)?,
            Room::Use(less) => self.release(less),
            Room::Gap if frames.len() as u64 > self.gap_room => return Err(AppendError::Full),
            Room::Gap => {
                self.gap_room -= frames.len() as u64;
                self.release(frames.len() as u64);
            }
        }
        let result = self.write(frames, next_sequence);
        match (&result, room) {
            (Err(_), Room::Ask(more)) => self.release(more),
            (Err(_), Room::Gap) => {
                self.gap_room += frames.len() as u64;
                self.reserved += frames.len() as u64;
                self.site.budget.claim(frames.len() as u64);
            }
            // A completion is owed: it is written as soon as the disk takes it again.
            (Err(_), Room::Use(_)) if self.owed.len() + frames.len() <= OWED_MAX => {
                self.owed.extend_from_slice(frames);
            }
            _ => {}
        }
        result.map_err(|error| full_or(&error))
    }

    fn release(&mut self, room: u64) {
        self.reserved -= room;
        self.site.budget.free(room);
    }

    /// Room that is left for gaps.
    pub(super) fn gap_room(&self) -> u64 {
        self.gap_room
    }

    /// Makes the room for gaps whole again; `false`: there is no room for that yet.
    pub(super) fn refill_gap_room(&mut self) -> bool {
        let missing = self.gap_room_whole - self.gap_room;
        let is_promised = self.promise(RECORD_ROOM, missing).is_ok();
        self.gap_room += if is_promised { missing } else { 0 };
        is_promised
    }

    /// Asks for room beside what is promised already.
    fn promise(&mut self, bytes: u64, more: u64) -> Result<(), AppendError> {
        if let Some(why) = &self.failing {
            return Err(AppendError::Disk(why.clone()));
        }
        let copies: usize = self.closing.iter().chain(&self.live).map(|segment| segment.copies.len()).sum();
        if copies > COPIES_MAX {
            return Err(AppendError::Disk("it has not synced for a long time".into()));
        }
        if !self.site.budget.reserve(bytes, more) {
            return Err(AppendError::Full);
        }
        if let Some(live) = &mut self.live
            && let Err(error) = live.ensure_room(live.length + bytes + self.reserved + more)
        {
            self.site.budget.free(more);
            return Err(full_or(&error));
        }
        self.reserved += more;
        Ok(())
    }

    fn write(&mut self, frames: &mut [u8], next_sequence: u64) -> io::Result<()> {
        if self.barred.is_some_and(|since| self.last >= since && self.last.since(since) < PAUSE) {
            return Err(io::Error::other("it failed a moment ago"));
        }
        self.write_twice(frames, next_sequence)
    }

    fn write_twice(&mut self, frames: &mut [u8], next_sequence: u64) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::Other.into());
        for _ in 0..2 {
            result = self.write_once(frames, next_sequence);
            match &result {
                Ok(()) => {
                    self.barred = None;
                    return result;
                }
                Err(error) => {
                    tracing::error!(%error, lane = self.site.lane, stream = %self.site.stream, "the journal could not be written");
                    self.abandon_live();
                }
            }
        }
        self.barred = Some(self.last);
        result
    }

    fn write_once(&mut self, frames: &mut [u8], next_sequence: u64) -> io::Result<()> {
        let live = match &mut self.live {
            Some(live) => live,
            None => {
                let next = self.open_segment(self.last, next_sequence, frames.len() as u64)?;
                self.live.insert(next)
            }
        };
        frame::seal(frames, live.seed);
        match live.file.append(frames)? {
            n if n == frames.len() => {}
            n => return Err(io::Error::other(format!("only {n} of {} bytes were written", frames.len()))),
        }
        live.length += frames.len() as u64;
        live.copies.extend_from_slice(frames);
        for kind in frame::kinds(frames) {
            live.counts.count(kind);
            self.rows += u64::from(kind.is_row());
        }
        self.site.budget.wrote(frames.len() as u64);
        Ok(())
    }

    /// Opens the next segment, with room for what is reserved and for `first` bytes of frames.
    fn open_segment(&mut self, now: Timestamp, first_sequence: u64, first: u64) -> io::Result<Segment> {
        let number = self.next_segment;
        let path = self.site.folder.join(segment_name(self.site.stream, number));
        let header = self.header(number, now, first_sequence).encode();
        let file = self.site.disk.open(&path)?;
        let mut segment = Segment {
            number,
            file,
            seed: Seed::of(self.site.stream, self.site.lane, number),
            length: header.len() as u64,
            synced: 0,
            room: 0,
            opened: now,
            counts: Footer::default(),
            copies: Vec::new(),
            is_named: false,
            is_doomed: false,
        };
        let room = segment.length + self.reserved + first;
        let wrote = segment.ensure_room(room).and_then(|()| segment.file.append(&header));
        if !matches!(wrote, Ok(n) if n == header.len()) {
            // Left there it would only be another name to read; the number is free again.
            let _ = self.site.disk.remove(&path);
            return Err(wrote.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()));
        }
        self.next_segment += 1;
        self.heads.clear();
        self.site.budget.wrote(segment.length);
        self.extents.insert(number, Extent { readable: 0, is_final: false });
        Ok(segment)
    }

    fn header(&self, segment: u32, now: Timestamp, first_sequence: u64) -> Header {
        Header {
            stream: self.site.stream,
            college: self.site.college.clone(),
            gateway: self.site.gateway.clone(),
            lane: self.site.lane,
            segment,
            first_sequence,
            opened: now,
            cuts: self.cuts.clone(),
            heads: self.heads.clone(),
        }
    }

    /// Ends the live segment with its footer.
    fn close_live(&mut self) {
        let Some(live) = &mut self.live else { return };
        let mut footer = Vec::new();
        live.counts.put(&mut footer);
        frame::seal(&mut footer, live.seed);
        match live.file.append(&footer) {
            Ok(n) if n == footer.len() => {
                live.length += n as u64;
                self.site.budget.wrote(n as u64);
                self.closing.extend(self.live.take());
            }
            _ => self.abandon_live(),
        }
    }

    /// Ends the live segment where its last whole write ended; what follows is cut.
    fn abandon_live(&mut self) {
        if let Some(live) = self.live.take() {
            self.cut(live.number, live.length);
            self.closing.push_back(live);
        }
    }

    fn cut(&mut self, segment: u32, length: u64) {
        self.cuts.retain(|cut| cut.segment != segment);
        if self.cuts.len() == NAMED_MAX {
            self.cuts.remove(0);
        }
        self.cuts.push(Cut { segment, length });
    }

    /// What may be read, oldest segment first.
    pub(super) fn extents(&self) -> Extents {
        self.extents.iter().map(|(number, extent)| (*number, *extent)).collect()
    }

    /// The segment is gone.
    pub(super) fn forget(&mut self, segment: u32) {
        self.extents.remove(&segment);
    }

    /// Rows written so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

impl Segment {
    /// Has the disk promise room up to `length`. A file system that cannot promise is taken at its word.
    fn ensure_room(&mut self, length: u64) -> io::Result<()> {
        if length <= self.room {
            return Ok(());
        }
        for wanted in [length + ROOM_STEP, length] {
            match self.file.reserve(wanted) {
                Ok(()) => {
                    self.room = wanted;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {}
                Err(_) => {
                    self.room = u64::MAX;
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

fn full_or(error: &io::Error) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::Full,
        _ => AppendError::Disk(error.to_string()),
    }
}
