//! Hosts whose clients do not believe our certificate: applications that know their server's own (pinning).
//!
//! Learned from handshakes that failed, and forgotten after a day. That a host is here lifts no refusal: it says only
//! that opening its connections would break them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::access::{Host, Timestamp};

/// So many failures…
const FAILURES: u32 = 3;
/// …of more clients than one: a tablet without the authority is no reason to open nothing for others.
const CLIENTS: usize = 2;
/// What is known is forgotten after this time, and learned again if it still holds.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// Hosts with failures that are remembered; the oldest go when there are more.
const HOSTS_MAX: usize = 1024;

/// What failed and is remembered.
#[derive(Debug, Default)]
pub struct Pinned(Mutex<HashMap<Host, Failures>>);

#[derive(Debug)]
struct Failures {
    /// The first of them; once the host counts as pinned: that moment.
    since: Timestamp,
    count: u32,
    clients: Vec<IpAddr>,
}

impl Failures {
    fn is_pinned(&self) -> bool {
        self.count >= FAILURES && self.clients.len() >= CLIENTS
    }
}

impl Pinned {
    /// A client left at the sight of our certificate. `true`: this one made the host a pinned one.
    pub fn failed(&self, host: &Host, client: IpAddr, now: Timestamp) -> bool {
        let mut hosts = self.hosts();
        hosts.retain(|_, failures| failures.since > now.minus(REMEMBERED));
        if hosts.len() >= HOSTS_MAX
            && !hosts.contains_key(host)
            && let Some(oldest) = hosts.iter().min_by_key(|(_, failures)| failures.since).map(|(host, _)| host.clone())
        {
            hosts.remove(&oldest);
        }
        let failures =
            hosts.entry(host.clone()).or_insert_with(|| Failures { since: now, count: 0, clients: Vec::new() });
        let was_pinned = failures.is_pinned();
        failures.count = failures.count.saturating_add(1);
        if failures.clients.len() < CLIENTS && !failures.clients.contains(&client) {
            failures.clients.push(client);
        }
        let learned = !was_pinned && failures.is_pinned();
        if learned {
            failures.since = now;
        }
        learned
    }

    pub fn is_pinned(&self, host: &Host, now: Timestamp) -> bool {
        self.hosts().get(host).is_some_and(|f| f.is_pinned() && f.since > now.minus(REMEMBERED))
    }

    /// Those that are not opened at present, for who looks after the machine.
    pub fn names(&self, now: Timestamp) -> Vec<String> {
        let hosts = self.hosts();
        let pinned = hosts.iter().filter(|(_, f)| f.is_pinned() && f.since > now.minus(REMEMBERED));
        let mut names: Vec<String> = pinned.map(|(host, _)| host.to_text().into_owned()).collect();
        names.sort();
        names
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.hosts().len()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<Host, Failures>> {
        // What is inside is whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
