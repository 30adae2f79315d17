//! How much of the gateway one client may have: connections at once, requests a second.
//!
//! An [`Allowance`] is looked up once a connection; what a request asks of it is one atomic operation. No client may
//! have more than half of all connections, so that one device, however it behaves, leaves room for the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::Limits;
use crate::metrics::{Gauge, METRICS};

/// Clients that are remembered at once. A school has a few thousand addresses; beyond that, newcomers share one.
const CLIENTS_MAX: usize = 65_536;
/// Connections beyond the limits that are kept until they have had an answer which says so; more are closed at once.
const SURPLUS_MAX: usize = 64;
/// A client without a connection is remembered this long: its rate must not start anew with each connection.
const REMEMBERED: Duration = Duration::from_secs(120);

/// All clients' allowances.
#[derive(Debug)]
pub struct Allowances {
    /// Tells how many there are.
    gauge: &'static Gauge,
    clients: Mutex<HashMap<IpAddr, Arc<Allowance>>>,
    /// Connections of all clients.
    open: Arc<AtomicUsize>,
    /// Those beyond the limits that wait for their answer.
    surplus: Arc<AtomicUsize>,
}

/// What one client has, and may have.
#[derive(Debug)]
pub struct Allowance {
    connections: AtomicUsize,
    rate: DefaultDirectRateLimiter,
    left: Mutex<Instant>,
}

/// How a new connection stands to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Within,
    /// This client has too many: it is answered so.
    ClientOver,
    /// All clients together have too many.
    AllOver,
    /// So many too many that no answer is given.
    FarOver,
}

/// One connection's part of its client's allowance, given back when it is dropped. A tunnel keeps that of the connection
/// it came from.
#[derive(Debug)]
pub struct Taken {
    allowance: Arc<Allowance>,
    gauge: &'static Gauge,
    counted: Counted,
    pub standing: Standing,
}

/// Where a connection is counted.
#[derive(Debug)]
enum Counted {
    Place(Arc<AtomicUsize>),
    Surplus(Arc<AtomicUsize>),
    Not,
}

/// Adds one where that stays within `most`.
pub fn count_up_to(count: &AtomicUsize, most: usize) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1)).is_ok()
}

impl Default for Allowances {
    fn default() -> Self {
        Allowances::told_by(&METRICS.connections_open)
    }
}

impl Allowances {
    /// For connections of another kind, which have places of their own.
    pub fn told_by(gauge: &'static Gauge) -> Self {
        Allowances { gauge, clients: Mutex::default(), open: Arc::default(), surplus: Arc::default() }
    }

    /// Counts a new connection. One that is beyond a limit takes no place: it stays for its answer, among few.
    pub fn take(&self, client: IpAddr, limits: &Limits) -> Taken {
        let gauge = self.gauge;
        gauge.up();
        let allowance = self.of(client, limits);
        let per_client = limits.connections_per_client.min((limits.flows / 2).max(1));
        let beyond = if !count_up_to(&allowance.connections, per_client) {
            Some(Standing::ClientOver)
        } else if !count_up_to(&self.open, limits.flows) {
            allowance.connections.fetch_sub(1, Ordering::Relaxed);
            Some(Standing::AllOver)
        } else {
            None
        };
        let Some(standing) = beyond else {
            return Taken { allowance, gauge, counted: Counted::Place(self.open.clone()), standing: Standing::Within };
        };
        if count_up_to(&self.surplus, SURPLUS_MAX) {
            Taken { allowance, gauge, counted: Counted::Surplus(self.surplus.clone()), standing }
        } else {
            Taken { allowance, gauge, counted: Counted::Not, standing: Standing::FarOver }
        }
    }

    fn of(&self, client: IpAddr, limits: &Limits) -> Arc<Allowance> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            forget_gone(&mut clients);
        }
        let key = match clients.len() {
            n if n < CLIENTS_MAX || clients.contains_key(&client) => client,
            _ => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        };
        clients.entry(key).or_insert_with(|| Arc::new(Allowance::new(limits))).clone()
    }

    /// Forgets clients that left some time ago.
    pub fn forget_gone(&self) {
        forget_gone(&mut self.clients.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn forget_gone(clients: &mut HashMap<IpAddr, Arc<Allowance>>) {
    clients.retain(|_, allowance| {
        let left = *allowance.left.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.connections.load(Ordering::Relaxed) > 0 || left.elapsed() < REMEMBERED
    });
}

impl Allowance {
    fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.requests_per_second).allow_burst(limits.request_burst);
        Allowance {
            connections: AtomicUsize::new(0),
            rate: RateLimiter::direct(quota),
            left: Mutex::new(Instant::now()),
        }
    }
}

impl Taken {
    /// Whether the client may ask one thing more now.
    pub fn may_ask(&self) -> bool {
        self.allowance.rate.check().is_ok()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.gauge.down();
        *self.allowance.left.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match &self.counted {
            Counted::Place(open) => {
                open.fetch_sub(1, Ordering::Relaxed);
                self.allowance.connections.fetch_sub(1, Ordering::Relaxed);
            }
            Counted::Surplus(surplus) => {
                surplus.fetch_sub(1, Ordering::Relaxed);
            }
            Counted::Not => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits(flows: usize, per_client: usize) -> Limits {
        let defaults = Config::load(None, Some(std::path::Path::new("/nonexistent"))).unwrap().limits;
        Limits { flows, connections_per_client: per_client, ..defaults }
    }

    fn client(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn a_client_has_its_limit_and_the_others_theirs() {
        let (allowances, limits) = (Allowances::default(), limits(100, 3));
        let kept: Vec<Taken> = (0..4).map(|_| allowances.take(client(1), &limits)).collect();
        let standings: Vec<Standing> = kept.iter().map(|taken| taken.standing).collect();
        assert_eq!(standings, [Standing::Within, Standing::Within, Standing::Within, Standing::ClientOver]);
        assert_eq!(allowances.take(client(2), &limits).standing, Standing::Within);
        drop(kept);
        assert_eq!(allowances.take(client(1), &limits).standing, Standing::Within);
    }

    #[test]
    fn one_client_never_has_more_than_half() {
        let (allowances, limits) = (Allowances::default(), limits(8, 512));
        let kept: Vec<Taken> = (0..5).map(|_| allowances.take(client(1), &limits)).collect();
        assert_eq!(kept[3].standing, Standing::Within);
        assert_eq!(kept[4].standing, Standing::ClientOver);
    }

    #[test]
    fn beyond_all_measure_no_answer_is_given() {
        let (allowances, limits) = (Allowances::default(), limits(1000, 1));
        let kept: Vec<Taken> = (0..66).map(|_| allowances.take(client(1), &limits)).collect();
        assert_eq!(kept[64].standing, Standing::ClientOver);
        assert_eq!(kept[65].standing, Standing::FarOver);
        assert_eq!(allowances.take(client(2), &limits).standing, Standing::Within, "the surplus takes nobody's place");
    }

    #[test]
    fn the_burst_is_of_the_client_and_not_of_its_connection() {
        let (allowances, limits) = (Allowances::default(), limits(100, 100));
        let burst = limits.request_burst.get();
        for _ in 0..burst {
            assert!(allowances.take(client(1), &limits).may_ask());
        }
        // A second gives 200 more; the loop took far less than that.
        let asked_at_once = (0..burst).take_while(|_| allowances.take(client(1), &limits).may_ask()).count();
        assert!(asked_at_once < burst as usize, "the burst began anew with each connection");
        assert!(allowances.take(client(2), &limits).may_ask());
    }
}
