//! A service that speaks ICAP (RFC 3507): REQMOD for what clients send, RESPMOD for what origins answer.
//!
//! What the service can do is asked by OPTIONS and kept as long as it says. A body begins with a preview where the service
//! wants one; 204 is offered inside and outside of it (`Allow: 204`). What the service sends back is read while we write, so
//! that neither side waits for the other.
//!
//! We take verdicts, not pages: 204 is clean, and so is a message that comes back as it was sent. One that comes back
//! otherwise is refused, under the name that the service gives (`X-Infection-Found` and the like). The service is told the
//! method, the URL without its query, the type and the bytes: neither cookies nor credentials, nor who the client is.

mod reply;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Buf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Fault, Signature, Subject, Verdict, Waits};
pub use reply::{Invalid, Reader, Reply};

/// A larger preview is no preview.
const MAX_PREVIEW: usize = 64 * 1024;
/// What a service says of itself holds no longer, whatever it says.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// Bytes of one read.
const READ: usize = 16 * 1024;

/// `icap://host:port/service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcapAddress {
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// With its first slash.
    pub service: String,
}

impl IcapAddress {
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl std::fmt::Display for IcapAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "icap://{}{}", self.authority(), self.service)
    }
}

/// What a service says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes that it wants to see first; `None`: no preview.
    pub preview: Option<usize>,
    pub methods: String,
    pub service: Option<Signature>,
}

/// A service, and what it has said of itself.
#[derive(Debug)]
pub struct Icap {
    pub address: IcapAddress,
    known: Mutex<Option<(Options, Instant)>>,
}

impl Icap {
    pub fn new(address: IcapAddress) -> Self {
        Icap { address, known: Mutex::default() }
    }

    /// Asks what it can do.
    pub async fn options(&self, waits: Waits) -> Result<Options, Fault> {
        let mut line = Line::open(&self.address, waits).await?;
        let (options, _) = self.ask(&mut line).await?;
        Ok(options)
    }

    /// Whether the connection still serves after it.
    async fn ask(&self, line: &mut Line) -> Result<(Options, bool), Fault> {
        let head = format!(
            "OPTIONS {} ICAP/1.0\r\nHost: {}\r\nEncapsulated: null-body=0\r\n\r\n",
            self.address,
            self.address.authority()
        );
        line.write(&mut head.as_bytes()).await?;
        let reply = line.answer().await?;
        if reply.status != 200 {
            return Err(refusal(&reply));
        }
        let preview = reply.preview.map(|bytes| bytes.min(MAX_PREVIEW));
        let options = Options { preview, methods: reply.methods, service: reply.service };
        let ttl = reply.ttl_s.map_or(MAX_TTL, Duration::from_secs).min(MAX_TTL);
        let until = Instant::now() + ttl;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((options.clone(), until));
        Ok((options, !reply.closes))
    }

    /// Begins to send a message.
    pub async fn begin(&self, subject: &Subject, waits: Waits) -> Result<Transaction, Fault> {
        let mut line = Line::open(&self.address, waits).await?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let options = match known.filter(|(_, until)| Instant::now() < *until) {
            Some((options, _)) => options,
            None => {
                let (options, serves) = self.ask(&mut line).await?;
                if !serves {
                    line = Line::open(&self.address, waits).await?;
                }
                options
            }
        };
        let mut transaction = Transaction {
            line,
            status: subject.status,
            sent: 0,
            sum: Context::new(&SHA256),
            preview: options.preview.map(|limit| Preview { limit, held: Vec::new() }),
        };
        let head = self.head(subject, options.preview);
        if let Some(early) = transaction.line.write(&mut head.as_bytes()).await? {
            return Err(refusal(&early));
        }
        Ok(transaction)
    }

    fn head(&self, subject: &Subject, preview: Option<usize>) -> String {
        let host = subject.url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let request = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", subject.method, subject.url);
        let kind = subject.content_type.as_ref().map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
        let (method, heads, body) = match subject.status {
            Some(status) => {
                let request = request + "\r\n";
                let response = format!("HTTP/1.1 {status} \r\n{kind}\r\n");
                let at = request.len();
                let places = format!("req-hdr=0, res-hdr={at}, res-body={}", at + response.len());
                ("RESPMOD", request + &response, places)
            }
            None => {
                let request = format!("{request}{kind}\r\n");
                let places = format!("req-hdr=0, req-body={}", request.len());
                ("REQMOD", request, places)
            }
        };
        let preview = preview.map_or_else(String::new, |bytes| format!("Preview: {bytes}\r\n"));
        format!(
            "{method} {} ICAP/1.0\r\nHost: {}\r\nAllow: 204\r\n{preview}Encapsulated: {body}\r\n\r\n{heads}",
            self.address,
            self.address.authority()
        )
    }
}

/// The beginning of a body, until the service has seen it.
struct Preview {
    limit: usize,
    held: Vec<u8>,
}

/// One message on its way.
pub struct Transaction {
    line: Line,
    /// Of the response that is sent; `None`: it is a request.
    status: Option<u16>,
    sent: u64,
    sum: Context,
    preview: Option<Preview>,
}

