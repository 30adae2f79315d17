//! XMPP (RFC 6120 §4): a stream opened in XML. Both sides begin alike.

use super::guess::Guess;

/// The longest XML declaration that is waited for, with the blanks behind it.
const DECLARATION_MAX: usize = 128;

pub(super) fn either(bytes: &[u8]) -> Guess {
    let stream = Guess::begins(bytes, b"<stream:stream");
    stream.or(Guess::begins(bytes, b"<?xml").and(declared(bytes)))
}

/// A stream behind a declaration and blanks.
fn declared(bytes: &[u8]) -> Guess {
    let front = &bytes[..bytes.len().min(DECLARATION_MAX)];
    let more = if bytes.len() < DECLARATION_MAX { Guess::Perhaps } else { Guess::No };
    let Some(end) = front.windows(2).position(|two| two == b"?>") else { return more };
    match front[end + 2..].iter().position(|b| !b.is_ascii_whitespace()) {
        Some(start) => Guess::begins(&bytes[end + 2 + start..], b"<stream:stream"),
        None => more,
    }
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Xmpp};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn a_chat_in_xml_is_told_from_either_side() {
        let declared = "<?xml version='1.0' ?><stream:stream to='example.fr' xmlns='jabber:client'>";
        for first in [declared, "<stream:stream to='example.fr'>", "<?xml version=\"1.0\"?>\r\n<stream:stream id='1'>"]
        {
            assert_eq!(from_client(first), Xmpp, "{first}");
            assert_eq!(from_server(first), Xmpp, "{first}");
        }
        let endless = format!("<?xml {}", "a".repeat(400));
        for not in ["<?xml version=\"1.0\"?><soap:Envelope>", "<html>", "<stream>", &endless] {
            assert_eq!(from_client(not), Other, "{not}");
        }
    }
}
