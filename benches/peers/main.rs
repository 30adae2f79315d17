//! This gateway beside the proxies that schools have now, under one load, in one run: `benches/peers/run`.
//!
//! Everything runs on loopback, with the same lists, and takes turns round by round, so that whatever else the machine
//! does falls on all. Three ceilings stand beside: no proxy, a bare hyper proxy, a bare splice relay. Each bench counts
//! what clients and origins saw, and fails on a wrong number: a fast wrong answer is none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it did not expect"
)]
#![allow(dead_code, reason = "it shares the bare peers and the report with the bench `gateway`, and uses its part")]

#[path = "../gateway/peers.rs"]
mod bare;
#[path = "../../tests/it/harness/mod.rs"]
mod harness;
mod lists;
mod load;
mod measures;
mod origin;
#[path = "../gateway/process.rs"]
mod process;
mod processes;
mod programs;
#[path = "../gateway/report.rs"]
mod report;
mod subject;
mod table;

/// How much of everything.
pub struct Effort {
    /// Which of the test data.
    pub archive: &'static str,
    pub rounds: usize,
    pub requests: usize,
    pub large_requests: usize,
    pub tunnels: usize,
    pub handshakes: usize,
    pub bulk_bytes: usize,
    pub refusals: usize,
    pub look_ups: usize,
    pub idle: usize,
    pub starts: usize,
    pub kills: usize,
}

/// Eleven rounds, as ratios that are close want it.
const WHOLE: Effort = Effort {
    archive: "ut1-full.tar.zst",
    rounds: 11,
    requests: 20_000,
    large_requests: 4_000,
    tunnels: 3_000,
    handshakes: 800,
    bulk_bytes: 1 << 30,
    refusals: 10_000,
    look_ups: 100_000,
    idle: 9_000,
    starts: 5,
    kills: 3,
};
/// For a look whether it works.
const QUICK: Effort = Effort {
    archive: "ut1-full.tar.zst",
    rounds: 3,
    requests: 4_000,
    large_requests: 800,
    tunnels: 800,
    handshakes: 100,
    bulk_bytes: 256 << 20,
    refusals: 2_000,
    look_ups: 20_000,
    idle: 2_000,
    starts: 1,
    kills: 1,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, kind, origin] = &arguments[..]
        && first == bare::AS_PEER
    {
        return bare::run(kind, origin.parse().expect("an address"));
    }
    // What `cargo test --benches` builds and runs measures nothing.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let mut effort = if asked("--quick") { QUICK } else { WHOLE };
    if asked("--small-lists") {
        effort.archive = "ut1-small.tar.zst";
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        // Whoever stops it early stops what it started, too.
        tokio::select! {
            () = measures::all(&effort) => {}
            _ = told.recv() => eprintln!("stopped"),
            _ = tokio::signal::ctrl_c() => eprintln!("stopped"),
        }
    });
}
