//! Opening a listening socket, and what to do when that fails.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel completes before we take them; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on, and what to do about it. Side: ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    pub address: SocketAddr,
    #[source]
    pub source: io::Error,
}

impl BindError {
    pub(super) fn new(address: SocketAddr, source: io::Error) -> Self {
        BindError { address, source }
    }
}

pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|error| BindError::new(address, error))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One family a socket: a client has one spelling of its address, whatever `net.ipv6.bindv6only` says.
        socket.set_only_v6(true)?;
    }
    // A restart does not wait for the connections of the previous run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
