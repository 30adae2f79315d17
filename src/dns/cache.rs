//! Answers that were given and may be given again: bounded, each until its time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::question::Key;
use super::stored::Stored;

/// A longer answer is given and not kept: with `cache_entries` this bounds the memory.
const BYTES_MAX: usize = 4096;
/// How many entries in use are passed over before one goes all the same.
const SECOND_CHANCES: usize = 16;

/// Everybody's answers. When it is full the oldest goes that nobody asked for lately ("second chance").
#[derive(Debug)]
pub struct Cache {
    entries: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Arc<[u8]>, Entry>,
    /// Oldest first; each key of `answers` once.
    order: VecDeque<Arc<[u8]>>,
}

#[derive(Debug)]
struct Entry {
    stored: Arc<Stored>,
    learnt: Instant,
    until: Instant,
    used: bool,
}

impl Cache {
    /// For so many answers; 0 keeps none.
    pub fn new(entries: usize) -> Self {
        Cache { entries, kept: Mutex::default() }
    }

    /// An answer that still holds, and its age.
    pub fn find(&self, key: &Key, now: Instant) -> Option<(Arc<Stored>, Duration)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.answers.get_mut(key.as_slice()).filter(|entry| now < entry.until)?;
        entry.used = true;
        Some((entry.stored.clone(), now - entry.learnt))
    }

    pub fn keep(&self, key: &Key, stored: Arc<Stored>, now: Instant) {
        self.keep_for(key, stored.clone(), now, stored.ttl);
    }

    /// The same for another time than the answer's own.
    pub fn keep_for(&self, key: &Key, stored: Arc<Stored>, now: Instant, time: Duration) {
        if self.entries == 0 || time.is_zero() || stored.bytes() > BYTES_MAX {
            return;
        }
        let entry = Entry { stored, learnt: now, until: now + time, used: false };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.answers.get_mut(key.as_slice()) {
            *known = entry;
            return;
        }
        if kept.answers.len() >= self.entries {
            kept.make_room(now);
        }
        let key: Arc<[u8]> = key.as_slice().into();
        kept.order.push_back(key.clone());
        kept.answers.insert(key, entry);
    }

    /// The rules or the zones have changed.
    pub fn forget_all(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).answers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Kept {
    fn make_room(&mut self, now: Instant) {
        for chance in 0.. {
            let Some(key) = self.order.pop_front() else { return };
            match self.answers.get_mut(&key) {
                Some(entry) if entry.used && now < entry.until && chance < SECOND_CHANCES => {
                    entry.used = false;
                    self.order.push_back(key);
                }
                _ => {
                    self.answers.remove(&key);
                    return;
                }
            }
        }
    }
}
