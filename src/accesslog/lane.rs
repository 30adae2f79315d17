//! Lanes: the folders of the spool, their numbers, their locks and the names of the files in them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{ASIDE, Disk, Lock, What, write_aside};
use super::error::OpenError;
use super::frame::Seed;
use super::header::{Head, NAMED_MAX};
use super::owner::Owner;
use super::packed;
use crate::access::{Stream, Timestamp};

/// A lane whose lock this process holds.
pub(super) struct Lane {
    pub number: u64,
    pub folder: PathBuf,
    _lock: Lock,
}

const LOCK: &str = "lock";
const NEXT_LANE: &str = "next-lane";
/// No lane reaches it, a second for each number: a folder with a higher one is none of ours.
const NUMBER_MAX: u64 = 1_000_000_000_000;

/// Holding the spool's lock takes a few file operations; longer than this means something else is wrong.
const SPOOL_PATIENCE: Duration = Duration::from_secs(5);
const SPOOL_PAUSE: Duration = Duration::from_millis(10);

impl Lane {
    /// Makes a new lane, with a number that was never used before and never will be again.
    pub(super) fn make(disk: &dyn Disk, spool: &Path, owner: &Owner, now: Timestamp) -> Result<Lane, OpenError> {
        let wrong = |error| OpenError::Directory { directory: spool.to_owned(), error };
        disk.create_dir(spool).map_err(wrong)?;
        clear_names(disk, spool, now).map_err(wrong)?;
        let _spool_lock = lock_spool(disk, spool)?;
        make_locked(disk, spool, owner, now).map_err(wrong)
    }

