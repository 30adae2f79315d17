//! Compresses sealed segments that wait, so that a spool holds more days of them.
//!
//! It works for the shipper, in the pauses that it makes: never on a thread of the traffic, and never while the shipper
//! deletes or recovers. What ships at once is not compressed: a segment is left alone until it is met a second time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::disk::{ASIDE, write_aside};
use super::error::ShipError;
use super::header::Header;
use super::lane::{self, Lane, segment_name};
use super::log::AccessLog;
use super::packed::{self, Packed};
use super::reading::Reading;
use super::settings::JournalSettings;
use super::writer::Extent;
use crate::access::Stream;
use crate::metrics::METRICS;

/// Lane, stream, segment.
type Name = (u64, Stream, u32);

/// The one who compresses in a spool.
pub(super) struct Compressor {
    log: AccessLog,
    /// The lane of a dead process that the shipper has at work, and holds.
    pub held: Option<u64>,
    /// Segments met before, and whether there is anything left to do about them.
    met: HashMap<Name, bool>,
    waiting: VecDeque<Name>,
    surveyed: Option<Instant>,
    is_failing: bool,
}

/// How often it is looked for more to do.
const SURVEY_EVERY: Duration = Duration::from_secs(5);

/// The room in the spool for what is not in its place yet: half a segment, of which a fifth or a sixth is needed.
pub(super) fn room(settings: &JournalSettings) -> u64 {
    (settings.segment_bytes / 2).min(settings.max_bytes / 16)
}

impl Compressor {
    pub(super) fn new(log: AccessLog) -> Self {
        let (met, waiting) = (HashMap::new(), VecDeque::new());
        Compressor { log, held: None, met, waiting, surveyed: None, is_failing: false }
    }

    /// Looks which segments wait, where that is due.
    pub(super) fn look(&mut self) {
        if self.surveyed.is_none_or(|at| at.elapsed() >= SURVEY_EVERY) {
            self.survey();
        }
    }

    pub(super) fn survey(&mut self) {
        self.surveyed = Some(Instant::now());
        let mut present = HashMap::new();
        for name in self.sealed() {
            match self.met.get(&name) {
                Some(true) => drop(present.insert(name, true)),
                Some(false) => {
                    present.insert(name, false);
                    if !self.waiting.contains(&name) {
                        self.waiting.push_back(name);
                    }
                }
                None => drop(present.insert(name, false)),
            }
        }
        self.met = present;
    }

    /// All segments that nobody writes any more.
    fn sealed(&self) -> Vec<Name> {
        let own = &self.log.0;
        let mut names = Vec::new();
        for stream in Stream::ALL {
            let extents = self.log.stream(*stream).writer().extents();
            let sealed = extents.into_iter().filter(|(_, extent)| extent.is_final);
            names.extend(sealed.map(|(segment, _)| (own.lane.number, *stream, segment)));
            for number in lane::numbers(&*own.disk, self.log.directory()).unwrap_or_default() {
                if number != own.lane.number {
                    let folder = lane::folder(self.log.directory(), number);
                    let segments = lane::segments(&*own.disk, &folder, *stream).unwrap_or_default();
                    names.extend(segments.into_iter().map(|segment| (number, *stream, segment)));
                }
            }
        }
        names
    }

    /// Compresses one; `false`: there is nothing to do at present.
    pub(super) fn step(&mut self) -> bool {
        let Some(name) = self.waiting.pop_front() else { return false };
        match self.compress(name) {
            Ok(is_done) => {
                self.is_failing = false;
                self.met.insert(name, is_done);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "a segment could not be compressed: it stays as it is and is tried again");
                }
                // The next would fare no better.
                self.waiting.clear();
            }
        }
        true
    }

    fn compress(&self, (number, stream, segment): Name) -> Result<bool, ShipError> {
        let own = &self.log.0;
        let folder = lane::folder(self.log.directory(), number);
        let reading = Reading { disk: own.disk.clone(), folder, lane: number, stream };
        let of_this = |extents: Vec<(u32, Extent)>| extents.into_iter().find(|(found, _)| *found == segment);
        if number == own.lane.number {
            let extent = of_this(self.log.stream(stream).writer().extents());
            return compress(&reading, extent, &own.budget, room(&own.settings));
        }
        // Somebody else may have taken it, or shipped and removed it.
        let wrong = |error| ShipError::Read { path: reading.folder.clone(), error };
        let _lock = match self.held == Some(number) {
            true => None,
            false => match Lane::take_dead(&*own.disk, self.log.directory(), number).map_err(wrong)? {
                Some(lane) => Some(lane),
                None => return Ok(false),
            },
        };
        let extent = of_this(reading.dead_extents()?.0);
        compress(&reading, extent, &own.budget, room(&own.settings))
    }
}

/// Puts a compressed segment in the place of one that nobody writes; answers whether there is nothing left to do.
fn compress(reading: &Reading, extent: Option<(u32, Extent)>, budget: &Budget, room: u64) -> Result<bool, ShipError> {
    let Some((segment, Extent { readable, .. })) = extent.filter(|(_, extent)| extent.readable > 0) else {
        return Ok(true);
    };
    let path = reading.path(segment);
    let wrong = |error| ShipError::Read { path: path.clone(), error };
    let whole = reading.disk.read(&path, 0, readable.min(packed::SEGMENT_MAX + 1)).map_err(wrong)?;
    // One that is too long, or damaged where it begins, is left as it is.
    let Some(header) = Header::read(&whole).ok().filter(|_| whole.len() as u64 == readable) else { return Ok(true) };
    if readable > packed::SEGMENT_MAX {
        return Ok(true);
    }
    let seed = reading.seed(segment);
    let small = packed::pack(&whole, header.1, seed).map_err(wrong)?;
    let before = reading.disk.size(&path).map_err(wrong)?;
    if small.len() as u64 >= before {
        return Ok(true);
    }
    // What takes a segment's place has been read back as that segment.
    let is_same = Packed::read(&small, seed).is_ok_and(|read| {
        let again = read.stretch(0, u64::MAX);
        read.damaged == 0 && again.lost_at_end == 0 && again.bytes == whole
    });
    if !is_same {
        tracing::error!(path = %path.display(), "compressed, a segment does not read as before: it stays as it is");
        return Ok(true);
    }
    if small.len() as u64 > budget.left() + room {
        return Err(wrong(io::ErrorKind::StorageFull.into()));
    }
    put(reading, &segment_name(reading.stream, segment), &small, budget).map_err(wrong)?;
    budget.removed(before);
    METRICS.segments_compressed.add(1);
    Ok(true)
}

fn put(reading: &Reading, name: &str, small: &[u8], budget: &Budget) -> io::Result<()> {
    let (disk, folder): (_, &Path) = (&*reading.disk, &reading.folder);
    budget.wrote(small.len() as u64);
    write_aside(disk, folder, name, small).map(drop).inspect_err(|_| {
        // Half of it helps nobody, and its room is wanted.
        let _ = disk.remove(&folder.join(format!("{name}{ASIDE}")));
        budget.removed(small.len() as u64);
    })
}
