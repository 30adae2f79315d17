//! The two limits of time of a relay, on one timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{RelayEnd, RelayLimits};

/// A timer that is not set anew for each byte: when it rings, it looks how long ago the last one was.
#[derive(Debug)]
pub(super) struct Timer {
    limits: RelayLimits,
    begun: Instant,
    moved: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    pub fn new(limits: RelayLimits) -> Self {
        let now = Instant::now();
        let (at, _) = next(limits, now, now);
        Timer { limits, begun: now, moved: now, sleep: Box::pin(sleep_until(at)) }
    }

    /// Bytes moved just now.
    pub fn moved(&mut self) {
        self.moved = Instant::now();
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let (at, end) = next(self.limits, self.begun, self.moved);
            if at <= Instant::now() {
                return Poll::Ready(end);
            }
            self.sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}

/// The limit that is reached first if nothing moves.
fn next(limits: RelayLimits, begun: Instant, moved: Instant) -> (Instant, RelayEnd) {
    let idle = moved + limits.idle;
    match limits.total.map(|total| begun + total) {
        Some(total) if total <= idle => (total, RelayEnd::Total),
        _ => (idle, RelayEnd::Idle),
    }
}
