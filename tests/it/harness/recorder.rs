//! An origin that keeps the raw bytes of each connection, for the readers of [`super::readers`] to judge.
//!
//! It answers each request once it is whole by the book; one that stays incomplete is answered after a pause and the
//! connection closed, so that nobody waits for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::readers::{ALL, Reader, Request};

/// After this long without a byte, an incomplete request stays so: longer than the gateway of a test may wait.
const QUIET: Duration = Duration::from_secs(3);

/// One connection as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The other end: the gateway's outward address and port.
    pub peer: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Stops with the test's runtime.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub address: SocketAddr,
    connections: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let recorder = Recorder { address, connections: Arc::default() };
        let this = recorder.clone();
        ecluse::tasks::spawn("recorder", async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let connection = this.open(peer);
                let this = this.clone();
                ecluse::tasks::spawn("recorded connection", async move { this.serve(stream, peer, connection).await });
            }
        });
        recorder
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All connections so far, in the order they were opened.
    pub fn connections(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// Lets go of all connections; those that are open go on unseen.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, peer: SocketAddr) -> usize {
        let mut all = self.lock();
        all.push(Recorded { peer, bytes: Vec::new() });
        all.len() - 1
    }

    async fn serve(&self, mut stream: TcpStream, peer: SocketAddr, connection: usize) {
        let mut bytes = Vec::new();
        let mut answered = 0;
        loop {
            let mut chunk = vec![0; 16 * 1024];
            let read = tokio::time::timeout(QUIET, stream.read(&mut chunk)).await;
            let quiet = read.is_err();
            match read {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(n)) => {
                    bytes.extend_from_slice(&chunk[..n]);
                    if let Some(recorded) = self.lock().get_mut(connection).filter(|one| one.peer == peer) {
                        recorded.bytes.extend_from_slice(&chunk[..n]);
                    }
                }
                Err(_) => {}
            }
            let by_the_book: &Reader = &ALL[0];
            let requests = by_the_book.read(&bytes);
            for request in &requests[answered.min(requests.len())..] {
                if !request.whole && !quiet {
                    break;
                }
                answered += 1;
                if stream.write_all(answer(request).as_bytes()).await.is_err() || !request.whole {
                    return;
                }
            }
        }
    }
}

fn answer(request: &Request) -> String {
    let body =
        format!("{} {} for {}\n", request.method, request.target.escape_default(), request.host.escape_default());
    let close = if request.whole { "" } else { "Connection: close\r\n" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{close}Content-Length: {}\r\n\r\n", body.len());
    if request.method == "HEAD" { head } else { head + &body }
}
