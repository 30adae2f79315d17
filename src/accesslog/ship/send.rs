//! Sends one batch until the store has it, refuses it for good, or patience ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::compress::Compressor;
use super::super::settings::ShipSettings;
use super::blocking;
use crate::metrics::METRICS;
use crate::store::{Batch, RecordStore, StoreError};

/// What the store made of a batch.
pub(super) enum Sent {
    Stored,
    /// It will never take it.
    Refused(String),
    /// It did not take it as long as we asked.
    GivenUp(StoreError),
}

/// How long to try.
pub(in crate::accesslog) struct Patience {
    stop: Option<watch::Receiver<bool>>,
    tries: u32,
    /// Has something to do in pauses.
    compressor: Option<Arc<Mutex<Compressor>>>,
}

impl Patience {
    /// Until somebody says stop.
    pub(super) fn until(stop: watch::Receiver<bool>, compressor: Arc<Mutex<Compressor>>) -> Self {
        Patience { stop: Some(stop), tries: u32::MAX, compressor: Some(compressor) }
    }

    /// So many times more after a first time.
    pub(in crate::accesslog) fn tries(tries: u32) -> Self {
        Patience { stop: None, tries, compressor: None }
    }

    /// Waits; `false` when it is over.
    pub(super) async fn pause(&mut self, pause: Duration) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries = if self.tries == u32::MAX { self.tries } else { self.tries - 1 };
        let until = Instant::now() + pause;
        self.compress(until).await;
        let Some(stop) = &mut self.stop else {
            tokio::time::sleep_until(until).await;
            return true;
        };
        tokio::select! {
            () = tokio::time::sleep_until(until) => true,
            _ = stop.wait_for(|stop| *stop) => {
                self.tries = 0;
                false
            }
        }
    }

    async fn compress(&self, until: Instant) {
        let Some(compressor) = &self.compressor else { return };
        let is_over = || Instant::now() >= until || self.stop.as_ref().is_some_and(|stop| *stop.borrow());
        let step = async |work: fn(&mut Compressor) -> bool| {
            let compressor = compressor.clone();
            blocking(move || work(&mut compressor.lock().unwrap_or_else(PoisonError::into_inner))).await
        };
        let look = |compressor: &mut Compressor| {
            compressor.look();
            compressor.step()
        };
        let mut is_more = step(look).await;
        while is_more && !is_over() {
            is_more = step(Compressor::step).await;
        }
    }
}

pub(super) async fn send<S: RecordStore>(
    store: &S,
    batch: &Batch,
    settings: &ShipSettings,
    patience: &mut Patience,
) -> Sent {
    let mut pause = settings.retry_first;
    loop {
        let error = match store.insert(batch).await {
            Ok(()) => return Sent::Stored,
            Err(error) => error,
        };
        match &error {
            StoreError::Poison(why) => {
                tracing::error!(token = %batch.token, why, rows = batch.rows.len(),
                    "the store refuses a batch for good: it is set aside in the spool's folder `poison` and must be looked at");
                return Sent::Refused(why.clone());
            }
            StoreError::Retry(why) => {
                METRICS.ship_retries.add(1);
                tracing::warn!(token = %batch.token, why, "a batch is not stored yet and is sent again");
            }
            StoreError::Stop(why) => {
                METRICS.ship_retries.add(1);
                tracing::error!(token = %batch.token, why, "the store takes nothing until somebody acts; the journal keeps everything meanwhile");
                pause = settings.retry_longest;
            }
        }
        if !patience.pause(with_jitter(pause)).await {
            return Sent::GivenUp(error);
        }
        pause = (pause * 2).min(settings.retry_longest);
    }
}

/// Between half and the whole: gateways that lost the same centre do not come back in step.
fn with_jitter(pause: Duration) -> Duration {
    let mut random = [0u8; 2];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = aws_lc_rs::rand::fill(&mut random);
    pause / 2 + pause.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 2.0)
}
