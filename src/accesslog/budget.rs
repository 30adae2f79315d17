//! What the spool may still hold: bytes written and bytes promised to the completions of what is open.

use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by both streams and the shipper.
pub(super) struct Budget {
    max: u64,
    used: AtomicU64,
    reserved: AtomicU64,
}

/// What a completion may be longer than its intent: a path, a finding, counts that became large.
const COMPLETION_MORE: u64 = 1024;

/// The room that is kept for the completion of an intent of so many bytes.
pub(super) fn completion_room(intent: usize) -> u64 {
    intent as u64 + COMPLETION_MORE
}

impl Budget {
    pub(super) fn new(max: u64, used: u64) -> Self {
        Budget { max, used: AtomicU64::new(used), reserved: AtomicU64::new(0) }
    }

    /// Reserves `room` if `bytes` can be written besides. The streams are few and each holds its own lock: what two
    /// could take too much at one instant is one record.
    pub(super) fn reserve(&self, bytes: u64, room: u64) -> bool {
        let reserved = self.reserved.fetch_add(room, Ordering::Relaxed);
        let fits = self.used().saturating_add(reserved).saturating_add(room + bytes) <= self.max;
        if !fits {
            self.free(room);
        }
        fits
    }

    /// Reserves `room` whatever else is there: for what tells that something is full.
    pub(super) fn claim(&self, room: u64) {
        self.reserved.fetch_add(room, Ordering::Relaxed);
    }

    /// Gives a reserve back.
    pub(super) fn free(&self, room: u64) {
        self.reserved.fetch_sub(room, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file is gone.
    pub(super) fn removed(&self, bytes: u64) {
        let _ = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// What may still be written that is not promised.
    pub(super) fn left(&self) -> u64 {
        self.max.saturating_sub(self.used()).saturating_sub(self.reserved.load(Ordering::Relaxed))
    }

    pub(super) fn is_half_empty(&self) -> bool {
        self.left() >= self.max / 2
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// What was counted on the disk: other processes ship and delete too.
    pub(super) fn recount(&self, used: u64) {
        self.used.store(used, Ordering::Relaxed);
    }
}
