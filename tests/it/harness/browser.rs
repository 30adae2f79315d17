//! A browser set to use the gateway: requests in absolute form over a kept connection, and tunnels.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::raw::Line;
use super::reply::{Reply, read_reply};
use super::soon;

/// One connection to the proxy.
#[derive(Debug)]
pub struct Browser {
    pub line: Line,
}

/// `host:port` of a URL, its port as written.
fn authority(url: &str) -> &str {
    url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default()
}

impl Browser {
    /// On a device with this address.
    pub async fn at(client: &str, proxy: SocketAddr) -> Self {
        let client: IpAddr = client.parse().expect("an address");
        Browser { line: Line::from(client, proxy).await }
    }

    pub async fn to(proxy: SocketAddr) -> Self {
        Browser { line: Line::to(proxy).await }
    }

    /// Sends a request with a few headers and an optional body with its length.
    pub async fn send(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {url} HTTP/1.1\r\nHost: {}\r\n", authority(url));
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.line.say(bytes).await;
    }

    pub async fn get(&mut self, url: &str) -> Reply {
        self.get_with(url, &[]).await
    }

    pub async fn get_with(&mut self, url: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", url, headers, b"").await;
        self.line.reply("GET").await
    }

    pub async fn post(&mut self, url: &str, body: &[u8]) -> Reply {
        self.send("POST", url, &[], body).await;
        self.line.reply("POST").await
    }

    /// Asks for a tunnel; the answer, and on 200 the line is the tunnel.
    pub async fn connect(&mut self, authority: &str) -> Reply {
        self.line.say(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).await;
        self.line.reply("CONNECT").await
    }

    /// Goes through a tunnel to a TLS origin, or says which status stopped it.
    pub async fn tunnel(mut self, authority: &str, name: &str, tls: &TlsConnector) -> Result<SecureLine, Refused> {
        let reply = self.connect(authority).await;
        if reply.status != 200 {
            return Err(Refused::Asked(Box::new(reply)));
        }
        let local = self.line.local();
        let name = name.to_owned().try_into().expect("a server name");
        match soon("a TLS handshake", tls.connect(name, self.line.stream)).await {
            Ok(stream) => Ok(SecureLine { stream, local }),
            Err(error) => Err(Refused::Handshake(error)),
        }
    }
}

/// Why a tunnel did not come about.
#[derive(Debug)]
pub enum Refused {
    /// The proxy answered CONNECT with this.
    Asked(Box<Reply>),
    /// The tunnel stood and the handshake in it did not end well.
    Handshake(std::io::Error),
}

/// TLS inside a tunnel.
#[derive(Debug)]
pub struct SecureLine {
    pub stream: TlsStream<TcpStream>,
    /// The browser's end of the tunnel.
    pub local: SocketAddr,
}

impl SecureLine {
    pub async fn get(&mut self, host: &str, path: &str) -> Reply {
        use tokio::io::AsyncWriteExt;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        soon("writing", self.stream.write_all(head.as_bytes())).await.expect("the tunnel holds");
        let reply = soon("a response", read_reply(&mut self.stream, Vec::new(), "GET")).await;
        reply.expect("a response and not a close").0
    }
}
