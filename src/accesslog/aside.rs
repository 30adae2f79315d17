//! What the store does not get, kept where a person finds it: batches that it refuses (`poison/`), and rows that it would
//! not keep for their dates (`quarantine/`). Each is a segment of its own, named after its batch and how many rows it is:
//! `lane-0000000007-accesses-1-512-12.seg`.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{Disk, LocalDisk, write_aside};
use super::frame::{self, Key, Kind, Seed};
use super::header::{HEADER_MAX, Header};
use super::inspect::{SegmentPlace, inspect};
use super::owner::Owner;
use crate::access::encoding::Canonical;
use crate::access::{GapRow, Row, Stream, Timestamp};
use crate::store::BatchToken;

/// Why something is set aside: which folder it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// The store refused it for good.
    Poison,
    /// Its dates cannot be right.
    Quarantine,
}

impl Aside {
    pub(super) const ALL: [Aside; 2] = [Aside::Poison, Aside::Quarantine];

    pub(super) fn folder(self, spool: &Path) -> PathBuf {
        spool.join(match self {
            Aside::Poison => "poison",
            Aside::Quarantine => "quarantine",
        })
    }

    /// Files there, and the rows in them, as their names say.
    pub(super) fn count(self, disk: &dyn Disk, spool: &Path) -> (u64, u64) {
        let names = disk.names(&self.folder(spool)).unwrap_or_default();
        let rows: Vec<u64> = names.iter().filter_map(|name| Some(parse(name)?.rows)).collect();
        (rows.len() as u64, rows.iter().sum())
    }

    /// Puts rows and gaps of a batch there. Put there before, they are put there again.
    pub(super) fn put(
        self,
        disk: &dyn Disk,
        spool: &Path,
        token: &BatchToken,
        owner: &Owner,
        at: Timestamp,
        (rows, gaps): (&[Row], &[GapRow]),
    ) -> io::Result<()> {
        let BatchToken { lane, stream, first, last, .. } = token;
        let mut frames = Vec::new();
        for row in rows {
            let key = Key { sequence: row.key().sequence, slice: row.key().slice };
            frame::put_record(Kind::Completion, key, &mut frames, |out| match row {
                Row::Access(row) => row.record.encode(out),
                Row::Connection(row) => row.record.encode(out),
            });
        }
        gaps.iter().for_each(|row| frame::put_gap(&row.gap, &mut frames));
        frame::seal(&mut frames, Seed::of(*stream, *lane, 0));
        let mut bytes = Header::bare(*stream, owner, *lane, 0, at).encode();
        bytes.append(&mut frames);
        let folder = self.folder(spool);
        disk.create_dir(&folder)?;
        let name = format!("lane-{lane:010}-{stream}-{first}-{last}-{}.seg", rows.len());
        write_aside(disk, &folder, &name, &bytes)?;
        disk.sync_dir(spool)
    }
}

/// What a file's name tells.
#[derive(Debug, Clone, Copy)]
struct Named {
    lane: u64,
    stream: Stream,
    rows: u64,
}

fn parse(name: &str) -> Option<Named> {
    let words: Vec<&str> = name.strip_suffix(".seg")?.split('-').collect();
    match words[..] {
        ["lane", lane, stream, _, _, rows] => {
            Some(Named { lane: lane.parse().ok()?, stream: stream.parse().ok()?, rows: rows.parse().ok()? })
        }
        _ => None,
    }
}

/// A file of what was set aside.
#[derive(Debug)]
pub struct AsideFile {
    pub path: PathBuf,
    pub why: Aside,
    named: Named,
}

/// What such a file holds.
#[derive(Debug)]
pub struct SetAside {
    pub stream: Stream,
    /// When it was set aside; `None`: the head of the file is damaged.
    pub at: Option<Timestamp>,
    pub rows: Vec<Row>,
    pub gaps: Vec<GapRow>,
    /// What of the file cannot be read.
    pub problems: Vec<String>,
}

/// Everything that is set aside in a spool, in the order of the names.
pub fn set_aside(spool: &Path) -> io::Result<Vec<AsideFile>> {
    let mut files = Vec::new();
    for why in Aside::ALL {
        let folder = why.folder(spool);
        let mut names = match LocalDisk.names(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names?,
        };
        names.sort_unstable();
        files.extend(names.iter().filter_map(|name| {
            let named = parse(name)?;
            Some(AsideFile { path: folder.join(name), why, named })
        }));
    }
    Ok(files)
}

impl AsideFile {
    pub fn read(&self) -> io::Result<SetAside> {
        let Named { lane, stream, .. } = self.named;
        let bytes = std::fs::read(&self.path)?;
        let found = inspect(&bytes, SegmentPlace { stream, lane, segment: 0 });
        let header = Header::read(&bytes).ok().map(|(header, _)| header);
        let gap_row = |gap| {
            let header = header.as_ref()?;
            Some(GapRow { college: header.college.clone(), gateway: header.gateway.clone(), lane, stream, gap })
        };
        let gaps = found.gaps.into_iter().filter_map(gap_row).collect();
        let at = header.as_ref().map(|header| header.opened);
        Ok(SetAside { stream, at, rows: found.rows, gaps, problems: found.problems })
    }

    /// Deletes it: the store has everything of it now.
    pub fn remove(&self) -> io::Result<()> {
        LocalDisk.remove(&self.path)
    }
}

