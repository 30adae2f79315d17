//! What a client asks: header, one question, EDNS. Everything else in the datagram is nobody's business.

use std::ops::Range;

use super::kind;
use crate::access::HostName;

/// RFC 1035 §4.1.1.
const HEADER: usize = 12;
/// RFC 1035 §3.1: a name's octets on the wire.
const NAME_MAX: usize = 255;
/// RFC 6891 §6.2.3: who says less means this.
const DATAGRAM_MIN: u16 = 512;
const CLASS_IN: u16 = 1;

/// A client's question, as it wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'m> {
    pub id: u16,
    /// RD: it wants us to ask others.
    pub recursion: bool,
    /// AD: it wants to know whether the answer was verified (RFC 6840 §5.7).
    pub authentic: bool,
    /// CD: it verifies itself.
    pub unchecked: bool,
    /// The question section, spelt as it came: name, type, class.
    pub section: &'m [u8],
    pub kind: u16,
    pub edns: Option<Edns>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram it takes.
    pub size: u16,
    /// DO: it wants signatures.
    pub dnssec: bool,
}

/// What is wrong with a datagram or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No question at all (too short, or itself an answer): answering would make loops.
    Silence,
    /// FORMERR, with the little that can be repeated.
    Malformed,
    /// NOTIMP: another operation than a query.
    NotImplemented,
    /// BADVERS.
    EdnsVersion,
}

/// By what name policy judges a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Host(HostName),
    /// `.`, which validators ask about.
    Root,
    /// A name that no host has: nobody could say what it is.
    Nameless,
}

/// What else than name and type an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variant {
    pub dnssec: bool,
    pub unchecked: bool,
    pub without_h3: bool,
    pub safe: bool,
    /// Only ever with `safe`.
    pub moderate: bool,
}

/// Equal for questions with equal answers: name in lower case, type, [`Variant`].
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; NAME_MAX + 3],
    len: usize,
}

impl<'m> Question<'m> {
    /// Reads a whole message.
    pub fn parse(message: &'m [u8]) -> Result<Self, Fault> {
        let header = message.get(..HEADER).ok_or(Fault::Silence)?;
        let flags = u16::from_be_bytes([header[2], header[3]]);
        if flags & 0x8000 != 0 {
            return Err(Fault::Silence);
        }
        if flags & 0x7800 != 0 {
            return Err(Fault::NotImplemented);
        }
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (questions, others, additional) = (count(4), count(6).saturating_add(count(8)), count(10));
        if questions != 1 || others != 0 || additional > 2 {
            return Err(Fault::Malformed);
        }
        let name_end = name_end(message, HEADER).ok_or(Fault::Malformed)?;
        let section = message.get(HEADER..name_end + 4).ok_or(Fault::Malformed)?;
        let [.., k1, k2, c1, c2] = section else { return Err(Fault::Malformed) };
        if u16::from_be_bytes([*c1, *c2]) != CLASS_IN {
            return Err(Fault::NotImplemented);
        }
        Ok(Question {
            id: u16::from_be_bytes([header[0], header[1]]),
            recursion: flags & 0x0100 != 0,
            authentic: flags & 0x0020 != 0,
            unchecked: flags & 0x0010 != 0,
            section,
            kind: u16::from_be_bytes([*k1, *k2]),
            edns: edns(message, name_end + 4, additional)?,
        })
    }

    /// The name, without its root label, as labels.
    fn name(&self) -> &'m [u8] {
        &self.section[..self.section.len() - 4]
    }

    pub fn asked(&self) -> Asked {
        let name = self.name();
        if name == [0] {
            return Asked::Root;
        }
        let mut text = String::with_capacity(name.len());
        for label in labels(name) {
            if !text.is_empty() {
                text.push('.');
            }
            for &byte in label {
                // A dot or a zero inside a label is no dot and no end.
                if !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                    return Asked::Nameless;
                }
                text.push(char::from(byte.to_ascii_lowercase()));
            }
        }
        HostName::parse(&text).map_or(Asked::Nameless, Asked::Host)
    }

    pub fn key(&self, variant: Variant) -> Key {
        let name = self.name();
        let mut key = Key { bytes: [0; NAME_MAX + 3], len: name.len() + 3 };
        for (to, from) in key.bytes.iter_mut().zip(name) {
            // Lengths are below 64 and stay what they are.
            *to = from.to_ascii_lowercase();
        }
        key.bytes[name.len()..name.len() + 2].copy_from_slice(&self.kind.to_be_bytes());
        key.bytes[name.len() + 2] = variant.to_byte();
        key
    }

    pub fn dnssec(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec)
    }

    /// Questions that a forwarder does not pass on: transfers, ANY (RFC 8482), pseudo types.
    pub fn is_meta(&self) -> bool {
        (kind::META_FIRST..=kind::META_LAST).contains(&self.kind) || matches!(self.kind, 0 | kind::OPT)
    }
}

