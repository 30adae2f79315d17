//! What a ClientHello says (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2): the server name, the protocols offered, the version,
//! and whether another one is hidden inside it.
//!
//! It is read where it lies, without a copy. What a server might read differently is a [`Fault`]: the first name stays
//! in the signature, and who relies on it refuses.

use std::net::IpAddr;

use super::signature::{Alpn, Ech, Fault, Signature, TlsVersion};
use crate::access::{Host, HostName, Protocol};

/// Extension numbers (IANA "TLS ExtensionType Values").
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 9849 §5.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// The body of a ClientHello, or the part of it that is there and why there is no more.
pub(super) struct ClientHello<'a> {
    pub body: &'a [u8],
    pub whole: Result<(), Fault>,
}

impl ClientHello<'_> {
    pub fn signature(&self) -> Signature {
        let mut signature = Signature::of(Protocol::Tls);
        if read_hello(&mut Reader(self.body), &mut signature).is_none() {
            // The end of what is there came too early: that is the fault, or it follows from one known already.
            signature.fault = Some(self.whole.err().unwrap_or(Fault::Malformed));
        } else if let Err(fault) = self.whole {
            signature.fault = Some(fault);
        }
        signature
    }
}

/// `None`: a length goes beyond the end.
fn read_hello(body: &mut Reader<'_>, signature: &mut Signature) -> Option<()> {
    signature.version = TlsVersion::from_wire(body.u16()?);
    let _random = body.take(32)?;
    let _session_id = body.vec8()?;
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
    let mut seen = Seen::default();
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vec16()?;
        read_extension(kind, content, signature, &mut seen)?;
    }
    whole.then_some(())
}

/// Which of the extensions that we read were there: none may be twice (RFC 8446 §4.2).
#[derive(Default)]
struct Seen(u8);

impl Seen {
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

/// Takes from the front; `None` where there is too little.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn u16(&mut self) -> Option<u16> {
        let (&first, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(first))
    }

    fn vec8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn vec16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A vector that must be all there is.
    fn rest8(&mut self) -> Option<&'a [u8]> {
        self.vec8().filter(|_| self.0.is_empty())
    }

    /// A vector that must be all there is.
    fn rest16(&mut self) -> Option<&'a [u8]> {
        self.vec16().filter(|_| self.0.is_empty())
    }
}
