//! A request's head: found, then read whole.

use http::Uri;
use memchr::memchr;

use super::{Fault, FramingLimits};

/// RFC 9110 §9.1 registers none longer than 17 bytes.
const METHOD_MAX: usize = 32;
/// No registered field has a tenth of that; `http::HeaderName` holds 65,535.
const NAME_MAX: usize = 1024;
/// RFC 9112 §3 asks for 8,000 at least; `http::Uri` holds 65,534.
const TARGET_MAX: usize = 60_000;

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
}

/// Fields that decide where a message ends, where it goes, or who asks. Servers behind some gateways take `_` for `-`
/// (CGI, RFC 3875 §4.1.18), so a name that becomes one of these that way is refused.
const GUARDED: [&str; 12] = [
    "content-length",
    "transfer-encoding",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "content-encoding",
    "content-type",
    "content-range",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "http2-settings",
];

/// The length of the head that `bytes` begin with, once its last line is there. `searched` is how far earlier calls
/// looked: each byte is looked at once.
pub fn find_end(bytes: &[u8], searched: &mut usize, limits: &FramingLimits) -> Result<Option<usize>, Fault> {
    let is_first_look = *searched == 0;
    let found = search(bytes, searched, limits);
    // What speaks another protocol is told so by its first line, and not after the limit of time; a whole head is about
    // to be read anyway.
    if is_first_look
        && *searched > 0
        && !matches!(found, Ok(Some(_)))
        && let Some(line) = Lines(bytes).next()
    {
        read_request_line(line)?;
    }
    found
}

fn search(bytes: &[u8], searched: &mut usize, limits: &FramingLimits) -> Result<Option<usize>, Fault> {
    match bytes.first() {
        None => return Ok(None),
        // Its line feed may still be on the way.
        Some(b'\r') if bytes.len() == 1 => return Ok(None),
        Some(b'\r') => return Err(Fault::BareCr),
        Some(b'\n') => return Err(Fault::BareLf),
        Some(&b) if !is_token(b) => return Err(Fault::NotHttp),
        Some(_) => {}
    }
    while let Some(at) = memchr(b'\n', &bytes[*searched..]).map(|at| *searched + at) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Fault::BareLf);
        }
        if at >= limits.head_bytes {
            return Err(if *searched == 0 { Fault::TargetTooLong } else { Fault::HeadTooLarge });
        }
        *searched = at + 1;
        if at >= 3 && bytes[at - 2] == b'\n' {
            return Ok(Some(at + 1));
        }
    }
    match bytes.len() > limits.head_bytes {
        true if *searched == 0 => Err(Fault::TargetTooLong),
        true => Err(Fault::HeadTooLarge),
        false => Ok(None),
    }
}

/// Reads a whole head, the empty line at its end included.
pub fn read(head: &[u8], limits: &FramingLimits) -> Result<Body, Fault> {
    let mut lines = Lines(head);
    let line = read_request_line(lines.next().ok_or(Fault::RequestLine)?)?;
    // What hyper would not take is refused here, where it gets its page and its row.
    if !is_plain(line.target) && Uri::try_from(line.target).is_err() {
        return Err(Fault::Target);
    }
    let mut seen = Seen::default();
    let mut fields = 0;
    for field in lines {
        if field.is_empty() {
            break;
        }
        fields += 1;
        if fields > limits.fields {
            return Err(Fault::TooManyFields);
        }
        let (name, value) = read_field(field)?;
        seen.note(name, value)?;
    }
    seen.body(&line)
}

/// Whether a target is one of those that nearly all are, which no parser of URIs can refuse:
/// `http://`, a name or IPv4 address, perhaps a port, and a path and query of plain characters.
fn is_plain(target: &[u8]) -> bool {
    let Some(rest) = target.strip_prefix(b"http://") else { return false };
    let host = rest.iter().position(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'-')).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(host);
    let rest = match rest {
        [b':', rest @ ..] => {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            match digits {
                1..=4 => &rest[digits..],
                _ => return false,
            }
        }
        _ => rest,
    };
    let is_plain =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'?' | b'=' | b'&' | b'%');
    !host.is_empty() && rest.first() == Some(&b'/') && rest.iter().all(is_plain)
}

/// Lines without their CRLF. The head was searched for bare LF before.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.0)?;
        let line = &self.0[..end.saturating_sub(1)];
        self.0 = &self.0[end + 1..];
        Some(line)
    }
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    is_http10: bool,
}

