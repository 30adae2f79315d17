//! Dates, hours and spaces as each language writes them.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Language;
use crate::access::Timestamp;

/// U+00A0, which French puts before a colon and inside guillemets.
const NO_BREAK: char = '\u{a0}';
/// U+202F, which French puts before `;`, `!` and `?`.
const NARROW_NO_BREAK: char = '\u{202f}';

const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// `lundi 23 novembre 2026 à 09:15:00`, in the zone named; in UTC, and said so, where there is no such zone.
pub(super) fn moment(language: Language, time: Timestamp, zone: &str) -> String {
    let (zone, suffix) = match TimeZone::get(zone) {
        Ok(zone) => (zone, ""),
        Err(_) => (TimeZone::UTC, " UTC"),
    };
    let local = zone.to_datetime(time.to_jiff());
    let day = weekday(language, local.weekday());
    let clock = local.strftime("%H:%M:%S");
    match language {
        Language::French => {
            let month = MONTHS[usize::from(local.month().unsigned_abs()) - 1];
            let number = if local.day() == 1 { "1er".to_owned() } else { local.day().to_string() };
            format!("{day} {number} {month} {} à {clock}{suffix}", local.year())
        }
        Language::English => format!("{day} {} at {clock}{suffix}", local.strftime("%-d %B %Y")),
    }
}

/// The same instant for the `datetime` attribute of `<time>`.
pub(super) fn machine_moment(time: Timestamp) -> String {
    time.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn weekday(language: Language, day: Weekday) -> &'static str {
    let (french, english) = match day {
        Weekday::Monday => ("lundi", "Monday"),
        Weekday::Tuesday => ("mardi", "Tuesday"),
        Weekday::Wednesday => ("mercredi", "Wednesday"),
        Weekday::Thursday => ("jeudi", "Thursday"),
        Weekday::Friday => ("vendredi", "Friday"),
        Weekday::Saturday => ("samedi", "Saturday"),
        Weekday::Sunday => ("dimanche", "Sunday"),
    };
    match language {
        Language::French => french,
        Language::English => english,
    }
}

/// `8 h`, `17 h 30`; `8:00`, `17:30`.
pub(super) fn clock(language: Language, time: Time) -> String {
    match (language, time.minute()) {
        (Language::French, 0) => format!("{}{NO_BREAK}h", time.hour()),
        (Language::French, minute) => format!("{}{NO_BREAK}h{NO_BREAK}{minute:02}", time.hour()),
        (Language::English, minute) => format!("{}:{minute:02}", time.hour()),
    }
}

/// `lundi, mardi et jeudi`.
pub(super) fn list(language: Language, items: &[&str]) -> String {
    let and = match language {
        Language::French => " et ",
        Language::English => " and ",
    };
    match items {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{}{and}{last}", first.join(", ")),
    }
}

/// A configured text made ready to be shown: characters that would reorder or hide others are replaced, and French
/// gets the spaces that a keyboard does not have.
pub(super) fn shown(language: Language, text: &str) -> String {
    let text: String = text.chars().map(|c| if disturbs(c) { '\u{fffd}' } else { c }).collect();
    match language {
        Language::English => text,
        Language::French => french_spaces(&text),
    }
}

/// Everything but the unreserved characters of RFC 3986, so that no text can end its place in a `mailto:`.
pub(super) const MAIL_FIELD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const MAIL_ADDRESS: &AsciiSet = &MAIL_FIELD.remove(b'@');

/// A configured mail address as it is shown and as it is linked.
pub(super) struct Mail {
    pub(super) shown: String,
    /// `mailto:` (RFC 6068), without fields.
    pub(super) link: String,
}

impl Mail {
    pub(super) fn to(address: &str) -> Mail {
        let link = format!("mailto:{}", utf8_percent_encode(address, MAIL_ADDRESS));
        // No French spaces here: an address is no sentence.
        Mail { shown: shown(Language::English, address), link }
    }
}

/// Controls, and the marks and overrides of direction, with which a name can be made to look like another one.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn french_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(match (c, rest.peek(), out.chars().next_back()) {
            (' ', Some(':' | '»'), _) | (' ', _, Some('«')) => NO_BREAK,
            (' ', Some(';' | '!' | '?'), _) => NARROW_NO_BREAK,
            _ => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_local_time_through_the_year() {
        let check = |utc: &str, zone, french: &str, english: &str| {
            let time = utc.parse().unwrap();
            assert_eq!(moment(Language::French, time, zone), french);
            assert_eq!(moment(Language::English, time, zone), english);
        };
        let paris = "Europe/Paris";
        check(
            "2026-11-23T08:15:00Z",
            paris,
            "lundi 23 novembre 2026 à 09:15:00",
            "Monday 23 November 2026 at 09:15:00",
        );
        check(
            "2026-06-30T22:30:07Z",
            paris,
            "mercredi 1er juillet 2026 à 00:30:07",
            "Wednesday 1 July 2026 at 00:30:07",
        );
        check(
            "2026-11-23T08:15:00Z",
            "Mars/Olympus",
            "lundi 23 novembre 2026 à 08:15:00 UTC",
            "Monday 23 November 2026 at 08:15:00 UTC",
        );
    }

    #[test]
    fn french_gets_its_spaces_and_nothing_else_changes() {
        assert_eq!(
            shown(Language::French, "« Oui » : non ; si !"),
            "«\u{a0}Oui\u{a0}»\u{a0}: non\u{202f}; si\u{202f}!"
        );
        assert_eq!(shown(Language::English, "a : b"), "a : b");
        assert_eq!(shown(Language::French, "https://example.fr/?a"), "https://example.fr/?a");
    }

    #[test]
    fn a_text_cannot_turn_the_direction_of_what_follows() {
        assert_eq!(shown(Language::English, "moc\u{202e}.example\n"), "moc\u{fffd}.example\u{fffd}");
    }
}
