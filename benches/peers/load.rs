//! The one load generator: clients that check every answer and time it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::origin::{FLIGHT, NAME, TLS_WORD};

/// Connections at once.
const CLIENTS: usize = 8;
/// Longer than that nobody waits for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a client goes: through a proxy, or straight to the origin.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    pub proxy: Option<SocketAddr>,
}

/// What clients saw: one time for each thing they did, in microseconds.
#[derive(Debug, Default)]
pub struct Seen {
    pub micros: Vec<u32>,
    pub wall: Duration,
}

impl Seen {
    /// The time that this part of them took at most.
    pub fn quantile(&mut self, part: f64) -> f64 {
        self.micros.sort_unstable();
        let at = ((self.micros.len() as f64 * part).ceil() as usize).clamp(1, self.micros.len());
        f64::from(self.micros[at - 1])
    }

    pub fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.wall.as_secs_f64()
    }
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: usize,
    /// The connection is not kept.
    pub closes: bool,
}

impl Door {
    async fn connect(self, origin: SocketAddr) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(self.proxy.unwrap_or(origin)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn request(self, host: &str, port: u16, path: &str) -> Vec<u8> {
        let target = if self.proxy.is_some() { format!("http://{host}:{port}") } else { String::new() };
        format!(
            "GET {target}/{path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\
             Accept-Language: fr\r\n\r\n"
        )
        .into_bytes()
    }

    /// `count` requests over [`CLIENTS`] kept connections; `host` names the origin, which answers with `size` bytes.
    pub async fn pages(self, origin: SocketAddr, size: usize, count: usize) -> Seen {
        let request: Arc<[u8]> = self.request(NAME, origin.port(), &size.to_string()).into();
        self.shared(count, move |mut micros, share| {
            let request = request.clone();
            async move {
                let mut client = Client::new(self, origin);
                for _ in 0..share {
                    let begun = Instant::now();
                    let answer = client.ask(&request).await.expect("an answer");
                    assert_eq!((answer.status, answer.body), (200, size), "through {:?}", self.proxy);
                    micros.push(begun.elapsed().as_micros() as u32);
                }
                micros
            }
        })
        .await
    }

    /// `count` requests of a host that is refused, over kept connections.
    pub async fn refused_pages(self, host: &str, port: u16, count: usize) -> Seen {
        let request: Arc<[u8]> = self.request(host, port, "1024").into();
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.shared(count, move |mut micros, share| {
            let request = request.clone();
            async move {
                let mut client = Client::new(self, nowhere);
                for _ in 0..share {
                    let begun = Instant::now();
                    client.ask(&request).await.expect("an answer");
                    micros.push(begun.elapsed().as_micros() as u32);
                }
                micros
            }
        })
        .await
    }

    /// `count` requests for a tunnel to a host that is refused, each on a connection of its own.
    pub async fn refused_tunnels(self, host: &str, port: u16, count: usize) -> Seen {
        let ask: Arc<str> = connect_head(host, port).into();
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.shared(count, move |mut micros, share| {
            let ask = ask.clone();
            async move {
                for _ in 0..share {
                    let begun = Instant::now();
                    let mut client = Client::new(self, nowhere);
                    let answer = client.ask(ask.as_bytes()).await.expect("an answer");
                    assert_ne!(answer.status, 200, "a tunnel to a refused host");
                    micros.push(begun.elapsed().as_micros() as u32);
                }
                micros
            }
        })
        .await
    }

    /// `count` tunnels: a ClientHello up, a flight and `size` bytes down, closed.
    pub async fn tunnels(self, origin: SocketAddr, hello: &Arc<[u8]>, size: usize, count: usize) -> Seen {
        let hello = hello.clone();
        self.shared(count, move |mut micros, share| {
            let hello = hello.clone();
            async move {
                let mut scratch = vec![0; 256 * 1024];
                for _ in 0..share {
                    let begun = Instant::now();
                    let mut stream = self.tunnel(origin, None).await.expect("a tunnel");
                    start_tunnel(&mut stream, &hello, size).await.expect("a tunnel takes bytes");
                    let mut heard = 0;
                    loop {
                        match stream.read(&mut scratch).await.expect("a tunnel that ends well") {
                            0 => break,
                            n => heard += n,
                        }
                    }
                    assert_eq!(heard, FLIGHT + size, "bytes came through the tunnel");
                    micros.push(begun.elapsed().as_micros() as u32);
                }
                micros
            }
        })
        .await
    }

    /// `count` tunnels with a TLS handshake in them, a word and its answer.
    pub async fn tls(self, origin: SocketAddr, connector: &TlsConnector, count: usize) -> Seen {
        let connector = connector.clone();
        self.shared(count, move |mut micros, share| {
            let connector = connector.clone();
            async move {
                for _ in 0..share {
                    let begun = Instant::now();
                    let stream = self.tunnel(origin, None).await.expect("a tunnel");
                    let name = NAME.try_into().expect("a name");
                    let mut stream = connector.connect(name, stream).await.expect("a handshake");
                    stream.write_all(TLS_WORD).await.expect("an open connection");
                    let mut word = [0; TLS_WORD.len()];
                    stream.read_exact(&mut word).await.expect("an answer");
                    assert_eq!(&word, TLS_WORD);
                    micros.push(begun.elapsed().as_micros() as u32);
                }
                micros
            }
        })
        .await
    }

    /// `count` tunnels that stay open and say nothing, from addresses of many devices.
    pub async fn idle_tunnels(self, origin: SocketAddr, hello: &Arc<[u8]>, count: usize) -> Vec<TcpStream> {
        const DEVICES: usize = 250;
        let mut open = Vec::with_capacity(count);
        for batch in (0..count).collect::<Vec<_>>().chunks(32) {
            let mut opening = JoinSet::new();
            for &number in batch {
                let hello = hello.clone();
                let device = Ipv4Addr::new(127, 0, 1, (number % DEVICES) as u8 + 1);
                spawn_in(&mut opening, async move {
                    let mut stream = self.tunnel(origin, Some(device)).await?;
                    start_tunnel(&mut stream, &hello, 0).await?;
                    let mut flight = vec![0; FLIGHT];
                    stream.read_exact(&mut flight).await?;
                    Ok::<_, std::io::Error>(stream)
                });
            }
            while let Some(opened) = opening.join_next().await {
                open.push(opened.expect("no panic").expect("an idle tunnel"));
            }
        }
        open
    }

    /// One request each for many hosts, whatever becomes of it: how many were answered.
    pub async fn look_ups(self, hosts: &Arc<[String]>, port: u16) -> u64 {
        let (next, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (hosts, next, answered) = (hosts.clone(), next.clone(), answered.clone());
            spawn_in(&mut clients, async move {
                let mut client = Client::new(self, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if client.ask(&self.request(host, port, "once")).await.is_ok() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while clients.join_next().await.is_some() {}
        answered.load(Ordering::Relaxed)
    }

    /// A tunnel to the origin, or a plain connection where nobody is asked.
    async fn tunnel(self, origin: SocketAddr, device: Option<Ipv4Addr>) -> std::io::Result<TcpStream> {
        let opening = async {
            let socket = TcpSocket::new_v4()?;
            if let Some(device) = device {
                socket.bind(SocketAddr::from((device, 0)))?;
            }
            let mut stream = socket.connect(self.proxy.unwrap_or(origin)).await?;
            stream.set_nodelay(true)?;
            if self.proxy.is_none() {
                return Ok(stream);
            }
            stream.write_all(connect_head(NAME, origin.port()).as_bytes()).await?;
            let mut head = Vec::with_capacity(512);
            while end_of_head(&head).is_none() {
                // Byte by byte would be slow, and the origin says nothing before it is spoken to.
                if stream.read_buf(&mut head).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            let granted = head.starts_with(b"HTTP/1.1 200") || head.starts_with(b"HTTP/1.0 200");
            assert!(granted, "no tunnel: {}", String::from_utf8_lossy(&head));
            Ok(stream)
        };
        patiently(opening).await
    }

    /// Shares `count` among [`CLIENTS`], each of which gives its times back.
    async fn shared<F>(self, count: usize, client: impl Fn(Vec<u32>, usize) -> F) -> Seen
    where
        F: Future<Output = Vec<u32>> + Send + 'static,
    {
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS.min(count) {
            let share = count / CLIENTS.min(count) + usize::from(number < count % CLIENTS.min(count));
            spawn_in(&mut clients, client(Vec::with_capacity(share), share));
        }
        let mut seen = Seen::default();
        while let Some(micros) = clients.join_next().await {
            seen.micros.extend(micros.expect("every answer was right"));
        }
        seen.wall = begun.elapsed();
        assert_eq!(seen.micros.len(), count, "another number was done");
        seen
    }
}

#[expect(clippy::disallowed_methods, reason = "a panic in a client ends the bench that joins it")]
fn spawn_in<T: Send + 'static>(set: &mut JoinSet<T>, future: impl Future<Output = T> + Send + 'static) {
    set.spawn(future);
}

fn connect_head(host: &str, port: u16) -> String {
    format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: bench\r\n\r\n")
}

async fn start_tunnel(stream: &mut TcpStream, hello: &[u8], size: usize) -> std::io::Result<()> {
    let mut words = hello.to_vec();
    words.extend_from_slice(&(size as u64).to_be_bytes());
    stream.write_all(&words).await
}

async fn patiently<T>(future: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Where the head of an answer ends.
fn end_of_head(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// One client, and the connection that it keeps as long as it is let.
pub struct Client {
    door: Door,
    origin: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(door: Door, origin: SocketAddr) -> Self {
        Client { door, origin, stream: None, buffer: vec![0; 256 * 1024] }
    }

    /// One small page, right or an error.
    pub async fn page(&mut self, size: usize) -> std::io::Result<()> {
        let request = self.door.request(NAME, self.origin.port(), &size.to_string());
        let answer = self.ask(&request).await?;
        let right = (answer.status, answer.body) == (200, size);
        if right { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
    }

    /// Asks and hears the whole answer. A kept connection that was closed meanwhile is opened anew, once.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        let kept = self.stream.is_some();
        match patiently(self.ask_once(request)).await {
            Err(error) if kept && error.kind() != std::io::ErrorKind::TimedOut => {
                self.stream = None;
                patiently(self.ask_once(request)).await
            }
            done => done,
        }
        .inspect_err(|_| self.stream = None)
    }

    async fn ask_once(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.door.connect(self.origin).await?,
        };
        stream.write_all(request).await?;
        let mut filled = 0;
        let end = loop {
            match stream.read(&mut self.buffer[filled..]).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
            if let Some(end) = end_of_head(&self.buffer[..filled]) {
                break end;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let length: Option<usize> = field("content-length").and_then(|length| length.parse().ok());
        let chunked = field("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let mut closes = head.starts_with("http/1.0") || field("connection").is_some_and(|value| value == "close");
        let mut body = filled - end;
        let mut tail = self.buffer[..filled].to_vec();
        tail.drain(..tail.len().saturating_sub(8));
        loop {
            let over = match length {
                Some(length) => body >= length,
                None => chunked && tail.ends_with(b"0\r\n\r\n"),
            };
            if over {
                break;
            }
            match stream.read(&mut self.buffer).await? {
                0 if length.is_some() || chunked => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                0 => {
                    closes = true;
                    break;
                }
                n => {
                    body += n;
                    tail.extend_from_slice(&self.buffer[n.saturating_sub(8)..n]);
                }
            }
        }
        if !closes {
            self.stream = Some(stream);
        }
        Ok(Answer { status, body, closes })
    }
}

/// Clients that ask until they are told to stop.
pub struct Endless {
    stop: Arc<AtomicBool>,
    clients: JoinSet<(u64, u64, Duration)>,
    /// Answers that were right, for who wants to know at once.
    pub right: Arc<AtomicU64>,
}

/// What endless clients saw.
#[derive(Debug, Clone, Copy)]
pub struct Endured {
    pub asked: u64,
    pub failed: u64,
    /// The longest that any of them waited for an answer, or for the end of a failure.
    pub longest: Duration,
}

impl Endless {
    pub fn start(door: Door, origin: SocketAddr) -> Self {
        let mut load = Endless { stop: Arc::default(), clients: JoinSet::new(), right: Arc::default() };
        for _ in 0..CLIENTS {
            let (stop, right) = (load.stop.clone(), load.right.clone());
            spawn_in(&mut load.clients, async move {
                let (mut asked, mut failed, mut longest) = (0, 0, Duration::ZERO);
                let mut client = Client::new(door, origin);
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    asked += 1;
                    match client.page(1024).await {
                        Ok(()) => {
                            right.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => {
                            failed += 1;
                            // A door that is shut is not to be stormed.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    longest = longest.max(begun.elapsed());
                    if asked % 50 == 0 {
                        client = Client::new(door, origin);
                    }
                }
                (asked, failed, longest)
            });
        }
        load
    }

    pub async fn stop(mut self) -> Endured {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Endured { asked: 0, failed: 0, longest: Duration::ZERO };
        while let Some(one) = self.clients.join_next().await {
            let (asked, failed, longest) = one.expect("no panic");
            all = Endured { asked: all.asked + asked, failed: all.failed + failed, longest: all.longest.max(longest) };
        }
        all
    }
}
