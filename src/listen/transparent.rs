//! Connections that clients meant for somebody else: whom they meant.
//!
//! The firewall brings them here. After REDIRECT, connection tracking knows what the destination was; after TPROXY the
//! socket's own address is it (Documentation/networking/tproxy.rst of the kernel).

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

use super::OriginalDst;
use crate::config::Divert;

/// The address that the client dialled. A connection that nobody diverted was dialled to `local`: to us.
pub(super) fn original_dst(stream: &TcpStream, local: SocketAddr, divert: Divert) -> OriginalDst {
    let dialled = match divert {
        Divert::Tproxy => None,
        Divert::Redirect => before_redirect(stream, local),
    };
    let dialled = dialled.unwrap_or(local);
    OriginalDst(SocketAddr::new(dialled.ip().to_canonical(), dialled.port()))
}

/// `None` where connection tracking does not know the connection, or is not there.
fn before_redirect(stream: &TcpStream, local: SocketAddr) -> Option<SocketAddr> {
    let socket = SockRef::from(stream);
    let original = match local {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    original.ok()?.as_socket()
}

/// Lets a socket take connections to addresses that are not this machine's. Takes CAP_NET_ADMIN or CAP_NET_RAW, unless
/// who made the socket has done it (`Transparent=yes` of systemd).
pub(super) fn take_any_address(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let is_so = if address.is_ipv4() { socket.ip_transparent_v4() } else { socket.ip_transparent_v6() };
    match is_so {
        Ok(true) => Ok(()),
        _ if address.is_ipv4() => socket.set_ip_transparent_v4(true),
        _ => socket.set_ip_transparent_v6(true),
    }
}
