//! Several small, independent, lenient readers of HTTP/1 requests.
//!
//! No two servers read doubtful bytes alike, and that is what request smuggling lives on. Each reader here makes one
//! choice that some real server makes or made (see [`ALL`]); none of them shares code with the gateway. What any of
//! them sees as a request must be what the access log holds, else something got past it.

/// A request as one reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// The authority it is for, by this reader's rule: `host[:port]`; empty when it names none.
    pub host: String,
    /// Path and query, the absolute form taken off.
    pub path: String,
    /// Field names and values, as this reader tells them apart.
    pub fields: Vec<(String, String)>,
    /// Whether all of its body was there.
    pub whole: bool,
}

/// Which of two framings wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Transfer-Encoding, when its last coding is `chunked` (RFC 9112 §6.3).
    Standard,
    /// Content-Length where there is one.
    LengthFirst,
    /// Any Transfer-Encoding whose value holds `chunked` somewhere.
    AnyChunked,
    /// Only the last Transfer-Encoding field counts, and only when it is `chunked` and nothing else.
    LastCoding,
    /// Only the first one.
    FirstCoding,
}

/// Which of several equal fields counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    First,
    Last,
}

/// What names the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRule {
    Field(Which),
    /// The absolute form of the request line, before any field.
    UriFirst,
}

/// One way of reading.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    pub name: &'static str,
    pub framing: Framing,
    pub length: Which,
    pub host: HostRule,
    /// LF alone ends a line.
    pub bare_lf: bool,
    /// CR alone ends a line.
    pub bare_cr: bool,
    /// `content_length` is `content-length`.
    pub underscore: bool,
    /// A line that begins with a blank continues the one before; otherwise it is a field of its own.
    pub fold: bool,
    /// Blanks, controls and bytes beyond ASCII around names and values do not count.
    pub trims_junk: bool,
    /// NUL ends a value, as in C.
    pub nul_ends: bool,
    /// Numbers are read as far as they are numbers, as `strtol` does: `5, 6` is 5, `0x10` is 16 in hexadecimal.
    pub prefix_numbers: bool,
}

const STANDARD: Reader = Reader {
    name: "by the book",
    framing: Framing::Standard,
    length: Which::First,
    host: HostRule::UriFirst,
    bare_lf: false,
    bare_cr: false,
    underscore: false,
    fold: true,
    trims_junk: false,
    nul_ends: false,
    prefix_numbers: false,
};

/// Every reader that judges.
pub const ALL: [Reader; 16] = [
    STANDARD,
    Reader { name: "length first", framing: Framing::LengthFirst, ..STANDARD },
    Reader { name: "anything chunked", framing: Framing::AnyChunked, trims_junk: true, ..STANDARD },
    Reader { name: "last coding wins", framing: Framing::LastCoding, ..STANDARD },
    Reader { name: "first coding wins", framing: Framing::FirstCoding, ..STANDARD },
    Reader { name: "last length wins", framing: Framing::LengthFirst, length: Which::Last, ..STANDARD },
    Reader { name: "bare LF ends lines", bare_lf: true, ..STANDARD },
    Reader { name: "bare CR ends lines", bare_cr: true, bare_lf: true, ..STANDARD },
    Reader { name: "underscore is hyphen", underscore: true, framing: Framing::LengthFirst, ..STANDARD },
    Reader { name: "a folded line is a field", fold: false, framing: Framing::AnyChunked, ..STANDARD },
    Reader { name: "junk around names is nothing", trims_junk: true, bare_lf: true, fold: false, ..STANDARD },
    Reader { name: "NUL ends a value", nul_ends: true, ..STANDARD },
    Reader { name: "numbers by their beginning", prefix_numbers: true, framing: Framing::LengthFirst, ..STANDARD },
    Reader { name: "chunk sizes by their beginning", prefix_numbers: true, bare_lf: true, ..STANDARD },
    Reader { name: "first Host", host: HostRule::Field(Which::First), ..STANDARD },
    Reader { name: "last Host", host: HostRule::Field(Which::Last), underscore: true, ..STANDARD },
];

impl Reader {
    /// All requests in the bytes of one connection. What is left over and is no blank line counts as one more, so
    /// that nothing can hide behind a last request.
    pub fn read(&self, bytes: &[u8]) -> Vec<Request> {
        let mut found = Vec::new();
        let mut rest = bytes;
        loop {
            while let Some((b'\r' | b'\n', after)) = rest.split_first() {
                rest = after;
            }
            if rest.is_empty() {
                return found;
            }
            let Some((request, after)) = self.one(rest) else {
                let text: String = String::from_utf8_lossy(rest).chars().take(80).collect();
                found.push(Request {
                    method: "?".into(),
                    target: text,
                    host: String::new(),
                    path: String::new(),
                    fields: Vec::new(),
                    whole: false,
                });
                return found;
            };
            found.push(request);
            rest = after;
        }
    }

