//! A name server of a few lines: every name under `.test` is on loopback, all others do not exist.
//!
//! `v6.<anything>.test` and `v6.test` have an IPv6 address only, `silent.test` is never answered, `gone.test` does not exist.
//! A test gives other names the answers it wants: [`NameServer::answers`] for addresses, [`NameServer::tells`] for any
//! record. What is longer than 1232 bytes is cut and told over TCP.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// Stops when dropped with its runtime.
#[derive(Debug, Clone)]
pub struct NameServer {
    pub address: SocketAddr,
    book: Arc<Book>,
}

/// What it says, and what it was asked.
#[derive(Debug, Default)]
struct Book {
    asked: Mutex<Vec<Asked>>,
    written: Mutex<Written>,
    told: Mutex<HashMap<(String, u16), Vec<Told>>>,
    /// Answers name the question in small letters, whatever came.
    forgets_spelling: AtomicBool,
}

/// One question, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub name: String,
    pub kind: u16,
    /// With the letters as they were spelt.
    pub spelt: String,
    pub over_tcp: bool,
}

/// A record about the name that was asked for: type, time to live, data.
pub type Told = (u16, u32, Vec<u8>);

/// By name and kind: what is answered, one answer after the other; the last one stays.
type Written = HashMap<(String, u16), VecDeque<Vec<IpAddr>>>;

