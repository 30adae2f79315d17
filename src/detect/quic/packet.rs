//! The long header of a QUIC packet (RFC 9000 §17.2), which is the same in every version (RFC 8999) up to the token.

use super::keys::Salt;
use crate::detect::reader::Reader;

/// RFC 9000 §17.2; later versions may allow more, up to 255.
const ID_MAX: usize = 20;
/// A client's first datagram is at least that long (RFC 9000 §14.1).
const FIRST_MIN: usize = 1200;
/// More packets than any client puts into one datagram: one for each kind of keys.
pub(super) const PACKETS_MAX: usize = 8;
/// A client's first destination has 8 bytes and more (RFC 9000 §7.2).
const FIRST_ID_MIN: usize = 8;

/// One packet with a long header.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub version: Version,
    pub is_initial: bool,
    pub destination: &'a [u8],
    pub source: &'a [u8],
    /// Where the protected packet number begins.
    pub number_at: usize,
    /// Where the packet ends; `None` where only its own version would know.
    pub end: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// One whose first packets anybody can open.
    Known(Salt),
    /// QUIC, and sealed in a way of its own.
    Unknown,
}

impl Header<'_> {
    /// Of a version that can be opened the destination may be short: not every server refuses that.
    pub fn may_be_first(&self, datagram: usize) -> bool {
        let kind = match self.version {
            Version::Known(_) => self.is_initial,
            Version::Unknown => self.destination.len() >= FIRST_ID_MIN,
        };
        kind && datagram >= FIRST_MIN
    }
}

/// The packets of a datagram, one behind the other (RFC 9000 §12.2), each with its bytes; as far as their ends are known;
/// no more than tells that there are too many.
pub(super) fn each(datagram: &[u8]) -> impl Iterator<Item = (Header<'_>, &[u8])> {
    let mut rest = datagram;
    let next = move || {
        let header = read(rest)?;
        let (packet, behind) = rest.split_at_checked(header.end.unwrap_or(rest.len()))?;
        rest = behind;
        Some((header, packet))
    };
    std::iter::from_fn(next).take(PACKETS_MAX + 1)
}

/// `None`: no long header of any QUIC.
pub(super) fn read(bytes: &[u8]) -> Option<Header<'_>> {
    let mut reader = Reader(bytes);
    let first = reader.u8()?;
    let number = u32::from(reader.u16()?) << 16 | u32::from(reader.u16()?);
    let version = version(first, number)?;
    let destination = reader.vec8().filter(|id| id.len() <= ID_MAX)?;
    let source = reader.vec8().filter(|id| id.len() <= ID_MAX)?;
    let header = Header { version, is_initial: false, destination, source, number_at: 0, end: None };
    let Version::Known(salt) = version else { return Some(header) };
    let is_initial = (first >> 4) & 3 == salt.initial_type();
    // Retry has no length and ends the datagram.
    if is_initial {
        let token = number_of(&mut reader)?;
        reader.take(token)?;
    } else if (first >> 4) & 3 == salt.retry_type() {
        return Some(header);
    }
    let length = number_of(&mut reader)?;
    let number_at = bytes.len() - reader.0.len();
    reader.take(length)?;
    Some(Header { is_initial, number_at, end: Some(number_at + length), ..header })
}

/// The form bit, and a version that some QUIC has: ours, drafts, those of Google and Facebook, or one that asks for
/// negotiation (RFC 9000 §15).
fn version(first: u8, number: u32) -> Option<Version> {
    if first & 0x80 == 0 {
        return None;
    }
    if let Some(salt) = Salt::of(number) {
        return Some(Version::Known(salt));
    }
    let is_quic = number & 0x0f0f_0f0f == 0x0a0a_0a0a
        || matches!(number >> 8, 0xff_0000 | 0xfa_ceb0)
        || matches!(number.to_be_bytes(), [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9']);
    is_quic.then_some(Version::Unknown)
}

/// A number of variable length (RFC 9000 §16).
pub(super) fn number_of(reader: &mut Reader<'_>) -> Option<usize> {
    let first = reader.u8()?;
    let mut number = u64::from(first & 0x3f);
    for _ in 1..1 << (first >> 6) {
        number = number << 8 | u64::from(reader.u8()?);
    }
    usize::try_from(number).ok()
}
