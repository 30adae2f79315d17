//! One HTTP request of a client that uses the gateway as its proxy (RFC 9112 §3.2.2, absolute form).

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, UPGRADE};
use ::http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::access::{Access, Ending, Host, HostSource, Protocol, Scheme, Target, Visit};
use crate::detect;

use super::answer::Failure;
use super::body::ReplyBody;
use super::connection::{ClientConnection, Inside, Obstacle};
use super::forward::{self, HTTP_PORT, Stop};
use super::reply::{Reply, and_close};
use super::{Snapshot, judge, own_pages, tunnel};

/// Answers one request: from the origin, or ourselves.
pub async fn exchange(connection: &Arc<ClientConnection>, request: Request<Incoming>) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load_full();
    let reply = Reply::on(connection, &snapshot, request.headers());
    let target = match read_target(connection, &request) {
        Ok(Asked::Origin(target)) => Target { protocol: spoken(&request), ..target },
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
    connection.gateway.say_how_sure(&mut access);
    access.target.no_dns = connection.dialled.is_some_and(|dialled| dialled.no_dns);
    if connection.gateway.via.has_signed(request.headers()) {
        return reply.failed(&access, Failure::Loop, Ending::ClientInvalid);
    }
    if let Some(failure) = connection.inside.as_ref().and_then(|inside| inside.distrust) {
        return and_close(reply.failed(&access, failure, failure.ending()));
    }
    let judgement = match judge::request(&snapshot, &access, request.headers()) {
        Ok(judgement) => judgement,
        Err(judgement) => return reply.refused(&access, *judgement),
    };
    if let Some(notice) = reply.told_now(&access) {
        return notice;
    }
    match forward::forward(connection, &snapshot, &mut access, judgement, request).await {
        Ok(response) => response,
        Err(Stop::NoWay(no_way)) => reply.no_way(&access, no_way),
        Err(Stop::NoWayAfter(flow, no_way)) => reply.no_way_after(&access, flow, no_way),
        Err(Stop::Failed(failed)) => reply.error_page(&access, failed),
        Err(Stop::Upload(judgement, no_body)) => {
            reply.upload_refused(&access, *judgement, no_body, connection.phase.ending())
        }
        Err(Stop::Found(refused)) => reply.found(&access, &refused),
    }
}

/// Whether a request, or a CONNECT, is one for a help-line.
pub fn asks_help_line(connection: &ClientConnection, request: &Request<Incoming>) -> bool {
    let target = match *request.method() {
        Method::CONNECT => tunnel::read_target(request),
        _ => match read_target(connection, request) {
            Ok(Asked::Origin(target)) => Some(target),
            _ => None,
        },
    };
    let Some(target) = target else { return false };
    let snapshot = connection.gateway.snapshot.load();
    let access = Access { target, ..own_pages::access_to_nothing(connection, &snapshot, request) };
    judge::is_help_line(&snapshot, &access)
}

/// Answers a request that nobody looks into: what it is, or how many there are, is reason enough.
pub fn turn_down(
    connection: &ClientConnection,
    request: &Request<Incoming>,
    obstacle: Obstacle,
) -> Response<ReplyBody> {
    let snapshot = connection.gateway.snapshot.load();
    let reply = Reply::on(connection, &snapshot, request.headers());
    let method = if obstacle.unread { "" } else { request.method().as_str() };
    let mut access = own_pages::access_of_nothing(connection, &snapshot, method);
    if obstacle.unread {
        // Nothing is known of it.
    } else if *request.method() == Method::CONNECT {
        access.target = tunnel::read_target(request).unwrap_or(access.target);
    } else if let Ok(Asked::Origin(target)) = read_target(connection, request) {
        access.target = target;
    }
    let mut response = reply.failed(&access, obstacle.failure, obstacle.failure.ending());
    if matches!(obstacle.failure, Failure::TooManyRequests | Failure::TooManyConnections | Failure::TooBusy) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if obstacle.closes { and_close(response) } else { response }
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
    /// Inside TLS that was opened: another host than the one it was opened for (RFC 9110 §15.5.20).
    Misdirected,
}

