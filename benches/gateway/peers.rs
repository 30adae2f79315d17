//! The barest programs that do the same work, as child processes: no lists, no log, no limits.
//!
//! `proxy` is a forward proxy of hyper's server and client. Like the gateway it keeps one origin connection for each
//! client connection and lends it to nobody. `relay` answers CONNECT and copies; `splice` has the kernel move the bytes
//! instead, through pipes that it lends. All are told their one origin, so that they resolve no names; the gateway does.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex as Lock};

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
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

/// The life of a child. `kind@strategy` serves on threads of a runtime each, which steal nothing from one another:
/// `@reuseport` with a queue of new connections each (`SO_REUSEPORT`), `@shared` with one queue for all. Without a
/// strategy it is one runtime whose threads share all work.
pub fn run(kind: &str, origin: SocketAddr) {
    let (kind, strategy) = kind.split_once('@').unwrap_or((kind, "stealing"));
    let first = listener(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = first.local_addr().expect("a bound socket has an address");
    println!("{address}");
    std::io::stdout().flush().expect("our parent reads");
    if strategy == "stealing" {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(accept(first, kind, origin));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|threads| {
        for core in 0..cores {
            let queue = match strategy {
                "reuseport" if core > 0 => listener(address),
                "reuseport" | "shared" => first.try_clone().expect("a descriptor"),
                other => panic!("no strategy is called {other}"),
            };
            threads.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(accept(queue, kind, origin));
            });
        }
    });
}

fn listener(address: SocketAddr) -> std::net::TcpListener {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_reuse_port(true).expect("Linux");
    socket.set_nonblocking(true).expect("Linux");
    socket.bind(&address.into()).expect("a free port");
    socket.listen(1024).expect("a bound socket");
    socket.into()
}

async fn accept(queue: std::net::TcpListener, kind: &str, origin: SocketAddr) {
    let listener = TcpListener::from_std(queue).expect("a runtime");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        match kind {
            "proxy" => ecluse::tasks::spawn("proxy", proxy(stream, origin)),
            "relay" => ecluse::tasks::spawn("relay", relay(stream, origin)),
            "splice" => ecluse::tasks::spawn("splice", spliced(stream, origin)),
            other => panic!("no peer is called {other}"),
        };
    }
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

/// Answers a CONNECT: the other side of the tunnel.
async fn opened(client: &mut TcpStream, origin: SocketAddr) -> Option<TcpStream> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    let far = TcpStream::connect(origin).await.ok()?;
    let _ = far.set_nodelay(true);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    Some(far)
}

async fn relay(mut client: TcpStream, origin: SocketAddr) {
    if let Some(mut far) = opened(&mut client, origin).await {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut far).await;
    }
}

async fn spliced(mut client: TcpStream, origin: SocketAddr) {
    if let Some(far) = opened(&mut client, origin).await {
        let _ = tokio::join!(one_way(&client, &far), one_way(&far, &client));
    }
}

/// What one pipe may hold.
const PIPE: usize = 256 * 1024;

/// Empty pipes.
static PIPES: Lock<Vec<(OwnedFd, OwnedFd)>> = Lock::new(Vec::new());

/// Moves bytes until `from` ends, then closes `to`; a pipe is held only while there are bytes in it.
async fn one_way(from: &TcpStream, to: &TcpStream) -> std::io::Result<()> {
    loop {
        from.readable().await?;
        let kept = PIPES.lock().expect("no panic").pop();
        let (read, write) = match kept {
            Some(pipe) => pipe,
            None => {
                let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                let _ = fcntl_setpipe_size(&pipe.1, PIPE);
                pipe
            }
        };
        let mut held = match from
            .try_io(Interest::READABLE, || Ok(splice(from, None, &write, None, PIPE, SpliceFlags::NONBLOCK)?))
        {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        while held > 0 {
            to.writable().await?;
            let moved =
                to.try_io(Interest::WRITABLE, || Ok(splice(&read, None, to, None, held, SpliceFlags::NONBLOCK)?));
            match moved {
                Ok(n) => held -= n,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        PIPES.lock().expect("no panic").push((read, write));
    }
    socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write)
}
