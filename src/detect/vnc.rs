//! VNC: the server begins with its version, `RFB 003.008` (RFC 6143 §7.1.1), and the client answers in kind.

use super::guess::Guess;

pub(super) fn either(bytes: &[u8]) -> Guess {
    let digits = |at| Guess::at(bytes, at, |digits: [u8; 3]| digits.iter().all(u8::is_ascii_digit));
    Guess::begins(bytes, b"RFB ").and(digits(4)).and(Guess::at(bytes, 7, |[b]| b == b'.')).and(digits(8))
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Vnc};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn a_shared_screen_is_told_from_either_side() {
        for version in ["RFB 003.008\n", "RFB 003.003\n", "RFB 005.000\n"] {
            assert_eq!(from_server(version), Vnc, "{version}");
            assert_eq!(from_client(version), Vnc, "{version}");
        }
        assert_eq!(from_server("RFB abc.def\n"), Other);
    }
}
