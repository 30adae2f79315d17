//! SMB 1, 2 and 3 (MS-SMB §2.2.3.1, MS-SMB2 §2.2.1) behind a NetBIOS session header, and the session request of NetBIOS
//! itself (RFC 1002 §4.3.2).

use super::guess::Guess;

pub(super) fn client(bytes: &[u8]) -> Guess {
    let message = Guess::begins(bytes, &[0]).and(Guess::at(bytes, 4, |magic| {
        // SMB 1, SMB 2 and 3, encrypted, compressed.
        matches!(magic, [0xff | 0xfe | 0xfd | 0xfc, b'S', b'M', b'B'])
    }));
    let session = Guess::begins(bytes, &[0x81, 0, 0, 0x44, 0x20]);
    message.or(session)
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Smb};
    use crate::detect::tests::from_client;

    #[test]
    fn shared_folders_are_told_by_their_first_message() {
        for first in [&b"\0\0\0\x9b\xffSMB\x72\0\0\0\0"[..], b"\0\0\0\xb2\xfeSMB\x40\0", b"\x81\0\0\x44\x20EKEDFEEI"] {
            assert_eq!(from_client(first), Smb);
        }
        for not in [&b"\0\0\0\x9b\xffSMC\x72"[..], b"\x81\0\0\x45\x20EKED", b"\0\0\x05\x94\x6c\x82\x05\x90"] {
            assert_eq!(from_client(not), Other);
        }
    }
}
