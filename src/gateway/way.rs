//! The way to an origin: resolve the name, guard and judge its addresses; or the parent proxy, which does the first.
//!
//! Each step hands on exactly what the next may use: no dial without a [`DialPermit`], which policy gives for an
//! address, or for a name where a parent proxy is to resolve it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::{Access, Ending, Host};
use crate::origin::{DialError, Guarded, Parent, ResolveError, TunnelError};
use crate::policy::DialPermit;

use super::answer::Failure;
use super::connection::ClientConnection;
use super::record::Judgement;
use super::{Gateway, Snapshot, judge, transparent};

/// Addresses to dial, all of which may be.
pub struct Way {
    pub addresses: Vec<SocketAddr>,
    pub permit: DialPermit,
    pub via: Via,
}

impl Way {
    /// The address that is tried first.
    pub fn first(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }
}

/// Through whom.
#[derive(Debug, Clone)]
pub enum Via {
    /// The origin itself.
    Nobody,
    Parent(Arc<Parent>),
    /// The origin itself, since the parent proxy is away.
    AroundParent,
}

impl Via {
    /// As the configuration says for this host, and how the parent proxy fares.
    pub fn of(snapshot: &Snapshot, host: &Host) -> Via {
        match &snapshot.parent {
            Some(parent) if !parent.serves(host) => Via::Nobody,
            Some(parent) if parent.may_be_passed_by() && parent.is_away() => Via::AroundParent,
            Some(parent) => Via::Parent(parent.clone()),
            None => Via::Nobody,
        }
    }

    pub fn parent(&self) -> Option<&Arc<Parent>> {
        match self {
            Via::Parent(parent) => Some(parent),
            Via::Nobody | Via::AroundParent => None,
        }
    }
}

/// Why there is no way.
pub enum NoWay {
    Refused(Box<Judgement>),
    /// Every address is one that nobody reaches through a gateway: ourselves, loopback, link-local…
    Guarded(Guarded),
    Unresolved(ResolveError),
    Undialled(DialError),
    /// The parent proxy cannot be reached.
    ParentAway(DialError),
    /// It can, and opens no tunnel.
    ParentRefused(TunnelError),
    /// The journal takes no record: an access that could not be traced is not forwarded.
    Untraceable,
}

impl NoWay {
    /// The word for it in the log.
    pub fn ending(&self) -> Ending {
        match self {
            NoWay::Refused(_) | NoWay::Guarded(_) => Ending::Answered,
            NoWay::Unresolved(ResolveError::TimedOut) => Ending::TimedOut,
            NoWay::Unresolved(_) => Ending::OriginUnreachable,
            NoWay::Undialled(error) | NoWay::ParentAway(error) if error.timed_out() => Ending::TimedOut,
            NoWay::Undialled(_) | NoWay::ParentAway(_) => Ending::OriginUnreachable,
            NoWay::ParentRefused(TunnelError::TimedOut | TunnelError::Answered(504)) => Ending::TimedOut,
            NoWay::ParentRefused(TunnelError::Answered(_)) => Ending::OriginUnreachable,
            NoWay::ParentRefused(TunnelError::HungUp(_)) => Ending::OriginClosed,
            NoWay::ParentRefused(TunnelError::Invalid) => Ending::OriginInvalid,
            NoWay::ParentRefused(TunnelError::Denied) | NoWay::Untraceable => Ending::Failed,
        }
    }

