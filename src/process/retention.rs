//! Deletes on the day what may no longer be kept: at the start, then once an hour, by the process that owns the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::{Stream, Timestamp};
use crate::accesslog::proof::Proofs;
use crate::accesslog::{purge_sealed, purge_set_aside, sealed_folder};
use crate::audit::purge::{self, Gone};
use crate::audit::retention::{ClockWatch, Durations};
use crate::audit::trail;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::store::embedded::Purged;
use crate::store::{AnyStore, Embedded};

const EVERY: Duration = Duration::from_secs(3600);

/// Keeps the durations of the configuration in force, for ever.
pub async fn keep(store: AnyStore, proofs: Proofs, gateway: Arc<Gateway>, clock: Clock) {
    let config = gateway.snapshot().config.clone();
    let mut watch = ClockWatch::new(&marks(&config, &store));
    let started = Instant::now();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        match watch.believes(clock.now(), started.elapsed()) {
            Ok(Some(now)) => {
                let config = gateway.snapshot().config.clone();
                delete(store.embedded(), &proofs, &config, now).await;
                purge_proofs(store.embedded(), &proofs, durations(&config), now).await;
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

fn durations(config: &Config) -> Durations {
    Durations { accesses_days: config.retention.accesses_days, connections_days: config.retention.connections_days }
}

async fn delete(store: Option<&Embedded>, proofs: &Proofs, config: &Config, now: Timestamp) {
    let durations = durations(config);
    // A server keeps its own durations (`ecluse store migrate`, `ecluse store purge`).
    if let Some(store) = store {
        delete_rows(store, proofs, config, durations, now).await;
    }
    delete_set_aside(config, durations, now).await;
    forget_questions(config, now).await;
    delete_names(config, durations, now).await;
}

async fn delete_rows(store: &Embedded, proofs: &Proofs, config: &Config, durations: Durations, now: Timestamp) {
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
                    let kept_days = durations.of(*stream);
                    certify(store, proofs, config, now, Past { stream: *stream, gone, kept_days }).await;
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
/// A day whose rows are gone.
struct Past {
    stream: Stream,
    gone: Purged,
    kept_days: u32,
}

/// Signs that it went.
async fn certify(store: &Embedded, proofs: &Proofs, config: &Config, now: Timestamp, past: Past) {
    let Past { stream, gone, kept_days } = past;
    let trees = match store.roots_of_day(stream, gone.day).await {
        Ok(trees) => trees,
        Err(error) => {
            tracing::error!(%error, "the certificate of a purge names no roots");
            Vec::new()
        }
    };
    let (college, gateway) = (&config.college.code, &config.gateway);
    let gone = Gone { college, gateway, stream, day: gone.day, rows: gone.rows, kept_days, trees: &trees };
    if let Err(error) = purge::certify(proofs.folder(), proofs.signer(), now, &gone) {
        tracing::error!(%error, day = %Timestamp::start_of_day(gone.day), %stream, "a purge has no certificate");
    }
}

/// Roots and what opens their leaves go with the last of their rows.
async fn purge_proofs(store: Option<&Embedded>, proofs: &Proofs, durations: Durations, now: Timestamp) {
    for stream in Stream::ALL {
        let before = durations.first_kept(*stream, now);
        if let Some(store) = store
            && let Err(error) = store.purge_proofs(*stream, before).await
        {
            tracing::error!(%error, %stream, "proofs of rows that are gone are still in the store");
        }
        if let Err(error) = proofs.purge(*stream, before) {
            tracing::error!(%error, %stream, "proofs of rows that are gone are still in the state directory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::proof::{Circumstances, ClockQuality, Hash, Sealed, Secret};
    use crate::access::{CollegeCode, GatewayName};
    use crate::accesslog::proof::ProofSettings;
    use crate::store::suite::{self, sample};
    use crate::store::{ProofStore, RootsAsked};

    #[test]
    fn a_day_that_goes_leaves_a_signed_certificate_that_names_its_roots_and_takes_its_proofs_with_it() {
        let state = tempfile::TempDir::new().unwrap();
        let config = Config::load(None, Some(state.path())).unwrap();
        let now: Timestamp = "2027-12-01T00:00:00Z".parse().unwrap();
        let settings = ProofSettings { folder: config.paths.proofs.clone(), key_file: None };
        let proofs = Proofs::open(&settings, Clock::manual(now)).unwrap();
        let store = Embedded::open(&config.store.directory).unwrap();
        let rows = sample::rows(&mut sample::Dice::seeded(4), Stream::Accesses, 40);
        let mut growing = Sealed::grow(Secret::of_bytes([1; 32]));
        rows.iter().for_each(|row| growing.row(row));
        let about = Circumstances {
            college: CollegeCode::parse("0131234A").unwrap(),
            gateway: GatewayName::parse("gw-1").unwrap(),
            stream: Stream::Accesses,
            lane: 1,
            segment: 1,
            sealed: "2026-11-26T00:00:00Z".parse().unwrap(),
            clock: ClockQuality::default(),
            rules: String::new(),
        };
        let sealed = growing.seal(about, (0, Hash::default()), &[], proofs.signer()).unwrap();
        let asked = RootsAsked { stream: Stream::Accesses, college: None, from: None, to: None, most: 10 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let left = runtime.block_on(async {
            suite::insert(&store, &rows).await;
            store.keep(std::slice::from_ref(&sealed)).await.unwrap();
            delete(Some(&store), &proofs, &config, now).await;
            purge_proofs(Some(&store), &proofs, durations(&config), now).await;
            store.roots(&asked).await.unwrap()
        });
        assert_eq!(left, []);
        let certificates = purge::verify_purges(proofs.folder()).unwrap();
        let days: std::collections::BTreeMap<i32, u64> = rows.iter().fold(Default::default(), |mut days, row| {
            *days.entry(row.start().day()).or_default() += 1;
            days
        });
        let told = certificates.iter().map(|c| (c.rows, c.kept_days, c.roots.clone()));
        let expected = days.values().map(|rows| (*rows, config.retention.accesses_days, vec![(1, sealed.root.hash())]));
        assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
