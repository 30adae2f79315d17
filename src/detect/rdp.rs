//! RDP: a TPKT with an X.224 connection request (MS-RDPBCGR §2.2.1.1). Whatever is negotiated inside, TLS too, begins so.

use super::guess::Guess;

/// TPKT header (RFC 1006), length indicator, connection request with no destination, no source and class 0. Then a
/// cookie or routing token (`Cookie: …`, `msts=`), a negotiation request (type 1), or nothing; industrial controllers,
/// which speak the same, have parameters there.
pub(super) fn client(bytes: &[u8]) -> Guess {
    let length = Guess::at(bytes, 2, |length| u16::from_be_bytes(length) >= 11);
    let request = Guess::at(bytes, 5, |head| head == [0xe0, 0, 0, 0, 0, 0]);
    let begins = Guess::begins(bytes, &[3, 0]).and(length).and(request);
    let whole = matches!(bytes, [_, _, 0, 11, 6, ..]);
    let after = if whole { Guess::Yes(()) } else { Guess::at(bytes, 11, |[b]| matches!(b, b'C' | b'm' | 1)) };
    begins.and(after)
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Rdp};
    use crate::detect::tests::from_client;

    #[test]
    fn remote_desktop_is_told_by_its_request() {
        let with_cookie = b"\x03\0\0\x2f\x2a\xe0\0\0\0\0\0Cookie: mstshash=Administr\r\n\x01\0\x08\0\x03\0\0\0";
        let bare = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0";
        let oldest = b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0";
        for request in [&with_cookie[..], bare, oldest] {
            assert_eq!(from_client(request), Rdp);
        }
        let controller = b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x0a";
        let data = b"\x03\0\0\x07\x02\xf0\x80";
        for not in [&controller[..], data, b"\x03\x01\0\x13\x0e\xe0\0\0\0\0\0\x01"] {
            assert_eq!(from_client(not), Other);
        }
    }
}
