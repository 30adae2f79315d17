//! `Upgrade` (RFC 9110 §7.8): a request that becomes a tunnel when its origin says 101. WebSocket is the one protocol
//! that browsers upgrade to (RFC 6455); any other offer is not passed on, which RFC 9110 lets a server do.
//!
//! What a client sends behind its request stays in its hands' way until the origin has answered: the framer hands hyper
//! nothing beyond a request, so early bytes are either the tunnel's or the next request's, never both.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use ::http::{Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::access::Ending;
use crate::policy::RelayPermit;
use crate::relay::{self, RelayLimits, Side, Tally};
use crate::tasks;

use super::allowances::Taken;
use super::body::ReplyBody;
use super::counted::Counted;
use super::flows::AccessFlow;
use super::headers::{self, ViaName};
use super::origins::Kept;
use super::tunnel::take_end;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client that asked for a WebSocket.
pub struct ClientUpgrade {
    client: OnUpgrade,
    taken: Arc<Taken>,
}

impl ClientUpgrade {
    /// Whether a request asks for a WebSocket, as RFC 6455 §4.1 has it: GET, HTTP/1.1, no body.
    pub fn asked(request: &mut Request<Incoming>, taken: &Arc<Taken>) -> Option<ClientUpgrade> {
        let is_asked = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
            && names_upgrade(request.headers())
            && is_websocket(request.headers());
        is_asked.then(|| ClientUpgrade { client: hyper::upgrade::on(request), taken: taken.clone() })
    }

    /// The origin's 101 for the client; both connections are one tunnel from then on.
    pub fn accept(
        self,
        via: &ViaName,
        mut response: Response<Incoming>,
        kept: Kept,
        flow: AccessFlow,
        permit: RelayPermit,
        idle: Duration,
    ) -> Response<ReplyBody> {
        let origin = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        headers::remove_hop_by_hop(&mut head.headers);
        ask(&mut head.headers);
        via.sign(head.version, &mut head.headers);
        head.version = Version::HTTP_11;
        let mut flow = flow;
        flow.amend(|record| record.status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16()));
        tasks::spawn("websocket", async move {
            let ending = relay_upgraded(self.client, origin, permit, &flow, idle).await;
            flow.if_dropped(ending);
            drop(flow);
            drop((kept, self.taken));
        });
        Response::from_parts(head, ReplyBody::Own(None))
    }
}

async fn relay_upgraded(
    client: OnUpgrade,
    origin: OnUpgrade,
    permit: RelayPermit,
    flow: &AccessFlow,
    idle: Duration,
) -> Ending {
    let Ok(origin) = origin.await else { return Ending::OriginClosed };
    let Ok(origin) = origin.downcast::<TokioIo<Counted>>() else { return Ending::Failed };
    let Some((client, early)) = client.await.ok().and_then(take_end) else { return Ending::ClientClosed };
    let client = Side { first: early, stream: client };
    // The connection has a row of its own, which counts on: what hyper read of it was counted then.
    let (stream, link) = origin.io.into_inner().into_parts();
    let origin = Side { first: origin.read_buf, stream };
    let limits = RelayLimits { idle, total: None };
    let tally = Tally { access: flow.counts(), link: Some(&link) };
    relay::relay(permit, client, origin, limits, tally).await.ending()
}

/// Says that the connection is to become a WebSocket, to the other side of ours.
pub fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let tokens = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    tokens.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let mut offers = headers.get_all(UPGRADE).iter();
    let first = offers.next().is_some_and(|offer| offer.as_bytes().eq_ignore_ascii_case(b"websocket"));
    first && offers.next().is_none()
}
