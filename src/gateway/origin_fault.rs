//! How an exchange with an origin broke, in the words of the log and of the page.

use std::io;

use crate::access::Ending;

use super::answer::Failure;
use super::body::BodyError;

/// The word for an origin that broke off or said what is no HTTP.
pub fn ending(error: &hyper::Error) -> Ending {
    let invalid = |kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
    if error.is_parse() || find::<io::Error>(error).is_some_and(|io| invalid(io.kind())) {
        Ending::OriginInvalid
    } else {
        Ending::OriginClosed
    }
}

/// Whose fault it was that a request got no response.
pub fn of_request(error: &hyper::Error) -> (Failure, Ending) {
    match find::<BodyError>(error) {
        // Our own request body failed: the client stalled or broke off.
        Some(BodyError::Stalled(_)) => (Failure::RequestTimedOut, Ending::TimedOut),
        // What is refused has its own page before anybody asks here.
        Some(BodyError::Broken(_) | BodyError::Left | BodyError::Refused(_)) => {
            (Failure::RequestTimedOut, Ending::ClientClosed)
        }
        None => (Failure::OriginBroken, ending(error)),
    }
}

fn find<E: std::error::Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
