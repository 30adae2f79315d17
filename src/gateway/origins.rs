//! The origin connections of one client connection.
//!
//! They are kept alive for the client they serve and never lent to another: an outward port belongs to one person at a
//! time, and no byte of one user can reach another. A client's HTTP/1 connection asks one thing at a time, so a
//! link is either in use or idle here; when the client leaves, its links are closed with it.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use ::http::header::{PROXY_AUTHORIZATION, UPGRADE};
use ::http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use crate::access::{Ending, Host, Target};
use crate::config::Limits;
use crate::origin::Parent;
use crate::policy::RelayPermit;
use crate::tasks;

use super::allowances::count_up_to;
use super::answer::Failure;
use super::body::RequestBody;
use super::connection::HYPER_FIELDS;
use super::counted::{Counted, Heard};
use super::ends::OriginEnd;
use super::intent::ConnectionIntent;
use super::origin_head::InvalidHead;
use super::pace::poll_timer;
use super::reach::Reached;
use super::{origin_fault, origin_head};

/// Idle origin connections kept for one client connection; the oldest goes when another is to be kept.
const IDLE_MAX: usize = 8;
/// A link that takes longer to be ready is not worth the wait: a new one is a round trip away.
const READY_WITHIN: Duration = Duration::from_millis(100);

