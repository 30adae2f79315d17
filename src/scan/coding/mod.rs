//! Content codings (RFC 9110 §8.4) taken off a body as it passes, so that the scanner sees what the client will.
//!
//! Bytes go in as they come, and what they decode to comes out piece by piece: never more than one piece a coding is in
//! memory, whatever a body unpacks to. How much may come out, and how long it may take, is held here ([`CodingLimits`]). A body
//! that breaks off inside its coding has been seen as far as any client can see it.
//!
//! Type to read first: [`Decoding`].

mod brotli;
mod gzip;
mod zstd;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use flate2::{Decompress, FlushDecompress};

use brotli::Brotli;
use gzip::Gzip;
use zstd::Zstd;

/// One piece of what is decoded.
const PIECE: usize = 64 * 1024;
/// So much may come out of any body, however little went in: a page of blanks is no bomb.
pub const FREE_BYTES: u64 = 1024 * 1024;

/// What may come out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodingLimits {
    /// Bytes out for each byte in, beyond [`FREE_BYTES`].
    pub ratio: u64,
    /// Codings around each other.
    pub depth: usize,
    /// Time of the processor for one body.
    pub time: Duration,
}

/// Why a body cannot be decoded any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    #[error("a coding that nobody here knows")]
    Unknown,
    #[error("the bytes are not in the coding that the head names")]
    Broken,
    #[error("more codings around each other than the limit")]
    TooDeep,
    #[error("it unpacks to far more than it is")]
    Ratio,
    #[error("it takes longer to unpack than the limit")]
    Time,
}

/// A coding of the registry of content codings, other than `identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Every one that is decoded here, as `Accept-Encoding` names it.
    pub const NAMES: [&'static str; 5] = ["gzip", "x-gzip", "deflate", "br", "zstd"];

    /// `Ok(None)`: `identity`, which is none. Case does not matter (RFC 9110 §8.4.1).
    pub fn parse(name: &str) -> Result<Option<Coding>, CodingError> {
        let name = name.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name {
            _ if name.is_empty() || is("identity") => Ok(None),
            _ if is("gzip") || is("x-gzip") => Ok(Some(Coding::Gzip)),
            _ if is("deflate") => Ok(Some(Coding::Deflate)),
            _ if is("br") => Ok(Some(Coding::Brotli)),
            _ if is("zstd") => Ok(Some(Coding::Zstd)),
            _ => Err(CodingError::Unknown),
        }
    }
}

/// What one call of a decoder did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    read: usize,
    written: usize,
}

