//! One client connection, from accept to close.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ::http::{HeaderMap, Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::access::{Client, Ending, Flags, Host, Timestamp};
use crate::config::Limits;
use crate::framing::{Fault, FramingLimits};
use crate::identity::{self, Occupant};
use crate::listen::{Accepted, ListenerKind};

use super::allowances::{Standing, Taken};
use super::answer::Failure;
use super::body::ReplyBody;
use super::client_io::{ClientIo, Deadlines};
use super::client_row::ClientRow;
use super::ends::ClientEnd;
use super::origins::Origins;
use super::phase::Phase;
use super::record::connection_record;
use super::reply::Reply;
use super::{Gateway, Snapshot, http, own_pages, transparent, tunnel};

/// What belongs to one client connection for as long as it lasts.
pub struct ClientConnection {
    pub gateway: Arc<Gateway>,
    pub client: SocketAddr,
    /// Our end: the address and port a client uses for a proxy.
    pub local: SocketAddr,
    pub origins: Origins,
    pub phase: Phase,
    /// Its part of what its client may have.
    pub taken: Arc<Taken>,
    /// Inside a tunnel, or TLS that was opened.
    pub inside: Option<Inside>,
    /// Where the client wanted to go, when the network brought it here instead.
    pub dialled: Option<Destination>,
    pub started: Timestamp,
    /// Which row of the stream of connections stands for it.
    pub row: ClientRow,
}

impl ClientConnection {
    /// Who the client is, asked for each access: an address may change person.
    pub fn identify(&self, snapshot: &Snapshot) -> Client {
        let occupant = |address| {
            let (person, groups) = snapshot.rules.people().occupant(address)?;
            Some(Occupant { person: person.clone(), groups: groups.to_vec() })
        };
        identity::identify(&occupant, self.client)
    }

    /// A connection that reached no origin has a row of its own.
    pub fn close(&self, ending: Ending) {
        let Some(number) = self.row.left(&self.gateway.log) else { return };
        let snapshot = self.gateway.snapshot();
        let client = self.identify(&snapshot);
        let mut record = connection_record(&self.gateway.log, &client, None, self.started, None);
        record.end = self.gateway.clock.now();
        record.ending = ending;
        if self.dialled.is_some_and(|dialled| dialled.no_dns) {
            record.flags.insert(Flags::NO_DNS);
        }
        record.strip_if_help_line();
        if let Err(error) = self.gateway.log.append_promised(number, &record) {
            tracing::error!(%error, "a client's connection could not be written to the journal");
        }
    }
}

/// Where a client wanted to go, when the network brought it here instead.
#[derive(Debug, Clone, Copy)]
pub struct Destination {
    pub at: SocketAddr,
    /// Our DNS, which this client may ask, did not give it that address. Said once: a long connection outlives its answer.
    pub no_dns: bool,
}

impl Destination {
    pub fn of(gateway: &Gateway, client: IpAddr, at: SocketAddr) -> Self {
        Destination { at, no_dns: gateway.is_round_dns(&gateway.snapshot(), client, at.ip()) }
    }
}

/// Serves a client until it leaves, its connection becomes a tunnel, or a limit ends it.
pub async fn serve(gateway: Arc<Gateway>, accepted: Accepted) {
    let limits = gateway.snapshot().config.limits;
    let taken = Arc::new(gateway.allowances.take(accepted.client.ip(), &limits));
    let ends = (accepted.client, accepted.local);
    let origins = Origins::new(&gateway.idle_links, limits.flows);
    let dialled = accepted.original.map(|original| Destination::of(&gateway, accepted.client.ip(), original.0));
    let connection = Opened { gateway, ends, taken, origins, row: ClientRow::default(), inside: None, dialled };
    match accepted.listener {
        ListenerKind::TransparentTls(_) => transparent::serve(connection, accepted.stream, limits).await,
        _ => connection.serve(accepted.stream.into(), Bytes::new(), &limits).await,
    }
}

/// What a client's HTTP is inside of.
#[derive(Debug)]
pub struct Inside {
    /// The name and port that the client asked it for.
    pub host: Host,
    pub port: u16,
    /// TLS, by a certificate for this host: what is asked for another is not for us to answer.
    pub is_opened: bool,
    /// Why the origin is not believed; then nothing goes there, and the client is told.
    pub distrust: Option<Failure>,
}

/// A connection of HTTP that is about to be served.
pub struct Opened {
    pub gateway: Arc<Gateway>,
    /// The client's end, and ours.
    pub ends: (SocketAddr, SocketAddr),
    pub taken: Arc<Taken>,
    pub origins: Origins,
    pub row: ClientRow,
    pub inside: Option<Inside>,
    pub dialled: Option<Destination>,
}

