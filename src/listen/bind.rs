//! Opening a listening socket, and what to do when that fails.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::transparent;
use crate::config::Divert;

/// Connections that the kernel completes before we take them; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;
/// Some 2,000 questions that may wait while a slice of the runtime's time goes to others.
const RECEIVE_BYTES: usize = 1 << 20;

/// Why an address cannot be listened on, and what to do about it. Side: ours.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl BindError {
    pub(super) fn new(address: SocketAddr, error: io::Error) -> Self {
        BindError { address, error }
    }
}

/// The fault in one line, the cure in the next.
impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, error } = self;
        let port = address.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: port {port} is taken by another program\n\
                 help: `ss -lntup 'sport = :{port}'` (as root) names it; stop it, or choose another port in `[listen]`"
            ),
            _ if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => write!(
                f,
                "cannot listen on {address} for connections to all addresses (TPROXY): the system does not permit it\n\
                 help: let systemd open it (`ecluse-transparent.socket`, `ecluse-datagrams.socket`) or give the service \
                 CAP_NET_ADMIN; without either, `mode = \"redirect\"` in `[transparent]` serves TCP, and `transparent_udp` \
                 in `[listen]` stays empty"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "cannot listen on {address}: the system does not permit port {port}\n\
                 help: ports below 1024 take the capability CAP_NET_BIND_SERVICE (`AmbientCapabilities=` in the \
                 service's unit); or choose a port from 1024 on in `[listen]`"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot listen on {address}: this machine has no address {ip}\n\
                 help: `ip address` shows those it has; correct `[listen]`, or listen on all of them with {any}",
                ip = address.ip(),
                any = if address.is_ipv4() { format!("0.0.0.0:{port}") } else { format!("[::]:{port}") }
            ),
            _ if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => write!(
                f,
                "cannot listen on {address}: this machine has no IPv6\n\
                 help: remove the address from `[listen]`, or switch IPv6 on (`net.ipv6.conf.all.disable_ipv6 = 0`)"
            ),
            _ => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Opens it; `divert`: for what the network brings here; `handed`: a socket that is bound already.
pub(super) fn bind(
    address: SocketAddr,
    divert: Option<Divert>,
    handed: Option<Socket>,
) -> Result<TcpListener, BindError> {
    open(address, divert, handed).map_err(|error| BindError::new(address, error))
}

pub(super) fn bind_datagrams(address: SocketAddr) -> Result<UdpSocket, BindError> {
    open_datagrams(address).map_err(|error| BindError::new(address, error))
}

/// For what the network brings here; `handed`: a socket that is bound already.
pub(super) fn bind_diverted(address: SocketAddr, handed: Option<Socket>) -> Result<UdpSocket, BindError> {
    open_diverted(address, handed).map_err(|error| BindError::new(address, error))
}

fn open_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    bound_datagrams(new_datagrams(address)?, address)
}

fn open_diverted(address: SocketAddr, handed: Option<Socket>) -> io::Result<UdpSocket> {
    match handed {
        Some(socket) => {
            transparent::take_any_address(&socket, address)?;
            adopted_datagrams(socket)
        }
        None => {
            let socket = new_datagrams(address)?;
            transparent::take_any_address(&socket, address)?;
            bound_datagrams(socket, address)
        }
    }
}

/// Without TPROXY, which takes a capability.
#[cfg(test)]
pub(super) fn open_diverted_plainly(address: SocketAddr) -> io::Result<UdpSocket> {
    open_datagrams(address)
}

fn new_datagrams(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bound_datagrams(socket: Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    socket.bind(&address.into())?;
    adopted_datagrams(socket)
}

fn adopted_datagrams(socket: Socket) -> io::Result<UdpSocket> {
    // The kernel caps it at `net.core.rmem_max`: then bursts are shorter.
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

fn open(address: SocketAddr, divert: Option<Divert>, handed: Option<Socket>) -> io::Result<TcpListener> {
    let is_bound = handed.is_some();
    let socket = handed.map_or_else(|| new(address), Ok)?;
    if divert == Some(Divert::Tproxy) {
        transparent::take_any_address(&socket, address)?;
    }
    socket.set_nonblocking(true)?;
    if !is_bound {
        socket.bind(&address.into())?;
    }
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn new(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One family a socket: a client has one spelling of its address, whatever `net.ipv6.bindv6only` says.
        socket.set_only_v6(true)?;
    }
    // A restart does not wait for the connections of the previous run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}
