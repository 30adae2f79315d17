//! What a client's connection and the service behind it know of each other: hyper owns the stream and stands between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::Ending;
use crate::framing::Fault;

/// What the connection and its service know of each other.
#[derive(Debug, Clone)]
pub struct Phase(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// No request is arriving or being served.
    idle: AtomicBool,
    /// What was wrong with the head in whose place the next request stands.
    fault: Mutex<Option<Fault>>,
    /// The fault of a head or a body that ended the connection, if one did.
    last: Mutex<Option<Fault>>,
    /// The client neither sent nor took enough in time.
    stalled: AtomicBool,
    /// An answer broke off before its end.
    cut: AtomicBool,
}

impl Phase {
    pub(super) fn new() -> Self {
        Phase(Arc::new(Shared {
            idle: AtomicBool::new(false),
            fault: Mutex::default(),
            last: Mutex::default(),
            stalled: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }))
    }

    /// Whether the client could be sent away without losing anything.
    pub fn is_idle(&self) -> bool {
        self.0.idle.load(Ordering::Relaxed)
    }

    /// The fault in whose place the request stands that is being served.
    pub fn take_fault(&self) -> Option<Fault> {
        lock(&self.0.fault).take()
    }

    /// How the connection ended, where it was the client's doing.
    pub fn ending(&self) -> Option<Ending> {
        match *lock(&self.0.last) {
            Some(Fault::TooSlow) => Some(Ending::TimedOut),
            Some(Fault::HeadTooLarge | Fault::TargetTooLong | Fault::TooManyFields) => Some(Ending::OverLimit),
            Some(_) => Some(Ending::ClientInvalid),
            None if self.0.stalled.load(Ordering::Relaxed) => Some(Ending::TimedOut),
            None => None,
        }
    }

    pub(super) fn is_now_idle(&self, idle: bool) {
        self.0.idle.store(idle, Ordering::Relaxed);
    }

    pub(super) fn set_fault(&self, fault: Fault, in_head: bool) {
        *lock(&self.0.last) = Some(fault);
        if in_head {
            *lock(&self.0.fault) = Some(fault);
        }
    }

    /// An answer does not come to its end.
    pub fn cut(&self) {
        self.0.cut.store(true, Ordering::Relaxed);
    }

    /// Whether the client must see that the connection broke.
    pub(super) fn is_broken(&self) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }

    pub(super) fn set_stalled(&self) {
        self.0.stalled.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
