//! Conversations byte by byte: a client that writes exactly these bytes and an origin that reads exactly those.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::reply::{Head, Reply, finish, read_head};
use super::soon;

/// How the other side ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order (FIN).
    Closed,
    /// Broken off (RST).
    Reset,
}

/// One end of a TCP connection in a test's hands.
#[derive(Debug)]
pub struct Line {
    pub stream: TcpStream,
    /// Read but not yet asked for.
    pending: Vec<u8>,
}

impl Line {
    pub fn over(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Line { stream, pending: Vec::new() }
    }

    pub async fn to(address: SocketAddr) -> Self {
        let stream = soon("connecting", TcpStream::connect(address)).await;
        Line::over(stream.unwrap_or_else(|e| panic!("connecting to {address}: {e}")))
    }

    /// [`Line::from`] for who may be turned away before the connection is there.
    pub async fn try_from(client: IpAddr, address: SocketAddr) -> Option<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.expect("a socket");
        socket.bind(SocketAddr::new(client, 0)).unwrap_or_else(|e| panic!("binding {client}: {e}"));
        soon("connecting", socket.connect(address)).await.ok().map(Line::over)
    }

    /// Connects from an address of one's own: on loopback, every 127.x.y.z is another device.
    pub async fn from(client: IpAddr, address: SocketAddr) -> Self {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.expect("a socket");
        socket.bind(SocketAddr::new(client, 0)).unwrap_or_else(|e| panic!("binding {client}: {e}"));
        let stream = soon("connecting", socket.connect(address)).await;
        Line::over(stream.unwrap_or_else(|e| panic!("connecting from {client} to {address}: {e}")))
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        soon("writing", self.stream.write_all(bytes.as_ref())).await.expect("the other side takes the bytes");
    }

    /// Writes and does not mind a peer that has left.
    pub async fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon("writing", self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Closes the writing half.
    pub async fn finish_saying(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Breaks off: the other side hears a reset and no end.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }

    /// Exactly `n` bytes.
    pub async fn hear(&mut self, n: usize) -> Vec<u8> {
        soon(&format!("hearing {n} bytes"), async {
            while self.pending.len() < n {
                let read = self.stream.read_buf(&mut self.pending).await.expect("the line holds");
                assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&self.pending));
            }
        })
        .await;
        let rest = self.pending.split_off(n);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Exactly `n` bytes, or `None` when the other side leaves first, whenever that is.
    pub async fn try_hear(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.pending.len() < n {
            if self.stream.read_buf(&mut self.pending).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        let rest = self.pending.split_off(n);
        Some(std::mem::replace(&mut self.pending, rest))
    }

    /// These bytes and no others come next.
    pub async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let heard = self.hear(bytes.len()).await;
        assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(bytes));
    }

    /// Everything up to and with the empty line that ends a head, as text.
    pub async fn hear_head(&mut self) -> String {
        soon("hearing a head", async {
            loop {
                if let Some(at) = self.pending.windows(4).position(|w| w == b"\r\n\r\n") {
                    let rest = self.pending.split_off(at + 4);
                    let head = std::mem::replace(&mut self.pending, rest);
                    return String::from_utf8(head).expect("a head is text");
                }
                let read = self.stream.read_buf(&mut self.pending).await.expect("the line holds");
                assert_ne!(read, 0, "closed in the head: {:?}", String::from_utf8_lossy(&self.pending));
            }
        })
        .await
    }

    /// Everything until the other side closes; a reset counts as closing.
    pub async fn hear_all(&mut self) -> Vec<u8> {
        self.hear_end().await.0
    }

    /// Everything until the other side ends the connection, and how it does.
    pub async fn hear_end(&mut self) -> (Vec<u8>, End) {
        soon("hearing the other side close", async {
            loop {
                match self.stream.read_buf(&mut self.pending).await {
                    Ok(0) => return (std::mem::take(&mut self.pending), End::Closed),
                    Err(_) => return (std::mem::take(&mut self.pending), End::Reset),
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    /// The other side closes now and says nothing more.
    pub async fn expect_close(&mut self) {
        let rest = self.hear_all().await;
        assert!(rest.is_empty(), "more came before the close: {:?}", String::from_utf8_lossy(&rest));
    }

    /// One response; `None` when the other side closes instead.
    pub async fn try_reply(&mut self, method: &str) -> Option<Reply> {
        soon("a response", async {
            let head = read_head(&mut self.stream, std::mem::take(&mut self.pending)).await?;
            let (reply, rest) = finish(&mut self.stream, head, method).await;
            self.pending = rest;
            Some(reply)
        })
        .await
    }

    pub async fn reply(&mut self, method: &str) -> Reply {
        self.try_reply(method).await.expect("a response and not a close")
    }

    /// The head of a response; its body is left on the line.
    pub async fn reply_head(&mut self) -> Head {
        soon("the head of a response", async {
            let mut head = read_head(&mut self.stream, std::mem::take(&mut self.pending)).await?;
            self.pending = std::mem::take(&mut head.rest);
            Some(head)
        })
        .await
        .expect("a response and not a close")
    }

    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    pub fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().expect("a connected socket has an address")
    }
}

/// An origin that a test plays itself.
#[derive(Debug)]
pub struct RawOrigin {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl RawOrigin {
    pub async fn listen() -> Self {
        RawOrigin::listen_on("127.0.0.1:0").await
    }

    pub async fn listen_on(address: &str) -> Self {
        RawOrigin::on(TcpListener::bind(address).await.expect("a free port"))
    }

    /// On a socket that is there already.
    pub fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        RawOrigin { listener, address }
    }

    pub async fn accept(&self) -> Line {
        let (stream, _) = soon("the origin being dialled", self.listener.accept()).await.expect("an accepted socket");
        Line::over(stream)
    }

    /// Nobody dials within `window`.
    pub async fn expect_nobody(&self, window: std::time::Duration) {
        if let Ok(Ok((_, who))) = tokio::time::timeout(window, self.listener.accept()).await {
            panic!("the origin was dialled by {who}");
        }
    }
}

/// A port where nobody listens, and nobody will while the value lives.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket, pub SocketAddr);

impl ClosedPort {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        ClosedPort(socket, address)
    }
}
