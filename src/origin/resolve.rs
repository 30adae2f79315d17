//! Names into addresses, with a cache of our own.
//!
//! `/etc/hosts` goes first, as everywhere on the machine; then the name servers, asked for both families at once and for
//! the name exactly as given (no search list: the client named a host, not an abbreviation of ours).

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Side;
use super::order::interleave;
use crate::access::HostName;
use crate::tasks;

/// How long the family that has not answered may keep the other waiting (RFC 8305 §8, "Resolution Delay").
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// More addresses of one name are not tried anyway, and a hostile answer may hold thousands.
const ADDRESSES_MAX: usize = 16;
/// Per question: one lost datagram is not a failure.
const TRIES: u32 = 3;
/// An answer is never believed longer: a host that moved is found again within the hour.
const TTL_MAX: Duration = Duration::from_secs(3600);
/// A name that was missing may be made any moment.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);

/// Resolves names. Cheap to clone; the clones share one cache.
#[derive(Clone)]
pub struct Resolver {
    dns: TokioResolver,
    hosts: Arc<Hosts>,
    within: Duration,
}

/// Why a name has no address for us.
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

impl ResolveError {
    pub fn side(self) -> Side {
        match self {
            ResolveError::NoSuchName | ResolveError::NoAddress => Side::Origin,
            ResolveError::ServerFailed | ResolveError::TimedOut => Side::Dependency,
        }
    }
}

/// Why there can be no resolver. Side: ours.
#[derive(Debug, thiserror::Error)]
#[error("the resolver cannot be made: {0}")]
pub struct ResolverError(#[from] NetError);

impl Resolver {
    /// `servers` empty: the system's own (`/etc/resolv.conf`). `within` is the time for a whole answer; the cache holds
    /// `cache_entries` answers at most. Reads files; a change of `/etc/hosts` or `/etc/resolv.conf` takes a new resolver.
    pub fn new(servers: &[SocketAddr], within: Duration, cache_entries: u64) -> Result<Resolver, ResolverError> {
        let servers = if servers.is_empty() { system_servers() } else { servers.to_vec() };
        let config = ResolverConfig::from_name_servers(servers.into_iter().map(name_server).collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        set_options(builder.options_mut(), within, cache_entries);
        let hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::warn!(%error, "/etc/hosts cannot be read: the names in it are asked of the name servers");
            Hosts::default()
        });
        Ok(Resolver { dns: builder.build()?, hosts: Arc::new(hosts), within })
    }

    /// Every address of a name, canonical, each once, in the order to try them; at most 16.
    pub async fn resolve(&self, host: &HostName) -> Result<Vec<IpAddr>, ResolveError> {
        // The end is marked, so that nothing is appended. A name that DNS cannot even write does not exist.
        let name = Name::from_ascii(format!("{host}.")).map_err(|_| ResolveError::NoSuchName)?;
        let known = self.in_hosts(&name);
        if !known.is_empty() {
            return Ok(ordered(&known));
        }
        let [v6, v4] = both(self.asked(&name, RecordType::AAAA), self.asked(&name, RecordType::A)).await;
        match (v6, v4) {
            (Err(one), Err(other)) => Err(worse(one, other)),
            (v6, v4) => {
                let all = [v6.unwrap_or_default(), v4.unwrap_or_default()].concat();
                if all.is_empty() { Err(ResolveError::NoAddress) } else { Ok(ordered(&all)) }
            }
        }
    }

    /// The addresses of one family, canonical, each once, without waiting for the other; none where the name has none of it, or
    /// nobody could say: [`Resolver::resolve`] tells why.
    pub async fn resolve_family(&self, host: &HostName, v4: bool) -> Vec<IpAddr> {
        let Ok(name) = Name::from_ascii(format!("{host}.")) else { return Vec::new() };
        let known = self.in_hosts(&name);
        let found = match known.is_empty() {
            true => self.asked(&name, if v4 { RecordType::A } else { RecordType::AAAA }).await.unwrap_or_default(),
            false => known,
        };
        let mut found = ordered(&found);
        found.retain(|address| address.is_ipv4() == v4);
        found
    }

    /// A name that stands in `/etc/hosts` has the addresses that stand there, and no others.
    fn in_hosts(&self, name: &Name) -> Vec<IpAddr> {
        let kinds = [RecordType::AAAA, RecordType::A];
        let found = kinds.iter().filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), *kind)));
        found.flat_map(|lookup| addresses(&lookup)).collect()
    }

    /// One question. It goes on until its own end when nobody waits for it any more, so that the cache learns the answer.
    fn asked(&self, name: &Name, kind: RecordType) -> Question {
        let (dns, name, deadline) = (self.dns.clone(), name.clone(), Instant::now() + self.within);
        Box::pin(async move {
            match timeout_at(deadline, dns.lookup(name, kind)).await {
                Err(_) => Err(ResolveError::TimedOut),
                Ok(Err(error)) => Err(reason(&error)),
                Ok(Ok(lookup)) => Ok(addresses(&lookup)),
            }
        })
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("within", &self.within).finish_non_exhaustive()
    }
}

