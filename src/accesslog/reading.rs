//! Reads the frames of one stream of one lane, across its segments, and says what it could not read.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use super::error::ShipError;
use super::frame::{self, FRAME_MAX, Footer, Kind, Piece, Seed};
use super::header::{Header, HeaderError};
use super::lane::{self, segment_name};
use super::owner::Owner;
use super::packed::{self, Packed, Stretch};
use super::told;
use super::writer::{Extent, Extents};
use crate::access::{Gap, Stream, Timestamp};

/// A place in a stream of a lane: what comes before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub segment: u32,
    pub offset: u64,
}

/// One stream of one lane, to be read.
#[derive(Clone)]
pub(super) struct Reading {
    pub disk: Arc<dyn Disk>,
    pub folder: PathBuf,
    pub lane: u64,
    pub stream: Stream,
}

/// How far a reading came, and what it could not read.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub place: Place,
    pub damage: Vec<Damage>,
}

/// Records of a segment are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub segment: u32,
    pub bytes: u64,
    /// Where the footer tells; otherwise nobody knows.
    pub frames: Option<u64>,
}

/// A frame as it is met.
pub(super) struct Met<'a> {
    pub kind: Kind,
    pub payload: &'a [u8],
    /// Where it ends.
    pub place: Place,
}

/// Segments are read in pieces of this size; a frame is shorter.
const CHUNK: u64 = 8 << 20;

type Visit<'v> = dyn FnMut(Met<'_>) -> ControlFlow<()> + 'v;

impl Reading {
    /// Visits the frames from `from` on, in order, until the visitor breaks or nothing more may be read.
    pub(super) fn read(
        &self,
        extents: &[(u32, Extent)],
        from: Place,
        visit: &mut Visit<'_>,
    ) -> Result<Report, ShipError> {
        let mut report = Report { place: from, damage: Vec::new() };
        for (segment, extent) in extents.iter().filter(|(segment, _)| *segment >= from.segment) {
            if *segment > report.place.segment {
                report.place = Place { segment: *segment, offset: 0 };
            }
            let broke = self.read_segment(*extent, &mut report, visit)?;
            if broke.is_break() || !extent.is_final {
                break;
            }
        }
        Ok(report)
    }

