//! The group fsync, and what is done when it fails.
//!
//! After a failed fsync nobody knows which of the bytes since the last good one are on the disk, and asking again may
//! answer "all" for bytes that were dropped. So the segment is given up from its last good sync on: what followed is
//! written once more, in order, into a new segment that says where the old one is cut.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::disk::{DiskFile, write_aside};
use super::super::frame::{self, Footer, Seed};
use super::super::lane::segment_name;
use super::{Extent, Segment, Writer};

/// A segment as it was when the sync began.
struct Target {
    segment: u32,
    file: Arc<dyn DiskFile>,
    length: u64,
    copies: usize,
    is_named: bool,
    is_doomed: bool,
}

/// Makes durable what was written before the call. One caller at a time; appends go on meanwhile.
pub(in crate::accesslog) fn sync(writer: &Mutex<Writer>) -> io::Result<()> {
    let (targets, disk, folder, paid) = {
        let mut writer = lock(writer);
        // First: what is owed and can be written now is durable with this sync.
        let paid = writer.pay();
        (writer.targets(), writer.site.disk.clone(), writer.site.folder.clone(), paid)
    };
    let mut synced = Vec::new();
    let mut result = Ok(());
    for target in targets {
        // In order, and no further than the first that fails: a record is never durable before an earlier one.
        result = if target.is_doomed { Err(io::Error::other("its last sync failed")) } else { target.file.sync() };
        if result.is_err() {
            break;
        }
        synced.push(target);
    }
    if synced.iter().any(|target| !target.is_named)
        && let Err(error) = disk.sync_dir(&folder)
    {
        synced.clear();
        result = Err(error);
    }
    let mut writer = lock(writer);
    let released = writer.synced(&synced);
    if let Err(error) = result {
        writer.repair(&error)?;
    }
    drop(writer);
    for (file, length) in released {
        // Failing to give room back costs room and nothing else.
        let _ = file.release(length);
    }
    paid
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    // A panic under the lock was counted where it happened; the journal must go on.
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    fn targets(&self) -> Vec<Target> {
        let unsynced = |segment: &&Segment| segment.synced < segment.length || !segment.is_named;
        let target = |segment: &Segment| Target {
            segment: segment.number,
            file: segment.file.clone(),
            length: segment.length,
            copies: segment.copies.len(),
            is_named: segment.is_named,
            is_doomed: segment.is_doomed,
        };
        self.closing.iter().chain(&self.live).filter(unsynced).map(target).collect()
    }

    /// Notes what is durable; answers the files that are finished, with their lengths.
    fn synced(&mut self, targets: &[Target]) -> Vec<(Arc<dyn DiskFile>, u64)> {
        for target in targets {
            let mut open = self.closing.iter_mut().chain(&mut self.live);
            let Some(segment) = open.find(|segment| segment.number == target.segment) else { continue };
            segment.synced = target.length;
            segment.is_named = true;
            segment.copies.drain(..target.copies);
            self.extents.insert(target.segment, Extent { readable: target.length, is_final: false });
            self.failing = None;
        }
        let mut finished = Vec::new();
        while let Some(segment) =
            self.closing.pop_front_if(|segment| segment.synced == segment.length && segment.is_named)
        {
            self.extents.insert(segment.number, Extent { readable: segment.length, is_final: true });
            finished.push((segment.file, segment.length));
        }
        finished
    }

    /// Writes what is not durable once more, elsewhere. Appends wait for it: the disk has just failed.
    fn repair(&mut self, error: &io::Error) -> io::Result<()> {
        tracing::error!(%error, lane = self.site.lane, stream = %self.site.stream,
            "the journal could not be synced: its last records are written again in a new segment");
        self.abandon_live();
        let number = self.next_segment;
        self.next_segment += 1;
        let carried = self.cuts.clone();
        let again = self.write_again(number);
        if again.is_err() {
            // Nothing was cut. The segment that was to replace may be there all the same, and is to be read as nothing:
            // what it holds is written a third time.
            self.cuts = carried;
            self.cut(number, 0);
            self.closing.iter_mut().for_each(|segment| segment.is_doomed = true);
        }
        self.failing = again.as_ref().err().map(|again| format!("{error}, then {again}"));
        again
    }

    fn write_again(&mut self, number: u32) -> io::Result<()> {
        let cuts: Vec<(u32, u64)> = self.closing.iter().map(|segment| (segment.number, segment.synced)).collect();
        cuts.iter().for_each(|(segment, synced)| self.cut(*segment, *synced));
        let seed = Seed::of(self.site.stream, self.site.lane, number);
        let mut frames: Vec<u8> = self.closing.iter().flat_map(|segment| &segment.copies).copied().collect();
        frame::seal(&mut frames, seed);
        let mut counts = Footer::default();
        frame::kinds(&frames).for_each(|kind| counts.count(kind));
        let mut bytes = self.header(number, self.last, 0).encode();
        bytes.extend_from_slice(&frames);

        let name = segment_name(self.site.stream, number);
        let file = write_aside(&*self.site.disk, &self.site.folder, &name, &bytes)?;
        self.site.budget.wrote(bytes.len() as u64);
        for (segment, synced) in cuts {
            self.extents.insert(segment, Extent { readable: synced, is_final: true });
        }
        self.closing.clear();
        let length = bytes.len() as u64;
        self.extents.insert(number, Extent { readable: length, is_final: false });
        let mut segment = Segment {
            number,
            file,
            seed,
            length,
            synced: length,
            room: 0,
            opened: self.last,
            counts,
            copies: Vec::new(),
            is_named: true,
            is_doomed: false,
        };
        // Best effort: accesses that are open keep their intents in any case.
        let _ = segment.ensure_room(length + self.reserved);
        self.live = Some(segment);
        Ok(())
    }

    /// Writes the completions that the disk refused before. Nobody's traffic waits for it: it is tried every time.
    fn pay(&mut self) -> io::Result<()> {
        if self.owed.is_empty() {
            return Ok(());
        }
        let mut owed = std::mem::take(&mut self.owed);
        let result = self.write_twice(&mut owed, 0);
        if result.is_err() {
            self.owed = owed;
        }
        result
    }

    /// Ends the live segment; another is opened by the next append.
    pub(in crate::accesslog) fn close(&mut self) {
        self.close_live();
    }
}
