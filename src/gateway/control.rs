//! The control socket: how another process on this machine asks a running gateway.
//!
//! A Unix socket, mode 0600, in the state directory. A question is one line, the answer one line of JSON, then the
//! connection ends. Questions: `status`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::access::Timestamp;
use crate::metrics::METRICS;
use crate::tasks;

use super::Gateway;

/// A question is a word; anything longer is none.
const QUESTION_MAX: u64 = 256;
/// Somebody who opens the socket and says nothing does not keep it.
const QUESTION_WITHIN: Duration = Duration::from_secs(5);

/// What `ecluse status` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// `ready` or `draining`.
    pub phase: String,
    pub version: String,
    pub pid: u32,
    pub started: Timestamp,
    pub rules_version: String,
    pub rules_installed: Timestamp,
    /// Why the last reload changed nothing, where it did not.
    pub reload_rejected: Option<Rejected>,
    pub open_accesses: usize,
    pub open_origin_connections: usize,
    /// Hosts whose clients believe no certificate of ours: what is to be opened there is not.
    #[serde(default)]
    pub not_inspected: Vec<String>,
    /// Every figure, by name.
    pub figures: std::collections::BTreeMap<String, u64>,
}

/// A reload that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rejected {
    pub at: Timestamp,
    /// Every problem, as `ecluse check` prints it.
    pub why: String,
}

impl Gateway {
    pub fn status(&self) -> Status {
        let snapshot = self.snapshot();
        Status {
            phase: if self.is_draining() { "draining" } else { "ready" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            rules_version: snapshot.rules.version().as_str().to_owned(),
            rules_installed: snapshot.installed,
            reload_rejected: self.rejected.load().as_deref().cloned(),
            open_accesses: self.open_accesses(),
            open_origin_connections: self.connections.len(),
            not_inspected: self.pinned.names(self.clock.now()),
            figures: METRICS.values().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

/// The socket, open.
pub struct ControlSocket(UnixListener);

impl ControlSocket {
    /// Opens it in place of one that a dead gateway left: the caller holds the state directory's lock.
    pub fn bind(path: &Path) -> io::Result<ControlSocket> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(ControlSocket(listener))
    }

    /// Answers questions, one after the other, for ever.
    pub async fn serve(self, gateway: Arc<Gateway>) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    let gateway = gateway.clone();
                    tasks::spawn("control question", async move {
                        // The asker may be gone: nobody else is concerned.
                        let _ = tokio::time::timeout(QUESTION_WITHIN, answer(stream, &gateway)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn answer(mut stream: UnixStream, gateway: &Gateway) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut question = String::new();
    BufReader::new(read.take(QUESTION_MAX)).read_line(&mut question).await?;
    let answer = match question.trim() {
        "status" => serde_json::to_string(&gateway.status())?,
        other => serde_json::to_string(&serde_json::json!({ "error": format!("`{other}` is no question") }))?,
    };
    write.write_all(answer.as_bytes()).await?;
    write.write_all(b"\n").await
}

/// Asks a running gateway for its status.
pub async fn ask_status(path: &Path) -> io::Result<Status> {
    let asked = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(b"status\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    };
    match tokio::time::timeout(QUESTION_WITHIN, asked).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the gateway does not answer")),
    }
}
