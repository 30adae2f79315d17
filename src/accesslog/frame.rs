//! Frames as bytes; the layout is specified in [`super`].
//!
//! Pure: bytes in, frames out. [`scan`] is the only reader of frames there is, and says what it could not read.

use crate::access::{Gap, Stream, Timestamp};

/// 0xff and 0xfe occur in no UTF-8 text, so nothing that a client sent can look like the start of a frame.
const MARKER: [u8; 4] = [0xff, 0xfe, 0xec, 0x1c];
/// Marker, length, checksum, kind.
pub(super) const HEAD_BYTES: usize = 13;
/// Sequence and slice, in front of a record.
pub(super) const KEY_BYTES: usize = 12;
/// The longest payload: a part of a day's roster; a record stays under 32 KiB.
pub(super) const PAYLOAD_MAX: usize = 1 << 20;
pub(super) const FRAME_MAX: usize = HEAD_BYTES + PAYLOAD_MAX;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Intent = 1,
    Completion = 2,
    SealedKey = 3,
    Gap = 4,
    Footer = 5,
    GapBegins = 6,
    GapEnds = 7,
}

impl Kind {
    /// Whether it is a row of the lane: what the ledger counts, and the store is sent.
    pub(super) fn is_row(self) -> bool {
        matches!(self, Kind::Completion | Kind::Gap)
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::{Completion, Footer, Gap, GapBegins, GapEnds, Intent, SealedKey};
        [Intent, Completion, SealedKey, Gap, Footer, GapBegins, GapEnds].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Binds the checksums of a segment's frames to its place: a frame from elsewhere is not taken for one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn of(stream: Stream, lane: u64, segment: u32) -> Seed {
        let crc = crc32c::crc32c(stream.as_str().as_bytes());
        let crc = crc32c::crc32c_append(crc, &lane.to_le_bytes());
        Seed(crc32c::crc32c_append(crc, &segment.to_le_bytes()))
    }

    /// Of what lies in this segment.
    pub(super) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// Appends a frame to `out`, all but its checksum, which [`seal`] adds when the segment is known.
pub(super) fn put(kind: Kind, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0; 8]);
    out.push(kind as u8);
    payload(out);
    let length = (out.len() - start - HEAD_BYTES) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
}

/// Appends the frame of a record.
pub(super) fn put_record(kind: Kind, key: Key, out: &mut Vec<u8>, record: impl FnOnce(&mut Vec<u8>)) {
    put(kind, out, |out| {
        out.extend_from_slice(&key.sequence.to_le_bytes());
        out.extend_from_slice(&key.slice.to_le_bytes());
        record(out);
    });
}

/// Sequence and slice: the key of a record within its lane and stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub sequence: u64,
    pub slice: u32,
}

/// Completes the checksums of whole frames that [`put`] made.
pub(super) fn seal(mut frames: &mut [u8], seed: Seed) {
    while frames.len() >= HEAD_BYTES {
        let end = HEAD_BYTES + word(&frames[4..8]) as usize;
        let crc = checksum(&frames[..end], seed);
        frames[8..12].copy_from_slice(&crc.to_le_bytes());
        frames = &mut frames[end..];
    }
}

/// The kinds of whole frames that [`put`] made.
pub(super) fn kinds(mut frames: &[u8]) -> impl Iterator<Item = Kind> {
    std::iter::from_fn(move || {
        let kind = Kind::from_byte(*frames.get(12)?)?;
        frames = frames.get(HEAD_BYTES + word(&frames[4..8]) as usize..)?;
        Some(kind)
    })
}

fn checksum(frame: &[u8], seed: Seed) -> u32 {
    crc32c::crc32c_append(seed.checksum(&frame[4..8]), &frame[12..])
}

pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

pub(super) fn long(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A piece of a segment, in order of place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A frame whose checksum is right, and where it ends.
    Frame { kind: Kind, payload: &'a [u8], end: usize },
    /// Bytes that are no frame, up to the next one.
    Damage { bytes: usize, end: usize },
    /// Bytes at the end that are no frame: torn, damaged, or not there yet.
    Tail { bytes: usize },
}

/// Reads the frames of `bytes`.
pub(super) fn scan(bytes: &[u8], seed: Seed) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == bytes.len() {
            return None;
        }
        if let Some((kind, payload, end)) = frame_at(bytes, at, seed) {
            at = end;
            return Some(Piece::Frame { kind, payload, end });
        }
        let start = at;
        match next_frame(bytes, start + 1, seed) {
            Some(next) => {
                at = next;
                Some(Piece::Damage { bytes: next - start, end: next })
            }
            None => {
                at = bytes.len();
                Some(Piece::Tail { bytes: bytes.len() - start })
            }
        }
    })
}

