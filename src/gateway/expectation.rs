//! `Expect: 100-continue` (RFC 9110 §10.1.1): the client wants to know whether its body is wanted before it sends it.
//!
//! The question goes to the origin with the request. Its 100 lets the body go, and hyper says 100 to the client when the
//! first of it is asked for; an answer instead of a 100 is the answer, and the body stays where it is. Many origins say
//! nothing: after a second the body goes all the same, as RFC 9110 has it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::EXPECT;
use ::http::{Request, StatusCode};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

/// curl waits as long for us.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a body waits for.
pub struct Wanted {
    told: Pin<Box<OwnedNotified>>,
    patience: Pin<Box<Sleep>>,
}

impl Wanted {
    /// Where a request expects a word about its body: what its body has to wait for.
    pub fn asked<B>(request: &mut Request<B>) -> Option<Wanted> {
        request.headers().get(EXPECT)?;
        let told = Arc::new(Notify::new());
        let wanted =
            Wanted { told: Box::pin(told.clone().notified_owned()), patience: Box::pin(tokio::time::sleep(PATIENCE)) };
        hyper::ext::on_informational(request, move |informational| {
            if informational.status() == StatusCode::CONTINUE {
                told.notify_one();
            }
        });
        Some(wanted)
    }

    /// Ready when the origin wants the body, or has said nothing for long enough.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.told.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { self.patience.as_mut().poll(cx) }
    }
}
