//! What somebody wants to reach, and the attempt to reach it.

use std::net::IpAddr;
use std::sync::Arc;

use super::client::Client;
use super::host::{Host, HostName};
use super::text_enum::text_enum;
use super::time::Timestamp;

text_enum! {
    /// How sure we are of the host, strongest first.
    pub enum HostSource {
        /// Seen inside an opened TLS connection.
        Inspected = "inspected",
        /// An HTTP request in clear.
        Clear = "clear",
        /// The proxy request (CONNECT, absolute form); we dialled what our own resolver answered.
        Asked = "asked",
        /// The server name of a ClientHello, not verified against a certificate.
        Sni = "sni",
        /// Our DNS gave this address to this client for that name.
        Dns = "dns",
        /// An address and nothing else.
        Address = "address",
    }
}

text_enum! {
    /// What the client speaks towards the origin.
    pub enum Protocol {
        Http = "http",
        Tls = "tls",
        /// Bytes of no protocol we recognise.
        Other = "other",
        /// The client said nothing within the deadline.
        Silent = "silent",
        /// Not looked at (refused before the first byte).
        Unseen = "unseen",
    }
}

text_enum! {
    /// How the target was named.
    pub enum Scheme {
        Http = "http",
        Https = "https",
        /// CONNECT: whatever is inside.
        Tunnel = "tunnel",
    }
}

text_enum! {
    /// Whether a person went there or a page fetched it.
    pub enum Visit {
        /// A navigation: the page somebody asked for.
        Visited = "visited",
        /// An image, a script, a call by a page or an application.
        SubResource = "sub-resource",
        /// The request does not tell.
        Unknown = "unknown",
    }
}

/// What somebody wants to reach. Grows as more is known: the address after resolution, the protocol after the first
/// bytes, the second name when the SNI differs from the name asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    pub host: Host,
    pub host_source: HostSource,
    pub port: u16,
    /// Path and query as the client wrote them, for judging only: `/a/b?c=d`. Empty for a tunnel.
    pub path_and_query: Arc<str>,
    /// The address dialled or about to be, canonical.
    pub address: Option<IpAddr>,
    pub protocol: Protocol,
    /// A second name for the same flow that differs from `host` (SNI against CONNECT): judged as well.
    pub other_name: Option<HostName>,
    /// The address that the client dialled itself, where the name has another.
    pub mismatch: Option<IpAddr>,
}

impl Target {
    /// A CONNECT target, nothing seen yet.
    pub fn tunnel(host: Host, port: u16) -> Self {
        Target {
            scheme: Scheme::Tunnel,
            host,
            host_source: HostSource::Asked,
            port,
            path_and_query: "".into(),
            address: None,
            protocol: Protocol::Unseen,
            other_name: None,
            mismatch: None,
        }
    }

    /// A plain HTTP request.
    pub fn http(host: Host, port: u16, path_and_query: impl Into<Arc<str>>) -> Self {
        Target {
            scheme: Scheme::Http,
            host,
            host_source: HostSource::Asked,
            port,
            path_and_query: path_and_query.into(),
            address: None,
            protocol: Protocol::Http,
            other_name: None,
            mismatch: None,
        }
    }

    /// The path without its query: what policy may allow to be kept.
    pub fn path(&self) -> &str {
        let end = self.path_and_query.find(['?', '#']).unwrap_or(self.path_and_query.len());
        &self.path_and_query[..end]
    }
}

/// One attempt by someone to reach something: one per HTTP request, otherwise one per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub client: Arc<Client>,
    pub target: Target,
    /// `GET`, `CONNECT`…; empty where the protocol has none.
    pub method: Arc<str>,
    pub visit: Visit,
    pub start: Timestamp,
}
