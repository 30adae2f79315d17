//! A body in chunks (RFC 9112 §7.1), followed byte by byte; stretches of content at once.

use super::Fault;
use super::head::{is_field_byte, is_token, read_field};

/// Digits of a size: 15 hold an exabyte, and no sum of two overflows.
const SIZE_DIGITS: usize = 15;
/// Bytes of one chunk's extension. Nobody uses them (they are removed here), and some have been used to hide requests.
const EXTENSION_MAX: usize = 256;
/// Extensions of a whole body: what is not content stays in proportion to what is.
const EXTENSIONS_MAX: usize = 16 * 1024;
/// hyper takes a hundred.
const TRAILER_FIELDS_MAX: usize = 100;
/// All trailers of a body.
const TRAILERS_MAX: usize = 8 * 1024;

/// How far a chunked body has come.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    /// Bytes of extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
    trailer_fields: usize,
    /// The trailer that is arriving.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: usize,
        size: u64,
    },
    Extension {
        size: u64,
        length: usize,
        at: Extension,
    },
    /// LF after a size.
    SizeLf {
        size: u64,
    },
    Content(u64),
    ContentCr,
    ContentLf,
    Trailer,
    TrailerLf,
    Over,
}

/// Where in an extension: `;name`, `;name=value` or `;name="quoted"` (RFC 9112 §7.1.1), without blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
}

impl Extension {
    fn after(self, b: u8) -> Option<Extension> {
        use Extension::*;
        match (self, b) {
            (NameStart | Name, _) if is_token(b) => Some(Name),
            (ValueStart | Value, _) if is_token(b) => Some(Value),
            (Name, b'=') => Some(ValueStart),
            (ValueStart, b'"') => Some(Quoted),
            (Quoted, b'"') => Some(QuotedEnd),
            (Quoted, b'\\') => Some(Escaped),
            (Quoted, _) if is_field_byte(b) => Some(Quoted),
            (Escaped, _) if is_field_byte(b) => Some(Quoted),
            (Name | Value | QuotedEnd, b';') => Some(NameStart),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Extension::Name | Extension::Value | Extension::QuotedEnd)
    }
}

const START: State = State::Size { digits: 0, size: 0 };

impl Default for Chunks {
    fn default() -> Self {
        Chunks { state: START, extensions: 0, trailers: 0, trailer_fields: 0, line: Vec::new() }
    }
}

impl Chunks {
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Follows the body and says how many of the bytes belong to it: all, or up to its end.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Over {
            if let State::Content(left) = self.state {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += n;
                let left = left - n as u64;
                self.state = if left == 0 { State::ContentCr } else { State::Content(left) };
            } else {
                self.state = self.after(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The state after one byte that is not content.
    fn after(&mut self, b: u8) -> Result<State, Fault> {
        match (self.state, b) {
            (State::Size { digits, size }, _) if b.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS {
                    return Err(Fault::ChunkSize);
                }
                let digit = match b {
                    b'0'..=b'9' => b - b'0',
                    _ => (b | 0x20) - b'a' + 10,
                };
                Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            (State::Size { digits: 0, .. }, _) => Err(Fault::ChunkSize),
            (State::Size { size, .. }, b'\r') => Ok(State::SizeLf { size }),
            (State::Extension { size, at, .. }, b'\r') if at.may_end() => Ok(State::SizeLf { size }),
            (State::Size { .. } | State::Extension { .. }, b'\n') => Err(Fault::BareLf),
            (State::Size { size, .. }, b';') => Ok(State::Extension { size, length: 0, at: Extension::NameStart }),
            (State::Size { .. }, _) => Err(Fault::ChunkSize),
            (State::Extension { size, length, at }, _) => {
                self.extensions += 1;
                if length == EXTENSION_MAX || self.extensions > EXTENSIONS_MAX {
                    return Err(Fault::ChunkExtension);
                }
                let at = at.after(b).ok_or(Fault::ChunkExtension)?;
                Ok(State::Extension { size, length: length + 1, at })
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeLf { size }, b'\n') => Ok(State::Content(size)),
            (State::ContentCr, b'\r') => Ok(State::ContentLf),
            (State::ContentLf, b'\n') => Ok(START),
            (State::ContentCr | State::ContentLf, _) => Err(Fault::ChunkEnd),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Trailer, b'\n') => Err(Fault::BareLf),
            (State::Trailer, _) => {
                self.trailers += 1;
                if self.trailers > TRAILERS_MAX {
                    return Err(Fault::Trailer);
                }
                self.line.push(b);
                Ok(State::Trailer)
            }
            (State::TrailerLf, b'\n') if self.line.is_empty() => Ok(State::Over),
            (State::TrailerLf, b'\n') => {
                let line = std::mem::take(&mut self.line);
                self.trailer_fields += 1;
                if self.trailer_fields > TRAILER_FIELDS_MAX {
                    return Err(Fault::Trailer);
                }
                check_trailer(&line)?;
                Ok(State::Trailer)
            }
            (State::SizeLf { .. } | State::TrailerLf, _) => Err(Fault::BareCr),
            (State::Content(_) | State::Over, _) => Ok(self.state),
        }
    }
}

/// A trailer that frames, routes or authenticates would be read by some as if it stood in the head (RFC 9110 §6.5.1).
fn check_trailer(line: &[u8]) -> Result<(), Fault> {
    const FORBIDDEN: [&[u8]; 9] = [
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"connection",
        b"upgrade",
        b"trailer",
        b"te",
        b"authorization",
        b"proxy-authorization",
    ];
    let (name, _) = read_field(line).map_err(|_| Fault::Trailer)?;
    let hyphened: Vec<u8> = name.iter().map(|&b| if b == b'_' { b'-' } else { b.to_ascii_lowercase() }).collect();
    if FORBIDDEN.contains(&hyphened.as_slice()) { Err(Fault::Trailer) } else { Ok(()) }
}
