//! A sealed segment, compressed in blocks; the layout is specified in [`super`].
//!
//! It reads as the segment that it was: every place in it means what it meant, and a block that cannot be read is a
//! stretch of zeroes in which no frame is found. Pure: bytes in, bytes out. Nothing is allocated because a length says so.

use std::io;
use std::ops::Range;

use super::frame::{FRAME_MAX, Piece, Seed, long, scan, word};
use super::header::{HEADER_MAX, Header, HeaderError};

const MAGIC: [u8; 8] = *b"ECLUSEZ\0";
const VERSION: u16 = 1;
/// Magic, version, length of the segment, checksum.
const FIXED: usize = 22;
/// Not that of a frame, and no UTF-8 text holds it either.
const MARKER: [u8; 4] = [0xff, 0xfe, 0xec, 0x2c];
/// Marker, where it begins in the segment, how long it is there, how long it is here, method, checksum.
const BLOCK_HEAD: usize = 25;

/// A block is ended by the frame that reaches it: some 2,500 rows, which is what a damaged byte can cost.
const BLOCK: usize = 1 << 20;
/// The most that a block holds, and so the most that is ever decompressed at once.
const BLOCK_MAX: usize = BLOCK + FRAME_MAX;
/// Of zstd's 22: above it, time grows and size hardly shrinks.
const LEVEL: i32 = 3;

/// Longer segments stay as they are: one is held in memory while it is compressed.
pub(super) const SEGMENT_MAX: u64 = 64 << 20;
/// No compressed segment is longer: its blocks are never larger than what is in them, but for their heads.
pub(super) const FILE_MAX: u64 = SEGMENT_MAX + (1 << 20);
/// So much of a file's start holds the header of the segment, compressed or not.
pub(super) const HEAD_MAX: u64 = HEADER_MAX + (FIXED + BLOCK_HEAD) as u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Stored = 0,
    Zstd = 1,
}

/// Whether a file that begins so is a compressed segment.
pub(super) fn is_packed(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Compresses what may be read of a segment, whose header is `header` bytes long.
pub(super) fn pack(segment: &[u8], header: usize, seed: Seed) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(segment.len() / 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(segment.len() as u64).to_le_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    let mut zstd = zstd::bulk::Compressor::new(LEVEL)?;
    // By itself, so that damage to what follows leaves the header, and a start decompresses nothing.
    put(Block::stored(0, &segment[..header]), seed, &mut out);
    for range in cuts(&segment[header..], seed) {
        let at = header + range.start;
        let bytes = &segment[at..header + range.end];
        let small = zstd.compress(bytes)?;
        let block = Block::stored(at, bytes);
        let block =
            if small.len() < bytes.len() { Block { method: Method::Zstd, bytes: &small, ..block } } else { block };
        put(block, seed, &mut out);
    }
    Ok(out)
}

/// Where blocks begin and end: at the end of a frame once they are long enough.
fn cuts(frames: &[u8], seed: Seed) -> Vec<Range<usize>> {
    let (mut blocks, mut start) = (Vec::new(), 0);
    for piece in scan(frames, seed) {
        let end = match piece {
            Piece::Frame { end, .. } | Piece::Damage { end, .. } => end,
            Piece::Tail { .. } => frames.len(),
        };
        if end - start >= BLOCK || end == frames.len() {
            // Bytes that are no frame can be longer than any; a block is not.
            blocks.extend((start..end).step_by(BLOCK_MAX).map(|from| from..end.min(from + BLOCK_MAX)));
            start = end;
        }
    }
    blocks
}

fn put(block: Block<'_>, seed: Seed, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&block.at.to_le_bytes());
    out.extend_from_slice(&(block.length as u32).to_le_bytes());
    out.extend_from_slice(&(block.bytes.len() as u32).to_le_bytes());
    out.push(block.method as u8);
    let crc = checksum(&out[start + 4..], block.bytes, seed);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(block.bytes);
}

fn checksum(head: &[u8], bytes: &[u8], seed: Seed) -> u32 {
    crc32c::crc32c_append(seed.checksum(head), bytes)
}

/// A block as it lies in a file.
#[derive(Debug, Clone, Copy)]
struct Block<'a> {
    at: u64,
    length: usize,
    method: Method,
    bytes: &'a [u8],
}

/// The compressed segment of a file's bytes.
pub(super) struct Packed<'a> {
    blocks: Vec<Block<'a>>,
    /// How long the segment is.
    pub length: u64,
    /// Bytes of the file that are no block.
    pub damaged: u64,
}

/// A part of a segment.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub bytes: Vec<u8>,
    /// So many of its last bytes lay in blocks that cannot be read.
    pub lost_at_end: usize,
}

