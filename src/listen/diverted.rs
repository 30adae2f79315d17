//! A door for datagrams that clients meant for somebody else (TPROXY): each with the address that its client dialled,
//! and answers that leave from there.
//!
//! Answers leave by the very socket that took the question, so its port is the one that clients dial: what came to
//! another port could not be answered, and is not taken. An `IP_PKTINFO` source that is not ours takes no capability once
//! the socket is transparent (ip(7), ipv6(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::bind::{self, BindError};
use super::inherited::Inherited;

/// The longest datagram there is (RFC 768).
const DATAGRAM_MAX: usize = 65_535;

/// An open door on one address and port.
#[derive(Debug)]
pub struct DivertedDoor {
    socket: UdpSocket,
    local: SocketAddr,
}

/// A datagram that the network brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diverted<'a> {
    pub bytes: &'a [u8],
    pub client: SocketAddr,
    /// Where the client sent it.
    pub dialled: SocketAddr,
}

/// Where datagrams are received into, one after the other.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    control: Vec<u8>,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { bytes: vec![0; DATAGRAM_MAX], control: nix::cmsg_space!(nix::libc::sockaddr_in6) }
    }
}

impl DivertedDoor {
    /// Opens it, by a socket that the service manager has opened where there is one for this address; needs a runtime.
    pub fn open(address: SocketAddr, inherited: &mut Inherited) -> Result<DivertedDoor, BindError> {
        let socket = bind::bind_diverted(address, inherited.datagram_socket(address))?;
        let of = |error| BindError::new(address, error);
        let local = socket.local_addr().map_err(of)?;
        let told = match local {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4OrigDstAddr, &true),
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6OrigDstAddr, &true),
        };
        told.map_err(|errno| of(errno.into()))?;
        Ok(DivertedDoor { socket, local })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next datagram. Safe to cancel.
    ///
    /// # Errors
    /// The kernel's own.
    pub async fn receive<'a>(&self, into: &'a mut Inbox) -> io::Result<Diverted<'a>> {
        loop {
            let received = self.socket.async_io(Interest::READABLE, || self.try_receive(into)).await?;
            if let Some((n, client, dialled)) = received {
                return Ok(Diverted { bytes: &into.bytes[..n], client, dialled });
            }
        }
    }

    /// `None`: one that could not be answered.
    fn try_receive(&self, into: &mut Inbox) -> io::Result<Option<(usize, SocketAddr, SocketAddr)>> {
        let mut parts = [IoSliceMut::new(&mut into.bytes)];
        let descriptor = self.socket.as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(&mut into.control), MsgFlags::MSG_DONTWAIT)?;
        let dialled = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(v4(SockaddrIn::from(address))),
            ControlMessageOwned::Ipv6OrigDstAddr(address) => Some(v6(SockaddrIn6::from(address))),
            _ => None,
        });
        let client = received.address.and_then(|address| {
            address.as_sockaddr_in().map(|a| v4(*a)).or_else(|| address.as_sockaddr_in6().map(|a| v6(*a)))
        });
        let (Some(client), Some(dialled)) = (client, dialled) else { return Ok(None) };
        let answerable = dialled.port() == self.local.port() && client.port() != 0;
        Ok(answerable.then_some((received.bytes, client, dialled)))
    }

    /// Sends to a client from the address that it dialled, without waiting: while the kernel has no room a datagram is
    /// lost, as on any network. Says whether it went.
    pub fn send(&self, datagram: &[u8], from: IpAddr, to: SocketAddr) -> bool {
        let sent = self.socket.try_io(Interest::WRITABLE, || {
            let parts = [IoSlice::new(datagram)];
            let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            let to = SockaddrStorage::from(to);
            Ok(match from {
                IpAddr::V4(from) => {
                    let source = in_addr { s_addr: u32::from(from).to_be() };
                    let source = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: in_addr { s_addr: 0 } };
                    sendmsg(descriptor, &parts, &[ControlMessage::Ipv4PacketInfo(&source)], flags, Some(&to))
                }
                IpAddr::V6(from) => {
                    let source = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
                    sendmsg(descriptor, &parts, &[ControlMessage::Ipv6PacketInfo(&source)], flags, Some(&to))
                }
            }?)
        });
        if let Err(error) = &sent {
            tracing::debug!(%error, client = %to, "a datagram could not be sent to its client");
        }
        sent.is_ok()
    }
}

fn v4(address: SockaddrIn) -> SocketAddr {
    SocketAddrV4::from(address).into()
}

/// Without the flow label and the interface: the same client is the same key.
fn v6(address: SockaddrIn6) -> SocketAddr {
    let address = SocketAddrV6::from(address);
    SocketAddr::new((*address.ip()).into(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On loopback every address is ours: what is dialled is told without TPROXY as well.
    fn door(address: &str) -> Option<DivertedDoor> {
        let address = address.parse().unwrap();
        match bind::open_diverted_plainly(address) {
            Ok(socket) => {
                let local = socket.local_addr().unwrap();
                match local {
                    SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4OrigDstAddr, &true).unwrap(),
                    SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6OrigDstAddr, &true).unwrap(),
                }
                Some(DivertedDoor { socket, local })
            }
            // A machine without IPv6.
            Err(_) if address.is_ipv6() => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_datagram_tells_what_was_dialled_and_is_answered_from_there() {
        for (any, dialled) in [("0.0.0.0:0", "127.7.8.9"), ("[::]:0", "::1")] {
            let Some(door) = door(any) else { continue };
            let dialled = SocketAddr::new(dialled.parse().unwrap(), door.local().port());
            let client = UdpSocket::bind(if dialled.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
            // Connected: an answer from anywhere else would not be heard.
            client.connect(dialled).await.unwrap();
            for words in [&b"words"[..], b"", &[7; 60_000]] {
                client.send(words).await.unwrap();
                let mut inbox = Inbox::default();
                let came = door.receive(&mut inbox).await.unwrap();
                assert_eq!((came.bytes, came.client, came.dialled), (words, client.local_addr().unwrap(), dialled));
            }
            assert!(door.send(b"an answer", dialled.ip(), client.local_addr().unwrap()));
            let mut heard = [0; 64];
            let n = client.recv(&mut heard).await.unwrap();
            assert_eq!(&heard[..n], b"an answer");
        }
    }
}
