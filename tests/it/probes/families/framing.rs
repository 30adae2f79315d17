//! Where a body ends: Transfer-Encoding, Content-Length, chunk sizes and trailers.

use super::{Case, HIDDEN, REFUSED, SERVED, UNAMBIGUOUS, post};

/// Spellings of Transfer-Encoding, each with a length that covers everything, with one that covers little, and alone.
pub fn codings() -> Vec<Case> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let spellings: [&[u8]; 34] = [
        CHUNKED.as_bytes(),
        b"Transfer-Encoding: CHUNKED\r\n",
        b"Transfer-Encoding:chunked\r\n",
        b"Transfer-Encoding: \t chunked \t\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked;q=1\r\n",
        b"Transfer-Encoding: \"chunked\"\r\n",
        b"Transfer-Encoding: 'chunked'\r\n",
        b"Transfer-Encoding: chunked,\r\n",
        b"Transfer-Encoding: ,chunked\r\n",
        b"Transfer-Encoding: chunked cow\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: \r\n",
        b"Transfer-Encoding: ,\r\n",
        b"Transfer-Encoding: c\0hunked\r\n",
        b"Transfer-Encoding: chunked\0\r\n",
        b"Transfer-Encoding: chunk\xe9d\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding: cow\r\n\tchunked\r\n",
        b"Transfer-Encoding: chunked\r\n cow\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding\r\n: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer_Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\ntransfer-encoding: cow\r\n",
        b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
        b"X: y\nTransfer-Encoding: chunked\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n",
        b"X: y\r\n\x0bTransfer-Encoding: chunked\r\n",
    ];
    let hidden = format!("0\r\n\r\n{HIDDEN}");
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    let mut cases = Vec::new();
    for (at, spelling) in spellings.into_iter().enumerate() {
        let with_length = |length: usize, body: &str| {
            post([spelling, format!("Content-Length: {length}\r\n").as_bytes()].concat(), body)
        };
        let before = |length: usize, body: &str| {
            post([format!("Content-Length: {length}\r\n").as_bytes(), spelling].concat(), body)
        };
        cases.push((with_length(hidden.len(), &hidden), REFUSED));
        cases.push((before(3, chunked), REFUSED));
        // Alone, the first four are plain chunked requests.
        let alone = if at < 4 { SERVED } else { REFUSED };
        cases.push((post(spelling, chunked), alone));
    }
    // With a well-formed coding behind an obfuscated one.
    for other in ["x", "identity", "gzip", "chunked"] {
        cases.push((post(format!("{CHUNKED}Transfer-Encoding : {other}\r\n"), &hidden), REFUSED));
    }
    // The response's coding is not the message's.
    cases.push((post("Content-Encoding: chunked\r\nContent-Length: 5\r\n", "hello"), UNAMBIGUOUS));
    cases
}

/// Lengths that are no number, several, or not where they seem to be.
pub fn lengths() -> Vec<Case> {
    let values: [(&[u8], &'static str); 33] = [
        (b"5", SERVED),
        (b" 5", SERVED),
        (b"5 ", SERVED),
        (b"\t5\t", SERVED),
        (b"05", UNAMBIGUOUS),
        (b"0000000000000000000000000005", UNAMBIGUOUS),
        (b"5, 5", UNAMBIGUOUS),
        (b"5,5", UNAMBIGUOUS),
        (b"5, 6", REFUSED),
        (b"5,", REFUSED),
        (b",5", REFUSED),
        (b"+5", REFUSED),
        (b"-5", REFUSED),
        (b"-0", REFUSED),
        (b"0x5", REFUSED),
        (b"5h", REFUSED),
        (b"5 5", REFUSED),
        (b"5.0", REFUSED),
        (b"5e0", REFUSED),
        (b"5;", REFUSED),
        (b"\"5\"", REFUSED),
        (b"5_0", REFUSED),
        (b"", REFUSED),
        (b"five", REFUSED),
        (b"5\0", REFUSED),
        (b"\x0b5", REFUSED),
        (b"5\x0c", REFUSED),
        ("٥".as_bytes(), REFUSED),
        ("５".as_bytes(), REFUSED),
        (b"18446744073709551621", REFUSED),
        (b"4294967301", REFUSED),
        (b"99999999999999999999999999", REFUSED),
        (b"\xa05", REFUSED),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(value, want)| (post([b"Content-Length:", value, b"\r\n"].concat(), "hello"), want))
        .collect();
    for (fields, want) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", REFUSED),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", REFUSED),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", REFUSED),
        ("Content-Length: 5\r\ncontent-length: 0\r\n", REFUSED),
        ("Content_Length: 5\r\n", REFUSED),
        ("Content-Length: 0\r\ncontent_length: 5\r\n", REFUSED),
        ("Content-Length : 5\r\n", REFUSED),
        (" Content-Length: 5\r\n", REFUSED),
        ("Content-Length\t: 5\r\n", REFUSED),
        ("X: y\r\n Content-Length: 5\r\n", REFUSED),
        ("Content-Length:\r\n 5\r\n", REFUSED),
        ("Content-Length: 5\n", REFUSED),
        ("Content Length: 5\r\n", REFUSED),
    ] {
        cases.push((post(fields, "hello"), want));
    }
    cases
}

