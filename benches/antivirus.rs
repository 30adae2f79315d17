//! What scanning adds to a clean download of 100 MB, beside what clamd itself takes for these bytes: by turns, in one run.
//!
//! `cargo bench --bench antivirus`. clamd is Debian's, with one signature. A teacher's download is not scanned, a pupil's is; the
//! same bytes go to clamd alone, from memory. Every download is compared, and every row read: a fast wrong one fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it did not expect"
)]

#[path = "../tests/it/harness/mod.rs"]
mod harness;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixStream};

use harness::clamd::Clamd;
use harness::cli::text;
use harness::origin::pattern;
use harness::school::School;
use harness::site::{POLICY, PUPIL, TEACHER};

const BYTES: usize = 100_000_000;
const ROUNDS: usize = 9;
/// The aim: scanned, without clamd's own time, takes so much of a plain download at most.
const MOST: f64 = 1.10;

const SCAN: &str =
    "[[rule]]\nname = \"antivirus\"\nwho = [\"eleves\"]\nall = true\naction = \"allow\"\nduties = [\"scan\"]\n";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let Some(clamd) = Clamd::start("StreamMaxLength 200M").await else { return };
    let settings = clamd.settings("");
    let school = School::open_with(|site| {
        site.set("antivirus", &settings);
        site.write_rule("policy.toml", &format!("{POLICY}{SCAN}"));
    })
    .await;
    let (bytes, url, proxy) =
        (pattern(BYTES), school.url("files.test", &format!("/bytes/{BYTES}")), school.gateway.proxy);
    let (mut plain, mut scanned, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let turn = [
            download(TEACHER, proxy, &url, &bytes).await,
            download(PUPIL, proxy, &url, &bytes).await,
            instream(&clamd, &bytes).await,
        ];
        // The first one warms.
        if round > 0 {
            for (times, time) in [&mut plain, &mut scanned, &mut alone].into_iter().zip(turn) {
                times.push(time.as_secs_f64() * 1000.0);
            }
        }
    }
    let rows = school.gateway.rows(2 * (ROUNDS + 1), &["--host", "files.test"]).await;
    let clean = rows.iter().filter(|row| text(row, "finding") == "clean").count();
    assert_eq!(clean, ROUNDS + 1, "each of the pupil's downloads was scanned, and none of the teacher's");

    let mut ratios: Vec<f64> =
        plain.iter().zip(&scanned).zip(&alone).map(|((plain, scanned), alone)| (scanned - alone) / plain).collect();
    println!("| {BYTES} clean bytes, {ROUNDS} rounds by turns | median | lowest–highest |");
    println!("|---|---:|---:|");
    for (name, times) in [("not scanned", &mut plain), ("scanned", &mut scanned), ("clamd alone", &mut alone)] {
        println!("| {name} | {} ms |", spread(times, 0));
    }
    println!("| (scanned − clamd alone) / not scanned | {} |", spread(&mut ratios, 2));
    println!("the aim is at most {MOST}");
}

/// The median, and from lowest to highest.
fn spread(values: &mut [f64], digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (low, middle, high) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{middle:.digits$} | {low:.digits$}–{high:.digits$}")
}

/// From connecting to the last byte, which must all be right.
async fn download(client: &str, proxy: SocketAddr, url: &str, expected: &[u8]) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    let begun = Instant::now();
    let mut stream = socket.connect(proxy).await.unwrap();
    let host = url.split('/').nth(2).unwrap();
    stream
        .write_all(format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::with_capacity(expected.len() + 4096);
    stream.read_to_end(&mut answer).await.unwrap();
    let took = begun.elapsed();
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer[body..] == *expected, "another answer came");
    took
}

/// The same bytes, straight to clamd.
async fn instream(clamd: &Clamd, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    let mut stream = UnixStream::connect(clamd.socket()).await.unwrap();
    stream.write_all(b"zINSTREAM\0").await.unwrap();
    for chunk in bytes.chunks(256 * 1024) {
        stream.write_all(&(chunk.len() as u32).to_be_bytes()).await.unwrap();
        stream.write_all(chunk).await.unwrap();
    }
    stream.write_all(&[0; 4]).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(reply.trim_end_matches('\0'), "stream: OK");
    took
}