    /// What the person is told; a refusal has a page of its own.
    pub fn failure(&self) -> Failure {
        match self {
            NoWay::Refused(_) | NoWay::Guarded(_) => Failure::AddressGuarded,
            NoWay::Unresolved(ResolveError::NoSuchName | ResolveError::NoAddress) => Failure::NameUnknown,
            NoWay::Unresolved(ResolveError::ServerFailed | ResolveError::TimedOut) => Failure::ResolverSilent,
            NoWay::Undialled(error) | NoWay::ParentAway(error) if error.timed_out() => Failure::OriginTimedOut,
            NoWay::Undialled(_) | NoWay::ParentAway(_) => Failure::OriginUnreachable,
            NoWay::ParentRefused(TunnelError::TimedOut | TunnelError::Answered(504)) => Failure::OriginTimedOut,
            NoWay::ParentRefused(TunnelError::Answered(_)) => Failure::OriginUnreachable,
            NoWay::ParentRefused(TunnelError::HungUp(_) | TunnelError::Invalid) => Failure::OriginBroken,
            // The credentials are ours.
            NoWay::ParentRefused(TunnelError::Denied) => Failure::Ours,
            NoWay::Untraceable => Failure::NotRecorded,
        }
    }
}

/// The way that the configuration says.
pub async fn find(connection: &ClientConnection, snapshot: &Snapshot, access: &mut Access) -> Result<Way, NoWay> {
    match Via::of(snapshot, &access.target.host) {
        Via::Parent(parent) => find_parent(connection, snapshot, access, parent).await,
        via => find_origin(connection, snapshot, access, via).await,
    }
}

/// Resolves the access's host and keeps the addresses that guard and policy let pass. The access's address is then the
/// one that is tried first.
pub async fn find_origin(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    access: &mut Access,
    via: Via,
) -> Result<Way, NoWay> {
    let gateway = &connection.gateway;
    let safe = gateway.safe_name(snapshot, access);
    let resolved = match (connection.dialled, &safe) {
        // What the client dialled says nothing of where a search engine filters.
        (Some(dialled), None) => transparent::addresses(gateway, snapshot, access, dialled.at).await?,
        _ => {
            let named = safe.as_ref().unwrap_or(&access.target.host);
            resolve(gateway, named, access.target.port).await.map_err(NoWay::Unresolved)?
        }
    };
    let mut addresses = Vec::with_capacity(resolved.len());
    let mut permitted = None;
    let mut obstacle = None;
    for at in resolved {
        if let Err(guarded) = snapshot.guard.check(at) {
            obstacle.get_or_insert(NoWay::Guarded(guarded));
            continue;
        }
        match judge::address(snapshot, access, at.ip()) {
            Ok(permit) => {
                permitted.get_or_insert(permit);
                addresses.push(at);
            }
            Err(judgement) => obstacle = Some(NoWay::Refused(judgement)),
        }
    }
    match (permitted, obstacle) {
        (Some(permit), _) => {
            let way = Way { addresses: gateway.memory.order(&addresses), permit, via };
            access.target.address = way.first().map(|at| at.ip());
            Ok(way)
        }
        (None, Some(obstacle)) => Err(obstacle),
        (None, None) => Err(NoWay::Unresolved(ResolveError::NoAddress)),
    }
}

/// The parent proxy resolves the name: guard and policy judge what the client asked for, a name or an address.
async fn find_parent(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    access: &mut Access,
    parent: Arc<Parent>,
) -> Result<Way, NoWay> {
    let permit = match access.target.host.clone() {
        Host::Address(address) => {
            snapshot.guard.check(SocketAddr::new(address, access.target.port)).map_err(NoWay::Guarded)?;
            judge::address(snapshot, access, address)
        }
        Host::Name(name) => {
            snapshot.guard.check_name(&name).map_err(NoWay::Guarded)?;
            judge::unresolved(snapshot, access)
        }
    }
    .map_err(NoWay::Refused)?;
    let gateway = &connection.gateway;
    // Without an address it cannot be reached, and is then treated so: the intent comes first.
    let mut addresses = resolve(gateway, parent.host(), parent.port()).await.unwrap_or_default();
    addresses.retain(|address| match snapshot.guard.check_not_ourselves(*address) {
        Ok(()) => true,
        Err(_) => {
            parent.is_ourselves();
            false
        }
    });
    Ok(Way { addresses: gateway.memory.order(&addresses), permit, via: Via::Parent(parent) })
}

pub async fn resolve(gateway: &Gateway, host: &Host, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let addresses = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => gateway.resolver.resolve(name).await?,
    };
    Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}
