//! A name server of a few lines: every name under `.test` is on loopback, all others do not exist.
//!
//! `v6.<anything>.test` and `v6.test` have an IPv6 address only, `silent.test` is never answered, `gone.test` does not exist.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// Stops when dropped with its runtime.
#[derive(Debug, Clone)]
pub struct NameServer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let server = NameServer { address, asked: Arc::default() };
        let asked = server.asked.clone();
        ecluse::tasks::spawn("name server", async move {
            let mut buffer = [0; 1500];
            while let Ok((n, client)) = socket.recv_from(&mut buffer).await {
                let Some(question) = Question::parse(&buffer[..n]) else { continue };
                asked.lock().expect("no panic").push((question.name.clone(), question.kind));
                if let Some(answer) = question.answer() {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        server
    }

    /// How often an address of `name` was asked for (A records).
    pub fn times_asked(&self, name: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|(n, kind)| n == name && *kind == TYPE_A).count()
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

    fn answer(&self) -> Option<Vec<u8>> {
        if self.name == "silent.test" {
            return None;
        }
        let exists = self.name.ends_with(".test") && self.name != "gone.test";
        let v6_only = self.name.starts_with("v6.");
        let data: &[u8] = match self.kind {
            TYPE_A if exists && !v6_only => &[127, 0, 0, 1],
            TYPE_AAAA if exists && v6_only => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            _ => &[],
        };
        let count = u8::from(!data.is_empty());
        // QR, RD, RA; NXDOMAIN = 3.
        let code = if exists { 0x80 } else { 0x83 };
        let mut out = vec![self.id[0], self.id[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0];
        out.extend_from_slice(self.section);
        if count == 1 {
            out.extend_from_slice(&[0xc0, 12]); // the name of the question
            out.extend_from_slice(&self.kind.to_be_bytes());
            out.extend_from_slice(&[0, 1, 0, 0, 1, 44]); // IN, 300 s
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        Some(out)
    }
}
