//! SMTP and LMTP (RFC 5321, RFC 2033): the server greets with `220`, the client answers `EHLO`, `HELO` or `LHLO`.

use super::ftp::{Greeting, greeting};
use super::guess::{Guess, line_is, words};

pub(super) fn client(bytes: &[u8]) -> Guess {
    Guess::begins_with_one(bytes, &[b"EHLO ", b"HELO ", b"LHLO "]).and(line_is(bytes, |line| words(line).count() == 2))
}

pub(super) fn server(bytes: &[u8]) -> Guess {
    match greeting(bytes) {
        Guess::Yes(Greeting::Smtp) => Guess::Yes(()),
        Guess::Yes(Greeting::Ftp) | Guess::No => Guess::No,
        Guess::Perhaps => Guess::Perhaps,
    }
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Smtp};
    use crate::detect::tests::{from_client, from_server};

    #[test]
    fn mail_that_is_sent_is_told_from_either_side() {
        for greeting in [
            "220 mx.google.com ESMTP x-20020a - gsmtp\r\n",
            "220 mail.example.fr\r\n",
            "220-smtp.example.fr ESMTP Exim 4.96\r\n",
            "220 EXCHANGE.example.fr Microsoft ESMTP MAIL Service ready\r\n",
        ] {
            assert_eq!(from_server(greeting), Smtp, "{greeting}");
        }
        for command in ["EHLO client.example\r\n", "helo a\n", "LHLO a\r\n"] {
            assert_eq!(from_client(command), Smtp, "{command}");
        }
        for not in ["EHLO\r\n", "EHLO a b\r\n", "EHLOS a\r\n"] {
            assert_eq!(from_client(not), Other, "{not}");
        }
        assert_eq!(from_server("554 no service\r\n"), Other);
    }
}
