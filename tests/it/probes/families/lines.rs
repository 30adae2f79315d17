//! The first line: target, version, method.

use super::{Case, HIDDEN, REFUSED, SERVED, UNAMBIGUOUS};

/// Targets that name a host twice, none, or in a spelling of their own.
pub fn targets() -> Vec<Case> {
    let long = format!("http://{{HOST}}/{}", "A".repeat(70_000));
    let cases: [(&[u8], &'static str); 62] = [
        (b"http://{HOST}/", SERVED),
        (b"http://{HOST}", SERVED),
        (b"http://{HOST}?q=1", SERVED),
        (b"HTTP://{HOST}/", SERVED),
        (b"http://{HOST}/%61?a=%62;c&d=e", SERVED),
        (b"http://{HOST}/..;/x//../y", UNAMBIGUOUS),
        (b"http://{HOST}/../../x", UNAMBIGUOUS),
        (b"http://{HOST}//adult.test/", UNAMBIGUOUS),
        (b"http://{HOST}/http://adult.test/", UNAMBIGUOUS),
        (b"http://{HOST}/%2e%2e/x%00y", UNAMBIGUOUS),
        (b"http://{HOST}/\"<>^`{|}", UNAMBIGUOUS),
        (b"http://{HOST}/\xe9", UNAMBIGUOUS),
        ("http://{HOST}/é".as_bytes(), UNAMBIGUOUS),
        (b"http://{HOST}/a\\b", UNAMBIGUOUS),
        (b"http://{HOST}/[x]", UNAMBIGUOUS),
        (b"http://{HOST}/#x", UNAMBIGUOUS),
        (b"http://{HOST}#@adult.test/", REFUSED),
        (b"http://{HOST}#/x", UNAMBIGUOUS),
        (b"http://{HOST}\\@adult.test/", REFUSED),
        (b"http://adult.test\\@{HOST}/", REFUSED),
        (b"http://adult.test@{HOST}/", REFUSED),
        (b"http://user:pass@{HOST}/", REFUSED),
        (b"http://@{HOST}/", REFUSED),
        (b"http://:@{HOST}/", REFUSED),
        (b"http://{HOST}@adult.test/", REFUSED),
        (b"http://adult.test%2f@{HOST}/", REFUSED),
        (b"http://adult.test%00{HOST}/", REFUSED),
        (b"http://{HOSTNAME}%00.adult.test/", REFUSED),
        (b"http://{HOSTNAME}%20:{PORT}/", REFUSED),
        (b"http://{HOSTNAME}\t:{PORT}/", REFUSED),
        (b"http://{HOST} /", REFUSED),
        (b"http://{HOST}/a b", REFUSED),
        (b"http://{HOST}/ http://adult.test/", REFUSED),
        (b"http://{HOST}/a\tb", REFUSED),
        (b"http://{HOST}/a\x0bb", REFUSED),
        (b"http://{HOST}/a\0b", REFUSED),
        (b"http://{HOST}/a\x7fb", REFUSED),
        (b"http://{HOST}/a\rb", REFUSED),
        (b"http://{HOST}/a\nX: y", REFUSED),
        (b"http://{HOSTNAME}:0/", REFUSED),
        (b"http://{HOSTNAME}:65536/", REFUSED),
        (b"http://{HOSTNAME}:99999999999/", REFUSED),
        (b"http://{HOSTNAME}:+{PORT}/", REFUSED),
        (b"http://{HOSTNAME}:-1/", REFUSED),
        (b"http://{HOSTNAME}:{PORT}:80/", REFUSED),
        (b"http://{HOSTNAME}:x/", REFUSED),
        (b"http:///x", REFUSED),
        (b"http://", REFUSED),
        (b"http://:{PORT}/", REFUSED),
        (b"http:/{HOST}/", REFUSED),
        (b"http:{HOST}/", REFUSED),
        (b"http//{HOST}/", REFUSED),
        (b"://{HOST}/", REFUSED),
        (b"//{HOST}/", UNAMBIGUOUS),
        (b"https://{HOST}/", REFUSED),
        (b"ftp://{HOST}/", REFUSED),
        (b"file:///etc/passwd", REFUSED),
        (b"view-source:http://{HOST}/", REFUSED),
        (b"*", REFUSED),
        (b"{HOST}", REFUSED),
        (b"", REFUSED),
        (long.as_bytes(), REFUSED),
    ];
    let whole = |target: &[u8]| [b"GET ", target, b" HTTP/1.1\r\nHost: {HOST}\r\n\r\n"].concat();
    let mut cases: Vec<Case> = cases.into_iter().map(|(target, want)| (whole(target), want)).collect();
    // The name is written otherwise in Host, as it must be.
    for (target, host, want) in [
        ("http://{HOSTNAME}.:{PORT}/", "{HOSTNAME}.:{PORT}", UNAMBIGUOUS),
        ("http://{HOSTNAME}:0{PORT}/", "{HOSTNAME}:0{PORT}", UNAMBIGUOUS),
        ("http://127.1:{PORT}/", "127.1:{PORT}", UNAMBIGUOUS),
        ("http://2130706433:{PORT}/", "2130706433:{PORT}", UNAMBIGUOUS),
        ("http://0x7f.1:{PORT}/", "0x7f.1:{PORT}", UNAMBIGUOUS),
        ("http://[::ffff:127.0.0.1]:{PORT}/", "[::ffff:127.0.0.1]:{PORT}", UNAMBIGUOUS),
        ("http://[::1%25lo]:{PORT}/", "[::1%25lo]:{PORT}", REFUSED),
    ] {
        cases.push((format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(), want));
    }
    cases
}

/// The last word of the line, and what may stand around it.
pub fn versions() -> Vec<Case> {
    let cases: [(&[u8], &'static str); 28] = [
        (b" HTTP/1.1", SERVED),
        (b" HTTP/1.0", SERVED),
        (b" HTTP/1.2", UNAMBIGUOUS),
        (b" HTTP/1.9", UNAMBIGUOUS),
        (b" HTTP/0.9", REFUSED),
        (b" HTTP/2.0", REFUSED),
        (b" HTTP/2", REFUSED),
        (b" HTTP/3.0", REFUSED),
        (b" HTTP/1", REFUSED),
        (b" HTTP/1.", REFUSED),
        (b" HTTP/.1", REFUSED),
        (b" HTTP/11", REFUSED),
        (b" HTTP/1.10", REFUSED),
        (b" HTTP/01.1", REFUSED),
        (b" HTTP/1,1", REFUSED),
        (b" HTTP/+1.1", REFUSED),
        (b" http/1.1", REFUSED),
        (b" Http/1.1", REFUSED),
        (b" HTTPS/1.1", REFUSED),
        (b" ICY/1.1", REFUSED),
        (b" HTTP/1.1 x", REFUSED),
        (b" HTTP/1.1 ", UNAMBIGUOUS),
        (b"  HTTP/1.1", UNAMBIGUOUS),
        (b"\tHTTP/1.1", UNAMBIGUOUS),
        (b"\x0bHTTP/1.1", REFUSED),
        (b" HTTP/1.1\0", REFUSED),
        (b"", REFUSED),
        (b" ", REFUSED),
    ];
    let whole = |end: &[u8]| [b"GET http://{HOST}/", end, b"\r\nHost: {HOST}\r\n\r\n"].concat();
    let mut cases: Vec<Case> = cases.into_iter().map(|(end, want)| (whole(end), want)).collect();
    let lines: [(&[u8], &'static str); 8] = [
        (b"GET http://{HOST}/\r\n", REFUSED),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
        (b"\r\nGET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", UNAMBIGUOUS),
        (b"\n\nGET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", UNAMBIGUOUS),
        (b"\0GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", REFUSED),
        (b"\xef\xbb\xbfGET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", REFUSED),
        (b"GET http://{HOST}/ HTTP/1.1\nHost: {HOST}\n\n", REFUSED),
        (b"GET http://{HOST}/ HTTP/1.1\rHost: {HOST}\r\r", REFUSED),
    ];
    cases.extend(lines.into_iter().map(|(bytes, want)| (bytes.to_vec(), want)));
    cases.push((format!("GET http://{{HOST}}/ HTTP/1.1\r\nHost: {{HOST}}\r\n\r{HIDDEN}").into_bytes(), REFUSED));
    cases
}

/// The first word.
pub fn methods() -> Vec<Case> {
    let long = "M".repeat(10_000);
    let cases: [(&[u8], &'static str); 24] = [
        (b"GET", SERVED),
        (b"OPTIONS", SERVED),
        (b"DELETE", SERVED),
        (b"REPORT", UNAMBIGUOUS),
        (b"FOO", UNAMBIGUOUS),
        (b"get", UNAMBIGUOUS),
        (b"Get", UNAMBIGUOUS),
        (b"TRACE", UNAMBIGUOUS),
        (b"M-SEARCH", UNAMBIGUOUS),
        (b"HTTP/1.1", REFUSED),
        (b"CONNECT", REFUSED),
        (b"G(T", REFUSED),
        (b"G\0T", REFUSED),
        (b"G\x01T", REFUSED),
        (b"G\xe9T", REFUSED),
        (b"GET:", REFUSED),
        (b"GET,GET", REFUSED),
        (b"GET GET", REFUSED),
        (b" GET", REFUSED),
        (b"\tGET", REFUSED),
        (b"", REFUSED),
        (b"GET\x0b", REFUSED),
        (b"GET\r", REFUSED),
        (long.as_bytes(), REFUSED),
    ];
    let whole = |method: &[u8]| [method, b" http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n"].concat();
    let mut cases: Vec<Case> = cases.into_iter().map(|(method, want)| (whole(method), want)).collect();
    for line in [
        "CONNECT {HOSTNAME}",
        "CONNECT http://{HOST}/",
        "CONNECT /",
        "CONNECT *",
        "CONNECT user@{HOST}",
        "CONNECT {HOST}/x",
        "CONNECT {HOSTNAME}:0",
    ] {
        cases.push((format!("{line} HTTP/1.1\r\nHost: {{HOST}}\r\n\r\n").into_bytes(), REFUSED));
    }
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Host: adult.test\r\n"] {
        cases.push((format!("CONNECT {{HOST}} HTTP/1.1\r\nHost: {{HOST}}\r\n{fields}\r\nhello").into_bytes(), REFUSED));
    }
    cases
}
