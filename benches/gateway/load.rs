//! Origins that cost little and clients that count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::harness::tls::client_hello;

/// Connections at once.
const CLIENTS: usize = 8;
/// The body of a page.
const PAGE: usize = 1024;
/// What an origin says in a tunnel: about a server's first flight with its certificates.
const FLIGHT: usize = 4096;
const NAME: &str = "bench.test";

/// Answers every request with the same page.
pub struct PageOrigin {
    pub address: SocketAddr,
    served: Arc<AtomicU64>,
}

impl PageOrigin {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = PageOrigin { address: listener.local_addr().unwrap(), served: Arc::default() };
        let served = origin.served.clone();
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + PAGE, b'x');
        let answer: Arc<[u8]> = answer.into();
        ecluse::tasks::spawn("page origin", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (served, answer) = (served.clone(), answer.clone());
                ecluse::tasks::spawn("page connection", async move {
                    let mut buffer = Vec::with_capacity(4096);
                    // One request at a time comes over a connection, so its end is the end of what is there.
                    while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
                        if buffer.ends_with(b"\r\n\r\n") {
                            buffer.clear();
                            served.fetch_add(1, Ordering::Relaxed);
                            if stream.write_all(&answer).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        origin
    }

    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

/// Hears a ClientHello, says a flight, closes.
pub struct TunnelOrigin {
    pub address: SocketAddr,
    hello: Arc<[u8]>,
    served: Arc<AtomicU64>,
}

impl TunnelOrigin {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hello: Arc<[u8]> = client_hello(NAME).into();
        let origin = TunnelOrigin { address: listener.local_addr().unwrap(), hello, served: Arc::default() };
        let (served, hello) = (origin.served.clone(), origin.hello.clone());
        ecluse::tasks::spawn("tunnel origin", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (served, hello) = (served.clone(), hello.clone());
                ecluse::tasks::spawn("tunnel connection", async move {
                    let mut heard = vec![0; hello.len()];
                    if stream.read_exact(&mut heard).await.is_ok() {
                        assert!(heard == *hello, "the ClientHello was changed on its way");
                        served.fetch_add(1, Ordering::Relaxed);
                        let _ = stream.write_all(&[7; FLIGHT]).await;
                    }
                });
            }
        });
        origin
    }

    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

async fn connect(proxy: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Where the head of an answer ends.
fn end_of_head(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// One request over a kept connection; the answer is whole and right.
async fn page(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<()> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = end_of_head(buffer)
            && buffer.len() >= end + PAGE
        {
            let right = buffer.starts_with(b"HTTP/1.1 200 ") && buffer.len() == end + PAGE && buffer.ends_with(b"xxx");
            return if right { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) };
        }
    }
}

fn request(port: u16) -> Vec<u8> {
    format!(
        "GET http://{NAME}:{port}/page HTTP/1.1\r\nHost: {NAME}:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\
         Accept-Language: fr\r\n\r\n"
    )
    .into_bytes()
}

/// `count` requests over [`CLIENTS`] connections.
pub async fn pages(proxy: SocketAddr, port: u16, count: usize) {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let share = count / CLIENTS + usize::from(client < count % CLIENTS);
            ecluse::tasks::spawn("client", async move {
                let (mut stream, request) = (connect(proxy).await.unwrap(), request(port));
                let mut buffer = Vec::with_capacity(8192);
                for _ in 0..share {
                    page(&mut stream, &request, &mut buffer).await.expect("a right answer");
                }
            })
        })
        .collect();
    all(clients).await;
}

/// `count` tunnels, [`CLIENTS`] at a time.
pub async fn tunnels(proxy: SocketAddr, origin: &TunnelOrigin, count: usize) {
    let port = origin.address.port();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let share = count / CLIENTS + usize::from(client < count % CLIENTS);
            let hello = origin.hello.clone();
            ecluse::tasks::spawn("client", async move {
                let ask = format!("CONNECT {NAME}:{port} HTTP/1.1\r\nHost: {NAME}:{port}\r\nUser-Agent: bench\r\n\r\n");
                for _ in 0..share {
                    tunnel(proxy, ask.as_bytes(), &hello).await.expect("a right tunnel");
                }
            })
        })
        .collect();
    all(clients).await;
}

async fn tunnel(proxy: SocketAddr, ask: &[u8], hello: &[u8]) -> std::io::Result<()> {
    let mut stream = connect(proxy).await?;
    stream.write_all(ask).await?;
    let mut buffer = Vec::with_capacity(8192);
    while end_of_head(&buffer).is_none() {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer));
    stream.write_all(hello).await?;
    buffer.clear();
    while stream.read_buf(&mut buffer).await? > 0 {}
    assert!(buffer == [7; FLIGHT], "{} bytes came through the tunnel", buffer.len());
    Ok(())
}

async fn all(clients: Vec<JoinHandle<()>>) {
    for client in clients {
        client.await.expect("every answer was right");
    }
}

/// Clients that ask until told to stop, over connections of fifty requests, and count what failed.
pub struct Endless {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Endless {
    pub fn start(proxy: SocketAddr, port: u16) -> Self {
        let mut load =
            Endless { stop: Arc::default(), asked: Arc::default(), failed: Arc::default(), clients: Vec::new() };
        for _ in 0..CLIENTS {
            let (stop, asked, failed) = (load.stop.clone(), load.asked.clone(), load.failed.clone());
            load.clients.push(ecluse::tasks::spawn("client", async move {
                let (request, mut buffer) = (request(port), Vec::with_capacity(8192));
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = connect(proxy).await;
                    for _ in 0..50 {
                        asked.fetch_add(1, Ordering::Relaxed);
                        let done = match &mut stream {
                            Ok(stream) => page(stream, &request, &mut buffer).await.is_ok(),
                            Err(_) => false,
                        };
                        if !done {
                            failed.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            }));
        }
        load
    }

    /// Requests asked and failed.
    pub async fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        all(self.clients).await;
        (self.asked.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}
