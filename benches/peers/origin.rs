//! The origins: one of pages, one of tunnels, one of TLS. They cost little, and count what they served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::harness::tls::client_hello;

/// The one name that everything is asked by but for the look-ups.
pub const NAME: &str = "bench.test";
/// What an origin says first in a tunnel: about a server's first flight with its certificates.
pub const FLIGHT: usize = 4096;
/// What a TLS client asks and is answered.
pub const TLS_WORD: &[u8; 4] = b"ping";

/// One origin.
#[derive(Clone)]
pub struct Origin {
    pub address: SocketAddr,
    served: Arc<AtomicU64>,
}

impl Origin {
    /// Requests or tunnels that it has served.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    async fn start<F>(serve: impl Fn(TcpStream, Arc<AtomicU64>) -> F + Send + 'static) -> Origin
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = Origin { address: listener.local_addr().expect("an address"), served: Arc::default() };
        let served = origin.served.clone();
        ecluse::tasks::spawn("origin", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let served = serve(stream, served.clone());
                ecluse::tasks::spawn("origin connection", async move {
                    // Who leaves in the middle is counted where the client is.
                    let _ = served.await;
                });
            }
        });
        origin
    }

    /// `/<bytes>` is a page of so many bytes; `/once` one of a byte, after which the connection closes.
    pub async fn of_pages() -> Origin {
        let block: Arc<[u8]> = vec![b'x'; 128 * 1024].into();
        Origin::start(move |mut stream, served| {
            let block = block.clone();
            async move {
                let mut head = Vec::with_capacity(4096);
                while stream.read_buf(&mut head).await? > 0 {
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let text = String::from_utf8_lossy(&head);
                    let path = text.split(' ').nth(1).and_then(|url| url.rsplit('/').next()).unwrap_or_default();
                    let (mut left, close) = (path.parse().unwrap_or(1_usize), path == "once");
                    served.fetch_add(1, Ordering::Relaxed);
                    let closing = if close { "Connection: close\r\n" } else { "" };
                    let mut answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{closing}Content-Length: {left}\r\n\r\n"
                    )
                    .into_bytes();
                    let first = left.min(block.len());
                    answer.extend_from_slice(&block[..first]);
                    stream.write_all(&answer).await?;
                    left -= first;
                    while left > 0 {
                        let now = left.min(block.len());
                        stream.write_all(&block[..now]).await?;
                        left -= now;
                    }
                    if close {
                        return Ok(());
                    }
                    head.clear();
                }
                Ok(())
            }
        })
        .await
    }

    /// Hears a ClientHello and a number, says a flight and so many bytes more, and closes; at 0 it waits for the client.
    pub async fn of_tunnels(hello: &Arc<[u8]>) -> Origin {
        let hello = hello.clone();
        let block: Arc<[u8]> = vec![7; 128 * 1024].into();
        Origin::start(move |mut stream, served| {
            let (hello, block) = (hello.clone(), block.clone());
            async move {
                let mut heard = vec![0; hello.len()];
                stream.read_exact(&mut heard).await?;
                assert!(heard == *hello, "the ClientHello was changed on its way");
                let mut left = stream.read_u64().await? as usize;
                served.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&block[..FLIGHT]).await?;
                if left == 0 {
                    // Without memory: there are thousands of these.
                    drop(heard);
                    stream.read_u8().await?;
                }
                while left > 0 {
                    let now = left.min(block.len());
                    stream.write_all(&block[..now]).await?;
                    left -= now;
                }
                Ok(())
            }
        })
        .await
    }

    /// A TLS server that answers a word with itself.
    pub async fn of_tls(acceptor: TlsAcceptor) -> Origin {
        Origin::start(move |stream, served| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut word = [0; TLS_WORD.len()];
                stream.read_exact(&mut word).await?;
                served.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&word).await?;
                stream.shutdown().await
            }
        })
        .await
    }
}

/// The ClientHello that tunnels begin with.
pub fn hello() -> Arc<[u8]> {
    client_hello(NAME).into()
}
