//! What an append costs the thread of the traffic, and what a row takes in the journal.
//!
//! `cargo bench --bench journal [-- RECORDS]` prints medians beside those of a bare `write(2)` of as many bytes, measured in
//! turns in the same run. `valgrind --tool=callgrind <the bench's program> --count RECORDS` counts instructions: it
//! appends and measures nothing. What was appended is read back and counted: a fast wrong answer fails.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod rows;

use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use ecluse::access::{AccessRecord, CollegeCode, ConnectionRecord, GatewayName, Stream};
use ecluse::accesslog::inspect::{SegmentPlace, compress, inspect};
use ecluse::accesslog::{AccessLog, JournalSettings};
use ecluse::clock::Clock;

/// What a row may take in a compressed segment: seven days without the store are counted with it.
const BYTES_A_ROW: usize = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let records = arguments.iter().find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
    let state = tempfile::TempDir::new().expect("a directory");
    let spool = state.path().join("journal");
    let log = open(&spool);
    let accesses: Vec<AccessRecord> = (0..10_000).map(|i| rows::record(i, 10_000)).collect();
    let connections: Vec<ConnectionRecord> = accesses.iter().map(connection).collect();
    if arguments.iter().any(|arg| arg == "--count") {
        (0..records).for_each(|n| one(&log, &accesses[n % accesses.len()], &mut Spent::default()));
        return;
    }
    let mut bare = File::create(state.path().join("bare")).expect("a file");
    let (mut spent, mut writes) = (Spent::default(), Vec::new());
    for n in 0..records {
        one(&log, &accesses[n % accesses.len()], &mut spent);
        let begun = Instant::now();
        bare.write_all(&[b'x'; 240]).expect("written");
        writes.push(begun.elapsed());
        log.append_connection(&connections[n % connections.len()]).expect("appended");
    }
    let bare = median(writes);
    for (what, times) in [("intent", spent.intents), ("completion", spent.completions)] {
        let median = median(times);
        println!("{what}: median {median:?}, {:.2} times a bare write(2) of 240 bytes", ratio(median, bare));
    }
    println!("bare write(2) of 240 bytes: median {bare:?}");
    let lane = log.lane();
    log.close().expect("closed");
    drop(log);
    for stream in Stream::ALL {
        sizes(&spool.join(format!("lane-{lane:010}")), *stream, lane, records);
    }
}

#[derive(Default)]
struct Spent {
    intents: Vec<Duration>,
    completions: Vec<Duration>,
}

fn one(log: &AccessLog, record: &AccessRecord, spent: &mut Spent) {
    let begun = Instant::now();
    let open = log.begin_access(record).expect("appended");
    spent.intents.push(begun.elapsed());
    let begun = Instant::now();
    open.complete(record).expect("appended");
    spent.completions.push(begun.elapsed());
}

fn open(spool: &Path) -> AccessLog {
    let college = CollegeCode::parse("0131234A").expect("a code");
    let mut settings = JournalSettings::new(spool, college, GatewayName::parse("gw-1").expect("a name"));
    settings.max_bytes = u64::MAX / 2;
    AccessLog::open(settings, Clock::System).expect("a journal")
}

/// The connection that an access could have come over.
fn connection(access: &AccessRecord) -> ConnectionRecord {
    ConnectionRecord {
        start: access.start,
        end: access.end,
        person: access.person,
        identity_source: access.identity_source,
        identity_strength: access.identity_strength,
        device: "".into(),
        client_address: access.client_address,
        client_port: Some(32_768 + (access.bytes_up % 28_000) as u16),
        outward_address: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
        outward_port: Some(32_768 + (access.bytes_down % 28_000) as u16),
        origin_address: Some(Ipv4Addr::from(0xc633_6400 | (access.bytes_up % 251) as u32).into()),
        origin_port: Some(443),
        protocol: access.protocol,
        bytes_up: access.bytes_up,
        bytes_down: access.bytes_down,
        action: access.action,
        ending: access.ending,
        count: 1,
        flags: access.flags,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// Reads the segments back, and says what a row takes in them, as they are and compressed.
fn sizes(lane: &Path, stream: Stream, number: u64, expected: usize) {
    let (mut rows, mut bytes, mut compressed) = (0, 0, 0);
    for file in fs::read_dir(lane).expect("the lane").flatten() {
        let name = file.file_name().into_string().expect("UTF-8");
        let Some(segment) = name.strip_prefix(stream.as_str()).and_then(|rest| rest.strip_suffix(".seg")) else {
            continue;
        };
        let whole = fs::read(file.path()).expect("a segment");
        let segment = segment.trim_start_matches('-').parse().expect("its number");
        let place = SegmentPlace { stream, lane: number, segment };
        let small = compress(&whole, place).expect("compressed");
        let found = inspect(&small, place);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        rows += found.rows.len();
        bytes += whole.len();
        compressed += small.len();
    }
    assert_eq!(rows, expected, "{stream}");
    println!("{stream}: {} bytes a row, {} when its segment waits and is compressed", bytes / rows, compressed / rows);
    assert!(compressed / rows <= BYTES_A_ROW, "{stream}: more than {BYTES_A_ROW} bytes a row");
}
