//! One stream of the own lane: gives sequences, encodes outside the lock, appends under it.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::AppendError;
use super::gaps::Gaps;
use super::writer::{Room, Writer, sync};
use crate::access::Timestamp;
use crate::clock::Clock;
use crate::metrics::METRICS;

pub(super) struct StreamJournal {
    next_sequence: AtomicU64,
    /// What the last append found out about the clock: the next one encodes accordingly.
    is_doubtful: AtomicBool,
    writer: Mutex<Writer>,
    /// One sync at a time.
    syncing: Mutex<()>,
    gaps: Mutex<Gaps>,
    clock: Clock,
}

thread_local! {
    /// Frames are encoded here, so that an append allocates nothing.
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl StreamJournal {
    pub(super) fn new(writer: Writer, clock: Clock) -> Self {
        StreamJournal {
            next_sequence: AtomicU64::new(1),
            is_doubtful: AtomicBool::new(false),
            writer: Mutex::new(writer),
            syncing: Mutex::new(()),
            gaps: Mutex::default(),
            clock,
        }
    }

    pub(super) fn take_sequence(&self) -> u64 {
        self.next_sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Appends the frames that `encode` makes; it is told whether the clock is doubtful. `room` is asked how many bytes
    /// they are.
    pub(super) fn append(
        &self,
        encode: impl Fn(bool, &mut Vec<u8>),
        room: impl FnOnce(usize) -> Room,
    ) -> Result<(), AppendError> {
        FRAMES
            .with_borrow_mut(|frames| {
                frames.clear();
                let believed = self.is_doubtful.load(Ordering::Relaxed);
                encode(believed, frames);
                let mut writer = self.writer();
                // Read under the lock: times in a segment do not go backwards unless the clock does.
                let next_sequence = self.next_sequence.load(Ordering::Relaxed);
                let is_doubtful = writer.turn(self.clock.now(), next_sequence);
                if is_doubtful != believed {
                    self.is_doubtful.store(is_doubtful, Ordering::Relaxed);
                    frames.clear();
                    encode(is_doubtful, frames);
                }
                let room = room(frames.len());
                writer.append(frames, room, next_sequence)
            })
            .inspect_err(|_| METRICS.append_failures.add(1))
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic under the lock was counted where it happened; the journal must go on.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what goes on without a record. An error: not even that can be written down.
    pub(super) fn count_unwritten(&self, at: Timestamp, cause: &str) -> Result<(), AppendError> {
        self.gaps().count(self, at, cause)
    }

    fn gaps(&self) -> MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gap_room(&self) -> u64 {
        self.writer().gap_room()
    }

    pub(super) fn refill_gap_room(&self) -> bool {
        self.writer().refill_gap_room()
    }

    /// Makes durable what was appended before the call.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.gaps().turn(self, self.clock.now());
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        sync::sync(&self.writer)
    }

    /// Ends the live segment if it is old enough and holds anything, and begins the next; makes that durable.
    pub(super) fn close_if_due(&self) -> io::Result<()> {
        let next_sequence = self.next_sequence.load(Ordering::Relaxed);
        let turned = self.writer().turn_if_idle(self.clock.now(), next_sequence);
        if turned { self.sync() } else { Ok(()) }
    }

    /// Ends the live segment and syncs it.
    pub(super) fn close(&self) -> io::Result<()> {
        self.gaps().end(self);
        self.writer().close();
        self.sync()
    }
}
