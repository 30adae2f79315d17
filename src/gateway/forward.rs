//! One request on its way to its origin and the answer back: over an idle link of its client, or a new one.

use std::sync::Arc;

use ::http::header::{ALT_SVC, EXPECT, HOST, HeaderValue, TRANSFER_ENCODING};
use ::http::{Request, Response, StatusCode, Uri, Version, request};
use http_body::Body;
use hyper::body::Incoming;

use crate::access::{Access, Ending, Flags, Scheme, Target};
use crate::metrics::METRICS;
use crate::policy::RelayPermit;

use super::answer::Failure;
use super::antivirus::{self, Answer, NoBody, Plan, Refused, Whose};
use super::body::{BodyError, OnComplete, Paced, ReplyBody, RequestBody, ResponseBody, Source};
use super::connection::ClientConnection;
use super::expectation::Wanted;
use super::flows::AccessFlow;
use super::intent::ConnectionIntent;
use super::origins::{Link, SendError};
use super::record::{Judgement, access_record};
use super::reply::{Failed, end_failed};
use super::upgrade::{self, ClientUpgrade};
use super::way::{NoWay, Via, Way};
use super::{Snapshot, alt_svc, headers, inspect, intent, judge, origin_fault, origin_head, reach, record, way};

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
    /// What the client sends is not passed on. Before an intent was written.
    Upload(Box<Judgement>, NoBody),
    /// A body is not passed on, and the row has its end.
    Found(Refused),
}

impl From<NoWay> for Stop {
    fn from(no_way: NoWay) -> Self {
        Stop::NoWay(no_way)
    }
}

/// A request ready for an origin, in its parts; a body where there is one.
struct Outgoing {
    head: request::Parts,
    body: Option<Source>,
    upgrade: Option<ClientUpgrade>,
    /// Of the body, where it is scanned.
    scanned: Option<Arc<Plan>>,
    /// Where the answer is to be scanned.
    whose: Option<Whose>,
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
    let body = Some(Source::from(body)).filter(|body| !body.is_end_stream());
    let has_length = body.as_ref().is_none_or(|body| body.size_hint().exact().is_some());
    let head = outgoing(connection, &access.target, head);
    let mut outgoing = Outgoing { head, body, upgrade, scanned: None, whose: None };
    if judgement.duties.scan_uploads {
        scan_upload(connection, snapshot, access, &judgement, &mut outgoing).await?;
    }
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
    outgoing.begin(connection, snapshot, access, &judgement, &flow);
    if connection.gateway.log.before_traffic().await.is_err() {
        return Err(Stop::Failed(end_failed(flow, Failure::NotRecorded, Ending::Failed)));
    }
    match send(connection, snapshot, link, permit, flow, outgoing).await {
        Ok(response) => Ok(response),
        Err(Unsent::Failed(failed)) => Err(Stop::Failed(failed)),
        Err(Unsent::Found(refused)) => Err(Stop::Found(refused)),
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
    mut outgoing: Outgoing,
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
    outgoing.begin(connection, snapshot, access, &judgement, &flow);
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
        Unsent::Found(refused) => Stop::Found(refused),
        Unsent::Again(flow, _) => Stop::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)),
    })
}

/// Has what the client sends scanned: held whole before anything is dialled, or as it streams.
async fn scan_upload(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    access: &Access,
    judgement: &Judgement,
    outgoing: &mut Outgoing,
) -> Result<(), Stop> {
    let whose = Whose::of(&connection.gateway, access);
    let plan = outgoing.body.is_some().then(|| Plan::of_upload(snapshot, whose, &outgoing.head.headers)).flatten();
    let (Some(plan), Some(body)) = (plan.map(Arc::new), outgoing.body.take()) else { return Ok(()) };
    // We take it whatever the origin would say.
    outgoing.head.headers.remove(EXPECT);
    let body = Paced::new(body, snapshot.config.limits.body_idle);
    match antivirus::examine(plan.clone(), body).await {
        Ok(examined) => {
            (outgoing.body, outgoing.scanned) = (Some(Source::Examined(examined)), Some(plan));
            Ok(())
        }
        Err(no_body) => Err(Stop::Upload(Box::new(judgement.clone()), no_body)),
    }
}

