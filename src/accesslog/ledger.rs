//! The ledger of a stream in a lane: which batches were cut from it, and which the store has.
//!
//! A batch is written here, and synced, before it is sent for the first time: whoever sends it again, after a crash or
//! from another process, sends the same rows under the same token. One line each, with a checksum at its end; a line
//! that is torn does not count. Written by another process, or after a sync that failed, a ledger is written anew before
//! anything is sent that it names: a line that a power cut can take would give its rows a second token.
//!
//! ```text
//! recovered 4211 <crc>                          every intent has its completion; so many rows in the lane
//! batch 1 512 1 0 1 98304 1795421700000000 <crc>  rows 1 to 512 of the lane, from and to (segment, offset); when
//! ack 512 1 98304 1795421700123456 <crc>        the store has everything up to row 512, which ends there; when
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile, append_all, write_aside};
use super::lane::ledger_name;
use super::reading::Place;
use crate::access::{Stream, Timestamp};

pub(super) struct Ledger {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    name: String,
    file: Option<Arc<dyn DiskFile>>,
    bytes: u64,
    /// What stands in the file may not be durable: it is written anew before anything is sent that it names.
    is_doubtful: bool,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub acked: Acked,
    pub pending: Option<Cut>,
    /// Rows in the lane, once it has been recovered.
    pub recovered: Option<u64>,
    /// Since when the store has all that lies before a segment, oldest first.
    pub passed: Vec<(u32, Timestamp)>,
}

/// Up to where the store has everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Acked {
    /// The number of the last such row, in the order of the lane; from 1.
    pub last: u64,
    pub place: Place,
    pub at: Timestamp,
}

/// A batch as it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub first: u64,
    pub last: u64,
    pub from: Place,
    pub to: Place,
    /// When it was cut: which of its rows the store keeps is asked for that instant, however often it is sent.
    pub at: Timestamp,
}

/// Longer ledgers are written anew with one line.
const LONG: u64 = 256 << 10;
/// No ledger is longer than this; what follows would be somebody else's.
const READ_MAX: u64 = 16 << 20;

impl Ledger {
    pub(super) fn read(disk: &Arc<dyn Disk>, folder: &Path, stream: Stream) -> io::Result<Ledger> {
        let name = ledger_name(stream);
        let bytes = match disk.read(&folder.join(&name), 0, READ_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let state = State::read(&bytes);
        let mut ledger = Ledger {
            disk: disk.clone(),
            folder: folder.to_owned(),
            name,
            file: None,
            bytes: bytes.len() as u64,
            is_doubtful: !bytes.is_empty(),
            state,
        };
        ledger.settle()?;
        Ok(ledger)
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Makes durable what is noted, where that is in doubt: somebody else wrote it, or a sync failed.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.is_doubtful { self.write_anew() } else { Ok(()) }
    }

    /// Notes a batch, durably.
    pub(super) fn cut(&mut self, cut: Cut) -> io::Result<()> {
        self.note(&cut_line(&cut))?;
        self.sync()
    }

    /// Makes durable what is noted: before a segment goes that a lost line would ask for again.
    pub(super) fn make_durable(&mut self) -> io::Result<()> {
        self.settle()?;
        self.sync()
    }

    /// Notes that the store has the rows up to `last`. Lost in a power cut, the batch is sent once more.
    pub(super) fn ack(&mut self, last: u64, place: Place, at: Timestamp) -> io::Result<()> {
        self.note(&ack_line(&Acked { last, place, at }))?;
        if self.bytes > LONG { self.write_anew() } else { Ok(()) }
    }

    pub(super) fn recovered(&mut self, rows: u64) -> io::Result<()> {
        self.note(&format!("recovered {rows}"))?;
        self.sync()
    }

    fn note(&mut self, line: &str) -> io::Result<()> {
        let line = with_checksum(line);
        self.append(&line)?;
        self.state.apply(line.trim_end());
        Ok(())
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = self.disk.open(&self.folder.join(&self.name))?;
                self.disk.sync_dir(&self.folder)?;
                self.file.insert(file).clone()
            }
        };
        let written = append_all(&*file, text.as_bytes());
        // Half a line may stand there.
        self.is_doubtful |= written.is_err();
        self.bytes += text.len() as u64;
        written
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.as_ref().map_or(Ok(()), |file| file.sync());
        self.is_doubtful |= synced.is_err();
        synced
    }

    /// One line each for what is known, in a new file that takes the place of the old one.
    fn write_anew(&mut self) -> io::Result<()> {
        self.is_doubtful = true;
        let mut text = with_checksum(&ack_line(&self.state.acked));
        if let Some(rows) = self.state.recovered {
            text.push_str(&with_checksum(&format!("recovered {rows}")));
        }
        if let Some(cut) = &self.state.pending {
            text.push_str(&with_checksum(&cut_line(cut)));
        }
        self.file = Some(write_aside(&*self.disk, &self.folder, &self.name, text.as_bytes())?);
        self.bytes = text.len() as u64;
        self.is_doubtful = false;
        Ok(())
    }
}

fn cut_line(Cut { first, last, from, to, at }: &Cut) -> String {
    let at = at.as_micros();
    format!("batch {first} {last} {} {} {} {} {at}", from.segment, from.offset, to.segment, to.offset)
}

fn ack_line(acked: &Acked) -> String {
    format!("ack {} {} {} {}", acked.last, acked.place.segment, acked.place.offset, acked.at.as_micros())
}

fn with_checksum(line: &str) -> String {
    format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()))
}

impl State {
    pub(super) fn read(ledger: &[u8]) -> State {
        let mut state = State::default();
        String::from_utf8_lossy(ledger).split('\n').for_each(|line| state.apply(line));
        state
    }

    /// Reads a line; one that is torn says nothing.
    fn apply(&mut self, line: &str) {
        let Some((line, crc)) = line.rsplit_once(' ') else { return };
        if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(line.as_bytes())) {
            return;
        }
        let mut words = line.split(' ');
        let verb = words.next();
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let place = |segment: u64, offset| Place { segment: segment as u32, offset };
        match (verb, &numbers[..]) {
            (Some("batch"), &[first, last, from, from_offset, to, to_offset, at]) => {
                let (from, to) = (place(from, from_offset), place(to, to_offset));
                let at = Timestamp::from_micros(at as i64);
                self.pending = Some(Cut { first, last, from, to, at });
            }
            (Some("ack"), &[last, segment, offset, at]) => {
                let at = Timestamp::from_micros(at as i64);
                let place = place(segment, offset);
                if self.passed.last().is_none_or(|(segment, _)| *segment < place.segment) {
                    self.passed.push((place.segment, at));
                }
                self.acked = Acked { last, place, at };
                self.pending = None;
            }
            (Some("recovered"), &[rows]) => self.recovered = Some(rows),
            _ => {}
        }
    }

    /// Whether the store has had everything before `segment` for long enough.
    pub(super) fn has_passed(&self, segment: u32, now: Timestamp, keep: std::time::Duration) -> bool {
        self.passed.iter().any(|(before, at)| *before > segment && now.since(*at) >= keep)
    }
}
