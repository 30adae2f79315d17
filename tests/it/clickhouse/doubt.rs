//! A server that acknowledges what it has not: the rows are looked for where there is a reason, and sent again.

use std::time::Duration;

use ecluse::access::{Gap, GapRow, Row, Stream, Timestamp};
use ecluse::store::suite::sample::{self, Dice as Sample};
use ecluse::store::suite::{batch, everything, search};
use ecluse::store::{Batch, Filter, RecordStore};

use super::{Rig, ask, fresh_name, open, server};

/// Loses every third row, and remembers the tokens.
async fn lose_some(rig: &Rig, database: &str) -> usize {
    let sql = format!("ALTER TABLE {database}.accesses DELETE WHERE sequence % 3 = 0 SETTINGS mutations_sync = 2");
    ask(&rig.engine.url(), &sql).await;
    let left = super::number(&rig.engine.url(), &format!("SELECT count() FROM {database}.accesses")).await;
    left as usize
}

fn rows() -> Vec<Row> {
    sample::rows(&mut Sample::seeded(31), Stream::Accesses, 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_known_and_not_there_is_sent_again() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    let store = rig.store(&database).await;
    let rows = rows();
    assert_eq!(store.insert(&batch(&rows)).await, Ok(()));
    let left = lose_some(&rig, &database).await;
    assert!(0 < left && left < rows.len());

    // This process saw everything acknowledged: it has no reason to look.
    assert_eq!(store.insert(&batch(&rows)).await, Ok(()));
    assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), left, "the server knows the token");

    // One that does not know what its last one saw looks, once nothing can be on its way any more.
    let mut settings = server(&[rig.engine.url()], &database);
    (settings.send, settings.answer) = (Duration::from_millis(1_500), Duration::from_millis(1_500));
    let next = open(&settings);
    let before = std::time::Instant::now();
    assert_eq!(next.insert(&batch(&rows)).await, Ok(()));
    assert!(before.elapsed() >= Duration::from_millis(2_900), "{:?}", before.elapsed());
    let found = search(&next, &everything(Stream::Accesses)).await;
    let mut sorted = rows.clone();
    sorted.sort_by(|a, b| ecluse::store::Order::OldestFirst.compare(a, b));
    assert_eq!(found, sorted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_there_is_not_sent_although_its_token_is_forgotten() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    let store = rig.store(&database).await;
    let rows = rows();
    assert_eq!(store.insert(&batch(&rows)).await, Ok(()));
    let mut forgotten = batch(&rows);
    forgotten.token.first = 0;
    let gap = Gap {
        since: Timestamp::from_micros(1_795_435_200_000_000),
        until: Timestamp::from_micros(1_795_435_300_000_000),
        count: 7,
        segment: 0,
        cause: "the disk was full".to_owned(),
    };
    let row = rows[0].key();
    let (college, gateway) = (row.college.clone(), row.gateway.clone());
    forgotten.gaps = vec![GapRow { college, gateway, lane: row.lane, stream: Stream::Accesses, gap }];
    let next = open(&server(&[rig.engine.url()], &database));
    assert_eq!(next.insert(&forgotten).await, Ok(()));
    assert_eq!(search(&next, &everything(Stream::Accesses)).await.len(), rows.len(), "doubled");
    let gaps = next.gaps(&Filter::all(Stream::Accesses)).await.unwrap();
    assert_eq!(gaps, forgotten.gaps, "what is missing is told all the same, and once");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_server_lost_are_there_again_after_they_were_looked_for() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    let store = rig.store(&database).await;
    let rows = rows();
    assert_eq!(store.insert(&batch(&rows)).await, Ok(()));
    assert_eq!(store.confirm(&batch(&rows)).await, Ok(0));
    let lost = rows.len() - lose_some(&rig, &database).await;
    let other = Batch::of(&rows[..1]).unwrap();
    assert_eq!(store.confirm(&batch(&rows)).await, Ok(lost as u64));
    assert_eq!(store.confirm(&other).await, Ok(0));
    assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), rows.len());
    assert_eq!(store.compare(&rows).await.unwrap(), Default::default());
}
