//! What passes, what does not and why, and that it does not matter how the bytes come.

use proptest::prelude::*;

use super::*;

const LIMITS: FramingLimits = FramingLimits { head_bytes: 4096, fields: 10 };

/// The requests that are handed on, as text, each as one; or the fault. Reads pieces that end at the given places.
fn requests(bytes: &[u8], cuts: &[usize], room: usize) -> Result<Vec<String>, Fault> {
    let mut framer = Framer::new(LIMITS);
    let (mut requests, mut held, mut at) = (vec![Vec::new()], Vec::new(), 0);
    for end in cuts.iter().copied().chain([bytes.len()]) {
        held.extend_from_slice(&bytes[at..end]);
        at = end;
        loop {
            let unseen = (framer.unseen() as usize).min(held.len()).min(room);
            let n = if unseen > 0 {
                framer.passed(unseen as u64);
                unseen
            } else {
                match framer.step(&held, room)? {
                    Step::Pass(n) => n,
                    Step::Skip(n) => {
                        held.drain(..n);
                        continue;
                    }
                    Step::More => break,
                }
            };
            assert!(n > 0 && n <= room, "a step of {n} bytes");
            requests.last_mut().unwrap().extend(held.drain(..n));
            if framer.is_between() {
                requests.push(Vec::new());
            }
        }
    }
    requests.retain(|request| !request.is_empty());
    Ok(requests.iter().map(|request| String::from_utf8_lossy(request).into_owned()).collect())
}

fn check(bytes: &str, expected: Result<&[&str], Fault>) {
    let expected = expected.map(|requests| requests.iter().map(|&r| r.to_owned()).collect::<Vec<_>>());
    let bytes = bytes.as_bytes();
    assert_eq!(requests(bytes, &[], usize::MAX), expected, "{:?}", String::from_utf8_lossy(bytes));
    let every: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(requests(bytes, &every, usize::MAX), expected, "byte by byte: {:?}", String::from_utf8_lossy(bytes));
    assert_eq!(requests(bytes, &[], 1), expected, "into a buffer of one byte");
    for cut in 1..bytes.len() {
        assert_eq!(requests(bytes, &[cut], 7), expected, "cut at {cut}: {:?}", String::from_utf8_lossy(bytes));
    }
}

fn passes(requests: &[&str]) {
    check(&requests.concat(), Ok(requests));
}

fn fails(bytes: &str, fault: Fault) {
    check(bytes, Err(fault));
}

