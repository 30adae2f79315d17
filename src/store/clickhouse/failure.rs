//! What an answer of the server means: try again, never, or only after somebody acted.

use clickhouse::error::Error;

use crate::store::{ReadError, StoreError};

/// Codes of the server's `ErrorCodes.cpp` that say something of this batch: it is set aside.
const POISON: [u32; 4] = [
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    33,  // CANNOT_READ_ALL_DATA
    117, // INCORRECT_DATA
    469, // VIOLATED_CONSTRAINT
];

/// Codes that are the same for every batch: the server wants somebody. A table with other columns or types than ours (16,
/// 53, and 117 for the head) is one of them: it wants `ecluse store migrate`, and setting aside every batch would help nobody.
const STOP: [u32; 12] = [
    16,  // NO_SUCH_COLUMN_IN_TABLE
    53,  // TYPE_MISMATCH
    60,  // UNKNOWN_TABLE
    81,  // UNKNOWN_DATABASE
    115, // UNKNOWN_SETTING
    164, // READONLY
    192, // UNKNOWN_USER
    193, // WRONG_PASSWORD
    194, // REQUIRED_PASSWORD
    452, // SETTING_CONSTRAINT_VIOLATION
    497, // ACCESS_DENIED
    516, // AUTHENTICATION_FAILED
];

/// The number after `Code: ` of the server's words.
pub(super) fn code(error: &Error) -> Option<u32> {
    let Error::BadResponse(words) = error else { return None };
    code_in(words)
}

fn code_in(words: &str) -> Option<u32> {
    let (_, rest) = words.split_once("Code: ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// What to do about a failed insert. Whatever is not known is tried again: it loses nothing.
pub(super) fn of_insert(error: &Error, endpoint: &str) -> StoreError {
    let why = format!("{endpoint}: {}", words(error));
    match code(error) {
        Some(117) if why.contains("Type of") => StoreError::Stop(why),
        Some(code) if POISON.contains(&code) => StoreError::Poison(why),
        Some(code) if STOP.contains(&code) => StoreError::Stop(why),
        _ => StoreError::Retry(why),
    }
}

/// What to do about a batch of which it could not be read whether it is stored.
pub(super) fn of_look(error: &ReadError) -> StoreError {
    let why = format!("whether it is stored cannot be read: {error}");
    match code_in(&why) {
        Some(code) if STOP.contains(&code) => StoreError::Stop(why),
        _ => StoreError::Retry(why),
    }
}

/// The error with its causes, on one line, short enough for a log.
pub(super) fn words(error: &Error) -> String {
    const MOST: usize = 600;
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    let mut words = words.replace(['\n', '\r', '\t'], " ");
    words.truncate(words.floor_char_boundary(MOST));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_to_try_again_to_set_aside_or_to_stop() {
        let answer = |code: u32, words: &str| {
            let error = Error::BadResponse(format!("Code: {code}. DB::Exception: {words}. (NAME) (version 26.7)"));
            match of_insert(&error, "https://a:8443") {
                StoreError::Retry(_) => "retry",
                StoreError::Poison(_) => "poison",
                StoreError::Stop(_) => "stop",
            }
        };
        for code in [159, 209, 210, 241, 242, 252, 999, 1002, 4711] {
            assert_eq!(answer(code, "x"), "retry", "{code}");
        }
        for code in [27, 33, 117, 469] {
            assert_eq!(answer(code, "x"), "poison", "{code}");
        }
        for code in [16, 53, 60, 81, 497, 516] {
            assert_eq!(answer(code, "x"), "stop", "{code}");
        }
        assert_eq!(answer(117, "Type of 'port' must be UInt16, not UInt32"), "stop", "another schema");
        let denied = ReadError::Unreadable("https://a:8443: Code: 497. DB::Exception: Not enough privileges".into());
        assert!(matches!(of_look(&denied), StoreError::Stop(_)));
        assert!(matches!(of_look(&ReadError::BrokeOff("gone".into())), StoreError::Retry(_)));
        for lost in [Error::TimedOut, Error::Network("gone".into()), Error::BadResponse("502 Bad Gateway".into())] {
            assert!(matches!(of_insert(&lost, "x"), StoreError::Retry(_)), "{lost}");
        }
    }
}
