//! From what a person types to a target: for `explain` and `[[expect]]`.

use crate::access::{Carrier, Host, HostName, Protocol, Target};

/// The target of a URL as the gateway would see it: an HTTP request, or the tunnel that a browser asks for.
///
/// # Errors
/// In words, what is wrong with the text.
pub fn target_of_url(url: &str) -> Result<Target, String> {
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| format!("`{url}` has no scheme: write http:// or https://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    match scheme.to_ascii_lowercase().as_str() {
        "http" => {
            let (host, port) = host_and_port(authority, 80)?;
            let path = path.split('#').next().unwrap_or("");
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            Ok(Target::http(host, port, path))
        }
        "https" => {
            let (host, port) = host_and_port(authority, 443)?;
            Ok(seen_inside(Target::tunnel(host, port), Protocol::Tls, None))
        }
        other => Err(format!("`{other}` is no scheme of the web: write http:// or https://")),
    }
}

/// The target of a CONNECT, `host:port`, with what would be seen inside.
///
/// # Errors
/// In words, what is wrong with the text.
pub fn target_of_connect(asked: &str, protocol: Protocol, sni: Option<HostName>) -> Result<Target, String> {
    let (host, port) = host_and_port(asked, 443)?;
    Ok(seen_inside(Target::tunnel(host, port), protocol, sni))
}

/// Whether a protocol begins with a ClientHello, which may hold an encrypted one.
pub fn begins_with_hello(protocol: Protocol) -> bool {
    matches!(protocol.carrier(), Carrier::Tls | Carrier::Quic) || protocol == Protocol::Dtls
}

fn seen_inside(mut target: Target, protocol: Protocol, sni: Option<HostName>) -> Target {
    target.protocol = protocol;
    target.other_name = sni.filter(|sni| target.host.name() != Some(sni));
    target
}

fn host_and_port(authority: &str, usual: u16) -> Result<(Host, u16), String> {
    let (host, port) = match authority.rfind(':') {
        // The colons inside an IPv6 address are not the port's.
        Some(colon) if !authority[colon..].contains(']') && !is_bare_v6(authority) => {
            (&authority[..colon], &authority[colon + 1..])
        }
        _ => (authority, ""),
    };
    let number = if port.is_empty() { Ok(usual) } else { port.parse() };
    let number = number.ok().filter(|&p| p != 0).ok_or_else(|| format!("`{port}` is no port"))?;
    let host = Host::parse(host).map_err(|e| format!("`{host}` is no host: {e}"))?;
    Ok((host, number))
}

fn is_bare_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scheme;

    #[test]
    fn a_url_becomes_what_the_gateway_would_see() {
        for (url, scheme, host, port, path) in [
            ("http://Example.fr", Scheme::Http, "example.fr", 80, "/"),
            ("http://example.fr:8080/a?b#c", Scheme::Http, "example.fr", 8080, "/a?b"),
            ("http://u:p@example.fr?q", Scheme::Http, "example.fr", 80, "/?q"),
            ("https://example.fr/secret", Scheme::Tunnel, "example.fr", 443, ""),
            ("HTTPS://[2001:db8::1]:8443/", Scheme::Tunnel, "[2001:db8::1]", 8443, ""),
            ("http://0x7f.1/", Scheme::Http, "127.0.0.1", 80, "/"),
        ] {
            let target = target_of_url(url).unwrap();
            let found = (target.scheme, target.host.to_string(), target.port, &*target.path_and_query);
            assert_eq!(found, (scheme, host.to_owned(), port, path), "{url}");
        }
        for url in ["example.fr", "ftp://example.fr/", "http://", "http://example.fr:0/", "http://exa mple.fr/"] {
            assert!(target_of_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_same_name_inside_is_no_second_name() {
        let sni = |name: &str| Some(HostName::parse(name).unwrap());
        let same = target_of_connect("example.fr:443", Protocol::Tls, sni("example.fr")).unwrap();
        assert_eq!(same.other_name, None);
        let other = target_of_connect("example.fr", Protocol::Tls, sni("other.fr")).unwrap();
        assert_eq!((other.port, other.other_name), (443, sni("other.fr")));
        assert_eq!(target_of_connect("2001:db8::1", Protocol::Tls, None).unwrap().host.to_string(), "[2001:db8::1]");
    }
}