/// A request with these fields after its `Host`.
fn with(fields: &str) -> String {
    format!("POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

#[test]
fn what_the_standard_says_passes_however_it_is_cut() {
    passes(&["GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET http://a.test/2 HTTP/1.0\r\n\r\n"]);
    passes(&["CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX-Empty:\r\nX-Text: \t a\u{e9} \r\n\r\n"]);
    passes(&[&(with("Content-Length: 5\r\n") + "hello"), "OPTIONS * HTTP/1.1\r\nhOST: a.test\r\n\r\n"]);
    passes(&[&(with("Content-Length: 0\r\n")), "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"]);
    passes(&[&with("Expect: 100-Continue\r\nContent-Length: 0000000000000000\r\n")]);
    passes(&[
        &(with("transfer-encoding: Chunked\r\n") + "5\r\nhello\r\n0A;a=b;c=\"d \\\" e\";f\r\n0123456789\r\n0\r\n\r\n")
    ]);
    passes(&[&(with("Transfer-Encoding: chunked\r\n") + "000\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"), &with("")]);
}

#[test]
fn an_empty_line_or_two_before_a_request_are_nothing() {
    let request = "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n";
    check(&format!("\r\n\r\n{request}\r\n{request}"), Ok(&[request, request]));
    fails(&format!("\r\n\r\n\r\n{request}"), Fault::EmptyLines);
    fails(&format!("\n{request}"), Fault::BareLf);
    fails(&format!("\r{request}"), Fault::BareCr);
}

#[test]
fn a_line_ends_in_crlf_and_in_nothing_else() {
    fails("GET http://a.test/ HTTP/1.1\nHost: a.test\r\n\r\n", Fault::BareLf);
    fails("GET http://a.test/ HTTP/1.1\r\nHost: a.test\n\r\n", Fault::BareLf);
    fails("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\n", Fault::BareLf);
    fails(&with("X: a\rTransfer-Encoding: chunked\r\n"), Fault::BareCr);
    fails(&with("X: a\r\r\n"), Fault::BareCr);
}

#[test]
fn the_request_line_is_three_words_with_one_blank_between() {
    for line in [
        "GET  http://a.test/ HTTP/1.1",
        "GET http://a.test/  HTTP/1.1",
        "GET\thttp://a.test/ HTTP/1.1",
        "GET http://a.test/ HTTP/1.1 ",
        "GET http://a.test/",
        "GET http://a.test/ http/1.1",
        "GET http://a.test/ HTTP/1.1.1",
        "GET http://a.test/ HTTP/11",
        "GET http://a.test/a b HTTP/1.1",
        "GET",
        "G{T http://a.test/ HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG http://a.test/ HTTP/1.1",
    ] {
        fails(&format!("{line}\r\nHost: a.test\r\n\r\n"), Fault::RequestLine);
    }
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"] {
        fails(&format!("GET http://a.test/ {version}\r\nHost: a.test\r\n\r\n"), Fault::Version);
    }
    fails("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::Version);
    fails("\u{16}\u{3}\u{1}\u{2}", Fault::NotHttp);
    fails(" GET http://a.test/ HTTP/1.1\r\n\r\n", Fault::NotHttp);
}

#[test]
fn a_target_holds_no_control_no_blank_no_fragment_and_no_raw_letter() {
    for target in
        ["http://a.test/\u{1}", "http://a.test/#x", "http://a.test/\u{e9}", "http://a.test/\u{7f}", "http://[::1/"]
    {
        fails(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"), Fault::Target);
    }
}

#[test]
fn a_field_is_a_token_a_colon_and_a_value() {
    fails(&with(" X: folded\r\n"), Fault::ObsFold);
    fails(&with("X: a\r\n\tb\r\n"), Fault::ObsFold);
    for field in ["X : a", ": a", "X", "X\u{b}: a", "X(: a", "X\u{e9}: a", "X\0: a"] {
        fails(&with(&format!("{field}\r\n")), Fault::FieldName);
    }
    for value in ["a\0b", "a\u{1}", "\u{7f}", "\u{b}chunked"] {
        fails(&with(&format!("X: {value}\r\n")), Fault::FieldValue);
    }
    for name in ["Content_Length", "transfer_ENCODING", "Proxy_Authorization"] {
        fails(&with(&format!("{name}: 5\r\n")), Fault::Underscore);
    }
    passes(&[&with("X_Custom: 1\r\n")]);
}

#[test]
fn host_is_there_once() {
    fails("GET http://a.test/ HTTP/1.1\r\n\r\n", Fault::NoHost);
    fails(&with("Host: a.test\r\n"), Fault::SeveralHosts);
    fails("GET http://a.test/ HTTP/1.0\r\nHost: a.test\r\nhost: b.test\r\n\r\n", Fault::SeveralHosts);
}

#[test]
fn a_length_is_said_once_in_plain_digits() {
    for length in ["+5", "-5", "0x5", "5, 5", "5 5", "", "5.0", "1e1", "9999999999999999999", "\u{ff15}"] {
        fails(&with(&format!("Content-Length: {length}\r\n")), Fault::Length);
    }
    fails(&with("Content-Length: 5\r\nContent-Length: 5\r\n"), Fault::SeveralLengths);
}

#[test]
fn a_coding_is_chunked_alone_and_without_a_length() {
    for coding in [
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "xchunked",
        "chunked;a=b",
        "\"chunked\"",
        ",chunked",
        "chunked,",
        "",
    ] {
        fails(&with(&format!("Transfer-Encoding: {coding}\r\n")), Fault::Coding);
    }
    fails(&with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Fault::Coding);
    fails(&with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Fault::LengthAndCoding);
    fails(&with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), Fault::LengthAndCoding);
    fails("POST http://a.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::CodingInHttp10);
}

#[test]
fn connect_and_trace_have_no_body() {
    for method in ["CONNECT a.test:443", "TRACE http://a.test/"] {
        let head = |field: &str| format!("{method} HTTP/1.1\r\nHost: a.test\r\n{field}\r\n");
        fails(&head("Content-Length: 5\r\n"), Fault::BodyWithoutMeaning);
        fails(&head("Transfer-Encoding: chunked\r\n"), Fault::BodyWithoutMeaning);
    }
}

#[test]
fn only_one_expectation_is_known() {
    fails(&with("Expect: 200-ok\r\n"), Fault::Expectation);
}

#[test]
fn a_chunk_is_its_size_its_bytes_and_its_end() {
    let chunked = |body: &str| with("Transfer-Encoding: chunked\r\n") + body;
    for size in ["", "x", "+5", "-5", "0x5", " 5", "5 ", "5\t", "5_0", "1000000000000000"] {
        fails(&chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n")), Fault::ChunkSize);
    }
    fails(&chunked("5\nhello\r\n0\r\n\r\n"), Fault::BareLf);
    fails(&chunked("5\rhello\r\n0\r\n\r\n"), Fault::BareCr);
    fails(&chunked("5\r\nhello0\r\n\r\n"), Fault::ChunkEnd);
    fails(&chunked("5\r\nhello\n0\r\n\r\n"), Fault::ChunkEnd);
    fails(&chunked("5\r\nhellooo\r\n0\r\n\r\n"), Fault::ChunkEnd);
    for extension in [";", ";=", ";a=", "; a", ";a ", ";a=\"b", ";a=\"b\"c", ";a\u{1}", ";a=b\0", ";a,b"] {
        fails(&chunked(&format!("5{extension}\r\nhello\r\n0\r\n\r\n")), Fault::ChunkExtension);
    }
    fails(&chunked("5;a\nhello\r\n0\r\n\r\n"), Fault::BareLf);
    fails(&chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300))), Fault::ChunkExtension);
}

#[test]
fn a_trailer_neither_frames_nor_routes() {
    let trailed = |trailer: &str| with("Transfer-Encoding: chunked\r\n") + "0\r\n" + trailer + "\r\n\r\n";
    for trailer in [
        "Content-Length: 5",
        "transfer_encoding: chunked",
        "Host: b.test",
        "X : 1",
        " X: 1",
        "X: \u{1}",
        "Authorization: a",
    ] {
        fails(&trailed(trailer), Fault::Trailer);
    }
    fails(&trailed(&format!("X: {}", "a".repeat(9000))), Fault::Trailer);
}

#[test]
fn a_head_has_a_size_and_a_number_of_fields() {
    let fields = |n: usize| (0..n).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    passes(&[&with(&fields(9))]);
    fails(&with(&fields(10)), Fault::TooManyFields);
    let head = |length: usize| with(&format!("X: {}\r\n", "a".repeat(length - with("X: \r\n").len())));
    assert!(requests(head(4096).as_bytes(), &[], usize::MAX).is_ok());
    assert_eq!(requests(head(4097).as_bytes(), &[], usize::MAX), Err(Fault::HeadTooLarge));
    let endless = format!("GET http://a.test/{}", "a".repeat(4096));
    assert_eq!(requests(endless.as_bytes(), &[], usize::MAX), Err(Fault::TargetTooLong));
}

#[test]
fn what_follows_a_fault_is_nobodys() {
    let mut framer = Framer::new(LIMITS);
    assert_eq!(framer.step(b"GET / HTTP/1.1\n", 100), Err(Fault::BareLf));
    assert_eq!(framer.step(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100), Err(Fault::BareLf));
    assert_eq!(framer.unseen(), 0);
}

proptest! {
    /// Whatever comes, in whatever pieces, the answer is the same, and what passes is what came.
    #[test]
    fn no_bytes_are_read_in_two_ways(
        parts in prop::collection::vec(prop::sample::select(vec![
            "GET http://a.test/ HTTP/1.1\r\n", "POST http://a.test/ HTTP/1.1\r\n", "Host: a.test\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "\r\n", "\n", "\r", "abc", "3\r\nabc\r\n", "0\r\n", "3;x\r\n", " ", "X: y\r\n",
        ]), 0..12),
        cut in 0usize..200, room in 1usize..64,
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = requests(&bytes, &[], usize::MAX);
        prop_assert_eq!(&whole, &requests(&bytes, &[cut.min(bytes.len())], room));
        if let Ok(whole) = whole {
            let passed: String = whole.concat();
            let came = String::from_utf8_lossy(&bytes).into_owned();
            let came = came.trim_start_matches("\r\n");
            prop_assert!(passed.is_empty() || came.contains(passed.split("\r\n").next().unwrap()));
        }
    }
}