impl Outgoing {
    /// The access has its row: what was said of the client's body stands there, and its answer may be one to scan.
    fn begin(
        &mut self,
        connection: &ClientConnection,
        snapshot: &Snapshot,
        access: &Access,
        judgement: &Judgement,
        flow: &AccessFlow,
    ) {
        if let Some(plan) = &self.scanned {
            plan.write_into(flow.pen());
        }
        if judgement.duties.scan && snapshot.antivirus.is_some() {
            antivirus::ask_for_the_whole(&mut self.head.headers);
            self.whose = Some(Whose::of(&connection.gateway, access));
        }
    }
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
    /// A body is not passed on.
    Found(Refused),
}

/// Sends over a link and passes the response on as it comes.
async fn send(
    connection: &Arc<ClientConnection>,
    snapshot: &Snapshot,
    mut link: Link,
    permit: RelayPermit,
    flow: AccessFlow,
    Outgoing { head, body, upgrade, scanned, whose }: Outgoing,
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
                incoming((connection, snapshot), response, link, flow, whose).await
            }
        },
        Err(SendError::NotSent(request)) => {
            let (head, body) = request.into_parts();
            let body = body.into_inner();
            Err(Unsent::Again(flow, Box::new(Outgoing { head, body, upgrade, scanned, whose })))
        }
        Err(SendError::Unanswered) => Err(match again {
            Some(head) => Unsent::Again(flow, Box::new(Outgoing { head, body: None, upgrade: None, scanned, whose })),
            None => Unsent::Failed(end_failed(flow, Failure::OriginBroken, Ending::OriginClosed)),
        }),
        Err(SendError::Failed(failure, ending)) => {
            if let Some(refused) = scanned.as_ref().and_then(|plan| plan.take_refused()) {
                flow.finish(Some(StatusCode::FORBIDDEN.as_u16()), Ending::Cut);
                return Err(Unsent::Found(refused));
            }
            // Where it was the client's bytes, we know more of it than the origin's side does.
            let (failure, ending) = match connection.phase.ending() {
                Some(ending @ Ending::ClientInvalid) => (Failure::RequestUnreadable, ending),
                client => (failure, client.unwrap_or(ending)),
            };
            Err(Unsent::Failed(end_failed(flow, failure, ending)))
        }
    }
}

/// The response on its way to the client, scanned where it is to be (`whose`). When it has been passed on whole, its link
/// may serve the next request.
async fn incoming(
    (connection, snapshot): (&Arc<ClientConnection>, &Snapshot),
    response: Response<Incoming>,
    link: Link,
    flow: AccessFlow,
    whose: Option<Whose>,
) -> Result<Response<ReplyBody>, Unsent> {
    let stall = snapshot.config.limits.body_idle;
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
    let mut body = Source::from(body);
    if let Some(whose) = whose {
        antivirus::offer_no_ranges(&mut head.headers);
        body = match scan_answer(snapshot, whose, &head, body, &flow).await {
            Ok(body) => body,
            Err(NoBody::Refused(refused)) => {
                flow.amend(|record| refused.write(record));
                flow.finish(Some(StatusCode::FORBIDDEN.as_u16()), Ending::Answered);
                return Err(Unsent::Found(refused));
            }
            Err(NoBody::Broken(error)) => {
                let (failure, ending) = match error {
                    BodyError::Stalled(_) => (Failure::OriginTimedOut, Ending::TimedOut),
                    BodyError::Broken(error) => (Failure::OriginBroken, origin_fault::ending(&error)),
                    BodyError::Left | BodyError::Refused(_) => (Failure::OriginBroken, Ending::OriginClosed),
                };
                return Err(Unsent::Failed(end_failed(flow, failure, ending)));
            }
        };
    }
    let on_complete: OnComplete = {
        let origins = connection.origins.clone();
        Box::new(move || origins.keep(link))
    };
    let body = ResponseBody::new(body, stall, (flow, status), connection.phase.clone(), on_complete);
    Ok(Response::from_parts(head, ReplyBody::Origin(body)))
}

/// The body of an answer, examined as far as policy wants it.
async fn scan_answer(
    snapshot: &Snapshot,
    whose: Whose,
    head: &::http::response::Parts,
    body: Source,
    flow: &AccessFlow,
) -> Result<Source, NoBody> {
    match Plan::of_answer(snapshot, whose, head, body.is_end_stream()) {
        Answer::Pass => Ok(body),
        Answer::Unscanned(passed) => {
            flow.amend(|record| passed.write(record));
            Ok(body)
        }
        Answer::Refuse(refused) => Err(NoBody::Refused(refused)),
        Answer::Examine(plan) => {
            plan.write_into(flow.pen());
            let body = Paced::new(body, snapshot.config.limits.body_idle);
            antivirus::examine(plan, body).await.map(Source::Examined)
        }
    }
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
