//! How many questions our DNS answers from its memory on one core. Every answer is checked: a fast wrong one fails.
//!
//! `cargo bench --bench dns` prints the work of one answer without a socket, then answers per second over real ones: the
//! gateway on one thread, a client with a window of questions on another.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ecluse::access::{CollegeCode, GatewayName};
use ecluse::accesslog::{AccessLog, JournalSettings};
use ecluse::clock::Clock;
use ecluse::config::{Config, starter};
use ecluse::dns::Transport;
use ecluse::gateway::{Asker, Gateway, Reply, Snapshot};
use ecluse::listen::DatagramDoor;
use ecluse::lists::{Catalogue, Image};
use ecluse::origin::{Guard, Resolver};
use ecluse::policy::Ruleset;

const NAMES: usize = 1000;
const CALLS: usize = 200_000;
/// Questions under way, as those of a college at the start of a lesson.
const WINDOW: usize = 64;
const MEASURED: Duration = Duration::from_secs(5);

fn main() {
    let upstream = upstream();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let gateway = runtime.block_on(async { gateway(folder.path(), upstream) });
    let client: SocketAddr = ([127, 0, 0, 1], 9).into();
    runtime.block_on(warm(&gateway, client));
    println!("{:.2} µs an answer without a socket", without_a_socket(&gateway, client));
    let door = runtime.block_on(async { DatagramDoor::bind(([127, 0, 0, 1], 0).into()) }).expect("a free port");
    let at = door.local();
    let asking = std::thread::spawn(move || ask(at));
    runtime.block_on(async {
        let serving = gateway.serve_names(door);
        let _ = tokio::time::timeout(MEASURED + Duration::from_secs(1), serving).await;
    });
    let (answers, took) = asking.join().expect("the client ends well");
    let per_second = answers as f64 / took.as_secs_f64();
    println!("{per_second:.0} answers a second over UDP, from memory, on one thread; the aim is 50,000");
}

/// A school with the starter rules whose DNS is open.
fn gateway(folder: &std::path::Path, upstream: SocketAddr) -> Arc<Gateway> {
    let file = folder.join("ecluse.toml");
    let text = format!(
        "[rules]\ndirectory = \"rules\"\n[listen]\ndns = [\"127.0.0.1:5300\"]\n[resolver]\nservers = [\"{upstream}\"]\n\
         [dns]\nprivate_names = [\"bench.example\"]\nquestions_per_second = 1000000\nquestion_burst = 1000000\n"
    );
    std::fs::write(&file, text).expect("a writable folder");
    let config = Config::load(Some(&file), Some(&folder.join("state"))).expect("a good configuration");
    starter::write_to(&config.rules.directory).expect("a writable folder");
    let catalogue = Catalogue::read(&config.rules.directory.join("lists"), folder).expect("the starter lists");
    let image = folder.join("image");
    ecluse::lists::compile(&catalogue, &image).expect("lists that compile");
    let rules = Ruleset::build(&config, Arc::new(Image::open(&image).expect("an image"))).expect("rules");
    let clock = Clock::default();
    let settings = JournalSettings::new(
        folder.join("journal"),
        CollegeCode::parse("0131234A").expect("a code"),
        GatewayName::parse("bench").expect("a name"),
    );
    let log = AccessLog::open(settings, clock.clone()).expect("a journal");
    let resolver = Resolver::new(&[upstream], Duration::from_secs(1), 16).expect("a resolver");
    let installed = clock.now();
    let snapshot = Snapshot {
        rules: Arc::new(rules),
        config,
        guard: Guard::default(),
        parent: None,
        inspection: None,
        antivirus: None,
        installed,
    };
    Gateway::new(snapshot, log, resolver, clock)
}

/// Answers every question with one address that lasts an hour.
fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            // Without its OPT record of 11 bytes.
            let mut answer = buffer[..n - 11].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 127, 0, 0, 9]);
            let _ = socket.send_to(&answer, from);
        }
    });
    address
}

fn question(i: usize) -> Vec<u8> {
    let label = format!("www{i:04}");
    let mut message = vec![(i >> 8) as u8, i as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in [label.as_str(), "bench", "example"] {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// An answer ends with the address and our OPT record.
fn is_right(answer: &[u8]) -> bool {
    answer.len() > 15 && answer[answer.len() - 15..answer.len() - 11] == [127, 0, 0, 9]
}

fn asker(client: SocketAddr) -> Asker {
    Asker { client, local: client.ip(), by: Transport::Datagram }
}

async fn warm(gateway: &Arc<Gateway>, client: SocketAddr) {
    let mut out = Vec::new();
    for i in 0..NAMES {
        if let Reply::Later(pending) = gateway.answer_names(&question(i), asker(client), &mut out) {
            gateway.answer_pending(*pending, &mut out).await;
        }
        assert!(is_right(&out), "{out:?}");
    }
}

/// Microseconds.
fn without_a_socket(gateway: &Arc<Gateway>, client: SocketAddr) -> f64 {
    let questions: Vec<Vec<u8>> = (0..NAMES).map(question).collect();
    let mut out = Vec::new();
    let began = Instant::now();
    for i in 0..CALLS {
        let reply = gateway.answer_names(&questions[i % NAMES], asker(client), &mut out);
        assert!(matches!(reply, Reply::Now) && is_right(&out));
    }
    began.elapsed().as_secs_f64() * 1e6 / CALLS as f64
}

fn ask(door: SocketAddr) -> (usize, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(door).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
    let questions: Vec<Vec<u8>> = (0..NAMES).map(question).collect();
    let (mut answers, mut next) = (0, 0);
    let began = Instant::now();
    let mut buffer = [0; 1500];
    let mut send = |socket: &UdpSocket| {
        socket.send(&questions[next % NAMES]).expect("loopback");
        next += 1;
    };
    (0..WINDOW).for_each(|_| send(&socket));
    while began.elapsed() < MEASURED {
        match socket.recv(&mut buffer) {
            Ok(n) => {
                assert!(is_right(&buffer[..n]));
                answers += 1;
                send(&socket);
            }
            // One was lost: another takes its place.
            Err(_) => send(&socket),
        }
    }
    (answers, began.elapsed())
}
