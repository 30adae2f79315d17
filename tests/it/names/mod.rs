//! The DNS guard, as devices of the school ask it: `dig` and raw datagrams on one side, a name server on the other.

mod hostile;
mod limits;
mod rewriting;
mod rules;

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::harness::dig::{Dug, dig};
use crate::harness::school::School;
use crate::harness::site::{PUPIL, Site, TEACHER, free_port};
use crate::harness::tool;

pub const A: u16 = 1;
pub const RRSIG: u16 = 46;
pub const HTTPS: u16 = 65;

/// A school whose gateway answers names.
pub struct Guarded {
    pub school: School,
    pub door: SocketAddr,
}

impl Guarded {
    /// `None`: `dig` is missing, which was said loudly.
    pub async fn open() -> Option<Guarded> {
        Guarded::open_with("", |_| {}).await
    }

    /// `keys` are more lines of `[dns]`.
    pub async fn open_with(keys: &str, change: impl FnOnce(&mut Site)) -> Option<Guarded> {
        tool("dig")?;
        let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let school = School::open_with(|site| {
            site.set("listen", &format!("dns = [\"{door}\"]"));
            // Every name under `.test` is on loopback.
            site.set("dns", &format!("private_names = [\"test\"]\n{keys}"));
            change(site);
        })
        .await;
        Some(Guarded { school, door })
    }

    pub async fn pupil(&self, question: &str) -> Dug {
        dig(self.door, PUPIL, question).await
    }

    pub async fn teacher(&self, question: &str) -> Dug {
        dig(self.door, TEACHER, question).await
    }

    /// How often an address of a name was asked of the name server.
    pub fn times_asked(&self, name: &str) -> usize {
        self.school.names.times_asked(name)
    }
}

/// A question for an A record, as any stub resolver writes it.
pub fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// A socket of a device that asks the gateway.
pub async fn device(address: &str, door: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    socket.connect(door).await.unwrap();
    socket
}
