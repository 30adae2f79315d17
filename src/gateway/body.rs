//! Message bodies on their way through: counted, paced, never held.
//!
//! A body is passed on frame by frame as the reader asks for it, so that back-pressure reaches the sender and memory
//! does not depend on its size. The response's body carries its access with it: when the last byte has gone to the
//! client, or anything breaks, the access ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::access::Ending;
use crate::relay::Counts;

use super::flows::AccessFlow;

/// Why a body stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the sender broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the sender said nothing for {} s", .0.as_secs())]
    Stalled(Duration),
}

/// A body whose sender must not stall for longer than `limit`.
struct Paced {
    body: Incoming,
    limit: Duration,
    /// Set at the first wait; `None` while frames come without waiting.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Paced {
    fn new(body: Incoming, limit: Duration) -> Self {
        Paced { body, limit, timer: None, waiting: false }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame.map(|result| result.map_err(BodyError::from)));
        }
        let deadline = || Instant::now() + self.limit;
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.waiting {
                    timer.as_mut().reset(deadline());
                }
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline()))),
        };
        self.waiting = true;
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Stalled(self.limit)))),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A request's body towards an origin.
pub struct RequestBody {
    inner: Paced,
    counts: Arc<Counts>,
}

impl RequestBody {
    pub fn new(body: Incoming, counts: Arc<Counts>, limit: Duration) -> Self {
        RequestBody { inner: Paced::new(body, limit), counts }
    }

    /// The client's body again, where nothing of it has been sent.
    pub fn into_inner(self) -> Incoming {
        self.inner.body
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = self.inner.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.counts.add_up(data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.body.size_hint()
    }
}

/// What happens when a response has been passed on whole: the origin's connection may serve the next request.
pub type OnComplete = Box<dyn FnOnce() + Send + Sync>;

/// An origin's response body towards the client, with its access.
pub struct ResponseBody {
    inner: Paced,
    access: Option<(AccessFlow, u16)>,
    on_complete: Option<OnComplete>,
}

impl ResponseBody {
    pub fn new(body: Incoming, limit: Duration, access: AccessFlow, status: u16, on_complete: OnComplete) -> Self {
        let mut this = ResponseBody {
            inner: Paced::new(body, limit),
            access: Some((access, status)),
            on_complete: Some(on_complete),
        };
        if this.inner.body.is_end_stream() {
            this.complete();
        }
        this
    }

    fn complete(&mut self) {
        self.end(Ending::Complete);
        if let Some(on_complete) = self.on_complete.take() {
            on_complete();
        }
    }

    fn end(&mut self, ending: Ending) {
        if let Some((access, status)) = self.access.take() {
            access.finish(Some(status), ending);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = self.inner.poll_frame(cx);
        match &frame {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), Some((access, _))) = (frame.data_ref(), &self.access) {
                    access.counts().add_down(data.len() as u64);
                }
                if self.inner.body.is_end_stream() {
                    self.complete();
                }
            }
            Poll::Ready(None) => self.complete(),
            Poll::Ready(Some(Err(BodyError::Stalled(_)))) => self.end(Ending::TimedOut),
            Poll::Ready(Some(Err(BodyError::Broken(_)))) => self.end(Ending::OriginClosed),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.body.size_hint()
    }
}

/// Dropped before the end: the client left (hyper drops the body with the connection).
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some((access, status)) = self.access.take() {
            access.finish(Some(status), Ending::ClientClosed);
        }
    }
}

/// What the client receives: an origin's response or an answer of our own.
pub enum ReplyBody {
    Origin(ResponseBody),
    Own(Option<Bytes>),
}

impl ReplyBody {
    pub fn own(text: impl Into<Bytes>) -> Self {
        ReplyBody::Own(Some(text.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            ReplyBody::Origin(body) => Pin::new(body).poll_frame(cx),
            ReplyBody::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Origin(body) => body.is_end_stream(),
            ReplyBody::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Origin(body) => body.size_hint(),
            ReplyBody::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
