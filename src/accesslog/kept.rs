//! What the spool still holds of what the store has acknowledged: for comparing the two.
//!
//! Only what lies before the place up to which the ledger says that the store has everything. Read without the lanes'
//! locks: a segment that goes meanwhile is one that nobody needs.

use std::fs;
use std::io;
use std::path::Path;

use super::disk::LocalDisk;
use super::inspect::{SegmentPlace, inspect_start};
use super::lane;
use super::ledger::State;
use crate::access::{Row, Stream};

/// The rows of one segment.
#[derive(Debug)]
pub struct Kept {
    pub lane: u64,
    pub rows: Vec<Row>,
}

/// Hands over the acknowledged rows of a stream, segment by segment, lane after lane.
pub fn acknowledged(spool: &Path, stream: Stream, mut visit: impl FnMut(Kept)) -> io::Result<()> {
    for number in lane::numbers(&LocalDisk, spool)? {
        let folder = lane::folder(spool, number);
        let ledger = match fs::read(folder.join(lane::ledger_name(stream))) {
            Ok(bytes) => State::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for segment in lane::segments(&LocalDisk, &folder, stream)? {
            let acked = ledger.acked.place;
            if segment > acked.segment {
                break;
            }
            let bytes = match fs::read(folder.join(lane::segment_name(stream, segment))) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let most = if segment == acked.segment { acked.offset } else { u64::MAX };
            let found = inspect_start(&bytes, SegmentPlace { stream, lane: number, segment }, most);
            visit(Kept { lane: number, rows: found.rows });
        }
    }
    Ok(())
}
