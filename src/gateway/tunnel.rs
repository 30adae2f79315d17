//! CONNECT (RFC 9110 §9.3.6): a tunnel that is looked into without being opened.
//!
//! Judged by the name asked, then by the address, dialled, answered 200, then judged again by its first bytes. Nothing
//! goes to the origin before that last answer.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::HOST;
use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::access::{Access, Carrier, Ending, Flags, Host, HostName, Protocol, Target, Visit};
use crate::detect::{self, Detected, Prefixed, Signature, Step, Stop};
use crate::metrics::METRICS;
use crate::origin::OriginStream;
use crate::policy::RelayPermit;
use crate::relay::{self, RelayLimits, Side, Tally};
use crate::tasks;

use super::allowances::Taken;
use super::answer::Failure;
use super::body::ReplyBody;
use super::client_io::ClientIo;
use super::client_row::ClientRow;
use super::connection::{ClientConnection, Inside, Opened};
use super::ends::{ClientEnd, End};
use super::flows::AccessFlow;
use super::http::{read_authority, split_port};
use super::inspect::Opening;
use super::intent::ConnectionIntent;
use super::judge::Passage;
use super::origins::{Link, Origins};
use super::reach::{self, Reached};
use super::record::{Judgement, access_record, decide_anew};
use super::reply::{Reply, and_close};
use super::say_no::{self, Refusal};
use super::way::{NoWay, Way};
use super::{Gateway, Snapshot, inspect, intent, judge, own_pages, way};