fn next_frame(bytes: &[u8], from: usize, seed: Seed) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.windows(MARKER.len()).position(|window| window == MARKER)?;
        if frame_at(bytes, at, seed).is_some() {
            return Some(at);
        }
        at += 1;
    }
}

fn frame_at(bytes: &[u8], at: usize, seed: Seed) -> Option<(Kind, &[u8], usize)> {
    let head = bytes.get(at..at + HEAD_BYTES)?;
    let length = word(&head[4..8]) as usize;
    if head[..4] != MARKER || length > PAYLOAD_MAX {
        return None;
    }
    let end = at + HEAD_BYTES + length;
    let frame = bytes.get(at..end)?;
    if checksum(frame, seed) != word(&head[8..12]) {
        return None;
    }
    Some((Kind::from_byte(head[12])?, &frame[HEAD_BYTES..], end))
}

/// Splits a record's payload.
pub(super) fn split_record(payload: &[u8]) -> Option<(Key, &[u8])> {
    let (key, record) = payload.split_at_checked(KEY_BYTES)?;
    Some((Key { sequence: long(&key[..8]), slice: word(&key[8..]) }, record))
}

/// What a closed segment holds, so that damage is noticed even where nothing follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Footer {
    pub intents: u64,
    pub completions: u64,
    /// Sealed keys and gaps.
    pub others: u64,
}

impl Footer {
    pub(super) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Intent => self.intents += 1,
            Kind::Completion => self.completions += 1,
            Kind::SealedKey | Kind::Gap | Kind::GapBegins | Kind::GapEnds => self.others += 1,
            Kind::Footer => {}
        }
    }

    pub(super) fn frames(&self) -> u64 {
        self.intents + self.completions + self.others
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put(Kind::Footer, out, |out| {
            [self.intents, self.completions, self.others].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        });
    }

    pub(super) fn read(payload: &[u8]) -> Option<Footer> {
        let (&[intents, completions, others], []) = payload.as_chunks::<8>() else { return None };
        let [intents, completions, others] = [intents, completions, others].map(u64::from_le_bytes);
        Some(Footer { intents, completions, others })
    }
}

/// Appends the frame of a gap.
pub(super) fn put_gap(gap: &Gap, out: &mut Vec<u8>) {
    put(Kind::Gap, out, |out| {
        out.extend_from_slice(&gap.since.as_micros().to_le_bytes());
        out.extend_from_slice(&gap.until.as_micros().to_le_bytes());
        out.extend_from_slice(&gap.count.to_le_bytes());
        out.extend_from_slice(&gap.segment.to_le_bytes());
        out.extend_from_slice(clip_cause(&gap.cause).as_bytes());
    });
}

pub(super) fn read_gap(payload: &[u8]) -> Option<Gap> {
    let (fixed, cause) = payload.split_at_checked(28)?;
    Some(Gap {
        since: Timestamp::from_micros(long(&fixed[..8]) as i64),
        until: Timestamp::from_micros(long(&fixed[8..16]) as i64),
        count: long(&fixed[16..24]),
        segment: word(&fixed[24..28]),
        cause: std::str::from_utf8(cause).ok()?.to_owned(),
    })
}

/// Appends the frame that says: from now on something may be missing, until a gap tells what.
pub(super) fn put_gap_begins(since: Timestamp, cause: &str, out: &mut Vec<u8>) {
    put(Kind::GapBegins, out, |out| {
        out.extend_from_slice(&since.as_micros().to_le_bytes());
        out.extend_from_slice(clip_cause(cause).as_bytes());
    });
}

pub(super) fn read_gap_begins(payload: &[u8]) -> Option<(Timestamp, String)> {
    let (since, cause) = payload.split_at_checked(8)?;
    Some((Timestamp::from_micros(long(since) as i64), std::str::from_utf8(cause).ok()?.to_owned()))
}

/// Appends the frame that says: what began is told of, and nothing is missing any more.
pub(super) fn put_gap_ends(out: &mut Vec<u8>) {
    put(Kind::GapEnds, out, |_| {});
}

/// The longest cause, in bytes: with it the two frames of a gap fit the room that is kept for them.
const CAUSE_MAX: usize = 128;
/// A gap and the beginning of the next, as frames.
pub(super) const GAP_FRAMES_MAX: u64 = (2 * (HEAD_BYTES + CAUSE_MAX) + 28 + 8) as u64;

fn clip_cause(cause: &str) -> &str {
    &cause[..cause.floor_char_boundary(CAUSE_MAX)]
}

#[cfg(test)]
mod tests;
