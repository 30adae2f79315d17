//! When something happened last, read and written without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Never, or some time ago.
#[derive(Debug)]
pub(super) struct Moment {
    begun: Instant,
    /// Milliseconds since `begun`; 0 is never.
    at: AtomicU64,
}

impl Default for Moment {
    fn default() -> Self {
        Moment { begun: Instant::now(), at: AtomicU64::new(0) }
    }
}

impl Moment {
    /// Now; says whether it was not within `news_after` before.
    pub fn mark(&self, news_after: Duration) -> bool {
        let now = self.now();
        let before = self.at.swap(now, Ordering::Relaxed);
        before == 0 || now.saturating_sub(before) >= millis(news_after)
    }

    pub fn forget(&self) {
        self.at.store(0, Ordering::Relaxed);
    }

    pub fn is_within(&self, duration: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != 0 && self.now().saturating_sub(at) < millis(duration)
    }

    /// Whether it happened after the other did. Both began together.
    pub fn is_after(&self, other: &Moment) -> bool {
        self.at.load(Ordering::Relaxed) > other.at.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed()).max(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_again_soon_is_no_news() {
        let (moment, minute) = (Moment::default(), Duration::from_secs(60));
        assert!(!moment.is_within(minute));
        assert!(moment.mark(minute));
        assert!(moment.is_within(minute));
        tokio::time::advance(minute / 2).await;
        assert!(!moment.mark(minute));
        tokio::time::advance(minute).await;
        assert!(!moment.is_within(minute));
        assert!(moment.mark(minute));
        moment.forget();
        assert!(!moment.is_within(minute));
    }
}