/// One kept-alive connection to an origin.
pub struct Link {
    host: Host,
    port: u16,
    /// The address that was dialled.
    pub peer: SocketAddr,
    /// The address by which accesses are judged; `None` where the parent proxy knows it.
    pub address: Option<IpAddr>,
    /// The address that the client dialled, where it was another.
    pub mismatch: Option<IpAddr>,
    parent: Option<Arc<Parent>>,
    absolute_form: bool,
    /// Of its row in the stream of connections; 0 for a help-line.
    pub sequence: u64,
    /// Help-line links are never shared with other accesses: their row names nobody.
    nameless: bool,
    /// It has served a request before.
    used: bool,
    sender: SendRequest<RequestBody>,
    heard: Arc<Heard>,
    /// Whether the last request's body has been taken whole.
    sent: Arc<AtomicBool>,
    task: JoinHandle<()>,
    /// Told before a request that may turn the connection into a tunnel: then its row is completed by who relays.
    upgrading: Arc<AtomicBool>,
    /// Dropped with the link, or by who relays, when the connection is over.
    over: Option<oneshot::Sender<()>>,
    /// For the wait for an answer.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The far end of a link that is to be: dialled, and where the client's TLS is opened, believed.
pub struct Far {
    pub end: OriginEnd,
    pub peer: SocketAddr,
    pub parent: Option<Arc<Parent>>,
    pub absolute_form: bool,
}

impl From<Reached> for Far {
    fn from(Reached { stream, parent, absolute_form }: Reached) -> Self {
        Far { end: OriginEnd::Clear(stream.stream), peer: stream.peer, parent, absolute_form }
    }
}

/// Keeps the row of an upgraded connection open while bytes move.
pub struct Kept(#[expect(dead_code, reason = "its end is the message")] Option<oneshot::Sender<()>>);

impl Link {
    /// Speaks HTTP/1.1 over it. The connection's row is completed when it closes.
    pub async fn open(
        Far { end, peer, parent, absolute_form }: Far,
        target: &Target,
        ConnectionIntent { mut flow, sequence, .. }: ConnectionIntent,
        limits: &Limits,
    ) -> Result<Link, hyper::Error> {
        let nameless = sequence == 0;
        let head_bytes = limits.header_bytes.max(8192);
        let heard = Heard::new(head_bytes);
        let io = TokioIo::new(Counted::new(end, flow.counts().clone(), heard.clone()));
        let mut builder = http1::Builder::new();
        if limits.header_fields != HYPER_FIELDS {
            builder.max_headers(limits.header_fields);
        }
        let (sender, connection) = builder
            .preserve_header_case(true)
            // Old servers fold lines and leave spaces before colons: we write both anew (RFC 9112 §5.1, §5.2).
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .max_buf_size(head_bytes)
            .handshake(io)
            .await?;
        // Only a link whose answer was complete is ended by us.
        flow.if_dropped(Ending::Complete);
        let upgrading = Arc::new(AtomicBool::new(false));
        let (over, is_over) = oneshot::channel::<()>();
        let may_be_upgraded = upgrading.clone();
        let task = tasks::spawn("origin connection", async move {
            let ending = match connection.with_upgrades().await {
                Ok(()) if may_be_upgraded.load(Ordering::Relaxed) => {
                    // An error means that the sender is gone, which is what is waited for.
                    let _ = is_over.await;
                    Ending::Complete
                }
                Ok(()) => Ending::Complete,
                Err(error) => origin_fault::ending(&error),
            };
            flow.finish(None, ending);
        });
        Ok(Link {
            host: target.host.clone(),
            port: target.port,
            peer,
            address: target.address,
            mismatch: target.mismatch,
            parent,
            absolute_form,
            sequence,
            nameless,
            used: false,
            sender,
            heard,
            sent: Arc::new(AtomicBool::new(true)),
            task,
            upgrading,
            over: Some(over),
            timer: None,
        })
    }

    /// Whether the peer is the parent proxy, with or without a tunnel through it.
    pub fn is_to_parent(&self) -> bool {
        self.parent.is_some()
    }

    /// Whether it has served a request before: the origin may have closed it at any moment since.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// Sends a request and waits for the head of its answer, as long as the request moves and then `stall` at most (and
    /// at most twice that). The permit is policy's last answer for it, and is given back for what else it may move.
    pub async fn send(
        &mut self,
        permit: RelayPermit,
        mut request: Request<RequestBody>,
        stall: Duration,
    ) -> Result<(Response<Incoming>, RelayPermit), SendError> {
        self.used = true;
        let asks_upgrade = request.headers().contains_key(UPGRADE);
        self.upgrading.store(asks_upgrade, Ordering::Relaxed);
        self.sent = request.body().ended().clone();
        let has_answer = request.body().answered().clone();
        self.heard.asked();
        let counts = request.body().counts().clone();
        let origin_form = request.uri().clone();
        if let (Some(parent), true) = (&self.parent, self.absolute_form) {
            for_parent(&mut request, parent, &self.host, self.port);
        }
        let mut sending = std::pin::pin!(self.sender.try_send_request(request));
        let (mut until, mut before) = (Instant::now() + stall, counts.up());
        // The timer stays with the link: setting it later is cheap, another one for each request is not.
        let answered = poll_fn(|cx| {
            if let Poll::Ready(answered) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(answered));
            }
            while poll_timer(&mut self.timer, until, cx).is_ready() {
                let now = counts.up();
                if now == before {
                    return Poll::Ready(None);
                }
                (until, before) = (Instant::now() + stall, now);
            }
            Poll::Pending
        });
        let Some(answered) = answered.await else {
            return Err(SendError::Failed(Failure::OriginTimedOut, Ending::TimedOut));
        };
        self.heard.answered();
        has_answer.store(true, Ordering::Relaxed);
        let response = answered.map_err(|mut error| match error.take_message() {
            Some(mut request) => {
                *request.uri_mut() = origin_form;
                request.headers_mut().remove(PROXY_AUTHORIZATION);
                SendError::NotSent(Box::new(request))
            }
            None => self.fault(&error.into_error()),
        })?;
        match origin_head::check(&response, asks_upgrade) {
            Ok(()) => Ok((response, permit)),
            Err(InvalidHead::ProxyAuthentication) if let (Some(parent), true) = (&self.parent, self.absolute_form) => {
                parent.denies_us();
                Err(SendError::Failed(Failure::Ours, Ending::Failed))
            }
            Err(invalid) => {
                tracing::debug!(%invalid, "an origin's answer is not passed on");
                Err(SendError::Failed(Failure::OriginBroken, Ending::OriginInvalid))
            }
        }
    }

    /// The connection has become a tunnel.
    pub fn into_kept(mut self) -> Kept {
        Kept(self.over.take())
    }

