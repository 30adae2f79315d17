//! The store of many colleges: ClickHouse, over its HTTP interface.
//!
//! A batch is one INSERT of one block, with its token as `insert_deduplication_token`: sent again, whole and identical, it
//! doubles nothing, for as long as the table's window remembers (`schema.rs`). The tables are plain MergeTree: a later
//! insert adds and never replaces, so whoever may insert (a gateway that was taken over) cannot change what is there.
//!
//! | file | holds |
//! |---|---|
//! | `connector.rs` | TCP and TLS: private authority, client certificate, one deadline |
//! | `columns.rs` | the records as columns, and as bytes on the way |
//! | `schema.rs`, `migrate.rs` | tables, rollups, durations; numbered migrations, for one server or a cluster |
//! | `accounts.rs`, `care.rs` | who may do what; comparing, deleting by days |
//! | `hold.rs` | the rows of a case, and what proves them |
//! | `select.rs`, `read.rs` | questions as SQL; answers as they stream in |
//! | `proofs.rs` | signed roots and what opens their leaves |
//! | `failure.rs` | what an answer of the server means for a batch |
//! | `doubt.rs` | when an acknowledgement is not believed |
//!
//! Several endpoints are tried in turn, beginning with the one that answered last: they must be nodes of one cluster.
//! Nothing here waits without a deadline.

pub mod accounts;
mod care;
mod columns;
mod connector;
mod doubt;
mod failure;
mod hold;
mod migrate;
mod proofs;
mod read;
mod schema;
mod select;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use clickhouse::error::Error;
use clickhouse::insert_formatted::InsertFormatted;
use clickhouse::{Client, Compression};
use hyper_util::rt::TokioExecutor;

use self::columns::{Definition, head, names, put_row};
use self::connector::Connector;
use self::doubt::Doubts;
use super::{Batch, Filter, Found, Query, Question, ReadError, RecordStore, StoreError, Tally};
use crate::access::{GapRow, GatewayName};
use crate::config::Server;
pub use care::{Compared, PastDay};
pub use hold::HoldError;
pub use migrate::{Migrated, MigrationError, statements};
pub use schema::Plan;

/// Why a store cannot be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{file} cannot be used: {why}")]
    File { file: PathBuf, why: String },
    #[error("TLS for the store: {0}")]
    Tls(String),
    #[error("`[store] endpoints` is empty: name the server, as in \"https://clickhouse.example:8443\"")]
    NoEndpoint,
}

/// A server, or the nodes of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct ClickHouse(Arc<Inner>);

struct Inner {
    endpoints: Vec<Endpoint>,
    /// The one that answered last.
    first: AtomicUsize,
    server: Server,
    doubts: Doubts,
}

/// One node.
struct Endpoint {
    url: String,
    client: Client,
}

/// What every insert says. `async_insert` is on by default since 26.7 and would acknowledge before the part is written
/// by another rule than ours; without `deduplicate_blocks_in_dependent_materialized_views` a batch that came again tripled
/// the rollup. A batch of a long absence may span many days, and one block may hold all of them.
const INSERT_SETTINGS: [(&str, &str); 9] = [
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("max_insert_block_size", "1048449"),
    ("min_insert_block_size_rows", "1048449"),
    ("min_insert_block_size_bytes", "268435456"),
    ("max_partitions_per_insert_block", "0"),
    // Through a Distributed table: acknowledged when the shard has it.
    ("distributed_foreground_insert", "1"),
    ("input_format_with_names_use_header", "1"),
];

/// Bytes handed to the connection at once.
const CHUNK: usize = 256 << 10;
/// Connections that nobody uses are closed before the server (3 s by default) does it in the middle of a request.
const IDLE: std::time::Duration = std::time::Duration::from_secs(2);

impl ClickHouse {
    /// A store as configured; `gateway` is whose account writes where none is configured. Connects to nothing yet.
    pub fn open(server: &Server, gateway: &GatewayName) -> Result<Self, OpenError> {
        if server.endpoints.is_empty() {
            return Err(OpenError::NoEndpoint);
        }
        let user = if server.user.is_empty() { schema::account_of(gateway) } else { server.user.clone() };
        let password = server.password_file.as_deref().map(read_password).transpose()?;
        let connector = Connector::new(server)?;
        let endpoint = |url: &String| {
            let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .build(connector.clone());
            let mut client = Client::with_http_client(http)
                .with_url(url)
                .with_user(&user)
                .with_compression(Compression::Lz4)
                .with_product_info("ecluse", env!("CARGO_PKG_VERSION"));
            if let Some(password) = &password {
                client = client.with_password(password);
            }
            Endpoint { url: url.clone(), client }
        };
        let endpoints = server.endpoints.iter().map(endpoint).collect();
        let (first, server, doubts) = (AtomicUsize::new(0), server.clone(), Doubts::new());
        Ok(ClickHouse(Arc::new(Inner { endpoints, first, server, doubts })))
    }

    /// The endpoints, beginning with the one that answered last.
    fn endpoints(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let (all, first) = (&self.0.endpoints, self.0.first.load(Ordering::Relaxed));
        (0..all.len()).map(move |turn| {
            let place = (first + turn) % all.len();
            (place, &all[place])
        })
    }

    fn answered(&self, place: usize) {
        self.0.first.store(place, Ordering::Relaxed);
    }

    /// Runs a statement that has no answer on the first endpoint that takes it.
    async fn execute(&self, sql: &str) -> Result<(), MigrationError> {
        let mut last = String::new();
        for (place, endpoint) in self.endpoints() {
            let within = self.0.server.answer;
            let done = tokio::time::timeout(within, endpoint.client.query_raw(sql).execute()).await;
            match done.unwrap_or(Err(Error::TimedOut)) {
                Ok(()) => {
                    self.answered(place);
                    return Ok(());
                }
                Err(error) => {
                    last = format!("{}: {}", endpoint.url, failure::words(&error));
                    if failure::code(&error).is_some() {
                        break;
                    }
                }
            }
        }
        Err(MigrationError::Refused { statement: sql.chars().take(200).collect(), why: last })
    }

