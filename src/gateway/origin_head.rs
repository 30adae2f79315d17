//! The head of an origin's response, before anything of it reaches a client.
//!
//! What two readers could read in two ways is not passed on: it is the origin's fault (RFC 9112 §11). hyper has refused
//! by then what is no HTTP at all: several lengths, bytes that no field may hold, chunks in HTTP/1.0.

use ::http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use ::http::{Response, StatusCode, response};

use super::headers::{self, ViaName};

/// Why a response is not passed on. Side: the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHead {
    #[error("101 without being asked to change the protocol")]
    NotAsked,
    #[error("407: only a proxy may ask for a proxy's credentials")]
    ProxyAuthentication,
    #[error("a transfer coding that nobody asked for")]
    TransferCoding,
    #[error("lengths that differ, or one that is no number")]
    Length,
}

/// Refuses what must not reach a client; `asked`: to change the protocol.
pub fn check<B>(response: &Response<B>, asked: bool) -> Result<(), InvalidHead> {
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS if !asked => Err(InvalidHead::NotAsked),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(InvalidHead::ProxyAuthentication),
        _ if !is_plainly_chunked_or_not_at_all(response.headers()) => Err(InvalidHead::TransferCoding),
        _ if !has_one_length_at_most(response.headers()) => Err(InvalidHead::Length),
        _ => Ok(()),
    }
}

/// We send no `TE`: `chunked`, once, is all that an origin may answer with (RFC 9112 §7.4).
fn is_plainly_chunked_or_not_at_all(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Where an answer has no body (HEAD, 204, 304) hyper does not look at its length, and the client may.
fn has_one_length_at_most(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return true };
    first.as_bytes().iter().all(u8::is_ascii_digit) && !first.is_empty() && lengths.all(|other| other == first)
}

/// The head as the client gets it: nothing of the origin's hop, one way to know the body's length, our signature.
pub fn outward(head: &mut response::Parts, via: &ViaName) {
    // Chunks count and a length beside them does not (RFC 9112 §6.3, item 3).
    if head.headers.contains_key(TRANSFER_ENCODING) {
        head.headers.remove(CONTENT_LENGTH);
    } else if let Some(length) = head.headers.get(CONTENT_LENGTH).cloned() {
        // The same twice is once.
        head.headers.insert(CONTENT_LENGTH, length);
    }
    headers::remove_hop_by_hop(&mut head.headers);
    via.sign(head.version, &mut head.headers);
    head.version = ::http::Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn head(status: u16, codings: &[&'static str]) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for coding in codings {
            response.headers_mut().append(TRANSFER_ENCODING, HeaderValue::from_static(coding));
        }
        response
    }

    #[test]
    fn only_what_has_one_reading_is_passed_on() {
        for (status, codings, expected) in [
            (200, &[][..], Ok(())),
            (200, &["chunked"], Ok(())),
            (200, &[" Chunked "], Ok(())),
            (200, &["chunked", "chunked"], Err(InvalidHead::TransferCoding)),
            (200, &["chunked, chunked"], Err(InvalidHead::TransferCoding)),
            (200, &["gzip, chunked"], Err(InvalidHead::TransferCoding)),
            (200, &["identity"], Err(InvalidHead::TransferCoding)),
            (200, &["\"chunked\""], Err(InvalidHead::TransferCoding)),
            (101, &[], Err(InvalidHead::NotAsked)),
            (407, &[], Err(InvalidHead::ProxyAuthentication)),
        ] {
            assert_eq!(check(&head(status, codings), false), expected, "{status} {codings:?}");
        }
        assert_eq!(check(&head(101, &[]), true), Ok(()));
        for (lengths, expected) in [
            (&["5"][..], Ok(())),
            (&["5", "5"], Ok(())),
            (&["5", "6"], Err(InvalidHead::Length)),
            (&["abc"], Err(InvalidHead::Length)),
            (&["5, 5"], Err(InvalidHead::Length)),
            (&[""], Err(InvalidHead::Length)),
        ] {
            let mut response = head(204, &[]);
            for length in lengths {
                response.headers_mut().append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            assert_eq!(check(&response, false), expected, "{lengths:?}");
        }
    }
}
