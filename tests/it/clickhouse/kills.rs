//! The plug of the server is pulled at random instants while batches go in: each row is there once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ecluse::access::{Row, RowKey, Stream};
use ecluse::store::suite::sample::{self, Dice as Sample};
use ecluse::store::suite::{batch, everything, search};
use ecluse::store::{RecordStore, StoreError};

use super::between::{Between, Fault};
use super::{PATIENCE, Rig, fresh_name, number, open, plan, server};
use crate::harness::{Dice, amount, meanwhile};

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_there_once_however_often_the_server_dies() {
    let Some(rig) = Rig::start().map(Arc::new) else { return };
    let database = fresh_name();
    rig.store(&database).await;
    let kills = amount("ECLUSE_TEST_STORE_KILLS", 6);
    // One address for the store, whatever port the engine has after each start.
    let between = Between::start(rig.engine.port(), None, || Fault::Pass).await;
    let mut settings = server(&[between.url()], &database);
    (settings.send, settings.answer) = (PATIENCE, PATIENCE);
    let store = open(&settings);
    let stop = Arc::new(AtomicBool::new(false));

    let lane = |lane: u64| {
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let (mut sent, mut attempts, mut serial) = (Vec::new(), 0u64, 0u64);
            while !stop.load(Ordering::Relaxed) {
                let rows = rows(lane, serial, 400);
                serial += 1;
                let batch = batch(&rows);
                loop {
                    attempts += 1;
                    match store.insert(&batch).await {
                        Ok(()) => break,
                        Err(StoreError::Retry(_)) => meanwhile(Duration::from_millis(20)).await,
                        Err(other) => panic!("{other}"),
                    }
                }
                sent.extend(rows);
            }
            (sent, attempts)
        }
    };
    let killer = async {
        let mut dice = Dice::new();
        for _ in 0..kills {
            meanwhile(Duration::from_millis(50 + dice.below(700))).await;
            let rig = rig.clone();
            let started = tokio::task::spawn_blocking(move || {
                rig.engine.restart();
                rig.engine.port()
            });
            between.moved(started.await.expect("it starts again"));
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (one, other, ()) = tokio::join!(lane(1), lane(2), killer);
    let (mut ledger, mut attempts): (HashMap<RowKey, Row>, u64) = (HashMap::new(), 0);
    for (sent, tries) in [one, other] {
        attempts += tries;
        ledger.extend(sent.into_iter().map(|row| (row.key().clone(), row)));
    }

    let direct = open(&server(&[rig.engine.url()], &database));
    let found = search(&direct, &everything(Stream::Accesses)).await;
    assert_eq!(found.len(), ledger.len(), "missing or doubled");
    for row in &found {
        assert_eq!(ledger.get(row.key()), Some(row), "fields differ");
    }
    // The counts are made anew where a death took a block of theirs: here they may differ, and after that they do not.
    let url = rig.engine.url();
    let days = super::ask(&url, &format!("SELECT DISTINCT toDate(start) FROM {database}.accesses")).await;
    for day in days.lines() {
        direct.rebuild_hours(&plan(&database), day).await.unwrap();
    }
    let counted = number(&url, &format!("SELECT sum(number) FROM {database}.hourly")).await;
    let rows = number(&url, &format!("SELECT sum(if(slice = 0, `count`, 0)) FROM {database}.accesses")).await;
    assert_eq!(counted, rows);
    assert!(attempts * 400 >= found.len() as u64 && !found.is_empty());
    eprintln!("{kills} kills of the server, {} rows, {attempts} attempts: 0 missing, 0 doubled", found.len());
}

/// Rows of a lane that no other call makes.
fn rows(lane: u64, serial: u64, number: usize) -> Vec<Row> {
    let mut rows = sample::rows(&mut Sample::seeded(lane << 32 | serial), Stream::Accesses, number);
    for (place, row) in rows.iter_mut().enumerate() {
        let key = match row {
            Row::Access(row) => &mut row.key,
            Row::Connection(row) => &mut row.key,
        };
        (key.lane, key.sequence, key.slice) = (lane, serial * number as u64 + place as u64 + 1, 0);
    }
    rows
}