impl NameServer {
    pub async fn start() -> Self {
        NameServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Where resolvers look that know one port only.
    pub async fn start_at(address: SocketAddr) -> Self {
        let (socket, streams) = loop {
            let socket = UdpSocket::bind(address).await.expect("a free port");
            let address = socket.local_addr().expect("a bound socket has an address");
            if let Ok(streams) = TcpListener::bind(address).await {
                break (socket, streams);
            }
        };
        let address = socket.local_addr().expect("a bound socket has an address");
        let server = NameServer { address, book: Arc::default() };
        let book = server.book.clone();
        ecluse::tasks::spawn("name server", async move {
            let mut buffer = [0; 1500];
            while let Ok((n, client)) = socket.recv_from(&mut buffer).await {
                if let Some(mut answer) = book.answer(&buffer[..n], false) {
                    if answer.len() > 1232 {
                        // TC, and nothing but the question.
                        answer.truncate(Question::parse(&answer).expect("our own answer").section.len() + 12);
                        answer[2] |= 2;
                        answer[6..12].fill(0);
                    }
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        let book = server.book.clone();
        ecluse::tasks::spawn("name server, streams", async move {
            while let Ok((stream, _)) = streams.accept().await {
                ecluse::tasks::spawn("name server, stream", serve_stream(stream, book.clone()));
            }
        });
        server
    }

    /// From now on a question of this kind for a name is answered with these records, said to be verified.
    pub fn tells(&self, name: &str, kind: u16, records: Vec<Told>) {
        self.book.told.lock().expect("no panic").insert((name.to_owned(), kind), records);
    }

    pub fn forgets_spelling(&self) {
        self.book.forgets_spelling.store(true, Ordering::Relaxed);
    }

    /// Every question about a name so far.
    pub fn questions(&self, name: &str) -> Vec<Asked> {
        self.book.asked.lock().expect("no panic").iter().filter(|asked| asked.name == name).cloned().collect()
    }

    /// From now on a name has these addresses, as it is asked for the first time, the second…; no answer may be kept.
    pub fn answers(&self, name: &str, one_after_the_other: &[&[&str]]) {
        let mut written = self.book.written.lock().expect("no panic");
        for (kind, v6) in [(TYPE_A, false), (TYPE_AAAA, true)] {
            let of_kind = |texts: &&[&str]| -> Vec<IpAddr> {
                texts
                    .iter()
                    .map(|text| text.parse().expect("an address"))
                    .filter(|ip: &IpAddr| ip.is_ipv6() == v6)
                    .collect()
            };
            written.insert((name.to_owned(), kind), one_after_the_other.iter().map(of_kind).collect());
        }
    }

    /// How often an address of `name` was asked for (A records).
    pub fn times_asked(&self, name: &str) -> usize {
        self.questions(name).iter().filter(|asked| asked.kind == TYPE_A).count()
    }
}

async fn serve_stream(mut stream: TcpStream, book: Arc<Book>) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        let Some(answer) = book.answer(&message, true) else { return };
        let length = u16::try_from(answer.len()).expect("a message is below 64 KiB");
        let _ = stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await;
    }
}

impl Book {
    fn answer(&self, message: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let question = Question::parse(message)?;
        let (name, kind, spelt) = (question.name.clone(), question.kind, question.spelt());
        self.asked.lock().expect("no panic").push(Asked { name, kind, spelt, over_tcp });
        let mut answer = match (self.told(&question), self.next_answer(&question)) {
            (Some(records), _) => question.answer_of(&records),
            // Nobody may keep it: the next may be another.
            (None, Some(addresses)) => question.answer_with(&addresses, 0),
            (None, None) => question.answer()?,
        };
        if self.forgets_spelling.load(Ordering::Relaxed) && !over_tcp {
            let end = 12 + question.section.len() - 4;
            answer[12..end].make_ascii_lowercase();
        }
        Some(answer)
    }

    fn told(&self, question: &Question<'_>) -> Option<Vec<Told>> {
        self.told.lock().expect("no panic").get(&(question.name.clone(), question.kind)).cloned()
    }

    fn next_answer(&self, question: &Question<'_>) -> Option<Vec<IpAddr>> {
        let mut written = self.written.lock().expect("no panic");
        let answers = written.get_mut(&(question.name.clone(), question.kind))?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}

struct Question<'a> {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// The question section as it came.
    section: &'a [u8],
}

impl<'a> Question<'a> {
    /// RFC 1035 §4.1: one question, no compression in it.
    fn parse(message: &'a [u8]) -> Option<Self> {
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*message.get(at)?);
            if length == 0 {
                break;
            }
            let label = message.get(at + 1..at + 1 + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += 1 + length;
        }
        let kind = u16::from_be_bytes(message.get(at + 1..at + 3)?.try_into().ok()?);
        let section = message.get(12..at + 5)?;
        Some(Question { id: message[..2].try_into().ok()?, name: labels.join("."), kind, section })
    }

    /// The name with the letters as they came.
    fn spelt(&self) -> String {
        self.section[1..self.section.len() - 5].iter().map(|b| if *b < 32 { '.' } else { char::from(*b) }).collect()
    }

    fn answer(&self) -> Option<Vec<u8>> {
        if self.name == "silent.test" {
            return None;
        }
        let exists = self.name.ends_with(".test") && self.name != "gone.test";
        let v6_only = self.name.starts_with("v6.");
        let addresses: &[IpAddr] = match self.kind {
            TYPE_A if exists && !v6_only => &[IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)],
            TYPE_AAAA if exists && v6_only => &[IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)],
            _ => &[],
        };
        let mut answer = self.answer_with(addresses, 300);
        if !exists {
            answer[3] |= 3; // NXDOMAIN
        }
        Some(answer)
    }

    fn answer_with(&self, addresses: &[IpAddr], seconds: u32) -> Vec<u8> {
        let record = |address: &IpAddr| match address {
            IpAddr::V4(v4) => (self.kind, seconds, v4.octets().to_vec()),
            IpAddr::V6(v6) => (self.kind, seconds, v6.octets().to_vec()),
        };
        let mut out = self.answer_of(&addresses.iter().map(record).collect::<Vec<_>>());
        out[3] &= !0x20;
        out
    }

    fn answer_of(&self, records: &[Told]) -> Vec<u8> {
        let [high, low] = u16::try_from(records.len()).expect("few records").to_be_bytes();
        // QR, RD, RA, AD.
        let mut out = vec![self.id[0], self.id[1], 0x81, 0xa0, 0, 1, high, low, 0, 0, 0, 0];
        out.extend_from_slice(self.section);
        for (kind, seconds, data) in records {
            out.extend_from_slice(&[0xc0, 12]); // the name of the question
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&[0, 1]); // IN
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }
}
