//! HTTP/1: a request line (RFC 9112 §3).
//!
//! It is told by its first word and its last, `HTTP/1.x`; after a method that browsers use, any word that speaks of HTTP will
//! do. What is wrong in between is not judged here: lenient servers
//! take much of it, so it has to reach the one that parses requests, and not pass as something else.

use super::guess::{Guess, cut};
use super::{Fault, Signature, doh, websocket};
use crate::access::Protocol;

/// The longest method of the IANA registry has 17 (`UPDATEREDIRECTREF`); servers stop at 20 to 30.
const METHOD_MAX: usize = 32;

/// How much of a head is read for the fields that say what is spoken: servers stop at 8 KiB, most of them.
const HEAD_MAX: usize = 8 * 1024;

/// Methods that browsers and their like use. After these even a target with control bytes is HTTP: some servers take it.
const KNOWN: [&[u8]; 9] = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"PATCH", b"TRACE"];

/// A request line that arrives, and how far it was searched for its end: each byte is looked at once.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RequestLine {
    start: usize,
    searched: usize,
    /// The line is whole and HTTP's: its fields are being read.
    is_http: bool,
    /// Where the next field begins; at first, what is left of the line.
    fields: usize,
    past_line: bool,
    is_get: bool,
}

/// A request line as far as it is there.
enum Line<'a> {
    /// What follows the method, without the end of line.
    Whole(&'a [u8], Method),
    /// The method is there and known.
    Begun,
    /// It may be one.
    Cut,
    /// It is none, whatever follows.
    None,
}

/// The first word of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
    Connect,
    /// Another one of [`KNOWN`].
    Known,
    Any,
}

impl Method {
    fn of(word: &[u8]) -> Method {
        match word {
            b"GET" => Method::Get,
            b"POST" => Method::Post,
            b"CONNECT" => Method::Connect,
            _ if KNOWN.contains(&word) => Method::Known,
            _ => Method::Any,
        }
    }

    fn is_known(self) -> bool {
        self != Method::Any
    }
}

impl RequestLine {
    pub fn look(&mut self, bytes: &[u8]) -> Guess<Protocol> {
        if self.is_http {
            return self.look_at_fields(bytes);
        }
        match self.read(bytes) {
            Line::Whole(line, method) if ends_in_http1(line) || (method.is_known() && ends_in_some_http(line)) => {
                match method {
                    Method::Connect => return Guess::Yes(Protocol::HttpProxy),
                    _ if doh::is_target(line) => return Guess::Yes(Protocol::Doh),
                    // Only these two have fields that change what is spoken.
                    Method::Get | Method::Post => {}
                    Method::Known | Method::Any => return Guess::Yes(Protocol::Http),
                }
                self.is_http = true;
                (self.fields, self.searched) = (self.start, self.start);
                self.look_at_fields(bytes)
            }
            Line::Whole(..) | Line::None => Guess::No,
            Line::Begun | Line::Cut => Guess::Perhaps,
        }
    }

    /// The fields, up to the first that says what is spoken or to their end.
    fn look_at_fields(&mut self, bytes: &[u8]) -> Guess<Protocol> {
        while let Some(end) = self.end_of_field(bytes) {
            let field = bytes[self.fields..end].trim_ascii();
            let is_line = !std::mem::replace(&mut self.past_line, true);
            self.fields = end + 1;
            let (name, value) = cut(field, b':').unwrap_or_default();
            if is_line {
                self.is_get = field.starts_with(b"GET");
            } else if self.is_get && websocket::is_upgrade(name, value) {
                return Guess::Yes(Protocol::WebSocket);
            } else if doh::is_content(name, value) {
                return Guess::Yes(Protocol::Doh);
            } else if field.is_empty() || self.fields > HEAD_MAX {
                return Guess::Yes(Protocol::Http);
            }
        }
        self.searched = bytes.len();
        if bytes.len() > self.fields + HEAD_MAX { Guess::Yes(Protocol::Http) } else { Guess::Perhaps }
    }

