//! gzip (RFC 1952): members one behind another, read byte by byte up to where each begins to deflate.
//!
//! Checksums are not compared: what a client makes of a wrong one differs, and what it decodes to has been scanned.

use flate2::Decompress;

use super::{CodingError, Step, inflate_some};

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
/// CRC32 and ISIZE (RFC 1952 §2.3.1).
const TRAILER: u8 = 8;

/// Where in a member it stands; numbers count the bytes of that part that were read.
enum Place {
    Fixed(u8),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    HeaderSum(u8),
    Deflated,
    Trailer(u8),
}

pub struct Gzip {
    place: Place,
    flags: u8,
    inflate: Decompress,
    members: u64,
    /// What follows the last member and is none: clients leave it out.
    behind: bool,
}

impl Default for Gzip {
    fn default() -> Self {
        Gzip { place: Place::Fixed(0), flags: 0, inflate: Decompress::new(false), members: 0, behind: false }
    }
}

impl Gzip {
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        if self.behind {
            return Ok(Step { read: input.len(), written: 0 });
        }
        let mut read = 0;
        while read < input.len() {
            if let Place::Deflated = self.place {
                break;
            }
            self.byte(input[read])?;
            read += 1;
            if self.behind {
                return Ok(Step { read: input.len(), written: 0 });
            }
        }
        if !matches!(self.place, Place::Deflated) {
            return Ok(Step { read, written: 0 });
        }
        let (step, ended) = inflate_some(&mut self.inflate, &input[read..], output)?;
        if ended {
            self.place = Place::Trailer(0);
        }
        Ok(Step { read: read + step.read, written: step.written })
    }

    /// One byte of a header or a trailer.
    fn byte(&mut self, byte: u8) -> Result<(), CodingError> {
        self.place = match self.place {
            Place::Fixed(at) => {
                let fits = match at {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    // Deflate is the only method there is.
                    2 => byte == 8,
                    _ => true,
                };
                if !fits && self.members > 0 {
                    self.behind = true;
                    return Ok(());
                }
                if !fits {
                    return Err(CodingError::Broken);
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at < 9 { Place::Fixed(at + 1) } else { self.after_fixed() }
            }
            Place::ExtraLength(None) => Place::ExtraLength(Some(byte)),
            Place::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.after_extra(),
                length => Place::Extra(length),
            },
            Place::Extra(1) => self.after_extra(),
            Place::Extra(left) => Place::Extra(left - 1),
            Place::Name if byte == 0 => self.after_name(),
            Place::Name => Place::Name,
            Place::Comment if byte == 0 => self.after_comment(),
            Place::Comment => Place::Comment,
            Place::HeaderSum(0) => Place::HeaderSum(1),
            Place::HeaderSum(_) => self.deflated(),
            Place::Trailer(at) if at + 1 < TRAILER => Place::Trailer(at + 1),
            Place::Trailer(_) => {
                self.members += 1;
                Place::Fixed(0)
            }
            Place::Deflated => Place::Deflated,
        };
        Ok(())
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn after_fixed(&mut self) -> Place {
        if self.has(FEXTRA) { Place::ExtraLength(None) } else { self.after_extra() }
    }

    fn after_extra(&mut self) -> Place {
        if self.has(FNAME) { Place::Name } else { self.after_name() }
    }

    fn after_name(&mut self) -> Place {
        if self.has(FCOMMENT) { Place::Comment } else { self.after_comment() }
    }

    fn after_comment(&mut self) -> Place {
        if self.has(FHCRC) { Place::HeaderSum(0) } else { self.deflated() }
    }

    fn deflated(&mut self) -> Place {
        self.inflate.reset(false);
        Place::Deflated
    }
}
