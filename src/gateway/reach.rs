//! Dials the way that was found; where a parent proxy stands in it and is away, perhaps the other one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::access::{Access, ConnectionRecord, Flags, Scheme};
use crate::origin::{self, OriginStream, Parent, TunnelError};

use super::connection::ClientConnection;
use super::flows::AccessFlow;
use super::intent::ConnectionIntent;
use super::way::{self, NoWay, Via, Way};
use super::{Snapshot, transparent};

/// A parent proxy that may be passed by has this part of the time for dialling, the origin the rest.
const PARENTS_PART: u32 = 3;

/// A connection to an origin, or to the parent proxy that speaks for it.
pub struct Reached {
    pub stream: OriginStream,
    pub parent: Option<Arc<Parent>>,
    /// Whether requests are the parent proxy's to read: no tunnel leads through it.
    pub absolute_form: bool,
}

/// Dials as soon as the intents are durable, and notes both ends in the connection's record. The access's address is then the one that answered.
pub async fn reach(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    access: &mut Access,
    way: Way,
    (flow, intent): (&AccessFlow, &ConnectionIntent),
) -> Result<Reached, NoWay> {
    intent.is_durable().await?;
    let limit = snapshot.config.limits.dial;
    let source = transparent::source(connection, snapshot);
    let flag = |flag: Flags| {
        flow.amend(|record| record.flags.insert(flag));
        intent.flow.amend(|record| record.flags.insert(flag));
    };
    let parent = match &way.via {
        Via::Parent(parent) => parent.clone(),
        Via::AroundParent => {
            flag(Flags::FAILED_OPEN);
            return reach_origin(connection, access, way, intent, (source, limit)).await;
        }
        Via::Nobody => return reach_origin(connection, access, way, intent, (source, limit)).await,
    };
    let parents = if parent.may_be_passed_by() { limit / PARENTS_PART } else { limit };
    match reach_parent(connection, access, way, &parent, intent, parents).await {
        Err(NoWay::ParentAway(_)) if parent.may_be_passed_by() => {
            flag(Flags::FAILED_OPEN);
            let way = way::find_origin(connection, snapshot, access, Via::AroundParent).await?;
            reach_origin(connection, access, way, intent, (source, limit - parents)).await
        }
        Err(no_way) => {
            if let NoWay::ParentAway(_) = no_way {
                flag(Flags::FAILED_CLOSED);
            }
            Err(no_way)
        }
        reached => reached,
    }
}

async fn reach_origin(
    connection: &ClientConnection,
    access: &mut Access,
    way: Way,
    intent: &ConnectionIntent,
    (source, limit): (Option<IpAddr>, Duration),
) -> Result<Reached, NoWay> {
    let memory = &connection.gateway.memory;
    let stream = origin::dial(way.permit, &way.addresses, source, limit, memory).await.map_err(NoWay::Undialled)?;
    note_ends(intent, stream.peer, stream.local);
    access.target.address = Some(stream.peer.ip());
    Ok(Reached { stream, parent: None, absolute_form: false })
}

async fn reach_parent(
    connection: &ClientConnection,
    access: &Access,
    way: Way,
    parent: &Arc<Parent>,
    intent: &ConnectionIntent,
    limit: Duration,
) -> Result<Reached, NoWay> {
    let memory = &connection.gateway.memory;
    let mut stream = origin::dial(way.permit, &way.addresses, None, limit, memory).await.map_err(|error| {
        parent.cannot_be_reached(&error);
        NoWay::ParentAway(error)
    })?;
    parent.is_back();
    note_ends(intent, stream.peer, stream.local);
    let target = &access.target;
    if target.scheme == Scheme::Http {
        return Ok(Reached { stream, parent: Some(parent.clone()), absolute_form: true });
    }
    match parent.open_tunnel(&mut stream.stream, &target.host, target.port, limit).await {
        Ok(()) => Ok(Reached { stream, parent: Some(parent.clone()), absolute_form: false }),
        Err(error) => {
            tracing::debug!(%error, "the parent proxy opens no tunnel");
            if let TunnelError::Denied = error {
                parent.denies_us();
            }
            Err(NoWay::ParentRefused(error))
        }
    }
}

/// Both ends of an origin's connection: its own, and our outward one.
pub fn note_ends(intent: &ConnectionIntent, peer: SocketAddr, local: SocketAddr) {
    intent.flow.amend(|record: &mut ConnectionRecord| {
        record.origin_address = Some(peer.ip());
        record.origin_port = Some(peer.port());
        record.outward_address = Some(local.ip());
        record.outward_port = Some(local.port());
        record.strip_if_help_line();
    });
}
