//! A refusal in the client's own language, where its access is a flow of bytes and no request.
//!
//! HTTP gets the page, TLS the page too where an authority is configured, else an alert; whoever speaks something else is
//! hung up on. The page over TLS stands under a certificate for the refused name and no other: what a client sends to a
//! name that is allowed, or never to be opened, is not ours to read, so that one gets the alert.
//!
//! The row is written before a word is said, and says the same whatever the client hears.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;

use crate::access::{Access, Carrier, Host, HostName};
use crate::config::BlockPageHttps;
use crate::detect::{self, Detected, Prefixed};
use crate::policy::ConnectionAction;
use crate::relay::Side;
use crate::tls;

use super::ends::ClientTls;
use super::record::Judgement;
use super::reply::{Reply, and_close};
use super::tunnel::take_stream;
use super::{Gateway, Snapshot, parting};

/// TLS 1.2 alert (RFC 5246 §7.2): fatal, access_denied. Understood by TLS 1.3 clients as well.
const ALERT_ACCESS_DENIED: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 49];

/// A refused access and what its client is told.
pub struct Refusal {
    pub gateway: Arc<Gateway>,
    pub snapshot: Arc<Snapshot>,
    pub access: Access,
    pub judgement: Judgement,
}

impl Refusal {
    /// Says no, and closes.
    pub async fn say(self, client: TcpStream, detected: Detected) {
        match self.access.target.protocol.carrier() {
            Carrier::Tls => match self.server(detected.signature.sni.as_ref()) {
                Some(server) => Box::pin(self.show(Side { first: detected.bytes, stream: client }, server)).await,
                None => parting::say_goodbye(client, &ALERT_ACCESS_DENIED).await,
            },
            Carrier::Http => {
                let said = self.http_answer();
                parting::say_goodbye(client, said.as_bytes()).await;
            }
            Carrier::Quic | Carrier::Own => parting::hang_up(client),
        }
    }

    /// Says no inside a CONNECT that was answered as if it were allowed.
    pub async fn say_inside(mut self, upgrade: OnUpgrade) {
        let limits = self.snapshot.config.limits;
        let Some((client, early)) = upgrade.await.ok().and_then(take_stream) else { return };
        let mut stream = Prefixed::new(early, client);
        let reading = detect::read_first_bytes(&mut stream, limits.detect, detect::FIRST_BYTES_MAX);
        // A client that says nothing is waited for as long as for a head.
        let Ok(Ok(detected)) = tokio::time::timeout(limits.header, reading).await else { return };
        self.access.target.protocol = detected.signature.protocol;
        self.say(stream.into_inner(), detected).await;
    }

    /// With what the page can be shown over TLS to a client that wants to speak to this name.
    fn server(&self, sni: Option<&HostName>) -> Option<Arc<ServerConfig>> {
        let named = sni.map_or_else(|| self.access.target.host.clone(), |name| Host::Name(name.clone()));
        server(&self.gateway, &self.snapshot, &self.access, named)
    }

    /// The page over TLS, once, whatever is asked.
    async fn show(self, client: Side<TcpStream>, server: Arc<ServerConfig>) {
        let limits = self.snapshot.config.limits;
        // Who does not believe our certificate has heard no.
        let Ok(stream) = tls::accept(Prefixed::new(client.first, client.stream), server, limits.header).await else {
            return;
        };
        // Nobody is waited for longer than for a head.
        let _ = tokio::time::timeout(limits.header, self.serve(stream)).await;
    }

    async fn serve(&self, stream: ClientTls) -> Result<(), hyper::Error> {
        let answer = async |request: Request<Incoming>| {
            let reply = Reply::new(&self.gateway, &self.snapshot, request.headers());
            Ok::<_, Infallible>(and_close(reply.refusal_page(&self.access, &self.judgement)))
        };
        http1::Builder::new()
            .keep_alive(false)
            .auto_date_header(false)
            .max_buf_size(self.snapshot.config.limits.header_bytes.max(8192))
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await
    }

    /// A whole HTTP answer: the client speaks HTTP inside its tunnel and nobody else frames it.
    fn http_answer(&self) -> String {
        let reply = Reply::new(&self.gateway, &self.snapshot, &HeaderMap::new());
        let body = reply.refusal_text(&self.access, &self.judgement);
        format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Whether a CONNECT that is refused is opened all the same, so that its client sees the page.
pub fn is_shown(gateway: &Gateway, snapshot: &Snapshot, access: &Access) -> bool {
    server(gateway, snapshot, access, access.target.host.clone()).is_some()
}

/// The server of the page, where there may be one: the name itself is refused, nothing shields it from being opened,
/// and the authority may sign it.
fn server(gateway: &Gateway, snapshot: &Snapshot, access: &Access, named: Host) -> Option<Arc<ServerConfig>> {
    let inspection = snapshot.inspection.as_ref()?;
    if snapshot.config.inspection.block_page_https != BlockPageHttps::Page {
        return None;
    }
    let mut access = access.clone();
    (access.target.host, access.target.other_name) = (named, None);
    let decision = snapshot.rules.decide_connection(&access);
    if !matches!(decision.action, ConnectionAction::Refuse) || snapshot.rules.is_shielded(&access) {
        return None;
    }
    // Without a certificate it is the alert; `may_sign` is asked in there.
    inspection.mint.server(&access.target.host, gateway.clock.now()).ok()
}
