//! One request on its way to its origin and the answer back: over an idle link of its client, or a new one.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ALT_SVC, HOST, HeaderValue, TRANSFER_ENCODING};
use ::http::{Request, Response, StatusCode, Uri, Version, request};
use http_body::Body;
use hyper::body::Incoming;

use crate::access::{Access, Ending, Flags, Scheme, Target};
use crate::metrics::METRICS;
use crate::policy::RelayPermit;

use super::answer::Failure;
use super::body::{OnComplete, ReplyBody, RequestBody, ResponseBody};
use super::connection::ClientConnection;
use super::expectation::Wanted;
use super::flows::AccessFlow;
use super::intent::ConnectionIntent;
use super::origins::{Link, SendError};
use super::record::{Judgement, access_record};
use super::reply::{Failed, end_failed};
use super::upgrade::{self, ClientUpgrade};
use super::way::{NoWay, Via, Way};
use super::{Snapshot, alt_svc, headers, inspect, intent, judge, origin_head, reach, record, way};

/// RFC 9110 §4.2.1.
pub const HTTP_PORT: u16 = 80;
/// RFC 9110 §4.2.2.
const HTTPS_PORT: u16 = 443;

/// Why a request is not answered by its origin.
pub enum Stop {
    /// Before an intent was written: the answer makes the row.
    NoWay(NoWay),
    /// After: the answer ends the row.
    NoWayAfter(AccessFlow, NoWay),
    /// After, and the row has its end.
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
pub async fn forward(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    access: &mut Access,
    judgement: Judgement,
    mut request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Stop> {
    let upgrade = ClientUpgrade::asked(&mut request, &connection.taken);
    let (head, body) = request.into_parts();
    let body = Some(body).filter(|body| !body.is_end_stream());
    let has_length = body.as_ref().is_none_or(|body| body.size_hint().exact().is_some());
    let mut outgoing = Outgoing { head: outgoing(connection, &access.target, head), body, upgrade };
    if !has_length {
        // Said, because hyper takes a GET whose length it does not know for one without a body.
        outgoing.head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if outgoing.upgrade.is_some() {
        upgrade::ask(&mut outgoing.head.headers);
    }
    let nameless = judgement.duties.help_line;
    let via = Via::of(snapshot, &access.target.host);
    let link = connection.origins.take(&access.target, nameless, via.parent()).await;
    // A link outlives the rules under which it was dialled.
    let Some(link) = link.filter(|link| link.is_to_parent() || snapshot.guard.check(link.peer).is_ok()) else {
        return forward_anew(connection, snapshot, access, judgement, outgoing, None).await;
    };
    access.target.address = link.address;
    access.target.mismatch = link.mismatch;
    let (permit, judgement) = send_permit(snapshot, access, &judgement)?;
    let flow = intent::write_access_intent(connection, access, &judgement, link.sequence, Arc::default())?;
    if let Via::AroundParent = via {
        flow.amend(|record| record.flags.insert(Flags::FAILED_OPEN));
    }
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
    let prepared = match prepare(connection, snapshot, access, judgement).await {
        Ok(prepared) => prepared,
        Err(no_way) => {
            return Err(match flow {
                Some(flow) => Stop::NoWayAfter(flow, no_way),
                None => Stop::NoWay(no_way),
            });
        }
    };
    let Prepared { way, mut permit, judgement, intent: link_intent } = prepared;
    let judged = access.target.address;
    let flow = match flow {
        Some(flow) => {
            flow.amend(|record| record.connection = link_intent.sequence);
            flow
        }
        None => intent::write_access_intent(connection, access, &judgement, link_intent.sequence, Arc::default())?,
    };
    let reached = match reach::reach(connection, snapshot, access, way, (&flow, &link_intent)).await {
        Ok(reached) => reached,
        Err(no_way) => {
            link_intent.flow.finish(None, no_way.ending());
            return Err(Stop::NoWayAfter(flow, no_way));
        }
    };
    if access.target.address != judged {
        permit = match send_permit(snapshot, access, &judgement) {
            Ok((permit, last)) => {
                decide_anew(connection, access, &flow, &last);
                permit
            }
            Err(no_way) => {
                link_intent.flow.finish(None, no_way.ending());
                return Err(Stop::NoWayAfter(flow, no_way));
            }
        };
    }
    let far = match access.target.scheme {
        Scheme::Http | Scheme::Tunnel => reached.into(),
        Scheme::Https => match inspect::shake_hands(snapshot, &permit, reached, &access.target.host).await {
            Ok(far) => far,
            Err((failure, ending)) => {
                link_intent.flow.finish(None, ending);
                return Err(Stop::Failed(end_failed(flow, failure, ending)));
            }
        },
    };
    let Ok(link) = Link::open(far, &access.target, link_intent, &snapshot.config.limits).await else {
        return Err(Stop::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)));
    };
    send(connection, snapshot, link, permit, flow, outgoing).await.map_err(|unsent| match unsent {
        Unsent::Failed(failed) => Stop::Failed(failed),
        Unsent::Again(flow, _) => Stop::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)),
    })
}

