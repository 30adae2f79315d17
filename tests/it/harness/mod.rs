//! What the integration tests stand on: real origins, a real resolver, the real program in its own process.
//!
//! Nothing here knows the inside of the gateway: tests speak to it as a browser, an origin, an operator or the power
//! supply would. Read [`school::School`] first: one gateway, its rules and a small internet, ready to use.

#![allow(dead_code, reason = "the benches share it, and each binary uses its part")]

pub mod browser;
pub mod clamd;
pub mod cli;
pub mod dig;
pub mod dns;
pub mod engine;
pub mod gateway;
pub mod heap;
pub mod icap;
pub mod lab;
pub mod mirror;
pub mod origin;
pub mod quic;
pub mod raw;
pub mod readers;
pub mod recorder;
pub mod reply;
pub mod school;
pub mod site;
pub mod table;
pub mod tls;
pub mod websocket;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long something that should happen soon may take on a loaded machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer; panics with `what` after `deadline`.
pub async fn eventually_within<T>(what: &str, deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// [`eventually_within`] [`SOON`].
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(what, SOON, probe).await
}

/// Waits for something that must come by itself; panics with `what` when it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {SOON:?} in vain: {what}"),
    }
}

/// Lets `duration` pass and then returns: for "nothing happens meanwhile", which has no event to wait for.
pub async fn meanwhile(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Whether `$REQUIRE` (a comma-separated list) names `thing`: then its absence is a failure.
fn required(thing: &str) -> bool {
    std::env::var("REQUIRE").is_ok_and(|all| all.split(',').any(|one| one.trim() == thing))
}

/// Says loudly that a test cannot run here, and why; fails instead where `$REQUIRE` names `thing`.
pub fn skip(thing: &str, why: &str) {
    assert!(!required(thing), "`{thing}` is required here and missing: {why}");
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("SKIPPED {name}: `{thing}` is missing: {why}");
    if let Some(file) = std::env::var_os("ECLUSE_TEST_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file)
    {
        let _ = writeln!(file, "{name}: `{thing}` is missing: {why}");
    }
}

/// The folder of public test data, or a loud skip.
pub fn data() -> Option<PathBuf> {
    match std::env::var_os("ECLUSE_TEST_DATA").map(PathBuf::from).filter(|dir| dir.is_dir()) {
        Some(dir) => Some(dir),
        None => {
            skip("data", "set ECLUSE_TEST_DATA to the folder that holds ut1-full.tar.zst");
            None
        }
    }
}

/// Unpacks an archive of the test data.
pub fn unpack(archive: &std::path::Path, into: &std::path::Path) {
    let file = std::fs::File::open(archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
    let reader = zstd::Decoder::new(file).expect("a zstd archive");
    tar::Archive::new(reader).unpack(into).expect("a readable archive and space for it");
}

/// Whether this machine speaks IPv6 to itself, or a loud skip.
pub fn ipv6() -> bool {
    let works = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !works {
        skip("ipv6", "nothing can listen on ::1");
    }
    works
}

/// Whether the long forms of tests are asked for (`tests/run --full`).
pub fn full() -> bool {
    std::env::var_os("ECLUSE_TEST_FULL").is_some()
}

/// How much of something a test does: `$VARIABLE`, else a number that every day has time for.
pub fn amount(variable: &str, everyday: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(everyday)
}

/// A program of the machine, or a loud skip.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(name, "the program is not in the PATH");
    }
    found
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// Seeded by `$ECLUSE_TEST_SEED`, else by the clock; prints the seed, so that a failure can be had again.
    pub fn new() -> Self {
        let given = std::env::var("ECLUSE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| ecluse::clock::Clock::System.now().as_micros().unsigned_abs());
        eprintln!("seed: ECLUSE_TEST_SEED={seed}");
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
