//! The HTTP interface of ClickHouse before the engine in this process: as much of it as a client of ours speaks.
//!
//! `POST /?query=INSERT …` takes rows in the body (in the server's LZ4 blocks with `decompress=1`), any other statement
//! stands in the body; other parameters are settings. Errors have a status, `X-ClickHouse-Exception-Code` and the
//! server's words. `GET /ping` says `Ok.`

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::native::Connection;

type Body = BoxBody<Bytes, Infallible>;

/// Serves the data in `directory` on a port of this machine for as long as the process lives; `started` gets the port.
pub async fn serve(directory: PathBuf, key: Option<String>, started: impl FnOnce(u16)) {
    // Held open: the engine of a process ends with its last connection.
    let first = Connection::open(&directory).expect("the engine opens the directory");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    started(listener.local_addr().expect("a bound socket has an address").port());
    let front = Arc::new(Front { directory, key });
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let service = hyper::service::service_fn(move |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.answer(request).await) }
        });
        ecluse::tasks::spawn("client of the engine", async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
        let _ = &first;
    }
}

struct Front {
    directory: PathBuf,
    /// What `X-ClickHouse-Key` must be.
    key: Option<String>,
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/ping" {
            return Response::new(full("Ok.\n"));
        }
        let given = request.headers().get("x-clickhouse-key").and_then(|key| key.to_str().ok());
        if self.key.as_deref().is_some_and(|key| given != Some(key)) {
            return failed(
                "Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)",
            );
        }
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let mut settings: HashMap<String, String> = url::form_urlencoded::parse(query).into_owned().collect();
        let statement = settings.remove("query");
        let compressed = settings.remove("decompress").is_some_and(|one| one == "1");
        let directory = self.directory.clone();
        match statement {
            Some(insert) => insert_rows(directory, settings, insert, compressed, request.into_body()).await,
            None => match request.into_body().collect().await {
                Ok(body) => select(directory, settings, String::from_utf8_lossy(&body.to_bytes()).into_owned()).await,
                Err(_) => failed("Code: 210. DB::Exception: the request broke off. (NETWORK_ERROR)"),
            },
        }
    }
}

/// A connection with the settings of a request.
fn open(directory: &Path, mut settings: HashMap<String, String>) -> Result<Connection, String> {
    let mut connection = Connection::open(directory)?;
    if let Some(database) = settings.remove("database") {
        connection.query(&format!("USE `{database}`"), "Null")?;
    }
    for (name, value) in settings.into_iter().filter(|(name, _)| !["default_format", "role"].contains(&&**name)) {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        connection.query(&format!("SET {name} = '{value}'"), "Null")?;
    }
    Ok(connection)
}

async fn insert_rows(
    directory: PathBuf,
    settings: HashMap<String, String>,
    statement: String,
    compressed: bool,
    mut body: Incoming,
) -> Response<Body> {
    let (send, mut pieces) = mpsc::channel::<Option<Bytes>>(4);
    let work = tokio::task::spawn_blocking(move || {
        let Some((into, format)) = statement.rsplit_once(" FORMAT ") else {
            return Err(format!("Code: 62. DB::Exception: no FORMAT in {statement}. (SYNTAX_ERROR)"));
        };
        let mut connection = open(&directory, settings)?;
        let mut insert = connection.insert(into, format.trim())?;
        let mut blocks = Vec::new();
        while let Some(piece) = pieces.blocking_recv() {
            match piece {
                Some(piece) if compressed => {
                    blocks.extend_from_slice(&piece);
                    while let Some(plain) = take_block(&mut blocks)? {
                        insert.append(&plain)?;
                    }
                }
                Some(piece) => insert.append(&piece)?,
                // Whole.
                None => return insert.end(),
            }
        }
        Err("Code: 210. DB::Exception: the rows broke off. (NETWORK_ERROR)".to_owned())
    });
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data()
                    && send.send(Some(piece)).await.is_err()
                {
                    break;
                }
            }
            Some(Err(_)) => break,
            None => {
                let _ = send.send(None).await;
                break;
            }
        }
    }
    drop(send);
    match work.await.expect("no panic") {
        Ok(()) => Response::new(full("")),
        Err(why) => failed(&why),
    }
}

