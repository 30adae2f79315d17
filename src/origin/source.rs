//! Speaking to an origin from the client's own address, so that it sees who asked.
//!
//! The answers come back to this machine by policy routing (`ecluse nftables`). The port is one of ours: the client's own
//! is that of its connection to us, and connection tracking would take one for the other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

/// Connects from an address that need not be this machine's, to one of the same family.
pub(super) async fn connect_as(source: IpAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = transparent_socket(source)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    TcpSocket::from_std_stream(socket.into()).connect(peer).await
}

/// Whether this process may do that at all: it takes CAP_NET_ADMIN or CAP_NET_RAW.
///
/// # Errors
/// The kernel's own.
pub fn can_bear_others_addresses() -> io::Result<()> {
    transparent_socket(Ipv4Addr::UNSPECIFIED.into())?;
    match transparent_socket(Ipv6Addr::UNSPECIFIED.into()) {
        // A machine without IPv6 needs none.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => Ok(()),
        other => other.map(drop),
    }
}

fn transparent_socket(source: IpAddr) -> io::Result<Socket> {
    let domain = if source.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    match source {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        IpAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
    }
    Ok(socket)
}
