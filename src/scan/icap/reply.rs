//! What an ICAP server answers (RFC 3507 §4), read as it arrives: its head, the heads encapsulated in it, and a body in
//! chunks of which only the sum is kept. Whatever arrives, it takes a bounded amount of memory.

use aws_lc_rs::digest::{Context, SHA256};

use super::super::Signature;

/// Of the answer itself.
const MAX_HEAD: usize = 16 * 1024;
/// Of the HTTP heads encapsulated in it.
const MAX_ENCAPSULATED: usize = 128 * 1024;
/// A chunk's length with its extensions, and a line behind the last chunk.
const MAX_LINE: usize = 1024;

/// What is not ICAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no answer of an ICAP server: {0}")]
pub struct Invalid(&'static str);

/// One answer, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    pub status: u16,
    /// The name of what was found, by one of the fields that scanners use for it.
    pub found: Option<Signature>,
    /// The status of the HTTP response inside; `None`: there is none, but perhaps a request.
    pub response: Option<u16>,
    pub has_request: bool,
    pub has_body: bool,
    /// The server closes after this answer.
    pub closes: bool,
    /// Of OPTIONS: bytes of a preview, methods, seconds that all this holds.
    pub preview: Option<usize>,
    pub methods: String,
    pub ttl_s: Option<u64>,
    pub service: Option<Signature>,
}

enum Place {
    Head,
    /// HTTP heads, so many bytes; where that of a response begins.
    Encapsulated {
        length: usize,
        response_at: Option<usize>,
    },
    ChunkSize,
    Chunk {
        left: u64,
    },
    ChunkEnd,
    Trailer,
    Done,
}

/// Reads one answer after another.
pub struct Reader {
    buffer: Vec<u8>,
    place: Place,
    reply: Reply,
    sum: Context,
    received: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            buffer: Vec::new(),
            place: Place::Head,
            reply: Reply::default(),
            sum: Context::new(&SHA256),
            received: 0,
        }
    }
}

impl Reader {
    /// The next bytes of the server's.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        self.buffer.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// The answer's head is known.
    pub fn has_head(&self) -> bool {
        !matches!(self.place, Place::Head)
    }

