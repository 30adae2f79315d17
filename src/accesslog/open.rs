//! What is open: an intent in the journal, the room for its completion, and the promise that one will be written.

use super::budget::completion_room;
use super::error::AppendError;
use super::frame::{Key, Kind};
use super::journaled::{Journaled, Totals};
use super::log::{AccessLog, put};
use super::writer::Room;
use crate::access::Ending;
use crate::metrics::METRICS;

/// An access or a connection whose intent is in the journal. Dropped without [`Open::complete`], it is completed as
/// `interrupted`.
pub struct Open<R: Journaled> {
    log: AccessLog,
    sequence: u64,
    slice: u32,
    room: u64,
    /// The intent of the present slice.
    intent: R,
    /// What the slices before this one have told of.
    told: Totals,
    is_complete: bool,
}

impl<R: Journaled> Open<R> {
    /// `record` as it is known; how it ends until something better is known is `interrupted`.
    pub(super) fn begin(log: AccessLog, sequence: u64, record: &R) -> Result<Self, AppendError> {
        let stream = log.stream(R::STREAM);
        let key = Key { sequence, slice: 0 };
        let mut reserved = 0;
        stream.append(
            |doubtful, out| put(Kind::Intent, key, record, doubtful, out),
            |bytes| {
                reserved = completion_room(bytes);
                Room::Ask(reserved)
            },
        )?;
        let intent = record.clone();
        Ok(Open { log, sequence, slice: 0, room: reserved, intent, told: Totals::default(), is_complete: false })
    }

    /// The sequence of its rows in this lane and stream; an access names its connection by it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Ends a slice of something that goes on: its row ends `continues`, and the next slice begins. `so_far` tells of
    /// the whole, from the first start and with all bytes; a row tells of its slice. Refused, the slice goes on.
    pub fn slice(&mut self, so_far: &R) -> Result<(), AppendError> {
        let mut ended = self.of_this_slice(so_far);
        *ended.course().ending = Ending::Continues;
        let mut next = ended.clone();
        next.set_totals(Totals::default());
        let course = next.course();
        (*course.start, *course.ending) = (*course.end, Ending::Interrupted);

        let (key, next_key) = (self.key(), Key { slice: self.slice + 1, ..self.key() });
        self.log.stream(R::STREAM).append(
            |doubtful, out| {
                put(Kind::Completion, key, &ended, doubtful, out);
                put(Kind::Intent, next_key, &next, doubtful, out);
            },
            |_| Room::Ask(0),
        )?;
        METRICS.records_appended.add(1);
        self.slice += 1;
        self.told = so_far.totals();
        self.intent = next;
        Ok(())
    }

    /// Writes the completion: the whole record, with all bytes. An error says that it is not written yet; it is tried
    /// again, and if the process dies before that, the row will end `interrupted`.
    pub fn complete(mut self, record: &R) -> Result<(), AppendError> {
        if self.slice == 0 {
            return self.finish(record);
        }
        let last = self.of_this_slice(record);
        self.finish(&last)
    }

    fn finish(&mut self, record: &R) -> Result<(), AppendError> {
        self.is_complete = true;
        let (key, room) = (self.key(), self.room);
        self.log
            .stream(R::STREAM)
            .append(|doubtful, out| put(Kind::Completion, key, record, doubtful, out), |_| Room::Use(room))?;
        METRICS.records_appended.add(1);
        Ok(())
    }

    fn key(&self) -> Key {
        Key { sequence: self.sequence, slice: self.slice }
    }

    /// The part of `whole` that no earlier slice has told of.
    fn of_this_slice(&self, whole: &R) -> R {
        let mut part = whole.clone();
        part.set_totals(whole.totals().since(self.told));
        if self.slice > 0 {
            let mut intent = self.intent.clone();
            *part.course().start = *intent.course().start;
        }
        part
    }
}

impl<R: Journaled> Drop for Open<R> {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        let mut record = self.intent.clone();
        let now = self.log.0.clock.now();
        let is_help_line = record.is_help_line();
        let course = record.course();
        *course.ending = Ending::Interrupted;
        if !is_help_line {
            *course.end = now.max(*course.start);
        }
        if let Err(error) = self.finish(&record) {
            tracing::warn!(%error, "an interrupted access is not completed in the journal yet");
        }
    }
}
