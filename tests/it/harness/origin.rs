//! Real origins over HTTP and HTTPS, with a ledger of what reached them.
//!
//! | path | answer |
//! |---|---|
//! | `/bytes/N` | N bytes of [`pattern`], streamed |
//! | `/echo` | the request's body, streamed back as it arrives |
//! | `/count` | how many bytes the body had |
//! | `/status/N` | that status |
//! | `/page` | the page that the test gave |
//! | `/etag` | a page with an entity tag, or 304 to who has it |
//! | anything else | `hello from <host>` |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

/// A request as an origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The other end of the connection it came by: the gateway's outward port.
    pub peer: SocketAddr,
    pub method: String,
    pub target: String,
    pub version: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        super::reply::header(&self.headers, name)
    }

    pub fn host(&self) -> &str {
        self.header("host").unwrap_or_default()
    }
}

/// What reached an origin.
#[derive(Debug, Default)]
pub struct Ledger {
    connections: Mutex<Vec<SocketAddr>>,
    requests: Mutex<Vec<Seen>>,
    server_names: Mutex<Vec<(SocketAddr, String)>>,
    page: Mutex<String>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Ledger {
    /// The other ends of all connections that were accepted.
    pub fn connections(&self) -> Vec<SocketAddr> {
        self.connections.lock().expect("no panic").clone()
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.requests.lock().expect("no panic").clone()
    }

    /// The names in the ClientHellos that arrived.
    pub fn server_names(&self) -> Vec<(SocketAddr, String)> {
        self.server_names.lock().expect("no panic").clone()
    }

    /// Body bytes handed to the network so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Body bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// A server that stops with the test's runtime.
#[derive(Debug, Clone)]
pub struct Origin {
    pub address: SocketAddr,
    pub ledger: Arc<Ledger>,
}

impl Origin {
    pub async fn http() -> Self {
        Origin::start("127.0.0.1:0", None).await
    }

    pub async fn http_on(address: &str) -> Self {
        Origin::start(address, None).await
    }

    pub async fn https(acceptor: TlsAcceptor) -> Self {
        Origin::start("127.0.0.1:0", Some(acceptor)).await
    }

    async fn start(address: &str, tls: Option<TlsAcceptor>) -> Self {
        Origin::serving(TcpListener::bind(address).await.expect("a free port"), tls)
    }

    /// On a socket that is there already.
    pub fn serving(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let ledger = Arc::new(Ledger::default());
        let origin = Origin { address, ledger: ledger.clone() };
        ecluse::tasks::spawn("origin", async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                ledger.connections.lock().expect("no panic").push(peer);
                let (ledger, tls) = (ledger.clone(), tls.clone());
                ecluse::tasks::spawn("origin connection", async move {
                    match tls {
                        None => serve(stream, peer, ledger).await,
                        Some(acceptor) => serve_tls(stream, peer, acceptor, ledger).await,
                    }
                });
            }
        });
        origin
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://<host>:<port><path>`.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port())
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.ledger.requests()
    }

    /// What `/page` is from now on.
    pub fn serve_page(&self, page: String) {
        *self.ledger.page.lock().expect("no panic") = page;
    }
}

async fn serve_tls(stream: TcpStream, peer: SocketAddr, acceptor: TlsAcceptor, ledger: Arc<Ledger>) {
    let Ok(start) = LazyConfigAcceptor::new(Default::default(), stream).await else { return };
    let name = start.client_hello().server_name().unwrap_or_default().to_owned();
    ledger.server_names.lock().expect("no panic").push((peer, name));
    if let Ok(stream) = start.into_stream(acceptor.config().clone()).await {
        serve(stream, peer, ledger).await;
    }
}

async fn serve<S>(stream: S, peer: SocketAddr, ledger: Arc<Ledger>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let ledger = ledger.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, ledger).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is the client's business.
    let _ = connection.await;
}

type Answer = Either<Full<Bytes>, Either<Pattern, Counted>>;

async fn answer(request: Request<Incoming>, peer: SocketAddr, ledger: Arc<Ledger>) -> Response<Answer> {
    ledger.requests.lock().expect("no panic").push(seen(&request, peer));
    let path = request.uri().path().to_owned();
    let argument = path.rsplit('/').next().and_then(|text| text.parse::<u64>().ok());
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    match (path.split('/').nth(1), argument) {
        (Some("bytes"), Some(length)) => Response::new(Either::Right(Either::Left(Pattern::new(length, ledger)))),
        (Some("echo"), _) => Response::new(Either::Right(Either::Right(Counted { body: request.into_body(), ledger }))),
        (Some("count"), _) => {
            let body = Counted { body: request.into_body(), ledger };
            match count(body).await {
                Ok(count) => text(count.to_string()),
                Err(_) => text("the body broke off".to_owned()),
            }
        }
        (Some("status"), Some(status)) => {
            let mut response = text(String::new());
            *response.status_mut() = StatusCode::from_u16(status as u16).unwrap_or(StatusCode::BAD_REQUEST);
            response
        }
        (Some("page"), _) => {
            let mut response = text(ledger.page.lock().expect("no panic").clone());
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/html; charset=utf-8"));
            response
        }
        (Some("etag"), _) if request.headers().contains_key("if-none-match") => {
            let mut response = text(String::new());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        (Some("etag"), _) => {
            let mut response = text("a tagged page\n".to_owned());
            response.headers_mut().insert("etag", http::HeaderValue::from_static("\"one\""));
            response
        }
        _ => {
            let host = request.headers().get("host").and_then(|h| h.to_str().ok()).unwrap_or("nobody");
            text(format!("hello from {host}\n"))
        }
    }
}

fn seen(request: &Request<Incoming>, peer: SocketAddr) -> Seen {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    Seen {
        peer,
        method: request.method().to_string(),
        target: request.uri().to_string(),
        version: format!("{:?}", request.version()),
        headers: headers.collect(),
    }
}

async fn count(mut body: Counted) -> Result<u64, hyper::Error> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(count)
}

/// Not a power of two, so that a block lost or doubled shows.
const BLOCK: usize = 65_521;

fn block() -> Bytes {
    static ONCE: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        (0..BLOCK as u64).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>().into()
    })
    .clone()
}

/// The `length` bytes that `/bytes/N` sends.
pub fn pattern(length: usize) -> Vec<u8> {
    block().iter().copied().cycle().take(length).collect()
}

/// A body of [`pattern`] bytes that counts what the network took.
pub struct Pattern {
    left: u64,
    ledger: Arc<Ledger>,
}

impl Pattern {
    fn new(length: u64, ledger: Arc<Ledger>) -> Self {
        Pattern { left: length, ledger }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let n = self.left.min(BLOCK as u64);
        self.left -= n;
        self.ledger.sent.fetch_add(n, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(block().slice(..n as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A request's body that is counted as it arrives.
pub struct Counted {
    body: Incoming,
    ledger: Arc<Ledger>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let n = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.ledger.received.fetch_add(n, Ordering::Relaxed);
        }
        polled
    }
}
