//! What the gateway costs, as ratios to the barest programs that do the same work, measured in one run.
//!
//! `cargo bench --bench gateway` prints tables in Markdown; `-- --quick` does less of everything, and `-- --bare` measures
//! the bare peers against themselves: what differs from 1 there is the noise of the method; `-- --workers` against
//! themselves with other strategies of workers. The bare peers are
//! child processes of this program ([`peers`]), so that their CPU time is their own; rounds of both alternate, so that
//! whatever else the machine does falls on both. Every round counts its answers: a fast wrong answer fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it did not expect"
)]

#[path = "../../tests/it/harness/mod.rs"]
mod harness;
mod load;
mod peers;
mod process;
mod report;

use std::net::SocketAddr;
use std::time::Duration;

use harness::dns::NameServer;
use harness::gateway::Gateway;
use harness::site::{Site, UT1_CATALOGUE};

use load::{PageOrigin, TunnelOrigin};
use peers::Peer;
use report::{Figure, Report};

/// How much of everything.
struct Effort {
    rounds: usize,
    requests: usize,
    tunnels: usize,
    starts: usize,
    reloads: usize,
}

const WHOLE: Effort = Effort { rounds: 9, requests: 20_000, tunnels: 1_500, starts: 7, reloads: 10 };
const QUICK: Effort = Effort { rounds: 3, requests: 4_000, tunnels: 300, starts: 2, reloads: 3 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, kind, origin] = &arguments[..]
        && first == peers::AS_PEER
    {
        return peers::run(kind, origin.parse().expect("an address"));
    }
    let effort = if arguments.iter().any(|a| a == "--quick") { QUICK } else { WHOLE };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if arguments.iter().any(|a| a == "--bare") {
        runtime.block_on(bare_against_bare(&effort, ""));
    } else if arguments.iter().any(|a| a == "--workers") {
        runtime.block_on(async {
            for strategy in ["@shared", "@reuseport"] {
                println!("\nBare peer: one runtime whose threads share all work. \"Gateway\": bare{strategy}.");
                bare_against_bare(&effort, strategy).await;
            }
        });
    } else {
        runtime.block_on(run(&effort));
    }
}

/// A process under measure: its id and where its proxy listens.
type Subject = (u32, SocketAddr);

/// The bare peers against themselves with another strategy of workers (see [`peers::run`]).
async fn bare_against_bare(effort: &Effort, strategy: &str) {
    let mut report = Report::new(false);
    let origin = PageOrigin::start().await;
    let other = Peer::start(&format!("proxy{strategy}"), origin.address).await;
    let one = Peer::start("proxy", origin.address).await;
    requests(effort, PER_REQUEST, &origin, one.subject(), other.subject(), &mut report).await;
    let origin = TunnelOrigin::start().await;
    let other = Peer::start(&format!("relay{strategy}"), origin.address).await;
    let one = Peer::start("relay", origin.address).await;
    tunnels(effort, &origin, one.subject(), other.subject(), &mut report).await;
    report.print();
}

async fn run(effort: &Effort) {
    let names = NameServer::start().await;
    let mut site = Site::new(Some(names.address));
    let whole = whole_ut1(&site);
    if whole {
        let compiled = harness::cli::run(Some(&site.write_config()), &site.state(), &["lists", "compile"]);
        assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
    }
    let mut report = Report::new(whole);

    // A college's gateway: its rows wait in the journal for the centre, which is another machine.
    site.set("role", "gateway = true\ncentral = false");
    let mut starts = Vec::new();
    let mut gateway = Gateway::start(&mut site).await;
    for _ in 1..effort.starts {
        starts.push(gateway.ready_after.as_secs_f64() * 1e3);
        assert_eq!(gateway.stop().await.code(), Some(0));
        gateway = Gateway::start(&mut site).await;
    }
    starts.push(gateway.ready_after.as_secs_f64() * 1e3);
    let fresh = gateway.memory_kib("VmRSS");

    let subject = (gateway.pid(), gateway.proxy);
    let origin = PageOrigin::start().await;
    let bare = Peer::start("proxy", origin.address).await;
    requests(effort, PER_REQUEST, &origin, bare.subject(), subject, &mut report).await;
    let pages = (origin, bare);
    let origin = TunnelOrigin::start().await;
    let bare = Peer::start("relay", origin.address).await;
    tunnels(effort, &origin, bare.subject(), subject, &mut report).await;
    let used = gateway.memory_kib("VmRSS");
    reloads(effort, &gateway, &site, &mut report).await;

    report.single("start to ready", "ms", &Figure::of(starts), Some(1000.0));
    for (what, kib) in [("memory when ready", fresh), ("memory after the load above", used)] {
        report.single(what, "MiB", &Figure::of(vec![kib as f64 / 1024.0]), Some(150.0));
    }
    let after = gateway.memory_kib("VmRSS") as f64 / 1024.0;
    report.single("memory after the reloads", "MiB", &Figure::of(vec![after]), None);
    let peak = gateway.memory_kib("VmHWM") as f64 / 1024.0;
    report.single("memory at its highest", "MiB", &Figure::of(vec![peak]), None);
    assert_eq!(gateway.stop().await.code(), Some(0));

    site.set("role", "gateway = true\ncentral = true");
    let gateway = Gateway::start(&mut site).await;
    let subject = (gateway.pid(), gateway.proxy);
    let (origin, bare) = &pages;
    let what = ("CPU per such request with the embedded store in the same process", None);
    requests(effort, what, origin, bare.subject(), subject, &mut report).await;
    assert_eq!(gateway.stop().await.code(), Some(0));
    report.print();
}

