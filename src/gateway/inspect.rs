//! A connection of TLS that policy wants opened.
//!
//! The origin is verified before the client hears anything: what a browser would warn of becomes a page of ours that says
//! so, never a certificate that looks good. Then the client is shown a certificate for the one name that it asked for, and
//! what it sends inside is framed, judged, written down and forwarded like HTTP in clear, request by request, over the
//! connection that it has and over others that are verified like the first.
//!
//! Where clients do not believe the certificate, that is learned ([`crate::tls::Pinned`]).

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::StatusCode;
use tokio::net::TcpStream;

use crate::access::{Access, Ending, Host};
use crate::detect::{Alpn, Prefixed, Signature, TlsVersion};
use crate::metrics::METRICS;
use crate::policy::RelayPermit;
use crate::relay::Side;
use crate::tls::{self, ClientFault, ConnectError, Distrust};

use super::allowances::Taken;
use super::answer::Failure;
use super::client_row::ClientRow;
use super::connection::{ClientConnection, Destination, Inside, Opened};
use super::ends::{End, OriginEnd};
use super::judge::CanOpen;
use super::origins::{Far, Link, Origins};
use super::reach::Reached;
use super::tunnel::Intents;
use super::{Gateway, Snapshot, parting};

/// The name that a client expects a certificate for.
pub fn named(access: &Access) -> Host {
    access.target.other_name.clone().map_or_else(|| access.target.host.clone(), Host::Name)
}

/// Whether this gateway could open a flow of TLS that policy wants opened.
pub fn can_open(gateway: &Gateway, snapshot: &Snapshot, access: &Access, signature: &Signature) -> CanOpen {
    let named = named(access);
    match &snapshot.inspection {
        Some(inspection)
            if speaks_ours(signature)
                && inspection.mint.may_sign(&named)
                && !gateway.pinned.is_pinned(&named, gateway.clock.now()) =>
        {
            CanOpen::Yes
        }
        _ => CanOpen::No,
    }
}

/// Whether a client can speak TLS and HTTP as we do: HTTP/1.1, TLS 1.2 and later.
fn speaks_ours(signature: &Signature) -> bool {
    let http = signature.alpn.is_empty() || signature.alpn.contains(Alpn::Http11);
    http && signature.version.is_none_or(|version| version >= TlsVersion::Tls12)
}

/// What the client is told of an origin that is not believed, and its ending.
pub fn failure(error: ConnectError) -> (Failure, Ending) {
    match error {
        ConnectError::Untrusted(distrust) => {
            let failure = match distrust {
                Distrust::Expired | Distrust::NotYetValid => Failure::CertificateExpired,
                Distrust::OtherName => Failure::CertificateOfOther,
                Distrust::UnknownIssuer => Failure::CertificateUnknown,
                Distrust::Revoked | Distrust::Malformed => Failure::CertificateBroken,
            };
            (failure, Ending::OriginInvalid)
        }
        ConnectError::HungUp => (Failure::OriginBroken, Ending::OriginClosed),
        ConnectError::Refused => (Failure::OriginBroken, Ending::OriginInvalid),
        ConnectError::TimedOut => (Failure::OriginTimedOut, Ending::TimedOut),
    }
}

/// Shakes hands with an origin that has been dialled for a client whose connection is opened.
pub async fn shake_hands(
    snapshot: &Snapshot,
    permit: &RelayPermit,
    reached: Reached,
    host: &Host,
) -> Result<Far, (Failure, Ending)> {
    // Rules that took the authority away have no way to verify origins either.
    let Some(inspection) = &snapshot.inspection else { return Err((Failure::Ours, Ending::Failed)) };
    let Reached { stream, parent, absolute_form } = reached;
    let limit = snapshot.config.limits.dial;
    match inspection.origins.connect(permit, stream.stream, host, limit).await {
        Ok(tls) => Ok(Far { end: OriginEnd::Opened(Box::new(tls)), peer: stream.peer, parent, absolute_form }),
        Err(error) => {
            tracing::debug!(%host, %error, "an origin is not believed");
            Err(failure(error))
        }
    }
}

