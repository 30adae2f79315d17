//! A door for datagrams.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::bind::{self, BindError};

/// An open door on one address, from which its answers leave.
#[derive(Debug)]
pub struct DatagramDoor {
    socket: UdpSocket,
    local: SocketAddr,
}

impl DatagramDoor {
    /// Opens it; needs a runtime.
    pub fn bind(address: SocketAddr) -> Result<DatagramDoor, BindError> {
        let socket = bind::bind_datagrams(address)?;
        let local = socket.local_addr().map_err(|error| BindError::new(address, error))?;
        Ok(DatagramDoor { socket, local })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next datagram, as much of it as fits. Safe to cancel.
    pub async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into).await
    }

    /// Sends without waiting: while the kernel has no room an answer is lost, as on any network, and asked for again.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.try_send_to(datagram, to) {
            tracing::debug!(%error, "an answer could not be sent");
        }
    }
}
