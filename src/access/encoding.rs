//! The canonical encoding of a record: the bytes in a journal frame, and of its halves: the bytes under a proof's leaf.
//!
//! One record is `VERSION` (one byte), then its fields in the order of their declaration in
//! [`super::record`], nothing between and nothing after:
//!
//! | type | bytes |
//! |---|---|
//! | unsigned integer | LEB128, shortest form |
//! | instant | zig-zag LEB128 of microseconds since 1970 UTC |
//! | text, enumeration | length as unsigned integer, then UTF-8 (an enumeration's stable word) |
//! | address | `0` none; `4` + 4 bytes; `6` + 16 bytes |
//! | pseudonym | `0` none; `1` + 16 bytes |
//! | optional number | `0` none; otherwise number + 1 as unsigned integer |
//!
//! The same record always gives the same bytes, and only those bytes are read back as it (no padding, no second
//! form), so equality of bytes is equality of records. Texts are at most [`TEXT_MAX`] bytes: [`clip`] cuts longer ones
//! at the border, before they get here.

use std::net::IpAddr;
use std::sync::Arc;

use super::client::Pseudonym;
use super::ids::{CollegeCode, GatewayName, Reference};
use super::proof::{AccessWhat, AccessWho, ConnectionWhat, ConnectionWho, GapWhat, GapWhen};
use super::record::{AccessRecord, ConnectionRecord, Flags};
use super::time::Timestamp;

/// Raised when a field is added at the end of a record.
pub const VERSION: u8 = 1;

/// The longest text in a record, in bytes. A host has 253; only a path or an entry could be longer.
pub const TEXT_MAX: usize = 2048;

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the record ends in the middle of a field")]
    Truncated,
    #[error("the record was written by version {0} of the format, this program reads up to {VERSION}")]
    Version(u8),
    #[error("the field {0} holds something that is not canonical")]
    Field(&'static str),
    #[error("bytes follow the record")]
    Trailing,
}

/// Cuts a text to [`TEXT_MAX`] bytes at a character's boundary.
pub fn clip(text: &str) -> &str {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let mut end = TEXT_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

trait Field: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(input: &mut &[u8]) -> Option<Self>;
}

fn put_unsigned(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_unsigned(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 || byte == 0 && shift > 0 {
            return None; // overflow, or a longer form than needed
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take_bytes<'a>(input: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(n)?;
    *input = rest;
    Some(head)
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let text = clip(text);
    put_unsigned(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_unsigned(input)?).ok().filter(|&n| n <= TEXT_MAX)?;
    std::str::from_utf8(take_bytes(input, length)?).ok()
}

impl Field for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        put_unsigned(*self, out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_unsigned(input)
    }
}

impl Field for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        put_unsigned(u64::from(*self), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_unsigned(input)?.try_into().ok()
    }
}

impl Field for u16 {
    fn put(&self, out: &mut Vec<u8>) {
        put_unsigned(u64::from(*self), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_unsigned(input)?.try_into().ok()
    }
}

impl Field for Option<u16> {
    fn put(&self, out: &mut Vec<u8>) {
        put_unsigned(self.map_or(0, |n| u64::from(n) + 1), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        match take_unsigned(input)? {
            0 => Some(None),
            n => Some(Some(u16::try_from(n - 1).ok()?)),
        }
    }
}

impl Field for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        let micros = self.as_micros();
        put_unsigned(((micros << 1) ^ (micros >> 63)) as u64, out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        let zigzag = take_unsigned(input)?;
        Some(Timestamp::from_micros((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)))
    }
}

impl Field for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_text(input).map(Arc::from)
    }
}

impl Field for Option<IpAddr> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(IpAddr::V4(v4)) => {
                out.push(4);
                out.extend_from_slice(&v4.octets());
            }
            Some(IpAddr::V6(v6)) => {
                out.push(6);
                out.extend_from_slice(&v6.octets());
            }
        }
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        match take_bytes(input, 1)? {
            [0] => Some(None),
            [4] => Some(Some(IpAddr::from(<[u8; 4]>::try_from(take_bytes(input, 4)?).ok()?))),
            [6] => Some(Some(IpAddr::from(<[u8; 16]>::try_from(take_bytes(input, 16)?).ok()?))),
            _ => None,
        }
    }
}

