//! Where client connections enter.
//!
//! A [`Listener`] yields an [`Accepted`]: a stream, who is at its other end, and through which door it came. It knows
//! nothing of what will be said on it. It never fails because of one connection, and never spins when the machine is out
//! of descriptors: it waits, and says so.
//!
//! Type to read first: [`Accepted`].

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

mod bind;
pub use bind::BindError;

/// Through which door a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerKind {
    /// A proxy that the client was told to use.
    Explicit,
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
}

impl Listener {
    /// Opens it; needs a runtime. Port 0 lets the system choose: see [`Listener::local`].
    pub fn bind(address: SocketAddr, kind: ListenerKind) -> Result<Listener, BindError> {
        let socket = bind::bind(address)?;
        let local = socket.local_addr().map_err(|error| BindError::new(address, error))?;
        Ok(Listener { socket, local, kind })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn kind(&self) -> ListenerKind {
        self.kind
    }

    /// The next connection. Errors of single connections are not errors here.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (stream, client) = self.socket.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Accepted { local: stream.local_addr()?, stream, client, listener: self.kind, original: None })
    }
}
