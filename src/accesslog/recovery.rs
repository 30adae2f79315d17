//! Recovery of a lane that nobody holds: what was open when its process died is completed as `interrupted`.
//!
//! The completions are written by whoever took the lane's lock, in a segment of their own, aside and renamed: killed
//! midway, nothing was done; done, nothing is left to do.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::disk::{ASIDE, Disk, append_all, write_aside};
use super::error::ShipError;
use super::frame::{self, Footer, Key, Kind, Seed, split_record};
use super::header::Header;
use super::journaled::Journaled;
use super::lane::{self, segment_name};
use super::owner::Owner;
use super::reading::{Damage, Reading};
use super::told;
use crate::access::encoding::DecodeError;
use crate::access::{AccessRecord, ConnectionRecord, Ending, Gap, Stream, Timestamp};
use crate::metrics::METRICS;

/// What a lane holds of a stream once it is recovered.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Completions and gaps.
    pub rows: u64,
    /// How many of them were written now, as `interrupted`.
    pub interrupted: u64,
    pub damage: Vec<Damage>,
}

/// What a look through the whole lane found.
#[derive(Default)]
struct Survey {
    open: BTreeMap<Key, Vec<u8>>,
    rows: u64,
    /// Damaged segments that a gap frame names already.
    told: HashSet<u32>,
    /// A gap that began and was not told of.
    gap: Option<(Timestamp, String)>,
}

impl Survey {
    fn meet(&mut self, kind: Kind, payload: &[u8]) {
        self.rows += u64::from(kind.is_row());
        match kind {
            Kind::Intent => {
                if let Some((key, record)) = split_record(payload) {
                    self.open.insert(key, record.to_owned());
                }
            }
            Kind::Completion => {
                if let Some((key, _)) = split_record(payload) {
                    self.open.remove(&key);
                }
            }
            Kind::Gap => {
                let gap = frame::read_gap(payload);
                // A gap about damage or a batch ends no other.
                self.gap = self.gap.take().filter(|_| gap.as_ref().is_some_and(|gap| gap.segment > 0));
                self.told.extend(gap.as_ref().and_then(told::damage_of));
            }
            Kind::GapBegins => self.gap = frame::read_gap_begins(payload),
            Kind::GapEnds => self.gap = None,
            Kind::SealedKey | Kind::Footer => {}
        }
    }
}

const COPIED_AT_ONCE: u64 = 8 << 20;

/// Completes what is open in a stream of a lane whose lock the caller holds. The store has all segments before `from`.
pub(super) fn recover(
    reading: &Reading,
    owner: Option<&Owner>,
    from: u32,
    now: Timestamp,
) -> Result<Recovered, ShipError> {
    let wrong = |error: io::Error| ShipError::Read { path: reading.folder.clone(), error };
    make_durable(reading, from).map_err(wrong)?;
    let (extents, headers) = reading.dead_extents()?;
    let Some((last, _)) = extents.last() else { return Ok(Recovered::default()) };
    let mut survey = Survey::default();
    let report = reading.read(&extents, Default::default(), &mut |met| {
        survey.meet(met.kind, met.payload);
        ControlFlow::Continue(())
    })?;
    let untold: Vec<_> = report.damage.iter().filter(|damage| !survey.told.contains(&damage.segment)).collect();
    let interrupted = survey.open.len() as u64;
    let told = (untold.len() + usize::from(survey.gap.is_some())) as u64;
    if interrupted + told > 0 {
        let owner = owner.ok_or_else(|| ShipError::Nameless(reading.folder.clone()))?;
        let mut gaps: Vec<Gap> = untold.into_iter().map(|damage| headers.around(damage, owner, now)).collect();
        gaps.extend(survey.gap.take().map(|begun| unended(begun, now)));
        let header = Header::bare(reading.stream, owner, reading.lane, last + 1, now);
        let bytes = closing_segment(reading, &header, survey.open, &gaps)?;
        write_aside(&*reading.disk, &reading.folder, &segment_name(reading.stream, header.segment), &bytes)
            .map_err(wrong)?;
    }
    Ok(Recovered { rows: survey.rows + interrupted + told, interrupted, damage: report.damage })
}

