//! The origin connections of one client connection.
//!
//! They are kept alive for the client they serve and never lent to another: an outward port belongs to one person at a
//! time, and no byte of one user can reach another. A client's HTTP/1 connection asks one thing at a time, so a
//! link is either in use or idle here; when the client leaves, its links are closed with it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::UPGRADE;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::access::{Ending, Host};
use crate::config::Limits;
use crate::origin::OriginStream;
use crate::policy::RelayPermit;
use crate::tasks;

use super::body::RequestBody;
use super::counted::Counted;
use super::way::ConnectionIntent;

/// Idle origin connections kept for one client connection; the oldest goes when another is to be kept.
const IDLE_MAX: usize = 8;

/// One kept-alive connection to an origin.
pub struct Link {
    host: Host,
    port: u16,
    /// The address that was dialled.
    pub peer: SocketAddr,
    /// Of its row in the stream of connections; 0 for a help-line.
    pub sequence: u64,
    /// Help-line links are never shared with other accesses: their row names nobody.
    nameless: bool,
    sender: SendRequest<RequestBody>,
    /// Told before a request that may turn the connection into a tunnel: then its row is completed by who relays.
    upgrading: Arc<AtomicBool>,
    /// Dropped with the link, and by who relays, when the connection is over.
    over: oneshot::Sender<()>,
}

/// Keeps the row of an upgraded connection open while bytes move.
pub struct Kept(#[expect(dead_code, reason = "its end is the message")] oneshot::Sender<()>);

impl Link {
    /// Speaks HTTP/1.1 over a dialled stream. The connection's row is completed when it closes.
    pub async fn open(
        stream: OriginStream,
        (host, port): (Host, u16),
        ConnectionIntent { flow, sequence, .. }: ConnectionIntent,
        limits: &Limits,
    ) -> Result<Link, hyper::Error> {
        let peer = stream.peer;
        let nameless = sequence == 0;
        let io = TokioIo::new(Counted::new(stream.stream, flow.counts().clone()));
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(limits.header_fields)
            .max_buf_size(limits.header_bytes.max(8192))
            .handshake(io)
            .await?;
        let upgrading = Arc::new(AtomicBool::new(false));
        let (over, is_over) = oneshot::channel::<()>();
        let may_be_upgraded = upgrading.clone();
        tasks::spawn("origin connection", async move {
            let ending = match connection.with_upgrades().await {
                Ok(()) if may_be_upgraded.load(Ordering::Relaxed) => {
                    // An error means that the sender is gone, which is what is waited for.
                    let _ = is_over.await;
                    Ending::Complete
                }
                Ok(()) => Ending::Complete,
                Err(error) if error.is_parse() => Ending::OriginInvalid,
                Err(_) => Ending::OriginClosed,
            };
            flow.finish(None, ending);
        });
        Ok(Link { host, port, peer, sequence, nameless, sender, upgrading, over })
    }

    /// Sends a request. The permit is policy's last answer for it, and is given back for what else it may move.
    pub async fn send(
        &mut self,
        permit: RelayPermit,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, RelayPermit), SendError> {
        if request.headers().contains_key(UPGRADE) {
            self.upgrading.store(true, Ordering::Relaxed);
        }
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok((response, permit)),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => SendError::NotSent(Box::new(request)),
                None => SendError::Failed(error.into_error()),
            }),
        }
    }

    /// The connection has become a tunnel.
    pub fn into_kept(self) -> Kept {
        Kept(self.over)
    }
}

/// Why a request got no answer.
pub enum SendError {
    /// The connection was closed before the first byte was sent: the request may be sent on another.
    NotSent(Box<Request<RequestBody>>),
    /// It may have reached the origin.
    Failed(hyper::Error),
}

/// The idle links of one client connection.
#[derive(Clone, Default)]
pub struct Origins(Arc<Mutex<Vec<Link>>>);

impl Origins {
    /// An idle link to this host and port, if there is one that the origin has not closed.
    pub async fn take(&self, host: &Host, port: u16, nameless: bool) -> Option<Link> {
        loop {
            let mut link = self.take_any(host, port, nameless)?;
            // Ready when the exchange before is really over.
            if link.sender.ready().await.is_ok() {
                return Some(link);
            }
        }
    }

    fn take_any(&self, host: &Host, port: u16, nameless: bool) -> Option<Link> {
        let mut links = self.links();
        links.retain(|link| !link.sender.is_closed());
        let at = links.iter().position(|l| l.port == port && l.nameless == nameless && l.host == *host)?;
        Some(links.swap_remove(at))
    }

    /// Keeps a link for the next request.
    pub fn keep(&self, link: Link) {
        let mut links = self.links();
        if links.len() == IDLE_MAX {
            links.remove(0);
        }
        links.push(link);
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