/// The next whole block of `bytes`, unpacked: checksum (16), method (1: `82` LZ4, `02` none), size with this head of nine
/// bytes (4), size unpacked (4), data. See the server's `CompressedWriteBuffer`.
fn take_block(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, String> {
    let number = |at: usize| bytes.get(at..at + 4).map(|n| u32::from_le_bytes(n.try_into().expect("four")) as usize);
    let (Some(size), Some(plain)) = (number(17), number(21)) else { return Ok(None) };
    let Some(data) = bytes.get(25..16 + size) else { return Ok(None) };
    let unpacked = match bytes[16] {
        0x82 => lz4_flex::block::decompress(data, plain)
            .map_err(|e| format!("Code: 271. DB::Exception: {e}. (CANNOT_DECOMPRESS)"))?,
        0x02 => data.to_vec(),
        other => return Err(format!("Code: 432. DB::Exception: method {other:x}. (UNKNOWN_CODEC)")),
    };
    bytes.drain(..16 + size);
    Ok(Some(unpacked))
}

async fn select(directory: PathBuf, settings: HashMap<String, String>, statement: String) -> Response<Body> {
    let format = settings.get("default_format").cloned().unwrap_or_else(|| "TabSeparated".to_owned());
    let (send, mut pieces) = mpsc::channel::<Result<Vec<u8>, String>>(4);
    tokio::task::spawn_blocking(move || {
        let first_word = statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let mut header: Option<Vec<u8>> = None;
        let done = open(&directory, settings).and_then(|mut connection| {
            if !["SELECT", "WITH"].contains(&first_word.as_str()) {
                return connection.query(&statement, &format).map(|answer| drop(send.blocking_send(Ok(answer))));
            }
            let typed = format == "RowBinaryWithNamesAndTypes";
            connection.select(&statement, &format, |mut piece| {
                if typed {
                    // The engine writes the header anew for each piece.
                    match &header {
                        None => header = Some(piece[..header_length(&piece)].to_vec()),
                        Some(header) if piece.starts_with(header) => drop(piece.drain(..header.len())),
                        Some(_) => {}
                    }
                }
                send.blocking_send(Ok(piece)).is_ok()
            })
        });
        if let Err(why) = done {
            let _ = send.blocking_send(Err(why));
        }
    });
    // What fails before its first byte has a status; later nothing but an end in the middle is left to say it.
    let first = match pieces.recv().await {
        Some(Err(why)) => return failed(&why),
        Some(Ok(first)) => first,
        None => Vec::new(),
    };
    let mut response = Response::new(Pieces { first: Some(first), pieces }.boxed());
    response.headers_mut().insert("X-ClickHouse-Exception-Tag", TAG.parse().expect("a header"));
    response
}

/// An answer on its way.
struct Pieces {
    first: Option<Vec<u8>>,
    pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(self.pieces.poll_recv(context)),
        };
        let bytes = piece.map(|piece| match piece {
            Ok(bytes) => bytes,
            // As the server does: the exception stands at the end of the answer, between its tags.
            Err(why) => {
                let size = why.len() + 1;
                format!("\r\n__exception__\r\n{TAG}\r\n{why}\n{size} {TAG}\r\n__exception__\r\n").into_bytes()
            }
        });
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

/// Marks an exception in the middle of an answer; sixteen letters, as the server's.
const TAG: &str = "engineexceptions";

/// How long the head of a RowBinaryWithNamesAndTypes is: a count, so many names, so many types.
fn header_length(bytes: &[u8]) -> usize {
    fn number(bytes: &[u8], at: &mut usize) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[*at];
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut at = 0;
    for _ in 0..2 * number(bytes, &mut at) {
        at += number(bytes, &mut at);
    }
    at
}

fn full(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed()
}

fn failed(why: &str) -> Response<Body> {
    let code: u32 = why
        .split_once("Code: ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(1002);
    let status = if code == 516 { StatusCode::FORBIDDEN } else { StatusCode::INTERNAL_SERVER_ERROR };
    let mut response = Response::new(full(why));
    *response.status_mut() = status;
    response.headers_mut().insert("X-ClickHouse-Exception-Code", code.into());
    response
}
