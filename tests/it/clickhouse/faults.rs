//! A server that half acknowledges, acknowledges twice, fails although it stored, is slow or goes away: what the journal's
//! shipper brings in is there once, whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ecluse::access::{Row, Stream};
use ecluse::accesslog::ShipSettings;
use ecluse::store::suite::sample::{self, Dice as Sample};
use ecluse::store::suite::{batch, everything, search};
use ecluse::store::{RecordStore, StoreError};

use super::between::{Between, Fault};
use super::{PATIENCE, Rig, fresh_name, number, open, server};
use crate::harness::{Dice, amount};

/// Sends a batch until it is acknowledged, as the shipper does: the same, again and again.
async fn until_stored(store: &impl RecordStore, rows: &[Row]) -> u32 {
    let batch = batch(rows);
    for attempt in 1..=50 {
        match store.insert(&batch).await {
            Ok(()) => return attempt,
            Err(StoreError::Retry(_)) => {}
            Err(other) => panic!("{}: {other}", batch.token),
        }
    }
    panic!("{} was not stored in fifty attempts", batch.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_says_each_row_is_there_once() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    rig.store(&database).await;
    let dice = Arc::new(Mutex::new(Dice::new()));
    let seen: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let between = Between::start(rig.engine.port(), None, {
        let (dice, seen) = (dice.clone(), seen.clone());
        move || {
            let fault = Fault::ALL[dice.lock().unwrap().below(Fault::ALL.len() as u64) as usize];
            *seen.lock().unwrap().entry(format!("{fault:?}")).or_default() += 1;
            fault
        }
    })
    .await;
    let mut settings = server(&[between.url()], &database);
    (settings.send, settings.answer) = (PATIENCE, PATIENCE);
    let store = open(&settings);

    let batches = amount("ECLUSE_TEST_FAULTS", 40);
    let mut kept: Vec<Row> = Vec::new();
    let mut sample = Sample::seeded(21);
    let all = sample::rows(&mut sample, Stream::Accesses, (batches * 30) as usize);
    for rows in all.chunks(30) {
        until_stored(&store, rows).await;
        kept.extend_from_slice(rows);
    }
    kept.sort_by(|a, b| ecluse::store::Order::OldestFirst.compare(a, b));
    let direct = open(&server(&[rig.engine.url()], &database));
    let found = search(&direct, &everything(Stream::Accesses)).await;
    assert_eq!(found.len(), kept.len(), "missing or doubled");
    assert_eq!(found, kept, "fields differ");
    let url = rig.engine.url();
    let counted = number(&url, &format!("SELECT sum(number) FROM {database}.hourly")).await;
    let rows = number(&url, &format!("SELECT sum(if(slice = 0, `count`, 0)) FROM {database}.accesses")).await;
    assert_eq!(counted, rows, "the rollup counts what is there");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), Fault::ALL.len(), "not every fault happened: {seen:?}");
    eprintln!("{batches} batches, {} rows: 0 missing, 0 doubled, after {seen:?}", kept.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_costs_nothing_but_its_turn() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    rig.store(&database).await;
    // Nobody listens on the first; the second ends every connection.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rude = Between::start(rig.engine.port(), None, || Fault::Refused).await;
    let store = open(&server(&[format!("http://{nobody}"), rude.url(), rig.engine.url()], &database));
    let rows = sample::rows(&mut Sample::seeded(22), Stream::Connections, 90);
    assert_eq!(until_stored(&store, &rows[..30]).await, 1, "the third endpoint took it at once");
    let before = rude.requests();
    assert!(before >= 1, "the second was tried");
    assert_eq!(until_stored(&store, &rows[30..60]).await, 1);
    assert_eq!(rude.requests(), before, "the one that answered last is asked first");
    assert_eq!(search(&store, &everything(Stream::Connections)).await.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_us_not_is_an_alarm_and_no_loss() {
    let Some(rig) = Rig::start_with_key(Some("right")) else { return };
    let file = rig.path("password");
    let write = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut settings = server(&[rig.engine.url()], "ecluse");
    settings.password_file = Some(file.clone());
    write("wrong\n");
    let rows = sample::rows(&mut Sample::seeded(23), Stream::Accesses, 3);
    let refused = open(&settings).insert(&batch(&rows)).await;
    assert!(matches!(refused, Err(StoreError::Stop(_))), "{refused:?}");
    write("right\n");
    let store = open(&settings);
    store.migrate(&super::plan("ecluse")).await.unwrap();
    assert_eq!(store.insert(&batch(&rows)).await, Ok(()));
}

#[test]
fn a_server_gets_few_and_large_batches() {
    let embedded = ShipSettings::default();
    assert!(embedded.interval <= Duration::from_secs(1));
    let state = tempfile::TempDir::new().unwrap();
    let file = state.path().join("ecluse.toml");
    std::fs::write(&file, "[store]\nkind = \"clickhouse\"\nendpoints = [\"https://centre.example:8443\"]\n").unwrap();
    let config = ecluse::config::Config::load(Some(&file), Some(state.path())).unwrap();
    let shipped = ShipSettings::of(&config);
    assert_eq!(
        (shipped.interval, shipped.batch_rows, shipped.keep),
        (Duration::from_secs(30), 20_000, Duration::from_secs(7 * 86_400))
    );
}
