//! DNS over TLS (RFC 7858), where the client says so by ALPN. One that does not is known by its port, 853, which is the
//! policy's to say.

use super::signature::{Alpn, Signature};

pub(super) fn is_offered(signature: &Signature) -> bool {
    signature.alpn.contains(Alpn::Dot)
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Dot, Tls};
    use crate::detect::tests::from_client;
    use crate::detect::tests::hellos::{alpn, hello, server_name};

    #[test]
    fn dns_over_tls_is_told_by_what_it_offers() {
        assert_eq!(from_client(hello(&[server_name("dns.example.fr"), alpn(&["dot"])])), Dot);
        assert_eq!(from_client(hello(&[server_name("dns.example.fr"), alpn(&["h2"])])), Tls);
    }
}
