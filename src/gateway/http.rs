//! One HTTP request of a client that uses the gateway as its proxy (RFC 9112 §3.2.2, absolute form).

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use ::http::{Request, Response, StatusCode, Uri, Version, request};
use http_body::Body;
use hyper::body::Incoming;

use crate::access::{Access, Ending, Host, Target, Visit};
use crate::metrics::METRICS;
use crate::policy::RelayPermit;

use super::answer::Failure;
use super::body::{OnComplete, ReplyBody, RequestBody, ResponseBody};
use super::connection::{ClientConnection, Obstacle};
use super::flows::AccessFlow;
use super::origins::{Link, SendError};
use super::record::Judgement;
use super::reply::{Failed, Reply, and_close, end_failed};
use super::upgrade::{self, ClientUpgrade};
use super::way::{self, NoWay};
use super::{Snapshot, headers, judge, origin_head, own_pages};

const HTTP_PORT: u16 = 80;

/// Answers one request: from the origin, or ourselves.
pub async fn exchange(connection: &Arc<ClientConnection>, request: Request<Incoming>) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load_full();
    let reply = Reply::new(&connection.gateway, &snapshot, request.headers());
    let target = match read_target(connection, &request) {
        Ok(Asked::Origin(target)) => target,
        Ok(Asked::Ourselves) => return own_pages::serve(connection, &snapshot, &reply, &request),
        Ok(Asked::NoProxyRequest) => return own_pages::setup(connection, &snapshot, &reply, &request),
        Err(fault) => return refuse_invalid(connection, &snapshot, &reply, &request, fault),
    };
    let mut access = Access {
        client: Arc::new(connection.identify(&snapshot)),
        target,
        method: request.method().as_str().into(),
        visit: visit(request.headers()),
        start: connection.gateway.clock.now(),
    };
    if connection.gateway.via.has_signed(request.headers()) {
        return reply.failed(&access, Failure::Loop, Ending::ClientInvalid);
    }
    let judgement = match judge::request(&snapshot, &access) {
        Ok(judgement) => judgement,
        Err(judgement) => return reply.refused(&access, *judgement),
    };
    match forward(connection, &snapshot, &mut access, judgement, request).await {
        Ok(response) => response,
        Err(Stop::NoWay(no_way)) => reply.no_way(&access, no_way),
        Err(Stop::Failed(failed)) => reply.error_page(&access, failed),
    }
}

/// Answers a request that nobody looks into: what it is, or how many there are, is reason enough.
pub fn turn_down(
    connection: &ClientConnection,
    request: &Request<Incoming>,
    obstacle: Obstacle,
) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load();
    let reply = Reply::new(&connection.gateway, &snapshot, request.headers());
    let method = if obstacle.unread { "" } else { request.method().as_str() };
    let mut access = own_pages::access_of_nothing(connection, &snapshot, method);
    if let (false, Ok(Asked::Origin(target))) = (obstacle.unread, read_target(connection, request)) {
        access.target = target;
    }
    let mut response = reply.failed(&access, obstacle.failure, obstacle.failure.ending());
    if matches!(obstacle.failure, Failure::TooManyRequests | Failure::TooManyConnections | Failure::TooBusy) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if obstacle.closes { and_close(response) } else { response }
}

/// Why a request is not answered by its origin.
enum Stop {
    /// Before an intent was written: the answer makes the row.
    NoWay(NoWay),
    /// After: the row is made already.
    Failed(Failed),
}

impl From<NoWay> for Stop {
    fn from(no_way: NoWay) -> Self {
        Stop::NoWay(no_way)
    }
}

/// A request ready for an origin, in its parts; a body where there is one.
struct Outgoing {
    head: request::Parts,
    body: Option<Incoming>,
    upgrade: Option<ClientUpgrade>,
}

