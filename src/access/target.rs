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

impl HostSource {
    /// Of what a client asks a proxy for: an address by itself says nothing about whose it is.
    fn of_asked(host: &Host) -> Self {
        match host {
            Host::Name(_) => HostSource::Asked,
            Host::Address(_) => HostSource::Address,
        }
    }
}

text_enum! {
    /// What the client speaks towards the origin. Each has its reader in [`crate::detect`], which asks them in this order: who
    /// knows with few bytes stands before those who wait for more.
    pub enum Protocol {
        /// HTTP/1: requests that are read, judged and written down one by one.
        Http = "http",
        /// HTTP/2 in clear, without asking first (RFC 9113 §3.3).
        Http2 = "http2",
        WebSocket = "websocket",
        /// CONNECT to a proxy that is not ours.
        HttpProxy = "http-proxy",
        /// SOCKS 4, 4a and 5.
        Socks = "socks",
        /// DNS over HTTP that can be seen: in clear, or opened.
        Doh = "doh",
        Tls = "tls",
        /// TLS that says it carries DNS (RFC 7858).
        Dot = "dot",
        /// TLS in the shape of a Tor client's.
        Tor = "tor",
        Quic = "quic",
        /// QUIC that says it carries DNS (RFC 9250).
        Doq = "doq",
        Dtls = "dtls",
        /// STUN and TURN: calls looking for their way through.
        Stun = "stun",
        Dns = "dns",
        Ssh = "ssh",
        Ftp = "ftp",
        Smtp = "smtp",
        Imap = "imap",
        Pop3 = "pop3",
        Rdp = "rdp",
        Vnc = "vnc",
        Smb = "smb",
        BitTorrent = "bittorrent",
        OpenVpn = "openvpn",
        WireGuard = "wireguard",
        Ike = "ike",
        Mqtt = "mqtt",
        Xmpp = "xmpp",
        Irc = "irc",
        /// Bytes of no protocol we recognise.
        Other = "other",
        /// The client said nothing within the deadline, and what the origin said first is nothing we recognise.
        Silent = "silent",
        /// Not looked at (refused before the first byte).
        Unseen = "unseen",
    }
}

/// What a protocol is carried in, and seen from outside as: a client is answered in this language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Http,
    Tls,
    Quic,
    /// Nothing but itself.
    Own,
}

impl Carrier {
    /// The protocol that it is by itself.
    pub const fn protocol(self) -> Option<Protocol> {
        match self {
            Carrier::Http => Some(Protocol::Http),
            Carrier::Tls => Some(Protocol::Tls),
            Carrier::Quic => Some(Protocol::Quic),
            Carrier::Own => None,
        }
    }
}

impl Protocol {
    pub const fn carrier(self) -> Carrier {
        match self {
            Protocol::Http | Protocol::WebSocket | Protocol::HttpProxy | Protocol::Doh => Carrier::Http,
            Protocol::Tls | Protocol::Dot | Protocol::Tor => Carrier::Tls,
            Protocol::Quic | Protocol::Doq => Carrier::Quic,
            Protocol::Http2
            | Protocol::Dtls
            | Protocol::Stun
            | Protocol::Dns
            | Protocol::Ssh
            | Protocol::Ftp
            | Protocol::Smtp
            | Protocol::Imap
            | Protocol::Pop3
            | Protocol::Rdp
            | Protocol::Vnc
            | Protocol::Smb
            | Protocol::Socks
            | Protocol::BitTorrent
            | Protocol::OpenVpn
            | Protocol::WireGuard
            | Protocol::Ike
            | Protocol::Mqtt
            | Protocol::Xmpp
            | Protocol::Irc
            | Protocol::Other
            | Protocol::Silent
            | Protocol::Unseen => Carrier::Own,
        }
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

text_enum! {
    /// What an encrypted ClientHello (RFC 9849) is worth that a client sends: browsers send one of random bytes (GREASE) where they
    /// have no key, and the two look the same on purpose.
    pub enum Ech {
        /// Its keys are known: the name that is seen is that of who decrypts it, and another one is hidden.
        Real = "real",
        /// Nobody can tell: mostly GREASE, and then the name that is seen is the one that is meant.
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
    /// An encrypted ClientHello came with the first bytes.
    pub ech: Option<Ech>,
    /// The client dialled an address that our DNS, which it may ask, did not give it: it asked elsewhere, or nobody.
    pub no_dns: bool,
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
            host_source: HostSource::of_asked(&host),
            host,
            port,
            path_and_query: "".into(),
            address: None,
            protocol: Protocol::Unseen,
            ech: None,
            no_dns: false,
            other_name: None,
            mismatch: None,
        }
    }

    /// A name that was asked of our DNS, of which nothing else is known.
    pub fn name(name: HostName) -> Self {
        // RFC 1035 §4.2: the service that was asked.
        Target { host_source: HostSource::Dns, protocol: Protocol::Dns, ..Target::tunnel(Host::Name(name), 53) }
    }

    /// A plain HTTP request.
    pub fn http(host: Host, port: u16, path_and_query: impl Into<Arc<str>>) -> Self {
        Target {
            scheme: Scheme::Http,
            host_source: HostSource::of_asked(&host),
            host,
            port,
            path_and_query: path_and_query.into(),
            address: None,
            protocol: Protocol::Http,
            ech: None,
            no_dns: false,
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