    fn read_segment(
        &self,
        extent: Extent,
        report: &mut Report,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, ShipError> {
        let segment = report.place.segment;
        let from_start = report.place.offset == 0;
        let mut damaged = 0;
        if from_start && extent.readable > 0 {
            // An unreadable header costs nothing but itself: frames are found without it.
            report.place.offset = self.header(segment)?.map_or(0, |(_, length)| length);
            damaged = u64::from(report.place.offset == 0);
        }
        let seed = self.seed(segment);
        let mut file_damaged = 0;
        let (mut counts, mut footer) = (Footer::default(), None);
        let mut flow = ControlFlow::Continue(());
        while report.place.offset < extent.readable && flow.is_continue() {
            let start = report.place.offset;
            let (Stretch { bytes, lost_at_end }, damaged_file) =
                self.stretch(segment, start, (extent.readable - start).min(CHUNK))?;
            file_damaged = damaged_file;
            let is_last = start + bytes.len() as u64 >= extent.readable;
            for piece in frame::scan(&bytes, seed) {
                match piece {
                    Piece::Frame { kind, payload, end } => {
                        report.place.offset = start + end as u64;
                        counts.count(kind);
                        if kind == Kind::Footer {
                            footer = Footer::read(payload);
                        } else {
                            flow = visit(Met { kind, payload, place: report.place });
                        }
                    }
                    Piece::Damage { bytes, end } => {
                        damaged += bytes as u64;
                        report.place.offset = start + end as u64;
                    }
                    // A torn tail is no damage: nobody was told that it was written. A block that is gone is.
                    Piece::Tail { bytes } if is_last => {
                        damaged += bytes.min(lost_at_end) as u64;
                        report.place.offset = extent.readable;
                    }
                    // Cut by the chunk; what is longer than any frame is damage all the same.
                    Piece::Tail { bytes } => {
                        let surely = bytes.saturating_sub(FRAME_MAX) as u64;
                        damaged += surely;
                        report.place.offset += surely;
                    }
                }
                if flow.is_break() {
                    break;
                }
            }
            if bytes.is_empty() {
                break; // shorter than it was: somebody else's doing, and what is gone cannot be read
            }
        }
        if from_start {
            damaged = damaged.max(file_damaged);
        }
        let lost = footer.filter(|_| from_start).map(|footer| footer.frames().saturating_sub(counts.frames()));
        if damaged > 0 || lost.is_some_and(|lost| lost > 0) {
            report.damage.push(Damage { segment, bytes: damaged, frames: lost });
        }
        Ok(flow)
    }

    /// A part of a segment, and how many bytes of its file cannot be read, where it is compressed.
    pub(super) fn stretch(&self, segment: u32, offset: u64, most: u64) -> Result<(Stretch, u64), ShipError> {
        let bytes = self.file(segment, offset, most)?;
        // Asked afterwards: a segment is compressed once, and what was read before that is as it was.
        if !packed::is_packed(&self.file(segment, 0, 8)?) {
            return Ok((Stretch { bytes, lost_at_end: 0 }, 0));
        }
        let file = self.file(segment, 0, packed::FILE_MAX)?;
        let packed = Packed::read(&file, self.seed(segment)).map_err(|error| self.newer(segment, error))?;
        Ok((packed.stretch(offset, most), packed.damaged))
    }

    /// How long a segment is, as it was before it was compressed.
    fn length(&self, segment: u32) -> Result<u64, ShipError> {
        if packed::is_packed(&self.file(segment, 0, 8)?) {
            let file = self.file(segment, 0, packed::FILE_MAX)?;
            let packed = Packed::read(&file, self.seed(segment)).map_err(|error| self.newer(segment, error))?;
            return Ok(packed.length);
        }
        let path = self.path(segment);
        self.disk.size(&path).map_err(|error| ShipError::Read { path, error })
    }

    fn file(&self, segment: u32, offset: u64, most: u64) -> Result<Vec<u8>, ShipError> {
        let path = self.path(segment);
        self.disk.read(&path, offset, most).map_err(|error| ShipError::Read { path, error })
    }

    fn newer(&self, segment: u32, error: HeaderError) -> ShipError {
        let version = if let HeaderError::Newer(version) = error { version } else { 0 };
        ShipError::Newer { path: self.path(segment), version }
    }

    pub(super) fn seed(&self, segment: u32) -> Seed {
        Seed::of(self.stream, self.lane, segment)
    }

    pub(super) fn path(&self, segment: u32) -> PathBuf {
        self.folder.join(segment_name(self.stream, segment))
    }

    /// The header of a segment and its length; `None` if it is damaged.
    pub(super) fn header(&self, segment: u32) -> Result<Option<(Header, u64)>, ShipError> {
        match packed::read_header(&self.file(segment, 0, packed::HEAD_MAX)?, self.seed(segment)) {
            Ok((header, length, _)) => Ok(Some((header, length as u64))),
            Err(HeaderError::Damaged) => Ok(None),
            Err(error) => Err(self.newer(segment, error)),
        }
    }

    /// What may be read of a lane that nobody writes, and what the headers in it tell.
    pub(super) fn dead_extents(&self) -> Result<(Extents, Headers), ShipError> {
        let wrong = |error: io::Error| ShipError::Read { path: self.folder.clone(), error };
        let mut cuts: HashMap<u32, u64> = HashMap::new();
        let (mut extents, mut headers) = (Vec::new(), Headers::default());
        // Newest first: a segment that is cut to nothing cuts nothing itself.
        for segment in lane::segments(&*self.disk, &self.folder, self.stream).map_err(wrong)?.into_iter().rev() {
            let size = self.length(segment)?;
            let readable = cuts.get(&segment).map_or(size, |cut| size.min(*cut));
            extents.push((segment, Extent { readable, is_final: true }));
            let header = if readable > 0 { self.header(segment)? } else { None };
            for cut in header.iter().flat_map(|(header, _)| &header.cuts) {
                let shortest = cuts.entry(cut.segment).or_insert(cut.length);
                *shortest = cut.length.min(*shortest);
            }
            if let Some((header, _)) = header {
                headers.opened.insert(segment, header.opened);
                headers.owner = Some(Owner::of_header(&header));
            }
        }
        extents.reverse();
        Ok((extents, headers))
    }
}

/// What the headers of a stream's segments tell together.
#[derive(Default)]
pub(super) struct Headers {
    /// As the oldest says.
    pub owner: Option<Owner>,
    opened: BTreeMap<u32, Timestamp>,
}

impl Headers {
    /// The gap of damage: it lies between the opening of its segment, or of one before, and that of the next.
    pub(super) fn around(&self, damage: &Damage, owner: &Owner, now: Timestamp) -> Gap {
        let since = self.opened.range(..=damage.segment).next_back().map_or(owner.since, |(_, opened)| *opened);
        let until = self.opened.range(damage.segment + 1..).next().map_or(now, |(_, opened)| *opened);
        told::damage(damage, since, until)
    }
}