/// A flow about to be opened: its origin is dialled, its rows are begun.
pub struct Opening {
    pub gateway: Arc<Gateway>,
    pub snapshot: Arc<Snapshot>,
    /// The client's end, and ours.
    pub ends: (SocketAddr, SocketAddr),
    pub taken: Arc<Taken>,
    pub access: Access,
    pub intents: Intents,
    /// Where the client wanted to go, when the network brought it here instead.
    pub dialled: Option<Destination>,
}

impl Opening {
    /// Of a client that the network brought here.
    pub fn of(connection: ClientConnection, snapshot: Arc<Snapshot>, access: Access, intents: Intents) -> Self {
        let ClientConnection { gateway, client, local, taken, dialled, .. } = connection;
        Opening { gateway, snapshot, ends: (client, local), taken, access, intents, dialled }
    }

    /// Opens it and serves what is inside, to its end.
    pub async fn open(self, permit: RelayPermit, client: Side<TcpStream>, origin: Reached) {
        let Opening { gateway, snapshot, ends, taken, access, mut intents, dialled } = self;
        let limits = snapshot.config.limits;
        let host = named(&access);
        let far = shake_hands(&snapshot, &permit, origin, &host).await;
        drop(permit);
        let server = snapshot.inspection.as_ref().and_then(|i| i.mint.server(&host, gateway.clock.now()).ok());
        let Some(server) = server else {
            intents.end(Ending::Failed);
            return parting::hang_up(client.stream);
        };
        let stream = match tls::accept(Prefixed::new(client.first, client.stream), server, limits.header).await {
            Ok(stream) => stream,
            Err(fault) => {
                let now = gateway.clock.now();
                let refuses = fault == ClientFault::RefusesCertificate;
                if refuses && gateway.pinned.failed(&host, access.client.address, now) {
                    METRICS.hosts_pinned.add(1);
                    tracing::warn!(%host, "clients do not believe our certificate for this host: it is not opened for a day");
                }
                intents.end(match fault {
                    ClientFault::RefusesCertificate => Ending::ClientClosed,
                    ClientFault::TimedOut => Ending::TimedOut,
                    ClientFault::Invalid => Ending::ClientInvalid,
                });
                return;
            }
        };
        METRICS.connections_inspected.add(1);
        let status = (&*access.method == "CONNECT").then_some(StatusCode::OK.as_u16());
        let Intents { access: flow, connection } = intents;
        flow.finish(status, Ending::Complete);
        let origins = Origins::new(&gateway.idle_links, limits.flows);
        let row = ClientRow::of_tunnel(connection.sequence);
        let mut inside = Inside { host: host.clone(), port: access.target.port, is_opened: true, distrust: None };
        match far {
            Ok(far) => {
                let target = crate::access::Target { host, other_name: None, ..access.target };
                if let Ok(link) = Link::open(far, &target, connection, &limits).await {
                    origins.keep(link);
                }
            }
            Err((failure, ending)) => {
                inside.distrust = Some(failure);
                connection.flow.finish(None, ending);
            }
        }
        // Rules that are replaced do not stay in memory for it.
        drop(snapshot);
        let opened = Opened { gateway, ends, taken, origins, row, inside: Some(inside), dialled };
        opened.serve_boxed(End::Opened(Box::new(stream)), bytes::Bytes::new(), limits).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Protocol;
    use crate::detect::AlpnSet;

    #[test]
    fn who_speaks_nothing_that_we_do_is_not_opened() {
        let hello = |version: TlsVersion, offers: &[Alpn]| {
            let mut alpn = AlpnSet::EMPTY;
            offers.iter().for_each(|&offer| alpn.insert(offer));
            Signature { version: Some(version), alpn, ..Signature::of(Protocol::Tls) }
        };
        for (version, offers, ours) in [
            (TlsVersion::Tls13, &[Alpn::H2, Alpn::Http11][..], true),
            (TlsVersion::Tls12, &[], true),
            (TlsVersion::Tls13, &[Alpn::H2], false),
            (TlsVersion::Tls13, &[Alpn::Imap], false),
            (TlsVersion::Tls11, &[], false),
        ] {
            assert_eq!(speaks_ours(&hello(version, offers)), ours, "{version:?} {offers:?}");
        }
    }
}
