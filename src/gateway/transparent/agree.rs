//! Whether the name that a client says has the address that it dialled.
//!
//! A client that says `allowed.example` and dials somebody else would be judged by a name that it does not reach. So we
//! resolve the name ourselves: where the address dialled is among the answers, or our own DNS gave it to this client for
//! this name, it is dialled; else `[transparent] origin_mismatch` says what is. Sites behind many addresses (CDNs) answer
//! each question differently; by default they are reached all the same, at an address of our own answer.

use std::net::SocketAddr;

use crate::access::{Access, Host, Target};
use crate::config::OriginMismatch;
use crate::origin::ResolveError;

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
    // However our resolver answers now: nobody is asked.
    let was_given = |name| gateway.was_given(access.client.address, name, dialled.ip());
    if target.port == dialled.port() && target.host.name().is_some_and(was_given) {
        return Ok(vec![dialled]);
    }
    let resolved = resolve(gateway, target, dialled).await.map_err(NoWay::Unresolved)?;
    match agree(snapshot.config.transparent.origin_mismatch, dialled, resolved) {
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

/// Where the family that the client dialled has addresses, the other one is not waited for: it would change nothing.
async fn resolve(gateway: &Gateway, target: &Target, dialled: SocketAddr) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Host::Name(name) = &target.host {
        let of_family = gateway.resolver.resolve_family(name, dialled.is_ipv4()).await;
        if !of_family.is_empty() {
            return Ok(of_family.into_iter().map(|ip| SocketAddr::new(ip, target.port)).collect());
        }
    }
    way::resolve(gateway, &target.host, target.port).await
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

fn agree(policy: OriginMismatch, dialled: SocketAddr, resolved: Vec<SocketAddr>) -> Agreed {
    if resolved.contains(&dialled) {
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
        agree(policy, dialled.parse().unwrap(), at(resolved))
    }

    #[test]
    fn an_address_that_the_name_has_is_dialled_whatever_the_policy() {
        for policy in POLICIES {
            let resolved = ["192.0.2.1:443", "192.0.2.2:443"];
            assert_eq!(agreed(policy, "192.0.2.2:443", &resolved), Agreed::Same);
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
