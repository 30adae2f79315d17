//! How long it takes to say what a connection speaks. Every answer is checked: a fast wrong one fails.
//!
//! `cargo bench --bench detect`

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::Instant;

use ecluse::access::Protocol;
use ecluse::detect::{Step, detect};

#[path = "../src/detect/tests/hellos.rs"]
mod hellos;

const ROUNDS: usize = 31;
const CALLS: usize = 20_000;

fn main() {
    let hello = hellos::browser("www.example.fr");
    let message = hellos::message(&hellos::body(&hellos::browser_extensions("www.example.fr")));
    let whole = median("ClientHello with SNI, ALPN and ECH", &hello, Protocol::Tls, Some("www.example.fr"));
    median("the same in records of 100 bytes", &hellos::records(&message, 100), Protocol::Tls, Some("www.example.fr"));
    median("HTTP request", b"GET / HTTP/1.1\r\nHost: www.example.fr\r\n\r\n", Protocol::Http, None);
    median("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Protocol::Other, None);
    median("BitTorrent", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", Protocol::Other, None);
    println!("a whole ClientHello: {whole:.0} ns ({} bytes); the aim is 100", hello.len());
}

/// Nanoseconds a call: the median of the rounds, and the best, which tells how much the machine had to do besides.
fn median(what: &str, bytes: &[u8], protocol: Protocol, sni: Option<&str>) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(bytes, protocol, sni)).collect();
    rounds.sort_by(f64::total_cmp);
    let middle = rounds[ROUNDS / 2];
    println!("{middle:8.1} ns (best {:.1})  {what}", rounds[0]);
    middle
}

fn round(bytes: &[u8], protocol: Protocol, sni: Option<&str>) -> f64 {
    let begun = Instant::now();
    let mut right = 0;
    for _ in 0..CALLS {
        if let Step::Done(signature) = detect(black_box(bytes)) {
            let named = signature.sni.as_ref().map(|name| name.as_str()) == sni;
            right += usize::from(signature.protocol == protocol && named && signature.fault.is_none());
        }
    }
    let took = begun.elapsed();
    assert_eq!(right, CALLS, "wrong answers");
    took.as_nanos() as f64 / CALLS as f64
}
