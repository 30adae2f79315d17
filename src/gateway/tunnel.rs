//! CONNECT (RFC 9110 §9.3.6): a tunnel that is looked into without being opened.
//!
//! Judged by the name asked, then by the address, dialled, answered 200, then judged again by its first bytes. Nothing
//! goes to the origin before that last answer.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::HOST;
use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::access::{Access, Ending, Flags, Host, HostName, Protocol, Target, Visit};
use crate::detect::{self, Detected, Prefixed, Signature, Stop};
use crate::metrics::METRICS;
use crate::origin::OriginStream;
use crate::policy::RelayPermit;
use crate::relay::{self, RelayLimits};
use crate::tasks;

use super::allowances::Taken;
use super::answer::Failure;
use super::body::ReplyBody;
use super::client_io::ClientIo;
use super::connection::{ClientConnection, Opened};
use super::flows::AccessFlow;
use super::http::{read_authority, split_port};
use super::intent::ConnectionIntent;
use super::origins::{Link, Origins};
use super::reach::{self, Reached};
use super::record::{Judgement, access_record, decide_anew};
use super::reply::{Reply, and_close};
use super::way::{NoWay, Way};
use super::{Gateway, Snapshot, intent, judge, own_pages, parting, way};

/// TLS 1.2 alert (RFC 5246 §7.2): fatal, access_denied. Understood by TLS 1.3 clients as well.
pub const ALERT_ACCESS_DENIED: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 49];

