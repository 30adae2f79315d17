//! Names and values of fields, who is named as the host, and what concerns one connection only.

use super::{Case, REFUSED, SERVED, UNAMBIGUOUS, get, post};

/// Bytes that are no part of a name, in the middle, before and behind.
pub fn names() -> Vec<Case> {
    let separators: &[u8] = b"\0\x01\x08\t\n\x0b\x0c\r\x1f \"(),/;<=>?@[\\]{}\x7f\x80\xa0\xff";
    let mut cases: Vec<Case> =
        separators.iter().map(|&b| (get([b"X", &[b][..], b"Y: 1\r\n"].concat()), REFUSED)).collect();
    for &b in b"\0\t \x0b\x0c\x7f\xa0" {
        cases.push((get([&[b][..], b"X: 1\r\n"].concat()), REFUSED));
        cases.push((get([b"X", &[b][..], b": 1\r\n"].concat()), REFUSED));
    }
    for (line, want) in [
        ("X:Y: 1\r\n", SERVED),
        ("X!#$%&'*+-.^_`|~9: 1\r\n", UNAMBIGUOUS),
        ("x_forwarded_for: 10.0.0.1\r\n", UNAMBIGUOUS),
        (": 1\r\n", REFUSED),
        ("X\r\n", REFUSED),
        ("\r: 1\r\n", REFUSED),
        ("Hôte: 1\r\n", REFUSED),
    ] {
        cases.push((get(line), want));
    }
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    cases.push((get(many), REFUSED));
    cases.push((get(format!("{}: y\r\n", "X".repeat(70_000))), REFUSED));
    cases
}

/// Bytes in a value.
pub fn values() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for &b in b"\0\x01\x08\n\x0b\x0c\r\x1f\x7f" {
        cases.push((get([b"X: a", &[b][..], b"b\r\n"].concat()), REFUSED));
    }
    for &b in b"\t\x80\xe9\xff" {
        cases.push((get([b"X: a", &[b][..], b"b\r\n"].concat()), SERVED));
    }
    for (lines, want) in [
        ("X: a\r\n b\r\n", REFUSED),
        ("X: a\r\n\tb\r\n", REFUSED),
        ("X:\r\n a\r\n", REFUSED),
        ("X: a\r\n \r\nY: b\r\n", REFUSED),
        ("X: a\n\nGET http://adult.test/hidden HTTP/1.1\nHost: adult.test\n\n", REFUSED),
        ("X: a\r\rGET http://adult.test/hidden HTTP/1.1\rHost: adult.test\r\r", REFUSED),
        ("X: a\r\nY: b\n", REFUSED),
        ("X:\r\n", SERVED),
        ("X:      \r\n", SERVED),
    ] {
        cases.push((get(lines), want));
    }
    cases
}

/// One host, named once and the same everywhere.
pub fn hosts() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (lines, want) in [
        ("Host: {HOST}\r\n", SERVED),
        ("HOST:{HOST} \r\n", SERVED),
        ("", UNAMBIGUOUS),
        ("Host: {HOST}\r\nHost: {HOST}\r\n", REFUSED),
        ("Host: {HOST}\r\nhost: adult.test\r\n", REFUSED),
        ("Host: adult.test\r\nHost: {HOST}\r\n", REFUSED),
        ("Host: adult.test\r\n", REFUSED),
        ("Host: {HOSTNAME}\r\n", REFUSED),
        ("Host: {HOSTNAME}:1\r\n", REFUSED),
        ("Host: \r\n", REFUSED),
        ("Host: :80\r\n", REFUSED),
        ("Host : {HOST}\r\n", REFUSED),
        (" Host: {HOST}\r\n", REFUSED),
        ("Host: {HOST}\r\n adult.test\r\n", REFUSED),
        ("Host: {HOST}\r\nHost : adult.test\r\n", REFUSED),
        ("Host: {HOST}\r\n Host: adult.test\r\n", REFUSED),
        ("Host: {HOST}, adult.test\r\n", REFUSED),
        ("Host: {HOST} adult.test\r\n", REFUSED),
        ("Host: {HOST}\tadult.test\r\n", REFUSED),
        ("Host: adult.test#{HOST}\r\n", REFUSED),
        ("Host: adult.test@{HOST}\r\n", REFUSED),
        ("Host: {HOST}@adult.test\r\n", REFUSED),
        ("Host: {HOST}/adult\r\n", REFUSED),
        ("Host: {HOST}?adult\r\n", REFUSED),
        ("Host: http://{HOST}/\r\n", REFUSED),
        ("Host: {HOST}\\adult.test\r\n", REFUSED),
        ("Host: {HOST}\0\r\n", REFUSED),
        ("Host: {HOST}\x0b\r\n", REFUSED),
        ("Host: [{HOSTNAME}]:{PORT}\r\n", REFUSED),
        ("Host: {HOSTNAME}:+{PORT}\r\n", REFUSED),
        ("Host: {HOSTNAME}:0{PORT}\r\n", UNAMBIGUOUS),
        ("Host: {HOSTNAME}.:{PORT}\r\n", UNAMBIGUOUS),
        ("Host: {HOST}\r\nX-Forwarded-Host: adult.test\r\n", UNAMBIGUOUS),
        ("Host: {HOST}\r\nForwarded: host=adult.test\r\n", UNAMBIGUOUS),
        ("Host: {HOST}\r\nX-Original-URL: /hidden\r\n", UNAMBIGUOUS),
    ] {
        cases.push((format!("GET http://{{HOST}}/ HTTP/1.1\r\n{lines}\r\n").into_bytes(), want));
    }
    cases
}

/// Fields that `Connection` names, or that must not travel whether it does or not.
pub fn hops() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (lines, want) in [
        ("Connection: Host\r\n", UNAMBIGUOUS),
        ("Connection: close, Host, Via\r\n", UNAMBIGUOUS),
        ("Connection: Authorization, Cookie\r\nCookie: a=b\r\n", UNAMBIGUOUS),
        ("Connection: X-Secret\r\nX-Secret: 1\r\n", SERVED),
        ("Connection: keep-alive, \r\n", SERVED),
        ("Connection: \r\n", SERVED),
        ("Connection: cl\0ose\r\n", REFUSED),
        ("Connection: a b\r\n", UNAMBIGUOUS),
        ("Proxy-Authorization: Basic Zm9vOmJhcg==\r\n", SERVED),
        ("Proxy_Authorization: Basic Zm9vOmJhcg==\r\n", UNAMBIGUOUS),
        ("Proxy-Connection: keep-alive\r\n", SERVED),
        ("Keep-Alive: timeout=99\r\n", SERVED),
        ("TE: trailers, deflate\r\n", SERVED),
        ("Trailer: Content-Length\r\n", UNAMBIGUOUS),
        ("Max-Forwards: 0\r\n", UNAMBIGUOUS),
    ] {
        cases.push((get(lines), want));
    }
    for lines in [
        "Connection: Content-Length\r\nContent-Length: 5\r\n",
        "Connection: close, content-length\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nConnection: Transfer-Encoding\r\n",
    ] {
        cases.push((post(lines, "hello"), UNAMBIGUOUS));
    }
    for lines in [
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nConnection: Trailer\r\n",
    ] {
        cases.push((post(lines, "5\r\nhello\r\n0\r\n\r\n"), UNAMBIGUOUS));
    }
    cases
}
