//! DNS over HTTP (RFC 8484), where the request can be read. Inside TLS it is a ClientHello like any other: there it is known by
//! name, from the lists.

use super::guess::{cut, holds};

/// ` /dns-query?dns=… HTTP/1.1`, behind its method.
pub(super) fn is_target(line: &[u8]) -> bool {
    is_query(line.trim_ascii().split(|&b| b == b' ').next().unwrap_or_default())
}

/// The parameter that the RFC names, or the path that everybody uses.
pub(super) fn is_query(target: &[u8]) -> bool {
    let (path, query) = cut(target, b'?').unwrap_or((target, b""));
    path.ends_with(b"/dns-query") || query.split(|&b| b == b'&').any(|parameter| parameter.starts_with(b"dns="))
}

/// Whether a field says that DNS is sent or wanted.
pub(super) fn is_content(name: &[u8], value: &[u8]) -> bool {
    (name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"accept"))
        && holds(value, b"application/dns-")
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Doh, Http};
    use crate::detect::tests::from_client;

    #[test]
    fn dns_in_a_request_is_told_by_its_target_and_its_type() {
        for request in [
            "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /resolve?x=1&dns=AAAB HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /dns-query HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x HTTP/1.1\r\nContent-Type: application/dns-message\r\n\r\n",
            "GET /x?name=a HTTP/1.1\r\naccept: application/dns-json\r\n\r\n",
        ] {
            assert_eq!(from_client(request), Doh, "{request}");
        }
        for request in [
            "GET /dns-query-howto HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?adns=1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x HTTP/1.1\r\nContent-Type: application/json\r\n\r\n",
        ] {
            assert_eq!(from_client(request), Http, "{request}");
        }
    }
}
