//! A limit of pace: who sends a byte a minute, or takes one, holds a connection for nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// What a client has to send or take in each stretch of the time that we wait for it.
const PACE_BYTES: u64 = 1024;

/// Of the time that we wait for the client, each stretch of a given length must see [`PACE_BYTES`] move. Time in which
/// we do not wait for it does not count.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Waited so far in the present stretch, and moved in it.
    waited: Duration,
    moved: u64,
    since: Option<Instant>,
}

impl Pace {
    pub(super) fn moved(&mut self, n: usize) {
        self.moved += n as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        if self.moved >= PACE_BYTES {
            (self.waited, self.moved) = (Duration::ZERO, 0);
        }
    }

    /// Nothing moves now: ready when the stretch is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        timer: &mut Option<Pin<Box<Sleep>>>,
        stretch: Duration,
    ) -> Poll<io::Error> {
        let since = *self.since.get_or_insert_with(Instant::now);
        ready!(poll_timer(timer, since + stretch.saturating_sub(self.waited), cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client neither sent nor took enough in time"))
    }
}

/// One timer for all waits of a kind: set anew only when it would fire too early or too late.
pub(super) fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
    if timer.deadline() != until {
        timer.as_mut().reset(until);
    }
    timer.as_mut().poll(cx)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const STRETCH: Duration = Duration::from_secs(60);

    /// How long a client is waited for that moves `bytes` every `every`, at most ten minutes.
    async fn waited_for(bytes: usize, every: Duration) -> Duration {
        let (mut pace, mut timer, began) = (Pace::default(), None, Instant::now());
        while began.elapsed() < 10 * STRETCH {
            let next = Instant::now() + every;
            let moves = tokio::time::sleep_until(next);
            tokio::select! {
                biased;
                _ = poll_fn(|cx| pace.poll(cx, &mut timer, STRETCH)) => break,
                () = moves => pace.moved(bytes),
            }
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_byte_now_and_then_is_given_one_stretch() {
        assert_eq!(waited_for(1, Duration::from_secs(10)).await, STRETCH);
        assert_eq!(waited_for(100, Duration::from_secs(7)).await, STRETCH);
        assert_eq!(waited_for(0, Duration::from_secs(1000)).await, STRETCH);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_and_goes_on_is_waited_for() {
        assert!(waited_for(1024, Duration::from_secs(50)).await >= 10 * STRETCH);
        assert!(waited_for(20, Duration::from_secs(1)).await >= 10 * STRETCH);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let (mut pace, mut timer) = (Pace::default(), None);
        for _ in 0..100 {
            let waits = poll_fn(|cx| pace.poll(cx, &mut timer, STRETCH));
            assert!(tokio::time::timeout(Duration::from_millis(1), waits).await.is_err());
            pace.moved(1);
            // The origin takes its time.
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    }
}
