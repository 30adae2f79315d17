//! How many files this process may have open decides how many flows it can carry.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::relay;

/// For files, the journal's segments, listening sockets, the store and connections that are being turned away.
const RESERVED: u64 = 160;
/// A DNS that answers asks name servers through so many sockets at most.
const NAMES: u64 = 512;
/// Two flows have a socket on each side, and between them one idle connection to an origin (`Origins::new`).
const PER_TWO_FLOWS: u64 = 5;
/// And where datagrams have doors, one flow of them, which has a socket towards its origin (`gateway::datagram`).
const DATAGRAMS_PER_TWO_FLOWS: u64 = 1;
/// One descriptor in so many may be an end of a pipe that a tunnel's bytes pass through; without one they are copied.
const PIPES_PART: u64 = 32;
/// Fewer than that is no gateway.
const FLOWS_MIN: usize = 8;

/// Raises the soft limit to the hard one, and lowers the number of flows to what fits, with a word about it: running
/// out of descriptors in the middle of traffic hits whoever comes next, a limit hits who has most.
pub fn fit(config: &mut Config) {
    let reserved = RESERVED + if config.listen.dns.is_empty() { 0 } else { NAMES };
    let per_two_flows =
        PER_TWO_FLOWS + if config.listen.transparent_udp.is_empty() { 0 } else { DATAGRAMS_PER_TWO_FLOWS };
    let limits = &mut config.limits;
    let given = getrlimit(Resource::Nofile);
    if given.current != given.maximum {
        // Where that is refused, what was given is what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: given.maximum, maximum: given.maximum });
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return };
    let pipes = relay::allow_pipes(usize::try_from(descriptors / PIPES_PART / 2).unwrap_or(usize::MAX)) as u64;
    let room = descriptors.saturating_sub(reserved + 2 * pipes) * 2 / per_two_flows;
    let room = usize::try_from(room).unwrap_or(usize::MAX).max(FLOWS_MIN);
    if limits.flows > room {
        tracing::warn!(
            flows = room,
            configured = limits.flows,
            descriptors,
            "fewer flows than `[limits] flows` fit into this process: raise `LimitNOFILE=` of the service"
        );
        limits.flows = room;
    }
}
