//! One HTTP/1 response, read byte by byte by a reader that trusts nobody.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A response as it came over the wire.
#[derive(Debug, Clone)]
pub struct Reply {
    pub version: String,
    pub status: u16,
    /// In order, as spelt.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body was whole, by its length, its last chunk, or the closing where nothing else delimits.
    pub whole: bool,
}

/// A response whose body is not read yet.
#[derive(Debug)]
pub struct Head {
    pub version: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Bytes after the head that came along with it.
    pub rest: Vec<u8>,
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }
}

/// Splits a head, without its empty line, into first line and fields.
pub fn parse_head(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some((first, headers))
}

/// Reads up to the empty line. `None`: the other side closed before the first byte.
pub async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, mut buffer: Vec<u8>) -> Option<Head> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap_or(0);
        if n == 0 {
            assert!(buffer.is_empty(), "closed in the middle of a head: {:?}", String::from_utf8_lossy(&buffer));
            return None;
        }
        buffer.extend_from_slice(&chunk[..n]);
    };
    let rest = buffer.split_off(end + 4);
    let text = String::from_utf8(buffer[..end].to_vec()).expect("a head is text");
    let (first, headers) = parse_head(&text).unwrap_or_else(|| panic!("this is no head: {text:?}"));
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or_default().to_owned();
    assert!(version.starts_with("HTTP/1."), "this is no status line: {first:?}");
    let status = words.next().and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("no status: {first:?}"));
    Some(Head { version, status, headers, rest })
}

/// Reads a whole response to a `method` request; returns it with the bytes that follow it.
pub async fn read_reply<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: Vec<u8>,
    method: &str,
) -> Option<(Reply, Vec<u8>)> {
    let head = read_head(stream, buffer).await?;
    Some(finish(stream, head, method).await)
}

/// Reads the body of a response whose head is known.
pub async fn finish<S: AsyncRead + Unpin>(stream: &mut S, head: Head, method: &str) -> (Reply, Vec<u8>) {
    let mut source = Source { stream, buffer: head.rest, ended: false };
    let no_body = method == "HEAD"
        || head.status < 200
        || matches!(head.status, 204 | 304)
        || (method == "CONNECT" && head.status == 200);
    let length = header(&head.headers, "content-length").map(|v| v.parse::<usize>().expect("a length is a number"));
    let chunked = header(&head.headers, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    assert!(!(chunked && length.is_some()), "a length and chunks at once: {:?}", head.headers);
    let (body, whole) = if no_body {
        (Vec::new(), true)
    } else if chunked {
        source.chunks().await
    } else if let Some(length) = length {
        let body = source.take(length).await;
        let whole = body.len() == length;
        (body, whole)
    } else {
        source.fill(usize::MAX).await;
        (std::mem::take(&mut source.buffer), true)
    };
    let rest = source.buffer;
    (Reply { version: head.version, status: head.status, headers: head.headers, body, whole }, rest)
}

/// The stream with what was already read of it.
struct Source<'a, S> {
    stream: &'a mut S,
    buffer: Vec<u8>,
    ended: bool,
}

impl<S: AsyncRead + Unpin> Source<'_, S> {
    /// Reads until `n` bytes are there or the stream ends; a reset is an end.
    async fn fill(&mut self, n: usize) {
        let mut chunk = vec![0; 64 * 1024];
        while self.buffer.len() < n && !self.ended {
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => self.ended = true,
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
            }
        }
    }

    async fn take(&mut self, n: usize) -> Vec<u8> {
        self.fill(n).await;
        let rest = self.buffer.split_off(n.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn line(&mut self) -> Option<String> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer[from..].windows(2).position(|w| w == b"\r\n") {
                let line = self.take(from + at).await;
                self.take(2).await;
                return String::from_utf8(line).ok();
            }
            from = self.buffer.len().saturating_sub(1);
            let have = self.buffer.len();
            self.fill(have + 1).await;
            if self.buffer.len() == have {
                return None;
            }
        }
    }

    async fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line().await else { return (body, false) };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
            if size == 0 {
                // Trailers, up to the empty line.
                loop {
                    match self.line().await {
                        Some(line) if line.is_empty() => return (body, true),
                        Some(_) => {}
                        None => return (body, false),
                    }
                }
            }
            let part = self.take(size).await;
            let short = part.len() < size;
            body.extend_from_slice(&part);
            if short || self.take(2).await != b"\r\n" {
                return (body, false);
            }
        }
    }
}
