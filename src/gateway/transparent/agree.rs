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
    let target = &access.target;
    let resolved = way::resolve(gateway, &target.host, target.port).await.map_err(NoWay::Unresolved)?;
    // However our resolver answers now.
    let was_given = |name| gateway.was_given(access.client.address, name, dialled.ip());
    let was_given = target.port == dialled.port() && target.host.name().is_some_and(was_given);
    match agree(snapshot.config.transparent.origin_mismatch, dialled, resolved, was_given) {
        Agreed::Same => Ok(vec![dialled]),
        Agreed::Elsewhere(addresses) => {
            note_mismatch(access, dialled);
            Ok(addresses)
        }
        Agreed::Despite => {
            note_mismatch(access, dialled);
            access.target.port = dialled.port();
            Ok(vec![dialled])
        }
        Agreed::Refused => {
            note_mismatch(access, dialled);
            let reply = Reply::new(gateway, snapshot, &Default::default());
            Err(NoWay::Refused(Box::new(reply.origin_mismatch(access))))
        }
    }
}

fn note_mismatch(access: &mut Access, dialled: SocketAddr) {
    tracing::debug!(host = %access.target.host, %dialled, "a name does not have the address dialled");
    access.target.mismatch = Some(dialled.ip());
}

/// What becomes of a client that dialled an address and said a name.
#[derive(Debug, PartialEq, Eq)]
enum Agreed {
    /// The name has the address dialled.
    Same,
    /// It has not: these are dialled instead.
    Elsewhere(Vec<SocketAddr>),
    /// It has not, and the address dialled is dialled all the same.
    Despite,
    Refused,
}

/// `was_given`: our own DNS gave the address dialled to this client for this name.
fn agree(policy: OriginMismatch, dialled: SocketAddr, resolved: Vec<SocketAddr>, was_given: bool) -> Agreed {
    if was_given || resolved.contains(&dialled) {
        return Agreed::Same;
    }
    match policy {
        OriginMismatch::DialResolved => Agreed::Elsewhere(of_the_same_family(resolved, dialled)),
        OriginMismatch::Allow => Agreed::Despite,
        OriginMismatch::Refuse => Agreed::Refused,
    }
}

/// The client's network speaks the family that it dialled; the other one is for names that have none of it.
fn of_the_same_family(mut addresses: Vec<SocketAddr>, dialled: SocketAddr) -> Vec<SocketAddr> {
    if addresses.iter().any(|address| address.is_ipv4() == dialled.is_ipv4()) {
        addresses.retain(|address| address.is_ipv4() == dialled.is_ipv4());
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: [OriginMismatch; 3] = [OriginMismatch::DialResolved, OriginMismatch::Allow, OriginMismatch::Refuse];

    fn at(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn agreed(policy: OriginMismatch, dialled: &str, resolved: &[&str]) -> Agreed {
        agree(policy, dialled.parse().unwrap(), at(resolved), false)
    }

    #[test]
    fn an_address_that_the_name_has_is_dialled_whatever_the_policy() {
        for policy in POLICIES {
            let resolved = ["192.0.2.1:443", "192.0.2.2:443"];
            assert_eq!(agreed(policy, "192.0.2.2:443", &resolved), Agreed::Same);
            // So is one that our own DNS gave for it, whatever our resolver answers now.
            let given = agree(policy, "192.0.2.9:443".parse().unwrap(), at(&resolved), true);
            assert_eq!(given, Agreed::Same, "{policy:?}");
        }
    }

    #[test]
    fn an_address_that_the_name_does_not_have_follows_the_policy() {
        let resolved = ["192.0.2.1:443", "192.0.2.2:443"];
        let elsewhere = Agreed::Elsewhere(at(&resolved));
        assert_eq!(agreed(OriginMismatch::DialResolved, "203.0.113.9:443", &resolved), elsewhere);
        assert_eq!(agreed(OriginMismatch::Allow, "203.0.113.9:443", &resolved), Agreed::Despite);
        assert_eq!(agreed(OriginMismatch::Refuse, "203.0.113.9:443", &resolved), Agreed::Refused);
        // Another port of the same machine is another service (`Host: site:8080` on a connection to port 80).
        assert_eq!(agreed(OriginMismatch::Refuse, "192.0.2.1:80", &resolved), Agreed::Refused);
    }

    #[test]
    fn what_is_dialled_instead_is_of_the_family_that_the_client_speaks_where_there_is_one() {
        let both = ["192.0.2.1:443", "[2001:db8::1]:443"];
        let instead = |dialled, resolved: &[&str]| agreed(OriginMismatch::DialResolved, dialled, resolved);
        assert_eq!(instead("203.0.113.9:443", &both), Agreed::Elsewhere(at(&both[..1])));
        assert_eq!(instead("[2001:db8::9]:443", &both), Agreed::Elsewhere(at(&both[1..])));
        assert_eq!(instead("[2001:db8::9]:443", &both[..1]), Agreed::Elsewhere(at(&both[..1])));
    }
}
