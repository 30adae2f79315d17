//! A secure site that publishes lists: files with validators, and every way to publish them badly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a path answers.
#[derive(Debug, Clone)]
pub enum Published {
    /// 200, or 304 to who names its validators.
    File { body: Vec<u8>, etag: Option<String>, last_modified: Option<String> },
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, then silence.
    Silent(Vec<u8>),
}

impl Published {
    pub fn file(body: impl Into<Vec<u8>>, etag: &str) -> Self {
        Published::File { body: body.into(), etag: Some(format!("\"{etag}\"")), last_modified: None }
    }

    pub fn redirect(to: &str) -> Self {
        Published::Raw(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
}

#[derive(Debug, Default)]
struct Shelf {
    files: HashMap<String, Published>,
    asked: Vec<String>,
}

/// Stops with the test's runtime.
#[derive(Clone)]
pub struct Mirror {
    pub port: u16,
    shelf: Arc<Mutex<Shelf>>,
}

impl Mirror {
    pub async fn start(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let mirror = Mirror { port, shelf: Arc::default() };
        let shelf = mirror.shelf.clone();
        ecluse::tasks::spawn("mirror", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shelf) = (acceptor.clone(), shelf.clone());
                ecluse::tasks::spawn("mirror connection", async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        serve(&mut stream, &shelf).await;
                    }
                });
            }
        });
        mirror
    }

    /// `https://lists.test:<port><path>`.
    pub fn url(&self, path: &str) -> String {
        format!("https://lists.test:{}{path}", self.port)
    }

    pub fn publish(&self, path: &str, what: Published) {
        self.shelf.lock().expect("no panic").files.insert(path.to_owned(), what);
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.shelf.lock().expect("no panic").asked.clone()
    }
}

async fn serve<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S, shelf: &Mutex<Shelf>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let found = {
        let mut shelf = shelf.lock().expect("no panic");
        shelf.asked.push(head.clone());
        shelf.files.get(&path).cloned()
    };
    let bytes = match &found {
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Some(Published::Raw(bytes) | Published::Silent(bytes)) => bytes.clone(),
        Some(Published::File { body, etag, last_modified }) => answer(&head, body, etag, last_modified),
    };
    // A client that breaks off is the client's business.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    if matches!(found, Some(Published::Silent(_))) {
        let _ = stream.read_u8().await;
    }
    let _ = stream.shutdown().await;
}

fn answer(head: &str, body: &[u8], etag: &Option<String>, last_modified: &Option<String>) -> Vec<u8> {
    let asked = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let fields = [("ETag", etag), ("Last-Modified", last_modified)];
    let fields = fields.iter().filter_map(|(name, value)| Some(format!("{name}: {}\r\n", value.as_ref()?)));
    let fields: String = fields.collect();
    let has_it = match asked("if-none-match") {
        Some(condition) => Some(condition) == etag.as_deref(),
        None => last_modified.is_some() && asked("if-modified-since") == last_modified.as_deref(),
    };
    if has_it {
        return format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n").into_bytes();
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    [head.as_bytes(), body].concat()
}
