//! The way to an origin: resolve the name, guard and judge its addresses, write the intent, dial.
//!
//! Each step hands on exactly what the next may use: no dial without a [`DialPermit`], which policy gives for an
//! address; no dial before both intents are in the journal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{Access, ConnectionRecord, Ending, Host};
use crate::accesslog::{AccessLog, AppendError};
use crate::origin::{self, DialError, Guarded, OriginStream, ResolveError};
use crate::policy::DialPermit;
use crate::relay::Counts;

use super::answer::Failure;
use super::connection::ClientConnection;
use super::flows::{AccessFlow, ConnectionFlow};
use super::record::{Judgement, access_record, connection_record};
use super::{Snapshot, judge};

/// Addresses of the origin, all of which may be dialled.
pub struct Way {
    addresses: Vec<SocketAddr>,
    permit: DialPermit,
}

/// Why there is no way.
pub enum NoWay {
    Refused(Box<Judgement>),
    /// Every address is one that nobody reaches through a gateway: ourselves, loopback, link-local…
    Guarded(SocketAddr, Guarded),
    Unresolved(ResolveError),
    Undialled(DialError),
    /// The journal takes no record: an access that could not be traced is not forwarded.
    Untraceable,
}

impl NoWay {
    /// The word for it in the log.
    pub fn ending(&self) -> Ending {
        match self {
            NoWay::Refused(_) | NoWay::Guarded(..) => Ending::Answered,
            NoWay::Unresolved(ResolveError::TimedOut) => Ending::TimedOut,
            NoWay::Unresolved(_) => Ending::OriginUnreachable,
            NoWay::Undialled(error) if error.timed_out() => Ending::TimedOut,
            NoWay::Undialled(_) => Ending::OriginUnreachable,
            NoWay::Untraceable => Ending::Failed,
        }
    }

    /// What the person is told; a refusal has a page of its own.
    pub fn failure(&self) -> Failure {
        match self {
            NoWay::Refused(_) | NoWay::Guarded(..) => Failure::AddressGuarded,
            NoWay::Unresolved(ResolveError::NoSuchName | ResolveError::NoAddress) => Failure::NameUnknown,
            NoWay::Unresolved(ResolveError::ServerFailed | ResolveError::TimedOut) => Failure::ResolverSilent,
            NoWay::Undialled(error) if error.timed_out() => Failure::OriginTimedOut,
            NoWay::Undialled(_) => Failure::OriginUnreachable,
            NoWay::Untraceable => Failure::NotRecorded,
        }
    }
}

/// Resolves the access's host and keeps the addresses that guard and policy let pass. The access's address is then the
/// one that is tried first.
pub async fn find(connection: &ClientConnection, snapshot: &Snapshot, access: &mut Access) -> Result<Way, NoWay> {
    let resolved = match &access.target.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => connection.gateway.resolver.resolve(name).await.map_err(NoWay::Unresolved)?,
    };
    let mut addresses = Vec::with_capacity(resolved.len());
    let mut permitted = None;
    let mut obstacle = None;
    for ip in resolved {
        let at = SocketAddr::new(ip, access.target.port);
        if let Err(guarded) = snapshot.guard.check(at) {
            obstacle.get_or_insert(NoWay::Guarded(at, guarded));
            continue;
        }
        match judge::address(snapshot, access, ip) {
            Ok(permit) => {
                permitted.get_or_insert(permit);
                addresses.push(at);
            }
            Err(judgement) => obstacle = Some(NoWay::Refused(judgement)),
        }
    }
    match (permitted, obstacle) {
        (Some(permit), _) => {
            access.target.address = addresses.first().map(SocketAddr::ip);
            Ok(Way { addresses, permit })
        }
        (None, Some(obstacle)) => Err(obstacle),
        (None, None) => Err(NoWay::Unresolved(ResolveError::NoAddress)),
    }
}

/// The record of a connection that is about to be dialled, open in the journal.
pub struct ConnectionIntent {
    pub flow: ConnectionFlow,
    log: AccessLog,
    /// Of its row; 0 for a help-line, which nothing joins.
    pub sequence: u64,
}

/// Writes the intent of joining the client's connection with an origin's.
pub fn write_connection_intent(
    connection: &ClientConnection,
    access: &Access,
    judgement: &Judgement,
    way: &Way,
) -> Result<ConnectionIntent, NoWay> {
    let gateway = &connection.gateway;
    let origin = way.addresses.first().copied();
    let mut record = connection_record(&gateway.log, &access.client, Some(judgement), connection.started, origin);
    record.protocol = access.target.protocol;
    connection.is_recorded();
    let log = gateway.log.clone();
    match gateway.log.begin_connection(&record) {
        Ok(open) => {
            let sequence = if judgement.duties.help_line { 0 } else { open.sequence() };
            let flow = gateway.connections.enter(open, record, Arc::default());
            Ok(ConnectionIntent { flow, log, sequence })
        }
        Err(error) => {
            gateway.log.pass_unwritten(&record, error).map_err(|error| untraceable(&error))?;
            Ok(ConnectionIntent { flow: gateway.connections.untraced(Arc::default()), log, sequence: 0 })
        }
    }
}

/// Writes the intent of an access that goes over a connection which has its own.
pub fn write_access_intent(
    connection: &ClientConnection,
    access: &Access,
    judgement: &Judgement,
    sequence: u64,
    counts: Arc<Counts>,
) -> Result<AccessFlow, NoWay> {
    let gateway = &connection.gateway;
    let record = access_record(&gateway.log, access, judgement, sequence);
    match gateway.log.begin_access(&record) {
        Ok(open) => Ok(gateway.accesses.enter(open, record, counts)),
        Err(error) => {
            gateway.log.pass_unwritten(&record, error).map_err(|error| untraceable(&error))?;
            Ok(gateway.accesses.untraced(counts))
        }
    }
}

fn untraceable(error: &AppendError) -> NoWay {
    tracing::error!(%error, "the journal takes no record: accesses are refused until it does");
    NoWay::Untraceable
}

/// Dials as soon as the intents are as durable as the configuration wants them, and notes both ends in the connection's record.
pub async fn dial(way: Way, intent: &ConnectionIntent, limit: Duration) -> Result<OriginStream, NoWay> {
    intent.log.before_traffic().await.map_err(|error| untraceable(&error))?;
    let stream = origin::dial(way.permit, &way.addresses, limit).await.map_err(NoWay::Undialled)?;
    let (peer, local) = (stream.peer, stream.local);
    intent.flow.amend(|record: &mut ConnectionRecord| {
        record.origin_address = Some(peer.ip());
        record.origin_port = Some(peer.port());
        record.outward_address = Some(local.ip());
        record.outward_port = Some(local.port());
        record.strip_if_help_line();
    });
    Ok(stream)
}
