//! Which family of addresses failed lately, so that the next dial does not pay for it again.

use std::net::SocketAddr;
use std::time::Duration;

use super::moment::Moment;
use super::order::interleave;

/// A network that does not carry a family today may do so after the next change at the provider's: the family is tried
/// first again after this time.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Addresses of one origin that are tried: eight with a quarter second between them is a fifth of the usual deadline.
const ADDRESSES_MAX: usize = 8;

/// Of one gateway.
#[derive(Debug, Default)]
pub struct Memory {
    v6_failed: Moment,
    v4_failed: Moment,
}

impl Memory {
    /// The addresses in the order to try them, at most eight: families in turn, IPv6 first (RFC 8305 §4) unless it
    /// failed lately.
    pub fn order(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let v4_first = self.v6_failed.is_after(&self.v4_failed) && self.v6_failed.is_within(REMEMBERED);
        let mut ordered = interleave(addresses, |address| address.is_ipv4() == v4_first);
        ordered.truncate(ADDRESSES_MAX);
        ordered
    }

    /// The network does not carry this address's family, as it seems.
    pub(super) fn failed(&self, address: SocketAddr) {
        self.of(address).mark(REMEMBERED);
    }

    pub(super) fn works(&self, address: SocketAddr) {
        self.of(address).forget();
    }

    fn of(&self, address: SocketAddr) -> &Moment {
        if address.is_ipv6() { &self.v6_failed } else { &self.v4_failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6: &str = "[2001:db8::1]:443";
    const V4: &str = "192.0.2.1:443";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn first(memory: &Memory) -> SocketAddr {
        memory.order(&[at(V4), at(V6)])[0]
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_that_failed_comes_second_for_some_minutes() {
        let memory = Memory::default();
        assert_eq!(first(&memory), at(V6));
        tokio::time::advance(Duration::from_secs(5)).await;
        memory.failed(at(V6));
        assert_eq!(first(&memory), at(V4));
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        assert_eq!(first(&memory), at(V4));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(first(&memory), at(V6));
    }

    #[tokio::test(start_paused = true)]
    async fn what_works_again_and_what_failed_last_decide() {
        let memory = Memory::default();
        memory.failed(at(V6));
        memory.works(at(V6));
        assert_eq!(first(&memory), at(V6));
        memory.failed(at(V6));
        tokio::time::advance(Duration::from_secs(5)).await;
        memory.failed(at(V4));
        assert_eq!(first(&memory), at(V6), "IPv4 failed last");
    }

    #[tokio::test]
    async fn an_origin_with_a_thousand_addresses_is_tried_eight_times() {
        let many: Vec<SocketAddr> = (0..1000).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        assert_eq!(Memory::default().order(&many), many[..8]);
    }
}