impl Opened {
    /// [`Opened::serve`] for who is himself served: a tunnel's inside.
    pub fn serve_boxed(
        self,
        stream: ClientEnd,
        early: Bytes,
        limits: Limits,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.serve(stream, early, &limits).await })
    }

    /// Serves it to its end; `early` is what was read of it already.
    pub async fn serve(self, stream: ClientEnd, early: Bytes, limits: &Limits) {
        let framing = FramingLimits { head_bytes: limits.header_bytes, fields: limits.header_fields };
        // Who is here only to be told so is not waited for as long as the others.
        let within = self.taken.standing == Standing::Within;
        let idle = if within { limits.keep_alive } else { limits.keep_alive.min(limits.header) };
        let deadlines = Deadlines { idle, head: limits.header, pace: limits.pace };
        let (io, phase) = ClientIo::new(stream, early, framing, deadlines);
        let connection = Arc::new(self.connection(phase));
        if connection.taken.standing == Standing::FarOver {
            return connection.turn_away();
        }
        let ending = match serve_http(&connection, io, limits).await {
            Ok(()) => Ending::Complete,
            Err(error) if error.is_parse() => Ending::ClientInvalid,
            Err(error) if error.is_timeout() || is_timed_out(&error) => Ending::TimedOut,
            Err(_) => Ending::ClientClosed,
        };
        connection.close(connection.phase.ending().unwrap_or(ending));
    }

    pub fn connection(self, phase: Phase) -> ClientConnection {
        ClientConnection {
            client: self.ends.0,
            local: self.ends.1,
            origins: self.origins,
            phase,
            taken: self.taken,
            started: self.gateway.clock.now(),
            row: self.row,
            inside: self.inside,
            dialled: self.dialled,
            gateway: self.gateway,
        }
    }
}

/// hyper's own limit of fields. The framer holds ours; telling hyper of another costs each request a filled table.
pub const HYPER_FIELDS: usize = 100;

async fn serve_http(connection: &Arc<ClientConnection>, io: ClientIo, limits: &Limits) -> Result<(), hyper::Error> {
    let mut draining = connection.gateway.draining.subscribe();
    let service = {
        let connection = connection.clone();
        service_fn(move |request| {
            let connection = connection.clone();
            async move { Ok::<_, Infallible>(answer(connection, request).await) }
        })
    };
    let mut builder = http1::Builder::new();
    if limits.header_fields > HYPER_FIELDS {
        builder.max_headers(limits.header_fields);
    }
    let served = builder
        .preserve_header_case(true)
        .auto_date_header(false)
        .half_close(true)
        .max_buf_size(limits.header_bytes.max(8192))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    loop {
        tokio::select! {
            result = &mut served => return result,
            () = super::drain_begins(&mut draining) => {
                served.as_mut().graceful_shutdown();
                return served.await;
            }
            // Others wait for a place: who asks nothing gives its own.
            () = connection.gateway.place_wanted.notified() => {
                if connection.phase.is_idle() {
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn answer(connection: Arc<ClientConnection>, request: Request<Incoming>) -> Response<ReplyBody> {
    if let Some(obstacle) = connection.obstacle() {
        // Help-lines pass in every mode.
        if obstacle.unread || !http::asks_help_line(&connection, &request) {
            return http::turn_down(&connection, &request, obstacle);
        }
    }
    match *request.method() {
        // A tunnel within a tunnel would have no row that names where it leads.
        // Nor does one to a proxy that the client believes somewhere else.
        Method::CONNECT if connection.inside.is_some() || connection.dialled.is_some() => {
            let obstacle = Obstacle { failure: Failure::Unsupported, unread: false, closes: true };
            http::turn_down(&connection, &request, obstacle)
        }
        Method::CONNECT => tunnel::connect(&connection, request).await,
        _ => http::exchange(&connection, request).await,
    }
}

/// Why a request is answered before anybody looks at what it asks.
#[derive(Debug, Clone, Copy)]
pub struct Obstacle {
    pub failure: Failure,
    /// The request that hyper read is not the client's: it stands in place of one that was faulty.
    pub unread: bool,
    /// Nothing more is heard on this connection.
    pub closes: bool,
}

impl ClientConnection {
    pub fn obstacle(&self) -> Option<Obstacle> {
        if let Some(fault) = self.phase.take_fault() {
            tracing::debug!(client = %self.client, %fault, "a request is turned down");
            return Some(Obstacle { failure: failure_of(fault), unread: true, closes: true });
        }
        let closes = match self.taken.standing {
            Standing::Within => None,
            Standing::ClientOver => Some(Failure::TooManyConnections),
            Standing::AllOver | Standing::FarOver => Some(Failure::TooBusy),
        };
        if let Some(failure) = closes {
            return Some(Obstacle { failure, unread: false, closes: true });
        }
        let failure = if !self.taken.may_ask() {
            Failure::TooManyRequests
        } else if self.gateway.open_accesses() >= self.gateway.snapshot().config.limits.flows {
            Failure::TooBusy
        } else {
            return None;
        };
        Some(Obstacle { failure, unread: false, closes: false })
    }

    /// Closes a connection that is far beyond the limits without an answer; its row counts with its like.
    pub fn turn_away(&self) {
        // No goodbye either: there are too many of them.
        self.phase.cut();
        let snapshot = self.gateway.snapshot();
        let reply = Reply::new(&self.gateway, &snapshot, &HeaderMap::new());
        let access = own_pages::access_of_nothing(self, &snapshot, "");
        // Its row counts it with its like, and stands for the connection too: a flood is not to fill the journal.
        drop(reply.failed(&access, Failure::TooManyConnections, Ending::OverLimit));
    }
}

/// What the person is told of a fault.
fn failure_of(fault: Fault) -> Failure {
    match fault {
        Fault::TooSlow => Failure::RequestTimedOut,
        Fault::HeadTooLarge | Fault::TooManyFields => Failure::RequestTooLarge,
        Fault::TargetTooLong => Failure::TargetTooLong,
        Fault::Version => Failure::VersionUnknown,
        Fault::Coding => Failure::Unsupported,
        Fault::Expectation => Failure::ExpectationUnknown,
        _ => Failure::RequestUnreadable,
    }
}

/// Our own deadlines reach hyper as errors of the stream.
fn is_timed_out(error: &dyn std::error::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::TimedOut;
        }
        source = error.source();
    }
    false
}
