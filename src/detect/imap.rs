//! IMAP (RFC 9051): the server greets with `* OK`, `* PREAUTH` or `* BYE`; commands carry a tag.

use super::guess::{Guess, line_is, words};

/// Tags that clients use are short; RFC 9051 sets no limit.
const TAG_MAX: usize = 16;

/// Commands that a connection may begin with.
const FIRST: [&[u8]; 7] = [b"CAPABILITY", b"LOGIN", b"AUTHENTICATE", b"STARTTLS", b"ID", b"NOOP", b"LOGOUT"];

pub(super) fn client(bytes: &[u8]) -> Guess {
    line_is(bytes, |line| {
        let mut words = words(line);
        let (tag, command) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let tagged = (1..=TAG_MAX).contains(&tag.len()) && tag.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'.');
        tagged && FIRST.iter().any(|first| command.eq_ignore_ascii_case(first))
    })
}

pub(super) fn server(bytes: &[u8]) -> Guess {
    Guess::begins_with_one(bytes, &[b"* OK", b"* PREAUTH", b"* BYE"])
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Imap, Other};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn mail_that_is_read_by_imap_is_told_from_either_side() {
        for greeting in ["* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", "* PREAUTH hello\r\n", "* BYE no\r\n"] {
            assert_eq!(from_server(greeting), Imap, "{greeting}");
        }
        for command in ["a1 CAPABILITY\r\n", ". STARTTLS\r\n", "A001 LOGIN a b\r\n", "1 id (\"name\" \"x\")\r\n"] {
            assert_eq!(from_client(command), Imap, "{command}");
        }
        assert_eq!(from_server("* hello\r\n"), Other);
        for not in ["CAPABILITY\r\n", "a1 HELLO\r\n", "a-tag-that-is-too-long LOGIN a b\r\n"] {
            assert_eq!(from_client(not), Other, "{not}");
        }
    }
}
