//! Deletion on the day: which days are past their duration, and whether the clock may be believed about that.
//!
//! A clock that jumped years ahead would empty the log. So what the clock says is held against a mark (when it was last
//! believed, in the file `believed` of the store) and, while the process runs, against the monotonic clock. After a jump
//! forward, and after an absence longer than [`ABSENCE`], nothing is deleted until the clock has gone evenly for
//! [`TRIAL`]. A clock that is behind deletes too little, never too much.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::{Stream, Timestamp};

/// How long each stream is kept, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durations {
    pub accesses_days: u32,
    pub connections_days: u32,
}

impl Durations {
    pub fn of(self, stream: Stream) -> u32 {
        match stream {
            Stream::Accesses => self.accesses_days,
            Stream::Connections => self.connections_days,
        }
    }

    /// The first UTC day of a stream that is kept at `now`.
    pub fn first_kept(self, stream: Stream, now: Timestamp) -> i32 {
        now.day().saturating_sub(i32::try_from(self.of(stream)).unwrap_or(i32::MAX))
    }

    /// The first UTC day that any stream keeps.
    pub fn first_kept_of_all(self, now: Timestamp) -> i32 {
        let longest = self.accesses_days.max(self.connections_days);
        now.day().saturating_sub(i32::try_from(longest).unwrap_or(i32::MAX))
    }
}

/// A gateway that was off for longer (more than a summer's holidays) has its clock tried first.
pub const ABSENCE: Duration = Duration::from_secs(75 * 86_400);
/// How long a clock must go evenly after a jump.
pub const TRIAL: Duration = Duration::from_secs(86_400);
/// What NTP may correct without it being a jump.
const TOLERANCE: Duration = Duration::from_secs(600);

/// Whether the clock is to be believed.
pub struct ClockWatch {
    mark: Mark,
    last: Option<(Timestamp, Duration)>,
    /// Since when it goes evenly, by the monotonic clock, while it is on trial.
    on_trial_since: Option<Duration>,
}

impl ClockWatch {
    /// With the mark of the processes before, which lies in the store's directory.
    pub fn new(store: &Path) -> Self {
        ClockWatch { mark: Mark(store.join("believed")), last: None, on_trial_since: None }
    }

    /// Asks at `now`, `uptime` being what a monotonic clock says; `None` when nothing may be deleted now.
    pub fn believes(&mut self, now: Timestamp, uptime: Duration) -> io::Result<Option<Timestamp>> {
        let jumped = match self.last {
            Some((then, uptime_then)) => now > then.plus(uptime.saturating_sub(uptime_then)).plus(TOLERANCE),
            None => self.mark.read()?.is_some_and(|believed| now > believed.plus(ABSENCE)),
        };
        self.last = Some((now, uptime));
        if jumped {
            tracing::error!(%now, "the clock jumped ahead, or this gateway was off for long: nothing is deleted for a day");
            self.on_trial_since = Some(uptime);
        }
        if self.on_trial_since.is_some_and(|since| uptime.saturating_sub(since) < TRIAL) {
            return Ok(None);
        }
        self.on_trial_since = None;
        self.mark.write(now)?;
        Ok(Some(now))
    }
}

/// A file with one instant in it.
struct Mark(PathBuf);

impl Mark {
    fn read(&self) -> io::Result<Option<Timestamp>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, at: Timestamp) -> io::Result<()> {
        let aside = self.0.with_extension("aside");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o640).open(&aside)?;
        writeln!(file, "{at}")?;
        file.sync_all()?;
        fs::rename(&aside, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_stream_is_kept_for_its_days_and_no_longer() {
        let durations = Durations { accesses_days: 183, connections_days: 365 };
        let first = |stream| Timestamp::start_of_day(durations.first_kept(stream, noon())).to_string();
        assert!(first(Stream::Accesses).starts_with("2026-05-24T00:00:00"), "{}", first(Stream::Accesses));
        assert!(first(Stream::Connections).starts_with("2025-11-23T00:00:00"));
        assert_eq!(durations.first_kept_of_all(noon()), durations.first_kept(Stream::Connections, noon()));
    }

    #[test]
    fn a_clock_that_jumped_ahead_deletes_nothing_until_it_has_gone_evenly_for_a_day() {
        let store = tempfile::TempDir::new().unwrap();
        let mut watch = ClockWatch::new(store.path());
        let mut believes = |now: Timestamp, hours: u32| watch.believes(now, HOUR * hours).unwrap().is_some();
        assert!(believes(noon(), 0), "a store without a mark is new");
        assert!(believes(noon().plus(HOUR), 1));
        let wrong = noon().plus(HOUR * 24 * 4000);
        assert!(!believes(wrong, 2), "eleven years ahead");
        assert!(!believes(wrong.plus(HOUR * 23), 25));
        // Corrected before the day is over: it is behind what was seen last, and never was believed in between.
        assert!(!believes(noon().plus(HOUR * 25), 25));
        assert!(believes(noon().plus(HOUR * 26), 26), "a day after the jump");
    }

    #[test]
    fn a_clock_that_is_wrong_at_the_start_is_held_against_the_mark_of_the_process_before() {
        let store = tempfile::TempDir::new().unwrap();
        let start = |now: Timestamp| ClockWatch::new(store.path()).believes(now, Duration::ZERO).unwrap().is_some();
        assert!(start(noon()));
        assert!(start(noon().plus(HOUR * 24 * 70)), "summer holidays");
        assert!(!start(noon().plus(HOUR * 24 * 4000)), "a dead battery");
        assert!(!start(noon().plus(HOUR * 24 * 4000)), "and again");
        assert!(start(noon().plus(HOUR * 24 * 71)), "the mark was not moved by it");
        assert!(start(noon()), "a clock that is behind deletes too little, never too much");
    }
}
