//! Where client connections enter.
//!
//! A [`Listener`] yields an [`Accepted`]: a stream, who is at its other end, and through which door it came. It knows
//! nothing of what will be said on it. It never fails because of one connection, and never spins when the machine is out
//! of descriptors or memory: it waits, takes the next as soon as there is room, and says so.
//!
//! Datagrams have doors of their own: [`DatagramDoor`] for those that are meant for us, [`DivertedDoor`] for those that the
//! network brings.
//!
//! Type to read first: [`Accepted`].

mod bind;
mod datagrams;
mod diverted;
mod inherited;
mod shortage;
mod transparent;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::config::Divert;

pub use bind::BindError;
pub use datagrams::DatagramDoor;
pub use diverted::{Diverted, DivertedDoor, Inbox};
pub use inherited::Inherited;
use shortage::Shortage;

/// Through which door a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerKind {
    /// A proxy that the client was told to use.
    Explicit,
    /// The network brought it: a connection to port 80.
    TransparentHttp(Divert),
    /// The network brought it: any other.
    TransparentTls(Divert),
    /// Questions of DNS, in a stream.
    Dns,
}

impl ListenerKind {
    fn divert(self) -> Option<Divert> {
        match self {
            ListenerKind::Explicit | ListenerKind::Dns => None,
            ListenerKind::TransparentHttp(divert) | ListenerKind::TransparentTls(divert) => Some(divert),
        }
    }
}

/// Where the client wanted to go, when the network brought it here instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OriginalDst(pub SocketAddr);

/// A client's connection.
#[derive(Debug)]
pub struct Accepted {
    pub stream: TcpStream,
    pub client: SocketAddr,
    /// Our address that the client connected to.
    pub local: SocketAddr,
    pub listener: ListenerKind,
    pub original: Option<OriginalDst>,
}

/// An open door.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    kind: ListenerKind,
    shortage: Shortage,
}

impl Listener {
    /// Opens it; needs a runtime. Port 0 lets the system choose: see [`Listener::local`].
    pub fn bind(address: SocketAddr, kind: ListenerKind) -> Result<Listener, BindError> {
        Listener::open(address, kind, &mut Inherited::default())
    }

    /// The same, by a socket that the service manager has opened where there is one for this address.
    pub fn open(address: SocketAddr, kind: ListenerKind, inherited: &mut Inherited) -> Result<Listener, BindError> {
        let socket = bind::bind(address, kind.divert(), inherited.socket(address))?;
        let local = socket.local_addr().map_err(|error| BindError::new(address, error))?;
        Ok(Listener { socket, local, kind, shortage: Shortage::default() })
    }

    /// The address as bound, with the port that the system chose.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn kind(&self) -> ListenerKind {
        self.kind
    }

    /// The next connection. An error means that this door is broken for good; those of single connections and
    /// shortages of the machine are dealt with here. Safe to cancel.
    pub async fn accept(&self) -> io::Result<Accepted> {
        loop {
            match self.socket.accept().await {
                Ok((stream, client)) => {
                    self.shortage.over();
                    match self.accepted(stream, client) {
                        Ok(accepted) => return Ok(accepted),
                        // It was reset before we looked.
                        Err(error) => tracing::debug!(%client, %error, "a connection left before it was taken"),
                    }
                }
                Err(error) if shortage::is_shortage(&error) => self.shortage.wait(self.local, &error).await,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn accepted(&self, stream: TcpStream, client: SocketAddr) -> io::Result<Accepted> {
        // What we send is whole already; waiting for more (Nagle) only costs time.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let original = self.kind.divert().map(|divert| transparent::original_dst(&stream, local, divert));
        Ok(Accepted { stream, client, local, listener: self.kind, original })
    }
}

/// accept(2) passes on the network errors of a connection that is waiting, and wants them treated as "try again".
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | ConnectionRefused
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | HostUnreachable
            | TimedOut
            | PermissionDenied
    ) || error.raw_os_error().is_some_and(|code| {
        use rustix::io::Errno;
        [Errno::PROTO, Errno::NOPROTOOPT, Errno::HOSTDOWN, Errno::NONET, Errno::OPNOTSUPP]
            .iter()
            .any(|errno| errno.raw_os_error() == code)
    })
}
