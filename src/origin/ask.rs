//! Asking name servers for somebody else: one question, the whole answer, as it came.
//!
//! Who forges an answer must guess the transaction, our port and how the letters of the name are spelt. A server that
//! does not keep the spelling, or that cuts its answer short, is asked again over TCP, where nothing can be forged from
//! aside. A server that failed comes last for half a minute.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::Side;

/// Datagrams are lost: so many attempts share the time.
const TRIES: u32 = 3;
/// A server that failed is asked first again after this time.
const FAILING: Duration = Duration::from_secs(30);
/// DNS flag day 2020: what no network on the way cuts.
const DATAGRAM_MAX: u16 = 1232;
/// Servers whose failures are remembered; a school has a handful.
const REMEMBERED_MAX: usize = 64;
const HEADER: usize = 12;

/// A question about to be asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Name, type and class, in the spelling that the answer must repeat.
    pub section: Vec<u8>,
    pub dnssec: bool,
    pub unchecked: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the name servers did not answer in time")]
    TimedOut,
    #[error("no name server can be reached")]
    Unreachable,
}

impl AskError {
    pub fn side(self) -> Side {
        Side::Dependency
    }
}

/// What is remembered of the servers.
#[derive(Debug, Default)]
pub struct NameServers(Mutex<HashMap<SocketAddr, Instant>>);

impl NameServers {
    /// The answer of the first server that has one; of servers that all fail, what the last one said.
    pub async fn ask(&self, servers: &[SocketAddr], query: &Query, within: Duration) -> Result<Vec<u8>, AskError> {
        let deadline = Instant::now() + within;
        let order = self.ordered(servers);
        let mut said = None;
        let mut error = AskError::Unreachable;
        for server in order.iter().cycle().take(order.len().max(TRIES as usize)) {
            let until = deadline.min(Instant::now() + within / TRIES);
            match timeout_at(until, exchange(*server, query, until)).await {
                Ok(Ok(answer)) if !is_failure(&answer) => {
                    self.remember().remove(server);
                    return Ok(answer);
                }
                // It can be reached and cannot tell: another one perhaps can.
                Ok(Ok(answer)) if order.len() == 1 => return Ok(answer),
                Ok(Ok(answer)) => said = Some(answer),
                Ok(Err(_)) => self.failed(*server),
                Err(_) => {
                    self.failed(*server);
                    error = AskError::TimedOut;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        said.ok_or(error)
    }

    fn ordered(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let now = Instant::now();
        let failing = self.remember();
        let mut order = servers.to_vec();
        order.sort_by_key(|server| failing.get(server).is_some_and(|since| now < *since + FAILING));
        order
    }

    fn failed(&self, server: SocketAddr) {
        let mut failing = self.remember();
        if failing.len() >= REMEMBERED_MAX {
            failing.clear();
        }
        failing.insert(server, Instant::now());
    }

    fn remember(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By datagram; by stream where that is not enough.
async fn exchange(server: SocketAddr, query: &Query, until: Instant) -> io::Result<Vec<u8>> {
    let message = message(query)?;
    match by_datagram(server, query, &message).await? {
        Some(answer) => Ok(answer),
        None => timeout_at(until, by_stream(server, query, &message)).await?,
    }
}

/// `None`: it must be asked over TCP.
async fn by_datagram(server: SocketAddr, query: &Query, message: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A socket of its own for each question: its port is random. Connected, it hears of a closed port at once.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut answer = vec![0; 4096];
    loop {
        let n = socket.recv(&mut answer).await?;
        match reading(&answer[..n], query, message) {
            Reading::Answer => {
                answer.truncate(n);
                return Ok(Some(answer));
            }
            Reading::Cut | Reading::Respelt => return Ok(None),
            Reading::Foreign => {}
        }
    }
}

async fn by_stream(server: SocketAddr, query: &Query, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    match reading(&answer, query, message) {
        Reading::Answer | Reading::Respelt => Ok(answer),
        Reading::Cut | Reading::Foreign => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// How what came stands to what was asked.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Answer,
    /// TC: the rest did not fit.
    Cut,
    /// The same question with other letters: of a server that does not keep them, or of somebody who guesses.
    Respelt,
    /// Not an answer to this question.
    Foreign,
}

fn reading(answer: &[u8], query: &Query, message: &[u8]) -> Reading {
    let Some(header) = answer.get(..HEADER) else { return Reading::Foreign };
    let Some(section) = answer.get(HEADER..HEADER + query.section.len()) else { return Reading::Foreign };
    // Same transaction, an answer, to a query, with one question.
    if header[..2] != message[..2] || header[2] & 0xf8 != 0x80 || header[4..6] != [0, 1] {
        return Reading::Foreign;
    }
    match (section == query.section, section.eq_ignore_ascii_case(&query.section)) {
        (true, _) if header[2] & 0x02 != 0 => Reading::Cut,
        (true, _) => Reading::Answer,
        (false, true) => Reading::Respelt,
        (false, false) => Reading::Foreign,
    }
}

fn message(query: &Query) -> io::Result<Vec<u8>> {
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("no random numbers"))?;
    // RD and AD: ask others, and say whether it was verified (RFC 6840 §5.7).
    let flags = [0x01, 0x20 | u8::from(query.unchecked) << 4];
    let mut message = [id, flags, [0, 1], [0, 0], [0, 0], [0, 1]].concat();
    message.extend_from_slice(&query.section);
    // RFC 6891 §6.1.2: root, OPT, the size we take, no extended code, version 0, DO, no options.
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&DATAGRAM_MAX.to_be_bytes());
    message.extend_from_slice(&[0, 0, u8::from(query.dnssec) << 7, 0, 0, 0]);
    Ok(message)
}

/// SERVFAIL, NOTIMP, REFUSED.
fn is_failure(answer: &[u8]) -> bool {
    answer.get(3).is_none_or(|flags| matches!(flags & 15, 2 | 4 | 5))
}
