use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const LIMITS: CodingLimits = CodingLimits { ratio: 200, depth: 2, time: Duration::from_secs(60) };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

/// A stream of Brotli whose meta-blocks are not compressed (RFC 7932 §9.2): all that a test of the framing needs.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    // WBITS 16 is one bit.
    bits.push(0, 1);
    for chunk in bytes.chunks(1 << 16) {
        // ISLAST 0, MNIBBLES 4, MLEN - 1, ISUNCOMPRESSED.
        bits.push(0, 1);
        bits.push(0, 2);
        bits.push(chunk.len() as u32 - 1, 16);
        bits.push(1, 1);
        bits.align();
        bits.bytes.extend_from_slice(chunk);
    }
    // ISLAST, ISLASTEMPTY.
    bits.push(0b11, 2);
    bits.align();
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    part: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        self.part |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.part as u8);
            self.part >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.bytes.push(self.part as u8);
            (self.part, self.count) = (0, 0);
        }
    }
}

/// What a body decodes to, given in pieces of `size`.
fn decode(fields: &[&str], body: &[u8], size: usize, limits: CodingLimits) -> Result<Vec<u8>, CodingError> {
    let mut decoding = Decoding::new(fields.iter().copied(), limits)?;
    let mut out = Vec::new();
    for mut input in body.chunks(size) {
        while let Some(piece) = decoding.next(&mut input)? {
            out.extend_from_slice(piece);
        }
        assert!(input.is_empty());
    }
    assert_eq!(decoding.written(), out.len() as u64);
    Ok(out)
}

fn text() -> Vec<u8> {
    (0..40_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect()
}

#[test]
fn every_coding_gives_back_what_was_coded_however_it_is_cut() {
    let text = text();
    for (fields, body) in [
        (&["identity"][..], text.clone()),
        (&["gzip"], gzip(&text)),
        (&[" GZip "], gzip(&text)),
        (&["x-gzip"], gzip(&text)),
        (&["deflate"], zlib(&text)),
        (&["deflate"], deflate(&text)),
        (&["br"], brotli(&text)),
        (&["zstd"], zstandard(&text)),
        (&["gzip, br"], brotli(&gzip(&text))),
        (&["gzip", "br"], brotli(&gzip(&text))),
        (&["zstd, identity", "deflate"], zlib(&zstandard(&text))),
        (&["gzip, gzip"], gzip(&gzip(&text))),
    ] {
        for size in [1, 2, 3, 7, 1000, usize::MAX] {
            assert!(decode(fields, &body, size, LIMITS).as_deref() == Ok(&text), "{fields:?} in pieces of {size}");
        }
    }
}

#[test]
fn all_members_of_gzip_and_all_frames_of_zstandard_are_seen() {
    let body = [gzip(b"one "), gzip(b"two "), b"rubbish".to_vec()].concat();
    let frames = [zstandard(b"one "), zstandard(b"two ")].concat();
    for size in [1, 5, usize::MAX] {
        assert_eq!(decode(&["gzip"], &body, size, LIMITS).unwrap(), b"one two ", "{size}");
        assert_eq!(decode(&["zstd"], &frames, size, LIMITS).unwrap(), b"one two ", "{size}");
    }
}

#[test]
fn every_field_of_a_header_of_gzip_is_passed_over() {
    let plain = gzip(b"words");
    let mut body = plain[..10].to_vec();
    body[3] = FLAGS_ALL;
    body.extend_from_slice(&[3, 0, 1, 2, 3]);
    body.extend_from_slice(b"name\0comment\0\x12\x34");
    body.extend_from_slice(&plain[10..]);
    for size in [1, 4, usize::MAX] {
        assert_eq!(decode(&["gzip"], &body, size, LIMITS).unwrap(), b"words");
    }
}

/// FHCRC, FEXTRA, FNAME and FCOMMENT.
const FLAGS_ALL: u8 = 0b1_1110;

#[test]
fn what_is_not_in_the_coding_that_it_names_is_told_as_broken() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let junk = b"\xff\xff<html>this is no such thing, and long enough to be found out</html>";
        assert_eq!(decode(&[coding], junk, 7, LIMITS), Err(CodingError::Broken), "{coding}");
    }
    // Before the first byte, nothing is wrong yet.
    assert_eq!(decode(&["gzip"], b"", 1, LIMITS), Ok(Vec::new()));
}

#[test]
fn a_coding_that_nobody_knows_and_one_too_many_are_refused_before_anything_is_read() {
    for fields in [&["compress"][..], &["gzip, dcb"], &["gzip;q=1"], &["aes128gcm"]] {
        assert_eq!(decode(fields, b"", 1, LIMITS), Err(CodingError::Unknown), "{fields:?}");
    }
    assert_eq!(decode(&["gzip, gzip, gzip"], b"", 1, LIMITS), Err(CodingError::TooDeep));
}

#[test]
fn a_bomb_is_found_out_long_before_it_is_whole() {
    let zeros = vec![0; 64 << 20];
    for (coding, body) in [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("zstd", zstandard(&zeros))] {
        let mut decoding = Decoding::new([coding].into_iter(), LIMITS).unwrap();
        let mut input = &body[..];
        let found = loop {
            match decoding.next(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!(found, Some(CodingError::Ratio), "{coding}");
    }
    // So much is nobody's harm.
    let page = vec![b' '; FREE_BYTES as usize];
    assert_eq!(decode(&["gzip"], &gzip(&page), usize::MAX, LIMITS).unwrap().len(), page.len());
}

#[test]
fn a_window_larger_than_a_content_coding_may_have_is_not_taken() {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.write_all(&text()).unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(decode(&["zstd"], &body, usize::MAX, LIMITS), Err(CodingError::Broken));
}

#[test]
fn time_is_a_limit_too() {
    let limits = CodingLimits { time: Duration::ZERO, ..LIMITS };
    assert_eq!(decode(&["gzip"], &gzip(&text()), usize::MAX, limits), Err(CodingError::Time));
}
