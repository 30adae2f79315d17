//! Saying what a flow speaks asks for no memory, save for a name that is kept (TLS, DTLS) and for QUIC, which is decrypted.

use ecluse::access::{Carrier, Protocol};
use ecluse::detect::{Datagrams, Detector, Step, detect_server};

use crate::harness::heap::allocations_of;

/// From whom the bytes are.
#[derive(Debug, Clone, Copy)]
enum Side {
    Client,
    Server,
    Datagram,
}
use Side::{Client, Datagram, Server};

const DNS: &[u8] = b"\x80\xfb\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x02fr\0\0\x1c\0\x01";
const STUN: &[u8] =
    b"\0\x01\0\x08\x21\x12\xa4\x42\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\0\x06\0\x04\x01\x02\x03\x04";
const OPENVPN: &[u8] = b"\x38\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\0\0\0\0\0";

/// At least one beginning of each protocol, and two of nobody's.
fn beginnings() -> Vec<(Protocol, Side, Vec<u8>)> {
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes(), message].concat();
    let wireguard = [&b"\x01\0\0\0\x01\x02\x03\x04"[..], &[0xc3; 140]].concat();
    let ike = [&[7; 8][..], &[0; 8], &[33, 0x20, 34, 8], &[0; 4], &64u32.to_be_bytes(), &[1; 36]].concat();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (Protocol::Http, Client, text("GET /a?b=c HTTP/1.1\r\nHost: www.example.fr\r\nUser-Agent: x\r\n\r\n")),
        (Protocol::Http2, Client, text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")),
        (Protocol::WebSocket, Client, text("GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")),
        (Protocol::HttpProxy, Client, text("CONNECT example.fr:443 HTTP/1.1\r\nHost: example.fr:443\r\n\r\n")),
        (Protocol::Doh, Client, text("POST /dns-query HTTP/1.1\r\nHost: a\r\n\r\n")),
        (Protocol::Socks, Client, b"\x05\x01\0".to_vec()),
        (Protocol::Stun, Client, STUN.to_vec()),
        (Protocol::Stun, Datagram, STUN.to_vec()),
        (Protocol::Dns, Client, framed(DNS)),
        (Protocol::Dns, Datagram, DNS.to_vec()),
        (Protocol::Ssh, Client, text("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")),
        (Protocol::Ssh, Server, text("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")),
        (Protocol::Ftp, Client, text("USER anonymous\r\n")),
        (Protocol::Ftp, Server, text("220 ProFTPD Server (Debian)\r\n")),
        (Protocol::Smtp, Client, text("EHLO client.example\r\n")),
        (Protocol::Smtp, Server, text("220 mail.example.fr ESMTP\r\n")),
        (Protocol::Imap, Client, text("a1 CAPABILITY\r\n")),
        (Protocol::Imap, Server, text("* OK [CAPABILITY IMAP4rev1] ready.\r\n")),
        (Protocol::Pop3, Client, text("CAPA\r\n")),
        (Protocol::Pop3, Server, text("+OK POP3 server ready\r\n")),
        (Protocol::Rdp, Client, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0".to_vec()),
        (Protocol::Vnc, Server, text("RFB 003.008\n")),
        (Protocol::Smb, Client, b"\0\0\0\x9b\xffSMB\x72\0\0\0\0".to_vec()),
        (Protocol::BitTorrent, Client, b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05".to_vec()),
        (Protocol::BitTorrent, Datagram, b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x12\x34\x56\x78".to_vec()),
        (Protocol::OpenVpn, Client, framed(OPENVPN)),
        (Protocol::OpenVpn, Datagram, OPENVPN.to_vec()),
        (Protocol::WireGuard, Datagram, wireguard),
        (Protocol::Ike, Datagram, ike),
        (Protocol::Mqtt, Client, b"\x10\x0c\0\x04MQTT\x05".to_vec()),
        (Protocol::Xmpp, Client, text("<stream:stream to='example.fr'>")),
        (Protocol::Irc, Client, text("NICK lea\r\n")),
        (Protocol::Other, Client, [0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a, 0x7c, 0x15].repeat(8)),
        (Protocol::Other, Datagram, [0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a, 0x7c, 0x15].repeat(8)),
    ]
}

/// As the bytes arrive: a part of them first, then all.
fn spoken(side: Side, bytes: &[u8]) -> Option<Protocol> {
    let step = match side {
        Client => {
            let mut detector = Detector::default();
            match detector.look(&bytes[..bytes.len() / 2]) {
                Step::Need => detector.look(bytes),
                done => done,
            }
        }
        Server => detect_server(bytes),
        Datagram => Datagrams::default().look(bytes),
    };
    match step {
        Step::Done(signature) => Some(signature.protocol),
        Step::Need => None,
    }
}

#[test]
fn what_is_not_tls_is_recognised_without_asking_for_memory() {
    let beginnings = beginnings();
    for (protocol, side, bytes) in &beginnings {
        let (found, asked) = allocations_of(|| spoken(*side, bytes));
        assert_eq!((found, asked), (Some(*protocol), 0), "{protocol} by {side:?}");
    }
    for protocol in Protocol::ALL {
        let keeps_a_name = matches!(protocol.carrier(), Carrier::Tls | Carrier::Quic) || *protocol == Protocol::Dtls;
        let is_said = !matches!(protocol, Protocol::Silent | Protocol::Unseen);
        let is_here = beginnings.iter().any(|(here, ..)| here == protocol);
        assert!(is_here || keeps_a_name || !is_said, "{protocol} has no beginning here");
    }
}

#[test]
fn the_count_is_of_what_is_asked_for() {
    let (kept, asked) = allocations_of(|| vec![1_u8; 100]);
    assert_eq!((kept.len(), asked), (100, 1));
    let hello = crate::harness::tls::client_hello("www.example.fr");
    let (found, asked) = allocations_of(|| spoken(Client, &hello));
    assert_eq!(found, Some(Protocol::Tls));
    assert!(asked > 0, "its name is kept");
}
