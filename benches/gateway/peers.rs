//! The barest programs that do the same work, as child processes: no lists, no log, no limits.
//!
//! `proxy` is a forward proxy of hyper's server and client. Like the gateway it keeps one origin connection for each
//! client connection and lends it to nobody. `relay` answers CONNECT and copies. Both are told their one origin, so that
//! they resolve no names; the gateway does.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// The first argument of a child.
pub const AS_PEER: &str = "--as-peer";

/// A running peer; ends when dropped.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
}

impl Peer {
    pub async fn start(kind: &str, origin: SocketAddr) -> Self {
        let program = std::env::current_exe().expect("our own path");
        let mut command = Command::new(program);
        command.args([AS_PEER, kind, &origin.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("our own program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        Peer { child, address: line.trim().parse().expect("an address") }
    }

    /// Its process and where it listens.
    pub fn subject(&self) -> (u32, SocketAddr) {
        (self.child.id(), self.address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The life of a child.
pub fn run(kind: &str, origin: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("a bound socket has an address"));
        std::io::stdout().flush().expect("our parent reads");
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            match kind {
                "proxy" => ecluse::tasks::spawn("proxy", proxy(stream, origin)),
                "relay" => ecluse::tasks::spawn("relay", relay(stream, origin)),
                other => panic!("no peer is called {other}"),
            };
        }
    });
}

async fn proxy(stream: TcpStream, origin: SocketAddr) {
    let kept: Arc<Mutex<Option<SendRequest<Incoming>>>> = Arc::default();
    let service = service_fn(move |request| {
        let kept = kept.clone();
        async move { Ok::<_, Infallible>(forward(request, origin, &mut *kept.lock().await).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn forward(
    mut request: Request<Incoming>,
    origin: SocketAddr,
    kept: &mut Option<SendRequest<Incoming>>,
) -> hyper::Response<Incoming> {
    if kept.is_none() {
        let stream = TcpStream::connect(origin).await.expect("the origin is there");
        let _ = stream.set_nodelay(true);
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("hyper");
        ecluse::tasks::spawn("origin connection", async move {
            let _ = connection.await;
        });
        *kept = Some(sender);
    }
    let sender = kept.as_mut().expect("made above");
    *request.uri_mut() = Uri::builder()
        .path_and_query(request.uri().path_and_query().map_or("/", |path| path.as_str()))
        .build()
        .expect("the path was valid");
    sender.ready().await.expect("the origin stays");
    sender.send_request(request).await.expect("the origin answers")
}

async fn relay(mut client: TcpStream, origin: SocketAddr) {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let Ok(mut far) = TcpStream::connect(origin).await else { return };
    let _ = far.set_nodelay(true);
    if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut far).await;
    }
}
