//! One file by HTTP: mirrors, redirects, conditions; a limit for its size and for every wait.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use crate::access::Host;
use crate::origin::Resolver;
use crate::tasks;

use super::proxy::{self, Proxy};
use super::receipt::Validators;
use super::sums::{Summing, Sums};
use super::{TrustError, redirect, tls};

/// Bounds of a fetch.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// Of a body. UT1 packed is some 30 MB.
    pub bytes: u64,
    /// To connect, for the answer to begin, and between two pieces of it.
    pub silence: Duration,
    /// For all of it: 30 MB over the 512 kbit/s of a college in the mountains take eight minutes.
    pub total: Duration,
    pub redirects: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        let (silence, total) = (Duration::from_secs(30), Duration::from_secs(3600));
        FetchLimits { bytes: 1 << 30, silence, total, redirects: 5 }
    }
}

/// A file of sums has a line of 100 bytes for each list.
const TEXT_MAX: u64 = 1 << 20;
/// What is kept of a validator.
const VALIDATOR_MAX: usize = 512;

/// Why a mirror gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}: {1}")]
    Name(String, String),
    #[error("nobody answers at {0}: {1}")]
    Connect(String, String),
    #[error("no secure connection: {0}")]
    Tls(String),
    #[error("it does not speak HTTP: {0}")]
    Http(hyper::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("{0}, which is not followed")]
    Redirect(&'static str),
    #[error("more than {0} redirects")]
    Loop(usize),
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("it took more than {} s", .0.as_secs())]
    TooLong(Duration),
    #[error("the body broke off after {received} bytes: {error}")]
    Broken { received: u64, error: hyper::Error },
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the proxy: {0}")]
    Proxy(String),
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: std::io::Error },
}

/// How far a body is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub received: u64,
    pub expected: Option<u64>,
}

/// What a mirror gave.
#[derive(Debug)]
pub enum Fetched {
    /// Nothing newer than what the condition names.
    Unchanged,
    Body(Body),
}

/// A body that arrived whole.
#[derive(Debug)]
pub struct Body {
    pub validators: Validators,
    pub bytes: u64,
    pub sums: Sums,
}

/// Makes the request for an address and the target that stands in its first line.
type Asking<'a> = dyn Fn(&Url, &str) -> Result<Request<Full<Bytes>>, FetchError> + Sync + 'a;

/// Fetches files.
pub struct Fetcher {
    resolver: Resolver,
    tls: TlsConnector,
    limits: FetchLimits,
}

impl Fetcher {
    /// `ca_file`: authorities that are believed beside those of the machine.
    pub fn new(resolver: Resolver, ca_file: Option<&Path>, limits: FetchLimits) -> Result<Self, TrustError> {
        Ok(Fetcher { resolver, tls: tls::connector(ca_file)?, limits })
    }