type Answer = Result<Vec<IpAddr>, ResolveError>;
type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Both answers; but once one of them holds an address, the other has 50 ms.
async fn both(mut one: Question, mut other: Question) -> [Answer; 2] {
    let (first, is_one) = tokio::select! {
        biased;
        answer = &mut one => (answer, true),
        answer = &mut other => (answer, false),
    };
    let mut late = if is_one { other } else { one };
    let second = if first.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
        let deadline = Instant::now() + OTHER_FAMILY;
        tokio::select! {
            biased;
            answer = &mut late => answer,
            () = sleep_until(deadline) => {
                tasks::spawn("the answer that came too late", async { drop(late.await) });
                Err(ResolveError::TimedOut)
            }
        }
    } else {
        late.await
    };
    if is_one { [first, second] } else { [second, first] }
}

fn addresses(lookup: &hickory_resolver::lookup::Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).map(|ip| ip.to_canonical()).collect()
}

fn ordered(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut once = Vec::new();
    for address in interleave(addresses, IpAddr::is_ipv6) {
        if once.len() < ADDRESSES_MAX && !once.contains(&address) {
            once.push(address);
        }
    }
    once
}

fn reason(error: &NetError) -> ResolveError {
    match error {
        NetError::Timeout => ResolveError::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(_)) if error.is_nx_domain() => ResolveError::NoSuchName,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            hickory_resolver::proto::op::ResponseCode::NoError => ResolveError::NoAddress,
            _ => ResolveError::ServerFailed,
        },
        _ => ResolveError::ServerFailed,
    }
}

/// Of two failures, the one that says more: a name that one family's answer denies does not exist, and where a family
/// could not be asked nobody knows whether it has an address.
fn worse(one: ResolveError, other: ResolveError) -> ResolveError {
    use ResolveError::*;
    [NoSuchName, ServerFailed, TimedOut].into_iter().find(|e| [one, other].contains(e)).unwrap_or(NoAddress)
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    // A server that denies a name is believed: asking the others again doubles the time of every mistyped address.
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The servers of `/etc/resolv.conf`; without any, the one that the C library would ask.
pub fn system_servers() -> Vec<SocketAddr> {
    match hickory_resolver::system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect(),
        Err(error) => {
            tracing::warn!(
                %error,
                "/etc/resolv.conf names no server: 127.0.0.1 is asked, as the C library does; \
                 `[resolver] servers` names others"
            );
            vec![SocketAddr::from(([127, 0, 0, 1], 53))]
        }
    }
}

fn set_options(options: &mut ResolverOpts, within: Duration, cache_entries: u64) {
    options.timeout = within / TRIES;
    options.attempts = TRIES as usize - 1;
    options.cache_size = cache_entries;
    options.positive_max_ttl = Some(TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    // We read it ourselves: a name there has the addresses there in both families.
    options.use_hosts_file = ResolveHosts::Never;
    // A school of 700 asks over one connection to one forwarder when answers are long.
    options.max_active_requests = 1024;
}

#[cfg(test)]
mod tests;
