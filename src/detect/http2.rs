//! HTTP/2 in clear from the first byte on (RFC 9113 §3.4). What is asked in it is not read: a rule that wants requests judged
//! refuses it.

use super::guess::Guess;

pub(super) fn client(bytes: &[u8]) -> Guess {
    Guess::begins(bytes, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Http2, Other};
    use crate::detect::tests::from_client;

    #[test]
    fn http_2_with_prior_knowledge_is_told_by_its_preface() {
        assert_eq!(from_client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"), Http2);
        assert_eq!(from_client("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), Other);
    }
}
