//! An origin that gives what a test has put there, with the head that it wants.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One thing on the shelf.
#[derive(Clone, Default)]
pub struct Item {
    status: u16,
    headers: Vec<(&'static str, String)>,
    /// In pieces, as they go out.
    pieces: Vec<Bytes>,
    /// Its length is not said.
    chunked: bool,
    /// Endlessly the same piece, so many times.
    repeat: usize,
}

impl Item {
    pub fn of(body: impl Into<Bytes>) -> Self {
        Item { status: 200, pieces: vec![body.into()], repeat: 1, ..Item::default() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn coded(self, coding: &str) -> Self {
        self.header("content-encoding", coding)
    }

    pub fn status(self, status: u16) -> Self {
        Item { status, ..self }
    }

    pub fn then(mut self, piece: impl Into<Bytes>) -> Self {
        self.pieces.push(piece.into());
        self
    }

    /// The first piece is sent so many times.
    pub fn repeated(self, repeat: usize) -> Self {
        Item { repeat, ..self }
    }

    pub fn chunked(self) -> Self {
        Item { chunked: true, ..self }
    }

    fn length(&self) -> usize {
        let first = self.pieces.first().map_or(0, Bytes::len);
        first * (self.repeat - 1) + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }
}

/// What was asked: the path, and the fields of the head.
pub type Asked = (String, http::HeaderMap, Bytes);

#[derive(Clone)]
pub struct Shelf {
    pub port: u16,
    items: Arc<Mutex<HashMap<String, Item>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Shelf {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shelf = Shelf { port, items: Arc::default(), asked: Arc::default() };
        let serving = shelf.clone();
        ecluse::tasks::spawn("shelf", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shelf = serving.clone();
                ecluse::tasks::spawn("shelf connection", async move {
                    let service = service_fn(move |request| {
                        let shelf = shelf.clone();
                        async move { Ok::<_, Infallible>(shelf.answer(request).await) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        shelf
    }

    pub fn put(&self, path: &str, item: Item) -> String {
        self.items.lock().expect("no panic").insert(path.to_owned(), item);
        self.url(path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://files.test:{}{path}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        let path = head.uri.path().to_owned();
        self.asked.lock().expect("no panic").push((path.clone(), head.headers, body));
        let Some(item) = self.items.lock().expect("no panic").get(&path).cloned() else {
            let mut response = Response::new(http_body_util::Full::from("welcome\n").boxed());
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/html"));
            return response;
        };
        let (to, from) = mpsc::channel::<Frame<Bytes>>(4);
        let length = item.length();
        let mut response = Response::builder().status(StatusCode::from_u16(item.status).expect("a status"));
        for (name, value) in &item.headers {
            response = response.header(*name, value);
        }
        if !item.chunked {
            response = response.header("content-length", length);
        }
        ecluse::tasks::spawn("shelf item", async move {
            let first = item.pieces.first().cloned().into_iter().cycle().take(item.repeat);
            for piece in first.chain(item.pieces.iter().skip(1).cloned()) {
                if to.send(Frame::data(piece)).await.is_err() {
                    return;
                }
            }
        });
        response.body(Frames(from).boxed()).expect("a response")
    }
}

/// What a task sends as a body.
struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
