//! The files of chains: appended to, synced, never altered, deleted a month at a time.
//!
//! The month is that of the sealing, UTC; if the clock goes back, lines go on in the newest file. A line that a crash tore
//! stays, gets its line feed from the next writer, and is no line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access::proof::{Hash, Root, Sealed, Signature, SignedText};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};
use crate::store::ChainName;
use crate::store::embedded::{NO_FOLLOW, give_to_owner_of};

/// No line is longer: ranges of the rows of a segment, and its gaps.
const LINE_MAX: u64 = 64 << 20;
/// The end of a file in which a root is looked for that was written before a crash: some hundred lines.
const TAIL: u64 = 512 << 10;

/// A line as far as its root goes: what opens the leaves may be long, and is not read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Line {
    text: String,
    signature: Signature,
}

impl Line {
    pub(super) fn read(bytes: &[u8]) -> Option<(SignedText, Root)> {
        let Line { text, signature } = serde_json::from_slice(bytes).ok()?;
        let signed = SignedText { text, signature };
        let root = signed.unverified_root().ok()?;
        Some((signed, root))
    }
}

/// One file of a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChainFile {
    /// `2026-11`.
    pub month: String,
    pub path: PathBuf,
}

/// Makes the folder, for this account alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let opened = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(folder)?;
    give_to_owner_of(folder.parent().unwrap_or(folder), &opened)
}

/// Appends the line that `make` gives for the number and hash of the line before, unless one of the last is the `same`.
pub(super) fn append(
    folder: &Path,
    name: &ChainName,
    now: Timestamp,
    is_same: impl Fn(&Root) -> bool,
    make: impl FnOnce((u64, Hash)) -> io::Result<Sealed>,
) -> io::Result<()> {
    // Held until the end: processes take turns.
    let lock = open(folder, &folder.join("lock"))?;
    lock.lock()?;
    let newest = files(folder, name)?.pop();
    let end = newest.as_ref().map_or(Ok(End::default()), |newest| End::of(&newest.path))?;
    if end.lines.iter().any(|(_, root)| is_same(root)) {
        return Ok(());
    }
    let previous = match end.lines.last() {
        Some((text, root)) => (root.number, text.hash()),
        None => (0, Hash::default()),
    };
    let month = now.to_string().get(..7).unwrap_or_default().to_owned();
    let month = newest.map(|newest| newest.month).filter(|newest| *newest > month).unwrap_or(month);
    let path = folder.join(format!("{name}-{month}.jsonl"));
    let mut bytes = if end.is_torn && path.exists() { b"\n".to_vec() } else { Vec::new() };
    serde_json::to_writer(&mut bytes, &make(previous)?)?;
    bytes.push(b'\n');
    let mut file = open(folder, &path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn open(folder: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)?;
    give_to_owner_of(folder, &file)?;
    Ok(file)
}

/// The last lines of a file.
#[derive(Default)]
struct End {
    lines: Vec<(SignedText, Root)>,
    is_torn: bool,
}

impl End {
    fn of(path: &Path) -> io::Result<End> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut tail = TAIL;
        loop {
            let start = length.saturating_sub(tail);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            (&mut file).take(LINE_MAX).read_to_end(&mut bytes)?;
            let end = End::read(&bytes, start > 0);
            if !end.lines.is_empty() {
                return Ok(end);
            }
            if start == 0 || tail >= LINE_MAX {
                let why = format!(
                    "{} holds no readable root: somebody altered it; set the file aside for who investigates",
                    path.display()
                );
                return if length == 0 { Ok(end) } else { Err(io::Error::new(io::ErrorKind::InvalidData, why)) };
            }
            tail *= 8;
        }
    }

    fn read(bytes: &[u8], is_cut: bool) -> End {
        let lines = bytes.split(|byte| *byte == b'\n').skip(usize::from(is_cut));
        let lines = lines.filter_map(Line::read).collect();
        End { lines, is_torn: !bytes.is_empty() && !bytes.ends_with(b"\n") }
    }
}

/// The files of one chain, oldest first.
pub(super) fn files(folder: &Path, name: &ChainName) -> io::Result<Vec<ChainFile>> {
    let all = all_files(folder)?;
    Ok(all.into_iter().filter(|(of, _)| of == name).map(|(_, file)| file).collect())
}

/// The files of all chains, oldest first.
pub(super) fn all_files(folder: &Path) -> io::Result<Vec<(ChainName, ChainFile)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some((chain, month)) = name.to_str().and_then(parse_name) {
            files.push((chain, ChainFile { month, path: folder.join(&name) }));
        }
    }
    files.sort();
    Ok(files)
}

/// `0131234A-gw-1-accesses-2026-11.jsonl`.
fn parse_name(name: &str) -> Option<(ChainName, String)> {
    let name = name.strip_suffix(".jsonl")?;
    let (rest, month) = name.split_at_checked(name.len().checked_sub(7)?)?;
    let (rest, stream) = rest.strip_suffix('-')?.rsplit_once('-')?;
    let (college, gateway) = rest.split_once('-')?;
    let stream: Stream = stream.parse().ok()?;
    let name =
        ChainName { college: CollegeCode::parse(college).ok()?, gateway: GatewayName::parse(gateway).ok()?, stream };
    Some((name, month.to_owned()))
}

/// Reads whole lines of a file from `offset` on, at most `most`, as they are; answers where they end.
pub(super) fn read_from(path: &Path, offset: u64, most: usize) -> io::Result<(Vec<Vec<u8>>, u64)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::new(file);
    let (mut lines, mut offset) = (Vec::new(), offset);
    while lines.len() < most {
        let mut line = Vec::new();
        let read = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        offset += read as u64;
        lines.push(line);
    }
    Ok((lines, offset))
}

/// Deletes the files of a stream in which no tree holds anything of the UTC day `before` or later; never the newest, whose
/// last line the next one names.
pub(super) fn purge(folder: &Path, stream: Stream, before: i32) -> io::Result<u64> {
    let lock = open(folder, &folder.join("lock"))?;
    lock.lock()?;
    let all = all_files(folder)?;
    let mut gone = 0;
    for pair in all.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].0.stream == stream) {
        let (_, file) = &pair[0];
        if is_past(&file.path, before)? {
            fs::remove_file(&file.path)?;
            gone += 1;
        }
    }
    File::open(folder)?.sync_all()?;
    Ok(gone)
}

fn is_past(path: &Path, before: i32) -> io::Result<bool> {
    let mut offset = 0;
    loop {
        let (lines, end) = read_from(path, offset, 1000)?;
        let last_day = |root: Root| root.sealed.day().max(root.last_time.map_or(i32::MIN, Timestamp::day));
        // What is no line holds nothing.
        let days = lines.iter().filter_map(|line| Line::read(line)).map(|(_, root)| last_day(root));
        if days.max().is_some_and(|day| day >= before) {
            return Ok(false);
        }
        if end == offset {
            return Ok(true);
        }
        offset = end;
    }
}
