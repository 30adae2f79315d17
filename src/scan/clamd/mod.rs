//! clamd, over a Unix socket or TCP: one connection and one INSTREAM for each body (clamd(8)).
//!
//! `zINSTREAM\0`, then chunks (a length of four bytes, most significant first, and so many bytes), then a length of zero;
//! clamd answers once. It may answer before the end (its own limit of size) and closes then, so the answer is listened for
//! while chunks are written. clamd keeps what it is sent in its own `TemporaryDirectory`; nothing is kept here.

pub mod conf;
pub mod reply;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};

use super::{Fault, Waits};
use reply::{MAX_REPLY, Reply};

/// clamd reads a chunk whole before it looks at the next.
const CHUNK: usize = 256 * 1024;

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClamdAddress {
    Unix(PathBuf),
    Tcp(String, u16),
}

/// A connection of either kind.
trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for T {}

/// One body on its way to clamd.
pub struct Instream {
    from: ReadHalf<Box<dyn Socket>>,
    to: WriteHalf<Box<dyn Socket>>,
    /// What was read of its answer.
    reply: Vec<u8>,
    waits: Waits,
}

impl Instream {
    pub async fn open(address: &ClamdAddress, waits: Waits) -> Result<Self, Fault> {
        let socket = match tokio::time::timeout(waits.connect, connect(address)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(Fault::Unreachable(error.to_string())),
            Err(_) => return Err(Fault::TimedOut),
        };
        let (from, to) = tokio::io::split(socket);
        let mut this = Instream { from, to, reply: Vec::new(), waits };
        match this.write(&mut &b"zINSTREAM\0"[..]).await? {
            None => Ok(this),
            Some(early) => Err(Fault::Invalid(format!("{early:?} before anything was sent"))),
        }
    }

    /// Sends the next bytes. `Some`: clamd has its answer already, and takes no more.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<Option<Reply>, Fault> {
        for chunk in bytes.chunks(CHUNK) {
            let length = (chunk.len() as u32).to_be_bytes();
            if let Some(early) = self.write(&mut Buf::chain(&length[..], chunk)).await? {
                return Ok(Some(early));
            }
        }
        Ok(None)
    }

    /// All of it was sent: what clamd says.
    pub async fn finish(mut self) -> Result<Reply, Fault> {
        match self.write(&mut &0_u32.to_be_bytes()[..]).await? {
            Some(early) => Ok(early),
            None => self.answer(self.waits.verdict).await,
        }
    }

    /// Writes, and listens meanwhile.
    async fn write(&mut self, bytes: &mut (impl Buf + Send)) -> Result<Option<Reply>, Fault> {
        let Instream { from, to, reply, waits } = self;
        let written = async {
            tokio::select! {
                biased;
                written = to.write_all_buf(bytes) => written.map(|()| false),
                read = from.read_buf(reply) => read.map(|_| true),
            }
        };
        match tokio::time::timeout(waits.verdict, written).await {
            Ok(Ok(false)) => Ok(None),
            // It speaks, or has gone: what it said last is there to be read.
            Ok(Ok(true) | Err(_)) => self.answer(self.waits.connect).await.map(Some),
            Err(_) => Err(Fault::TimedOut),
        }
    }

    /// Reads to the zero byte that ends an answer, or to the end.
    async fn answer(&mut self, within: Duration) -> Result<Reply, Fault> {
        let Instream { from, reply, .. } = self;
        let read = async {
            while !reply.contains(&0) && reply.len() <= MAX_REPLY {
                match from.read_buf(reply).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(within, read).await.map_err(|_| Fault::TimedOut)?;
        if reply.is_empty() {
            return Err(Fault::HungUp);
        }
        reply::parse(reply).map_err(|error| Fault::Invalid(error.to_string()))
    }
}

async fn connect(address: &ClamdAddress) -> std::io::Result<Box<dyn Socket>> {
    Ok(match address {
        ClamdAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
        ClamdAddress::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

/// Whether clamd would take a body of so many bytes. It compares the length of a chunk with what is left of its
/// `StreamMaxLength` before it reads it: only the length is sent, and an answer within `patience` is a refusal.
pub async fn takes_at_once(
    address: &ClamdAddress,
    bytes: u64,
    waits: Waits,
    patience: Duration,
) -> Result<bool, Fault> {
    let mut session = Instream::open(address, waits).await?;
    let length = u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(Reply::OverLimit) = session.write(&mut &length[..]).await? {
        return Ok(false);
    }
    match session.answer(patience).await {
        Ok(Reply::OverLimit) => Ok(false),
        Err(Fault::TimedOut) => Ok(true),
        Ok(other) => Err(Fault::Invalid(format!("{other:?}"))),
        Err(fault) => Err(fault),
    }
}
