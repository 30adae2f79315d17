//! Which client was given which address under which name.
//!
//! A flow to an address is then a flow to a name, if only as sure as `dns`; one to an address that was never given went
//! round our DNS. Bounded in clients, addresses and names; an entry lives as long as the answer may be used and some
//! minutes more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::HostName;

/// Browsers and devices use an address for some minutes after its time is over, and open connections again.
pub(super) const GRACE: Duration = Duration::from_secs(600);
/// A college has a few thousand addresses of clients; beyond that the one that asked longest ago is forgotten.
const CLIENTS_MAX: usize = 4096;
/// Addresses of one client: what a busy browser is given in a quarter of an hour, twice.
const ADDRESSES_MAX: usize = 512;
/// Names of one address: a content network serves thousands from one; the last ones are those in use.
const NAMES_MAX: usize = 8;

/// What the clients were told.
#[derive(Debug, Default)]
pub struct Given(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    clients: HashMap<IpAddr, Told>,
    holders: Holders,
}

/// How many clients of IPv4 and of IPv6 hold an address.
#[derive(Debug, Default)]
struct Holders(HashMap<IpAddr, [u32; 2]>);

#[derive(Debug)]
struct Told {
    client: IpAddr,
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
        let mut memory = self.memory();
        let Memory { clients, holders } = &mut *memory;
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            let longest_ago = clients.iter().min_by_key(|(_, told)| told.asked).map(|(client, _)| *client);
            if let Some(told) = longest_ago.and_then(|client| clients.remove(&client)) {
                told.addresses.keys().for_each(|address| holders.let_go(told.client, *address));
            }
        }
        let told = clients.entry(client).or_insert_with(|| Told { client, asked: now, addresses: HashMap::new() });
        told.asked = now;
        for address in addresses {
            told.remember(*address, host, now + ttl + GRACE, now, holders);
        }
    }

    /// The name under which `client` was given `address`, the latest first; `None`: it never was, or long ago.
    pub fn name(&self, client: IpAddr, address: IpAddr, now: Instant) -> Option<HostName> {
        let memory = self.memory();
        let names = memory.clients.get(&client)?.addresses.get(&address)?;
        names.iter().rev().find(|name| now < name.until).map(|name| name.host.clone())
    }

    /// Whether `client` was given `address` for this very name.
    pub fn was_given(&self, client: IpAddr, host: &HostName, address: IpAddr, now: Instant) -> bool {
        let memory = self.memory();
        let names = memory.clients.get(&client).and_then(|told| told.addresses.get(&address));
        names.is_some_and(|names| names.iter().any(|name| now < name.until && name.host == *host))
    }

    /// Whether `client` may have `address` from us: it was given it under any name; or, since a device has several addresses
    /// where there is IPv6 (RFC 8981) and asks from one of them what it dials from another, somebody was whose address is of
    /// IPv6, or anybody where `client` is. Between two clients of IPv4 nothing is shared.
    pub fn may_know(&self, client: IpAddr, address: IpAddr, now: Instant) -> bool {
        let memory = self.memory();
        let names = memory.clients.get(&client).and_then(|told| told.addresses.get(&address));
        names.is_some_and(|names| names.iter().any(|name| now < name.until))
            || memory.holders.may_be_another_address_of(client, address)
    }

    /// Forgets what is over.
    pub fn forget_old(&self, now: Instant) {
        let mut memory = self.memory();
        let Memory { clients, holders } = &mut *memory;
        clients.retain(|_, told| {
            told.forget_old(now, holders);
            !told.addresses.is_empty()
        });
    }

    /// Pairs of a client and an address.
    pub fn len(&self) -> usize {
        self.memory().clients.values().map(|told| told.addresses.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders {
    fn hold(&mut self, client: IpAddr, address: IpAddr) {
        self.0.entry(address).or_default()[usize::from(client.is_ipv6())] += 1;
    }

    fn let_go(&mut self, client: IpAddr, address: IpAddr) {
        let Some(count) = self.0.get_mut(&address) else { return };
        let of_family = &mut count[usize::from(client.is_ipv6())];
        *of_family = of_family.saturating_sub(1);
        if *count == [0, 0] {
            self.0.remove(&address);
        }
    }

    fn may_be_another_address_of(&self, client: IpAddr, address: IpAddr) -> bool {
        self.0.get(&address).is_some_and(|[v4, v6]| *v6 > 0 || (client.is_ipv6() && *v4 > 0))
    }
}

impl Told {
    fn remember(&mut self, address: IpAddr, host: &HostName, until: Instant, now: Instant, holders: &mut Holders) {
        if !self.addresses.contains_key(&address) {
            self.make_room(now, holders);
            holders.hold(self.client, address);
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

    fn make_room(&mut self, now: Instant, holders: &mut Holders) {
        if self.addresses.len() >= ADDRESSES_MAX {
            self.forget_old(now, holders);
            if self.addresses.len() >= ADDRESSES_MAX {
                let ends = |names: &Vec<Name>| names.iter().map(|name| name.until).max();
                let first = self.addresses.iter().min_by_key(|(_, names)| ends(names)).map(|(address, _)| *address);
                if let Some(address) = first.filter(|address| self.addresses.remove(address).is_some()) {
                    holders.let_go(self.client, address);
                }
            }
        }
    }

    fn forget_old(&mut self, now: Instant, holders: &mut Holders) {
        self.addresses.retain(|address, names| {
            names.retain(|name| now < name.until);
            if names.is_empty() {
                holders.let_go(self.client, *address);
            }
            !names.is_empty()
        });
    }
}