impl Field for Option<Pseudonym> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(Pseudonym(bytes)) => {
                out.push(1);
                out.extend_from_slice(bytes);
            }
        }
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        match take_bytes(input, 1)? {
            [0] => Some(None),
            [1] => Some(Some(Pseudonym(take_bytes(input, 16)?.try_into().ok()?))),
            _ => None,
        }
    }
}

impl Field for Option<Reference> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(&self.map(|r| r.to_string()).unwrap_or_default(), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        let text = take_text(input)?;
        if text.is_empty() {
            return Some(None);
        }
        let reference: Reference = text.parse().ok()?;
        (reference.to_string() == text).then_some(Some(reference))
    }
}

impl Field for Flags {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        u32::take(input).map(Flags)
    }
}

macro_rules! text_fields {
    ($($name:ty),+) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                put_text(self.as_str(), out);
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                take_text(input)?.parse().ok()
            }
        }
    )+};
}

impl Field for CollegeCode {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.as_str(), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        CollegeCode::parse(take_text(input)?).ok()
    }
}

impl Field for GatewayName {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.as_str(), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        GatewayName::parse(take_text(input)?).ok()
    }
}

text_fields!(
    super::record::Stream,
    super::client::IdentitySource,
    super::client::IdentityStrength,
    super::target::HostSource,
    super::target::Protocol,
    super::target::Visit,
    super::reason::ActionTaken,
    super::outcome::Ending
);

/// A record with a canonical encoding.
pub trait Canonical: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads exactly one record.
    fn decode(input: &[u8]) -> Result<Self, DecodeError>;
}

macro_rules! canonical {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl Canonical for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                // Destructured, so that a field added to the record is an error here.
                let $name { $($field),+ } = self;
                out.push(VERSION);
                $($field.put(out);)+
            }

            fn decode(mut input: &[u8]) -> Result<Self, DecodeError> {
                let (&version, rest) = input.split_first().ok_or(DecodeError::Truncated)?;
                if version != VERSION {
                    return Err(DecodeError::Version(version));
                }
                input = rest;
                $(let $field = Field::take(&mut input)
                    .ok_or(if input.is_empty() { DecodeError::Truncated } else { DecodeError::Field(stringify!($field)) })?;)+
                if !input.is_empty() {
                    return Err(DecodeError::Trailing);
                }
                Ok($name { $($field),+ })
            }
        }
    };
}

canonical!(AccessRecord {
    connection,
    person,
    identity_source,
    identity_strength,
    client_address,
    start,
    end,
    method,
    host,
    host_source,
    port,
    protocol,
    path,
    category,
    action,
    rule,
    list,
    entry,
    rules_version,
    status,
    bytes_up,
    bytes_down,
    finding,
    visit,
    ending,
    asked,
    earlier_rule,
    reference,
    count,
    flags,
});

canonical!(ConnectionRecord {
    start,
    end,
    person,
    identity_source,
    identity_strength,
    device,
    client_address,
    client_port,
    outward_address,
    outward_port,
    origin_address,
    origin_port,
    protocol,
    bytes_up,
    bytes_down,
    action,
    ending,
    count,
    flags,
});

canonical!(AccessWho {
    college,
    gateway,
    lane,
    sequence,
    slice,
    start,
    end,
    connection,
    person,
    identity_source,
    identity_strength,
    client_address,
});

canonical!(AccessWhat {
    start,
    method,
    host,
    host_source,
    port,
    protocol,
    path,
    category,
    action,
    rule,
    list,
    entry,
    rules_version,
    status,
    bytes_up,
    bytes_down,
    finding,
    visit,
    ending,
    asked,
    earlier_rule,
    reference,
    count,
    flags,
});

canonical!(ConnectionWho {
    college,
    gateway,
    lane,
    sequence,
    slice,
    start,
    end,
    person,
    identity_source,
    identity_strength,
    device,
    client_address,
    client_port,
    outward_address,
    outward_port,
});

canonical!(ConnectionWhat {
    start,
    origin_address,
    origin_port,
    protocol,
    bytes_up,
    bytes_down,
    action,
    ending,
    count,
    flags,
});

canonical!(GapWhen { college, gateway, lane, stream, since, until });

canonical!(GapWhat { count, segment, cause });

#[cfg(test)]
mod tests;
