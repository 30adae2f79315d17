//! The plug is pulled at random instants under load: each serial that arrived at an origin is in the store exactly once.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use crate::harness::cli::{number, text};
use crate::harness::dns::NameServer;
use crate::harness::gateway::{Gateway, search};
use crate::harness::origin::Origin;
use crate::harness::reply::read_reply;
use crate::harness::site::Site;
use crate::harness::table::Table;
use crate::harness::tls::Authority;
use crate::harness::{Dice, meanwhile};

/// Ends of life of a gateway: `$ECLUSE_TEST_KILLS`, else few enough for every day.
fn kills() -> u64 {
    std::env::var("ECLUSE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// Clients that go on until told to stop. Every access has a name of its own, so that a row can be told from all others.
struct Load {
    serial: AtomicU64,
    stop: AtomicBool,
    proxy: SocketAddr,
    http: u16,
    https: u16,
    tls: TlsConnector,
}

impl Load {
    fn name(&self) -> String {
        format!("s{}.load.test", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Requests over a kept connection; any error ends it, for the gateway may die at any time.
    async fn pages(&self) -> Option<()> {
        let mut stream = tokio::net::TcpStream::connect(self.proxy).await.ok()?;
        for turn in 0..20 {
            let name = self.name();
            let url = format!("http://{name}:{}", self.http);
            let request = if turn % 3 == 2 {
                format!("POST {url}/count HTTP/1.1\r\nHost: {name}:{}\r\nContent-Length: 5\r\n\r\nhello", self.http)
            } else {
                format!("GET {url}/ HTTP/1.1\r\nHost: {name}:{}\r\n\r\n", self.http)
            };
            stream.write_all(request.as_bytes()).await.ok()?;
            let (reply, rest) = quiet_reply(&mut stream, "GET").await?;
            assert_eq!((reply, rest), (200, 0), "an answer that nobody asked for");
            if !self.goes_on() {
                break;
            }
        }
        Some(())
    }

    /// A tunnel with TLS inside.
    async fn tunnel(&self) -> Option<()> {
        let mut stream = tokio::net::TcpStream::connect(self.proxy).await.ok()?;
        let name = self.name();
        let asked = format!("{name}:{}", self.https);
        stream.write_all(format!("CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n").as_bytes()).await.ok()?;
        let (status, _) = quiet_reply(&mut stream, "CONNECT").await?;
        assert_eq!(status, 200);
        let mut page = self.tls.connect(name.clone().try_into().ok()?, stream).await.ok()?;
        page.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes()).await.ok()?;
        quiet_reply(&mut page, "GET").await?;
        Some(())
    }
}

/// Status and bytes left over; `None` where the gateway died meanwhile, in whatever place.
async fn quiet_reply<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, method: &str) -> Option<(u16, usize)> {
    use tokio::io::AsyncReadExt;
    let mut buffer = Vec::new();
    while !buffer.windows(4).any(|w| w == b"\r\n\r\n") {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
    let (reply, rest) = read_reply(stream, buffer, method).await?;
    reply.whole.then_some((reply.status, rest.len()))
}

fn run_load(load: &Arc<Load>) -> Vec<tokio::task::JoinHandle<()>> {
    let clients = (0..6).map(|client| {
        let load = load.clone();
        ecluse::tasks::spawn("client", async move {
            while load.goes_on() {
                let done = if client < 4 { load.pages().await } else { load.tunnel().await };
                if done.is_none() {
                    meanwhile(Duration::from_millis(2)).await;
                }
            }
        })
    });
    clients.collect()
}

/// `s17.load.test:1234` → 17.
fn serial(host: &str) -> Option<u64> {
    host.strip_prefix('s')?.split('.').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_at_an_origin_is_in_the_store_exactly_once_however_the_gateway_dies() {
    let names = NameServer::start().await;
    let authority = Authority::new();
    let http = Origin::http().await;
    let https = Origin::https(authority.acceptor(&["*.load.test"])).await;
    let mut site = Site::new(Some(names.address));
    let mut dice = Dice::new();

    let first = Gateway::start(&mut site).await;
    let load = Arc::new(Load {
        serial: AtomicU64::new(1),
        stop: AtomicBool::new(false),
        proxy: site.proxy(),
        http: http.port(),
        https: https.port(),
        tls: authority.connector(),
    });
    let clients = run_load(&load);
    let mut gateway = first;
    for kill in 0..kills() {
        meanwhile(Duration::from_micros(dice.below(600_000))).await;
        gateway.kill();
        gateway = loop {
            let config = site.write_config();
            let mut next = Gateway::spawn(Some(&config), &site.state(), site.proxy());
            // Some die before they are ready, in the middle of recovering what the last one left.
            if kill % 4 == 3 && dice.below(2) == 0 {
                meanwhile(Duration::from_micros(dice.below(60_000))).await;
                next.kill();
                continue;
            }
            next.wait_ready().await.unwrap_or_else(|not| panic!("no start after kill {kill}:\n{}", not.stderr));
            break next;
        };
    }
    load.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client saw a wrong answer");
    }
    assert_eq!(gateway.stop().await.code(), Some(0));

    let mut arrived: HashSet<u64> = http.requests().iter().filter_map(|seen| serial(seen.host())).collect();
    arrived.extend(https.ledger.server_names().iter().filter_map(|(_, name)| serial(name)));
    assert!(arrived.len() as u64 > 20 * kills(), "only {} serials arrived: no load", arrived.len());

    let accesses = search(Some(&site.config()), &site.state(), &["--limit", "10000000"]);
    let mut rows: HashMap<u64, Vec<&Value>> = HashMap::new();
    for row in &accesses {
        rows.entry(serial(text(row, "host")).expect("a row of the load")).or_default().push(row);
    }
    for serial in &arrived {
        let found = rows.get(serial).map_or(0, Vec::len);
        assert_eq!(found, 1, "serial {serial} arrived and has {found} rows: {:#?}", rows.get(serial));
    }
    for (serial, found) in &rows {
        assert_eq!(found.len(), 1, "serial {serial} is there twice: {found:#?}");
    }
    let connections = search(Some(&site.config()), &site.state(), &["--stream", "connections", "--limit", "10000000"]);
    for stream in [&accesses, &connections] {
        let keys: HashSet<_> = stream.iter().map(|row| ["lane", "sequence", "slice"].map(|f| number(row, f))).collect();
        assert_eq!(keys.len(), stream.len(), "a key is there twice");
    }
    let interrupted = accesses.iter().filter(|row| text(row, "ending") == "interrupted").count();
    let mut table = Table::new("Kills under load");
    let result = format!(
        "{} accesses arrived at an origin, 0 missing, 0 doubled; {} rows ({interrupted} interrupted), {} of connections",
        arrived.len(),
        accesses.len(),
        connections.len()
    );
    table.row("SIGKILL at a random instant, also in the middle of a recovery", &kills(), &result);
    table.print();
}
