//! Appending one line to the chain.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use super::{Event, Line, TrailError};
use crate::access::Timestamp;
use crate::store::embedded::{NO_FOLLOW, give_to_owner_of};

/// No line is longer: thirteen filters of 512 bytes, escaped, or 400 pseudonyms.
pub(super) const LINE_MAX: usize = 64 * 1024;
/// What the first line of all has for the one before.
pub(super) const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The SHA-256 of a line without its line feed, in hexadecimal.
pub(super) fn hash(line: &[u8]) -> String {
    digest(&SHA256, line).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a trail, oldest first.
pub(super) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        let name = file?.file_name();
        if name.to_str().is_some_and(|n| n.starts_with("consultations-") && n.ends_with(".jsonl")) {
            files.push(directory.join(name));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The months of a trail before `first`, oldest first; never the newest there is, which the chain goes on from.
pub(super) fn months_before(directory: &Path, first: &str) -> io::Result<Vec<String>> {
    let mut files = match files(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        files => files?,
    };
    files.pop();
    let month = |path: PathBuf| Some(path.file_stem()?.to_str()?.strip_prefix("consultations-")?.to_owned());
    Ok(files.into_iter().filter_map(month).filter(|month| month.as_str() < first).collect())
}

/// Removes a month.
pub(super) fn forget(directory: &Path, month: &str) -> io::Result<()> {
    fs::remove_file(directory.join(format!("consultations-{month}.jsonl")))?;
    File::open(directory)?.sync_all()
}

/// Appends an event and syncs it; gives its number.
pub(super) fn append(directory: &Path, now: Timestamp, event: Event) -> Result<u64, TrailError> {
    append_line(directory, now, event).map_err(|e| TrailError { path: directory.into(), why: e.to_string() })
}

fn append_line(directory: &Path, now: Timestamp, event: Event) -> io::Result<u64> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let opened = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(directory)?;
    give_to_owner_of(directory.parent().unwrap_or(directory), &opened)?;
    // Held until the end of this function: processes take turns.
    let lock = open(directory, &directory.join("lock"))?;
    lock.lock()?;

    let newest = files(directory)?.pop();
    let end = newest.as_deref().map_or(Ok(End::of_nothing()), End::of_file)?;
    let line = Line { number: end.number + 1, previous: end.hash, time: now, event };
    let mut bytes = Vec::new();
    if end.is_torn && newest.as_ref().is_some_and(|newest| *newest >= path_of(directory, now)) {
        bytes.push(b'\n');
    }
    let feed = bytes.len();
    serde_json::to_writer(&mut bytes, &line)?;
    bytes.push(b'\n');
    if bytes.len() - feed > LINE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the question is too long to be written down"));
    }
    write_synced(directory, newest, now, &bytes)?;
    Ok(line.number)
}

fn path_of(directory: &Path, now: Timestamp) -> PathBuf {
    let text = now.to_string();
    directory.join(format!("consultations-{}.jsonl", text.get(..7).unwrap_or(&text)))
}

fn write_synced(directory: &Path, newest: Option<PathBuf>, now: Timestamp, bytes: &[u8]) -> io::Result<()> {
    let this_month = path_of(directory, now);
    let path = newest.filter(|newest| *newest > this_month).unwrap_or(this_month);
    let mut file = open(directory, &path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

fn open(directory: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)?;
    give_to_owner_of(directory, &file)?;
    Ok(file)
}

/// Where the chain stands.
struct End {
    number: u64,
    hash: String,
    is_torn: bool,
}

impl End {
    fn of_nothing() -> Self {
        End { number: 0, hash: BEGINNING.into(), is_torn: false }
    }

    fn of_file(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // Enough for a torn line and the whole one before it.
        let start = length.saturating_sub(2 * LINE_MAX as u64 + 2);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let is_torn = !tail.ends_with(b"\n");
        let text = tail.strip_suffix(b"\n").unwrap_or(&tail);
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let last = lines.last().copied().unwrap_or_default();
        // A torn line counts as one, although it does not tell its number.
        let known = lines.iter().rev().zip(0u64..).find_map(|(line, behind)| {
            serde_json::from_slice::<Line>(line).ok().map(|line| line.number.saturating_add(behind))
        });
        let number = known.unwrap_or(if start == 0 { lines.len() as u64 } else { 0 });
        if number == 0 {
            let why = format!(
                "the end of {} is no line of a trail: somebody altered it; set the file aside for who investigates",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(End { number, hash: hash(last), is_torn })
    }
}
