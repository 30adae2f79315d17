//! JA4, a fingerprint of TLS clients (FoxIO, BSD-3-Clause; "JA4: TLS Client Fingerprinting"). Only this one: the others of
//! the JA4+ family are patented and licensed otherwise.
//!
//! Computed where somebody asks, from a hello that is whole: two hashes cost more than all the rest of detection.

use std::fmt;
use std::str;

use aws_lc_rs::digest::{SHA256, digest};

use super::client_hello::{ALPN, SERVER_NAME, SUPPORTED_VERSIONS};
use super::reader::Reader;
use super::{Detector, Step, dtls};

const SIGNATURE_ALGORITHMS: u16 = 13;
/// `t13d1516h2_` and twice twelve digits with a `_` between.
const LENGTH: usize = 36;
/// A fingerprint's counts have two digits.
const COUNT_MAX: usize = 99;

/// A fingerprint: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; LENGTH]);

impl Ja4 {
    /// Of a stream that begins with a whole ClientHello.
    pub fn of_stream(first_bytes: &[u8]) -> Option<Ja4> {
        let mut detector = Detector::default();
        match detector.look(first_bytes) {
            Step::Done(_) => Hello::read(detector.handshake.hello(first_bytes)?, Over::Tcp)?.fingerprint(Over::Tcp),
            Step::Need => None,
        }
    }

    /// Of a datagram with a whole ClientHello of DTLS.
    pub fn of_dtls(datagram: &[u8]) -> Option<Ja4> {
        Hello::read(dtls::hello(datagram)?, Over::Dtls)?.fingerprint(Over::Dtls)
    }

    /// Of the body of a ClientHello that came in QUIC.
    pub(super) fn of_quic(body: &[u8]) -> Option<Ja4> {
        Hello::read(body, Over::Quic)?.fingerprint(Over::Quic)
    }

    pub fn as_str(&self) -> &str {
        // Letters, digits and `_`: made here, byte by byte.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Over what a hello came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    Quic,
    Dtls,
}

/// What of a hello goes into the fingerprint, GREASE (RFC 8701) left out.
struct Hello<'a> {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    has_name: bool,
    alpn: &'a [u8],
    algorithms: &'a [u8],
}

impl<'a> Hello<'a> {
    /// `None`: it is malformed.
    fn read(body: &'a [u8], over: Over) -> Option<Hello<'a>> {
        let mut body = Reader(body);
        let version = body.u16()?;
        let _random = body.take(32)?;
        let _session = body.vec8()?;
        if over == Over::Dtls {
            let _cookie = body.vec8()?;
        }
        let mut hello = Hello {
            version,
            ciphers: numbers(body.vec16()?).filter(|&cipher| !is_grease(cipher)).collect(),
            extensions: Vec::with_capacity(32),
            has_name: false,
            alpn: &[],
            algorithms: &[],
        };
        let _compression = body.vec8()?;
        let mut extensions = Reader(if body.is_empty() { &[] } else { body.vec16()? });
        while !extensions.is_empty() {
            let (kind, content) = (extensions.u16()?, extensions.vec16()?);
            if is_grease(kind) {
                continue;
            }
            hello.extensions.push(kind);
            hello.read_extension(kind, Reader(content), over)?;
        }
        Some(hello)
    }

    fn read_extension(&mut self, kind: u16, mut content: Reader<'a>, over: Over) -> Option<()> {
        match kind {
            SERVER_NAME => self.has_name = true,
            ALPN => self.alpn = Reader(content.vec16()?).vec8().unwrap_or_default(),
            SIGNATURE_ALGORITHMS => self.algorithms = content.vec16()?,
            SUPPORTED_VERSIONS => {
                let versions = numbers(content.vec8()?).filter(|&version| !is_grease(version));
                // The highest; those of DTLS are counted downwards.
                let highest = if over == Over::Dtls { versions.min() } else { versions.max() };
                self.version = highest.unwrap_or(self.version);
            }
            _ => {}
        }
        Some(())
    }

    fn fingerprint(mut self, over: Over) -> Option<Ja4> {
        let mut text = Vec::with_capacity(LENGTH);
        text.push(match over {
            Over::Tcp => b't',
            Over::Quic => b'q',
            Over::Dtls => b'd',
        });
        text.extend_from_slice(version(self.version));
        text.push(if self.has_name { b'd' } else { b'i' });
        put_count(self.ciphers.len(), &mut text);
        put_count(self.extensions.len(), &mut text);
        text.extend_from_slice(&first_and_last(self.alpn));
        text.push(b'_');
        self.ciphers.sort_unstable();
        let mut hashed = Vec::with_capacity(5 * self.ciphers.len().max(self.extensions.len()) + 256);
        put_numbers(self.ciphers.iter().copied(), &mut hashed);
        put_hash(&hashed, &mut text);
        text.push(b'_');
        hashed.clear();
        self.extensions.sort_unstable();
        let no_extensions = self.extensions.is_empty();
        put_numbers(self.extensions.into_iter().filter(|kind| !matches!(*kind, SERVER_NAME | ALPN)), &mut hashed);
        if !self.algorithms.is_empty() {
            hashed.push(b'_');
            put_numbers(numbers(self.algorithms).filter(|&algorithm| !is_grease(algorithm)), &mut hashed);
        }
        if no_extensions {
            text.extend_from_slice(&[b'0'; 12])
        } else {
            put_hash_of_any(&hashed, &mut text)
        }
        text.try_into().ok().map(Ja4)
    }
}

fn version(number: u16) -> &'static [u8; 2] {
    match number {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    }
}

/// The first and the last letter of the first protocol offered; digits of its hexadecimal where they are no letters.
fn first_and_last(alpn: &[u8]) -> [u8; 2] {
    let (Some(&first), Some(&last)) = (alpn.first(), alpn.last()) else { return *b"00" };
    match first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        true => [first, last],
        false => [hex(first >> 4), hex(last & 0xf)],
    }
}

fn put_count(count: usize, text: &mut Vec<u8>) {
    let count = count.min(COUNT_MAX) as u8;
    text.extend_from_slice(&[b'0' + count / 10, b'0' + count % 10]);
}

/// Four digits each, with commas between.
fn put_numbers(numbers: impl Iterator<Item = u16>, text: &mut Vec<u8>) {
    for (i, number) in numbers.enumerate() {
        let [high, low] = number.to_be_bytes();
        if i > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&[hex(high >> 4), hex(high & 0xf), hex(low >> 4), hex(low & 0xf)]);
    }
}

/// Zeros for nothing at all.
fn put_hash(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() { out.extend_from_slice(&[b'0'; 12]) } else { put_hash_of_any(text, out) }
}

/// The first twelve digits.
fn put_hash_of_any(text: &[u8], out: &mut Vec<u8>) {
    let hash = digest(&SHA256, text);
    out.extend(hash.as_ref()[..6].iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0xf)]));
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit & 0xf)]
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks::<2>().0.iter().map(|&two| u16::from_be_bytes(two))
}

/// RFC 8701.
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0xf == 0xa
}

#[cfg(test)]
mod tests;
