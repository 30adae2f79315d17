//! When: the hours of a week, in local time.
//!
//! A schedule is civil time ("from 08:00 to 18:00 in Paris"), so a change of clock needs no thought: the hour that
//! is skipped never comes, the hour that comes twice counts twice.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::rule::When;
use crate::access::Timestamp;

/// How many schedules a policy may have: one bit each.
pub(super) const MAX_SCHEDULES: usize = 64;
/// Minutes of a civil day.
const DAY: u16 = 24 * 60;
/// Monday first, as everywhere here.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Some days, from a minute to another; over midnight where `to` is not after `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Bit 0 is Monday. For a schedule over midnight: the day on which it begins.
    pub days: u8,
    /// Minute of the day, 0 to 1439.
    pub from: u16,
    /// 1 to 1440, exclusive.
    pub to: u16,
}

impl Schedule {
    fn hours(&self, outside: bool) -> Hours {
        let time = |minute: u16| Time::midnight() + jiff::Span::new().minutes(i64::from(minute % DAY));
        let days = (0..7i8).filter(|day| self.days >> day & 1 == 1);
        let days = days.filter_map(|day| Weekday::from_monday_zero_offset(day).ok()).collect();
        Hours { days, from: time(self.from), to: time(self.to), outside }
    }

    fn holds(&self, weekday: Weekday, minute: u16) -> bool {
        let today = weekday.to_monday_zero_offset() as u8;
        let yesterday = (today + 6) % 7;
        let on = |day: u8| self.days >> day & 1 == 1;
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        (on(today) && minute >= self.from) || (on(yesterday) && minute < self.to)
    }
}

/// Hours of a week, as a page tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    pub days: Vec<Weekday>,
    pub from: Time,
    /// Midnight at the end of a day is 00:00.
    pub to: Time,
    /// Outside these hours instead of within.
    pub outside: bool,
}

/// Every schedule of a policy, and the time zone they are written in.
#[derive(Debug, Clone)]
pub(super) struct Timetable {
    zone: TimeZone,
    schedules: Vec<Schedule>,
    /// Told apart from all others, those of replaced rules too.
    number: u64,
}

thread_local! {
    /// The last answer: whose, of which minute, which. Schedules have minutes, so within one nothing changes.
    static LAST: Cell<(u64, i64, u64)> = const { Cell::new((0, 0, 0)) };
}

impl Timetable {
    pub fn new(zone: TimeZone, schedules: Vec<Schedule>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Timetable { zone, schedules, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The schedules that hold at an instant, one bit each.
    pub fn holding(&self, at: Timestamp) -> u64 {
        if self.schedules.is_empty() {
            return 0;
        }
        let minute = at.as_micros().div_euclid(60_000_000);
        let (number, last_minute, last) = LAST.get();
        if (number, last_minute) == (self.number, minute) {
            return last;
        }
        let holding = self.look_up(at);
        LAST.set((self.number, minute, holding));
        holding
    }

    fn look_up(&self, at: Timestamp) -> u64 {
        let local = self.zone.to_datetime(at.to_jiff());
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let weekday = local.weekday();
        let holds = self.schedules.iter().enumerate().filter(|(_, schedule)| schedule.holds(weekday, minute));
        holds.fold(0, |mask, (i, _)| mask | 1 << i)
    }

    /// The hours at which a rule holds; none: always. A rule that names hours within and hours without holds at the
    /// first but for the second: the first are told, which promises no more freedom than there is.
    pub fn hours(&self, when: When) -> Vec<Hours> {
        let (named, outside) = if when.inside == 0 { (when.outside, true) } else { (when.inside, false) };
        let schedules = self.schedules.iter().enumerate().filter(|(i, _)| named >> i & 1 == 1);
        schedules.map(|(_, schedule)| schedule.hours(outside)).collect()
    }

    /// Instants of one week between which nothing changes: what holds at each of them holds at all times.
    pub fn instants(&self) -> Vec<Timestamp> {
        let edges = |schedule: &Schedule| [schedule.from % DAY, schedule.to % DAY];
        let mut minutes: Vec<u16> = self.schedules.iter().flat_map(edges).chain([0]).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let days = if self.schedules.is_empty() { 1 } else { 7 };
        // A Monday; no clock changes in that week.
        let monday = jiff::civil::date(2026, 11, 23);
        let instants = (0..days).flat_map(|day| minutes.iter().filter_map(move |&m| minute_of(monday, day, m)));
        instants.filter_map(|local| self.zone.to_timestamp(local).ok()).map(Timestamp::from).collect()
    }

    /// An instant as people of the school read it.
    pub fn local(&self, at: Timestamp) -> String {
        self.zone.to_datetime(at.to_jiff()).strftime("%A %H:%M").to_string()
    }
}

fn minute_of(monday: Date, day: i64, minute: u16) -> Option<DateTime> {
    let date = monday.checked_add(jiff::Span::new().days(day)).ok()?;
    Some(date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0))
}

/// `08:30` as minutes of the day; `24:00` is the end of the day.
pub(super) fn parse_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| match part.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => part.parse::<u16>().ok(),
        _ => None,
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(schedule: Schedule, at: &str) -> bool {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        Timetable::new(paris, vec![schedule]).holding(at.parse().unwrap()) == 1
    }