/// Sizes of a chunk of five bytes, and what may stand around them.
pub fn chunks() -> Vec<Case> {
    let long = format!("5;{}", "x".repeat(20_000));
    let sizes: [(&[u8], &'static str); 41] = [
        (b"5\r\n", SERVED),
        (b"05\r\n", UNAMBIGUOUS),
        (b"000000000000000000000000000000005\r\n", UNAMBIGUOUS),
        (b"5;name\r\n", SERVED),
        (b"5;name=value\r\n", SERVED),
        (b"5;name=\"value\"\r\n", SERVED),
        (b"5;name=\"a;b\"\r\n", SERVED),
        (b"5 ;name\r\n", UNAMBIGUOUS),
        (b"5; name = value\r\n", UNAMBIGUOUS),
        (b"5 \r\n", UNAMBIGUOUS),
        (b"5\t\r\n", UNAMBIGUOUS),
        (b"5;\r\n", UNAMBIGUOUS),
        (b" 5\r\n", REFUSED),
        (b"\t5\r\n", REFUSED),
        (b"0x5\r\n", REFUSED),
        (b"0X5\r\n", REFUSED),
        (b"+5\r\n", REFUSED),
        (b"-5\r\n", REFUSED),
        (b"5,\r\n", REFUSED),
        (b"5_\r\n", REFUSED),
        (b"5g\r\n", REFUSED),
        (b"5h\r\n", REFUSED),
        (b"5 5\r\n", REFUSED),
        (b"5 name\r\n", REFUSED),
        (b"\r\n", REFUSED),
        (b";\r\n", REFUSED),
        (b";name\r\n", REFUSED),
        (b"5\n", REFUSED),
        (b"5\r", REFUSED),
        (b"5\r\r\n", REFUSED),
        (b"5;name\n", REFUSED),
        (b"5;na\rme\r\n", REFUSED),
        (b"5;na\nme\r\n", REFUSED),
        (b"5;na\0me\r\n", REFUSED),
        (b"5;name=\"value\r\n", REFUSED),
        (b"5;name=\"\r\nvalue\"\r\n", REFUSED),
        (b"FFFFFFFFFFFFFFFF\r\n", REFUSED),
        (b"10000000000000005\r\n", REFUSED),
        (b"FFFFFFFFFFFFFFFFFFFF5\r\n", REFUSED),
        ("５\r\n".as_bytes(), REFUSED),
        (long.as_bytes(), REFUSED),
    ];
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let mut cases: Vec<Case> =
        sizes.into_iter().map(|(size, want)| (post(CHUNKED, [size, b"hello\r\n0\r\n\r\n"].concat()), want)).collect();
    for (body, want) in [
        ("5\r\nhello\r\n00\r\n\r\n", UNAMBIGUOUS),
        ("5\r\nhello\r\n0;name\r\n\r\n", UNAMBIGUOUS),
        ("5\r\nhello\r\n0 \r\n\r\n", UNAMBIGUOUS),
        ("5\r\nhello\n0\r\n\r\n", REFUSED),
        ("5\r\nhello\r0\r\n\r\n", REFUSED),
        ("5\r\nhello0\r\n\r\n", REFUSED),
        ("5\r\nhello!!\r\n0\r\n\r\n", REFUSED),
        ("5\r\nhell\r\n0\r\n\r\n", REFUSED),
        ("5\r\nhello\r\n0\n\n", REFUSED),
        ("5\r\nhello\r\n-0\r\n\r\n", REFUSED),
        ("5\r\nhello\r\n0x0\r\n\r\n", REFUSED),
        ("5\r\nhello\r\n\r\n", REFUSED),
        ("5\nhello\n0\n\n", REFUSED),
        ("hello", REFUSED),
    ] {
        cases.push((post(CHUNKED, body), want));
    }
    // A bare LF hides a request in what another takes for an extension, and the other way round.
    let spill = format!("5;\nhello\r\n0\r\n\r\n{HIDDEN}");
    cases.push((post(CHUNKED, spill), REFUSED));
    cases.push((post(CHUNKED, format!("2;\r\nxx\r\n4c;\n\r\n\r\n{HIDDEN}0\r\n\r\n")), REFUSED));
    cases
}

/// What may follow the last chunk.
pub fn trailers() -> Vec<Case> {
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(100_000));
    let cases: [(&str, &'static str); 15] = [
        ("X-Sum: 1\r\n", SERVED),
        ("Content-Length: 5\r\n", UNAMBIGUOUS),
        ("Transfer-Encoding: chunked\r\n", UNAMBIGUOUS),
        ("Host: adult.test\r\n", UNAMBIGUOUS),
        ("Proxy-Authorization: Basic Zm9vOmJhcg==\r\n", UNAMBIGUOUS),
        ("Connection: close\r\n", UNAMBIGUOUS),
        ("Content-Length: 999\r\nHost: other.test\r\n", UNAMBIGUOUS),
        ("no colon\r\n", REFUSED),
        ("X: y\n", REFUSED),
        ("X: a\rb\r\n", REFUSED),
        ("X : y\r\n", REFUSED),
        (" X: y\r\n", REFUSED),
        ("X: y\r\n folded\r\n", REFUSED),
        (&many, REFUSED),
        (&long, REFUSED),
    ];
    let body = |trailer: &str| format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
    cases.into_iter().map(|(trailer, want)| (post("Transfer-Encoding: chunked\r\n", body(trailer)), want)).collect()
}