    /// Takes a lane that nobody holds; `None` when somebody does, or when it is gone.
    pub(super) fn take_dead(disk: &dyn Disk, spool: &Path, number: u64) -> io::Result<Option<Lane>> {
        let folder = spool.join(folder_name(number));
        match disk.lock(&folder.join(LOCK)) {
            Ok(lock) => Ok(lock.map(|lock| Lane { number, folder, _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what is left of a lane that has been shipped; its number stays used.
    pub(super) fn remove(self, disk: &dyn Disk) -> io::Result<()> {
        // The segments first, and durably: one that a power cut brought back without its ledger would be shipped again.
        let (segments, others): (Vec<String>, Vec<String>) =
            disk.names(&self.folder)?.into_iter().partition(|name| name.ends_with(".seg"));
        segments.iter().try_for_each(|name| disk.remove(&self.folder.join(name)))?;
        disk.sync_dir(&self.folder)?;
        others.iter().filter(|name| *name != LOCK).try_for_each(|name| disk.remove(&self.folder.join(name)))?;
        disk.remove(&self.folder.join(LOCK))?;
        disk.remove_dir(&self.folder)
    }
}

/// The names that a lane needs are ours: whatever else stands there is renamed, and kept for a person to look at.
fn clear_names(disk: &dyn Disk, spool: &Path, now: Timestamp) -> io::Result<()> {
    for name in [LOCK.to_owned(), NEXT_LANE.to_owned(), format!("{NEXT_LANE}{ASIDE}")] {
        let path = spool.join(&name);
        if matches!(disk.what(&path), What::Folder | What::Strange) {
            tracing::error!(path = %path.display(), "this is none of ours and stands in the journal's way: it is renamed");
            disk.rename(&path, &spool.join(format!("strange-{name}-{}", now.as_micros())))?;
        }
    }
    Ok(())
}

fn lock_spool(disk: &dyn Disk, spool: &Path) -> Result<Lock, OpenError> {
    let mut waited = Duration::ZERO;
    while waited < SPOOL_PATIENCE {
        match disk.lock(&spool.join(LOCK)) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) => std::thread::sleep(SPOOL_PAUSE),
            Err(error) => return Err(OpenError::Directory { directory: spool.to_owned(), error }),
        }
        waited += SPOOL_PAUSE;
    }
    Err(OpenError::Busy(spool.to_owned()))
}

fn make_locked(disk: &dyn Disk, spool: &Path, owner: &Owner, now: Timestamp) -> io::Result<Lane> {
    let number = next_number(disk, spool, now)?;
    // Durable before the first row has it, so that no later process can give it again.
    write_aside(disk, spool, NEXT_LANE, format!("{}\n", number + 1).as_bytes())?;
    let folder = spool.join(folder_name(number));
    disk.create_dir(&folder)?;
    disk.sync_dir(spool)?;
    let lock = disk.lock(&folder.join(LOCK))?.ok_or(io::ErrorKind::WouldBlock)?;
    owner.write(disk, &folder)?;
    Ok(Lane { number, folder, _lock: lock })
}

/// Above every number known. A spool without its high-water mark (new, or deleted by hand) starts at the time in
/// seconds, which is above whatever was given before.
fn next_number(disk: &dyn Disk, spool: &Path, now: Timestamp) -> io::Result<u64> {
    let marked = match disk.read(&spool.join(NEXT_LANE), 0, 64) {
        Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let above = numbers(disk, spool)?.last().map_or(1, |newest| newest + 1);
    let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
    Ok(marked.unwrap_or(seconds).max(above))
}

/// The folder of a lane.
pub(super) fn folder(spool: &Path, number: u64) -> PathBuf {
    spool.join(folder_name(number))
}

fn folder_name(number: u64) -> String {
    format!("lane-{number:010}")
}

/// The numbers of the lanes in the spool, oldest first.
pub(super) fn numbers(disk: &dyn Disk, spool: &Path) -> io::Result<Vec<u64>> {
    let names = match disk.names(spool) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let number = |name: &String| name.strip_prefix("lane-")?.parse().ok().filter(|number| *number < NUMBER_MAX);
    // A link to somewhere else is no lane.
    let is_folder = |name: &&String| name.starts_with("lane-") && disk.what(&spool.join(name)) == What::Folder;
    let mut numbers: Vec<u64> = names.iter().filter(is_folder).filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn segment_name(stream: Stream, segment: u32) -> String {
    format!("{stream}-{segment:08}.seg")
}

pub(super) fn ledger_name(stream: Stream) -> String {
    format!("{stream}.ledger")
}

/// The segments of a stream in a lane, oldest first.
pub(super) fn segments(disk: &dyn Disk, folder: &Path, stream: Stream) -> io::Result<Vec<u32>> {
    let names = disk.names(folder)?;
    let number =
        |name: &String| name.strip_prefix(stream.as_str())?.strip_prefix('-')?.strip_suffix(".seg")?.parse().ok();
    let mut segments: Vec<u32> = names.iter().filter_map(number).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Where the other lanes of the spool end, per stream, and the newest time that they tell of.
pub(super) struct Others {
    pub heads: Vec<(Stream, Vec<Head>)>,
    pub latest: Timestamp,
}

/// Reads one header per lane and stream, of the newest lanes only: a start is quick whatever lies in the spool.
/// What cannot be read here is said by whoever ships it.
pub(super) fn others(disk: &dyn Disk, spool: &Path, own: u64) -> Others {
    let lanes = numbers(disk, spool).unwrap_or_default();
    let newest = lanes.iter().rev().filter(|number| **number != own).take(NAMED_MAX);
    let mut others = Others { heads: Vec::new(), latest: Timestamp::from_micros(i64::MIN) };
    for stream in Stream::ALL {
        let heads = newest.clone().filter_map(|lane| head(disk, spool, *lane, *stream, &mut others.latest)).collect();
        others.heads.push((*stream, heads));
    }
    others
}

fn head(disk: &dyn Disk, spool: &Path, lane: u64, stream: Stream, latest: &mut Timestamp) -> Option<Head> {
    let folder = spool.join(folder_name(lane));
    let segment = *segments(disk, &folder, stream).ok()?.last()?;
    let path = folder.join(segment_name(stream, segment));
    let start = disk.read(&path, 0, packed::HEAD_MAX).ok()?;
    let read = packed::read_header(&start, Seed::of(stream, lane, segment)).ok();
    *latest = read.iter().map(|(header, ..)| header.opened).max().unwrap_or(*latest).max(*latest);
    let length = read.and_then(|(.., length)| length).or_else(|| disk.size(&path).ok())?;
    Some(Head { lane, segment, length })
}

/// The bytes that all files of the lanes hold.
pub(super) fn spool_bytes(disk: &dyn Disk, spool: &Path) -> u64 {
    let folders = numbers(disk, spool).unwrap_or_default().into_iter().map(|number| spool.join(folder_name(number)));
    let files = folders.flat_map(|folder| {
        let names = disk.names(&folder).unwrap_or_default();
        names.into_iter().map(move |name| folder.join(name))
    });
    files.filter_map(|file| disk.size(&file).ok()).sum()
}