    fn fault(&self, error: &hyper::Error) -> SendError {
        match origin_fault::of_request(error) {
            (_, Ending::OriginClosed) if self.heard.is_nothing() => SendError::Unanswered,
            (failure, ending) => SendError::Failed(failure, ending),
        }
    }
}

/// Absolute form (RFC 9112 §3.2.2), with our credentials.
fn for_parent(request: &mut Request<RequestBody>, parent: &Parent, host: &Host, port: u16) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // A host that was parsed and a path that was one: together they are a URL.
    if let Ok(uri) = format!("http://{host}:{port}{path}").parse() {
        *request.uri_mut() = uri;
    }
    if let Some(authorization) = parent.authorization() {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
    }
}

/// An answer may be complete before its request is: what is left of the request has nobody to read it.
impl Drop for Link {
    fn drop(&mut self) {
        if !self.sent.load(Ordering::Relaxed) {
            self.task.abort();
        }
    }
}

/// Why a request got no answer.
pub enum SendError {
    /// The connection was closed before the first byte was sent: the request may be sent on another.
    NotSent(Box<Request<RequestBody>>),
    /// It may have reached the origin, which closed the connection without a byte of an answer.
    Unanswered,
    /// It may have reached the origin.
    Failed(Failure, Ending),
}

/// Idle links of all clients: each takes a descriptor that no flow accounts for.
#[derive(Debug, Default)]
pub struct IdleLinks(AtomicUsize);

/// An idle link's part of them.
struct IdlePlace(Arc<IdleLinks>);

impl IdleLinks {
    /// One more, where there are fewer than `most`.
    fn take(self: &Arc<Self>, most: usize) -> Option<IdlePlace> {
        count_up_to(&self.0, most).then(|| IdlePlace(self.clone()))
    }
}

impl Drop for IdlePlace {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The idle links of one client connection.
#[derive(Clone)]
pub struct Origins {
    idle: Arc<Mutex<Vec<(Link, IdlePlace)>>>,
    all: Arc<IdleLinks>,
    /// Of all clients together.
    most: usize,
}

impl Origins {
    /// `flows`: how many the gateway may have; half as many links may be idle.
    pub fn new(all: &Arc<IdleLinks>, flows: usize) -> Self {
        Origins { idle: Arc::default(), all: all.clone(), most: flows.div_ceil(2) }
    }

    /// An idle link to this host and port by this way, if there is one that the origin has not closed.
    pub async fn take(&self, target: &Target, nameless: bool, parent: Option<&Arc<Parent>>) -> Option<Link> {
        loop {
            let mut link = self.take_any(target, nameless, parent)?;
            // Ready when the exchange before is really over, which is nearly always now.
            if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, link.sender.ready()).await {
                return Some(link);
            }
        }
    }

    fn take_any(&self, target: &Target, nameless: bool, parent: Option<&Arc<Parent>>) -> Option<Link> {
        let mut links = self.links();
        links.retain(|(link, _)| !link.sender.is_closed());
        let at = links.iter().position(|(link, _)| {
            let same_way = link.parent.as_ref().map(Arc::as_ptr) == parent.map(Arc::as_ptr);
            link.port == target.port && link.nameless == nameless && same_way && link.host == target.host
        })?;
        Some(links.swap_remove(at).0)
    }

    /// Keeps a link for the next request, where the last one has been sent whole.
    pub fn keep(&self, link: Link) {
        if !link.sent.load(Ordering::Relaxed) {
            return;
        }
        let Some(place) = self.all.take(self.most) else { return };
        let mut links = self.links();
        if links.len() == IDLE_MAX {
            links.remove(0);
        }
        links.push((link, place));
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Vec<(Link, IdlePlace)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clients_together_have_so_many_idle_links_and_a_place_is_given_back() {
        let all = Arc::new(IdleLinks::default());
        let kept: Vec<IdlePlace> = (0..3).filter_map(|_| all.take(2)).collect();
        assert_eq!(kept.len(), 2);
        drop(kept);
        assert!(all.take(1).is_some());
        assert!(Origins::new(&all, 1).most >= 1, "one flow may keep its link");
    }
}