/// Tells of a gap in a lane that was recovered already, in one more segment; answers whether nobody had told of it.
pub(super) fn tell(reading: &Reading, owner: &Owner, gap: &Gap, now: Timestamp) -> Result<bool, ShipError> {
    let (extents, _) = reading.dead_extents()?;
    let mut is_told = false;
    reading.read(&extents, Default::default(), &mut |met| {
        let known = (met.kind == Kind::Gap).then(|| frame::read_gap(met.payload)).flatten();
        is_told |= known.is_some_and(|known| told::is_same(&known, gap));
        if is_told { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if !is_told {
        let last = extents.last().map_or(0, |(segment, _)| *segment);
        let header = Header::bare(reading.stream, owner, reading.lane, last + 1, now);
        let bytes = closing_segment(reading, &header, BTreeMap::new(), std::slice::from_ref(gap))?;
        write_aside(&*reading.disk, &reading.folder, &segment_name(reading.stream, last + 1), &bytes)
            .map_err(|error| ShipError::Read { path: reading.folder.clone(), error })?;
        METRICS.gaps.add(1);
    }
    Ok(!is_told)
}

/// The gap that was open when the process died.
fn unended((since, cause): (Timestamp, String), now: Timestamp) -> Gap {
    let cause = format!("{cause}; the gateway died meanwhile");
    Gap { since, until: now.max(since), count: 0, segment: 0, cause }
}

/// Whoever died may not have synced, or was told that a sync failed; asked again, the system may then answer "all is there"
/// for bytes that it dropped. So every segment that the store may not have is copied, synced and put in its own place:
/// nothing goes to the store that a power cut could still take from here.
fn make_durable(reading: &Reading, from: u32) -> io::Result<()> {
    let (disk, folder) = (&*reading.disk, &reading.folder);
    for name in disk.names(folder)?.iter().filter(|name| name.ends_with(ASIDE)) {
        disk.remove(&folder.join(name))?;
    }
    for segment in lane::segments(disk, folder, reading.stream)?.into_iter().filter(|segment| *segment >= from) {
        let path = folder.join(segment_name(reading.stream, segment));
        let aside = folder.join(format!("{}{ASIDE}", segment_name(reading.stream, segment)));
        match copy(disk, &path, &aside) {
            Ok(()) => disk.rename(&aside, &path)?,
            // Without room for a copy, what the system answers must do.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                disk.remove(&aside)?;
                disk.open(&path)?.sync()?;
            }
            Err(error) => return Err(error),
        }
    }
    disk.sync_dir(folder)
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    let file = disk.open(to)?;
    let mut offset = 0;
    loop {
        let bytes = disk.read(from, offset, COPIED_AT_ONCE)?;
        if bytes.is_empty() {
            return file.sync();
        }
        append_all(&*file, &bytes)?;
        offset += bytes.len() as u64;
    }
}

fn closing_segment(
    reading: &Reading,
    header: &Header,
    open: BTreeMap<Key, Vec<u8>>,
    gaps: &[Gap],
) -> Result<Vec<u8>, ShipError> {
    let mut frames = Vec::new();
    for (key, intent) in open {
        let completion = match reading.stream {
            Stream::Accesses => interrupted::<AccessRecord>(&intent),
            Stream::Connections => interrupted::<ConnectionRecord>(&intent),
        };
        match completion {
            Ok(record) => {
                frame::put_record(Kind::Completion, key, &mut frames, |out| out.extend_from_slice(&record));
            }
            Err(DecodeError::Version(version)) => {
                return Err(ShipError::Newer { path: reading.folder.clone(), version: version.into() });
            }
            // Its checksum was right: it was written so, and cannot be read by anybody.
            Err(error) => {
                tracing::error!(%error, lane = reading.lane, sequence = key.sequence, "an intent is no record")
            }
        }
    }
    gaps.iter().for_each(|gap| frame::put_gap(gap, &mut frames));
    let mut counts = Footer::default();
    frame::kinds(&frames).for_each(|kind| counts.count(kind));
    counts.put(&mut frames);
    frame::seal(&mut frames, Seed::of(reading.stream, reading.lane, header.segment));
    let mut bytes = header.encode();
    bytes.append(&mut frames);
    Ok(bytes)
}

/// The completion of an intent about which nothing more is known.
fn interrupted<R: Journaled>(intent: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut record = R::decode(intent)?;
    *record.course().ending = Ending::Interrupted;
    let mut out = Vec::with_capacity(intent.len() + 16);
    record.encode(&mut out);
    Ok(out)
}