    /// Stores what is missing of a batch that nobody else sends.
    pub async fn bring_back(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        self.refuse_without_a_day(batch)?;
        if !batch.gaps.is_empty() {
            self.insert_gaps(batch, "/back").await?;
        }
        self.insert_missing(batch).await.map(drop)
    }

    fn refuse_without_a_day(&self, batch: &Batch) -> Result<(), StoreError> {
        match batch.rows.iter().find(|row| !schema::has_a_day(row.start())) {
            None => Ok(()),
            Some(row) => Err(StoreError::Poison(format!(
                "{}: the row {:?} starts at {}, which no day part holds",
                batch.token,
                row.key(),
                row.start()
            ))),
        }
    }

    /// Sends a batch under its own token.
    async fn insert_once(&self, batch: &Batch) -> Result<(), StoreError> {
        if !batch.gaps.is_empty() {
            self.insert_gaps(batch, "").await?;
        }
        if batch.rows.is_empty() {
            return Ok(());
        }
        self.insert_rows(batch, &batch.token.to_string()).await
    }

    async fn insert_rows(&self, batch: &Batch, token: &str) -> Result<(), StoreError> {
        let (stream, columns) = (batch.token.stream, columns::columns(batch.token.stream));
        self.insert_lines(stream.as_str(), columns, token, &encode(columns, &batch.rows, put_row)).await
    }

    /// Sends rows to one table, in one block under one token, to one endpoint after the other until one has them.
    async fn insert_lines(
        &self,
        table: &str,
        columns: &'static [Definition],
        token: &str,
        body: &[Bytes],
    ) -> Result<(), StoreError> {
        let database = &self.0.server.database;
        let sql = format!("INSERT INTO `{database}`.`{table}` ({}) FORMAT RowBinaryWithNamesAndTypes", names(columns));
        let mut last = StoreError::Retry("no endpoint was tried".to_owned());
        for (place, endpoint) in self.endpoints() {
            let (send, answer) = (self.0.server.send, self.0.server.answer);
            let mut insert = endpoint.client.insert_formatted_with(&sql).with_timeouts(Some(send), Some(answer));
            for (name, value) in INSERT_SETTINGS {
                insert = insert.with_setting(name, value);
            }
            // Nobody waits for it any longer.
            insert = insert.with_setting("max_execution_time", (send + answer).as_secs().max(1).to_string());
            match send_all(insert.with_setting("insert_deduplication_token", token), body).await {
                Ok(()) => {
                    self.answered(place);
                    return Ok(());
                }
                Err(error) => last = failure::of_insert(&error, &endpoint.url),
            }
            // Another node would say the same.
            if !matches!(last, StoreError::Retry(_)) {
                break;
            }
        }
        Err(last)
    }
}

async fn send_all(mut insert: InsertFormatted, body: &[Bytes]) -> Result<(), Error> {
    for chunk in body {
        insert.send(chunk.clone()).await?;
    }
    insert.end().await
}

/// Lines in pieces of about [`CHUNK`] bytes, the head first.
fn encode<T>(columns: &'static [Definition], lines: &[T], put: impl Fn(&T, &mut Vec<u8>)) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut piece = head(columns);
    for line in lines {
        put(line, &mut piece);
        if piece.len() >= CHUNK {
            pieces.push(Bytes::from(std::mem::replace(&mut piece, Vec::with_capacity(CHUNK + 4096))));
        }
    }
    pieces.push(piece.into());
    pieces
}

impl RecordStore for ClickHouse {
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        self.refuse_without_a_day(batch)?;
        self.insert_surely(batch).await
    }

    async fn confirm(&self, batch: &Batch) -> Result<u64, StoreError> {
        batch.check()?;
        self.insert_missing(batch).await
    }

    async fn search(&self, query: &Query) -> Result<Found, ReadError> {
        if let Some(column) = query.filter.misplaced() {
            return Err(ReadError::Misplaced(column));
        }
        read::search(self, query).await
    }

    async fn gaps(&self, filter: &Filter) -> Result<Vec<GapRow>, ReadError> {
        read::all(self, &select::gaps(filter, &self.0.server.database)).await
    }

    async fn stats(&self, question: &Question) -> Result<Vec<Tally>, ReadError> {
        if !question.by.is_of(question.filter.stream) {
            return Err(ReadError::Misplaced(question.by.as_str()));
        }
        if let Some(column) = question.filter.misplaced() {
            return Err(ReadError::Misplaced(column));
        }
        let counts = read::all(self, &select::counts(question, &self.0.server.database)).await?;
        Ok(read::tallies(counts, question))
    }
}

/// The password in a file: one line, readable by its owner only.
pub fn read_password(file: &std::path::Path) -> Result<String, OpenError> {
    use std::os::unix::fs::PermissionsExt;
    let wrong = |why: String| OpenError::File { file: file.to_owned(), why };
    let open = std::fs::File::open(file).map_err(|e| wrong(e.to_string()))?;
    if open.metadata().map_err(|e| wrong(e.to_string()))?.permissions().mode() & 0o077 != 0 {
        return Err(wrong(format!("others can read it; `chmod 600 {}`", file.display())));
    }
    let mut text = String::new();
    let mut limited = std::io::Read::take(open, 4096);
    std::io::Read::read_to_string(&mut limited, &mut text).map_err(|e| wrong(e.to_string()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(wrong("the password is to be its one line".to_owned()));
    }
    Ok(line)
}