impl Key {
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub fn variant(&self) -> Variant {
        Variant::from_byte(self.bytes[self.len - 1])
    }

    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.bytes[self.len - 3], self.bytes[self.len - 2]])
    }

    /// The question section that the key stands for.
    pub fn section(&self) -> Vec<u8> {
        let mut section = self.as_slice()[..self.len - 1].to_vec();
        section.extend_from_slice(&CLASS_IN.to_be_bytes());
        section
    }

    /// The same type and variant of another name, asked as it is.
    pub fn of(host: &HostName, kind: u16, variant: Variant) -> Key {
        let mut key = Key { bytes: [0; NAME_MAX + 3], len: 0 };
        let mut at = 0;
        // A host name is 253 characters at most, in labels of 63.
        for label in host.as_str().split('.') {
            key.bytes[at] = label.len() as u8;
            key.bytes[at + 1..at + 1 + label.len()].copy_from_slice(label.as_bytes());
            at += 1 + label.len();
        }
        key.bytes[at + 1..at + 3].copy_from_slice(&kind.to_be_bytes());
        key.bytes[at + 3] = variant.to_byte();
        key.len = at + 4;
        key
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.as_slice().escape_ascii())
    }
}

impl Variant {
    fn to_byte(self) -> u8 {
        [self.dnssec, self.unchecked, self.without_h3, self.safe, self.moderate]
            .into_iter()
            .enumerate()
            .fold(0, |byte, (bit, set)| byte | u8::from(set) << bit)
    }

    fn from_byte(byte: u8) -> Self {
        let bit = |n: u8| byte >> n & 1 == 1;
        Variant { dnssec: bit(0), unchecked: bit(1), without_h3: bit(2), safe: bit(3), moderate: bit(4) }
    }
}

/// The same question with letters in upper case where a bit of `chance` says so: who forges an answer must guess them as
/// well (draft-vixie-dnsext-dns0x20).
pub fn spelt_at_random(section: &[u8], chance: &[u8; 32]) -> Vec<u8> {
    let mut spelt = section.to_vec();
    let mut at = 0;
    while let Some(&length) = section.get(at).filter(|length| **length != 0 && **length < 64) {
        let end = (at + 1 + usize::from(length)).min(spelt.len());
        for (i, byte) in spelt[at + 1..end].iter_mut().enumerate() {
            let bit = (at + i) % 256;
            if chance[bit / 8] >> (bit % 8) & 1 == 1 {
                *byte = byte.to_ascii_uppercase();
            } else {
                *byte = byte.to_ascii_lowercase();
            }
        }
        at = end;
    }
    spelt
}

/// Where a question's name ends. It has nothing before it to point at: no compression.
fn name_end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match usize::from(*message.get(at)?) {
            0 => break,
            length if length < 64 => at += 1 + length,
            _ => return None,
        }
        if at - start >= NAME_MAX {
            return None;
        }
    }
    Some(at + 1)
}

/// The labels of a name that [`name_end`] has read.
fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first().filter(|(length, _)| **length != 0)?;
        let (label, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some(label)
    })
}

/// The OPT record among the additional ones (RFC 6891 §6.1.2); others (TSIG, SIG(0)) are not understood and not needed.
fn edns(message: &[u8], mut at: usize, records: u16) -> Result<Option<Edns>, Fault> {
    let mut found = None;
    for _ in 0..records {
        let name_end = name_end(message, at).ok_or(Fault::Malformed)?;
        let fixed = message.get(name_end..name_end + 10).ok_or(Fault::Malformed)?;
        let number = |range: Range<usize>| u16::from_be_bytes([fixed[range.start], fixed[range.start + 1]]);
        at = name_end + 10 + usize::from(number(8..10));
        if at > message.len() {
            return Err(Fault::Malformed);
        }
        if number(0..2) != kind::OPT {
            continue;
        }
        if found.is_some() {
            return Err(Fault::Malformed);
        }
        if fixed[5] != 0 {
            return Err(Fault::EdnsVersion);
        }
        found = Some(Edns { size: number(2..4).max(DATAGRAM_MIN), dnssec: fixed[6] & 0x80 != 0 });
    }
    Ok(found)
}
