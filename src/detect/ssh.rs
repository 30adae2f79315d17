//! SSH (RFC 4253 §4.2): both sides begin with `SSH-`, and neither waits for the other. A server may say other lines
//! before; hardly one does.

use super::guess::Guess;

pub(super) fn either(bytes: &[u8]) -> Guess {
    Guess::begins_with_one(bytes, &[b"SSH-2.0-", b"SSH-1."])
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Ssh};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn ssh_is_told_from_either_side() {
        for banner in ["SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH-1.99-Cisco\n", "SSH-2.0-x\r\n"] {
            assert_eq!(from_client(banner), Ssh, "{banner}");
            assert_eq!(from_server(banner), Ssh, "{banner}");
        }
        for not in ["SSH\r\n", "SSH-3.0-x\r\n", "ssl-2.0\r\n"] {
            assert_eq!(from_client(not), Other, "{not}");
            assert_eq!(from_server(not), Other, "{not}");
        }
    }
}
