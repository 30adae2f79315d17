//! What the first bytes said, in words that policy and the log use.

use std::net::IpAddr;

use crate::access::{HostName, Protocol};

/// What the first bytes of a flow say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub protocol: Protocol,
    /// The server name (RFC 6066 §3), canonical; with ECH it is the outer, public one.
    pub sni: Option<HostName>,
    /// Protocols offered (RFC 7301).
    pub alpn: AlpnSet,
    /// An encrypted_client_hello extension (RFC 9849). GREASE looks the same on purpose.
    pub ech: Option<Ech>,
    /// The highest version offered.
    pub version: Option<TlsVersion>,
    /// What is wrong with it. An honest client has none: where policy relies on the name, refuse.
    pub fault: Option<Fault>,
}

impl Signature {
    /// A protocol of which nothing more is known.
    pub const fn of(protocol: Protocol) -> Self {
        Signature { protocol, sni: None, alpn: AlpnSet::EMPTY, ech: None, version: None, fault: None }
    }

    /// A protocol of which only the fault is known.
    pub(super) const fn faulty(protocol: Protocol, fault: Fault) -> Self {
        let mut signature = Signature::of(protocol);
        signature.fault = Some(fault);
        signature
    }
}

/// What is wrong with the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// Time-out or end of stream in the middle of what the protocol begins with.
    #[error("it was broken off")]
    Incomplete,
    #[error("it is longer than the 64 KiB that are looked at")]
    TooLong,
    /// Lengths that contradict each other, or fields that must not be there.
    #[error("it is malformed")]
    Malformed,
    /// The middle of a connection, or a server that speaks first.
    #[error("it does not begin with a ClientHello")]
    NoHello,
    /// `sni` holds the first. No client sends that (RFC 6066 §3 forbids it), and servers disagree about which one counts.
    #[error("it holds several server names")]
    SeveralNames,
    #[error("its server name is no host name")]
    BadName,
    /// RFC 6066 §3 forbids it; clumsy software does it in earnest.
    #[error("its server name is the address {0}")]
    AddressAsName(IpAddr),
}

impl Fault {
    /// Whether a server might read a name there that we did not: where names are judged, such a flow is refused.
    pub fn may_hide_a_name(self) -> bool {
        match self {
            Fault::Incomplete | Fault::TooLong | Fault::Malformed | Fault::SeveralNames | Fault::BadName => true,
            Fault::NoHello | Fault::AddressAsName(_) => false,
        }
    }
}

/// An encrypted_client_hello extension (RFC 9849 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ech {
    /// A ClientHelloOuter: the name in `sni` is the public name of who decrypts it.
    Outer { config_id: u8 },
    /// A ClientHelloInner in clear: only ever seen behind who decrypted it.
    Inner,
}

/// The highest TLS version that a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    Ssl2,
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl TlsVersion {
    /// From its number on the wire; `None` for GREASE and whatever is newer than we are.
    pub(super) const fn from_wire(version: u16) -> Option<Self> {
        match version {
            0x0002 => Some(TlsVersion::Ssl2),
            0x0300 => Some(TlsVersion::Ssl3),
            0x0301 => Some(TlsVersion::Tls10),
            0x0302 => Some(TlsVersion::Tls11),
            0x0303 => Some(TlsVersion::Tls12),
            0x0304 => Some(TlsVersion::Tls13),
            _ => None,
        }
    }
}

/// A protocol name offered by ALPN (IANA "TLS ALPN Protocol IDs"); names that no rule speaks of are `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Alpn {
    Http10,
    Http11,
    H2,
    H3,
    Dot,
    Doq,
    Imap,
    Pop3,
    Ftp,
    Xmpp,
    Mqtt,
    Irc,
    Stun,
    Acme,
    Other,
}

impl Alpn {
    pub(super) fn from_wire(name: &[u8]) -> Self {
        match name {
            b"h2" => Alpn::H2,
            b"http/1.1" => Alpn::Http11,
            b"http/1.0" => Alpn::Http10,
            b"h3" => Alpn::H3,
            b"dot" => Alpn::Dot,
            b"doq" => Alpn::Doq,
            b"imap" => Alpn::Imap,
            b"pop3" => Alpn::Pop3,
            b"ftp" => Alpn::Ftp,
            b"xmpp-client" | b"xmpp-server" => Alpn::Xmpp,
            b"mqtt" => Alpn::Mqtt,
            b"irc" => Alpn::Irc,
            b"stun.turn" | b"stun.nat-discovery" => Alpn::Stun,
            b"acme-tls/1" => Alpn::Acme,
            _ => Alpn::Other,
        }
    }
}

/// Protocols offered. A set: small, copied, never allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AlpnSet(u16);

impl AlpnSet {
    pub const EMPTY: AlpnSet = AlpnSet(0);

    pub const fn contains(self, alpn: Alpn) -> bool {
        self.0 & (1 << alpn as u16) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn insert(&mut self, alpn: Alpn) {
        self.0 |= 1 << alpn as u16;
    }
}