/// All that comes before the dial.
struct Prepared {
    way: Way,
    permit: RelayPermit,
    judgement: Judgement,
    intent: ConnectionIntent,
}

async fn prepare(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    access: &mut Access,
    judgement: Judgement,
) -> Result<Prepared, NoWay> {
    let way = way::find(connection, snapshot, access).await?;
    let (permit, judgement) = send_permit(snapshot, access, &judgement)?;
    let intent = intent::write_connection_intent(connection, access, &judgement, &way)?;
    Ok(Prepared { way, permit, judgement, intent })
}

/// Another address answered than the one that was judged: the row tells of this one.
fn decide_anew(connection: &ClientConnection, access: &Access, flow: &AccessFlow, judgement: &Judgement) {
    flow.amend(|record| {
        let decided = access_record(&connection.gateway.log, access, judgement, record.connection);
        record::decide_anew(record, decided);
    });
}

fn send_permit(snapshot: &Snapshot, access: &Access, earlier: &Judgement) -> Result<(RelayPermit, Judgement), NoWay> {
    match judge::send(snapshot, access, earlier) {
        Ok((permit, judgement)) => Ok((permit, judgement.after(earlier))),
        Err(judgement) => Err(NoWay::Refused(Box::new(judgement.after(earlier)))),
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
    let mut request = Request::from_parts(head, body);
    let wanted = Wanted::asked(&mut request);
    request.body_mut().waits_for(wanted);
    match link.send(permit, request, stall).await {
        Ok((response, permit)) => match upgrade {
            Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                METRICS.accesses_tunnelled.add(1);
                let idle = snapshot.config.limits.tunnel_idle;
                Ok(upgrade.accept(&connection.gateway.via, response, link.into_kept(), flow, permit, idle))
            }
            _ => {
                METRICS.accesses_forwarded.add(1);
                Ok(incoming((connection, snapshot), response, link, flow, stall))
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
                client => (failure, client.unwrap_or(ending)),
            };
            Err(Unsent::Failed(end_failed(flow, failure, ending)))
        }
    }
}

/// The response on its way to the client. When it has been passed on whole, its link may serve the next request.
fn incoming(
    (connection, snapshot): (&Arc<ClientConnection>, &Snapshot),
    response: Response<Incoming>,
    link: Link,
    flow: AccessFlow,
    stall: Duration,
) -> Response<ReplyBody> {
    let (mut head, body) = response.into_parts();
    origin_head::outward(&mut head, &connection.gateway.via);
    let is_opened = connection.inside.as_ref().is_some_and(|inside| inside.is_opened);
    if head.headers.contains_key(ALT_SVC)
        && (is_opened || !snapshot.rules.name_limits(&connection.identify(snapshot)).quic)
    {
        // What is opened here is not to go on by HTTP/3, unseen (RFC 7838).
        alt_svc::remove_quic(&mut head.headers);
    }
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
    head.uri = head.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let authority = match (target.scheme, target.port) {
        (Scheme::Http, HTTP_PORT) | (Scheme::Https, HTTPS_PORT) => target.host.to_string(),
        (_, port) => format!("{}:{port}", target.host),
    };
    if head.headers.get(HOST).is_none_or(|named| *named != authority)
        && let Ok(host) = HeaderValue::try_from(authority)
    {
        head.headers.insert(HOST, host);
    }
    connection.gateway.via.sign(head.version, &mut head.headers);
    head.version = Version::HTTP_11;
    head
}
