//! The request path through the real server: these bytes to a gateway in this process, an origin that records what arrives,
//! and every lenient reader agrees with the log.
//!
//! The gateway is the whole program (`process::run`) with its journal and its store; only the origin and the name server
//! are the tests' own. `%` in an input stands for the origin's `host:port`, so that the fuzzer need not guess the port.
//! What readers saw is compared with one another after each input, and with the rows of the log after each
//! [`BATCH`] inputs.

#![no_main]
#![allow(dead_code, reason = "the harness of the integration tests has more than is used here")]

#[path = "../../it/harness/dns.rs"]
mod dns;
#[path = "../../it/harness/readers.rs"]
mod readers;
#[path = "../../it/harness/recorder.rs"]
mod recorder;
#[path = "../../it/harness/site.rs"]
mod site;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use ecluse::access::{Row, Stream};
use ecluse::lists::{Catalogue, compile};
use ecluse::store::{Embedded, Filter, Order, Query, RecordStore};
use libfuzzer_sys::fuzz_target;

use readers::ALL;
use recorder::{Recorded, Recorder};

/// Inputs between two looks into the log.
const BATCH: usize = 2_000;
/// No input may keep the gateway busy for longer: the limits below, and what a loaded machine adds.
const HANGS_AFTER: Duration = Duration::from_secs(20);
const LIMITS: &str =
    "header_ms = 1000\nkeep_alive_ms = 1000\nbody_idle_ms = 1000\ntunnel_idle_ms = 1000\ndetect_ms = 100";

struct World {
    runtime: tokio::runtime::Runtime,
    recorder: Recorder,
    proxy: SocketAddr,
    site: site::Site,
    /// Connections that were judged.
    judged: Mutex<usize>,
    inputs: Mutex<usize>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (names, recorder) = runtime.block_on(async { (dns::NameServer::start().await, Recorder::start().await) });
        let mut site = site::Site::new(Some(names.address));
        site.set("limits", LIMITS).set("journal", "segment_seconds = 1");
        let config = site.write_config();
        let (proxy, state) = (site.proxy(), site.state());
        std::thread::spawn(move || {
            let checked = ecluse::config::Config::load(Some(&config), Some(&state)).unwrap_or_else(|e| panic!("{e}"));
            // Made here, because a gateway has a child of its own program do it, and ours knows nothing but fuzzing.
            let catalogue =
                Catalogue::read(&checked.rules.directory.join("lists"), &checked.paths.lists).expect("good lists");
            compile(&catalogue, &checked.paths.image).expect("lists that compile");
            ecluse::process::run(checked, Some(&config), Some(&state)).unwrap_or_else(|e| panic!("{e}"));
        });
        let began = Instant::now();
        while TcpStream::connect(proxy).is_err() {
            assert!(began.elapsed() < HANGS_AFTER, "the gateway does not start");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        World { runtime, recorder, proxy, site, judged: Mutex::new(0), inputs: Mutex::new(0) }
    })
}

/// Says the bytes, says that there is no more, and listens to the end.
fn converse(proxy: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(proxy).expect("the gateway accepts");
    stream.set_read_timeout(Some(HANGS_AFTER)).expect("a time-out");
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    if let Err(error) = stream.read_to_end(&mut heard) {
        let hung = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        assert!(!hung, "the gateway neither answers nor closes; heard {:?}", String::from_utf8_lossy(&heard));
    }
}

/// All readers see the same requests, and none is for a site that is refused.
fn readers_agree(recorded: &Recorded) {
    let by_the_book = ALL[0].read(&recorded.bytes);
    for reader in ALL {
        let seen = reader.read(&recorded.bytes);
        let brief = |all: &[readers::Request]| -> Vec<(String, String, String)> {
            all.iter().map(|r| (r.method.clone(), r.target.clone(), r.host.clone())).collect()
        };
        assert_eq!(
            brief(&seen),
            brief(&by_the_book),
            "{}: {:?}",
            reader.name,
            String::from_utf8_lossy(&recorded.bytes)
        );
    }
    for request in by_the_book {
        let host = request.host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let refused = ["adult.test", "games.test", "other.test"]
            .iter()
            .any(|name| host == *name || host.ends_with(&format!(".{name}")));
        assert!(!refused, "a refused site was reached: {request:?}");
    }
}

/// Every row of a stream.
fn rows(world: &World, stream: Stream) -> Vec<Row> {
    let store = Embedded::open_read_only(&world.site.state().join("store"));
    let query = Query { filter: Filter::all(stream), order: Order::OldestFirst, limit: None };
    let found = world.runtime.block_on(async { store.search(&query).await.expect("a readable store").all().await });
    found.expect("readable rows")
}

/// Each request that arrived has its row, which names what the origin read.
fn log_agrees(world: &World, recorded: &[Recorded]) {
    let began = Instant::now();
    loop {
        match compare(&rows(world, Stream::Connections), &rows(world, Stream::Accesses), recorded) {
            Ok(()) => return,
            Err(why) if began.elapsed() > HANGS_AFTER => panic!("{why}"),
            // Rows are complete when their segment has been shipped.
            Err(_) => std::thread::park_timeout(Duration::from_millis(300)),
        }
    }
}

fn compare(connections: &[Row], accesses: &[Row], recorded: &[Recorded]) -> Result<(), String> {
    let mut of: HashMap<u64, Vec<(String, String)>> = HashMap::new();
    for row in accesses {
        if let Row::Access(row) = row {
            let host = format!("{}:{}", row.record.host, row.record.port);
            of.entry(row.record.connection).or_default().push((row.record.method.to_string(), host));
        }
    }
    for one in recorded.iter().filter(|one| !one.bytes.is_empty()) {
        let sequence = connections.iter().rev().find_map(|row| match row {
            Row::Connection(row) if row.record.outward_port == Some(one.peer.port()) => Some(row.key.sequence),
            _ => None,
        });
        let sequence = sequence.ok_or_else(|| format!("no row for the connection from {}", one.peer))?;
        let named = of.get(&sequence).cloned().unwrap_or_default();
        if named.iter().any(|(method, _)| method == "CONNECT") {
            continue;
        }
        let seen = ALL[0].read(&one.bytes).into_iter().map(|r| {
            let host = if r.host.contains(':') { r.host } else { format!("{}:80", r.host) };
            (r.method, host.to_ascii_lowercase())
        });
        for (at, seen) in seen.enumerate() {
            if named.get(at) != Some(&seen) {
                return Err(format!(
                    "the origin read {seen:?}, the rows are {named:?}: {:?}",
                    String::from_utf8_lossy(&one.bytes)
                ));
            }
        }
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let world = world();
    let authority = format!("f.test:{}", world.recorder.port());
    let mut input = Vec::new();
    for &byte in bytes {
        match byte {
            b'%' => input.extend_from_slice(authority.as_bytes()),
            _ => input.push(byte),
        }
    }
    converse(world.proxy, &input);
    let tunnels = input.windows(7).any(|w| w.eq_ignore_ascii_case(b"CONNECT"));
    let all = world.recorder.connections();
    let mut judged = world.judged.lock().expect("no panic");
    for one in &all[*judged..] {
        if !tunnels {
            readers_agree(one);
        }
    }
    *judged = all.len();
    let mut inputs = world.inputs.lock().expect("no panic");
    *inputs += 1;
    if *inputs % BATCH == 0 {
        log_agrees(world, &all);
        world.recorder.forget();
        *judged = 0;
    }
});
