//! The embedded store on rows as a school day makes them: inserts, then the questions people ask.
//!
//! `cargo bench --bench store [-- ROWS]`; every figure comes with a count that is asserted.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod rows;

use std::time::{Duration, Instant};

use ecluse::access::{AccessRecord, AccessRow, ActionTaken, CollegeCode, GatewayName, Host, Row, RowKey, Stream};
use ecluse::store::suite::{batch, everything, search};
use ecluse::store::{Dimension, Embedded, HostFilter, Order, Question, RecordStore};

use rows::record;

/// A gateway ships 20,000 to 50,000 rows at once.
const BATCH: u64 = 20_000;

fn main() {
    let rows = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000 / BATCH * BATCH);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(rows));
}

async fn measure(rows: u64) {
    let directory = tempfile::TempDir::new().expect("a directory");
    let store = Embedded::open(directory.path()).expect("a store");
    let mut spent = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for first in (0..rows).step_by(BATCH as usize) {
        let batch = batch(&(first..first + BATCH).map(|i| row(i, rows)).collect::<Vec<_>>());
        let begun = Instant::now();
        store.insert(&batch).await.expect("stored");
        slowest = slowest.max(begun.elapsed());
        spent += begun.elapsed();
    }
    let rate = |rows: u64, spent: Duration| rows as f64 / spent.as_secs_f64();
    println!("insert: {rows} rows, {:.0} rows/s; slowest batch {slowest:?}", rate(rows, spent));
    let bytes: u64 = std::fs::read_dir(directory.path())
        .expect("a directory")
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|e| e == "sqlite"))
        .map(|file| file.metadata().map_or(0, |m| m.len()))
        .sum();
    println!("size: {} bytes a row", bytes / rows);
    let last = batch(&(rows - BATCH..rows).map(|i| row(i, rows)).collect::<Vec<_>>());
    let begun = Instant::now();
    store.insert(&last).await.expect("stored already");
    println!("again: {:.0} rows/s", rate(BATCH, begun.elapsed()));
    questions(&store, rows).await;
}

async fn questions(store: &Embedded, rows: u64) {
    let all = || everything(Stream::Accesses);
    let kept = |wanted: &dyn Fn(&AccessRecord) -> bool| (0..rows).filter(|i| wanted(&record(*i, rows))).count();

    let mut person = all();
    person.filter.persons = record(7, rows).person.map(|person| vec![person]);
    let person_rows = kept(&|r| r.person == record(7, rows).person);
    ask(store, "a person", person, person_rows).await;

    let mut host = all();
    host.filter.host = Host::parse("www.site-7.example").ok().map(HostFilter::Exactly);
    let host_rows = kept(&|r| *r.host == *"www.site-7.example");
    ask(store, "a host", host, host_rows).await;

    let mut within = all();
    let name = ecluse::access::HostName::parse("site-7.example").expect("a name");
    within.filter.host = Some(HostFilter::Within(name));
    ask(store, "a host and its subdomains", within, host_rows).await;

    let mut refused = all();
    (refused.order, refused.limit, refused.filter.actions) = (Order::NewestFirst, Some(200), vec![ActionTaken::Refuse]);
    ask(store, "the last 200 refused", refused, 200).await;

    let mut client = all();
    client.filter.client = "10.131.0.7/32".parse().ok();
    let client_rows = kept(&|r| r.client_address == "10.131.0.7".parse().ok());
    ask(store, "a client", client, client_rows).await;

    ask(store, "everything", all(), rows as usize).await;

    let zone = jiff::tz::TimeZone::get("Europe/Paris").expect("built in");
    for by in [Dimension::Hour, Dimension::Category, Dimension::Host] {
        let begun = Instant::now();
        let question = Question { filter: all().filter, by, zone: zone.clone(), top: u32::MAX };
        let tallies = store.stats(&question).await.expect("counts");
        println!("counts by {}: {:?}", by.as_str(), begun.elapsed());
        assert_eq!(tallies.iter().map(|tally| tally.number).sum::<u64>(), rows);
    }
}

async fn ask(store: &Embedded, what: &str, query: ecluse::store::Query, expected: usize) {
    let begun = Instant::now();
    let found = search(store, &query).await;
    println!("{what}: {} rows in {:?}", found.len(), begun.elapsed());
    assert_eq!(found.len(), expected, "{what}");
}

fn row(i: u64, rows: u64) -> Row {
    let key = RowKey {
        college: CollegeCode::parse("0131234A").expect("a code"),
        gateway: GatewayName::parse("gw-0131234a").expect("a name"),
        lane: 12,
        sequence: i + 1,
        slice: 0,
    };
    Row::Access(Box::new(AccessRow { key, record: record(i, rows) }))
}