fn read_request_line(line: &[u8]) -> Result<RequestLine<'_>, Fault> {
    let method_end = line.iter().position(|&b| !is_token(b)).unwrap_or(line.len());
    let (method, rest) = line.split_at(method_end);
    if method.is_empty() || method.len() > METHOD_MAX {
        return Err(Fault::RequestLine);
    }
    let rest = rest.strip_prefix(b" ").ok_or(Fault::RequestLine)?;
    let target_end = rest.iter().position(|&b| b == b' ').ok_or(Fault::RequestLine)?;
    let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
    if target.is_empty() {
        return Err(Fault::RequestLine);
    }
    if target.len() > TARGET_MAX {
        return Err(Fault::TargetTooLong);
    }
    // Neither controls, nor blanks, nor raw bytes of other alphabets; a fragment stays with the browser (RFC 9110 §4.2.5).
    if target.iter().any(|&b| !b.is_ascii_graphic() || b == b'#') {
        return Err(Fault::Target);
    }
    let is_http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::RequestLine),
    };
    Ok(RequestLine { method, target, is_http10 })
}

/// Name and value of a field line, the value without the blanks around it.
pub fn read_field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::ObsFold);
    }
    let colon = line.iter().position(|&b| !is_token(b)).ok_or(Fault::FieldName)?;
    if colon == 0 || colon > NAME_MAX || line[colon] != b':' {
        return Err(Fault::FieldName);
    }
    let value = &line[colon + 1..];
    if let Some(&b) = value.iter().find(|&&b| !is_field_byte(b)) {
        return Err(if b == b'\r' { Fault::BareCr } else { Fault::FieldValue });
    }
    Ok((&line[..colon], trim(value)))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What the fields say of framing.
#[derive(Default)]
struct Seen {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

impl Seen {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name.contains(&b'_') && poses_as_guarded(name) {
            return Err(Fault::Underscore);
        }
        // By length first: nearly every field is none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 {
                    return Err(Fault::SeveralHosts);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Fault::Expectation);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Fault::SeveralLengths);
                }
                self.length = Some(read_length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Coding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn body(self, line: &RequestLine<'_>) -> Result<Body, Fault> {
        if self.chunked && self.length.is_some() {
            return Err(Fault::LengthAndCoding);
        }
        if self.chunked && line.is_http10 {
            return Err(Fault::CodingInHttp10);
        }
        if self.hosts == 0 && !line.is_http10 {
            return Err(Fault::NoHost);
        }
        let body = match self.length {
            _ if self.chunked => Body::Chunked,
            Some(length) => Body::Length(length),
            None => Body::None,
        };
        match line.method {
            b"CONNECT" | b"TRACE" if body != Body::None => Err(Fault::BodyWithoutMeaning),
            _ => Ok(body),
        }
    }
}

fn poses_as_guarded(name: &[u8]) -> bool {
    GUARDED.iter().any(|guarded| {
        guarded.len() == name.len()
            && guarded.bytes().zip(name).all(|(g, &n)| g == n.to_ascii_lowercase() || (g == b'-' && n == b'_'))
    })
}

/// Plain digits; 18 of them are an exabyte and fit.
fn read_length(value: &[u8]) -> Result<u64, Fault> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Length);
    }
    Ok(value.iter().fold(0, |n, &digit| n * 10 + u64::from(digit - b'0')))
}

/// RFC 9110 §5.6.2.
pub fn is_token(b: u8) -> bool {
    TOKEN[usize::from(b)]
}

/// [`is_token`] as a table: it is asked of every byte of a field's name.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = is_in_tokens(b as u8);
        b += 1;
    }
    table
};

const fn is_in_tokens(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// RFC 9110 §5.5: visible, blank, tab, or of another alphabet.
pub fn is_field_byte(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plain_target_is_one_that_the_parser_of_uris_takes(
            target in "http://[a-zA-Z0-9.:-]{0,24}/?[a-zA-Z0-9/._?=&%:@#~-]{0,40}"
        ) {
            prop_assert!(!is_plain(target.as_bytes()) || Uri::try_from(target.as_str()).is_ok(), "{}", target);
        }
    }

    #[test]
    fn only_what_is_plain_is_plain() {
        for (target, plain) in [
            ("http://example.fr/", true),
            ("http://127.0.0.1:8080/a/b.html?c=d&e=%20", true),
            ("http://example.fr", false),
            ("http:///a", false),
            ("http://a:/", false),
            ("http://a:80808/", false),
            ("http://u@a/", false),
            ("http://[::1]/", false),
            ("https://a/", false),
            ("http://a/{b}", false),
            ("/a", false),
        ] {
            assert_eq!(is_plain(target.as_bytes()), plain, "{target}");
        }
    }
}
