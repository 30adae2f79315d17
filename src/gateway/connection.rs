//! One client connection, from accept to close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::access::{Client, Ending, Timestamp};
use crate::identity::{self, Occupant};
use crate::listen::Accepted;
use crate::metrics::METRICS;

use super::body::ReplyBody;
use super::break_off::{BreakOff, Breakable};
use super::client_io::{ClientIo, HeadLimits, Phase};
use super::origins::Origins;
use super::record::connection_record;
use super::{Gateway, Snapshot, http, tunnel};

/// What belongs to one client connection for as long as it lasts.
pub struct ClientConnection {
    pub gateway: Arc<Gateway>,
    pub client: SocketAddr,
    /// Our end: the address and port a client uses for a proxy.
    pub local: SocketAddr,
    pub origins: Origins,
    pub phase: Phase,
    pub break_off: BreakOff,
    pub started: Timestamp,
    /// Whether a row of the stream of connections stands for it already.
    recorded: AtomicBool,
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

    /// An origin connection carries the client's connection into the log.
    pub fn is_recorded(&self) {
        self.recorded.store(true, Ordering::Relaxed);
    }

    /// A connection that reached no origin has a row of its own.
    fn close(&self, ending: Ending) {
        if self.recorded.load(Ordering::Relaxed) {
            return;
        }
        let snapshot = self.gateway.snapshot();
        let client = self.identify(&snapshot);
        let mut record = connection_record(&self.gateway.log, &client, None, self.started, None);
        record.end = self.gateway.clock.now();
        record.ending = ending;
        record.strip_if_help_line();
        if let Err(error) = self.gateway.log.append_connection(&record) {
            METRICS.append_failures.add(1);
            tracing::error!(%error, "a client's connection could not be written to the journal");
        }
    }
}

/// Serves a client until it leaves, its connection becomes a tunnel, or a limit ends it.
pub async fn serve(gateway: Arc<Gateway>, accepted: Accepted) {
    METRICS.connections_open.up();
    let limits = gateway.snapshot().config.limits;
    let head_limits = HeadLimits { idle: limits.keep_alive, head: limits.header };
    let (stream, break_off) = Breakable::new(accepted.stream);
    let (io, phase) = ClientIo::new(stream, head_limits);
    let mut draining = gateway.draining.subscribe();
    let connection = Arc::new(ClientConnection {
        client: accepted.client,
        local: accepted.local,
        origins: Origins::default(),
        phase,
        break_off,
        started: gateway.clock.now(),
        recorded: AtomicBool::new(false),
        gateway,
    });

    let service = {
        let connection = connection.clone();
        service_fn(move |request| {
            let connection = connection.clone();
            async move { Ok::<_, Infallible>(answer(connection, request).await) }
        })
    };
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .half_close(true)
        .max_headers(limits.header_fields)
        .max_buf_size(limits.header_bytes.max(8192))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);

    let result = tokio::select! {
        result = &mut served => result,
        () = super::drain_begins(&mut draining) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    connection.close(match result {
        Ok(()) => Ending::Complete,
        Err(error) if error.is_parse() => Ending::ClientInvalid,
        Err(error) if error.is_timeout() || is_timed_out(&error) => Ending::TimedOut,
        Err(_) => Ending::ClientClosed,
    });
    METRICS.connections_open.down();
}

async fn answer(connection: Arc<ClientConnection>, request: Request<Incoming>) -> Response<ReplyBody> {
    connection.phase.serving();
    let response = match *request.method() {
        Method::CONNECT => tunnel::connect(&connection, request).await,
        _ => http::exchange(&connection, request).await,
    };
    if let ReplyBody::Own(_) = response.body() {
        connection.phase.waiting();
    }
    response
}

/// Our own deadlines reach hyper as errors of the stream.
fn is_timed_out(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::TimedOut;
        }
        source = error.source();
    }
    false
}
