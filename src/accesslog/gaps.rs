//! What goes on without a record, counted and told: the gaps of one stream of the own lane.
//!
//! A gap begins with a frame, written before the first access passes, into room that was set aside when the journal was
//! opened. Then it is counted in memory, told at growing distances (a gap frame, and the beginning of the next part), and
//! ended when there was nothing to count for a while and the room is whole again. A process that dies in between leaves a
//! beginning without an end: recovery tells of that, with a count that nobody knows.

use std::time::Duration;

use super::error::AppendError;
use super::frame::{GAP_FRAMES_MAX, put_gap, put_gap_begins, put_gap_ends};
use super::stream::StreamJournal;
use super::writer::Room;
use crate::access::{Gap, Timestamp};
use crate::metrics::METRICS;

/// The gap that is open, if one is.
#[derive(Default)]
pub(super) struct Gaps(Option<OpenGap>);

struct OpenGap {
    /// Of the part that no frame has told of yet.
    since: Timestamp,
    count: u64,
    latest: Timestamp,
    cause: String,
    tell_after: Duration,
}

/// An open gap is told of after this time, then after twice as long, up to the longest.
const TELL_FIRST: Duration = Duration::from_secs(1);
const TELL_LONGEST: Duration = Duration::from_secs(600);
/// Without anything to count for so long, a gap has ended.
const QUIET: Duration = Duration::from_secs(1);

/// The room that is set aside for the gaps of a stream: some fifty tellings, or a 64th of a small spool.
pub(super) fn room(spool_max: u64) -> u64 {
    (spool_max / 64).clamp(3 * GAP_FRAMES_MAX, 16 << 10)
}

impl Gaps {
    /// Counts one more at `at`; writes the beginning first where none is open. An error: it is not counted, and must not
    /// go on.
    pub(super) fn count(&mut self, stream: &StreamJournal, at: Timestamp, cause: &str) -> Result<(), AppendError> {
        if let Some(open) = &mut self.0 {
            open.count += 1;
            open.latest = open.latest.max(at);
            METRICS.unwritten.add(1);
            return Ok(());
        }
        stream.append(|_, out| put_gap_begins(at, cause, out), |_| Room::Gap)?;
        tracing::error!(cause, "accesses are not written to the journal from now on; a gap record will tell how many");
        METRICS.unwritten.add(1);
        self.0 = Some(OpenGap { since: at, count: 1, latest: at, cause: cause.to_owned(), tell_after: TELL_FIRST });
        Ok(())
    }

    /// Ends or tells of the open gap where that is due.
    pub(super) fn turn(&mut self, stream: &StreamJournal, now: Timestamp) {
        let Some(open) = &mut self.0 else { return };
        if now.since(open.latest) >= QUIET && stream.refill_gap_room() {
            self.end(stream);
        } else if now.since(open.since) >= open.tell_after && open.count > 0 && stream.gap_room() >= 2 * GAP_FRAMES_MAX
        {
            open.tell(stream, now);
        }
    }

    /// Ends the open gap: the disk has room again, or the process stops.
    pub(super) fn end(&mut self, stream: &StreamJournal) {
        let Some(open) = self.0.take() else { return };
        let gap = open.gap();
        let frame = |_, out: &mut Vec<u8>| if gap.count > 0 { put_gap(&gap, out) } else { put_gap_ends(out) };
        match stream.append(frame, |_| Room::Gap) {
            Ok(()) => {
                METRICS.gaps.add(u64::from(gap.count > 0));
                tracing::warn!(until = %open.latest, "accesses are written to the journal again");
                // What the end took.
                stream.refill_gap_room();
            }
            // It stays open, and its beginning stands in the journal.
            Err(_) => self.0 = Some(open),
        }
    }
}

impl OpenGap {
    /// What no frame has told of yet.
    fn gap(&self) -> Gap {
        Gap {
            since: self.since,
            until: self.latest.max(self.since),
            count: self.count,
            segment: 0,
            cause: self.cause.clone(),
        }
    }

    fn tell(&mut self, stream: &StreamJournal, now: Timestamp) {
        let gap = Gap { until: now.max(self.since), ..self.gap() };
        let frames = |_, out: &mut Vec<u8>| {
            put_gap(&gap, out);
            put_gap_begins(gap.until, &gap.cause, out);
        };
        if stream.append(frames, |_| Room::Gap).is_ok() {
            METRICS.gaps.add(1);
            (self.since, self.count) = (gap.until, 0);
            self.tell_after = (self.tell_after * 2).min(TELL_LONGEST);
        }
    }
}
