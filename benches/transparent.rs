//! What a TLS tunnel waits longer for its first byte because it is looked into on its way: transparent mode beside a plain
//! relay, connection by connection in one run. Every answer is checked: a fast wrong one fails.
//!
//! `cargo bench --bench transparent`. It runs in a network namespace of its own, where `nft` brings the connections of one
//! loopback address to the gateway's door and those of another to the relay; both are processes of their own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it did not expect"
)]

#[path = "../tests/it/harness/mod.rs"]
mod harness;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use harness::dns::NameServer;
use harness::gateway::Gateway;
use harness::site::{Site, free_port};
use harness::tls::client_hello;

const ROUNDS: usize = 2_000;
const WARMING: usize = 100;
/// About a server's first flight.
const FLIGHT: usize = 4096;
const NAME: &str = "bench.test";
const INSIDE: &str = "ECLUSE_BENCH_INSIDE";
/// Whose connections go where.
const TO_GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 103, 0, 1);
const TO_RELAY: Ipv4Addr = Ipv4Addr::new(127, 104, 0, 1);
/// The aim, in microseconds.
const MOST: f64 = 150.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [word, origin] = &arguments[..]
        && word == "--relay"
    {
        return runtime.block_on(relay(origin.parse().expect("an address")));
    }
    if std::env::var_os(INSIDE).is_some() {
        harness::lab::run("ip link set lo up");
        return runtime.block_on(measure());
    }
    let mut again = Command::new("unshare");
    again.arg("-Urn").arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
    assert!(again.status().expect("unshare (util-linux)").success(), "it did not end well inside its namespace");
}

/// Copies both ways between whoever comes and the origin, and knows nothing.
async fn relay(origin: SocketAddr) {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", door.local_addr().unwrap().port());
    while let Ok((mut client, _)) = door.accept().await {
        ecluse::tasks::spawn("relay", async move {
            let _ = client.set_nodelay(true);
            let mut far = TcpStream::connect(origin).await.expect("the origin is there");
            let _ = far.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut far).await;
        });
    }
}

async fn measure() {
    let hello: Arc<[u8]> = client_hello(NAME).into();
    let origin = origin(hello.clone()).await;
    let names = NameServer::start().await;
    let mut site = Site::new(Some(names.address));
    let door = free_port();
    site.set("listen", &format!("transparent_tls = [\"127.0.0.1:{door}\"]"));
    let gateway = Gateway::start(&mut site).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--relay", &origin.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let relay: u16 = line.trim().parse().expect("the relay's port");
    let port = origin.port();
    harness::lab::run(&format!(
        "nft 'add table ip bench; add chain ip bench divert {{ type nat hook output priority -100; }};
         add rule ip bench divert ip saddr {TO_GATEWAY} tcp dport {port} redirect to :{door};
         add rule ip bench divert ip saddr {TO_RELAY} tcp dport {port} redirect to :{relay}'"
    ));

    for _ in 0..WARMING {
        first_byte(TO_GATEWAY, origin, &hello).await;
        first_byte(TO_RELAY, origin, &hello).await;
    }
    let (mut by_gateway, mut by_relay) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_gateway.push(first_byte(TO_GATEWAY, origin, &hello).await);
        by_relay.push(first_byte(TO_RELAY, origin, &hello).await);
    }
    let _ = child.kill();
    let _ = child.wait();
    // Each of them was judged and written down: nothing went round the gateway.
    let rows = gateway.rows(ROUNDS + WARMING, &["--host", NAME, "--limit", "100000"]).await;
    assert!(rows.iter().all(|row| harness::cli::text(row, "action") == "tunnel"));
    assert_eq!(gateway.stop().await.code(), Some(0));

    let (gateway, relay) = (Spread::of(by_gateway), Spread::of(by_relay));
    println!("| from connecting to the first byte, {ROUNDS} tunnels each, by turns | median | p90 |");
    println!("|---|---:|---:|");
    println!("| transparent mode | {:.0} µs | {:.0} µs |", gateway.median, gateway.p90);
    println!("| a plain relay | {:.0} µs | {:.0} µs |", relay.median, relay.p90);
    println!("added by the median: {:.0} µs; the aim is at most {MOST:.0}", gateway.median - relay.median);
}

/// Hears a ClientHello to its end, says a flight, closes.
async fn origin(hello: Arc<[u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    ecluse::tasks::spawn("origin", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let hello = hello.clone();
            ecluse::tasks::spawn("origin connection", async move {
                let _ = stream.set_nodelay(true);
                let mut heard = vec![0; hello.len()];
                if stream.read_exact(&mut heard).await.is_ok() {
                    assert!(heard == *hello, "the ClientHello was changed on its way");
                    let _ = stream.write_all(&[7; FLIGHT]).await;
                }
            });
        }
    });
    address
}

/// From connecting to the first byte of the answer; then the rest of it, which must be right.
async fn first_byte(client: Ipv4Addr, origin: SocketAddr, hello: &[u8]) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((client, 0).into()).unwrap();
    let begun = Instant::now();
    let mut stream = socket.connect(origin).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(hello).await.unwrap();
    let mut answer = vec![0; 1];
    stream.read_exact(&mut answer).await.unwrap();
    let took = begun.elapsed();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() == FLIGHT && answer.iter().all(|&b| b == 7), "{} bytes of an answer", answer.len());
    took
}

/// In microseconds.
struct Spread {
    median: f64,
    p90: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        Spread { median: at(50), p90: at(90) }
    }
}