    fn one<'a>(&self, bytes: &'a [u8]) -> Option<(Request, &'a [u8])> {
        let mut rest = bytes;
        let first = latin1(self.line(&mut rest)?);
        let mut words = first.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next().unwrap_or_default().to_owned());
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            let line = self.line(&mut rest)?;
            if line.is_empty() {
                break;
            }
            let folded = matches!(line[0], b' ' | b'\t');
            let text = latin1(line);
            match (folded && self.fold, fields.last_mut()) {
                (true, Some((_, value))) => *value = format!("{value} {}", text.trim()),
                _ => fields.push(self.field(&text)),
            }
        }
        let (whole, rest) = self.body(&fields, rest);
        let (named, path) = split_target(&target);
        let host = match self.host {
            HostRule::UriFirst => named.map(str::to_owned).or_else(|| self.value(&fields, "host", Which::First)),
            HostRule::Field(which) => self.value(&fields, "host", which).or_else(|| named.map(str::to_owned)),
        };
        let (host, path) = (host.unwrap_or_default(), path.to_owned());
        Some((Request { method, target, host, path, fields, whole }, rest))
    }

    /// A line without its end; `None` where no end came.
    fn line<'a>(&self, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let bytes = *rest;
        for (at, &byte) in bytes.iter().enumerate() {
            let crlf = byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            let ends = crlf || (byte == b'\n' && self.bare_lf) || (byte == b'\r' && self.bare_cr);
            if ends {
                *rest = &bytes[at + if crlf { 2 } else { 1 }..];
                return Some(&bytes[..at]);
            }
        }
        None
    }

    fn field(&self, line: &str) -> (String, String) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let is_junk = |c: char| c <= ' ' || c > '~';
        let (name, mut value) = match self.trims_junk {
            true => (name.trim_matches(is_junk), value.trim_matches(is_junk)),
            false => (if self.fold { name } else { name.trim() }, value.trim_matches([' ', '\t'])),
        };
        if self.nul_ends {
            value = value.split('\0').next().unwrap_or_default();
        }
        let mut name = name.to_ascii_lowercase();
        if self.underscore {
            name = name.replace('_', "-");
        }
        (name, value.to_owned())
    }

    fn value(&self, fields: &[(String, String)], name: &str, which: Which) -> Option<String> {
        let mut all = fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone());
        match which {
            Which::First => all.next(),
            Which::Last => all.next_back(),
        }
    }

    fn is_chunked(&self, fields: &[(String, String)]) -> bool {
        let coding = |which| self.value(fields, "transfer-encoding", which).map(|value| value.to_ascii_lowercase());
        match self.framing {
            Framing::LengthFirst if self.length_of(fields).is_some() => false,
            Framing::Standard | Framing::LengthFirst => coding(Which::Last)
                .is_some_and(|value| value.rsplit(',').next().unwrap_or_default().trim() == "chunked"),
            Framing::AnyChunked => {
                let mut codings = fields.iter().filter(|(name, _)| name == "transfer-encoding");
                codings.any(|(_, value)| value.to_ascii_lowercase().contains("chunked"))
            }
            Framing::LastCoding => coding(Which::Last).is_some_and(|value| value == "chunked"),
            Framing::FirstCoding => coding(Which::First).is_some_and(|value| value == "chunked"),
        }
    }

    fn length_of(&self, fields: &[(String, String)]) -> Option<usize> {
        let value = self.value(fields, "content-length", self.length)?;
        self.number(value.as_bytes(), 10)
    }

    fn number(&self, text: &[u8], radix: u32) -> Option<usize> {
        let text = latin1(text);
        let text = text.trim();
        if !self.prefix_numbers {
            return usize::from_str_radix(text, radix).ok();
        }
        let text = text.trim_start_matches(['+', '-']);
        let text = if radix == 16 { text.trim_start_matches("0x").trim_start_matches("0X") } else { text };
        let digits: String = text.chars().take_while(|c| c.is_digit(radix)).collect();
        usize::from_str_radix(&digits, radix).ok()
    }

    /// Whether the body is whole, and what follows it.
    fn body<'a>(&self, fields: &[(String, String)], rest: &'a [u8]) -> (bool, &'a [u8]) {
        if self.is_chunked(fields) {
            return self.chunks(rest).map_or((false, &[]), |after| (true, after));
        }
        match self.length_of(fields) {
            Some(length) if length <= rest.len() => (true, &rest[length..]),
            Some(_) => (false, &[]),
            None => (true, rest),
        }
    }

    /// What follows the last chunk and its trailer; `None` where it is cut or no chunk.
    fn chunks<'a>(&self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let line = self.line(&mut rest)?;
            let size = line.split(|&b| b == b';').next().unwrap_or_default();
            let size = self.number(size, 16)?;
            if size == 0 {
                while !self.line(&mut rest)?.is_empty() {}
                return Some(rest);
            }
            rest = rest.get(size..)?;
            if !self.line(&mut rest)?.is_empty() {
                return None;
            }
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// Authority and path of a target in absolute form, or only the path.
fn split_target(target: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = target.split_once("://") else { return (None, target) };
    if scheme.contains('/') {
        return (None, target);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (Some(authority), if path.is_empty() { "/" } else { path })
}