/// Answers a CONNECT; the tunnel goes on in a task of its own.
pub async fn connect(connection: &Arc<ClientConnection>, mut request: Request<Incoming>) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load_full();
    let reply = Reply::new(&connection.gateway, &snapshot, request.headers());
    let Some(target) = read_target(&request) else {
        let access = own_pages::access_to_nothing(connection, &snapshot, &request);
        return and_close(reply.failed(&access, Failure::RequestUnreadable, Ending::ClientInvalid));
    };
    let mut access = Access {
        client: Arc::new(connection.identify(&snapshot)),
        target,
        method: "CONNECT".into(),
        visit: Visit::Unknown,
        start: connection.gateway.clock.now(),
    };
    if connection.gateway.via.has_signed(request.headers()) {
        return reply.failed(&access, Failure::Loop, Ending::ClientInvalid);
    }
    let judgement = match judge::connection(&snapshot, &access) {
        Ok(judgement) => judgement,
        Err(judgement) => return reply.refused(&access, *judgement),
    };
    let way = match way::find(connection, &snapshot, &mut access).await {
        Ok(way) => way,
        Err(no_way) => return reply.no_way(&access, no_way),
    };
    let intents = match write_intents(connection, &access, &judgement, &way) {
        Ok(intents) => intents,
        Err(no_way) => return reply.no_way(&access, no_way),
    };
    let both = (&intents.access, &intents.connection);
    let origin = match reach::reach(connection, &snapshot, &mut access, way, both).await {
        Ok(reached) => reached,
        Err(no_way) => {
            intents.connection.flow.finish(None, no_way.ending());
            return reply.no_way_after(&access, intents.access, no_way);
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    // The client's connection itself is over: its idle origin connections are not kept for the tunnel's life.
    let from = From {
        gateway: connection.gateway.clone(),
        ends: (connection.client, connection.local),
        taken: connection.taken.clone(),
    };
    let tunnel = Tunnel { from, snapshot: snapshot.clone(), access, judgement, intents };
    tasks::spawn("tunnel", tunnel.run(upgrade, origin));
    let mut response = Response::new(ReplyBody::Own(None));
    *response.status_mut() = StatusCode::OK;
    response
}

pub fn read_target(request: &Request<Incoming>) -> Option<Target> {
    let authority = request.uri().authority()?;
    // Authority form and nothing else (RFC 9112 §3.2.3).
    if request.uri().scheme().is_some() || authority.as_str().contains('@') {
        return None;
    }
    // A CONNECT without a port names nothing (RFC 9110 §9.3.6).
    let (host, port) = read_authority(authority.host(), authority.as_str(), 0).ok()?;
    let is_named = request.headers().get(HOST).is_none_or(|field| names(field, &host, port));
    (port != 0 && is_named).then(|| Target::tunnel(host, port))
}

/// Whether `Host` names the tunnel's target; many clients leave the port out.
fn names(field: &HeaderValue, host: &Host, port: u16) -> bool {
    field
        .to_str()
        .is_ok_and(|text| read_authority(split_port(text), text, port).is_ok_and(|named| named == (host.clone(), port)))
}

/// Both records of a tunnel. A tunnel is nothing but its bytes: they count the same.
pub struct Intents {
    pub access: AccessFlow,
    pub connection: ConnectionIntent,
}

pub fn write_intents(
    connection: &ClientConnection,
    access: &Access,
    judgement: &Judgement,
    way: &Way,
) -> Result<Intents, NoWay> {
    let intent = intent::write_connection_intent(connection, access, judgement, way)?;
    let counts = intent.flow.counts().clone();
    let access = intent::write_access_intent(connection, access, judgement, intent.sequence, counts)?;
    Ok(Intents { access, connection: intent })
}

/// What a tunnel keeps of the connection that asked for it.
struct From {
    gateway: Arc<Gateway>,
    ends: (SocketAddr, SocketAddr),
    taken: Arc<Taken>,
}

struct Tunnel {
    from: From,
    snapshot: Arc<Snapshot>,
    access: Access,
    judgement: Judgement,
    intents: Intents,
}

impl Tunnel {
    async fn run(mut self, upgrade: OnUpgrade, origin: Reached) {
        let Some((mut client, early)) = upgrade.await.ok().and_then(take_stream) else {
            return self.finish(Ending::ClientClosed);
        };
        let Some(detected) = self.first_bytes(&mut client, &origin.stream, early).await else {
            return;
        };
        self.learn(&detected);
        if let Some(fault) = detected.signature.fault.filter(|fault| fault.may_hide_a_name()) {
            tracing::debug!(host = %self.access.target.host, %fault, "a tunnel may hide a name");
            let judgement = Reply::new(&self.from.gateway, &self.snapshot, &HeaderMap::new()).hidden_name(&self.access);
            self.note(judgement);
            return self.refuse(client).await;
        }
        match judge::flow(&self.snapshot, &self.access) {
            Ok((permit, judgement)) => {
                self.note(judgement);
                let client = Prefixed::new(detected.bytes, client);
                match detected.signature.protocol {
                    Protocol::Http => self.serve_inside(client, origin).await,
                    _ => self.relay(permit, client, origin.stream).await,
                }
            }
            Err(judgement) => {
                self.note(*judgement);
                self.refuse(client).await;
            }
        }
    }

    /// Reads until the protocol is known. A client that waits for the origin to speak is let wait: `None` when nobody
    /// says anything in time, or the client left (then the access has ended).
    async fn first_bytes(
        &mut self,
        client: &mut TcpStream,
        origin: &OriginStream,
        early: bytes::Bytes,
    ) -> Option<Detected> {
        let limits = &self.snapshot.config.limits;
        if early.is_empty() {
            let (mut client_spoke, mut origin_spoke) = ([0; 1], [0; 1]);
            tokio::select! {
                biased;
                // A look at a byte, and not at readiness: that may be what is left of an earlier read.
                spoke = client.peek(&mut client_spoke) => {
                    if spoke.is_err() {
                        self.end(Ending::ClientClosed);
                        return None;
                    }
                }
                _ = origin.stream.peek(&mut origin_spoke) => return Some(silent()),
                () = tokio::time::sleep(limits.keep_alive) => {
                    self.end(Ending::TimedOut);
                    return None;
                }
            }
        }
        let mut stream = Prefixed::new(early, client);
        match detect::read_first_bytes(&mut stream, limits.detect, detect::FIRST_BYTES_MAX).await {
            Ok(detected) => Some(detected),
            Err(_) => {
                self.end(Ending::ClientClosed);
                None
            }
        }
    }

    /// Writes what the first bytes say into the access.
    fn learn(&mut self, detected: &Detected) {
        let target = &mut self.access.target;
        target.protocol = detected.signature.protocol;
        let named: Option<&HostName> = detected.signature.sni.as_ref();
        target.other_name = named.filter(|sni| target.host.name() != Some(sni)).cloned();
        let (protocol, ech) = (target.protocol, detected.signature.ech.is_some());
        self.intents.connection.flow.amend(|record| {
            record.protocol = protocol;
            if ech {
                record.flags.insert(Flags::ECH);
            }
        });
        if ech {
            self.intents.access.amend(|record| record.flags.insert(Flags::ECH));
        }
    }

    /// The last decision is the one the row keeps; a first one that differed is noted.
    fn note(&mut self, judgement: Judgement) {
        let judgement = judgement.after(&self.judgement);
        let connection = self.intents.connection.sequence;
        let log = &self.from.gateway.log;
        let decided = access_record(log, &self.access, &judgement, connection);
        self.intents.access.amend(|record| decide_anew(record, decided));
        let action = judgement.action;
        self.intents.connection.flow.amend(|record| record.action = action);
        self.judgement = judgement;
    }

    async fn relay(self, permit: RelayPermit, client: Prefixed<TcpStream>, origin: OriginStream) {
        METRICS.accesses_tunnelled.add(1);
        let counts = self.intents.access.counts().clone();
        let limits = RelayLimits { idle: self.snapshot.config.limits.tunnel_idle, total: None };
        let end = relay::relay(permit, client, origin.stream, limits, &counts).await;
        self.finish(end.ending());
    }

    /// A tunnel whose inside is plain HTTP hides nothing: its requests are judged, framed and written down like those
    /// that are not in a tunnel, and those to the name it was asked for go over the connection that it has.
    async fn serve_inside(self, client: Prefixed<TcpStream>, origin: Reached) {
        let Tunnel { from: From { gateway, ends, taken }, snapshot, access, intents, .. } = self;
        let limits = snapshot.config.limits;
        intents.access.finish(Some(StatusCode::OK.as_u16()), Ending::Complete);
        let inside = (access.target.host.clone(), access.target.port);
        let origins = Origins::new(&gateway.idle_links, limits.flows);
        if let Ok(link) = Link::open(origin, &access.target, intents.connection, &limits).await {
            origins.keep(link);
        }
        let (early, stream) = client.into_parts();
        let opened = Opened { gateway, ends, taken, origins, inside: Some(inside), dialled: None };
        opened.serve_boxed(stream, early, limits).await;
    }

    /// Says no in the client's own language.
    async fn refuse(self, client: TcpStream) {
        METRICS.accesses_refused.add(1);
        let said = match self.access.target.protocol {
            Protocol::Tls => ALERT_ACCESS_DENIED.to_vec(),
            Protocol::Http => self.http_refusal().into_bytes(),
            Protocol::Other | Protocol::Silent | Protocol::Unseen => Vec::new(),
        };
        let taken = self.from.taken.clone();
        self.finish(Ending::Answered);
        parting::say_goodbye(client, &said).await;
        drop(taken);
    }

    /// A whole HTTP answer: the client speaks HTTP inside its tunnel and nobody else frames it.
    fn http_refusal(&self) -> String {
        let reply = Reply::new(&self.from.gateway, &self.snapshot, &HeaderMap::new());
        let body = reply.refusal_text(&self.access, &self.judgement);
        format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn finish(mut self, ending: Ending) {
        self.end(ending);
    }

    /// Both rows end alike: a tunnel is nothing but its bytes.
    fn end(&mut self, ending: Ending) {
        self.intents.access.if_dropped(ending);
        self.intents.connection.flow.if_dropped(ending);
    }
}

/// The client's bare stream, and what it sent right behind its CONNECT.
pub fn take_stream(upgraded: Upgraded) -> Option<(TcpStream, bytes::Bytes)> {
    let parts = upgraded.downcast::<TokioIo<ClientIo>>().ok()?;
    let (stream, held) = parts.io.into_inner().into_stream()?;
    // hyper is given nothing beyond a request: what came after it is held.
    debug_assert!(parts.read_buf.is_empty());
    Some((stream, held))
}

/// The origin spoke first: the client waits for it, as with SSH or mail.
fn silent() -> Detected {
    Detected { signature: Signature::of(Protocol::Silent), bytes: bytes::Bytes::new(), stop: Stop::TimedOut }
}
