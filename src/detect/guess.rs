//! What one reader says of a beginning, and how such answers are put together.
//!
//! `No` and `Yes` are final: more bytes never change them. So the answer of all readers together does not depend on how
//! the bytes were cut.

/// What one protocol says of a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess<T = ()> {
    /// It is not mine, whatever follows.
    No,
    /// It may become mine.
    Perhaps,
    Yes(T),
}

impl Guess {
    pub fn when(yes: bool) -> Guess {
        if yes { Guess::Yes(()) } else { Guess::No }
    }

    /// The bytes begin with `start`.
    pub fn begins(bytes: &[u8], start: &[u8]) -> Guess {
        let there = bytes.len().min(start.len());
        match bytes[..there] == start[..there] {
            false => Guess::No,
            true if there == start.len() => Guess::Yes(()),
            true => Guess::Perhaps,
        }
    }

    /// The same, whatever the case of its letters.
    pub fn begins_as(bytes: &[u8], start: &[u8]) -> Guess {
        let there = bytes.len().min(start.len());
        match bytes[..there].eq_ignore_ascii_case(&start[..there]) {
            false => Guess::No,
            true if there == start.len() => Guess::Yes(()),
            true => Guess::Perhaps,
        }
    }

    /// The bytes begin with one of these.
    pub fn begins_with_one(bytes: &[u8], starts: &[&[u8]]) -> Guess {
        starts.iter().fold(Guess::No, |guess, start| guess.or(Guess::begins_as(bytes, start)))
    }

    /// What `N` bytes from `at` on say, once they are there.
    pub fn at<const N: usize>(bytes: &[u8], at: usize, fits: impl FnOnce([u8; N]) -> bool) -> Guess {
        match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(found) => Guess::when(fits(*found)),
            None => Guess::Perhaps,
        }
    }

    pub fn and(self, other: Guess) -> Guess {
        match (self, other) {
            (Guess::No, _) | (_, Guess::No) => Guess::No,
            (Guess::Yes(()), Guess::Yes(())) => Guess::Yes(()),
            _ => Guess::Perhaps,
        }
    }

    pub fn or(self, other: Guess) -> Guess {
        match (self, other) {
            (Guess::Yes(()), _) | (_, Guess::Yes(())) => Guess::Yes(()),
            (Guess::No, Guess::No) => Guess::No,
            _ => Guess::Perhaps,
        }
    }
}

/// The longest first line of a text protocol that is waited for: SMTP's limit of a reply (RFC 5321 §4.5.3.1.5).
const LINE_MAX: usize = 512;

/// The first line without its end, once it is there.
pub(super) fn first_line(bytes: &[u8]) -> Guess<&[u8]> {
    match bytes.iter().take(LINE_MAX).position(|&b| b == b'\n') {
        Some(end) => Guess::Yes(bytes[..end].trim_ascii_end()),
        None if bytes.len() < LINE_MAX => Guess::Perhaps,
        None => Guess::No,
    }
}

/// Whether the first line, once whole, is such.
pub(super) fn line_is(bytes: &[u8], fits: impl FnOnce(&[u8]) -> bool) -> Guess {
    match first_line(bytes) {
        Guess::Yes(line) => Guess::when(fits(line)),
        Guess::Perhaps => Guess::Perhaps,
        Guess::No => Guess::No,
    }
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b' ').filter(|word| !word.is_empty())
}

/// Whether `text` holds `part`, whatever the case.
pub(super) fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// What stands before and behind the first `at`.
pub(super) fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((&text[..place], &text[place + 1..]))
}