    const MONDAY: u8 = 1;
    const SATURDAY: u8 = 1 << 5;

    #[test]
    fn a_schedule_holds_from_its_first_minute_to_before_its_last() {
        let morning = Schedule { days: MONDAY, from: 8 * 60, to: 12 * 60 };
        for (at, expected) in [
            ("2026-11-23T07:59:59.999999+01:00", false),
            ("2026-11-23T08:00:00+01:00", true),
            ("2026-11-23T11:59:59.999999+01:00", true),
            ("2026-11-23T12:00:00+01:00", false),
            ("2026-11-24T10:00:00+01:00", false),
            // The same hours in summer are other instants.
            ("2026-07-06T08:00:00+02:00", true),
            ("2026-07-06T08:00:00+01:00", true),
            ("2026-07-06T07:30:00+02:00", false),
        ] {
            assert_eq!(holds(morning, at), expected, "{at}");
        }
    }

    #[test]
    fn a_schedule_over_midnight_belongs_to_the_day_it_begins() {
        let night = Schedule { days: MONDAY, from: 22 * 60, to: 6 * 60 };
        for (at, expected) in [
            ("2026-11-23T05:00:00+01:00", false),
            ("2026-11-23T22:00:00+01:00", true),
            ("2026-11-24T00:00:00+01:00", true),
            ("2026-11-24T05:59:00+01:00", true),
            ("2026-11-24T06:00:00+01:00", false),
            ("2026-11-24T22:00:00+01:00", false),
        ] {
            assert_eq!(holds(night, at), expected, "{at}");
        }
        let sunday_night = Schedule { days: 1 << 6, from: 22 * 60, to: 6 * 60 };
        assert!(holds(sunday_night, "2026-11-23T05:00:00+01:00"), "Sunday night ends on Monday");
    }

    #[test]
    fn a_whole_day_ends_at_24_00() {
        let saturday = Schedule { days: SATURDAY, from: 0, to: DAY };
        assert!(holds(saturday, "2026-11-28T00:00:00+01:00"));
        assert!(holds(saturday, "2026-11-28T23:59:59+01:00"));
        assert!(!holds(saturday, "2026-11-29T00:00:00+01:00"));
    }

    #[test]
    fn a_change_of_clock_neither_loses_nor_adds_a_minute_of_a_schedule() {
        let sunday = |from, to| Schedule { days: 1 << 6, from, to };
        // 2026-03-29, 02:00 → 03:00: from 01:30 to 03:30 lasts one hour.
        let spring = sunday(90, 210);
        assert!(holds(spring, "2026-03-29T00:30:00Z"));
        assert!(holds(spring, "2026-03-29T01:29:00Z"), "03:29 summer time");
        assert!(!holds(spring, "2026-03-29T01:30:00Z"), "03:30 summer time");
        // 2026-10-25, 03:00 → 02:00: from 02:00 to 03:00 lasts two hours.
        let autumn = sunday(120, 180);
        assert!(!holds(autumn, "2026-10-24T23:59:00Z"));
        assert!(holds(autumn, "2026-10-25T00:00:00Z"), "the first 02:00");
        assert!(holds(autumn, "2026-10-25T01:59:00Z"), "the second 02:59");
        assert!(!holds(autumn, "2026-10-25T02:00:00Z"));
    }

    #[test]
    fn the_instants_of_a_week_meet_every_state_of_the_timetable() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let night = Schedule { days: MONDAY, from: 22 * 60, to: 6 * 60 };
        let table = Timetable::new(paris, vec![night, Schedule { days: MONDAY, from: 8 * 60, to: 12 * 60 }]);
        let seen: std::collections::BTreeSet<u64> = table.instants().iter().map(|at| table.holding(*at)).collect();
        assert_eq!(seen, [0, 1, 2].into());
    }

    #[test]
    fn a_time_of_day_has_two_digits_twice() {
        for (text, expected) in [
            ("00:00", Some(0)),
            ("08:30", Some(510)),
            ("24:00", Some(1440)),
            ("24:01", None),
            ("8:30", None),
            ("08:60", None),
            ("08h30", None),
            ("", None),
            ("+8:30", None),
        ] {
            assert_eq!(parse_minute(text), expected, "{text}");
        }
    }
}
