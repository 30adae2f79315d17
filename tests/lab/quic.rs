//! The lab's QUIC: a server that says one line, and a client that hears it or tells how it was refused.
//!
//!   quic serve ADDRESS:PORT CERTIFICATE.pem KEY.pem LINE
//!   quic ask NAME ADDRESS:PORT CERTIFICATE.pem

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ConnectionError, Endpoint, ServerConfig};
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const LINE_MAX: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, certificate, key, line] => serve(address, certificate, key, line).await,
        ["ask", name, address, certificate] => ask(name, address, certificate).await,
        _ => anyhow::bail!("usage: quic serve ADDRESS CERTIFICATE KEY LINE | quic ask NAME ADDRESS CERTIFICATE"),
    }
}

async fn serve(address: &str, certificate: &str, key: &str, line: &str) -> anyhow::Result<()> {
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_file(certificate)?], PrivateKeyDer::from_pem_file(key)?)?;
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let endpoint = Endpoint::server(config, address.parse()?)?;
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        let Ok(mut stream) = connection.open_uni().await else { continue };
        stream.write_all(line.as_bytes()).await?;
        stream.finish()?;
        connection.closed().await;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the client got is what the lab shows")]
async fn ask(name: &str, address: &str, certificate: &str) -> anyhow::Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address: SocketAddr = address.parse().context("an address with a port")?;
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut endpoint = Endpoint::client(SocketAddr::new(any, 0))?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)));
    match endpoint.connect(address, name)?.await {
        Ok(connection) => {
            let line = connection.accept_uni().await?.read_to_end(LINE_MAX).await?;
            println!("{}", String::from_utf8_lossy(&line));
            connection.close(quinn::VarInt::from_u32(0), b"");
            endpoint.wait_idle().await;
        }
        Err(ConnectionError::ConnectionClosed(close)) => println!("refused: {close}"),
        Err(error) => println!("failed: {error}"),
    }
    Ok(())
}
