//! A journal on a fake disk, a store that forgives nothing, and a clock that is turned by hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::access::*;
use crate::accesslog::compress::Compressor;
use crate::accesslog::disk::fake::FakeDisk;
use crate::accesslog::ship::OwnStream;
use crate::accesslog::ship::dead::DeadLanes;
use crate::accesslog::ship::send::Patience;
use crate::accesslog::{AccessLog, JournalSettings, ShipSettings, Shipped};
use crate::clock::Clock;
use crate::store::{Batch, Filter, Found, Query, Question, ReadError, RecordStore, StoreError, Tally};

pub(in crate::accesslog) struct Rig {
    pub disk: FakeDisk,
    pub clock: Clock,
    pub settings: JournalSettings,
    pub ship: ShipSettings,
    pub log: AccessLog,
    pub store: StrictStore,
    own: Vec<OwnStream>,
    runtime: tokio::runtime::Runtime,
}

pub(in crate::accesslog) const NOON: Timestamp = Timestamp::from_micros(1_795_435_200_000_000);

impl Rig {
    pub fn new(seed: u64) -> Rig {
        Rig::with(seed, |_| {})
    }

    pub fn with(seed: u64, change: impl FnOnce(&mut JournalSettings)) -> Rig {
        let mut settings = JournalSettings::new(
            "/state/journal",
            CollegeCode::parse("0131234A").unwrap(),
            GatewayName::parse("gw-1").unwrap(),
        );
        change(&mut settings);
        let (disk, clock) = (FakeDisk::new(seed), Clock::manual(NOON));
        let log = AccessLog::on_disk(settings.clone(), clock.clone(), Arc::new(disk.clone())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut rig = Rig {
            disk,
            clock,
            settings,
            ship: ShipSettings::default(),
            log,
            store: StrictStore::default(),
            own: Vec::new(),
            runtime,
        };
        rig.adopt();
        rig
    }

    fn adopt(&mut self) {
        let stream = |stream| OwnStream::new(&self.log, stream).unwrap();
        self.own = vec![stream(Stream::Connections), stream(Stream::Accesses)];
    }

    /// The process is killed and another one starts.
    pub fn kill(&mut self) {
        self.start_on(self.disk.restart());
    }

    /// The power is cut and comes back.
    pub fn cut_power(&mut self) {
        self.start_on(self.disk.cut_power());
    }

    fn start_on(&mut self, disk: FakeDisk) {
        self.disk = disk;
        self.log = AccessLog::on_disk(self.settings.clone(), self.clock.clone(), Arc::new(self.disk.clone())).unwrap();
        self.adopt();
    }

    /// Syncs and ships everything of the own lane, one attempt for each batch.
    pub fn ship_own(&mut self) {
        let _ = self.log.sync();
        self.ship_synced();
    }

    /// Ships what is synced of the own lane.
    pub fn ship_synced(&mut self) {
        let Rig { own, log, store, ship, runtime, .. } = self;
        for stream in own {
            while runtime.block_on(stream.turn(log, store, ship, &mut Patience::tries(0), false)) {}
        }
    }

    /// Ships the lanes that nobody holds.
    pub fn ship_dead(&mut self) -> Shipped {
        let mut lanes =
            DeadLanes::new(Arc::new(self.disk.clone()), self.settings.directory.clone(), Some(self.log.lane()));
        let Rig { store, ship, clock, runtime, .. } = self;
        runtime.block_on(async {
            lanes.search().await;
            while lanes.turn(store, ship, clock, &mut Patience::tries(0)).await {}
        });
        lanes.into_shipped()
    }

    /// Compresses whatever waits.
    pub fn compress(&self) {
        let mut compressor = Compressor::new(self.log.clone());
        (0..2).for_each(|_| compressor.survey());
        while compressor.step() {}
    }

    pub fn advance(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }

    pub fn segments(&self) -> Vec<PathBuf> {
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
        let is_of_a_lane = |path: &PathBuf| {
            let folder = path.parent().and_then(Path::file_name);
            folder.is_some_and(|folder| folder.to_string_lossy().starts_with("lane-"))
        };
        self.disk.paths().into_iter().filter(is_segment).filter(is_of_a_lane).collect()
    }

    pub fn poison(&self) -> PathBuf {
        Path::new(&self.settings.directory).join("poison")
    }
}

/// Takes each token with one content, and each row once.
#[derive(Default)]
pub(in crate::accesslog) struct StrictStore {
    pub rows: Mutex<HashMap<(Stream, RowKey), Row>>,
    pub gaps: Mutex<Vec<GapRow>>,
    tokens: Mutex<HashMap<String, Batch>>,
    /// The next answers; then it is well.
    pub answers: Mutex<Vec<Answer>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::accesslog) enum Answer {
    /// Not stored, to be tried again.
    Lost,
    /// Stored, and the acknowledgement lost.
    StoredUnsaid,
    Refused,
    Closed,
    /// As if nothing were wrong.
    Passed,
}

impl RecordStore for StrictStore {
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        let answer = self.answers.lock().unwrap().pop();
        match answer {
            Some(Answer::Lost) => return Err(StoreError::Retry("lost".into())),
            Some(Answer::Refused) => return Err(StoreError::Poison("refused".into())),
            Some(Answer::Closed) => return Err(StoreError::Stop("closed".into())),
            Some(Answer::StoredUnsaid | Answer::Passed) | None => {}
        }
        let mut tokens = self.tokens.lock().unwrap();
        match tokens.get(&batch.token.to_string()) {
            Some(earlier) => assert_eq!(earlier, batch, "a token came again with other rows"),
            None => {
                tokens.insert(batch.token.to_string(), batch.clone());
                self.gaps.lock().unwrap().extend(batch.gaps.iter().cloned());
                for row in &batch.rows {
                    let key = (row.stream(), row.key().clone());
                    let doubled = self.rows.lock().unwrap().insert(key, row.clone());
                    assert!(doubled.is_none(), "{} brings a row twice: {row:?}", batch.token);
                }
            }
        }
        match answer {
            Some(Answer::StoredUnsaid) => Err(StoreError::Retry("connection reset".into())),
            _ => Ok(()),
        }
    }

