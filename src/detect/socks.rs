//! SOCKS 4, 4a and 5 (RFC 1928): asking a proxy that is not ours.

use super::guess::Guess;

/// A user's name of SOCKS 4 that is waited for.
const USER_MAX: usize = 255;

pub(super) fn client(bytes: &[u8]) -> Guess {
    match bytes.first() {
        Some(4) => version4(bytes),
        Some(5) => version5(bytes),
        Some(_) => Guess::No,
        None => Guess::Perhaps,
    }
}

/// Command (CONNECT or BIND), port, address, and a name that ends with zero.
fn version4(bytes: &[u8]) -> Guess {
    let command = Guess::at(bytes, 1, |[command]| matches!(command, 1 | 2));
    let port = Guess::at(bytes, 2, |port: [u8; 2]| port != [0, 0]);
    let user = bytes.get(8..).unwrap_or_default();
    let name = match user.iter().take(USER_MAX).position(|&b| b < b' ' || b == 0x7f) {
        Some(end) => Guess::when(user[end] == 0),
        None if user.len() < USER_MAX => Guess::Perhaps,
        None => Guess::No,
    };
    command.and(port).and(name)
}

/// As many methods as are announced: those of IANA (to 0x09) or private ones (from 0x80).
fn version5(bytes: &[u8]) -> Guess {
    let Some(&count) = bytes.get(1) else { return Guess::Perhaps };
    let count = usize::from(count);
    let methods = &bytes[2..bytes.len().min(2 + count)];
    let sensible = (1..=16).contains(&count) && methods.iter().all(|&m| m <= 9 || (0x80..0xff).contains(&m));
    Guess::when(sensible).and(if methods.len() == count { Guess::Yes(()) } else { Guess::Perhaps })
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Socks};
    use crate::detect::tests::from_client;

    #[test]
    fn a_proxy_asked_by_socks_is_told() {
        for request in [
            &b"\x05\x01\0"[..],
            b"\x05\x03\0\x01\x02",
            b"\x05\x02\0\x80\x05\x01\0\x01\x08\x08\x08\x08\x01\xbb",
            b"\x04\x01\x01\xbb\xc0\0\x02\x01lea\0",
            b"\x04\x01\0\x50\0\0\0\x01\0example.fr\0",
        ] {
            assert_eq!(from_client(request), Socks);
        }
        // A remote procedure call of Windows, no methods, no such method, no port.
        for not in [&b"\x05\0\x0b\x03\x10"[..], b"\x05\x02\0\x33", b"\x04\x01\0\0\xc0\0\x02\x01\0", b"\x04\x03\0\x50"] {
            assert_eq!(from_client(not), Other);
        }
    }
}
