//! Recovery of a lane that nobody holds: what was open when its process died is completed as `interrupted`.
//!
//! The completions are written by whoever took the lane's lock, in a segment of their own, aside and renamed: killed
//! midway, nothing was done; done, nothing is left to do.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::ControlFlow;

use super::disk::{ASIDE, write_aside};
use super::error::ShipError;
use super::frame::{self, Footer, Gap, Key, Kind, Seed, split_record};
use super::header::Header;
use super::journaled::Journaled;
use super::lane::segment_name;
use super::reading::{Damage, Reading};
use crate::access::encoding::DecodeError;
use crate::access::{AccessRecord, ConnectionRecord, Ending, Stream, Timestamp};

/// What a lane holds of a stream once it is recovered.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub completions: u64,
    /// How many of them were written now, as `interrupted`.
    pub interrupted: u64,
    pub damage: Vec<Damage>,
}

/// What a look through the whole lane found.
#[derive(Default)]
struct Survey {
    open: BTreeMap<Key, Vec<u8>>,
    completions: u64,
    /// Damaged segments that a gap frame names already.
    told: HashSet<u32>,
}

impl Survey {
    fn meet(&mut self, kind: Kind, payload: &[u8]) {
        match kind {
            Kind::Intent => {
                if let Some((key, record)) = split_record(payload) {
                    self.open.insert(key, record.to_owned());
                }
            }
            Kind::Completion => {
                self.completions += 1;
                if let Some((key, _)) = split_record(payload) {
                    self.open.remove(&key);
                }
            }
            Kind::Gap => self.told.extend(Gap::read(payload).map(|gap| gap.segment)),
            Kind::SealedKey | Kind::Footer => {}
        }
    }
}

/// Completes what is open in a stream of a lane whose lock the caller holds.
pub(super) fn recover(reading: &Reading, now: Timestamp) -> Result<Recovered, ShipError> {
    let wrong = |error: io::Error| ShipError::Read { path: reading.folder.clone(), error };
    make_durable(reading).map_err(wrong)?;
    let (extents, known) = reading.dead_extents()?;
    let Some((last, _)) = extents.last() else { return Ok(Recovered::default()) };
    let mut survey = Survey::default();
    let report = reading.read(&extents, Default::default(), &mut |met| {
        survey.meet(met.kind, met.payload);
        ControlFlow::Continue(())
    })?;
    let untold: Vec<Damage> =
        report.damage.iter().filter(|damage| !survey.told.contains(&damage.segment)).copied().collect();
    let interrupted = survey.open.len() as u64;
    if interrupted > 0 || !untold.is_empty() {
        let known = known.ok_or_else(|| ShipError::Nameless(reading.folder.clone()))?;
        let header = Header { segment: last + 1, first_sequence: 0, opened: now, cuts: vec![], heads: vec![], ..known };
        let bytes = closing_segment(reading, &header, survey.open, &untold)?;
        write_aside(&*reading.disk, &reading.folder, &segment_name(reading.stream, header.segment), &bytes)
            .map_err(wrong)?;
    }
    Ok(Recovered { completions: survey.completions + interrupted, interrupted, damage: report.damage })
}

/// Whoever died may not have synced: nothing goes to the store that a power cut could still take from here.
fn make_durable(reading: &Reading) -> io::Result<()> {
    for name in reading.disk.names(&reading.folder)? {
        let path = reading.folder.join(&name);
        if name.ends_with(ASIDE) {
            reading.disk.remove(&path)?;
        } else if name.starts_with(reading.stream.as_str()) && name.ends_with(".seg") {
            reading.disk.open(&path)?.sync()?;
        }
    }
    reading.disk.sync_dir(&reading.folder)
}

fn closing_segment(
    reading: &Reading,
    header: &Header,
    open: BTreeMap<Key, Vec<u8>>,
    damage: &[Damage],
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
    for damage in damage {
        let count = damage.frames.unwrap_or(1);
        let cause = format!("damaged: {} bytes of segment {} cannot be read", damage.bytes, damage.segment);
        Gap { since: header.opened, until: header.opened, count, segment: damage.segment, cause }.put(&mut frames);
    }
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
