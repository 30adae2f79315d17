//! How long it takes to say what a connection speaks. Every answer is checked: a fast wrong one fails.
//!
//! `cargo bench --bench detect`

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::Instant;

use ecluse::access::Protocol;
use ecluse::detect::{Ja4, Step, detect, detect_datagram};

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
    median("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Protocol::Ssh, None);
    median("BitTorrent", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", Protocol::BitTorrent, None);
    median("unknown, encrypted", &[0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a, 0x7c, 0x15].repeat(8), Protocol::Other, None);
    let query = b"\x80\xfb\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x02fr\0\0\x1c\0\x01";
    medians(
        "DNS, a datagram",
        || matches!(detect_datagram(black_box(query)), Step::Done(s) if s.protocol == Protocol::Dns),
    );
    let expected = Ja4::of_stream(&hello).expect("a whole hello").to_string();
    let both = medians("ClientHello with SNI, ALPN and ECH, and its JA4", || {
        let named = matches!(detect(black_box(&hello)), Step::Done(s) if s.sni.is_some());
        named && Ja4::of_stream(black_box(&hello)).is_some_and(|ja4| ja4.as_str() == expected)
    });
    println!("a whole ClientHello: {whole:.0} ns ({} bytes); the aim is 100", hello.len());
    println!("with JA4: {both:.0} ns; the aim is 800");
}

fn median(what: &str, bytes: &[u8], protocol: Protocol, sni: Option<&str>) -> f64 {
    medians(what, || match detect(black_box(bytes)) {
        Step::Done(signature) => {
            let named = signature.sni.as_ref().map(|name| name.as_str()) == sni;
            signature.protocol == protocol && named && signature.fault.is_none()
        }
        Step::Need => false,
    })
}

/// Nanoseconds a call: the median of the rounds, and the best, which tells how much the machine had to do besides.
fn medians(what: &str, is_right: impl Fn() -> bool) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&is_right)).collect();
    rounds.sort_by(f64::total_cmp);
    let middle = rounds[ROUNDS / 2];
    println!("{middle:8.1} ns (best {:.1})  {what}", rounds[0]);
    middle
}

fn round(is_right: impl Fn() -> bool) -> f64 {
    let begun = Instant::now();
    let right = (0..CALLS).filter(|_| is_right()).count();
    let took = begun.elapsed();
    assert_eq!(right, CALLS, "wrong answers");
    took.as_nanos() as f64 / CALLS as f64
}
