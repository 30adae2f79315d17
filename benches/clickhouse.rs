//! The store of many colleges on rows as school days make them: shipping, bytes a row, and the questions people ask.
//!
//! `cargo bench --bench clickhouse [-- ROWS]`, `--full` for 60 million; the engine is what `tests/run` installs. Every
//! figure comes with a count that is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it did not expect"
)]

#[path = "../tests/it/harness/mod.rs"]
mod harness;
mod rows;

use std::time::{Duration, Instant};

use ecluse::access::{
    AccessRow, ActionTaken, CollegeCode, ConnectionRecord, ConnectionRow, Ending, Flags, GatewayName, Host, Protocol,
    Pseudonym, Row, RowKey, Stream, Timestamp,
};
use ecluse::config::Server;
use ecluse::store::clickhouse::Plan;
use ecluse::store::suite::{batch, everything};
use ecluse::store::{ClickHouse, Dimension, HostFilter, Order, Query, Question, RecordStore};

use harness::engine::{Engine, serve_if_asked};

const BATCH: u64 = 20_000;
const COLLEGES: u64 = 4;
const DAYS: u64 = 30;
const DAY_US: u64 = 86_400_000_000;
/// The day of [`rows::record`], and the days before it.
const LAST_DAY: u64 = DAYS - 1;

fn main() {
    serve_if_asked();
    let full = std::env::args().any(|argument| argument == "--full");
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let number = asked.unwrap_or(if full { 60_000_000 } else { 2_400_000 });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(number));
}

/// Where a row is among all of them.
#[derive(Clone, Copy)]
struct Place {
    college: u64,
    day: u64,
    number: u64,
    a_day: u64,
}

/// College after college inside a day, as gateways that ship side by side; batches are of one.
fn places(rows: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let a_day = rows / (COLLEGES * DAYS) / BATCH * BATCH;
    (0..DAYS).flat_map(move |day| {
        (0..a_day / BATCH).flat_map(move |turn| (0..COLLEGES).map(move |college| (day, college, turn * BATCH)))
    })
}

fn access(place: Place) -> Row {
    let mut record = rows::record(place.number, place.a_day);
    let back = (LAST_DAY - place.day) * DAY_US;
    for at in [&mut record.start, &mut record.end] {
        *at = Timestamp::from_micros(at.as_micros() - back as i64);
    }
    record.person = record.person.map(|person| of_the_day(person, place));
    Row::Access(Box::new(AccessRow { key: key(place), record }))
}

