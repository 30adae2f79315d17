//! HTTP recognised at every split.

use super::detected;
use crate::access::{Carrier, Protocol};
use crate::detect::{Detector, Fault, Signature, Step, detect};

fn http() -> Signature {
    Signature::of(Protocol::Http)
}

#[test]
fn a_request_line_is_http_whatever_its_method() {
    for line in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.0\n",
        "OPTIONS * HTTP/1.1\r\n",
        "CONNECT a:443 HTTP/1.1\r\n",
        "M-SEARCH * HTTP/1.1\r\n",
        "X / HTTP/1.1\r\n",
    ] {
        assert_eq!(detected(line.as_bytes()), http(), "{line:?}");
    }
}

#[test]
fn what_lenient_servers_take_for_http_is_http() {
    for line in [
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "get / http/1.1\r\n",
        "GET\t/\tHTTP/1.1\r\n",
        "GET  /  HTTP/1.1  \r\n",
        "GET HTTP/1.1\r\n",
        "GET / HTTP/1.9\r\n",
        "GET / HTTP/2.0\r\n",
        "GET /music IHTTP/1.0\r\n",
        "GET / HTTP/1.1\rHost: a",
        "GET /a b HTTP/1.1\r\n",
        "GET /\x01 HTTP/1.1\r\n",
        "GET /é HTTP/1.1\r\n",
    ] {
        assert_eq!(detected(line.as_bytes()), http(), "{line:?}");
    }
}

#[test]
fn other_lines_are_not_http() {
    for line in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "OPTIONS rtsp://a/ RTSP/1.0\r\n",
        "INVITE sip:a@b SIP/2.0\r\n",
        "EHLO client.example\r\n",
        "HTTP/1.1 200 OK\r\n",
        "GET /\r\n",
        "GET /HTTP/1.1\r\n",
        "NICK a\r\n",
        "ABC \x01\x02 HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "\x13BitTorrent protocol",
        "A-METHOD-THAT-IS-LONGER-THAN-ANY-SERVER-TAKES / HTTP/1.1\r\n",
    ] {
        assert_ne!(detected(line.as_bytes()).protocol.carrier(), Carrier::Http, "{line:?}");
    }
}

#[test]
fn a_request_broken_off_does_not_pass_as_something_else() {
    assert_eq!(detected(b"GET /path HTT"), Signature::faulty(Protocol::Http, Fault::Incomplete));
    assert_eq!(detected(b"GE"), Signature::faulty(Protocol::Other, Fault::Incomplete));
    assert_eq!(detected(b"\r\n"), Signature::faulty(Protocol::Other, Fault::Incomplete));
}

#[test]
fn a_line_without_end_costs_each_byte_once() {
    let mut line = b"GET /".to_vec();
    line.resize(super::super::FIRST_BYTES_MAX, b'a');
    let mut detector = Detector::default();
    // Byte by byte through 64 KiB: reading it all again each time would take 2 · 10⁹ steps.
    for end in 1..=line.len() {
        assert_eq!(detector.look(&line[..end]), Step::Need);
    }
    assert_eq!(detector.conclude(&line, Fault::TooLong), Signature::faulty(Protocol::Http, Fault::TooLong));
}

#[test]
fn a_head_without_end_costs_each_byte_once_and_is_http() {
    let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
    head.resize(super::super::FIRST_BYTES_MAX, b'a');
    let mut detector = Detector::default();
    let done = (1..=head.len()).find(|&end| detector.look(&head[..end]) != Step::Need);
    assert!(done.is_some_and(|end| end < 9000), "{done:?}");
    assert_eq!(detect(&head), Step::Done(http()));
}

#[test]
fn nothing_at_all_is_silence() {
    assert_eq!(detect(b""), Step::Need);
    assert_eq!(detected(b""), Signature::of(Protocol::Silent));
}