/// Sends the request on over an idle link of this client, or a new one.
async fn forward(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    access: &mut Access,
    judgement: Judgement,
    mut request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Stop> {
    let upgrade = ClientUpgrade::asked(&mut request, &connection.taken);
    let (head, body) = request.into_parts();
    let body = Some(body).filter(|body| !body.is_end_stream());
    let mut outgoing = Outgoing { head: outgoing(connection, &access.target, head), body, upgrade };
    if outgoing.upgrade.is_some() {
        upgrade::ask(&mut outgoing.head.headers);
    }
    let nameless = judgement.duties.help_line;
    let Some(link) = connection.origins.take(&access.target.host, access.target.port, nameless).await else {
        return forward_anew(connection, snapshot, access, judgement, outgoing, None).await;
    };
    access.target.address = Some(link.peer.ip());
    let (permit, judgement) = send_permit(snapshot, access, &judgement)?;
    let flow = way::write_access_intent(connection, access, &judgement, link.sequence, Arc::default())?;
    if connection.gateway.log.before_traffic().await.is_err() {
        return Err(Stop::Failed(end_failed(flow, Failure::NotRecorded, Ending::Failed)));
    }
    match send(connection, snapshot, link, permit, flow, outgoing).await {
        Ok(response) => Ok(response),
        Err(Unsent::Failed(failed)) => Err(Stop::Failed(failed)),
        // The origin closed the kept connection at the same moment: the same access goes on anew.
        Err(Unsent::Again(flow, outgoing)) => {
            forward_anew(connection, snapshot, access, judgement, *outgoing, Some(flow)).await
        }
    }
}

/// Sends the request over a new connection; `flow` is its access where the intent is written already.
async fn forward_anew(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    access: &mut Access,
    judgement: Judgement,
    outgoing: Outgoing,
    flow: Option<AccessFlow>,
) -> Result<Response<ReplyBody>, Stop> {
    let way = way::find(connection, snapshot, access).await?;
    let (permit, judgement) = send_permit(snapshot, access, &judgement)?;
    let link_intent = way::write_connection_intent(connection, access, &judgement, &way)?;
    let flow = match flow {
        Some(flow) => {
            flow.amend(|record| record.connection = link_intent.sequence);
            flow
        }
        None => way::write_access_intent(connection, access, &judgement, link_intent.sequence, Arc::default())?,
    };
    let stream = match way::dial(way, &link_intent, snapshot.config.limits.dial).await {
        Ok(stream) => stream,
        Err(no_way) => {
            link_intent.flow.finish(None, no_way.ending());
            return Err(Stop::Failed(end_failed(flow, no_way.failure(), no_way.ending())));
        }
    };
    let host = (access.target.host.clone(), access.target.port);
    let Ok(link) = Link::open(stream, host, link_intent, &snapshot.config.limits).await else {
        return Err(Stop::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)));
    };
    send(connection, snapshot, link, permit, flow, outgoing).await.map_err(|unsent| match unsent {
        Unsent::Failed(failed) => Stop::Failed(failed),
        Unsent::Again(flow, _) => Stop::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)),
    })
}

fn send_permit(snapshot: &Snapshot, access: &Access, earlier: &Judgement) -> Result<(RelayPermit, Judgement), Stop> {
    match judge::send(snapshot, access) {
        Ok((permit, judgement)) => Ok((permit, judgement.after(earlier))),
        Err(judgement) => Err(Stop::NoWay(NoWay::Refused(Box::new(judgement.after(earlier))))),
    }
}

/// Why a request over a link got no answer.
enum Unsent {
    /// Not a byte of it has left, or it is safe and the kept link gave not a byte of an answer (RFC 9110 §9.2.2): it may
    /// be sent again.
    Again(AccessFlow, Box<Outgoing>),
    Failed(Failed),
}

/// Sends over a link and passes the response on as it comes.
async fn send(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    mut link: Link,
    permit: RelayPermit,
    flow: AccessFlow,
    Outgoing { head, body, upgrade }: Outgoing,
) -> Result<Response<ReplyBody>, Unsent> {
    let stall = snapshot.config.limits.body_idle;
    let may_be_asked_twice = link.is_used() && body.is_none() && upgrade.is_none() && head.method.is_safe();
    let again = may_be_asked_twice.then(|| head.clone());
    let body = RequestBody::new(body, flow.counts().clone(), stall);
    match link.send(permit, Request::from_parts(head, body), stall).await {
        Ok((response, permit)) => match upgrade {
            Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                METRICS.accesses_tunnelled.add(1);
                let idle = snapshot.config.limits.tunnel_idle;
                Ok(upgrade.accept(&connection.gateway.via, response, link.into_kept(), flow, permit, idle))
            }
            _ => {
                METRICS.accesses_forwarded.add(1);
                Ok(incoming(connection, response, link, flow, stall))
            }
        },
        Err(SendError::NotSent(request)) => {
            let (head, body) = request.into_parts();
            Err(Unsent::Again(flow, Box::new(Outgoing { head, body: body.into_inner(), upgrade })))
        }
        Err(SendError::Unanswered) => Err(match again {
            Some(head) => Unsent::Again(flow, Box::new(Outgoing { head, body: None, upgrade: None })),
            None => Unsent::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)),
        }),
        Err(SendError::Failed(failure, ending)) => {
            // Where it was the client's bytes, we know more of it than the origin's side does.
            let (failure, ending) = match connection.phase.ending() {
                Some(ending @ Ending::ClientInvalid) => (Failure::RequestUnreadable, ending),
                Some(ending) => (failure, ending),
                None => (failure, ending),
            };
            Err(Unsent::Failed(end_failed(flow, failure, ending)))
        }
    }
}

/// The response on its way to the client. When it has been passed on whole, its link may serve the next request.
fn incoming(
    connection: &Arc<ClientConnection>,
    response: Response<Incoming>,
    link: Link,
    flow: AccessFlow,
    stall: Duration,
) -> Response<ReplyBody> {
    let (mut head, body) = response.into_parts();
    origin_head::outward(&mut head, &connection.gateway.via);
    let status = head.status.as_u16();
    let on_complete: OnComplete = {
        let origins = connection.origins.clone();
        Box::new(move || origins.keep(link))
    };
    let body = ResponseBody::new(body, stall, (flow, status), connection.phase.clone(), on_complete);
    Response::from_parts(head, ReplyBody::Origin(body))
}

