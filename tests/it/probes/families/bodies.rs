//! Bodies where none is expected, cut ones, `Expect`, `Upgrade`, and requests that follow one another.

use super::{Case, HIDDEN, REFUSED, SERVED, UNAMBIGUOUS, get, post};

pub fn bodies() -> Vec<Case> {
    let with = |method: &str, fields: &str, body: &str| {
        format!("{method} / HTTP/1.1\r\nHost: {{HOST}}\r\n{fields}\r\n{body}").into_bytes()
    };
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let mut cases = vec![
        (post("", ""), SERVED),
        (post("Content-Length: 0\r\n", ""), SERVED),
        (post(chunked, "0\r\n\r\n"), SERVED),
        // Shorter than announced, and then nothing.
        (post("Content-Length: 50\r\n", "hello"), REFUSED),
        (post("Content-Length: 5\r\n", ""), REFUSED),
        (post(chunked, "5\r\nhel"), REFUSED),
        (post(chunked, "5\r\nhello\r\n"), REFUSED),
        (post(chunked, "5\r\nhello\r\n0\r\n"), REFUSED),
        (post(chunked, ""), REFUSED),
        (b"GET / HTTP/1.1\r\nHost: {HOST}\r\n".to_vec(), REFUSED),
        (b"GET / HTTP/1.1\r\nHost: {HO".to_vec(), REFUSED),
        (b"GET ".to_vec(), REFUSED),
        (b"\r\n".to_vec(), REFUSED),
        // HTTP/1.0 has no Transfer-Encoding: its end can't be known.
        (
            b"POST / HTTP/1.0\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec(),
            REFUSED,
        ),
        (
            b"POST / HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_vec(),
            REFUSED,
        ),
        (b"POST / HTTP/1.0\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello".to_vec(), SERVED),
        // No length: by the book an empty body, whatever follows.
        (post("Connection: close\r\n", "hello"), UNAMBIGUOUS),
        (b"POST / HTTP/1.0\r\nHost: {HOST}\r\n\r\nhello".to_vec(), UNAMBIGUOUS),
    ];
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"] {
        cases.push((with(method, length, "hello"), UNAMBIGUOUS));
        cases.push((with(method, chunked, "5\r\nhello\r\n0\r\n\r\n"), UNAMBIGUOUS));
    }
    cases
}

pub fn expectations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (fields, want) in [
        ("Expect: 100-continue\r\n", SERVED),
        ("Expect: 100-Continue\r\n", SERVED),
        ("Expect:\r\n", UNAMBIGUOUS),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\n", UNAMBIGUOUS),
        ("Expect: 100-continue, 100-continue\r\n", UNAMBIGUOUS),
        ("Expect: 200-ok\r\n", UNAMBIGUOUS),
        ("Expect: y 100-continue\r\n", UNAMBIGUOUS),
        ("Expect: 100-continue\0\r\n", REFUSED),
    ] {
        cases.push((post(format!("{fields}Content-Length: 5\r\n"), "hello"), want));
        cases.push((post(format!("{fields}Transfer-Encoding: chunked\r\n"), "5\r\nhello\r\n0\r\n\r\n"), want));
    }
    cases.push((get("Expect: 100-continue\r\n"), UNAMBIGUOUS));
    let old = "POST / HTTP/1.0\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    cases.push((old.as_bytes().to_vec(), "non-1xx response"));
    cases
}

/// The origin of these tests never switches protocols, so what follows stays HTTP.
pub fn upgrades() -> Vec<Case> {
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let mut cases = vec![(get(websocket), UNAMBIGUOUS), (get(h2c), UNAMBIGUOUS)];
    for fields in [
        websocket,
        h2c,
        "Connection: Upgrade\r\nUpgrade: foo\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: WebSocket \r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    ] {
        let behind = |bytes: Vec<u8>, more: &[u8]| [&bytes[..], more].concat();
        cases.push((behind(get(fields), HIDDEN.as_bytes()), UNAMBIGUOUS));
        cases.push((behind(get(fields), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), UNAMBIGUOUS));
        cases.push((post(format!("{fields}Content-Length: 5\r\n"), format!("hello{HIDDEN}")), UNAMBIGUOUS));
    }
    cases
}

pub fn pipelines() -> Vec<Case> {
    let one = "GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n";
    let body = "POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let refused = "POST http://adult.test/ HTTP/1.1\r\nHost: adult.test\r\nContent-Length: 5\r\n\r\nhello";
    let own = "POST http://ecluse.internal/ HTTP/1.1\r\nHost: ecluse.internal\r\nContent-Length: 5\r\n\r\nhello";
    let last = "GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n";
    let cases: [(&[&str], &'static str); 16] = [
        (&[one, one, one], "3 requests"),
        (&[body, one, chunked, one], "4 requests"),
        (&[chunked, chunked], "2 requests"),
        (&[one, "\r\n", one], "2 requests"),
        // After a refusal the body is drained, or the connection closed: never read as a request.
        (&[refused, one], "0 requests or 1 requests"),
        (&[refused, refused, one], "0 requests or 1 requests"),
        (&[own, one], "0 requests or 1 requests"),
        (&[one, refused, one], "1 requests or 2 requests"),
        (&[HIDDEN, one], "1 requests"),
        // What follows the last announced request is not read.
        (&[last, one], "1 requests"),
        (&[last, HIDDEN], "1 requests"),
        (&[one, "GARBAGE\r\n\r\n", one], "1 requests"),
        (&[one, "GET http://{HOST}/ HTTP/1.1\r\nHost: adult.test\r\n\r\n", one], "1 requests"),
        (&[body, "XX", one], "1 requests or 2 requests"),
        (&["HEAD http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", one], "2 requests"),
        (&["GET http://{HOST}/ HTTP/1.0\r\nHost: {HOST}\r\n\r\n", one], "1 requests"),
    ];
    cases.into_iter().map(|(parts, want)| (parts.concat().into_bytes(), want)).collect()
}
