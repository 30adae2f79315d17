//! The CRYPTO frames of Initial packets (RFC 9000 §19.6), put together.

use super::packet::number_of;
use crate::detect::Fault;
use crate::detect::reader::Reader;

/// More than the datagrams hold that are waited for.
pub(super) const CRYPTO_MAX: usize = 16 * 1024;
/// More holes than a browser's shuffling makes (Chrome cuts a ClientHello in some 10 pieces).
const RANGES_MAX: usize = 64;

/// A stream of bytes that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Crypto {
    bytes: Vec<u8>,
    /// What of `bytes` is there: sorted, apart from each other.
    there: Vec<(usize, usize)>,
    /// Where the first message ends, once it is whole: what comes behind is not looked at.
    whole: Option<usize>,
}

impl Crypto {
    /// The beginning without a hole.
    pub fn front(&self) -> &[u8] {
        match self.there.first() {
            Some(&(0, end)) => &self.bytes[..end],
            _ => &[],
        }
    }

    /// The first message is whole and ends there; nothing more is kept.
    pub fn ends_at(&mut self, end: usize) {
        self.bytes.truncate(end);
        self.bytes.shrink_to_fit();
        self.there = vec![(0, end)];
        self.whole = Some(end);
    }

    /// # Errors
    /// Frames that no client sends in an Initial packet, or a stream that is too long, too full of holes or says two things
    /// in one place.
    pub fn read_frames(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let mut frames = Reader(payload);
        while let Some(kind) = frames.u8() {
            match kind {
                // PADDING, PING.
                0 | 1 => {}
                2 | 3 => skip_ack(&mut frames, kind == 3).ok_or(Fault::Malformed)?,
                6 => {
                    let offset = number_of(&mut frames).ok_or(Fault::Malformed)?;
                    let piece = number_of(&mut frames).and_then(|length| frames.take(length));
                    self.insert(offset, piece.ok_or(Fault::Malformed)?)?;
                }
                // CONNECTION_CLOSE: nothing follows that counts.
                0x1c | 0x1d => return Ok(()),
                _ => return Err(Fault::Malformed),
            }
        }
        Ok(())
    }

    fn insert(&mut self, start: usize, piece: &[u8]) -> Result<(), Fault> {
        let end = start.checked_add(piece.len()).filter(|end| *end <= CRYPTO_MAX).ok_or(Fault::TooLong)?;
        let end = self.whole.map_or(end, |whole| end.min(whole));
        let piece = &piece[..end.saturating_sub(start)];
        if piece.is_empty() {
            return Ok(());
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        for &(from, to) in &self.there {
            let (from, to) = (from.max(start), to.min(end));
            if from < to && self.bytes[from..to] != piece[from - start..to - start] {
                return Err(Fault::Malformed);
            }
        }
        self.bytes[start..end].copy_from_slice(piece);
        let first = self.there.partition_point(|&(_, to)| to < start);
        let last = self.there.partition_point(|&(from, _)| from <= end);
        let joined = self.there[first..last].iter().fold((start, end), |(a, b), &(from, to)| (a.min(from), b.max(to)));
        self.there.splice(first..last, [joined]);
        if self.there.len() > RANGES_MAX { Err(Fault::TooLong) } else { Ok(()) }
    }
}

/// RFC 9000 §19.3.
fn skip_ack(frames: &mut Reader<'_>, with_ecn: bool) -> Option<()> {
    let (_largest, _delay) = (number_of(frames)?, number_of(frames)?);
    let ranges = number_of(frames)?;
    let _first = number_of(frames)?;
    // Each takes two bytes at least: the payload ends before an absurd count does.
    for _ in 0..ranges {
        let (_gap, _length) = (number_of(frames)?, number_of(frames)?);
    }
    if with_ecn {
        let (_ect0, _ect1, _ce) = (number_of(frames)?, number_of(frames)?, number_of(frames)?);
    }
    Some(())
}