/// The head as the origin gets it: origin form, its own `Host`, nothing of this hop, our signature.
fn outgoing(connection: &ClientConnection, target: &Target, mut head: request::Parts) -> request::Parts {
    headers::remove_hop_by_hop(&mut head.headers);
    let path = if target.path_and_query.is_empty() { "/" } else { &target.path_and_query };
    head.uri = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    let authority = match target.port {
        HTTP_PORT => target.host.to_string(),
        port => format!("{}:{port}", target.host),
    };
    if let Ok(host) = HeaderValue::try_from(authority) {
        head.headers.insert(HOST, host);
    }
    connection.gateway.via.sign(head.version, &mut head.headers);
    head.version = Version::HTTP_11;
    head
}

/// What a request asks of us.
enum Asked {
    Origin(Target),
    /// `http://ecluse.internal/…`: always this gateway.
    Ourselves,
    /// Origin form: the client takes us for a web server.
    NoProxyRequest,
}

/// Why a request names no target.
#[derive(Debug, Clone, Copy)]
pub enum InvalidRequest {
    /// `https://` and other schemes are asked by CONNECT.
    Scheme,
    Host,
    /// `Host` names another target than the request line (RFC 9112 §3.2.2).
    HostDiffers,
    Port,
}

fn read_target(connection: &ClientConnection, request: &Request<Incoming>) -> Result<Asked, InvalidRequest> {
    let uri = request.uri();
    let Some(authority) = uri.authority() else {
        return match &connection.inside {
            Some((_, port)) => read_inside(request, *port),
            None => Ok(Asked::NoProxyRequest),
        };
    };
    if authority.as_str().contains('@') {
        return Err(InvalidRequest::Host);
    }
    let (host, port) = read_authority(authority.host(), authority.as_str(), HTTP_PORT)?;
    if own_pages::is_ours(&host) {
        return Ok(Asked::Ourselves);
    }
    if uri.scheme_str() != Some("http") {
        return Err(InvalidRequest::Scheme);
    }
    check_host_fields(request.headers(), &host, port)?;
    let path_and_query = uri.path_and_query().map_or("/", |p| p.as_str());
    Ok(Asked::Origin(Target::http(host, port, path_and_query)))
}

/// Origin form inside a tunnel: what `Host` names is what is asked, whatever the tunnel was asked for.
fn read_inside(request: &Request<Incoming>, tunnel_port: u16) -> Result<Asked, InvalidRequest> {
    let named = request.headers().get(HOST).and_then(|field| field.to_str().ok()).ok_or(InvalidRequest::Host)?;
    let (host, port) = read_authority(split_port(named), named, tunnel_port)?;
    if own_pages::is_ours(&host) {
        return Ok(Asked::Ourselves);
    }
    // `*` asks the server and not one of its pages (RFC 9112 §3.2.4); the log knows no difference.
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Ok(Asked::Origin(Target::http(host, port, path_and_query)))
}

/// Every `Host` there is must name the target of the request line.
fn check_host_fields(headers: &HeaderMap, host: &Host, port: u16) -> Result<(), InvalidRequest> {
    for field in headers.get_all(HOST) {
        let text = field.to_str().map_err(|_| InvalidRequest::HostDiffers)?;
        let named = split_port(text);
        match read_authority(named, text, HTTP_PORT) {
            Ok((named_host, named_port)) if named_host == *host && named_port == port => {}
            _ => return Err(InvalidRequest::HostDiffers),
        }
    }
    Ok(())
}

/// The host part of `host:port`, brackets included.
pub fn split_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}

/// Host and port of `authority`, whose host part is `host`.
pub fn read_authority(host: &str, authority: &str, default: u16) -> Result<(Host, u16), InvalidRequest> {
    let port = match authority.get(host.len()..) {
        Some("") | Some(":") | None => default,
        Some(rest) => rest
            .strip_prefix(':')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|port| *port != 0)
            .ok_or(InvalidRequest::Port)?,
    };
    Ok((Host::parse(host).map_err(|_| InvalidRequest::Host)?, port))
}

/// A navigation says so (Fetch Metadata, `Sec-Fetch-Mode`); older clients ask for HTML first.
fn visit(headers: &HeaderMap) -> Visit {
    const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    if let Some(mode) = headers.get(FETCH_MODE) {
        return if mode == "navigate" { Visit::Visited } else { Visit::SubResource };
    }
    match headers.get(::http::header::ACCEPT).and_then(|accept| accept.to_str().ok()) {
        Some(accept) if accept.trim_start().starts_with("text/html") => Visit::Visited,
        _ => Visit::Unknown,
    }
}

/// A request that names no target is answered, and has its row all the same.
fn refuse_invalid(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    reply: &Reply<'_>,
    request: &Request<Incoming>,
    fault: InvalidRequest,
) -> Response<ReplyBody> {
    let access = own_pages::access_to_nothing(connection, snapshot, request);
    tracing::debug!(?fault, "a request names no target");
    and_close(reply.failed(&access, Failure::RequestUnreadable, Ending::ClientInvalid))
}
