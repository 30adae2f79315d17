//! What an update says: a line that is redrawn on a terminal, one line or one JSON object a source at its end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Ending, Receipt, Report, Step};

/// Often enough to be seen to move.
const REDRAW: Duration = Duration::from_millis(100);

/// The line that moves; silent where nobody looks.
pub struct Watch<'a> {
    source: &'a str,
    terminal: bool,
    drawn: Option<Instant>,
}

impl<'a> Watch<'a> {
    pub fn new(source: &'a str) -> Self {
        Watch { source, terminal: io::stderr().is_terminal(), drawn: None }
    }

    pub fn show(&mut self, step: Step<'_>) {
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if self.terminal && (is_due || !matches!(step, Step::Fetching(_))) {
            self.drawn = Some(Instant::now());
            self.draw(&in_words(step));
        }
    }

    fn draw(&self, text: &str) {
        // A terminal that does not take it has nobody in front of it.
        let _ = write!(io::stderr(), "\r\x1b[K{}: {text}", self.source);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn in_words(step: Step<'_>) -> String {
    match step {
        Step::Asking(url) => format!("asking {}", url.host_str().unwrap_or_default()),
        Step::Fetching(progress) => match progress.expected.filter(|expected| *expected > 0) {
            Some(expected) => {
                let percent = progress.received * 100 / expected;
                format!("{} of {} ({percent} %)", size(progress.received), size(expected))
            }
            None => size(progress.received),
        },
        Step::Unpacking => "unpacking".to_owned(),
        Step::Counting => "counting".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// One object or one line on `out`; what went wrong on `err`.
pub fn say(as_json: bool, report: &Report, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
    for why in &report.why {
        writeln!(err, "{}: {why}", report.source)?;
    }
    if as_json { writeln!(out, "{}", object(report)) } else { writeln!(out, "{}", line(report)) }
}

fn object(report: &Report) -> serde_json::Value {
    let receipt = report.receipt.as_ref();
    json!({
        "source": report.source,
        "result": match report.ending {
            Ending::Updated => "updated",
            Ending::Unchanged => "unchanged",
            Ending::Restored => "restored",
            Ending::Refused => "refused",
            Ending::Unreachable => "unreachable",
            Ending::Failed => "failed",
        },
        "url": receipt.map(|receipt| &receipt.url),
        "fetched": receipt.map(|receipt| receipt.fetched),
        "checked": receipt.map(|receipt| receipt.checked),
        "bytes": receipt.map(|receipt| receipt.bytes),
        "sha256": receipt.map(|receipt| &receipt.sha256),
        "entries": receipt.map(Receipt::entries),
        "entries_before": report.entries_before,
        "bad_lines": receipt.map(|receipt| receipt.bad_lines),
        "why": report.why,
    })
}

fn line(report: &Report) -> String {
    let name = &report.source;
    let Some(receipt) = &report.receipt else {
        return match report.entries_before {
            Some(entries) => format!("{name}: not updated; the list in place stays ({entries} entries)"),
            None => format!("{name}: not updated, and there was none before"),
        };
    };
    let (entries, day) = (receipt.entries(), receipt.fetched.to_jiff().strftime("%Y-%m-%d"));
    match report.ending {
        Ending::Updated => {
            let change = report
                .entries_before
                .map_or(String::new(), |before| format!(" ({:+})", i128::from(entries) - i128::from(before)));
            let (bytes, url) = (size(receipt.bytes), &receipt.url);
            format!("{name}: updated, {entries} entries{change}, {bytes} from {url}")
        }
        Ending::Unchanged => format!("{name}: unchanged since {day}, {entries} entries"),
        Ending::Restored => format!("{name}: the version of {day} is back, {entries} entries"),
        Ending::Refused | Ending::Unreachable | Ending::Failed => {
            format!("{name}: not updated; the list of {day} stays ({entries} entries)")
        }
    }
}

/// Where a list comes from, for `ecluse lists show`.
pub fn provenance(receipt: &Receipt) -> String {
    let moment = |at: crate::access::Timestamp| at.to_jiff().strftime("%Y-%m-%d %H:%M UTC").to_string();
    let mut text = format!(
        "fetched {}, last checked {}\n  from {}\n  {} bytes, sha256 {}\n  {} entries, {} lines could not be used",
        moment(receipt.fetched),
        moment(receipt.checked),
        receipt.url,
        receipt.bytes,
        receipt.sha256,
        receipt.entries(),
        receipt.bad_lines,
    );
    if let Some(aside) = &receipt.set_aside {
        text.push_str(&format!("\n  restored; set aside: sha256 {aside}"));
    }
    text
}
