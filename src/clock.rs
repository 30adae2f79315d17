//! The only place that asks the system what time it is.
//!
//! Everything else is handed a [`Clock`], so that tests can turn it.

mod quality;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::access::Timestamp;
use crate::access::proof::ClockQuality;

/// Tells the time in UTC. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that a test turns by hand: microseconds since 1970 UTC.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn manual(at: Timestamp) -> Self {
        Clock::Manual(Arc::new(AtomicI64::new(at.as_micros())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => system_now(),
            Clock::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
        }
    }

    /// How good it is, where that is known.
    pub fn quality(&self) -> ClockQuality {
        match self {
            Clock::System => quality::of_the_system(),
            Clock::Manual(_) => ClockQuality::default(),
        }
    }

    /// Turns a manual clock; the system's clock does not listen.
    pub fn set(&self, at: Timestamp) {
        if let Clock::Manual(micros) = self {
            micros.store(at.as_micros(), Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 reads as 1970: its rows are visibly wrong, and nothing stops.
    Timestamp::from_micros(since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
}