    fn end_of_field(&self, bytes: &[u8]) -> Option<usize> {
        let from = self.searched.max(self.fields);
        let to = bytes.len().min(self.fields + HEAD_MAX + 1);
        bytes.get(from..to)?.iter().position(|&b| b == b'\n').map(|at| from + at)
    }

    pub fn conclude(mut self, bytes: &[u8], fault: Fault) -> Signature {
        if self.is_http {
            // The line is whole: what it asks is read by who serves it.
            return Signature::of(Protocol::Http);
        }
        match self.read(bytes) {
            Line::Begun => Signature::faulty(Protocol::Http, fault),
            _ => Signature::faulty(Protocol::Other, fault),
        }
    }

    fn read<'a>(&mut self, bytes: &'a [u8]) -> Line<'a> {
        // Servers ignore empty lines before a request (RFC 9112 §2.2).
        while bytes.get(self.start).is_some_and(|&b| ends_line(b)) {
            self.start += 1;
        }
        let line = &bytes[self.start..];
        let Some(end) = line.iter().take(METHOD_MAX + 1).position(|&b| !is_token(b)) else {
            return if line.len() <= METHOD_MAX { Line::Cut } else { Line::None };
        };
        let (method, rest) = line.split_at(end);
        if method.is_empty() || !is_blank(rest[0]) {
            return Line::None;
        }
        let method = Method::of(method);
        let known = method.is_known();
        let from = self.searched.saturating_sub(self.start + end);
        let stop = rest[from..].iter().position(|&b| ends_line(b) || (!known && is_binary(b)));
        self.searched = bytes.len();
        match stop.map(|at| from + at) {
            Some(at) if ends_line(rest[at]) => Line::Whole(&rest[..at], method),
            Some(_) => Line::None,
            None if known => Line::Begun,
            None => Line::Cut,
        }
    }
}

/// What a request speaks whose fields somebody else has read; `target` is as it stands in the request line.
pub fn protocol_of_request<'a>(
    is_get: bool,
    target: &str,
    fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Protocol {
    if doh::is_query(target.as_bytes()) {
        return Protocol::Doh;
    }
    for (name, value) in fields {
        if is_get && websocket::is_upgrade(name.as_bytes(), value) {
            return Protocol::WebSocket;
        }
        if doh::is_content(name.as_bytes(), value) {
            return Protocol::Doh;
        }
    }
    Protocol::Http
}

/// A server's status line (RFC 9112 §4).
pub(super) fn server(bytes: &[u8]) -> Guess {
    Guess::begins(bytes, b"HTTP/1.").and(Guess::at(bytes, 7, |[minor, blank]| minor.is_ascii_digit() && blank == b' '))
}

/// ` target HTTP/1.x`, the blanks being any, the case too, the target missing: that is how lenient servers read it. `PRI * HTTP/2.0`
/// (RFC 9113 §3.4) is no HTTP/1.
fn ends_in_http1(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let Some((target, version)) = line.split_last_chunk::<8>() else { return false };
    let [name @ .., b'1', b'.', minor] = version else { return false };
    name.eq_ignore_ascii_case(b"HTTP/") && minor.is_ascii_digit() && target.last().is_none_or(|&b| is_blank(b))
}

/// A target and then `IHTTP/1.0`, `HTTP/2.0`, `HTTP/1.1x`: there are servers that look no closer at a version.
fn ends_in_some_http(line: &[u8]) -> bool {
    let mut words = line.split(|&b| is_blank(b)).filter(|word| !word.is_empty());
    let (Some(_target), Some(last)) = (words.next(), words.next_back()) else { return false };
    last.windows(5).any(|part| part.eq_ignore_ascii_case(b"HTTP/"))
}

/// RFC 9110 §5.6.2.
fn is_token(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// What RFC 9112 §3 says lenient parsers take for a blank, save CR.
fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | 0x0b | 0x0c)
}

/// CR and LF alone end a line for some servers.
fn ends_line(b: u8) -> bool {
    matches!(b, b'\r' | b'\n')
}

fn is_binary(b: u8) -> bool {
    b < b' ' && !is_blank(b)
}
