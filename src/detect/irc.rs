//! IRC (RFC 2812 §3.1, IRCv3): a client registers; servers often speak first.

use super::guess::{Guess, line_is, words};

pub(super) fn client(bytes: &[u8]) -> Guess {
    let starts: [&[u8]; 4] = [b"NICK ", b"PASS ", b"CAP LS", b"USER "];
    Guess::begins_with_one(bytes, &starts).and(line_is(bytes, |line| {
        // `USER name` alone is FTP's: here come a mode, an unused word and a real name.
        let mut words = words(line);
        !words.next().is_some_and(|first| first.eq_ignore_ascii_case(b"USER")) || words.count() >= 4
    }))
}

pub(super) fn server(bytes: &[u8]) -> Guess {
    let bare = Guess::begins_with_one(bytes, &[b"NOTICE AUTH ", b"NOTICE * "]);
    let named = Guess::begins(bytes, b":").and(line_is(bytes, |line| words(line).nth(1) == Some(b"NOTICE")));
    bare.or(named)
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Ftp, Irc, Other};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn a_chat_in_lines_is_told_from_either_side() {
        for first in ["NICK lea\r\n", "CAP LS 302\r\n", "USER lea +iw * :Lea\r\nNICK lea\r\n", "PASS x\r\n"] {
            assert_eq!(from_client(first), Irc, "{first}");
        }
        for first in [":irc.example.fr NOTICE * :*** Looking up your hostname\r\n", "NOTICE AUTH :***\r\n"] {
            assert_eq!(from_server(first), Irc, "{first}");
        }
        assert_eq!(from_client("USER lea\r\n"), Ftp);
        assert_eq!(from_client("NICKNAME\r\n"), Other);
        assert_eq!(from_server(":-) hello\r\n"), Other);
    }
}
