//! The small grammar in which people say when.
//!
//! | written | means |
//! |---|---|
//! | `2026-11-23T10:00:00+01:00`, `…Z` | that instant (RFC 3339) |
//! | `2026-11-23 10:00`, `2026-11-23T10:00:30` | that local time |
//! | `10:00` | that local time of today |
//! | `2026-11-23`, `today`, `yesterday` | that local day: from its start, or until its end |
//! | `now` | now |
//! | `90s`, `30m`, `2h`, `7d` | so long ago |
//!
//! Local is the zone of the policy (Europe/Paris). A local time that the clocks skip in March is the hour after, one
//! that they repeat in October is the first of the two (RFC 5545). A range holds its first instant and not its last.

use jiff::civil;
use jiff::tz::TimeZone;
use std::time::Duration;

use crate::access::Timestamp;

/// Which end of a range a text stands for: what a whole day means depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    From,
    To,
}

/// What a text cannot be read as, with what could be written instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time: write 2026-11-23, \"2026-11-23 10:00\", 10:00, 2026-11-23T10:00:00+01:00, today, yesterday, now, \
     or how long ago: 30m, 2h, 7d"
)]
pub struct NoTime(pub String);

/// Reads a text as one end of a range.
pub fn parse(text: &str, edge: Edge, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, NoTime> {
    let text = text.trim();
    let today = zone.to_datetime(now.to_jiff()).date();
    let read = match text {
        "now" => Some(now),
        "today" => whole_day(today, edge, zone),
        "yesterday" => today.yesterday().ok().and_then(|day| whole_day(day, edge, zone)),
        _ => ago(text, now)
            .or_else(|| text.parse::<Timestamp>().ok())
            .or_else(|| local(text, today, zone))
            .or_else(|| whole_day(date(text)?, edge, zone)),
    };
    read.ok_or_else(|| NoTime(text.into()))
}

fn whole_day(day: civil::Date, edge: Edge, zone: &TimeZone) -> Option<Timestamp> {
    let day = match edge {
        Edge::From => day,
        Edge::To => day.tomorrow().ok()?,
    };
    instant(day.at(0, 0, 0, 0), zone)
}

fn instant(local: civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(local).ok().map(Timestamp::from)
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = number(&text[..text.len() - 1])?;
    Some(now.minus(Duration::from_secs(u64::from(number) * seconds)))
}

/// Digits only: `+3` and ` 3` are no numbers here.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn date(text: &str) -> Option<civil::Date> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let is_written_out = year.len() == 4 && month.len() == 2 && day.len() == 2;
    is_written_out.then(|| civil::Date::new(number(year)?, number(month)?, number(day)?).ok())?
}

fn time(text: &str) -> Option<civil::Time> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let is_written_out = (1..=2).contains(&hour.len()) && minute.len() == 2 && second.len() == 2;
    is_written_out.then(|| civil::Time::new(number(hour)?, number(minute)?, number(second)?, 0).ok())?
}

fn local(text: &str, today: civil::Date, zone: &TimeZone) -> Option<Timestamp> {
    let (day, rest) = match text.split_once([' ', 'T']) {
        Some((day, rest)) => (date(day)?, rest),
        None => (today, text),
    };
    instant(day.to_datetime(time(rest)?), zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, edge: Edge, expected: &str) {
        let now: Timestamp = "2026-11-23T09:15:00Z".parse().unwrap();
        let read = parse(text, edge, now, &TimeZone::get("Europe/Paris").unwrap());
        assert_eq!(read.map_or_else(|e| e.to_string(), |t| t.to_string()), expected, "{text}");
    }

    #[test]
    fn people_say_when_in_their_own_time() {
        for (text, expected) in [
            ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00.000000Z"),
            ("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00.500000Z"),
            ("2026-11-23 10:00", "2026-11-23T09:00:00.000000Z"),
            ("2026-11-23T10:00:30", "2026-11-23T09:00:30.000000Z"),
            ("2026-07-01 10:00", "2026-07-01T08:00:00.000000Z"),
            ("8:05", "2026-11-23T07:05:00.000000Z"),
            ("now", "2026-11-23T09:15:00.000000Z"),
            ("2h", "2026-11-23T07:15:00.000000Z"),
            ("30m", "2026-11-23T08:45:00.000000Z"),
            ("7d", "2026-11-16T09:15:00.000000Z"),
            // The clocks skip 02:30 on the last Sunday of March and repeat it on the last of October.
            ("2026-03-29 02:30", "2026-03-29T01:30:00.000000Z"),
            ("2026-10-25 02:30", "2026-10-25T00:30:00.000000Z"),
        ] {
            check(text, Edge::From, expected);
            check(text, Edge::To, expected);
        }
    }

    #[test]
    fn a_day_is_meant_from_its_start_and_until_its_end() {
        for (text, start, end) in [
            ("2026-11-23", "2026-11-22T23:00:00.000000Z", "2026-11-23T23:00:00.000000Z"),
            ("today", "2026-11-22T23:00:00.000000Z", "2026-11-23T23:00:00.000000Z"),
            ("yesterday", "2026-11-21T23:00:00.000000Z", "2026-11-22T23:00:00.000000Z"),
            ("2026-03-29", "2026-03-28T23:00:00.000000Z", "2026-03-29T22:00:00.000000Z"),
        ] {
            check(text, Edge::From, start);
            check(text, Edge::To, end);
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in
            ["", "10", "23/11/2026", "2026-13-01", "25:00", "2h30", "-2h", "+2h", "99999999999d", "é", "2026-1-1"]
        {
            let now = Timestamp::from_micros(0);
            let error = parse(text, Edge::From, now, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no time: write 2026-11-23,")), "{error}");
        }
    }
}