/// A person has another pseudonym every day, and in every college.
fn of_the_day(Pseudonym(bytes): Pseudonym, place: Place) -> Pseudonym {
    let mixed = u128::from_be_bytes(bytes) ^ u128::from(place.day * COLLEGES + place.college + 1) << 64;
    let low = (mixed as u64 ^ (mixed >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Pseudonym((mixed.wrapping_mul(0x0123_4567_89ab_cdef_1357) ^ u128::from(low)).to_be_bytes())
}

/// One connection for four accesses: a tablet keeps its connections open.
fn connection(place: Place) -> Row {
    let access = rows::record(place.number * 4, place.a_day * 4);
    let back = (LAST_DAY - place.day) * DAY_US;
    let at = |at: Timestamp| Timestamp::from_micros(at.as_micros() - back as i64);
    let host: u64 = access.host.bytes().fold(7, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let record = ConnectionRecord {
        start: at(access.start),
        end: at(access.end),
        person: access.person.map(|person| of_the_day(person, place)),
        identity_source: access.identity_source,
        identity_strength: access.identity_strength,
        device: "".into(),
        client_address: access.client_address,
        client_port: Some(32_768 + (place.number * 7 % 28_000) as u16),
        outward_address: "192.0.2.10".parse().ok(),
        outward_port: Some(32_768 + (place.number * 3 % 28_000) as u16),
        origin_address: Some(std::net::Ipv4Addr::from((0xCB00_7100 ^ (host as u32) << 9).to_be()).into()),
        origin_port: Some(443),
        protocol: Protocol::Tls,
        bytes_up: access.bytes_up,
        bytes_down: access.bytes_down,
        action: access.action,
        ending: Ending::Complete,
        count: 1,
        flags: Flags::default(),
    };
    Row::Connection(Box::new(ConnectionRow { key: key(place), record }))
}

fn key(place: Place) -> RowKey {
    RowKey {
        college: CollegeCode::parse(&format!("013123{}A", place.college)).expect("a code"),
        gateway: GatewayName::parse(&format!("gw-{}", place.college)).expect("a name"),
        lane: place.day + 1,
        sequence: place.number + 1,
        slice: 0,
    }
}

async fn measure(number: u64) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let engine = Engine::start(&folder.path().join("engine"), &[]).expect("the engine is installed by tests/run");
    let server = Server {
        endpoints: vec![engine.url()],
        database: "ecluse".to_owned(),
        user: "default".to_owned(),
        password_file: None,
        ca_file: None,
        identity: None,
        connect: Duration::from_secs(5),
        send: Duration::from_secs(60),
        answer: Duration::from_secs(600),
        batch_rows: BATCH as usize,
        batch: Duration::from_secs(30),
        keep: Duration::ZERO,
    };
    let store = ClickHouse::open(&server, &GatewayName::parse("gw-0").expect("a name")).expect("a store");
    let plan = Plan { database: "ecluse".to_owned(), cluster: None, accesses_days: 20_000, connections_days: 20_000 };
    store.migrate(&plan).await.expect("migrated");

    let asked = Asked::new(number);
    let mut counts = asked.iter().map(|_| 0u64).collect::<Vec<_>>();
    let rows = ship(&store, Stream::Accesses, number, access, |row| {
        for (count, question) in counts.iter_mut().zip(&asked) {
            *count += u64::from(ecluse::store::suite::naive::matches(&question.query.filter, row));
        }
    })
    .await;
    let connections = ship(&store, Stream::Connections, number / 4, connection, |_| {}).await;
    for (stream, rows) in [(Stream::Accesses, rows), (Stream::Connections, connections)] {
        ask(&engine, &format!("OPTIMIZE TABLE ecluse.{stream} FINAL")).await;
        let bytes: f64 = ask(
            &engine,
            &format!("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'ecluse' AND table = '{stream}'"),
        )
        .await
        .parse()
        .expect("a number");
        println!("{stream}: {:.1} bytes a row on disk, indexes included", bytes / rows as f64);
        let columns = ask(
            &engine,
            &format!(
                "SELECT concat(name, ' ', toString(round(data_compressed_bytes / {rows}, 2))) FROM system.columns \
                 WHERE database = 'ecluse' AND table = '{stream}' AND data_compressed_bytes / {rows} > 0.05 \
                 ORDER BY data_compressed_bytes DESC"
            ),
        )
        .await;
        println!("  {}", columns.replace('\n', ", "));
    }
    for (question, count) in asked.into_iter().zip(counts) {
        question.measure(&store, count).await;
    }
    categories(&store, rows).await;
}

/// Ships rows in batches; only the store's time counts.
async fn ship(
    store: &ClickHouse,
    stream: Stream,
    number: u64,
    make: impl Fn(Place) -> Row,
    mut seen: impl FnMut(&Row),
) -> u64 {
    let (mut spent, mut sent, mut slowest) = (Duration::ZERO, 0u64, Duration::ZERO);
    let a_day = number / (COLLEGES * DAYS) / BATCH * BATCH;
    for (day, college, first) in places(number) {
        let rows: Vec<Row> = (first..first + BATCH).map(|number| make(Place { college, day, number, a_day })).collect();
        rows.iter().for_each(&mut seen);
        let batch = batch(&rows);
        let begun = Instant::now();
        store.insert(&batch).await.expect("stored");
        slowest = slowest.max(begun.elapsed());
        spent += begun.elapsed();
        sent += BATCH;
    }
    let rate = sent as f64 / spent.as_secs_f64();
    println!("{stream}: {sent} rows shipped, {rate:.0} rows/s; slowest batch of {BATCH} in {slowest:?}");
    sent
}

struct Asked {
    what: &'static str,
    query: Query,
}

impl Asked {
    /// The five questions of the design, on the last day where it matters.
    fn new(number: u64) -> Vec<Asked> {
        let a_day = number / (COLLEGES * DAYS) / BATCH * BATCH;
        assert!(a_day > 0, "at least {} rows", COLLEGES * DAYS * BATCH);
        let at = |day: u64| Place { college: 1, day, number: 7, a_day };
        let of = |row: &Row| match row {
            Row::Access(row) => (row.record.person, row.record.start, row.key.college.clone()),
            Row::Connection(_) => unreachable!("accesses are asked for"),
        };
        let (person, start, college) = of(&access(at(LAST_DAY)));
        let hour = start.hour();
        let after = |minutes: u64| hour.plus(Duration::from_secs(60 * minutes));
        let all = || {
            let mut query = everything(Stream::Accesses);
            query.filter.college = Some(college.clone());
            query
        };
        let mut hour_of_one = all();
        (hour_of_one.filter.persons, hour_of_one.filter.from, hour_of_one.filter.to) =
            (person.map(|one| vec![one]), Some(hour), Some(after(60)));
        let mut host = all();
        host.filter.from = Some(hour.minus(Duration::from_secs(6 * 86_400)));
        host.filter.host = Host::parse("www.site-4000.example").ok().map(HostFilter::Exactly);
        let mut refused = all();
        (refused.filter.from, refused.filter.actions) =
            (Some(Timestamp::start_of_day(hour.day())), vec![ActionTaken::Refuse]);
        (refused.order, refused.limit) = (Order::NewestFirst, Some(200));
        let mut month = all();
        month.filter.persons = Some((0..DAYS).filter_map(|day| of(&access(at(day))).0).collect());
        let mut minutes = all();
        (minutes.filter.from, minutes.filter.to) = (Some(after(30)), Some(after(35)));
        vec![
            Asked { what: "a person, one hour", query: hour_of_one },
            Asked { what: "who reached a host, one week", query: host },
            Asked { what: "refused today, the last 200", query: refused },
            Asked { what: "one person, 30 days, all columns", query: month },
            Asked { what: "everything of a college in 5 minutes", query: minutes },
        ]
    }

    /// The best of three, as the figures of the design are.
    async fn measure(&self, store: &ClickHouse, matching: u64) {
        let expected = self.query.limit.map_or(matching, |limit| limit.min(matching));
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let begun = Instant::now();
            let mut found = store.search(&self.query).await.expect("an answer");
            let mut rows = 0;
            while let Some(row) = found.next().await {
                row.expect("a row");
                rows += 1;
            }
            best = best.min(begun.elapsed());
            assert_eq!(rows, expected, "{}", self.what);
        }
        println!("{}: {expected} rows in {:.1} ms", self.what, best.as_secs_f64() * 1000.0);
    }
}

async fn categories(store: &ClickHouse, rows: u64) {
    let question = Question {
        filter: everything(Stream::Accesses).filter,
        by: Dimension::Category,
        zone: jiff::tz::TimeZone::UTC,
        top: 20,
    };
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let tallies = store.stats(&question).await.expect("counts");
        best = best.min(begun.elapsed());
        assert_eq!(tallies.iter().map(|tally| tally.number).sum::<u64>(), rows);
    }
    println!("the month's top categories: {:.1} ms", best.as_secs_f64() * 1000.0);
}

async fn ask(engine: &Engine, sql: &str) -> String {
    let client = clickhouse::Client::default().with_url(engine.url());
    let mut answer = client.query_raw(sql).fetch_bytes("TabSeparatedRaw").expect("a statement");
    let bytes = answer.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
