//! What the journal and the shipper are told; the defaults with their reasons.

use std::path::PathBuf;
use std::time::Duration;

use super::aside::Dates;
use super::proof::Proofs;
use crate::access::{CollegeCode, GatewayName};
use crate::config::{Config, OnFull, StoreKind};

/// How the journal writes.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// The spool: lanes lie in it, sealed day keys beside it (`<directory>/../sealed`).
    pub directory: PathBuf,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    /// `age` recipients (`age1…`) that day keys are sealed to. None: no person is recorded.
    pub recipients: Vec<String>,
    /// A segment is closed at this size…
    pub segment_bytes: u64,
    /// …or this age, and at midnight UTC.
    pub segment_age: Duration,
    /// The window of the group fsync: what a power cut may cost.
    pub sync_window: Duration,
    /// The most that the whole spool may hold.
    pub max_bytes: u64,
    /// What becomes of traffic that cannot be written because there is no room.
    pub on_full: OnFull,
}

impl JournalSettings {
    pub fn new(directory: impl Into<PathBuf>, college: CollegeCode, gateway: GatewayName) -> Self {
        JournalSettings {
            directory: directory.into(),
            college,
            gateway,
            recipients: Vec::new(),
            // 40,000 rows of about 200 bytes: read back in a few milliseconds, deleted soon after it is shipped.
            segment_bytes: 8 << 20,
            // A quiet gateway's segments are forgotten within the hour too.
            segment_age: Duration::from_secs(3600),
            sync_window: Duration::from_millis(200),
            // Seven days without the centre at 2 M accesses a day (intent and completion, both streams).
            max_bytes: 8 << 30,
            on_full: OnFull::Refuse,
        }
    }
}

/// How the shipper sends.
#[derive(Debug, Clone)]
pub struct ShipSettings {
    /// The pause between two looks at the journal.
    pub interval: Duration,
    /// The most rows in a batch.
    pub batch_rows: usize,
    /// How long an acknowledged segment is kept.
    pub keep: Duration,
    /// Whether the store is asked for the rows of a segment before that is deleted.
    pub confirm: bool,
    /// First and longest pause before a batch is sent again; each pause is doubled, with jitter.
    pub retry_first: Duration,
    pub retry_longest: Duration,
    /// Rows with other dates go to quarantine.
    pub dates: Dates,
    /// What seals the segments before they are forgotten; `None`: nothing is provable.
    pub proofs: Option<Proofs>,
}

impl ShipSettings {
    /// As the store wants it: a row is found in the store of this machine within a second; a server gets few and large
    /// batches.
    pub fn of(config: &Config) -> Self {
        let server = &config.store.server;
        // A day more: what is older goes as soon as it arrives.
        let days = |days: u32| Duration::from_secs((u64::from(days) + 1) * 86_400);
        let retention = &config.retention;
        let dates = Dates { accesses: days(retention.accesses_days), connections: days(retention.connections_days) };
        match config.store.kind {
            StoreKind::Embedded => ShipSettings { dates, ..ShipSettings::default() },
            StoreKind::ClickHouse => ShipSettings {
                interval: server.batch,
                batch_rows: server.batch_rows,
                keep: server.keep,
                confirm: true,
                dates,
                ..ShipSettings::default()
            },
        }
    }

    /// What is acknowledged goes at once where the spool has no room to keep it: what is new comes first.
    pub(super) fn with_room(mut self, has_room: bool) -> Self {
        if !has_room {
            self.keep = Duration::ZERO;
        }
        self
    }
}

impl Default for ShipSettings {
    fn default() -> Self {
        ShipSettings {
            // The embedded store is asked soon after: a row is found within a second of its end.
            interval: Duration::from_millis(500),
            batch_rows: 20_000,
            // The embedded store lies on the same disk: a second copy there protects from nothing.
            keep: Duration::ZERO,
            confirm: false,
            retry_first: Duration::from_millis(200),
            retry_longest: Duration::from_secs(30),
            dates: Dates::default(),
            proofs: None,
        }
    }
}
