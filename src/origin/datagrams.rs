//! A socket for one flow of datagrams to an origin.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::UdpSocket;

use super::dial::DialError;
use crate::policy::DialPermit;

/// Where datagrams go to and come from, and nowhere else: the kernel drops those of others.
#[derive(Debug)]
pub struct OriginDatagrams {
    pub socket: UdpSocket,
    pub peer: SocketAddr,
    /// Our outward address and port.
    pub local: SocketAddr,
}

/// What may wait for its turn: a burst of some 700 datagrams. Taken as it fills; the kernel caps it at `net.core.rmem_max`.
const RECEIVE_BYTES: usize = 1 << 20;

/// Nothing is sent yet: whether anybody is there, the first datagram will show.
///
/// # Errors
/// There is no way there.
pub async fn dial_datagrams(_permit: DialPermit, peer: SocketAddr) -> Result<OriginDatagrams, DialError> {
    connect(peer).await.map_err(|error| DialError { attempts: vec![(peer, error)] })
}

async fn connect(peer: SocketAddr) -> io::Result<OriginDatagrams> {
    let any = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.connect(peer).await?;
    let local = socket.local_addr()?;
    Ok(OriginDatagrams { socket, peer, local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flow_hears_its_origin_and_nobody_else() {
        let origin = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = origin.local_addr().unwrap();
        let dialled = dial_datagrams(DialPermit::for_test(), peer).await.unwrap();
        assert_eq!((dialled.peer, dialled.local), (peer, dialled.socket.local_addr().unwrap()));
        stranger.send_to(b"a stranger's", dialled.local).await.unwrap();
        origin.send_to(b"the origin's", dialled.local).await.unwrap();
        let mut heard = [0; 64];
        let n = dialled.socket.recv(&mut heard).await.unwrap();
        assert_eq!(&heard[..n], b"the origin's");
    }
}
