//! FTP (RFC 959): the server speaks first, with `220` as mail servers do; what follows tells them apart.

use super::guess::{Guess, first_line, holds, line_is, words};

/// Clients that don't wait. `USER` with one name could be POP3's as well: those who speak first are rare enough.
pub(super) fn client(bytes: &[u8]) -> Guess {
    Guess::begins_with_one(bytes, &[b"USER ", b"AUTH TLS", b"AUTH SSL", b"FEAT"]).and(line_is(bytes, |line| {
        let mut words = words(line);
        let first = words.next().unwrap_or_default();
        match (first.eq_ignore_ascii_case(b"FEAT"), words.next(), words.next()) {
            (true, None, _) => true,
            (false, Some(_), None) => true,
            _ => false,
        }
    }))
}

pub(super) fn server(bytes: &[u8]) -> Guess {
    match greeting(bytes) {
        Guess::Yes(Greeting::Ftp) => Guess::Yes(()),
        Guess::Yes(Greeting::Smtp) | Guess::No => Guess::No,
        Guess::Perhaps => Guess::Perhaps,
    }
}

/// Whose greeting a line `220 …` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    Ftp,
    Smtp,
}

/// Mail servers say `SMTP`, or at least their own name first (RFC 5321 §4.2); FTP servers say what they like.
pub(super) fn greeting(bytes: &[u8]) -> Guess<Greeting> {
    match Guess::begins_with_one(bytes, &[b"220 ", b"220-"]) {
        Guess::No => return Guess::No,
        Guess::Perhaps => return Guess::Perhaps,
        Guess::Yes(()) => {}
    }
    let line = match first_line(bytes) {
        Guess::Yes(line) => line.get(4..).unwrap_or_default(),
        Guess::Perhaps => return Guess::Perhaps,
        Guess::No => return Guess::No,
    };
    let named = words(line).next().is_some_and(|word| word.contains(&b'.') && word[0].is_ascii_alphanumeric());
    let mail = holds(line, b"smtp") || (!holds(line, b"ftp") && !holds(line, b"filezilla") && named);
    Guess::Yes(if mail { Greeting::Smtp } else { Greeting::Ftp })
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Ftp, Other, Smtp};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn ftp_is_told_by_its_greeting_and_by_its_commands() {
        for greeting in [
            "220 (vsFTPd 3.0.3)\r\n",
            "220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n",
            "220-FileZilla Server 1.8.0\r\n",
            "220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n",
            "220 Microsoft FTP Service\r\n",
            "220 ftp.example.fr FTP server ready.\r\n",
            "220 Bienvenue\r\n",
        ] {
            assert_eq!(from_server(greeting), Ftp, "{greeting}");
        }
        for command in ["USER anonymous\r\n", "AUTH TLS\r\n", "user a\n", "FEAT\r\n"] {
            assert_eq!(from_client(command), Ftp, "{command}");
        }
        assert_eq!(from_server("220 mail.example.fr ESMTP ftp-relay\r\n"), Smtp);
        assert_eq!(from_server("230 logged in\r\n"), Other);
        assert_eq!(from_client("USERS\r\n"), Other);
        assert_eq!(from_client("FEATURE\r\n"), Other);
    }
}
