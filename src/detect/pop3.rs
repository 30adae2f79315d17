//! POP3 (RFC 1939): the server greets with `+OK`.

use super::guess::{Guess, line_is, words};

/// Commands that only POP3 begins with; `USER` is FTP's too, and is taken for that.
pub(super) fn client(bytes: &[u8]) -> Guess {
    Guess::begins_with_one(bytes, &[b"CAPA", b"APOP ", b"STLS"]).and(line_is(bytes, |line| {
        let mut words = words(line);
        let first = words.next().unwrap_or_default();
        match first.len() {
            4 if first.eq_ignore_ascii_case(b"APOP") => words.count() == 2,
            4 => words.next().is_none(),
            _ => false,
        }
    }))
}

pub(super) fn server(bytes: &[u8]) -> Guess {
    Guess::begins(bytes, b"+OK").and(Guess::at(bytes, 3, |[b]| matches!(b, b' ' | b'\r' | b'\n')))
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Pop3};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn mail_that_is_fetched_is_told_from_either_side() {
        for greeting in ["+OK POP3 server ready <1@example.fr>\r\n", "+OK\r\n"] {
            assert_eq!(from_server(greeting), Pop3, "{greeting}");
        }
        for command in ["CAPA\r\n", "STLS\r\n", "APOP a c4c9334bac560ecc979e58001b3e22fb\r\n"] {
            assert_eq!(from_client(command), Pop3, "{command}");
        }
        // Redis answers so, and never first.
        assert_eq!(from_server("+OKAY\r\n"), Other);
        assert_eq!(from_client("CAPABLE\r\n"), Other);
    }
}
