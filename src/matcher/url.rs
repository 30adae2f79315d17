//! The one spelling of a path that lists and requests are compared in.
//!
//! As in the canonicalisation of Safe Browsing: percent-encoding is undone until nothing changes, dot segments and
//! repeated slashes go, the fragment goes, letters are lower case (as squidGuard does: a server that tells
//! capitals apart is rarer than one that does not), and what is not printable ASCII is written back as `%xx`.

use percent_encoding::percent_decode;

/// `%25…` may be nested as often as somebody likes; each round costs a pass over the text.
const DECODE_ROUNDS: usize = 8;

/// Appends the canonical form of a path and query to `out`; it always begins with a slash.
pub fn canonical_path(path_and_query: &str, out: &mut String) {
    let without_fragment = path_and_query.split('#').next().unwrap_or("");
    let mut bytes = without_fragment.as_bytes().to_vec();
    for _ in 0..DECODE_ROUNDS {
        if !bytes.contains(&b'%') {
            break;
        }
        let decoded: Vec<u8> = percent_decode(&bytes).collect();
        if decoded.len() == bytes.len() {
            break;
        }
        bytes = decoded;
    }
    let query_at = bytes.iter().position(|&b| b == b'?').unwrap_or(bytes.len());
    let (path, query) = bytes.split_at(query_at);
    push_segments(path, out);
    push_escaped(query, out);
}

/// The path of an entry, from its canonical form: a final slash says nothing (`/a/` covers what `/a` covers).
pub fn entry_path(canonical: &str) -> &str {
    if canonical.contains('?') { canonical } else { canonical.trim_end_matches('/') }
}

/// The host that URL entries are kept under: `www.example.fr` and `example.fr` are one site, as for squidGuard, whose
/// lists are written without the `www`.
pub fn site_of(host: &str) -> &str {
    match host.strip_prefix("www.") {
        Some(site) if site.contains('.') => site,
        _ => host,
    }
}

/// RFC 3986 §5.2.4, and empty segments go too.
fn push_segments(path: &[u8], out: &mut String) {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut folder = true;
    for segment in path.split(|&b| b == b'/' || b == b'\\') {
        folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    for segment in &kept {
        out.push('/');
        push_escaped(segment, out);
    }
    if folder || kept.is_empty() {
        out.push('/');
    }
}

fn push_escaped(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &b in bytes {
        match b {
            b'%' | b'#' | 0..=0x20 | 0x7f.. => {
                out.push('%');
                out.push(char::from(HEX[usize::from(b >> 4)]));
                out.push(char::from(HEX[usize::from(b & 15)]));
            }
            _ => out.push(char::from(b.to_ascii_lowercase())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str) -> String {
        let mut out = String::new();
        canonical_path(path, &mut out);
        out
    }

    #[test]
    fn every_spelling_of_a_path_is_one_path() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("/a/b", "/a/b"),
            ("/A/b", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/c/../b", "/a/b"),
            ("/../../a/b", "/a/b"),
            ("/%61/b", "/a/b"),
            ("/%2561/b", "/a/b"),
            ("/%25252561/b", "/a/b"),
            ("/a%2fb", "/a/b"),
            ("/a/%2e%2e/a/b", "/a/b"),
            ("\\a\\b", "/a/b"),
            ("/a/b#c", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/c/..", "/a/b/"),
            ("/a b", "/a%20b"),
            ("/é", "/%c3%a9"),
            ("/%C3%A9", "/%c3%a9"),
            ("/100%", "/100%25"),
            ("/100%25", "/100%25"),
            ("/a?b=../c//d", "/a?b=../c//d"),
            ("/a%23b", "/a%23b"),
            ("?q", "/?q"),
        ] {
            assert_eq!(canonical(path), expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_path(path in "[/%.?a-f0-9A-F# é\\\\]{0,30}") {
            let once = canonical(&path);
            proptest::prop_assert!(once.is_ascii());
            proptest::prop_assert_eq!(canonical(&once), once);
        }
    }
}
