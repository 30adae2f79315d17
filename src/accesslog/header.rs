//! The header of a segment as bytes; the layout is specified in [`super`].

use super::frame::{long, word};
use super::owner::Owner;
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};

const MAGIC: [u8; 8] = *b"ECLUSEJ\0";
const VERSION: u16 = 1;

/// The first bytes of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub stream: Stream,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub lane: u64,
    pub segment: u32,
    /// The next sequence when it was opened; completions of earlier ones follow in it too.
    pub first_sequence: u64,
    pub opened: Timestamp,
    /// Segments of this lane and stream that hold nothing from an offset on: it was written again here.
    pub cuts: Vec<Cut>,
    /// In the first segment of a lane: the lanes that were in the spool, each with its newest segment of this stream.
    pub heads: Vec<Head>,
}

/// What follows `length` in `segment` is not to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub segment: u32,
    pub length: u64,
}

/// Where another lane ended when this one began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub lane: u64,
    pub segment: u32,
    pub length: u64,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    Damaged,
    Newer(u16),
}

/// Magic, version, length of what follows up to the checksum.
const HEADER_FIXED: usize = 14;
/// The most cuts, and the most heads, that a header names; with them it stays under 4 KiB.
pub(super) const NAMED_MAX: usize = 64;
pub(super) const HEADER_MAX: u64 = 4096;

impl Header {
    /// That of a segment which nobody writes after it was made.
    pub(super) fn bare(stream: Stream, owner: &Owner, lane: u64, segment: u32, opened: Timestamp) -> Header {
        let Owner { college, gateway, .. } = owner.clone();
        Header { stream, college, gateway, lane, segment, first_sequence: 0, opened, cuts: vec![], heads: vec![] }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        for text in [self.stream.as_str(), self.college.as_str(), self.gateway.as_str()] {
            body.push(text.len() as u8); // at most 64
            body.extend_from_slice(text.as_bytes());
        }
        body.extend_from_slice(&self.lane.to_le_bytes());
        body.extend_from_slice(&self.segment.to_le_bytes());
        body.extend_from_slice(&self.first_sequence.to_le_bytes());
        body.extend_from_slice(&self.opened.as_micros().to_le_bytes());
        body.push(self.cuts.len().min(NAMED_MAX) as u8);
        for cut in self.cuts.iter().take(NAMED_MAX) {
            body.extend_from_slice(&cut.segment.to_le_bytes());
            body.extend_from_slice(&cut.length.to_le_bytes());
        }
        body.push(self.heads.len().min(NAMED_MAX) as u8);
        for head in self.heads.iter().take(NAMED_MAX) {
            body.extend_from_slice(&head.lane.to_le_bytes());
            body.extend_from_slice(&head.segment.to_le_bytes());
            body.extend_from_slice(&head.length.to_le_bytes());
        }
        let mut out = Vec::with_capacity(HEADER_FIXED + body.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&body);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header at the start of `bytes`, and how long it is.
    pub(super) fn read(bytes: &[u8]) -> Result<(Header, usize), HeaderError> {
        let fixed = bytes.get(..HEADER_FIXED).ok_or(HeaderError::Damaged)?;
        let version = word(&fixed[8..10]) as u16;
        if fixed[..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        let end = HEADER_FIXED + word(&fixed[10..14]) as usize;
        let checked = bytes.get(..end).ok_or(HeaderError::Damaged)?;
        let crc = bytes.get(end..end + 4).ok_or(HeaderError::Damaged)?;
        if crc32c::crc32c(checked) != word(crc) {
            return Err(HeaderError::Damaged);
        }
        if version != VERSION {
            return Err(HeaderError::Newer(version));
        }
        let header = Body(&checked[HEADER_FIXED..]).header().ok_or(HeaderError::Damaged)?;
        Ok((header, end + 4))
    }
}

/// What is left to read of a header.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn count(&mut self) -> Option<usize> {
        Some(usize::from(self.take(1)?[0]))
    }

    fn long(&mut self) -> Option<u64> {
        self.take(8).map(long)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4).map(word)
    }

    fn header(mut self) -> Option<Header> {
        let header = Header {
            stream: self.text()?.parse().ok()?,
            college: CollegeCode::parse(self.text()?).ok()?,
            gateway: GatewayName::parse(self.text()?).ok()?,
            lane: self.long()?,
            segment: self.word()?,
            first_sequence: self.long()?,
            opened: Timestamp::from_micros(self.long()? as i64),
            cuts: (0..self.count()?)
                .map(|_| Some(Cut { segment: self.word()?, length: self.long()? }))
                .collect::<Option<_>>()?,
            heads: (0..self.count()?)
                .map(|_| Some(Head { lane: self.long()?, segment: self.word()?, length: self.long()? }))
                .collect::<Option<_>>()?,
        };
        self.0.is_empty().then_some(header)
    }
}
