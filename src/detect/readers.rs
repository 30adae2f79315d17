//! Who reads what: one row per protocol, and no row can be forgotten.

use super::guess::Guess;
use super::{bittorrent, dns, ftp, http1, http2, ike, imap, irc, mqtt, openvpn, pop3, rdp, smb, smtp, socks};
use super::{ssh, stun, tls, vnc, wireguard, xmpp};
use crate::access::Protocol;

type Read = Option<fn(&[u8]) -> Guess>;

/// A protocol's readers: of the first bytes of a client and of a server over TCP, and of a first datagram.
#[derive(Clone, Copy)]
pub(super) struct Readers {
    pub client: Read,
    pub server: Read,
    pub datagram: Read,
}

const NONE: Readers = Readers { client: None, server: None, datagram: None };

/// The readers that need no more than the bytes. `Http` and `Tls` remember how far they read a client ([`super::Detector`]),
/// `Quic` what it put together, and `Dtls` says more than its name ([`super::Datagrams`]); what they carry is told from
/// inside.
pub(super) const fn readers(protocol: Protocol) -> Readers {
    match protocol {
        Protocol::Http => Readers { server: Some(http1::server), ..NONE },
        Protocol::Tls => Readers { server: Some(tls::server), ..NONE },
        Protocol::WebSocket | Protocol::HttpProxy | Protocol::Doh => NONE,
        Protocol::Dot | Protocol::Tor | Protocol::Quic | Protocol::Doq | Protocol::Dtls => NONE,
        Protocol::Http2 => Readers { client: Some(http2::client), ..NONE },
        Protocol::Stun => Readers { client: Some(stun::client), datagram: Some(stun::datagram), ..NONE },
        Protocol::Dns => Readers { client: Some(dns::client), datagram: Some(dns::datagram), ..NONE },
        Protocol::Ssh => Readers { client: Some(ssh::either), server: Some(ssh::either), ..NONE },
        Protocol::Ftp => Readers { client: Some(ftp::client), server: Some(ftp::server), ..NONE },
        Protocol::Smtp => Readers { client: Some(smtp::client), server: Some(smtp::server), ..NONE },
        Protocol::Imap => Readers { client: Some(imap::client), server: Some(imap::server), ..NONE },
        Protocol::Pop3 => Readers { client: Some(pop3::client), server: Some(pop3::server), ..NONE },
        Protocol::Rdp => Readers { client: Some(rdp::client), ..NONE },
        Protocol::Vnc => Readers { client: Some(vnc::either), server: Some(vnc::either), ..NONE },
        Protocol::Smb => Readers { client: Some(smb::client), ..NONE },
        Protocol::Socks => Readers { client: Some(socks::client), ..NONE },
        Protocol::BitTorrent => {
            Readers { client: Some(bittorrent::client), datagram: Some(bittorrent::datagram), ..NONE }
        }
        Protocol::OpenVpn => Readers { client: Some(openvpn::client), datagram: Some(openvpn::datagram), ..NONE },
        Protocol::WireGuard => Readers { datagram: Some(wireguard::datagram), ..NONE },
        Protocol::Ike => Readers { datagram: Some(ike::datagram), ..NONE },
        Protocol::Mqtt => Readers { client: Some(mqtt::client), ..NONE },
        Protocol::Xmpp => Readers { client: Some(xmpp::either), server: Some(xmpp::either), ..NONE },
        Protocol::Irc => Readers { client: Some(irc::client), server: Some(irc::server), ..NONE },
        Protocol::Other | Protocol::Silent | Protocol::Unseen => NONE,
    }
}

/// The first protocol whose reader does not say no. One that may still say yes holds back those behind it, so that the
/// answer does not depend on how the bytes arrive.
pub(super) fn read(bytes: &[u8], which: impl Fn(Readers) -> Read) -> Guess<Protocol> {
    for &protocol in Protocol::ALL {
        match which(readers(protocol)).map_or(Guess::No, |read| read(bytes)) {
            Guess::No => {}
            Guess::Perhaps => return Guess::Perhaps,
            Guess::Yes(()) => return Guess::Yes(protocol),
        }
    }
    Guess::No
}
