//! The store of many colleges, held against a real ClickHouse: the suite that every store passes, migrations, batches that
//! come again, servers that die, lie or are slow, endpoints that fail, TLS.

mod between;
mod doubt;
mod faults;
mod kills;
mod schema;
mod server;
mod tls;
mod whole;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecluse::access::GatewayName;
use ecluse::config::Server;
use ecluse::store::ClickHouse;
use ecluse::store::clickhouse::Plan;
use ecluse::store::suite;

use crate::harness::engine::{Engine, serve_if_asked};

/// What makes this binary run [`the_engine_is_the_one_that_was_measured`], and so become the engine.
const AS_ENGINE: &[&str] = &["--exact", "clickhouse::the_engine_is_the_one_that_was_measured", "--nocapture"];

/// How long a store waits for an answer where the answer may be late.
const PATIENCE: Duration = Duration::from_secs(3);

/// An engine with its data in a folder of its own.
struct Rig {
    engine: Engine,
    folder: tempfile::TempDir,
}

impl Rig {
    fn start() -> Option<Rig> {
        Rig::start_with_key(None)
    }

    fn start_with_key(key: Option<&str>) -> Option<Rig> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let engine = Engine::start_with_key(&folder.path().join("data"), AS_ENGINE, key)?;
        Some(Rig { engine, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A store on these endpoints, in a database that is there.
    async fn store(&self, database: &str) -> ClickHouse {
        let store = open(&server(&[self.engine.url()], database));
        store.migrate(&plan(database)).await.expect("migrated");
        store
    }
}

/// Days enough that no row of a test is ever too old, and few enough for the DateTime of the server (2106).
fn plan(database: &str) -> Plan {
    Plan { database: database.to_owned(), cluster: None, accesses_days: 20_000, connections_days: 20_000 }
}

fn server(endpoints: &[String], database: &str) -> Server {
    Server {
        endpoints: endpoints.to_vec(),
        database: database.to_owned(),
        user: "default".to_owned(),
        password_file: None,
        ca_file: None,
        identity: None,
        connect: Duration::from_secs(2),
        send: Duration::from_secs(20),
        answer: Duration::from_secs(60),
        batch_rows: 20_000,
        batch: Duration::from_secs(1),
        keep: Duration::ZERO,
    }
}

fn open(server: &Server) -> ClickHouse {
    ClickHouse::open(server, &GatewayName::parse("gw-1").expect("a name")).expect("a store")
}

/// One number that a statement asks for.
async fn number(url: &str, sql: &str) -> u64 {
    let answer = ask(url, sql).await;
    answer.trim().parse().unwrap_or_else(|e| panic!("{sql}: {answer}: {e}"))
}

/// Runs a statement as an operator would with a client of his own.
async fn ask(url: &str, sql: &str) -> String {
    let client = clickhouse::Client::default().with_url(url);
    let mut answer = client.query_raw(sql).fetch_bytes("TabSeparatedRaw").expect("a statement");
    let bytes = answer.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("fresh{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_the_one_that_was_measured() {
    // Started by `Engine`, this process is the engine and goes no further.
    tokio::task::spawn_blocking(serve_if_asked).await.expect("no panic");
    let Some(rig) = Rig::start() else { return };
    let version = ask(&rig.engine.url(), "SELECT version()").await;
    assert!(version.starts_with("26.7."), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_passes_the_suite_of_every_store() {
    let Some(rig) = Rig::start() else { return };
    suite::check_all(async || rig.store(&fresh_name()).await).await;
    suite::check_proofs(async || rig.store(&fresh_name()).await).await;
}
