//! What a ClientHello says (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2): the server name, the protocols offered, the version,
//! and whether another one is hidden inside it.
//!
//! It is read where it lies, without a copy. What a server might read differently is a [`Fault`]: the first name stays
//! in the signature, and who relies on it refuses.

use std::net::IpAddr;

use super::reader::Reader;
use super::signature::{Alpn, Ech, Fault, Signature, TlsVersion};
use super::{dot, tor};
use crate::access::{Host, HostName, Protocol};

/// Extension numbers (IANA "TLS ExtensionType Values").
pub(super) const SERVER_NAME: u16 = 0;
pub(super) const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 9849 §5.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// The body of a ClientHello, or the part of it that is there and why there is no more.
pub(super) struct ClientHello<'a> {
    pub body: &'a [u8],
    pub whole: Result<(), Fault>,
    pub form: Form,
}

/// Over what it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// TCP or QUIC: the same bytes.
    Stream,
    /// With the cookie of DTLS (RFC 9147 §5.3).
    Datagram,
}

impl ClientHello<'_> {
    /// What it says, of the protocol TLS or what it shows to be inside.
    pub fn signature(&self) -> Signature {
        let mut signature = Signature::of(Protocol::Tls);
        let mut seen = Seen::default();
        if read_hello(&mut Reader(self.body), self.form, &mut signature, &mut seen).is_none() {
            // The end of what is there came too early: that is the fault, or it follows from one known already.
            signature.fault = Some(self.whole.err().unwrap_or(Fault::Malformed));
        } else if let Err(fault) = self.whole {
            signature.fault = Some(fault);
        } else if dot::is_offered(&signature) {
            signature.protocol = Protocol::Dot;
        } else if !seen.has(TICKET_SEEN) && tor::is_shape(&signature) {
            signature.protocol = Protocol::Tor;
        }
        signature
    }
}

/// `None`: a length goes beyond the end.
fn read_hello(body: &mut Reader<'_>, form: Form, signature: &mut Signature, seen: &mut Seen) -> Option<()> {
    signature.version = TlsVersion::from_wire(body.u16()?);
    let _random = body.take(32)?;
    let _session_id = body.vec8()?;
    if form == Form::Datagram {
        let _cookie = body.vec8()?;
    }
    let _cipher_suites = body.vec16()?;
    let _compression = body.vec8()?;
    if body.is_empty() {
        // Before TLS 1.2 extensions are optional.
        return Some(());
    }
    let length = usize::from(body.u16()?);
    let mut extensions = match body.0.split_at_checked(length) {
        Some((inside, [])) => Reader(inside),
        Some((_, _)) => return None,
        // Cut off: what is there is read, and the reading below runs into the end.
        None => Reader(body.0),
    };
    let whole = extensions.0.len() == length;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vec16()?;
        read_extension(kind, content, signature, seen)?;
    }
    whole.then_some(())
}

/// Which of the extensions that we read were there: none may be twice (RFC 8446 §4.2).
#[derive(Default)]
struct Seen(u8);

const TICKET_SEEN: u8 = 16;

impl Seen {
    fn has(&self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    fn first(&mut self, bit: u8) -> Option<()> {
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first.then_some(())
    }
}

fn read_extension(kind: u16, content: &[u8], signature: &mut Signature, seen: &mut Seen) -> Option<()> {
    let mut content = Reader(content);
    match kind {
        SERVER_NAME => {
            if seen.first(1).is_none() {
                signature.fault = Some(Fault::SeveralNames);
                return Some(());
            }
            read_server_name(&mut content, signature)
        }
        ALPN => {
            seen.first(2)?;
            let mut names = Reader(content.rest16()?);
            while !names.is_empty() {
                signature.alpn.insert(Alpn::from_wire(names.vec8()?));
            }
            Some(())
        }
        SUPPORTED_VERSIONS => {
            seen.first(4)?;
            let versions = content.rest8()?.as_chunks::<2>().0;
            let highest = versions.iter().filter_map(|&v| TlsVersion::from_wire(u16::from_be_bytes(v))).max();
            signature.version = highest.or(signature.version);
            Some(())
        }
        ENCRYPTED_CLIENT_HELLO => {
            seen.first(8)?;
            signature.ech = Some(read_ech(&mut content)?);
            Some(())
        }
        SESSION_TICKET => {
            seen.0 |= TICKET_SEEN;
            Some(())
        }
        _ => Some(()),
    }
}

/// RFC 6066 §3. The list may hold one name of each type, and only one type was ever defined.
fn read_server_name(content: &mut Reader<'_>, signature: &mut Signature) -> Option<()> {
    let mut names = Reader(content.rest16()?);
    let mut first = true;
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.vec16()?;
        if !first {
            signature.fault = Some(Fault::SeveralNames);
        } else if kind != 0 {
            signature.fault = Some(Fault::BadName);
        } else {
            match read_name(name) {
                Name::Host(host) => signature.sni = Some(host),
                Name::Address(address) => signature.fault = Some(Fault::AddressAsName(address)),
                Name::Bad => signature.fault = Some(Fault::BadName),
            }
        }
        first = false;
    }
    if first {
        signature.fault = Some(Fault::BadName);
    }
    Some(())
}

enum Name {
    Host(HostName),
    Address(IpAddr),
    Bad,
}

/// RFC 6066 wants an A-label without a trailing dot; what clients send is read as browsers read a host, save for
/// percent signs, which no server decodes.
fn read_name(name: &[u8]) -> Name {
    match std::str::from_utf8(name).map(Host::parse) {
        Ok(Ok(Host::Name(host))) if !name.contains(&b'%') => Name::Host(host),
        Ok(Ok(Host::Address(address))) => Name::Address(address),
        _ => Name::Bad,
    }
}

/// RFC 9849 §5: ECHClientHello.
fn read_ech(content: &mut Reader<'_>) -> Option<Ech> {
    match content.u8()? {
        0 => {
            let _kdf_and_aead = content.take(4)?;
            let config_id = content.u8()?;
            let _enc = content.vec16()?;
            let _payload = content.rest16()?;
            Some(Ech::Outer { config_id })
        }
        1 => content.is_empty().then_some(Ech::Inner),
        _ => None,
    }
}