    pub fn is_done(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Bytes of the body that came back, and their sum (SHA-256).
    pub fn body(&self) -> (u64, [u8; 32]) {
        let mut sum = [0; 32];
        sum.copy_from_slice(self.sum.clone().finish().as_ref());
        (self.received, sum)
    }

    /// Takes an answer that is done, to read another.
    pub fn take(&mut self) -> Result<Reply, Invalid> {
        let buffer = std::mem::take(&mut self.buffer);
        let reply = std::mem::take(self).reply;
        self.push(&buffer)?;
        Ok(reply)
    }

    /// Whether there was something whole to read.
    fn step(&mut self) -> Result<bool, Invalid> {
        match self.place {
            Place::Head => {
                let Some(head) = take_to(&mut self.buffer, b"\r\n\r\n", MAX_HEAD, "a head without end")? else {
                    return Ok(false);
                };
                self.place = self.head(&head)?;
            }
            Place::Encapsulated { length, response_at } => {
                if self.buffer.len() < length {
                    return Ok(false);
                }
                let heads: Vec<u8> = self.buffer.drain(..length).collect();
                if let Some(at) = response_at {
                    self.reply.response = Some(http_status(&heads[at..])?);
                }
                self.place = if self.reply.has_body { Place::ChunkSize } else { Place::Done };
            }
            Place::ChunkSize => {
                let Some(line) = take_to(&mut self.buffer, b"\r\n", MAX_LINE, "a chunk's line without end")? else {
                    return Ok(false);
                };
                let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                let is_hex = !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let left = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex);
                let left = left.ok_or(Invalid("a chunk without length"))?;
                self.place = if left == 0 { Place::Trailer } else { Place::Chunk { left } };
            }
            Place::Chunk { left } => {
                if self.buffer.is_empty() {
                    return Ok(false);
                }
                let here = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.sum.update(&self.buffer[..here]);
                self.buffer.drain(..here);
                self.received += here as u64;
                let left = left - here as u64;
                self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk { left } };
            }
            Place::ChunkEnd => {
                if self.buffer.len() < 2 {
                    return Ok(false);
                }
                if !self.buffer.starts_with(b"\r\n") {
                    return Err(Invalid("a chunk longer than it says"));
                }
                self.buffer.drain(..2);
                self.place = Place::ChunkSize;
            }
            Place::Trailer => {
                let Some(line) = take_to(&mut self.buffer, b"\r\n", MAX_LINE, "a trailer without end")? else {
                    return Ok(false);
                };
                if line.is_empty() {
                    self.place = Place::Done;
                }
            }
            Place::Done => return Ok(false),
        }
        Ok(true)
    }

    fn head(&mut self, head: &[u8]) -> Result<Place, Invalid> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("ICAP/1.")).and_then(|rest| rest.get(2..5));
        let status = status.and_then(|digits| digits.parse::<u16>().ok()).filter(|status| (100..600).contains(status));
        self.reply.status = status.ok_or(Invalid("no status line"))?;
        let mut encapsulated = None;
        let mut violation = None;
        for line in lines {
            // A field that goes on in a next line: of what was violated, name by name.
            if line.starts_with([' ', '\t']) {
                violation = violation.map(|lines: u32| lines + 1);
                if violation == Some(2) && self.reply.found.is_none() {
                    self.reply.found = Some(Signature::new(line));
                }
                continue;
            }
            violation = None;
            let (name, value) = line.split_once(':').ok_or(Invalid("a field without colon"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "encapsulated" if encapsulated.is_some() => return Err(Invalid("two fields `Encapsulated`")),
                "encapsulated" => encapsulated = Some(Parts::parse(value)?),
                "x-infection-found" => self.reply.found = Some(threat(value)),
                "x-virus-id" if self.reply.found.is_none() => self.reply.found = Some(Signature::new(value)),
                "x-violations-found" => violation = Some(0),
                "connection" => self.reply.closes |= value.eq_ignore_ascii_case("close"),
                "preview" => self.reply.preview = value.parse().ok(),
                "methods" => self.reply.methods = value.to_owned(),
                "options-ttl" => self.reply.ttl_s = value.parse().ok(),
                "service" => self.reply.service = Some(Signature::new(value)),
                _ => {}
            }
        }
        let parts = encapsulated.unwrap_or_default();
        (self.reply.has_body, self.reply.has_request) = (parts.has_body, parts.has_request);
        // What says that there is nothing has nothing.
        if matches!(self.reply.status, 100 | 204) {
            return Ok(Place::Done);
        }
        Ok(Place::Encapsulated { length: parts.length, response_at: parts.response_at })
    }
}

/// What `Encapsulated` (RFC 3507 §4.4.1) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Parts {
    /// Of all heads together.
    length: usize,
    response_at: Option<usize>,
    has_request: bool,
    has_body: bool,
}

impl Parts {
    fn parse(value: &str) -> Result<Parts, Invalid> {
        const WRONG: Invalid = Invalid("a field `Encapsulated` that makes no sense");
        let mut parts = Parts::default();
        let mut ended = false;
        for part in value.split(',') {
            let (name, at) = part.trim().split_once('=').ok_or(WRONG)?;
            let at: usize = at.trim().parse().map_err(|_| WRONG)?;
            if ended || at < parts.length || at > MAX_ENCAPSULATED {
                return Err(WRONG);
            }
            parts.length = at;
            match name.trim().to_ascii_lowercase().as_str() {
                "req-hdr" => parts.has_request = true,
                "res-hdr" => parts.response_at = Some(at),
                "req-body" | "res-body" | "opt-body" => (ended, parts.has_body) = (true, true),
                "null-body" => ended = true,
                _ => return Err(WRONG),
            }
        }
        if ended { Ok(parts) } else { Err(WRONG) }
    }
}

/// Takes what stands before `end`, and `end`.
fn take_to(buffer: &mut Vec<u8>, end: &[u8], most: usize, wrong: &'static str) -> Result<Option<Vec<u8>>, Invalid> {
    match memchr::memmem::find(&buffer[..buffer.len().min(most + end.len())], end) {
        Some(at) => {
            let mut taken: Vec<u8> = buffer.drain(..at + end.len()).collect();
            taken.truncate(at);
            Ok(Some(taken))
        }
        None if buffer.len() >= most + end.len() => Err(Invalid(wrong)),
        None => Ok(None),
    }
}

