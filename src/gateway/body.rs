//! Message bodies on their way through: counted, paced, never held.
//!
//! A body is passed on frame by frame as the reader asks for it, so that back-pressure reaches the sender and memory
//! does not depend on its size. The response's body carries its access with it: when the last byte has gone to the
//! client, or anything breaks, the access ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::access::Ending;
use crate::relay::Counts;

use super::antivirus::{Examined, Refused};
use super::expectation::Wanted;
use super::flows::AccessFlow;
use super::phase::Phase;
use super::{headers, origin_fault};

/// Why a body stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the end of it is not passed on: {0}")]
    Refused(Refused),
    #[error("nobody takes it any more")]
    Left,
    #[error("the sender broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the sender said nothing for {} s", .0.as_secs())]
    Stalled(Duration),
}

/// Where a body comes from.
pub enum Source {
    /// As it arrives.
    Incoming(Incoming),
    /// By way of an examination.
    Examined(Examined),
}

impl From<Incoming> for Source {
    fn from(body: Incoming) -> Self {
        Source::Incoming(body)
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Source::Incoming(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|result| result.map_err(BodyError::from)))
            }
            Source::Examined(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Source::Incoming(body) => body.is_end_stream(),
            Source::Examined(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Source::Incoming(body) => body.size_hint(),
            Source::Examined(body) => body.size_hint(),
        }
    }
}

/// A body whose sender must not stall for longer than `limit`.
pub struct Paced {
    body: Source,
    limit: Duration,
    /// Set at the first wait; `None` while frames come without waiting.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Paced {
    pub fn new(body: impl Into<Source>, limit: Duration) -> Self {
        Paced { body: body.into(), limit, timer: None, waiting: false }
    }

    pub fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame);
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

/// A request's body towards an origin; `None`: it has none.
pub struct RequestBody {
    inner: Option<Paced>,
    counts: Arc<Counts>,
    ended: Arc<AtomicBool>,
    /// Not a byte of it goes before that.
    wanted: Option<Wanted>,
    /// Set when the answer's head has come.
    answered: Arc<AtomicBool>,
}

impl RequestBody {
    pub fn new(body: Option<Source>, counts: Arc<Counts>, limit: Duration) -> Self {
        let ended = Arc::new(AtomicBool::new(body.is_none()));
        RequestBody {
            inner: body.map(|body| Paced::new(body, limit)),
            counts,
            ended,
            wanted: None,
            answered: Arc::default(),
        }
    }

    /// The client's body again, where nothing of it has been sent.
    pub fn into_inner(self) -> Option<Source> {
        self.inner.map(|paced| paced.body)
    }

    /// Lets it wait until the origin wants it.
    pub fn waits_for(&mut self, wanted: Option<Wanted>) {
        self.wanted = wanted;
    }

    /// To be set when the answer's head has come.
    pub fn answered(&self) -> &Arc<AtomicBool> {
        &self.answered
    }

    /// Bytes that have gone, for who watches whether it moves.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Set when all of it has been taken.
    pub fn ended(&self) -> &Arc<AtomicBool> {
        &self.ended
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let answered = self.answered.load(Ordering::Relaxed);
        if let Some(wanted) = &mut self.wanted {
            ready!(wanted.poll(cx));
            self.wanted = None;
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = inner.poll_frame(cx);
        if answered && matches!(frame, Poll::Ready(Some(Err(_)))) {
            // An upload that breaks off must not break the answer that is on its way; its link is not used again.
            return Poll::Pending;
        }
        let ended = matches!(frame, Poll::Ready(None)) || inner.body.is_end_stream();
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.counts.add_up(data.len() as u64);
        }
        if ended {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), |inner| inner.body.size_hint())
    }
}

/// What happens when a response has been passed on whole: the origin's connection may serve the next request.
pub type OnComplete = Box<dyn FnOnce() + Send + Sync>;

/// An origin's response body towards the client, with its access.
pub struct ResponseBody {
    inner: Paced,
    access: Option<(AccessFlow, u16)>,
    on_complete: Option<OnComplete>,
    /// Knows how the client left.
    client: Phase,
}

impl ResponseBody {
    pub fn new(
        body: Source,
        limit: Duration,
        (access, status): (AccessFlow, u16),
        client: Phase,
        on_complete: OnComplete,
    ) -> Self {
        let mut this = ResponseBody {
            inner: Paced::new(body, limit),
            access: Some((access, status)),
            on_complete: Some(on_complete),
            client,
        };
        if this.inner.body.is_end_stream() {
            this.complete();
        }
        this
    }

    fn break_off(&mut self, error: &BodyError) {
        self.client.cut();
        self.end(match error {
            BodyError::Stalled(_) => Ending::TimedOut,
            BodyError::Broken(error) => origin_fault::ending(error),
            // Its row says why already.
            BodyError::Refused(_) => Ending::Cut,
            BodyError::Left => Ending::ClientClosed,
        });
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
        let mut frame = self.inner.poll_frame(cx);
        match &mut frame {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::remove_hop_by_hop(trailers);
                }
                if let (Some(data), Some((access, _))) = (frame.data_ref(), &self.access) {
                    access.counts().add_down(data.len() as u64);
                }
                // Nothing follows trailers, and nobody asks after them.
                if frame.is_trailers() || self.inner.body.is_end_stream() {
                    self.complete();
                }
            }
            Poll::Ready(None) => self.complete(),
            Poll::Ready(Some(Err(error))) => self.break_off(error),
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

/// Dropped before the end: the client left, or took nothing in time (hyper drops the body with the connection).
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some((access, status)) = self.access.take() {
            self.client.cut();
            access.finish(Some(status), self.client.ending().unwrap_or(Ending::ClientClosed));
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
