//! What a source says is right, in its own words, and whether it was heard.
//!
//! `reject`, `accept`, `2xx`, `400`, `close`, `timeout`, `2xx + close`, `!101`, `non-1xx response`, `forward unambiguously`,
//! `3 requests`, joined by `or`, `/` and commas; what stands in brackets explains.

use super::send::Heard;

/// Whether one of the alternatives of `want` is what happened. `requests`: how many requests the origin received, where
/// all readers agree.
pub fn is_met(want: &str, heard: &Heard, requests: Option<usize>) -> bool {
    let plain: String = strip_brackets(want);
    let plain = plain
        .replace(", or ", "/")
        .replace(" or ", "/")
        .replace(", ", "/")
        .replace(" + ", "+")
        .replace("with Cookie in body", "");
    plain.split('/').map(str::trim).filter(|one| !one.is_empty()).any(|one| alternative(one, heard, requests))
}

fn alternative(one: &str, heard: &Heard, requests: Option<usize>) -> bool {
    let succeeded = heard.statuses.iter().any(|status| (200..300).contains(status));
    let refused = !succeeded && (heard.closed || heard.statuses.iter().any(|status| *status >= 400));
    match one {
        "reject" => refused,
        "accept" | "2xx" => succeeded,
        "close" => heard.closed && !succeeded,
        "timeout" => heard.statuses.first() == Some(&408),
        "2xx+close" => succeeded && heard.closed,
        "!101" => !heard.statuses.contains(&101) && !heard.hung,
        "non-1xx response" => heard.interim.is_empty() && !heard.statuses.is_empty(),
        "forward unambiguously" => requests == Some(1),
        "see source" => !heard.hung,
        many if many.ends_with(" requests") => {
            many.strip_suffix(" requests").and_then(|n| n.parse().ok()) == requests && requests.is_some()
        }
        number => number.parse().is_ok_and(|status: u16| heard.statuses.first() == Some(&status)),
    }
}

fn strip_brackets(text: &str) -> String {
    let mut depth = 0;
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn the_words_of_the_sources_are_understood() {
    let heard = |statuses: &[u16], closed| Heard { statuses: statuses.to_vec(), closed, ..Heard::default() };
    for (want, statuses, closed, requests, met) in [
        ("reject", &[400][..], true, Some(0), true),
        ("reject (Empty Content-Length)", &[200], false, Some(1), false),
        ("400/431 (rejected) or 2xx (survived)", &[200], false, Some(1), true),
        ("400/431 or close", &[], true, Some(0), true),
        ("2xx + close", &[200], false, Some(1), false),
        ("2xx + close", &[200], true, Some(1), true),
        ("400/501 or 2xx+close", &[501], true, Some(0), true),
        ("!101", &[101], true, Some(1), false),
        ("reject, or forward unambiguously", &[400], true, Some(0), true),
        ("reject, or forward unambiguously", &[200], false, Some(2), false),
        ("reject, or forward unambiguously", &[200], false, None, false),
        ("reject, or forward unambiguously", &[200], false, Some(1), true),
        ("400 or close (pass), 2xx (warn)", &[200], false, Some(1), true),
        ("501/405/400 or close", &[200], false, Some(1), false),
    ] {
        assert_eq!(is_met(want, &heard(statuses, closed), requests), met, "{want} {statuses:?}");
    }
}
