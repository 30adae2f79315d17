//! What scanners answer, and what bodies are coded in: whatever the bytes and wherever they are cut, no crash, no answer taken
//! for clean that is none, and no more out of a body than its limits let.
//!
//! The first byte says what the others are.

#![no_main]

use std::time::Duration;

use ecluse::scan::clamd::{conf, reply};
use ecluse::scan::coding::{CodingLimits, Decoding, FREE_BYTES};
use ecluse::scan::icap::Reader;
use libfuzzer_sys::fuzz_target;

const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "gzip, zstd", "deflate, br"];
const LIMITS: CodingLimits = CodingLimits { ratio: 200, depth: 2, time: Duration::from_secs(20) };

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 8 {
        0 => clamd(bytes),
        1 => icap(bytes),
        coding => decode(CODINGS[usize::from(coding) - 2], bytes),
    }
});

fn clamd(bytes: &[u8]) {
    if let Ok(reply::Reply::Clean) = reply::parse(bytes) {
        assert_eq!(bytes.trim_ascii_end().strip_suffix(b"\0").unwrap_or(bytes).get(..10), Some(&b"stream: OK"[..]));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        conf::parse(text);
    }
}

/// Whole or byte by byte, the same comes of it.
fn icap(bytes: &[u8]) {
    let (mut whole, mut cut) = (Reader::default(), Reader::default());
    let by_bytes = bytes.chunks(1).try_for_each(|byte| cut.push(byte));
    match whole.push(bytes) {
        Ok(()) => {
            assert!(by_bytes.is_ok());
            assert!(whole.is_done() == cut.is_done() && whole.reply() == cut.reply() && whole.body() == cut.body());
            assert!(whole.body().0 <= bytes.len() as u64);
        }
        Err(_) => assert!(by_bytes.is_err()),
    }
}

fn decode(coding: &str, bytes: &[u8]) {
    let mut sums = Vec::new();
    for size in [usize::MAX, 1] {
        let mut decoding = Decoding::new([coding].into_iter(), LIMITS).expect("codings that are known");
        let mut out: u64 = 0;
        let mut failed = false;
        'body: for mut input in bytes.chunks(size.min(bytes.len().max(1))) {
            loop {
                match decoding.next(&mut input) {
                    Ok(Some(piece)) => out += piece.len() as u64,
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        break 'body;
                    }
                }
            }
        }
        assert!(out <= FREE_BYTES.max(LIMITS.ratio * (bytes.len() as u64 + 1)) + 64 * 1024);
        sums.push((!failed).then_some(out));
    }
    assert_eq!(sums[0], sums[1], "{coding}");
}
