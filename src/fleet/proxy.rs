//! The proxy that the environment names (`https_proxy`, `http_proxy`), for machines that reach the network through one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// The answer to CONNECT is a few lines.
const HEAD_MAX: usize = 16 * 1024;

/// `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy(Url);

/// Reads the environment as curl does: lower case first, and `http_proxy` in lower case only.
pub fn from_environment(scheme: &str, env: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, String> {
    let names: &[&str] = if scheme == "https" { &["https_proxy", "HTTPS_PROXY"] } else { &["http_proxy"] };
    let Some(text) = names.iter().find_map(|name| env(name)).filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let with_scheme = if text.contains("://") { text.trim().to_owned() } else { format!("http://{}", text.trim()) };
    match Url::parse(&with_scheme) {
        Ok(url)
            if url.scheme() == "http" && url.has_host() && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(Some(Proxy(url)))
        }
        // The text may hold a password.
        _ => Err(format!("`{}` names a proxy that is not `http://host:port`", names[0])),
    }
}

impl Proxy {
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Asks for a way to `authority` over an open connection to the proxy.
    pub async fn connect(stream: &mut TcpStream, authority: &str) -> std::io::Result<()> {
        stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to TLS.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > HEAD_MAX {
                return Err(std::io::Error::other("the proxy's answer has no end"));
            }
            head.push(stream.read_u8().await?);
        }
        let line = String::from_utf8_lossy(&head);
        let line = line.lines().next().unwrap_or_default();
        let status = line.split(' ').nth(1).unwrap_or_default();
        if status.len() == 3 && status.starts_with('2') {
            return Ok(());
        }
        let shown: String = line.chars().take(100).flat_map(char::escape_debug).collect();
        Err(std::io::Error::other(format!("the proxy refuses: {shown}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_proxy_as_it_does_for_curl() {
        type Env = &'static [(&'static str, &'static str)];
        type Found = Result<Option<&'static str>, ()>;
        let cases: [(&str, Env, Found); 8] = [
            ("https", &[], Ok(None)),
            ("https", &[("https_proxy", "")], Ok(None)),
            ("https", &[("https_proxy", "http://10.0.0.1:3128")], Ok(Some("http://10.0.0.1:3128/"))),
            ("https", &[("HTTPS_PROXY", "proxy.test:8080")], Ok(Some("http://proxy.test:8080/"))),
            ("http", &[("https_proxy", "http://10.0.0.1:3128")], Ok(None)),
            ("http", &[("http_proxy", "http://10.0.0.1:3128")], Ok(Some("http://10.0.0.1:3128/"))),
            ("https", &[("https_proxy", "https://10.0.0.1:3128")], Err(())),
            ("https", &[("https_proxy", "http://me:secret@10.0.0.1:3128")], Err(())),
        ];
        for (scheme, env, expected) in cases {
            let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            let found = from_environment(scheme, env);
            assert!(found.as_ref().err().is_none_or(|why| !why.contains("secret")), "{found:?}");
            let found = found.as_ref().map(|proxy| proxy.as_ref().map(|proxy| proxy.url().as_str())).map_err(|_| ());
            assert_eq!(found, expected);
        }
    }
}
