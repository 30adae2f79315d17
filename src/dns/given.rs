//! Which client was given which address under which name.
//!
//! A flow to an address is then a flow to a name, if only as sure as `dns`; one to an address that was never given went
//! round our DNS. Bounded in clients, addresses and names; an entry lives as long as the answer may be used and some
//! minutes more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::HostName;

/// Browsers and devices use an address for some minutes after its time is over, and open connections again.
const GRACE: Duration = Duration::from_secs(600);
/// A college has a few thousand addresses of clients; beyond that the one that asked longest ago is forgotten.
const CLIENTS_MAX: usize = 4096;
/// Addresses of one client: what a busy browser is given in a quarter of an hour, twice.
const ADDRESSES_MAX: usize = 512;
/// Names of one address: a content network serves thousands from one; the last ones are those in use.
const NAMES_MAX: usize = 8;

/// What the clients were told.
#[derive(Debug, Default)]
pub struct Given(Mutex<HashMap<IpAddr, Told>>);

#[derive(Debug)]
struct Told {
    asked: Instant,
    addresses: HashMap<IpAddr, Vec<Name>>,
}

#[derive(Debug)]
struct Name {
    host: HostName,
    until: Instant,
}

impl Given {
    /// `client` was told that `host` has these addresses, for `ttl`. All addresses canonical.
    pub fn remember(&self, client: IpAddr, host: &HostName, addresses: &[IpAddr], ttl: Duration, now: Instant) {
        if addresses.is_empty() {
            return;
        }
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            let longest_ago = clients.iter().min_by_key(|(_, told)| told.asked).map(|(client, _)| *client);
            longest_ago.and_then(|client| clients.remove(&client));
        }
        let told = clients.entry(client).or_insert_with(|| Told { asked: now, addresses: HashMap::new() });
        told.asked = now;
        for address in addresses {
            told.remember(*address, host, now + ttl + GRACE, now);
        }
    }

    /// The name under which `client` was given `address`, the latest first; `None`: it never was, or long ago.
    pub fn name(&self, client: IpAddr, address: IpAddr, now: Instant) -> Option<HostName> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = clients.get(&client)?.addresses.get(&address)?;
        names.iter().rev().find(|name| now < name.until).map(|name| name.host.clone())
    }

    /// Whether `client` was given `address` for this very name.
    pub fn was_given(&self, client: IpAddr, host: &HostName, address: IpAddr, now: Instant) -> bool {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = clients.get(&client).and_then(|told| told.addresses.get(&address));
        names.is_some_and(|names| names.iter().any(|name| now < name.until && name.host == *host))
    }

    /// Forgets what is over.
    pub fn forget_old(&self, now: Instant) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, told| {
            told.forget_old(now);
            !told.addresses.is_empty()
        });
    }

    /// Pairs of a client and an address.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|told| told.addresses.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Told {
    fn remember(&mut self, address: IpAddr, host: &HostName, until: Instant, now: Instant) {
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            self.forget_old(now);
            if self.addresses.len() >= ADDRESSES_MAX {
                let ends = |names: &Vec<Name>| names.iter().map(|name| name.until).max();
                let first = self.addresses.iter().min_by_key(|(_, names)| ends(names)).map(|(address, _)| *address);
                first.and_then(|address| self.addresses.remove(&address));
            }
        }
        let names = self.addresses.entry(address).or_default();
        match names.iter().position(|name| name.host == *host) {
            Some(known) => {
                let mut name = names.remove(known);
                name.until = name.until.max(until);
                names.push(name);
            }
            None => {
                if names.len() >= NAMES_MAX {
                    names.remove(0);
                }
                names.push(Name { host: host.clone(), until });
            }
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.addresses.retain(|_, names| {
            names.retain(|name| now < name.until);
            !names.is_empty()
        });
    }
}
