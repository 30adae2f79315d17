//! QUIC for tests: a server that echoes what it is sent, and clients, on sockets that somebody else has made (in a
//! namespace, say).

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt,
};

use super::tls::Authority;

/// HTTP/3's word.
const ALPN: &[u8] = b"h3";
/// What an echo may be long.
const ECHO_MAX: usize = 8 << 20;

/// Serves until the test's runtime ends: each stream of both directions is sent back.
pub fn serve(socket: UdpSocket, authority: &Authority, names: &[&str]) -> Endpoint {
    let mut tls = authority.server_config(names);
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = open(socket, Some(config));
    let serving = endpoint.clone();
    ecluse::tasks::spawn("quic origin", async move {
        while let Some(incoming) = serving.accept().await {
            ecluse::tasks::spawn("quic connection", async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let Ok(words) = receive.read_to_end(ECHO_MAX).await else { return };
                    let _ = send.write_all(&words).await;
                    let _ = send.finish();
                }
            });
        }
    });
    endpoint
}

/// A client that may open many connections, all from one port.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    config: ClientConfig,
}

impl Client {
    pub fn new(socket: UdpSocket, authority: &Authority) -> Self {
        Client::with(socket, authority.client_config())
    }

    pub fn with(socket: UdpSocket, mut tls: tokio_rustls::rustls::ClientConfig) -> Self {
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("TLS 1.3");
        let mut config = ClientConfig::new(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(Duration::from_secs(10).try_into().expect("a short time")));
        config.transport_config(Arc::new(transport));
        Client { endpoint: open(socket, None), config }
    }

    pub async fn connect(&self, name: &str, address: SocketAddr) -> Result<Connection, ConnectionError> {
        let connecting = self.endpoint.connect_with(self.config.clone(), address, name).expect("a valid name");
        connecting.await
    }

    /// Closes every connection, and waits until the others must have heard of it.
    pub async fn leave(self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
        self.endpoint.wait_idle().await;
    }
}

/// Says `words` and hears them back.
pub async fn echo(connection: &Connection, words: &[u8]) -> Vec<u8> {
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    let saying = async {
        send.write_all(words).await.expect("a living connection");
        send.finish().expect("an open stream");
    };
    let (heard, ()) = tokio::join!(receive.read_to_end(ECHO_MAX), saying);
    heard.expect("a living connection")
}

fn open(socket: UdpSocket, server: Option<quinn::ServerConfig>) -> Endpoint {
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime)).expect("a socket")
}
