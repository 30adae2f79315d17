//! The trail of consultations: who asked what of the log, when, why, and how many rows came.
//!
//! The trail is there for the data-protection officer and answers for the log itself, so it is apart from it and
//! nobody can be shown a row before the question stands in it, synced to the disk. Refused questions stand in it too.
//!
//! **Files.** `<state>/trail/consultations-2026-11.jsonl`, one a month, mode 0600, appended to and never altered; a month that is
//! older than its retention may be deleted as a whole. The month is UTC; if the clock goes back, lines go on
//! in the newest file.
//!
//! **Lines.** One JSON object per line. `previous` is the SHA-256 of the line before, without its line feed, across files; 64
//! zeros in the first of all. `number` counts lines from 1. So a line that is altered, removed or moved breaks the chain at
//! the next one, and [`verify()`] names it. What a chain cannot show is that its *end* was cut off: note the head that
//! `verify` gives (the monthly report does) and compare it later.
//!
//! **A crash** in the middle of a line leaves it without its line feed. The next writer adds the line feed and goes on: what
//! was torn stays, is part of the chain, and is counted by `verify`. Writers in several processes take turns by a lock on `lock`.
//!
//! A question and its answer are two lines: the answer carries the number of the question. A question without an
//! answer was broken off after it was asked.

mod chain;
mod verify;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Pseudonym, Stream, Timestamp};
pub use verify::{Broken, Verified, verify};

/// The longest text of a line's fields, in bytes: a line with all of them stays under [`chain::LINE_MAX`].
const TEXT_MAX: usize = 512;
/// How long the trail is kept: as long as the longest that the rows are which it is about.
pub const KEPT_MONTHS: u32 = 12;
/// The most pseudonyms a line holds: one a day for over a year.
const PERSONS_MAX: usize = 400;

/// One line, as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub number: u64,
    pub previous: String,
    pub time: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody asks.
    Asked {
        #[serde(flatten)]
        asker: Asker,
        command: String,
        filters: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// They were answered, perhaps not to the end.
    Answered {
        question: u64,
        rows: u64,
        complete: bool,
        /// Whom the name asked for was: a name itself is never here.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        persons: Vec<Pseudonym>,
    },
    /// They were not.
    Refused { question: u64, why: String },
    /// Nobody asked: rows of a UTC day were past their duration and went.
    Purged {
        stream: Stream,
        day: String,
        rows: u64,
        /// The duration that was in force.
        kept_days: u32,
    },
    /// Nobody asked: a month of the trail itself was past its duration and went.
    Forgotten { month: String, kept_months: u32 },
}

/// Who asks, as the system knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    pub account: String,
    pub uid: u32,
    /// Who became that account with `sudo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
}

impl Asker {
    /// The account that runs this process.
    pub fn of_this_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let mut sudo_user = std::env::var("SUDO_USER").ok();
        sudo_user.as_mut().map(cut);
        Asker { account: account_name(uid).unwrap_or_else(|| uid.to_string()), uid, sudo_user }
    }
}

/// The name in `/etc/passwd`; accounts of a directory service show by number.
fn account_name(uid: u32) -> Option<String> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = uid.to_string();
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// Cuts a text to the trail's bound, at a character.
pub(super) fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

/// The trail cannot be written: nothing may be shown.
#[derive(Debug, thiserror::Error)]
#[error(
    "the trail of consultations in {path} cannot be written, so nothing is shown: {why}. \
     Run this as the gateway's account or with sudo, and see that the disk has room"
)]
pub struct TrailError {
    pub path: PathBuf,
    pub why: String,
}

/// A question that stands in the trail: the licence to answer it.
#[derive(Debug)]
#[must_use = "a question wants its answer in the trail"]
pub struct Question {
    directory: PathBuf,
    pub number: u64,
}

/// Writes a question down. Only then may it be answered.
pub fn ask(
    state: &Path,
    now: Timestamp,
    asker: Asker,
    command: &str,
    filters: Value,
    reason: Option<&str>,
) -> Result<Question, TrailError> {
    let directory = state.join("trail");
    let mut reason = reason.map(str::to_owned);
    reason.as_mut().map(cut);
    let event = Event::Asked { asker, command: command.into(), filters, reason };
    let number = chain::append(&directory, now, event)?;
    Ok(Question { directory, number })
}

/// Writes down that rows went because their time was over.
pub fn purged(
    state: &Path,
    now: Timestamp,
    stream: Stream,
    day: i32,
    rows: u64,
    kept_days: u32,
) -> Result<(), TrailError> {
    let date = Timestamp::start_of_day(day).to_string();
    let day = date.split('T').next().unwrap_or(&date).to_owned();
    chain::append(&state.join("trail"), now, Event::Purged { stream, day, rows, kept_days }).map(drop)
}

/// Deletes the months that ended longer than [`KEPT_MONTHS`] ago, that written down before; answers how many there were.
pub fn forget_old(state: &Path, now: Timestamp) -> Result<usize, TrailError> {
    let directory = state.join("trail");
    let wrong = |error: std::io::Error| TrailError { path: directory.clone(), why: error.to_string() };
    let old = chain::months_before(&directory, &first_kept_month(now)).map_err(wrong)?;
    for month in &old {
        chain::append(&directory, now, Event::Forgotten { month: month.clone(), kept_months: KEPT_MONTHS })?;
        chain::forget(&directory, month).map_err(wrong)?;
    }
    Ok(old.len())
}

/// `2025-11` in November 2026: a line is kept for twelve months, and its month until its last line was.
fn first_kept_month(now: Timestamp) -> String {
    let date = jiff::tz::TimeZone::UTC.to_datetime(now.to_jiff()).date();
    let months = i32::from(date.year()) * 12 + i32::from(date.month()) - 1 - KEPT_MONTHS as i32;
    format!("{:04}-{:02}", months.div_euclid(12), months.rem_euclid(12) + 1)
}

impl Question {
    /// Writes down how many rows were shown.
    pub fn answered(
        self,
        now: Timestamp,
        rows: u64,
        complete: bool,
        mut persons: Vec<Pseudonym>,
    ) -> Result<(), TrailError> {
        persons.truncate(PERSONS_MAX);
        chain::append(&self.directory, now, Event::Answered { question: self.number, rows, complete, persons })
            .map(drop)
    }

    /// Writes down that nothing was shown.
    pub fn refused(self, now: Timestamp, mut why: String) -> Result<(), TrailError> {
        cut(&mut why);
        chain::append(&self.directory, now, Event::Refused { question: self.number, why }).map(drop)
    }
}

#[cfg(test)]
mod tests;