impl<'a> Packed<'a> {
    /// Whatever the bytes are; [`HeaderError::Newer`] is the only thing that it cannot read.
    pub(super) fn read(file: &'a [u8], seed: Seed) -> Result<Packed<'a>, HeaderError> {
        let said = said_length(file)?;
        let mut at = if said.is_some() { FIXED } else { 0 };
        let (mut blocks, mut damaged) = (Vec::new(), 0);
        while at < file.len() {
            if let Some((block, end)) = block_at(file, at, seed) {
                blocks.push(block);
                at = end;
            } else {
                let next = next_block(file, at + 1, seed);
                damaged += (next - at) as u64;
                at = next;
            }
        }
        blocks.sort_by_key(|block: &Block<'_>| block.at);
        // What lies over another was not written by us; together they are never more than a segment.
        let mut end = 0;
        blocks.retain(|block| {
            let is_behind = block.at >= end;
            damaged += if is_behind { 0 } else { block.bytes.len() as u64 };
            end = if is_behind { block.at + block.length as u64 } else { end };
            is_behind
        });
        Ok(Packed { blocks, length: said.unwrap_or(end), damaged })
    }

    /// The bytes of the segment from `start` on, at most `most`.
    pub(super) fn stretch(&self, start: u64, most: u64) -> Stretch {
        let end = self.length.min(start.saturating_add(most)).min(SEGMENT_MAX);
        let Some(length) = end.checked_sub(start) else { return Stretch::default() };
        let mut bytes = vec![0; length as usize];
        let mut found = 0;
        for block in &self.blocks {
            let block_end = block.at + block.length as u64;
            let (from, to) = (block.at.max(start), block_end.min(end));
            if from >= to {
                continue;
            }
            let Some(whole) = block.unpack() else { continue };
            let (from, to) = ((from - start) as usize, (to - start) as usize);
            let inside = (start + from as u64 - block.at) as usize;
            bytes[from..to].copy_from_slice(&whole[inside..inside + (to - from)]);
            found = found.max(to);
        }
        Stretch { lost_at_end: bytes.len() - found, bytes }
    }
}

impl<'a> Block<'a> {
    fn stored(at: usize, bytes: &'a [u8]) -> Self {
        Block { at: at as u64, length: bytes.len(), method: Method::Stored, bytes }
    }

    /// `None`: it is not what its head says.
    fn unpack(&self) -> Option<Vec<u8>> {
        match self.method {
            Method::Stored => (self.bytes.len() == self.length).then(|| self.bytes.to_owned()),
            // Not a byte more than the head says, which is not more than a block can hold.
            Method::Zstd => {
                let whole = zstd::bulk::decompress(self.bytes, self.length).ok()?;
                (whole.len() == self.length).then_some(whole)
            }
        }
    }
}

/// How long the segment is, as the file's start says; `None` where that is damaged.
fn said_length(file: &[u8]) -> Result<Option<u64>, HeaderError> {
    let Some(fixed) = file.get(..FIXED) else { return Ok(None) };
    if !is_packed(fixed) || crc32c::crc32c(&fixed[..FIXED - 4]) != word(&fixed[FIXED - 4..]) {
        return Ok(None);
    }
    match word(&fixed[8..10]) as u16 {
        VERSION => Ok(Some(long(&fixed[10..18])).filter(|length| *length <= SEGMENT_MAX)),
        newer => Err(HeaderError::Newer(newer)),
    }
}

fn block_at(file: &[u8], at: usize, seed: Seed) -> Option<(Block<'_>, usize)> {
    let head = file.get(at..at + BLOCK_HEAD)?;
    if head[..4] != MARKER {
        return None;
    }
    let (place, length, here) = (long(&head[4..12]), word(&head[12..16]) as usize, word(&head[16..20]) as usize);
    let method = [Method::Stored, Method::Zstd].into_iter().find(|method| *method as u8 == head[20])?;
    let end = at + BLOCK_HEAD + here;
    let bytes = file.get(at + BLOCK_HEAD..end)?;
    let fits = length <= BLOCK_MAX && place.checked_add(length as u64)? <= SEGMENT_MAX;
    let is_right = checksum(&head[4..21], bytes, seed) == word(&head[21..25]);
    (fits && is_right).then_some((Block { at: place, length, method, bytes }, end))
}

fn next_block(file: &[u8], from: usize, seed: Seed) -> usize {
    let mut at = from;
    while let Some(found) = file.get(at..).and_then(|rest| memchr::memmem::find(rest, &MARKER)) {
        if block_at(file, at + found, seed).is_some() {
            return at + found;
        }
        at += found + 1;
    }
    file.len()
}

/// The header of a segment whose file begins so (with [`HEAD_MAX`] bytes), compressed or not; its length; and how long a
/// compressed segment is, where its file says so.
pub(super) fn read_header(start: &[u8], seed: Seed) -> Result<(Header, usize, Option<u64>), HeaderError> {
    if !is_packed(start) {
        return Header::read(start).map(|(header, length)| (header, length, None));
    }
    let length = said_length(start)?;
    let (block, _) = block_at(start, FIXED, seed).filter(|(block, _)| block.at == 0).ok_or(HeaderError::Damaged)?;
    let (header, header_length) = Header::read(block.bytes)?;
    Ok((header, header_length, length))
}

#[cfg(test)]
mod tests;