impl Transaction {
    /// Sends the next bytes. `Some`: there is an answer already.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<Option<Verdict>, Fault> {
        self.sum.update(bytes);
        self.sent += bytes.len() as u64;
        let Some(preview) = &mut self.preview else { return self.chunk(bytes).await };
        let room = preview.limit - preview.held.len();
        if bytes.len() <= room {
            // Whether this is all of it, the next bytes will tell.
            preview.held.extend_from_slice(bytes);
            return Ok(None);
        }
        preview.held.extend_from_slice(&bytes[..room]);
        let held = std::mem::take(&mut preview.held);
        self.preview = None;
        let mut first = chunk_of(&held);
        first.extend_from_slice(b"0\r\n\r\n");
        let early = self.line.write(&mut &first[..]).await?;
        let reply = match early {
            Some(reply) => reply,
            None => self.line.answer().await?,
        };
        match reply.status {
            100 => self.chunk(&bytes[room..]).await,
            _ => self.verdict(&reply).map(Some),
        }
    }

    /// There is no more.
    pub async fn finish(mut self) -> Result<Verdict, Fault> {
        let end = match self.preview.take() {
            Some(preview) => {
                let mut end = chunk_of(&preview.held);
                end.extend_from_slice(b"0; ieof\r\n\r\n");
                end
            }
            None => b"0\r\n\r\n".to_vec(),
        };
        let reply = match self.line.write(&mut &end[..]).await? {
            Some(reply) => reply,
            None => self.line.answer().await?,
        };
        self.verdict(&reply)
    }

    async fn chunk(&mut self, bytes: &[u8]) -> Result<Option<Verdict>, Fault> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let head = format!("{:x}\r\n", bytes.len());
        let mut chunk = Buf::chain(Buf::chain(head.as_bytes(), bytes), &b"\r\n"[..]);
        match self.line.write(&mut chunk).await? {
            Some(reply) => self.verdict(&reply).map(Some),
            None => Ok(None),
        }
    }

    fn verdict(&self, reply: &Reply) -> Result<Verdict, Fault> {
        match (reply.status, &reply.found) {
            (204, _) => Ok(Verdict::Clean),
            (200, Some(name)) => Ok(super::of_signature(name.clone())),
            (200, None) => {
                let mut sum = [0; 32];
                sum.copy_from_slice(self.sum.clone().finish().as_ref());
                let same_kind = reply.response == self.status && (reply.has_body || self.sent == 0);
                if same_kind && self.line.reader.body() == (self.sent, sum) {
                    return Ok(Verdict::Clean);
                }
                Ok(Verdict::Found(Signature::new("refused or changed by the ICAP service")))
            }
            _ => Err(refusal(reply)),
        }
    }
}

fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(bytes.len() + 32);
    if !bytes.is_empty() {
        chunk.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
    }
    chunk
}

/// RFC 3507 §4.3.3.
fn refusal(reply: &Reply) -> Fault {
    match reply.status {
        404 => Fault::Failed("there is no such ICAP service (404)".to_owned()),
        status @ 400..600 => Fault::Failed(format!("ICAP status {status}")),
        status => Fault::Invalid(format!("ICAP status {status} in the wrong place")),
    }
}

/// A connection to the service.
struct Line {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    reader: Reader,
    waits: Waits,
}

impl Line {
    async fn open(address: &IcapAddress, waits: Waits) -> Result<Self, Fault> {
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = match tokio::time::timeout(waits.connect, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault::Unreachable(error.to_string())),
            Err(_) => return Err(Fault::TimedOut),
        };
        let _ = stream.set_nodelay(true);
        let (from, to) = stream.into_split();
        Ok(Line { from, to, reader: Reader::default(), waits })
    }

    /// Writes, and reads what comes meanwhile. `Some`: an answer is whole, or clear from its head.
    async fn write(&mut self, bytes: &mut (impl Buf + Send)) -> Result<Option<Reply>, Fault> {
        let Line { from, to, reader, waits } = self;
        let mut buffer = Vec::with_capacity(READ);
        let writing = async {
            while bytes.has_remaining() {
                buffer.clear();
                tokio::select! {
                    biased;
                    read = from.read_buf(&mut buffer) => match read {
                        Ok(0) => return Err(Fault::HungUp),
                        Ok(_) => {
                            reader.push(&buffer).map_err(invalid)?;
                            if let Some(reply) = decided(reader)? {
                                return Ok(Some(reply));
                            }
                        }
                        Err(error) => return Err(Fault::Unreachable(error.to_string())),
                    },
                    written = to.write_buf(bytes) => if written.is_err() {
                        // It takes no more: what it says, or that it has gone, is for who reads on.
                        return Ok(None);
                    },
                }
            }
            Ok(None)
        };
        tokio::time::timeout(waits.verdict, writing).await.map_err(|_| Fault::TimedOut)?
    }

    /// Reads an answer to its end, or to where it is clear.
    async fn answer(&mut self) -> Result<Reply, Fault> {
        let Line { from, reader, waits, .. } = self;
        let reading = async {
            let mut buffer = Vec::with_capacity(READ);
            loop {
                if let Some(reply) = decided(reader)? {
                    return Ok(reply);
                }
                buffer.clear();
                match from.read_buf(&mut buffer).await {
                    Ok(0) => return Err(Fault::HungUp),
                    Ok(_) => reader.push(&buffer).map_err(invalid)?,
                    Err(error) => return Err(Fault::Unreachable(error.to_string())),
                }
            }
        };
        tokio::time::timeout(waits.verdict, reading).await.map_err(|_| Fault::TimedOut)?
    }
}

/// An answer that needs no more reading: it is whole, it says that nothing is to be changed, or it names what was found.
fn decided(reader: &mut Reader) -> Result<Option<Reply>, Fault> {
    let reply = reader.reply();
    if reader.is_done() && !reply.has_body {
        // Another may follow: the one after a preview.
        return reader.take().map(Some).map_err(invalid);
    }
    let clear = reader.has_head() && (reply.found.is_some() || !matches!(reply.status, 100 | 200));
    Ok((reader.is_done() || clear).then(|| reply.clone()))
}

fn invalid(error: Invalid) -> Fault {
    Fault::Invalid(error.to_string())
}