/// `Type=0; Resolution=2; Threat=Eicar-Test;`
fn threat(value: &str) -> Signature {
    let named = value.split(';').find_map(|part| part.trim().strip_prefix("Threat="));
    Signature::new(named.unwrap_or(value))
}

fn http_status(head: &[u8]) -> Result<u16, Invalid> {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    status.ok_or(Invalid("a response inside without status line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = "ICAP/1.0 200 OK\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\n\
        X-Infection-Found: Type=0; Resolution=2; Threat=Essai.EICAR;\r\n\
        X-Violations-Found: 1\r\n\t-\r\n\tEssai.EICAR\r\n\t0\r\n\t0\r\n\
        Encapsulated: res-hdr=0, res-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n5\r\nvirus\r\n0\r\n\r\n";

    fn read(text: &str, cut: usize) -> Result<Reader, Invalid> {
        let mut reader = Reader::default();
        let (a, b) = text.as_bytes().split_at(cut);
        reader.push(a)?;
        reader.push(b)?;
        Ok(reader)
    }

    #[test]
    fn an_answer_is_the_same_wherever_it_is_cut() {
        for text in [
            FOUND,
            "ICAP/1.0 100 Continue\r\n\r\n",
            "ICAP/1.0 204 Unmodified\r\nEncapsulated: null-body=0\r\n\r\n",
            "ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nPreview: 1024\r\nOptions-TTL: 3600\r\nEncapsulated: null-body=0\r\n\r\n",
        ] {
            let whole = read(text, 0).unwrap();
            assert!(whole.is_done(), "{text}");
            for cut in 0..text.len() {
                let reader = read(text, cut).unwrap();
                assert!(reader.is_done() && reader.reply() == whole.reply() && reader.body() == whole.body());
                let mut early = Reader::default();
                early.push(&text.as_bytes()[..cut]).unwrap();
                assert!(!early.is_done(), "{cut} of {text}");
            }
        }
        let found = read(FOUND, 0).unwrap();
        assert_eq!(found.reply().found, Some(Signature::new("Essai.EICAR")));
        assert_eq!((found.reply().response, found.body().0), (Some(403), 5));
    }

    #[test]
    fn what_was_found_is_named_by_any_of_the_fields_in_use() {
        for (fields, name) in [
            ("X-Virus-ID: Trojan.X", "Trojan.X"),
            ("X-Violations-Found: 1\r\n\tfile.zip\r\n\tTrojan.Y\r\n\t1\r\n\t0", "Trojan.Y"),
            ("X-Infection-Found: something", "something"),
        ] {
            let reader = read(&format!("ICAP/1.0 200 OK\r\n{fields}\r\n\r\n"), 0).unwrap();
            assert_eq!(reader.reply().found, Some(Signature::new(name)), "{fields}");
        }
    }

    #[test]
    fn a_second_answer_begins_where_the_first_ended() {
        let mut reader = Reader::default();
        reader.push(b"ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 No").unwrap();
        assert_eq!(reader.take().unwrap().status, 100);
        assert!(!reader.is_done());
        reader.push(b"thing\r\n\r\n").unwrap();
        assert_eq!(reader.take().unwrap().status, 204);
    }

    #[test]
    fn what_is_no_icap_is_refused_and_nothing_grows_without_end() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "ICAP/1.0 xx\r\n\r\n",
            "ICAP/1.0 200 OK\r\nno colon\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=10, res-body=5\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0, res-hdr=5\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=999999999\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\nEncapsulated: null-body=0\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n-5\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n3\r\nabcdef",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=4\r\n\r\n\r\n\r\n",
        ] {
            assert!(read(text, 0).is_err(), "{text:?}");
        }
        for start in [
            "",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n0\r\n",
        ] {
            let mut reader = Reader::default();
            reader.push(start.as_bytes()).unwrap();
            assert!((0..1000).any(|_| reader.push(&[b'a'; 100]).is_err()), "{start:?}");
        }
    }
}
