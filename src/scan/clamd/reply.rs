//! What clamd answers to INSTREAM (clamd(8), "COMMANDS").

use super::super::Signature;

/// A longer answer is none.
pub const MAX_REPLY: usize = 4096;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Clean,
    Found(Signature),
    /// More was sent than its `StreamMaxLength`.
    OverLimit,
    /// It could not scan, in its own words.
    Error(String),
}

/// What is not one of clamd's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is none of clamd's")]
pub struct Unreadable;

/// Reads one answer, with or without the zero byte or line feed at its end.
pub fn parse(reply: &[u8]) -> Result<Reply, Unreadable> {
    if reply.len() > MAX_REPLY {
        return Err(Unreadable);
    }
    let text = std::str::from_utf8(reply).map_err(|_| Unreadable)?;
    let text = text.trim_end_matches(['\0', '\n', '\r']);
    if text.contains(['\0', '\n']) {
        return Err(Unreadable);
    }
    if let Some(error) = text.strip_suffix(" ERROR") {
        return Ok(match error {
            "INSTREAM size limit exceeded." => Reply::OverLimit,
            _ => Reply::Error(Signature::new(error).to_string()),
        });
    }
    match text.strip_prefix("stream: ").ok_or(Unreadable)? {
        "OK" => Ok(Reply::Clean),
        found => {
            let name = found.strip_suffix(" FOUND").filter(|name| !name.trim().is_empty()).ok_or(Unreadable)?;
            Ok(Reply::Found(Signature::new(name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamd_s_answers_are_read_and_nothing_else_is_taken_for_clean() {
        let found = |name: &str| Ok(Reply::Found(Signature::new(name)));
        for (text, expected) in [
            ("stream: OK\0", Ok(Reply::Clean)),
            ("stream: OK\n", Ok(Reply::Clean)),
            ("stream: OK", Ok(Reply::Clean)),
            ("stream: Eicar-Test-Signature FOUND\0", found("Eicar-Test-Signature")),
            ("stream: Win.Test.EICAR_HDB-1(44d8:68) FOUND\0", found("Win.Test.EICAR_HDB-1(44d8:68)")),
            ("stream: OK FOUND\0", found("OK")),
            ("INSTREAM size limit exceeded. ERROR\0", Ok(Reply::OverLimit)),
            ("stream: Can't allocate memory ERROR\0", Ok(Reply::Error("stream: Can't allocate memory".into()))),
            ("UNKNOWN COMMAND\0", Err(Unreadable)),
            ("stream:  FOUND\0", Err(Unreadable)),
            ("stream: OK\0stream: X FOUND\0", Err(Unreadable)),
            ("stream: OK ", Err(Unreadable)),
            ("", Err(Unreadable)),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse(b"stream: \xff FOUND"), Err(Unreadable));
        assert_eq!(parse(&[b'a'; MAX_REPLY + 1]), Err(Unreadable));
    }
}