    /// Fetches `url` into a new file, unless it is what `known` names.
    pub async fn fetch(
        &self,
        url: &Url,
        known: Option<&Validators>,
        into: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, FetchError> {
        let disk = |error| FetchError::Disk { path: into.to_owned(), error };
        let whole = async {
            let response = self.ask(url, known).await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Fetched::Unchanged);
            }
            let validators = validators(url, response.headers());
            let mut file = File::create(into).map_err(disk)?;
            let mut summing = Summing::default();
            let bytes = self
                .read(response, self.limits.bytes, progress, &mut |piece| {
                    summing.add(piece);
                    file.write_all(piece).map_err(disk)
                })
                .await?;
            Ok(Fetched::Body(Body { validators, bytes, sums: summing.finish() }))
        };
        self.within(whole).await
    }

    /// Sends a small question, and reads the small answer.
    pub async fn post(&self, url: &Url, kind: &'static str, question: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        let whole = async {
            let asking = |url: &Url, target: &str| {
                let mut request = request(url, target, None)?;
                *request.method_mut() = Method::POST;
                request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                *request.body_mut() = Full::new(Bytes::from(question.clone()));
                Ok(request)
            };
            let response = self.ask_with(url, &asking).await?;
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status()));
            }
            let mut answer = Vec::new();
            let sink = &mut |piece: &[u8]| {
                answer.extend_from_slice(piece);
                Ok(())
            };
            self.read(response, TEXT_MAX, &mut |_| {}, sink).await?;
            Ok(answer)
        };
        self.within(whole).await
    }

    /// Fetches a small text.
    pub async fn text(&self, url: &Url) -> Result<String, FetchError> {
        let whole = async {
            let response = self.ask(url, None).await?;
            let mut text = Vec::new();
            let sink = &mut |piece: &[u8]| {
                text.extend_from_slice(piece);
                Ok(())
            };
            self.read(response, TEXT_MAX, &mut |_| {}, sink).await?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        self.within(whole).await
    }

    async fn within<T>(&self, whole: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        timeout(self.limits.total, whole).await.unwrap_or(Err(FetchError::TooLong(self.limits.total)))
    }

    async fn waiting<T>(&self, step: impl Future<Output = T>) -> Result<T, FetchError> {
        timeout(self.limits.silence, step).await.map_err(|_| FetchError::Silent(self.limits.silence))
    }

    /// The answer at the end of the redirects: 200, or 304 where a condition was given.
    async fn ask(&self, url: &Url, known: Option<&Validators>) -> Result<Response<Incoming>, FetchError> {
        let mut at = url.clone();
        for _ in 0..=self.limits.redirects {
            let response = self.ask_once(&at, known).await?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                StatusCode::NOT_MODIFIED if known.is_some() => return Ok(response),
                status if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) => {
                    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                    at = redirect::follow(&at, location).map_err(FetchError::Redirect)?;
                }
                status => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::Loop(self.limits.redirects))
    }

    async fn ask_once(&self, url: &Url, known: Option<&Validators>) -> Result<Response<Incoming>, FetchError> {
        self.ask_with(url, &|url, target| request(url, target, known)).await
    }

    async fn ask_with(&self, url: &Url, asking: &Asking<'_>) -> Result<Response<Incoming>, FetchError> {
        let proxy =
            proxy::from_environment(url.scheme(), |name| std::env::var(name).ok()).map_err(FetchError::Proxy)?;
        let mut stream = self.dial(proxy.as_ref().map_or(url, Proxy::url)).await?;
        if url.scheme() == "http" {
            let target = if proxy.is_some() { &url[..url::Position::AfterQuery] } else { target(url) };
            return self.send(stream, asking(url, target)?).await;
        }
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        if proxy.is_some() {
            let connected = self.waiting(Proxy::connect(&mut stream, &format!("{host}:{port}"))).await?;
            connected.map_err(|error| FetchError::Proxy(error.to_string()))?;
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| FetchError::Tls(error.to_string()))?;
        let secure = self.waiting(self.tls.connect(name, stream)).await?;
        let secure = secure.map_err(|error| FetchError::Tls(error.to_string()))?;
        self.send(secure, asking(url, target(url))?).await
    }

    async fn dial(&self, url: &Url) -> Result<TcpStream, FetchError> {
        let host = url.host_str().unwrap_or_default();
        let unknown = |why: String| FetchError::Name(host.to_owned(), why);
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match Host::parse(host).map_err(|error| unknown(error.to_string()))? {
            Host::Address(address) => vec![address],
            Host::Name(name) => self.resolver.resolve(&name).await.map_err(|error| unknown(error.to_string()))?,
        };
        let mut last = FetchError::Connect(host.to_owned(), "it has no address".to_owned());
        for address in addresses {
            match self.waiting(TcpStream::connect((address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = FetchError::Connect(format!("{host}:{port}"), error.to_string()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn send<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(FetchError::Http)?;
        // Its errors reach whoever reads the body.
        tasks::spawn("fetch", async move { drop(connection.await) });
        self.waiting(sender.send_request(request)).await?.map_err(FetchError::Http)
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        most: u64,
        progress: &mut dyn FnMut(Progress),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), FetchError>,
    ) -> Result<u64, FetchError> {
        let mut body = response.into_body();
        let expected = hyper::body::Body::size_hint(&body).exact();
        if expected.is_some_and(|expected| expected > most) {
            return Err(FetchError::TooLarge(most));
        }
        let mut received = 0;
        progress(Progress { received, expected });
        while let Some(frame) = self.waiting(body.frame()).await? {
            let frame = frame.map_err(|error| FetchError::Broken { received, error })?;
            let Some(piece) = frame.data_ref() else { continue };
            received += piece.len() as u64;
            if received > most {
                return Err(FetchError::TooLarge(most));
            }
            sink(piece)?;
            progress(Progress { received, expected });
        }
        Ok(received)
    }
}

/// What an origin server is asked for.
fn target(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

fn request(url: &Url, target: &str, known: Option<&Validators>) -> Result<Request<Full<Bytes>>, FetchError> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::get(target)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("ecluse/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        // The sums are those of the file, however it travels.
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");
    if let Some(known) = known {
        let mut add = |name: HeaderName, value: &Option<String>| {
            if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok())
                && let Some(headers) = request.headers_mut()
            {
                headers.insert(name, value);
            }
        };
        add(header::IF_NONE_MATCH, &known.etag);
        add(header::IF_MODIFIED_SINCE, &known.last_modified);
    }
    request.body(Full::default()).map_err(|_| FetchError::Redirect("an address that no request can hold"))
}

fn validators(url: &Url, headers: &HeaderMap) -> Validators {
    let value = |name: HeaderName| {
        let text = headers.get(name)?.to_str().ok()?;
        (text.len() <= VALIDATOR_MAX).then(|| text.to_owned())
    };
    Validators { url: url.to_string(), etag: value(header::ETAG), last_modified: value(header::LAST_MODIFIED) }
}
