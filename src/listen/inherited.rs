//! Sockets that systemd has opened for us (sd_listen_fds(3)): for a port or an option that the service may not take.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::net::sockopt;
use socket2::{Socket, Type};

/// What was handed over and not yet taken.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Handed>);

#[derive(Debug)]
struct Handed {
    socket: Socket,
    kind: Type,
    address: SocketAddr,
    /// `FileDescriptorName=` of the unit.
    name: String,
}

impl Inherited {
    /// Takes over every socket that listens or takes datagrams and that the service manager left for this process. To be called once.
    pub fn take() -> Inherited {
        let handed = match sd_notify::listen_fds_with_names() {
            Ok(handed) => handed,
            Err(error) => {
                tracing::warn!(%error, "the sockets of the service manager cannot be read: they are left alone");
                return Inherited::default();
            }
        };
        let mut sockets = Vec::new();
        for (number, name) in handed {
            match listening(own(number)) {
                Ok((socket, kind, address)) => sockets.push(Handed { socket, kind, address, name }),
                Err(error) => {
                    tracing::warn!(name, %error, "what the service manager handed over is no listening TCP socket, nor one of UDP")
                }
            }
        }
        Inherited(sockets)
    }

    /// The one that listens on this address, if there is one.
    pub(super) fn socket(&mut self, address: SocketAddr) -> Option<Socket> {
        self.take_one(Type::STREAM, address)
    }

    /// The one that takes datagrams there, if there is one.
    pub(super) fn datagram_socket(&mut self, address: SocketAddr) -> Option<Socket> {
        self.take_one(Type::DGRAM, address)
    }

    fn take_one(&mut self, kind: Type, address: SocketAddr) -> Option<Socket> {
        let at = self.0.iter().position(|handed| (handed.kind, handed.address) == (kind, address))?;
        Some(self.0.swap_remove(at).socket)
    }

    /// Those that no door of the configuration names: their clients would wait for ever.
    pub fn close_others(self) {
        for Handed { address, name, .. } in self.0 {
            tracing::warn!(%address, name, "a socket of the service manager is closed: no door of `[listen]` has its address");
        }
    }
}

#[expect(unsafe_code, reason = "the service manager passes descriptors by number, and only a number")]
fn own(number: RawFd) -> OwnedFd {
    // SAFETY: sd_listen_fds(3): with LISTEN_PID our own, the descriptors from 3 on are open and left to this process
    // alone. `take` is called once, before anything else could have taken them.
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn listening(descriptor: OwnedFd) -> io::Result<(Socket, Type, SocketAddr)> {
    let socket = Socket::from(descriptor);
    let address = socket.local_addr()?.as_socket();
    match (socket.r#type()?, sockopt::socket_acceptconn(&socket)?, address) {
        (kind @ Type::STREAM, true, Some(address)) | (kind @ Type::DGRAM, false, Some(address)) => {
            Ok((socket, kind, address))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_is_given_to_the_door_of_its_kind_and_address_and_to_no_other() {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = datagrams.local_addr().unwrap();
        // The same port of TCP is another door.
        let stream = TcpListener::bind(address).unwrap();
        let handed = [OwnedFd::from(datagrams), OwnedFd::from(stream)].map(|descriptor| {
            let (socket, kind, address) = listening(descriptor).unwrap();
            Handed { socket, kind, address, name: String::new() }
        });
        let mut inherited = Inherited(handed.into());
        let taken = inherited.datagram_socket(address).unwrap();
        assert_eq!(taken.r#type().unwrap(), Type::DGRAM);
        assert!(inherited.datagram_socket(address).is_none());
        assert_eq!(inherited.socket(address).unwrap().r#type().unwrap(), Type::STREAM);
        let unbound = socket2::Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(listening(unbound.into()).is_err(), "it does not listen");
    }
}
