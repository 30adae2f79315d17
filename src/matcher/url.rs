//! The one spelling of a path that lists and requests are compared in.
//!
//! As in the canonicalisation of Safe Browsing: percent-encoding is undone until nothing changes, dot segments and
//! repeated slashes go, the fragment goes, letters are lower case (as squidGuard does: a server that tells
//! capitals apart is rarer than one that does not), and what is not printable ASCII is written back as `%xx`.

/// `%25…` may be nested as often as somebody likes; each round costs a pass over the text.
const DECODE_ROUNDS: usize = 8;

/// Appends the canonical form of a path and query to `out`; it always begins with a slash.
pub fn canonical_path(path_and_query: &str, out: &mut String) {
    let begin = out.len();
    if is_plain(path_and_query.as_bytes()) {
        out.push_str(path_and_query);
        out[begin..].make_ascii_lowercase();
        return;
    }
    let without_fragment = path_and_query.split('#').next().unwrap_or("");
    let mut bytes = without_fragment.as_bytes().to_vec();
    for _ in 0..DECODE_ROUNDS {
        if !decode_once(&mut bytes) {
            break;
        }
    }
    let (path, query) = bytes.split_at(query_at(&bytes));
    match std::str::from_utf8(path) {
        Ok(plain) if has_plain_segments(path) && !path.iter().any(|&b| is_odd(b)) => out.push_str(plain),
        _ => push_segments(path, out),
    }
    push_escaped(query, out);
    out[begin..].make_ascii_lowercase();
}

fn query_at(path_and_query: &[u8]) -> usize {
    memchr::memchr(b'?', path_and_query).unwrap_or(path_and_query.len())
}

/// Whether nothing but the case of letters has to change: most paths are so, and are spared two passes and a copy. Both
/// loops look at every byte, without a branch: sixteen go at once.
fn is_plain(path_and_query: &[u8]) -> bool {
    has_plain_segments(&path_and_query[..query_at(path_and_query)])
        && !path_and_query.iter().fold(false, |odd, &b| odd | is_odd(b))
}

/// What is escaped, and the other slash.
fn is_odd(b: u8) -> bool {
    is_escaped(b) | (b == b'\\')
}

/// What stands in no canonical path but as `%xx`.
fn is_escaped(b: u8) -> bool {
    (b <= b' ') | (b >= 0x7f) | (b == b'%') | (b == b'#')
}

/// A slash first, none that follows another, no segment that begins with a dot.
fn has_plain_segments(path: &[u8]) -> bool {
    let is_dotted = |pair: (&u8, &u8)| (*pair.0 == b'/') & ((*pair.1 == b'/') | (*pair.1 == b'.'));
    path.first() == Some(&b'/') && !path.iter().zip(&path[1..]).fold(false, |dotted, pair| dotted | is_dotted(pair))
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

/// Undoes one layer of percent-encoding where it stands; whether there was any.
fn decode_once(bytes: &mut Vec<u8>) -> bool {
    let Some(first) = memchr::memchr(b'%', bytes) else { return false };
    let (mut from, mut to) = (first, first);
    while let Some(&[b, ..]) = bytes.get(from..) {
        if b != b'%' {
            let run = memchr::memchr(b'%', &bytes[from..]).unwrap_or(bytes.len() - from);
            bytes.copy_within(from..from + run, to);
            (from, to) = (from + run, to + run);
            continue;
        }
        let decoded = match bytes[from..] {
            [_, high, low, ..] => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes[to] = decoded.unwrap_or(b'%');
        from += if decoded.is_some() { 3 } else { 1 };
        to += 1;
    }
    bytes.truncate(to);
    from > to
}

fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

fn push_escaped(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = bytes;
    // Sixteen at once: most have nothing to escape.
    let is_plain = !bytes.iter().fold(false, |odd, &b| odd | is_escaped(b));
    loop {
        let next = if is_plain { None } else { rest.iter().position(|&b| is_escaped(b)) };
        let (plain, odd) = rest.split_at(next.unwrap_or(rest.len()));
        // What is left between those is ASCII.
        out.push_str(std::str::from_utf8(plain).unwrap_or_default());
        let Some((&b, behind)) = odd.split_first() else { return };
        out.push('%');
        out.push(char::from(HEX[usize::from(b >> 4)]));
        out.push(char::from(HEX[usize::from(b & 15)]));
        rest = behind;
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
        fn the_short_way_agrees_with_the_long_way(path in "/[a-cA-C/.?&=\\\\]{0,12}") {
            // A fragment is cut off, and sends the rest the long way.
            proptest::prop_assert_eq!(canonical(&path), canonical(&format!("{path}#")));
        }

        #[test]
        fn a_canonical_path_is_its_own_canonical_path(path in "[/%.?a-f0-9A-F# é\\\\]{0,30}") {
            let once = canonical(&path);
            proptest::prop_assert!(once.is_ascii());
            proptest::prop_assert_eq!(canonical(&once), once);
        }
    }
}