/// A file that was set aside and is past its duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    pub stream: Stream,
    /// When it was set aside.
    pub day: i32,
    pub rows: u64,
}

/// Deletes what was set aside before the first day that its stream keeps, and says what it was.
pub fn purge(spool: &Path, first_kept: impl Fn(Stream) -> i32) -> io::Result<Vec<Expired>> {
    let disk = LocalDisk;
    let mut gone = Vec::new();
    for folder in Aside::ALL.map(|aside| aside.folder(spool)) {
        let names = match disk.names(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names?,
        };
        for name in names {
            let (path, Some(Named { stream, rows, .. })) = (folder.join(&name), parse(&name)) else { continue };
            // One that does not say when it was made is for a person to look at.
            let Ok((header, _)) = Header::read(&disk.read(&path, 0, HEADER_MAX)?) else { continue };
            let day = header.opened.day();
            if day < first_kept(stream) {
                disk.remove(&path)?;
                gone.push(Expired { stream, day, rows });
            }
        }
    }
    Ok(gone)
}

/// Which dates a store keeps.
#[derive(Debug, Clone, Copy)]
pub struct Dates {
    /// How long each stream is kept: what is older would be deleted as soon as it arrives.
    pub accesses: Duration,
    pub connections: Duration,
}

impl Default for Dates {
    /// The longest that the law allows for each.
    fn default() -> Self {
        const YEAR: Duration = Duration::from_secs(366 * 86_400);
        Dates { accesses: YEAR, connections: YEAR }
    }
}

/// 2026-01-01 to 2100-01-01: this program was not there before, and no store's dates end earlier.
const POSSIBLE: Range<Timestamp> =
    Timestamp::from_micros(1_767_225_600_000_000)..Timestamp::from_micros(4_102_444_800_000_000);
/// What a clock may be wrong by without anybody's rows being set aside: two days, a dead time server's weekend.
const AHEAD: Duration = Duration::from_secs(2 * 86_400);

impl Dates {
    /// Whether the store keeps a row that began at `start`, asked at `at`.
    pub fn keep(self, stream: Stream, start: Timestamp, at: Timestamp) -> bool {
        if !POSSIBLE.contains(&start) {
            return false;
        }
        let longest = match stream {
            Stream::Accesses => self.accesses,
            Stream::Connections => self.connections,
        };
        // A clock that cannot be right judges nobody's.
        !POSSIBLE.contains(&at) || (start <= at.plus(AHEAD) && start >= at.minus(longest))
    }
}

/// The nearest instant that can be right.
pub(super) fn possible(at: Timestamp) -> Timestamp {
    at.clamp(POSSIBLE.start, POSSIBLE.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_kept_where_it_can_be_right() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let keep = |start: &str, now: &str| Dates::default().keep(Stream::Accesses, at(start), at(now));
        let now = "2027-11-23T12:00:00Z";
        for (start, is_kept) in [
            ("1970-01-01T00:00:05Z", false),
            ("2026-11-01T00:00:00Z", false),
            ("2026-12-01T00:00:00Z", true),
            (now, true),
            ("2027-11-25T11:00:00Z", true),
            ("2027-11-26T12:00:00Z", false),
            ("2106-02-07T00:00:00Z", false),
        ] {
            assert_eq!(keep(start, now), is_kept, "{start}");
        }
        assert!(keep(now, "1970-01-01T00:01:00Z"), "a clock that is wrong itself");
        assert!(!keep("1970-01-01T00:00:05Z", "1970-01-01T00:01:00Z"));
    }

    #[test]
    fn what_was_set_aside_is_read_back_whole_and_goes_when_it_is_removed() {
        use crate::access::{CollegeCode, Gap, GatewayName};
        use crate::store::suite::sample::{self, Dice};
        let spool = tempfile::TempDir::new().unwrap();
        assert!(set_aside(spool.path()).unwrap().is_empty());
        let college = CollegeCode::parse("0131234A").unwrap();
        let at: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let owner = Owner { college: college.clone(), gateway: GatewayName::parse("gw-1").unwrap(), since: at };
        for (why, stream) in [(Aside::Poison, Stream::Accesses), (Aside::Quarantine, Stream::Connections)] {
            let mut rows = sample::rows(&mut Dice::seeded(9), stream, 12);
            for row in &mut rows {
                sample::set_key(row, crate::access::RowKey { college: college.clone(), ..row.key().clone() });
            }
            let gap = Gap { since: at, until: at, count: 3, segment: 7, cause: "a test".into() };
            let gap = GapRow { college: college.clone(), gateway: owner.gateway.clone(), lane: 1, stream, gap };
            let token = BatchToken { gateway: owner.gateway.clone(), lane: 1, stream, first: 1, last: 4 };
            why.put(&LocalDisk, spool.path(), &token, &owner, at, (&rows, std::slice::from_ref(&gap))).unwrap();
            let files = set_aside(spool.path()).unwrap();
            let [file] = &files[..] else { panic!("{files:?}") };
            let found = file.read().unwrap();
            assert_eq!((file.why, found.stream, found.at), (why, stream, Some(at)));
            assert_eq!((found.rows, found.gaps, found.problems), (rows, vec![gap], vec![]));
            file.remove().unwrap();
        }
        assert!(set_aside(spool.path()).unwrap().is_empty());
    }
}
