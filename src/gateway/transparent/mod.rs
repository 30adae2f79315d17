//! Connections that their clients meant for somebody else.
//!
//! One to port 80 is HTTP and served as a proxy's: each request is judged by its `Host`. Any other is looked into
//! first ([`serve`]): HTTP is served as HTTP, whatever its port; the rest is one access, judged by the name in its first
//! bytes together with the address dialled, and relayed unopened like a tunnel. What the client dialled and what its
//! name resolves to are compared in [`addresses`].
//!
//! Who is silent waits for the other side, so the origin is dialled and both are listened to; nothing goes there before
//! somebody has spoken and policy has heard what.

mod agree;
mod flow;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::access::{Access, Carrier, Ech, Host, HostSource, Target, Visit};
use crate::config::Limits;
use crate::detect::{self, Detected, Signature};
use crate::tasks;

use super::Snapshot;
use super::allowances::Standing;
use super::connection::{ClientConnection, Opened};
use super::parting::hang_up;
use super::phase::Phase;

pub use agree::addresses;
use flow::Flow;

/// Serves a client whose first bytes may be anything.
pub async fn serve(opened: Opened, mut client: TcpStream, limits: Limits) {
    let snapshot = opened.gateway.snapshot.load_full();
    if opened.taken.standing != Standing::Within {
        hang_up(client);
        return opened.connection(Phase::new()).turn_away();
    }
    let passing = match hear(&mut client, snapshot.config.transparent.silence, &limits).await {
        Heard::Words(detected) if detected.signature.protocol.carrier() == Carrier::Http => {
            return opened.serve(client.into(), detected.bytes, &limits).await;
        }
        Heard::Words(detected) => Box::pin(Flow::new(opened, snapshot, client).pass(detected)).await,
        Heard::Silence => Box::pin(Flow::new(opened, snapshot, client).look()).await,
        Heard::Nobody => return Flow::new(opened, snapshot, client).client_left(),
    };
    // In a task of its own: it may last for hours, and this one is large.
    if let Some(passing) = passing {
        tasks::spawn("flow", passing.relay());
    }
}

/// What a client began with.
enum Heard {
    Words(Detected),
    Silence,
    /// It left, or has nothing to say.
    Nobody,
}

async fn hear(client: &mut TcpStream, silence: Duration, limits: &Limits) -> Heard {
    let mut byte = [0];
    match tokio::time::timeout(silence, client.peek(&mut byte)).await {
        Err(_) => Heard::Silence,
        Ok(Ok(0) | Err(_)) => Heard::Nobody,
        Ok(Ok(_)) => listen(client, limits).await.map_or(Heard::Nobody, Heard::Words),
    }
}

/// Reads on from the first byte until the protocol is known; `None` where the client broke off.
async fn listen(client: &mut TcpStream, limits: &Limits) -> Option<Detected> {
    detect::read_first_bytes(client, limits.detect, detect::FIRST_BYTES_MAX).await.ok()
}

/// An access of which nothing is known but the address dialled.
pub fn access_by_address(connection: &ClientConnection, snapshot: &Snapshot) -> Access {
    // Every transparent door knows it.
    let dialled = connection.dialled.map_or(connection.local, |dialled| dialled.at);
    let no_dns = connection.dialled.is_some_and(|dialled| dialled.no_dns);
    let target = Target::tunnel(Host::Address(dialled.ip()), dialled.port());
    let mut access = Access {
        client: Arc::new(connection.identify(snapshot)),
        target: Target { host_source: HostSource::Address, no_dns, ..target },
        method: "".into(),
        visit: Visit::Unknown,
        start: connection.gateway.clock.now(),
    };
    connection.gateway.say_how_sure(&mut access);
    access
}

/// Writes what the first bytes say into an access.
pub fn learn(access: &mut Access, signature: &Signature, ech: Option<Ech>) {
    let target = &mut access.target;
    (target.protocol, target.ech) = (signature.protocol, ech);
    if let Some(sni) = &signature.sni {
        target.host = Host::Name(sni.clone());
        target.host_source = HostSource::Sni;
    }
}

/// The address from which the origin is to be reached, where that is not ours.
pub fn source(connection: &ClientConnection, snapshot: &Snapshot) -> Option<IpAddr> {
    let keeps = snapshot.config.transparent.keep_client_address && connection.dialled.is_some();
    keeps.then(|| connection.client.ip().to_canonical())
}
