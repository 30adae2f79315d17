//! The DNS guard: names are answered as policy says, and who was told what is remembered.
//!
//! A question's story in order: [`serve`] (it comes in) → [`answer`] (who asks, may it, what is it, what does policy
//! say, is the answer known) → [`learn`] (it is not: one asks for all) → the answer leaves, and its addresses are
//! remembered. [`refusals`] writes the rows: a question is no access, a refused name is one.
//!
//! Type to read first: [`NameGuard`].

mod answer;
mod learn;
mod refusals;
mod serve;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use super::{Gateway, Snapshot};
use crate::access::{Access, Ech, Host, HostName, HostSource};
use crate::config::Config;
use crate::detect::{self, Signature};
use crate::dns::{Cache, EchKeys, Given, SafeNames};
use crate::metrics::METRICS;
use crate::origin::{NameServers, system_servers};

pub use answer::{Asker, Reply};
use learn::Questions;
use refusals::Refusals;
pub use serve::{datagrams, stream};

/// Clients whose rate is known apart; beyond that newcomers share one.
const CLIENTS_MAX: usize = 65_536;

/// What the guard keeps between questions.
pub struct NameGuard {
    /// Whether devices can ask us.
    is_on: bool,
    /// Since when it is remembered what they were told.
    since: Instant,
    cache: Cache,
    given: Given,
    ech: EchKeys,
    safe: SafeNames,
    servers: NameServers,
    /// Those that are asked for all names but the school's own.
    upstream: Vec<SocketAddr>,
    questions: Questions,
    /// Answers that wait for somebody else's.
    waiting: AtomicUsize,
    rate: DefaultKeyedRateLimiter<IpAddr>,
    refusals: Refusals,
}

impl NameGuard {
    /// As the configuration says; reads `/etc/resolv.conf` where nothing else names the servers to ask.
    pub fn new(config: &Config) -> Self {
        let is_on = !config.listen.dns.is_empty();
        let upstream = match &config.resolver.servers[..] {
            [] if is_on => system_servers(),
            servers => servers.to_vec(),
        };
        let quota = Quota::per_second(config.dns.questions_per_second).allow_burst(config.dns.question_burst);
        NameGuard {
            is_on,
            since: Instant::now(),
            cache: Cache::new(if is_on { config.dns.cache_entries } else { 0 }),
            given: Given::default(),
            ech: EchKeys::default(),
            safe: SafeNames::default(),
            servers: NameServers::default(),
            upstream,
            questions: Questions::default(),
            waiting: AtomicUsize::new(0),
            rate: RateLimiter::keyed(quota),
            refusals: Refusals::default(),
        }
    }

    /// The rules or the zones are others: what was answered by the old ones is forgotten.
    pub fn begin_anew(&self) {
        self.cache.forget_all();
    }

    pub fn keep_house(&self) {
        self.given.forget_old(Instant::now());
        self.ech.forget_old(Instant::now());
        self.refusals.forget_old();
        self.rate.retain_recent();
    }

    fn may_ask(&self, client: IpAddr) -> bool {
        let key = if self.rate.len() < CLIENTS_MAX { client } else { IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED) };
        self.rate.check_key(&key).is_ok()
    }
}

impl Gateway {
    /// The name by whose addresses this access is answered, where a search engine is to filter for this client.
    pub(super) fn safe_name(&self, snapshot: &Snapshot, access: &Access) -> Option<Host> {
        let limits = snapshot.rules.name_limits(&access.client);
        let safe = self.names.safe.of(access.target.host.name()?, limits)?;
        Some(Host::Name(safe.clone()))
    }

    /// A client that asks for an address by itself goes round names, unless our DNS gave it that very address.
    pub(super) fn say_how_sure(&self, access: &mut Access) {
        let Host::Address(address) = access.target.host else { return };
        if self.name_given(access.client.address, address).is_some() {
            access.target.host_source = HostSource::Dns;
        }
    }

    /// Whether the keys of a client's encrypted ClientHello are known: our DNS saw them, or who decrypts it is known by name.
    pub(super) fn ech_of(&self, snapshot: &Snapshot, signature: &Signature) -> Option<Ech> {
        let extension = signature.ech?;
        let is_real = match (extension, &signature.sni) {
            (detect::Ech::Outer { config_id }, Some(outer)) => {
                snapshot.rules.is_ech_public_name(outer) || self.names.ech.knows(config_id, outer, Instant::now())
            }
            (detect::Ech::Outer { .. }, None) | (detect::Ech::Inner, _) => false,
        };
        if is_real {
            METRICS.ech_real.add(1);
        }
        Some(if is_real { Ech::Real } else { Ech::Unknown })
    }

    /// The name under which our DNS gave `address` to `client`, if it did; the latest of several.
    pub fn name_given(&self, client: IpAddr, address: IpAddr) -> Option<HostName> {
        self.names.given.name(client, address, Instant::now())
    }

    /// Whether a client dialled an address that our DNS did not give it under any name. `false` where nobody can tell: our DNS
    /// is off or not for this client, or the gateway started a short while ago and remembers nothing from before.
    pub fn is_round_dns(&self, snapshot: &Snapshot, client: IpAddr, address: IpAddr) -> bool {
        let (dns, now) = (&snapshot.config.dns, Instant::now());
        let (client, address) = (client.to_canonical(), address.to_canonical());
        self.names.is_on
            && now.duration_since(self.names.since) >= dns.no_dns_after
            && dns.may_ask(client)
            && !self.names.given.may_know(client, address, now)
    }

    /// Whether our DNS gave `address` to `client` for this very name.
    pub fn was_given(&self, client: IpAddr, host: &HostName, address: IpAddr) -> bool {
        self.names.given.was_given(client, host, address, Instant::now())
    }
}
