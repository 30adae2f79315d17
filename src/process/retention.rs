//! Deletes on the day what may no longer be kept: at the start, then once an hour, by the process that owns the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::{Stream, Timestamp};
use crate::accesslog::{purge_sealed, purge_set_aside, sealed_folder};
use crate::audit::retention::{ClockWatch, Durations};
use crate::audit::trail;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::store::{AnyStore, Embedded};

const EVERY: Duration = Duration::from_secs(3600);

/// Keeps the durations of the configuration in force, for ever.
pub async fn keep(store: AnyStore, gateway: Arc<Gateway>, clock: Clock) {
    let mut watch = ClockWatch::new(&marks(&gateway.snapshot().config, &store));
    let started = Instant::now();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        match watch.believes(clock.now(), started.elapsed()) {
            Ok(Some(now)) => {
                let config = gateway.snapshot().config.clone();
                delete(store.embedded(), &config, now).await;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the clock cannot be checked, so nothing is deleted"),
        }
    }
}

/// Where the mark of the clock lies.
fn marks(config: &Config, store: &AnyStore) -> std::path::PathBuf {
    match store {
        AnyStore::Embedded(_) => config.store.directory.clone(),
        AnyStore::ClickHouse(_) => config.paths.state.clone(),
    }
}

async fn delete(store: Option<&Embedded>, config: &Config, now: Timestamp) {
    let durations = Durations {
        accesses_days: config.retention.accesses_days,
        connections_days: config.retention.connections_days,
    };
    // A server keeps its own durations (`ecluse store migrate`, `ecluse store purge`).
    if let Some(store) = store {
        delete_rows(store, config, durations, now).await;
    }
    delete_set_aside(config, durations, now).await;
    forget_questions(config, now).await;
    delete_names(config, durations, now).await;
}

async fn delete_rows(store: &Embedded, config: &Config, durations: Durations, now: Timestamp) {
    for stream in Stream::ALL {
        match store.purge(*stream, durations.first_kept(*stream, now)).await {
            Ok(purged) => {
                for gone in purged {
                    tracing::info!(%stream, day = %Timestamp::start_of_day(gone.day), rows = gone.rows,
                        "a day is past its duration: its rows are deleted");
                    let written =
                        trail::purged(&config.paths.state, now, *stream, gone.day, gone.rows, durations.of(*stream));
                    if let Err(error) = written {
                        tracing::error!(%error, "what was deleted does not stand in the trail");
                    }
                }
            }
            Err(error) => tracing::error!(%error, %stream, "rows past their duration are still there"),
        }
    }
}

/// Nobody is left to be named by them.
async fn delete_names(config: &Config, durations: Durations, now: Timestamp) {
    let folder = sealed_folder(&config.journal.directory);
    let before = durations.first_kept_of_all(now);
    let purged = tokio::task::spawn_blocking(move || purge_sealed(&folder, before)).await;
    match purged {
        Ok(Ok(0)) => {}
        Ok(Ok(files)) => tracing::info!(files, "sealed names past their duration are deleted"),
        Ok(Err(error)) => tracing::error!(%error, "sealed names past their duration are still there"),
        Err(error) => tracing::error!(%error, "sealed names past their duration are still there"),
    }
}

/// The trail has its own duration.
async fn forget_questions(config: &Config, now: Timestamp) {
    let state = config.paths.state.clone();
    match tokio::task::spawn_blocking(move || trail::forget_old(&state, now)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(months)) => tracing::info!(months, "months of the trail past their duration are deleted"),
        Ok(Err(error)) => tracing::error!(%error, "months of the trail past their duration are still there"),
        Err(error) => tracing::error!(%error, "months of the trail past their duration are still there"),
    }
}

/// What no store took is kept no longer than what it did.
async fn delete_set_aside(config: &Config, durations: Durations, now: Timestamp) {
    let spool = config.journal.directory.clone();
    let first_kept = move |stream| durations.first_kept(stream, now);
    let purged = tokio::task::spawn_blocking(move || purge_set_aside(&spool, first_kept)).await;
    let gone = match purged.map_err(std::io::Error::other).and_then(|gone| gone) {
        Ok(gone) => gone,
        Err(error) => return tracing::error!(%error, "rows set aside that are past their duration are still there"),
    };
    for gone in gone {
        tracing::info!(stream = %gone.stream, rows = gone.rows, "rows set aside are past their duration: they are deleted");
        let kept_days = durations.of(gone.stream);
        if let Err(error) = trail::purged(&config.paths.state, now, gone.stream, gone.day, gone.rows, kept_days) {
            tracing::error!(%error, "what was deleted does not stand in the trail");
        }
    }
}
