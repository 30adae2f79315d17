//! Counters and gauges of the running gateway, read by `status` and exported as metrics.
//!
//! One struct with a field per figure: a figure that is counted nowhere, or read by nobody, is visible here.

use std::sync::atomic::{AtomicU64, Ordering};

/// A figure that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A figure that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    pub const fn new() -> Self {
        Gauge(AtomicU64::new(0))
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn up(&self) {
        self.up_by(1);
    }

    pub fn up_by(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! figures {
    ($($(#[$meta:meta])* $name:ident: $kind:ident,)+) => {
        /// Every figure of the gateway.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[$meta])* pub $name: $kind,)+ }

        impl Metrics {
            const fn new() -> Self {
                Metrics { $($name: $kind::new(),)+ }
            }

            /// Name and value of each figure, in order of declaration.
            pub fn values(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)+]
            }
        }
    };
}

figures! {
    /// Client connections accepted.
    connections_accepted: Counter,
    /// Client connections open now.
    connections_open: Gauge,
    /// Flows of datagrams that are known now, refused ones too.
    datagram_flows: Gauge,
    /// Seconds in which idle clients were asked to leave because nearly all places were taken.
    places_wanted: Counter,
    /// Accesses by what was answered.
    accesses_forwarded: Counter,
    /// Bodies that were to be scanned, those of them that were not passed on whole, and those without a verdict.
    bodies_scanned: Counter,
    bodies_refused: Counter,
    scans_failed: Counter,
    accesses_tunnelled: Counter,
    /// Connections of TLS that were opened.
    connections_inspected: Counter,
    /// Hosts that were found to be opened for nobody for a day.
    hosts_pinned: Counter,
    /// Encrypted ClientHellos whose keys are known: the name that was judged is not the one that was meant.
    ech_real: Counter,
    accesses_refused: Counter,
    accesses_failed: Counter,
    /// Questions of names: asked of us, answered from memory, refused by policy, dropped because a client asked too
    /// many, and failed because nobody could say.
    names_asked: Counter,
    names_from_cache: Counter,
    names_refused: Counter,
    names_dropped: Counter,
    names_failed: Counter,
    /// Tasks that panicked: each is a bug.
    panics: Counter,
    /// Records appended to the journal, intents not counted.
    records_appended: Counter,
    /// Appends that failed.
    append_failures: Counter,
    /// Accesses and connections that no record was written of, and the gap records that tell of them.
    unwritten: Counter,
    gaps: Counter,
    /// Rows acknowledged by the store.
    rows_shipped: Counter,
    /// Rows that the store had acknowledged and had not: they were sent again.
    rows_found_missing: Counter,
    /// Attempts to ship a batch that failed and are tried again.
    ship_retries: Counter,
    /// Rows in the journal that the store has not acknowledged.
    backlog_rows: Gauge,
    backlog_bytes: Gauge,
    /// How long the oldest of them has waited, in seconds.
    backlog_age_s: Gauge,
    /// The last acknowledgement of the store: microseconds since 1970 UTC.
    acknowledged_us: Gauge,
    /// Batches that the store refused for good: what lies in the spool's folder `poison`.
    poison_batches: Gauge,
    /// Rows whose dates cannot be right: what lies in the spool's folder `quarantine`.
    quarantined_rows: Gauge,
    /// Sealed segments that were compressed because they had to wait.
    segments_compressed: Counter,
    /// What the journal may still write, in bytes: of its own bound, and of the disk.
    journal_left_bytes: Gauge,
    /// Every row that ended before is in the store: microseconds since 1970 UTC.
    shipped_up_to_us: Gauge,
    /// Snapshots of rules installed, and refused because they were broken.
    rules_installed: Counter,
    rules_rejected: Counter,
}

/// The figures of this process.
pub static METRICS: Metrics = Metrics::new();
