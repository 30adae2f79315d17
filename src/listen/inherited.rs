//! Sockets that systemd has opened for us (sd_listen_fds(3)): for a port or an option that the service may not take.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::net::sockopt;
use socket2::{Socket, Type};

/// What was handed over and not yet taken.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Handed>);

#[derive(Debug)]
struct Handed {
    socket: Socket,
    address: SocketAddr,
    /// `FileDescriptorName=` of the unit.
    name: String,
}

impl Inherited {
    /// Takes over every listening socket that the service manager left for this process. To be called once.
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
                Ok((socket, address)) => sockets.push(Handed { socket, address, name }),
                Err(error) => {
                    tracing::warn!(name, %error, "what the service manager handed over is no listening TCP socket")
                }
            }
        }
        Inherited(sockets)
    }

    /// The one that is bound to this address, if there is one.
    pub(super) fn socket(&mut self, address: SocketAddr) -> Option<Socket> {
        let at = self.0.iter().position(|handed| handed.address == address)?;
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

fn listening(descriptor: OwnedFd) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::from(TcpListener::from(descriptor));
    let address = socket.local_addr()?.as_socket();
    match (socket.r#type()?, sockopt::socket_acceptconn(&socket)?, address) {
        (Type::STREAM, true, Some(address)) => Ok((socket, address)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
