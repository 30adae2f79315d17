//! Our own probes, by families: each is one idea of how two readers could come to differ, in all its spellings.

use super::Probe;

mod bodies;
mod fields;
mod framing;
mod lines;

/// What is right, in the words of [`super::want`].
const REFUSED: &str = "reject";
const SERVED: &str = "accept";
/// Either is strict enough: what counts is that all readers agree with the row.
const UNAMBIGUOUS: &str = "reject, or forward unambiguously";

/// A request to a site that is refused, hidden in another.
const HIDDEN: &str = "GET http://adult.test/hidden HTTP/1.1\r\nHost: adult.test\r\n\r\n";

/// All families.
pub fn all() -> Vec<Probe> {
    let mut all = Vec::new();
    for (family, probes) in [
        ("coding", framing::codings()),
        ("length", framing::lengths()),
        ("chunk", framing::chunks()),
        ("trailer", framing::trailers()),
        ("name", fields::names()),
        ("value", fields::values()),
        ("host", fields::hosts()),
        ("hop", fields::hops()),
        ("target", lines::targets()),
        ("version", lines::versions()),
        ("method", lines::methods()),
        ("body", bodies::bodies()),
        ("expect", bodies::expectations()),
        ("upgrade", bodies::upgrades()),
        ("pipeline", bodies::pipelines()),
    ] {
        for (number, (bytes, want)) in probes.into_iter().enumerate() {
            all.push(Probe { id: format!("{family}/{number}"), bytes, want: want.to_owned() });
        }
    }
    all
}

/// A request and what is right.
type Case = (Vec<u8>, &'static str);

/// A POST with these field lines (each with its end) and this body.
fn post(fields: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head: &[u8] = b"POST / HTTP/1.1\r\nHost: {HOST}\r\n";
    [head, fields.as_ref(), b"\r\n", body.as_ref()].concat()
}

/// A GET with these field lines.
fn get(fields: impl AsRef<[u8]>) -> Vec<u8> {
    let head: &[u8] = b"GET / HTTP/1.1\r\nHost: {HOST}\r\n";
    [head, fields.as_ref(), b"\r\n"].concat()
}