/// Answers a CONNECT; the tunnel goes on in a task of its own.
pub async fn connect(connection: &Arc<ClientConnection>, mut request: Request<Incoming>) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load_full();
    let reply = Reply::on(connection, &snapshot, request.headers());
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
    connection.gateway.say_how_sure(&mut access);
    if connection.gateway.via.has_signed(request.headers()) {
        return reply.failed(&access, Failure::Loop, Ending::ClientInvalid);
    }
    let judgement = match judge::connection(&snapshot, &access) {
        Ok(judgement) => judgement,
        Err(judgement) => return refused(connection, snapshot.clone(), &reply, request, access, *judgement),
    };
    let way = match way::find(connection, &snapshot, &mut access).await {
        Ok(way) => way,
        Err(NoWay::Refused(judgement)) => {
            return refused(connection, snapshot.clone(), &reply, request, access, *judgement);
        }
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

/// A CONNECT that is refused: 403, or 200 and the page inside, where the client will see that one. The row says 403.
fn refused(
    connection: &Arc<ClientConnection>,
    snapshot: Arc<Snapshot>,
    reply: &Reply<'_>,
    mut request: Request<Incoming>,
    access: Access,
    judgement: Judgement,
) -> Response<ReplyBody> {
    let refusal = reply.refused(&access, judgement.clone());
    if !say_no::is_shown(&connection.gateway, &snapshot, &access) {
        return refusal;
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let taken = connection.taken.clone();
    let refusal = Refusal { gateway: connection.gateway.clone(), snapshot, access, judgement };
    tasks::spawn("refused tunnel", async move {
        refusal.say_inside(upgrade).await;
        drop(taken);
    });
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

/// What is left of a tunnel once its bytes may pass: small, because it may last for hours and there are thousands.
/// It keeps no snapshot: rules that were replaced do not stay in memory for it.
pub struct Passing {
    pub permit: RelayPermit,
    pub client: Side<TcpStream>,
    pub origin: TcpStream,
    pub idle: Duration,
    pub intents: Intents,
    /// Its part of what its client may have.
    pub taken: Arc<Taken>,
}

impl Passing {
    pub async fn relay(self) {
        let Passing { permit, client, origin, idle, mut intents, taken } = self;
        let limits = RelayLimits { idle, total: None };
        let counts = intents.access.counts().clone();
        // One count for both rows.
        let tally = Tally { access: &counts, link: None };
        let origin = Side { first: Bytes::new(), stream: origin };
        let end = relay::relay(permit, client, origin, limits, tally).await;
        intents.end(end.ending());
        drop(taken);
    }
}

impl Intents {
    /// Writes into both rows what the first bytes said beside a name.
    pub fn tell_of_first_bytes(&self, target: &Target) {
        let (protocol, flags) = (target.protocol, Flags::of_ech(target.ech));
        self.connection.flow.amend(|record| {
            record.protocol = protocol;
            record.flags.insert(flags);
        });
        self.access.amend(|record| record.flags.insert(flags));
    }

    /// Both rows end alike: a tunnel is nothing but its bytes.
    pub fn end(&mut self, ending: Ending) {
        self.access.if_dropped(ending);
        self.connection.flow.if_dropped(ending);
    }
}

impl Tunnel {
    /// What comes before the relay is large and short, and has its memory apart: it is given back when that is over.
    fn run(self, upgrade: OnUpgrade, origin: Reached) -> impl Future<Output = ()> + Send + 'static {
        let opening = Box::pin(self.open(upgrade, origin));
        async move {
            if let Some(passing) = opening.await {
                passing.relay().await;
            }
        }
    }

    /// Looks at the first bytes and has them judged. `None`: it has ended without a relay.
    async fn open(mut self, upgrade: OnUpgrade, origin: Reached) -> Option<Passing> {
        let Some((mut client, early)) = upgrade.await.ok().and_then(take_stream) else {
            self.intents.end(Ending::ClientClosed);
            return None;
        };
        let detected = self.first_bytes(&mut client, &origin.stream, early).await?;
        self.learn(&detected);
        if let Some(fault) = detected.signature.fault.filter(|fault| fault.may_hide_a_name()) {
            tracing::debug!(host = %self.access.target.host, %fault, "a tunnel may hide a name");
            let judgement = Reply::new(&self.from.gateway, &self.snapshot, &HeaderMap::new()).hidden_name(&self.access);
            self.note(judgement);
            self.refuse(client, detected).await;
            return None;
        }
        let can_open = inspect::can_open(&self.from.gateway, &self.snapshot, &self.access, &detected.signature);
        let passage = match judge::flow(&self.snapshot, &self.access, can_open) {
            Ok((passage, judgement)) => {
                self.note(judgement);
                passage
            }
            Err(judgement) => {
                self.note(*judgement);
                self.refuse(client, detected).await;
                return None;
            }
        };
        let client = Side { first: detected.bytes, stream: client };
        if detected.signature.protocol.carrier() == Carrier::Http {
            self.serve_inside(client, origin).await;
            return None;
        }
        let permit = match passage {
            Passage::Tunnel(permit) => permit,
            Passage::Inspect(permit) => {
                // Apart: it is large, and nearly all tunnels do without.
                Box::pin(self.into_opening().open(permit, client, origin)).await;
                return None;
            }
        };
        METRICS.accesses_tunnelled.add(1);
        let idle = self.snapshot.config.limits.tunnel_idle;
        let Tunnel { from: From { taken, .. }, intents, .. } = self;
        Some(Passing { permit, client, origin: origin.stream.stream, idle, intents, taken })
    }

    /// Reads until the protocol is known. A client that waits for the origin to speak is let wait, and the origin's words
    /// tell; `None` when nobody says anything in time, or the client left (then the access has ended).
    async fn first_bytes(&mut self, client: &mut TcpStream, origin: &OriginStream, early: Bytes) -> Option<Detected> {
        let limits = &self.snapshot.config.limits;
        if early.is_empty() {
            let mut client_spoke = [0; 1];
            tokio::select! {
                biased;
                // A look at a byte, and not at readiness: that may be what is left of an earlier read.
                spoke = client.peek(&mut client_spoke) => {
                    if spoke.is_err() {
                        self.intents.end(Ending::ClientClosed);
                        return None;
                    }
                }
                signature = first_words(&origin.stream, limits.detect) => return Some(unread(signature)),
                () = tokio::time::sleep(limits.keep_alive) => {
                    self.intents.end(Ending::TimedOut);
                    return None;
                }
            }
        }
        let mut stream = Prefixed::new(early, client);
        match detect::read_first_bytes(&mut stream, limits.detect, detect::FIRST_BYTES_MAX).await {
            Ok(detected) => Some(detected),
            Err(_) => {
                self.intents.end(Ending::ClientClosed);
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
        target.ech = self.from.gateway.ech_of(&self.snapshot, &detected.signature);
        self.intents.tell_of_first_bytes(target);
    }

    /// The last decision is the one the row keeps; a first one that differed is noted.
    fn note(&mut self, judgement: Judgement) {
        let judgement = judgement.after(&self.judgement);
        let connection = self.intents.connection.sequence;
        let log = &self.from.gateway.log;
        let decided = access_record(log, &self.access, &judgement, connection);
        self.intents.access.amend(|record| decide_anew(record, decided));
        let (action, help_line) = (judgement.action, judgement.duties.help_line);
        self.intents.connection.flow.amend(|record| {
            record.action = action;
            // The first bytes named what the CONNECT did not.
            if help_line {
                record.strip_help_line();
            }
        });
        self.judgement = judgement;
    }

    fn into_opening(self) -> Opening {
        let Tunnel { from: From { gateway, ends, taken }, snapshot, access, intents, .. } = self;
        Opening { gateway, snapshot, ends, taken, access, intents, dialled: None }
    }

    /// A tunnel whose inside is plain HTTP hides nothing: its requests are judged, framed and written down like those
    /// that are not in a tunnel, and those to the name it was asked for go over the connection that it has.
    async fn serve_inside(self, client: Side<TcpStream>, origin: Reached) {
        let Tunnel { from: From { gateway, ends, taken }, snapshot, access, intents, .. } = self;
        let limits = snapshot.config.limits;
        intents.access.finish(Some(StatusCode::OK.as_u16()), Ending::Complete);
        let (host, port) = (access.target.host.clone(), access.target.port);
        let inside = Inside { host, port, is_opened: false, distrust: None };
        let origins = Origins::new(&gateway.idle_links, limits.flows);
        let row = ClientRow::of_tunnel(intents.connection.sequence);
        if let Ok(link) = Link::open(origin.into(), &access.target, intents.connection, &limits).await {
            origins.keep(link);
        }
        let opened = Opened { gateway, ends, taken, origins, row, inside: Some(inside), dialled: None };
        opened.serve_boxed(client.stream.into(), client.first, limits).await;
    }

    /// Says no in the client's own language.
    async fn refuse(self, client: TcpStream, detected: Detected) {
        METRICS.accesses_refused.add(1);
        let Tunnel { from: From { gateway, taken, .. }, snapshot, access, judgement, mut intents } = self;
        intents.end(Ending::Answered);
        drop(intents);
        Refusal { gateway, snapshot, access, judgement }.say(client, detected).await;
        drop(taken);
    }
}

/// The client's bare stream, and what it sent right behind its CONNECT.
pub fn take_stream(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    match take_end(upgraded)? {
        (End::Clear(stream), held) => Some((stream, held)),
        // There is no CONNECT inside.
        (End::Opened(_), _) => None,
    }
}

/// The same where TLS may have been opened.
pub fn take_end(upgraded: Upgraded) -> Option<(ClientEnd, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<ClientIo>>().ok()?;
    let (stream, held) = parts.io.into_inner().into_stream()?;
    // hyper is given nothing beyond a request: what came after it is held.
    debug_assert!(parts.read_buf.is_empty());
    Some((stream, held))
}

/// How much of an origin's first words is looked at: a greeting is a line.
const WORDS_MAX: usize = 600;
/// How often the rest of a greeting is looked for that has begun.
const WORDS_PAUSE: Duration = Duration::from_millis(20);

/// What an origin speaks that begins, as with mail and SSH. Its words are looked at and left where they are; what is no
/// greeting of a protocol whose servers begin is silence of the client: nobody can say what it will speak.
pub async fn first_words(origin: &TcpStream, within: Duration) -> Signature {
    let mut words = [0; WORDS_MAX];
    let mut deadline = None;
    loop {
        let heard = origin.peek(&mut words).await.unwrap_or(0);
        match detect::detect_server(&words[..heard]) {
            Step::Done(signature) if speaks_first(signature.protocol) => return signature,
            Step::Done(_) => break,
            Step::Need if heard == 0 || heard == WORDS_MAX => break,
            Step::Need => {}
        }
        if *deadline.get_or_insert_with(|| Instant::now() + within) <= Instant::now() {
            break;
        }
        tokio::time::sleep(WORDS_PAUSE).await;
    }
    Signature::of(Protocol::Silent)
}

/// An origin that pretends to be in the middle of TLS or HTTP would spare its client the look.
fn speaks_first(protocol: Protocol) -> bool {
    protocol != Protocol::Other && protocol.carrier() == Carrier::Own
}

/// Known from the origin's words: the client said nothing yet.
pub fn unread(signature: Signature) -> Detected {
    Detected { signature, bytes: Bytes::new(), stop: Stop::TimedOut }
}
