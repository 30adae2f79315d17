//! One segment as bytes, read without a spool around it: for whoever looks into one by hand, and for tests that throw bytes
//! at the reader. Never panics, whatever the bytes are.

use super::frame::{self, Kind, Piece, Seed, split_record};
use super::header::{Header, HeaderError};
use super::journaled::Journaled;
use super::ledger::State;
use super::packed::{self, Packed};
use crate::access::encoding::DecodeError;
use crate::access::{AccessRecord, CollegeCode, ConnectionRecord, Gap, GatewayName, Row, RowKey, Stream};

/// Where a segment was: the checksums of its frames are bound to that. The file's name and its folder's tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPlace {
    pub stream: Stream,
    pub lane: u64,
    pub segment: u32,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub struct Inspected {
    /// Rows that are complete, in the order in which they were written.
    pub rows: Vec<Row>,
    /// Intents; their completions may lie in other segments.
    pub intents: u64,
    pub gaps: Vec<Gap>,
    /// Bytes that could not be read, with what is wrong about them.
    pub problems: Vec<String>,
}

/// Reads a segment: its header, and every frame that is whole.
pub fn inspect(bytes: &[u8], place: SegmentPlace) -> Inspected {
    inspect_start(bytes, place, u64::MAX)
}

/// The same of a segment's first bytes, `most` of them, compressed or not.
pub(super) fn inspect_start(bytes: &[u8], place: SegmentPlace, most: u64) -> Inspected {
    if !packed::is_packed(bytes) {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        return inspect_whole(&bytes[..bytes.len().min(most)], place, 0);
    }
    match Packed::read(bytes, Seed::of(place.stream, place.lane, place.segment)) {
        Ok(packed) => {
            let whole = packed.stretch(0, most);
            let mut found = inspect_whole(&whole.bytes, place, whole.lost_at_end);
            if packed.damaged > 0 {
                found.problems.push(format!("{} bytes are no compressed block", packed.damaged));
            }
            found
        }
        Err(_) => Inspected { problems: vec!["a newer program compressed it".into()], ..Inspected::default() },
    }
}

/// A segment as it is when compressed; `None` where it has no header.
pub fn compress(bytes: &[u8], place: SegmentPlace) -> Option<Vec<u8>> {
    let (_, header) = Header::read(bytes).ok()?;
    packed::pack(bytes, header, Seed::of(place.stream, place.lane, place.segment)).ok()
}

fn inspect_whole(bytes: &[u8], place: SegmentPlace, lost_at_end: usize) -> Inspected {
    let mut found = Inspected::default();
    if lost_at_end > 0 {
        found.problems.push(format!("{lost_at_end} bytes at the end are lost"));
    }
    let (header, length) = match Header::read(bytes) {
        Ok((header, length)) => (Some(header), length),
        Err(HeaderError::Damaged) => {
            found.problems.push("the header cannot be read".into());
            (None, 0)
        }
        Err(HeaderError::Newer(version)) => {
            found.problems.push(format!("a newer program wrote it (format {version})"));
            return found;
        }
    };
    let owner = header.map(|header| (header.college, header.gateway));
    let seed = Seed::of(place.stream, place.lane, place.segment);
    for piece in frame::scan(&bytes[length..], seed) {
        match piece {
            Piece::Frame { kind, payload, .. } => found.meet(kind, payload, place, owner.as_ref()),
            Piece::Damage { bytes, .. } => found.problems.push(format!("{bytes} bytes are no frame")),
            Piece::Tail { bytes } => found.problems.push(format!("the last {bytes} bytes are no frame")),
        }
    }
    found
}

/// Reads the ledger of a stream in a lane: up to which row the store has everything.
pub fn inspect_ledger(bytes: &[u8]) -> u64 {
    State::read(bytes).acked.last
}

impl Inspected {
    fn meet(&mut self, kind: Kind, payload: &[u8], place: SegmentPlace, owner: Option<&(CollegeCode, GatewayName)>) {
        match kind {
            Kind::Intent => self.intents += 1,
            Kind::Completion => match (split_record(payload), owner) {
                (Some((key, record)), Some((college, gateway))) => {
                    let key = RowKey {
                        college: college.clone(),
                        gateway: gateway.clone(),
                        lane: place.lane,
                        sequence: key.sequence,
                        slice: key.slice,
                    };
                    match row(place.stream, key, record) {
                        Ok(row) => self.rows.push(row),
                        Err(error) => self.problems.push(format!("a completion is no record: {error}")),
                    }
                }
                (Some(_), None) => self.problems.push("whose a completion is the header does not tell".into()),
                (None, _) => self.problems.push("a completion has no key".into()),
            },
            Kind::Gap => match frame::read_gap(payload) {
                Some(gap) => self.gaps.push(gap),
                None => self.problems.push("a gap is none".into()),
            },
            Kind::SealedKey | Kind::Footer | Kind::GapBegins | Kind::GapEnds => {}
        }
    }
}

/// The row of a completion.
pub(super) fn row(stream: Stream, key: RowKey, record: &[u8]) -> Result<Row, DecodeError> {
    use crate::access::encoding::Canonical;
    Ok(match stream {
        Stream::Accesses => AccessRecord::decode(record)?.into_row(key),
        Stream::Connections => ConnectionRecord::decode(record)?.into_row(key),
    })
}