enum Decoder {
    Gzip(Box<Gzip>),
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Decoder {
    fn new(coding: Coding) -> Result<Self, CodingError> {
        Ok(match coding {
            Coding::Gzip => Decoder::Gzip(Box::default()),
            Coding::Deflate => Decoder::Deflate(Box::default()),
            Coding::Brotli => Decoder::Brotli(Box::default()),
            Coding::Zstd => Decoder::Zstd(Zstd::new()?),
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        match self {
            Decoder::Gzip(gzip) => gzip.step(input, output),
            Decoder::Deflate(deflate) => deflate.step(input, output),
            Decoder::Brotli(brotli) => brotli.step(input, output),
            Decoder::Zstd(zstd) => zstd.step(input, output),
        }
    }
}

/// `deflate`: a zlib stream (RFC 9110 §8.4.1.2), or, as some servers send and all browsers take, one of RFC 1951 alone.
#[derive(Default)]
struct Deflate {
    inflate: Option<Decompress>,
    ended: bool,
}

impl Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        if self.ended {
            return Ok(Step { read: input.len(), written: 0 });
        }
        let inflate = match &mut self.inflate {
            Some(inflate) => inflate,
            None => {
                // The compression method of RFC 1950 §2.2, in the lower half of the first byte, is 8 with a window of
                // 32 KiB at most. A stream of RFC 1951 that begins so would be a stored block that is not the last, which
                // no encoder writes with these padding bits.
                let Some(&first) = input.first() else { return Ok(Step { read: 0, written: 0 }) };
                self.inflate.insert(Decompress::new(first & 0x0f == 8 && first >> 4 <= 7))
            }
        };
        let (step, ended) = inflate_some(inflate, input, output)?;
        self.ended = ended;
        Ok(step)
    }
}

/// One call of zlib's reader: what it did, and whether the stream is at its end.
fn inflate_some(inflate: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(Step, bool), CodingError> {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).map_err(|_| CodingError::Broken)?;
    let step = Step { read: (inflate.total_in() - read) as usize, written: (inflate.total_out() - written) as usize };
    Ok((step, status == flate2::Status::StreamEnd))
}

/// A decoder with what it wrote and the next has not read.
struct Stage {
    decoder: Decoder,
    piece: Box<[u8]>,
    /// What of the piece is not read yet.
    from: usize,
    to: usize,
}

impl Stage {
    fn unread(&self) -> &[u8] {
        &self.piece[self.from..self.to]
    }
}

/// All codings of one body, the outermost first.
pub struct Decoding {
    stages: Vec<Stage>,
    limits: CodingLimits,
    read: u64,
    written: u64,
    spent: Duration,
}

impl Decoding {
    /// `codings` as the fields of `Content-Encoding` list them: in the order in which they were applied.
    pub fn new<'a>(codings: impl Iterator<Item = &'a str>, limits: CodingLimits) -> Result<Self, CodingError> {
        let mut stages = Vec::new();
        for name in codings.flat_map(|field| field.split(',')) {
            let Some(coding) = Coding::parse(name)? else { continue };
            if stages.len() == limits.depth {
                return Err(CodingError::TooDeep);
            }
            let piece = vec![0; PIECE].into_boxed_slice();
            stages.insert(0, Stage { decoder: Decoder::new(coding)?, piece, from: 0, to: 0 });
        }
        Ok(Decoding { stages, limits, read: 0, written: 0, spent: Duration::ZERO })
    }

    /// Whether there is none: bytes come out as they go in.
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    /// The next piece of what `input` decodes to; what was read of it is taken away. `None`: all of it is read, and has
    /// been given.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<&'s [u8]>, CodingError> {
        if self.stages.is_empty() {
            let piece = std::mem::take(input);
            self.read += piece.len() as u64;
            self.written = self.read;
            return Ok(Some(piece).filter(|piece| !piece.is_empty()));
        }
        let (began, before) = (Instant::now(), input.len());
        let filled = fill(&mut self.stages, input);
        self.spent += began.elapsed();
        self.read += (before - input.len()) as u64;
        if !filled? {
            return Ok(None);
        }
        let last = self.stages.len() - 1;
        let stage = &mut self.stages[last];
        let piece = stage.from..stage.to;
        stage.from = stage.to;
        self.written += piece.len() as u64;
        if self.spent > self.limits.time {
            return Err(CodingError::Time);
        }
        if self.written > FREE_BYTES && self.written / self.limits.ratio > self.read {
            return Err(CodingError::Ratio);
        }
        Ok(Some(&self.stages[last].piece[piece]))
    }

    /// Bytes that came out so far.
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// Fills the last stage's piece, by filling those before it as often as that takes. Whether there is something in it.
fn fill(stages: &mut [Stage], input: &mut &[u8]) -> Result<bool, CodingError> {
    let Some((last, before)) = stages.split_last_mut() else { return Ok(false) };
    loop {
        let source = before.last().map_or(*input, Stage::unread);
        let had = source.len();
        let step = last.decoder.step(source, &mut last.piece)?;
        match before.last_mut() {
            Some(stage) => stage.from += step.read,
            None => *input = &input[step.read..],
        }
        (last.from, last.to) = (0, step.written);
        if step.written > 0 {
            return Ok(true);
        }
        if step.read > 0 {
            continue;
        }
        // It wants more than it has.
        match before.is_empty() {
            true if had == 0 => return Ok(false),
            false if had == 0 => {
                if !fill(before, input)? {
                    return Ok(false);
                }
            }
            // Neither read nor written although there was something: nothing would ever come of it.
            _ => return Err(CodingError::Broken),
        }
    }
}
