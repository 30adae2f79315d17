//! The words for protocols that rules use: each protocol by its own name, families by theirs.

use super::rule::{Set, protocol_index};
use crate::access::Protocol;
use crate::access::text_enum::text_enum;

text_enum! {
    /// Protocols that people mean together.
    pub enum Family {
        /// What browsers speak.
        Web = "web",
        Mail = "mail",
        Vpn = "vpn",
        /// Proxies that are not ours, and Tor: what hides where one goes.
        Proxy = "proxy",
        EncryptedDns = "encrypted-dns",
        RemoteDesktop = "remote-desktop",
        FileSharing = "file-sharing",
        Chat = "chat",
        Calls = "calls",
    }
}

/// The families that a protocol is in.
const fn families(protocol: Protocol) -> &'static [Family] {
    match protocol {
        Protocol::Http | Protocol::Http2 | Protocol::WebSocket | Protocol::Tls | Protocol::Quic => &[Family::Web],
        Protocol::HttpProxy | Protocol::Socks | Protocol::Tor => &[Family::Proxy],
        Protocol::Doh | Protocol::Dot | Protocol::Doq => &[Family::EncryptedDns],
        Protocol::Smtp | Protocol::Imap | Protocol::Pop3 => &[Family::Mail],
        Protocol::OpenVpn | Protocol::WireGuard | Protocol::Ike => &[Family::Vpn],
        Protocol::Rdp | Protocol::Vnc => &[Family::RemoteDesktop],
        Protocol::BitTorrent | Protocol::Ftp | Protocol::Smb => &[Family::FileSharing],
        Protocol::Xmpp | Protocol::Irc => &[Family::Chat],
        Protocol::Stun | Protocol::Dtls => &[Family::Calls],
        Protocol::Dns | Protocol::Ssh | Protocol::Mqtt => &[],
        Protocol::Other | Protocol::Silent | Protocol::Unseen => &[],
    }
}

/// The protocols that somebody can speak: `unseen` is none.
pub(super) fn spoken() -> impl Iterator<Item = Protocol> {
    Protocol::ALL.iter().copied().filter(|protocol| *protocol != Protocol::Unseen)
}

/// Every word that a rule may use.
pub(super) fn protocol_words() -> impl Iterator<Item = &'static str> {
    spoken().map(Protocol::as_str).chain(Family::ALL.iter().map(|family| family.as_str()))
}

/// What a word means: a protocol with what is carried in it, or the members of a family.
pub(super) fn protocols_of(word: &str) -> Option<Set> {
    let family = word.parse::<Family>().ok();
    let named = spoken().find(|protocol| protocol.as_str() == word);
    let mut set = Set::default();
    for protocol in spoken() {
        let meant = named.is_some_and(|named| protocol == named || protocol.carrier().protocol() == Some(named))
            || family.is_some_and(|family| families(protocol).contains(&family));
        if meant {
            set.insert(protocol_index(protocol));
        }
    }
    (family.is_some() || named.is_some()).then_some(set)
}

/// What is left where a rule only says what it does not mean: even what was not looked at.
pub(super) fn every_protocol() -> Set {
    Set::complement(Set::default(), Protocol::ALL.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(word: &str) -> Vec<&'static str> {
        let set = protocols_of(word).unwrap_or_else(|| panic!("no word `{word}`"));
        spoken().filter(|protocol| set.holds(protocol_index(*protocol))).map(Protocol::as_str).collect()
    }

    #[test]
    fn a_word_means_a_protocol_with_what_it_carries_or_a_family() {
        assert_eq!(meant("ssh"), ["ssh"]);
        assert_eq!(meant("tls"), ["tls", "dot", "tor"]);
        assert_eq!(meant("http"), ["http", "websocket", "http-proxy", "doh"]);
        assert_eq!(meant("vpn"), ["openvpn", "wireguard", "ike"]);
        assert_eq!(meant("encrypted-dns"), ["doh", "dot", "doq"]);
        assert_eq!(meant("web"), ["http", "http2", "websocket", "tls", "quic"]);
        for word in ["unseen", "https", "", "!tls"] {
            assert!(protocols_of(word).is_none(), "{word}");
        }
    }

    #[test]
    fn no_word_is_a_protocol_and_a_family() {
        let mut words: Vec<_> = protocol_words().collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
        assert!(Protocol::ALL.len() <= u64::BITS as usize, "one bit each");
        for family in Family::ALL {
            assert!(!meant(family.as_str()).is_empty(), "{family} has no member");
        }
    }
}
