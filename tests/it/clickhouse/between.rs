//! Somebody between the store and its server: passes requests on, answers wrongly, late or not at all, or speaks TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What befalls a request that inserts rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None.
    Pass,
    /// Stored, and the answer breaks off in its head.
    HalfAcknowledged,
    /// Sent to the server twice; the second answer is given.
    TwiceSent,
    /// Stored, and the answer says that it was not.
    StoredButFailed,
    /// Never given to the server, and the answer says that it failed.
    Failed,
    /// Stored, and no answer before the client's patience ends.
    Late,
    /// The connection ends in the middle of the rows: the server gets half of them and no end.
    Cut,
    /// The connection ends before anything is read.
    Refused,
}

impl Fault {
    pub const ALL: [Fault; 8] = [
        Fault::Pass,
        Fault::HalfAcknowledged,
        Fault::TwiceSent,
        Fault::StoredButFailed,
        Fault::Failed,
        Fault::Late,
        Fault::Cut,
        Fault::Refused,
    ];
}

/// Stops with the test's runtime.
pub struct Between {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// The port of the server behind; it changes when that is started again.
    behind: AtomicU64,
    fault: Mutex<Box<dyn FnMut() -> Fault + Send>>,
    requests: AtomicU64,
}

impl Between {
    pub async fn start(
        behind: u16,
        tls: Option<TlsAcceptor>,
        fault: impl FnMut() -> Fault + Send + 'static,
    ) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            behind: AtomicU64::new(behind.into()),
            fault: Mutex::new(Box::new(fault)),
            requests: AtomicU64::new(0),
        });
        let this = state.clone();
        ecluse::tasks::spawn("between", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (this, tls) = (this.clone(), tls.clone());
                ecluse::tasks::spawn("between", async move {
                    match tls {
                        None => serve(stream, this).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, this).await;
                            }
                        }
                    }
                });
            }
        });
        Between { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// The server behind has another port now.
    pub fn moved(&self, port: u16) {
        self.state.behind.store(port.into(), Ordering::Relaxed);
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, state: Arc<State>) {
    let service = hyper::service::service_fn(move |request| answer(request, state.clone()));
    // An error of the service is how a connection is made to end without an answer.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
struct Ends;

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Ends> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let inserts = request.uri().query().is_some_and(|query| query.contains("query=INSERT"));
    let fault = if inserts { (state.fault.lock().expect("no panic"))() } else { Fault::Pass };
    let (head, body) = request.into_parts();
    if fault == Fault::Refused {
        return Err(Ends);
    }
    let body = body.collect().await.map_err(|_| Ends)?.to_bytes();
    let send = async |body: Bytes, whole: bool| pass_on(&state, &head, body, whole).await;
    match fault {
        Fault::Failed => return Ok(failure()),
        Fault::Cut => {
            let half = body.slice(..body.len() / 2);
            let _ = send(half, false).await;
            return Err(Ends);
        }
        _ => {}
    }
    let mut answer = send(body.clone(), true).await;
    match fault {
        Fault::HalfAcknowledged | Fault::Refused => Err(Ends),
        Fault::TwiceSent => {
            answer = send(body, true).await;
            answer.ok_or(Ends)
        }
        Fault::StoredButFailed => Ok(failure()),
        Fault::Late => {
            crate::harness::meanwhile(super::PATIENCE + Duration::from_millis(500)).await;
            answer.ok_or(Ends)
        }
        Fault::Pass | Fault::Failed | Fault::Cut => answer.ok_or(Ends),
    }
}

fn failure() -> Response<Full<Bytes>> {
    let words = "Code: 210. DB::Exception: I/O error: Broken pipe. (NETWORK_ERROR) (version 26.7.2.1)";
    let mut response = Response::new(Full::new(words.into()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Sends a request to the server behind. `None`: no answer came.
async fn pass_on(
    state: &State,
    head: &hyper::http::request::Parts,
    body: Bytes,
    whole: bool,
) -> Option<Response<Full<Bytes>>> {
    let port = state.behind.load(Ordering::Relaxed) as u16;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = ecluse::tasks::spawn("behind", async move {
        let _ = connection.await;
    });
    let mut request = Request::builder().method(head.method.clone()).uri(head.uri.clone());
    let framing = ["transfer-encoding", "content-length"];
    for (name, value) in head.headers.iter().filter(|(name, _)| !framing.contains(&name.as_str())) {
        request = request.header(name, value);
    }
    // What is cut is announced longer than it is: the server waits for the rest until the connection ends.
    let length = body.len() + if whole { 0 } else { 1_000_000 };
    let request = request.header("content-length", length).body(Piece { bytes: Some(body), whole }).ok()?;
    let patience = if whole { Duration::from_secs(60) } else { Duration::from_millis(50) };
    let answer = tokio::time::timeout(patience, sender.send_request(request)).await;
    let Ok(Ok(answer)) = answer else {
        connection.abort();
        return None;
    };
    let (head, body) = answer.into_parts();
    Some(Response::from_parts(head, Full::new(body.collect().await.ok()?.to_bytes())))
}

/// A body that ends, or that stops and does not end.
struct Piece {
    bytes: Option<Bytes>,
    whole: bool,
}

impl hyper::body::Body for Piece {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.whole => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
