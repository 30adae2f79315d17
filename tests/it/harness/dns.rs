//! A name server of a few lines: every name under `.test` is on loopback, all others do not exist.
//!
//! `v6.<anything>.test` and `v6.test` have an IPv6 address only, `silent.test` is never answered, `gone.test` does not exist.
//! A test gives other names the answers it wants: [`NameServer::answers`].

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// Stops when dropped with its runtime.
#[derive(Debug, Clone)]
pub struct NameServer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    written: Arc<Mutex<Written>>,
}

/// By name and kind: what is answered, one answer after the other; the last one stays.
type Written = HashMap<(String, u16), VecDeque<Vec<IpAddr>>>;

impl NameServer {
    pub async fn start() -> Self {
        NameServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Where resolvers look that know one port only.
    pub async fn start_at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let server = NameServer { address, asked: Arc::default(), written: Arc::default() };
        let (asked, written) = (server.asked.clone(), server.written.clone());
        ecluse::tasks::spawn("name server", async move {
            let mut buffer = [0; 1500];
            while let Ok((n, client)) = socket.recv_from(&mut buffer).await {
                let Some(question) = Question::parse(&buffer[..n]) else { continue };
                asked.lock().expect("no panic").push((question.name.clone(), question.kind));
                let answer = match next_answer(&written, &question) {
                    // Nobody may keep it: the next may be another.
                    Some(addresses) => Some(question.answer_with(&addresses, 0)),
                    None => question.answer(),
                };
                if let Some(answer) = answer {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        server
    }

    /// From now on a name has these addresses, as it is asked for the first time, the second…; no answer may be kept.
    pub fn answers(&self, name: &str, one_after_the_other: &[&[&str]]) {
        let mut written = self.written.lock().expect("no panic");
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
        self.asked.lock().expect("no panic").iter().filter(|(n, kind)| n == name && *kind == TYPE_A).count()
    }
}

fn next_answer(written: &Mutex<Written>, question: &Question<'_>) -> Option<Vec<IpAddr>> {
    let mut written = written.lock().expect("no panic");
    let answers = written.get_mut(&(question.name.clone(), question.kind))?;
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
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
        let count = u8::try_from(addresses.len()).expect("few addresses");
        // QR, RD, RA.
        let mut out = vec![self.id[0], self.id[1], 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
        out.extend_from_slice(self.section);
        for address in addresses {
            let data = match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            out.extend_from_slice(&[0xc0, 12]); // the name of the question
            out.extend_from_slice(&self.kind.to_be_bytes());
            out.extend_from_slice(&[0, 1]); // IN
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
        }
        out
    }
}