    async fn confirm(&self, batch: &Batch) -> Result<u64, StoreError> {
        if let Some(Answer::Lost) = self.answers.lock().unwrap().pop() {
            return Err(StoreError::Retry("lost".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        let before = rows.len();
        for row in &batch.rows {
            rows.entry((row.stream(), row.key().clone())).or_insert_with(|| row.clone());
        }
        Ok((rows.len() - before) as u64)
    }

    async fn search(&self, _: &Query) -> Result<Found, ReadError> {
        Err(ReadError::Unreadable("this store is asked by its fields".into()))
    }

    async fn gaps(&self, _: &Filter) -> Result<Vec<GapRow>, ReadError> {
        Err(ReadError::Unreadable("this store is asked by its fields".into()))
    }

    async fn stats(&self, _: &Question) -> Result<Vec<Tally>, ReadError> {
        Err(ReadError::Unreadable("this store is asked by its fields".into()))
    }
}

impl StrictStore {
    /// What it was told is missing.
    pub fn told(&self) -> Vec<Gap> {
        self.gaps.lock().unwrap().iter().map(|row| row.gap.clone()).collect()
    }

    /// The accesses, by lane, sequence and slice.
    pub fn accesses(&self) -> Vec<AccessRow> {
        let rows = self.rows.lock().unwrap();
        let access = |row: &Row| match row {
            Row::Access(row) => Some((**row).clone()),
            Row::Connection(_) => None,
        };
        let mut rows: Vec<AccessRow> = rows.values().filter_map(access).collect();
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        rows
    }
}

pub(in crate::accesslog) fn access() -> AccessRecord {
    AccessRecord {
        connection: 1,
        person: Some(Pseudonym([9; 16])),
        identity_source: IdentitySource::AddressMap,
        identity_strength: IdentityStrength::Weak,
        client_address: Some("10.131.0.7".parse().unwrap()),
        start: NOON,
        end: NOON,
        method: "GET".into(),
        host: "example.fr".into(),
        host_source: HostSource::Asked,
        port: 80,
        protocol: Protocol::Http,
        path: "".into(),
        category: "".into(),
        action: ActionTaken::Forward,
        rule: "default".into(),
        list: "".into(),
        entry: "".into(),
        rules_version: "0123456789ab".into(),
        status: None,
        bytes_up: 0,
        bytes_down: 0,
        finding: "".into(),
        visit: Visit::Visited,
        ending: Ending::Interrupted,
        asked: "".into(),
        earlier_rule: "".into(),
        reference: None,
        count: 1,
        flags: Flags::default(),
    }
}

pub(in crate::accesslog) fn complete(bytes_down: u64) -> AccessRecord {
    AccessRecord { status: Some(200), bytes_down, ending: Ending::Complete, ..access() }
}

pub(in crate::accesslog) fn connection() -> ConnectionRecord {
    ConnectionRecord {
        start: NOON,
        end: NOON,
        person: None,
        identity_source: IdentitySource::Nothing,
        identity_strength: IdentityStrength::Nobody,
        device: "".into(),
        client_address: Some("10.131.0.7".parse().unwrap()),
        client_port: Some(40000),
        outward_address: Some("192.0.2.1".parse().unwrap()),
        outward_port: Some(50000),
        origin_address: Some("192.0.2.80".parse().unwrap()),
        origin_port: Some(443),
        protocol: Protocol::Tls,
        bytes_up: 0,
        bytes_down: 0,
        action: ActionTaken::Tunnel,
        ending: Ending::Interrupted,
        count: 1,
        flags: Flags::default(),
    }
}
