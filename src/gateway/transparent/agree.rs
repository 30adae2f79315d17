//! Whether the name that a client says has the address that it dialled.
//!
//! A client that says `allowed.example` and dials somebody else would be judged by a name that it does not reach. So we
//! resolve the name ourselves: where the address dialled is among the answers, or our own DNS gave it to this client for
//! this name, it is dialled; else `[transparent] origin_mismatch` says what is. Sites behind many addresses (CDNs) answer
//! each question differently; by default they are reached all the same, at an address of our own answer.

use std::net::SocketAddr;

use crate::access::Access;
use crate::config::OriginMismatch;

use super::super::reply::Reply;
use super::super::way::{self, NoWay};
use super::super::{Gateway, Snapshot};

/// The addresses to dial, not yet judged, for a client that dialled one itself; notes in the access where they differ.
pub async fn addresses(
    gateway: &Gateway,
    snapshot: &Snapshot,
    access: &mut Access,
    dialled: SocketAddr,
) -> Result<Vec<SocketAddr>, NoWay> {
    // A connection to one of our own doors is a loop, or somebody who tries.
    snapshot.guard.check(dialled).map_err(NoWay::Guarded)?;
    let target = &mut access.target;
    let resolved = way::resolve(gateway, &target.host, target.port).await.map_err(NoWay::Unresolved)?;
    // However our resolver answers now.
    let was_given = |name| gateway.was_given(access.client.address, name, dialled.ip());
    if resolved.contains(&dialled) || (target.port == dialled.port() && target.host.name().is_some_and(was_given)) {
        return Ok(vec![dialled]);
    }
    tracing::debug!(host = %target.host, %dialled, "a name does not have the address dialled");
    target.mismatch = Some(dialled.ip());
    match snapshot.config.transparent.origin_mismatch {
        OriginMismatch::DialResolved => Ok(of_the_same_family(resolved, dialled)),
        OriginMismatch::Allow => {
            target.port = dialled.port();
            Ok(vec![dialled])
        }
        OriginMismatch::Refuse => {
            let reply = Reply::new(gateway, snapshot, &Default::default());
            Err(NoWay::Refused(Box::new(reply.origin_mismatch(access))))
        }
    }
}

/// The client's network speaks the family that it dialled; the other one is for names that have none of it.
fn of_the_same_family(mut addresses: Vec<SocketAddr>, dialled: SocketAddr) -> Vec<SocketAddr> {
    if addresses.iter().any(|address| address.is_ipv4() == dialled.is_ipv4()) {
        addresses.retain(|address| address.is_ipv4() == dialled.is_ipv4());
    }
    addresses
}