fn read_target(connection: &ClientConnection, request: &Request<Incoming>) -> Result<Asked, InvalidRequest> {
    let uri = request.uri();
    if let Some(inside) = connection.inside.as_ref().filter(|inside| inside.is_opened) {
        return read_opened(request, inside);
    }
    let Some(authority) = uri.authority() else {
        return match (&connection.inside, connection.dialled) {
            (Some(inside), _) => read_inside(request, inside.port),
            (None, Some(dialled)) => read_dialled(request, dialled.at),
            (None, None) => Ok(Asked::NoProxyRequest),
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
    // Nearly always the same letters: those need no second reading.
    if request.headers().get(HOST).is_none_or(|named| named != authority.as_str()) {
        check_host_fields(request.headers(), &host, port, HTTP_PORT)?;
    }
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

/// Inside TLS that was opened: the certificate was for one host, and the origin is believed as that one.
fn read_opened(request: &Request<Incoming>, inside: &Inside) -> Result<Asked, InvalidRequest> {
    let asked = match request.uri().authority() {
        None => {
            let mut named = request.headers().get_all(HOST).iter();
            let (field, None) = (named.next(), named.next()) else { return Err(InvalidRequest::HostDiffers) };
            match field {
                Some(field) => {
                    let text = field.to_str().map_err(|_| InvalidRequest::Host)?;
                    Some(read_authority(split_port(text), text, inside.port)?)
                }
                // Before HTTP/1.1 there may be none.
                None => None,
            }
        }
        Some(authority) if authority.as_str().contains('@') => return Err(InvalidRequest::Host),
        Some(authority) => {
            if request.uri().scheme_str() != Some("https") {
                return Err(InvalidRequest::Scheme);
            }
            let asked = read_authority(authority.host(), authority.as_str(), inside.port)?;
            check_host_fields(request.headers(), &asked.0, asked.1, inside.port)?;
            Some(asked)
        }
    };
    if asked.is_some_and(|(host, port)| host != inside.host || port != inside.port) {
        return Err(InvalidRequest::Misdirected);
    }
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut target = Target::http(inside.host.clone(), inside.port, path_and_query);
    (target.scheme, target.host_source) = (Scheme::Https, HostSource::Inspected);
    Ok(Asked::Origin(target))
}

/// Origin form on its way to an origin that the client has dialled itself. Before HTTP/1.1 there may be no name.
fn read_dialled(request: &Request<Incoming>, dialled: SocketAddr) -> Result<Asked, InvalidRequest> {
    let mut target = match request.headers().contains_key(HOST) {
        true => match read_inside(request, dialled.port())? {
            Asked::Origin(target) => target,
            other => return Ok(other),
        },
        false => {
            let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
            Target::http(Host::Address(dialled.ip()), dialled.port(), path_and_query)
        }
    };
    target.host_source = if target.host.name().is_some() { HostSource::Clear } else { HostSource::Address };
    Ok(Asked::Origin(target))
}

/// Every `Host` there is must name the target of the request line.
fn check_host_fields(headers: &HeaderMap, host: &Host, port: u16, default: u16) -> Result<(), InvalidRequest> {
    for field in headers.get_all(HOST) {
        let text = field.to_str().map_err(|_| InvalidRequest::HostDiffers)?;
        let named = split_port(text);
        match read_authority(named, text, default) {
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

/// HTTP itself, or what it carries.
fn spoken(request: &Request<Incoming>) -> Protocol {
    let fields = [UPGRADE, CONTENT_TYPE, ACCEPT];
    let fields = fields.iter().filter_map(|name| Some((name.as_str(), request.headers().get(name)?.as_bytes())));
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    detect::protocol_of_request(*request.method() == Method::GET, target, fields)
}

/// A navigation says so (Fetch Metadata, `Sec-Fetch-Mode`); older clients ask for HTML first.
fn visit(headers: &HeaderMap) -> Visit {
    const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    if let Some(mode) = headers.get(FETCH_MODE) {
        return if mode == "navigate" { Visit::Visited } else { Visit::SubResource };
    }
    match headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()) {
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
    let failure = match fault {
        InvalidRequest::Misdirected => Failure::Misdirected,
        _ => Failure::RequestUnreadable,
    };
    and_close(reply.failed(&access, failure, Ending::ClientInvalid))
}