/// What is measured, and how many times the bare peer it may cost.
const PER_REQUEST: (&str, Option<f64>) = ("CPU per keep-alive request of 1 KiB", Some(1.5));

/// Puts all of UT1 where the catalogue finds it; without the data the small lists of the tests stay.
fn whole_ut1(site: &Site) -> bool {
    let Some(data) = harness::data() else { return false };
    let lists = site.rules().join("lists");
    harness::unpack(&data.join("ut1-full.tar.zst"), &lists);
    site.write_rule("lists/ut1.toml", UT1_CATALOGUE);
    true
}

/// CPU time per request of 1 KiB over kept connections.
async fn requests(
    effort: &Effort,
    (what, most): (&str, Option<f64>),
    origin: &PageOrigin,
    bare: Subject,
    gateway: Subject,
    report: &mut Report,
) {
    let (mut of_bare, mut of_gateway) = (Vec::new(), Vec::new());
    let round = async |(pid, proxy): Subject, count: usize| {
        let (served, cpu) = (origin.served(), process::cpu(pid));
        load::pages(proxy, origin.address.port(), count).await;
        assert_eq!(origin.served() - served, count as u64, "the origin saw another number of requests");
        (process::cpu(pid) - cpu).as_secs_f64() * 1e6 / count as f64
    };
    for subject in [bare, gateway] {
        round(subject, effort.requests / 10).await;
    }
    for _ in 0..effort.rounds {
        of_bare.push(round(bare, effort.requests).await);
        of_gateway.push(round(gateway, effort.requests).await);
    }
    report.pair(what, "µs", of_bare, of_gateway, most);
}

/// CPU time per tunnel: CONNECT, a ClientHello up, 4 KiB down, close.
async fn tunnels(effort: &Effort, origin: &TunnelOrigin, bare: Subject, gateway: Subject, report: &mut Report) {
    let (mut of_bare, mut of_gateway) = (Vec::new(), Vec::new());
    let round = async |(pid, proxy): Subject, count: usize| {
        let (served, cpu) = (origin.served(), process::cpu(pid));
        load::tunnels(proxy, origin, count).await;
        assert_eq!(origin.served() - served, count as u64, "the origin saw another number of tunnels");
        // Rows are completed after the close: their work belongs to the round.
        harness::meanwhile(Duration::from_millis(200)).await;
        (process::cpu(pid) - cpu).as_secs_f64() * 1e6 / count as f64
    };
    for subject in [bare, gateway] {
        round(subject, effort.tunnels / 10).await;
    }
    for _ in 0..effort.rounds {
        of_bare.push(round(bare, effort.tunnels).await);
        of_gateway.push(round(gateway, effort.tunnels).await);
    }
    report.pair("CPU per CONNECT tunnel", "µs", of_bare, of_gateway, Some(1.5));
}

/// Requests that fail while new rules are installed again and again.
async fn reloads(effort: &Effort, gateway: &Gateway, site: &Site, report: &mut Report) {
    let origin = PageOrigin::start().await;
    let load = load::Endless::start(gateway.proxy, origin.address.port());
    let mut took = Vec::new();
    for round in 0..effort.reloads {
        let rule = format!(
            "{}\n[[rule]]\nname = \"r{round}\"\nlabel = \"r\"\nhosts = [\"r{round}.test\"]\naction = \"refuse\"\nreason = \"r\"\n",
            harness::site::POLICY
        );
        site.write_rule("policy.toml", &rule);
        let start = std::time::Instant::now();
        gateway.reload().await;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (asked, failed) = load.stop().await;
    assert!(asked > 0 && origin.served() >= asked - failed, "no load");
    assert_eq!(failed, 0, "{failed} of {asked} requests were lost in {} reloads", effort.reloads);
    report.single("signal to new rules in force, under load", "ms", &Figure::of(took), None);
    report.note(format!("{} reloads under load: {failed} of {asked} requests failed.", effort.reloads));
}
