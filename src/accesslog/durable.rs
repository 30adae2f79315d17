//! Sync on demand: who may lose nothing by a power cut waits for the next sync, together with all who wait for the same.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Numbers of waiters: a sync answers all that came before it began.
pub(super) struct Demand {
    asked: Mutex<u64>,
    wake: Condvar,
    done: watch::Sender<Done>,
}

#[derive(Clone, Copy, Default)]
struct Done {
    up_to: u64,
    is_durable: bool,
}

impl Demand {
    pub(super) fn new() -> Self {
        Demand { asked: Mutex::new(0), wake: Condvar::new(), done: watch::Sender::default() }
    }

    /// Waits for the next sync; whether it made durable what was written before the call.
    pub(super) async fn wait(&self) -> bool {
        let mut done = self.done.subscribe();
        let number = {
            let mut asked = self.asked();
            *asked += 1;
            self.wake.notify_one();
            *asked
        };
        let answer = done.wait_for(|done| done.up_to >= number).await;
        // The thread that syncs ended with the journal: nobody knows.
        answer.is_ok_and(|done| done.is_durable)
    }

    /// Blocks until somebody waits, but no longer than `idle`; answers whom the next sync is for.
    pub(super) fn next(&self, idle: Duration) -> u64 {
        let answered = self.done.borrow().up_to;
        let waited = self.wake.wait_timeout_while(self.asked(), idle, |asked| *asked == answered);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn answer(&self, up_to: u64, is_durable: bool) {
        self.done.send_replace(Done { up_to, is_durable });
    }

    fn asked(&self) -> MutexGuard<'_, u64> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
