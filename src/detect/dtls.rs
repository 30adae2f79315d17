//! DTLS (RFC 6347, RFC 9147): TLS over datagrams. A ClientHello in one datagram is read as over TCP.

use super::Signature;
use super::client_hello::{ClientHello, Form};
use super::guess::Guess;
use super::reader::Reader;
use super::signature::Fault;
use crate::access::Protocol;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

pub(super) fn look(datagram: &[u8]) -> Guess<Signature> {
    match fragment(datagram) {
        None => Guess::No,
        Some(Fragment { body, is_whole }) => {
            let whole = if is_whole { Ok(()) } else { Err(Fault::Incomplete) };
            let signature = ClientHello { body, whole, form: Form::Datagram }.signature();
            Guess::Yes(Signature { protocol: Protocol::Dtls, ..signature })
        }
    }
}

/// The body of a whole ClientHello.
pub(super) fn hello(datagram: &[u8]) -> Option<&[u8]> {
    fragment(datagram).filter(|fragment| fragment.is_whole).map(|fragment| fragment.body)
}

struct Fragment<'a> {
    body: &'a [u8],
    is_whole: bool,
}

/// A record of epoch 0 with the beginning of a ClientHello.
fn fragment(datagram: &[u8]) -> Option<Fragment<'_>> {
    let mut record = Reader(datagram);
    let (kind, version, epoch) = (record.u8()?, record.u16()?, record.u16()?);
    // DTLS 1.0 and 1.2; OpenSSL's first one, 0x0100.
    if kind != HANDSHAKE || !matches!(version, 0xfeff | 0xfefd | 0x0100) || epoch != 0 {
        return None;
    }
    let _sequence = record.take(6)?;
    let mut message = Reader(record.vec16()?);
    if message.u8()? != CLIENT_HELLO {
        return None;
    }
    let (length, _number) = (message.u24()?, message.u16()?);
    let (offset, part) = (message.u24()?, message.u24()?);
    let body = message.take(part)?;
    (offset == 0 && part <= length).then_some(Fragment { body, is_whole: part == length })
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Dtls, Other};
    use crate::detect::tests::{hellos, in_datagram, name};
    use crate::detect::{Fault, Step, detect_datagram};

    fn record(length: usize, body: &[u8]) -> Vec<u8> {
        let (whole, part) = ((length as u32).to_be_bytes(), (body.len() as u32).to_be_bytes());
        let message = [&[1][..], &whole[1..], &[0, 0], &[0, 0, 0], &part[1..], body].concat();
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0], &hellos::vec16(&message)[..]].concat()
    }

    #[test]
    fn tls_over_datagrams_says_what_tls_does() {
        // The cookie stands between the session and the ciphers.
        let mut body = hellos::body(&[hellos::server_name("turn.example.fr")]);
        body.splice(67..67, [2, 0xaa, 0xbb]);
        let Step::Done(signature) = detect_datagram(&record(body.len(), &body)) else { panic!("no answer") };
        assert_eq!((signature.protocol, signature.sni, signature.fault), (Dtls, name("turn.example.fr"), None));

        let Step::Done(first_part) = detect_datagram(&record(body.len() + 9, &body)) else { panic!("no answer") };
        assert_eq!((first_part.protocol, first_part.fault), (Dtls, Some(Fault::Incomplete)));

        let whole = record(body.len(), &body);
        let other_version = [&[22, 0xfe, 0xfc], &whole[3..]].concat();
        for not in [&whole[..whole.len() - 1], &whole[1..], &other_version] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
