//! The journal against a model of a hundred lines: whatever happens, in whatever order, what was promised is in the store
//! and nothing is there twice. (That no row comes twice, and no token with other rows, the store of the rig checks.)

use std::collections::BTreeMap;
use std::time::Duration;

use super::rig::*;
use crate::access::{AccessRecord, Ending};
use crate::accesslog::OpenAccess;

/// What the model knows of one access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    /// A power cut cannot take it any more.
    is_begun_for_good: bool,
    /// A power cut came before that.
    may_be_gone: bool,
    completed: Completed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completed {
    No,
    /// Written; a power cut may still take it.
    Written(u64),
    /// Told to be not written yet, or lost in a power cut perhaps.
    Perhaps(u64),
    ForGood(u64),
}

struct World {
    rig: Rig,
    dice: u64,
    fates: BTreeMap<u64, Fate>,
    /// Accesses of the process that lives.
    open: Vec<(u64, OpenAccess)>,
    of_this_lane: Vec<u64>,
}

fn record(id: u64, bytes: u64) -> AccessRecord {
    AccessRecord { host: format!("n{id}").into(), ..complete(bytes) }
}

impl World {
    fn below(&mut self, n: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % n
    }

    fn step(&mut self) {
        let id = self.fates.len() as u64;
        let begun = Fate { is_begun_for_good: false, may_be_gone: false, completed: Completed::No };
        match self.below(21) {
            0..=4 => {
                if let Ok(open) =
                    self.rig.log.begin_access(&AccessRecord { ending: Ending::Interrupted, ..record(id, 0) })
                {
                    self.open.push((id, open));
                    self.fates.insert(id, begun);
                    self.of_this_lane.push(id);
                }
            }
            5..=6 => {
                if self.rig.log.append_access(&record(id, id)).is_ok() {
                    self.fates.insert(id, Fate { completed: Completed::Written(id), ..begun });
                    self.of_this_lane.push(id);
                }
            }
            7..=10 if !self.open.is_empty() => {
                let chosen = self.below(self.open.len() as u64) as usize;
                let (id, open) = self.open.swap_remove(chosen);
                let written = open.complete(&record(id, id)).is_ok();
                let completed = if written { Completed::Written(id) } else { Completed::Perhaps(id) };
                self.fates.entry(id).and_modify(|fate| fate.completed = completed);
            }
            11..=12 => self.sync(),
            13..=14 => self.rig.ship_synced(),
            15 => drop(self.rig.ship_dead()),
            16 => {
                let (which, times) = (self.below(4), self.below(4) as u32);
                self.rig.disk.fail(|faults| match which {
                    0 => faults.writes = times,
                    1 => faults.short_writes = times,
                    2 => faults.syncs = times,
                    _ => faults.reads = times,
                });
            }
            17 => {
                let answer = [Answer::Lost, Answer::StoredUnsaid, Answer::Closed][self.below(3) as usize];
                self.rig.store.answers.lock().unwrap().push(answer);
            }
            18 => {
                let by = Duration::from_secs(self.below(5000));
                let now = self.rig.clock.now();
                let then = if self.below(4) == 0 { now.minus(by) } else { now.plus(by) };
                self.rig.clock.set(then);
                let room = if self.below(2) == 0 { self.below(4000) } else { u64::MAX };
                self.rig.disk.leave(room);
            }
            19 => self.rig.compress(),
            _ => self.die(),
        }
    }

    fn sync(&mut self) {
        if self.rig.log.sync().is_err() {
            return;
        }
        for id in &self.of_this_lane {
            let fate = self.fates.get_mut(id).unwrap();
            fate.is_begun_for_good = true;
            if let Completed::Written(bytes) = fate.completed {
                fate.completed = Completed::ForGood(bytes);
            }
        }
    }

    fn die(&mut self) {
        self.rig.disk.leave(u64::MAX);
        std::mem::take(&mut self.open).into_iter().for_each(std::mem::forget);
        self.of_this_lane.clear();
        if self.below(2) == 0 {
            return self.rig.kill();
        }
        let stored: Vec<u64> = self.stored().keys().copied().collect();
        for (_, fate) in self.fates.iter_mut().filter(|(id, _)| !stored.contains(id)) {
            fate.may_be_gone |= !fate.is_begun_for_good;
            if let Completed::Written(bytes) = fate.completed {
                fate.completed = Completed::Perhaps(bytes);
            }
        }
        self.rig.cut_power();
    }

    fn stored(&self) -> BTreeMap<u64, AccessRecord> {
        let rows = self.rig.store.accesses().into_iter();
        rows.map(|row| (row.record.host[1..].parse().unwrap(), row.record)).collect()
    }

    fn end(mut self) -> BTreeMap<u64, (Fate, Option<AccessRecord>)> {
        self.rig.disk.fail(|faults| *faults = Default::default());
        self.rig.disk.leave(u64::MAX);
        self.rig.store.answers.lock().unwrap().clear();
        std::mem::take(&mut self.open).into_iter().for_each(std::mem::forget);
        self.rig.kill();
        while self.rig.ship_dead().lanes > 0 {}
        let mut stored = self.stored();
        let ends = self.fates.iter().map(|(id, fate)| (*id, (*fate, stored.remove(id)))).collect();
        assert!(stored.is_empty(), "rows that were refused: {:?}", stored.keys());
        ends
    }
}

#[test]
fn whatever_happens_what_was_promised_is_in_the_store_once() {
    let runs: u64 = std::env::var("ECLUSE_TEST_MODEL_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let mut rows = 0;
    for seed in 1..=runs {
        let rig = Rig::with(seed, |settings| settings.segment_bytes = 700 + seed % 5 * 400);
        let mut world = World { rig, dice: seed, fates: BTreeMap::new(), open: Vec::new(), of_this_lane: Vec::new() };
        (0..150).for_each(|_| world.step());
        for (id, (fate, row)) in world.end() {
            let Some(row) = row else {
                assert!(fate.may_be_gone, "seed {seed}: access {id} is lost: {fate:?}");
                continue;
            };
            rows += 1;
            let told = (row.ending, row.bytes_down);
            let is_interrupted = told == (Ending::Interrupted, 0);
            let is_right = match fate.completed {
                Completed::No => is_interrupted,
                Completed::Written(bytes) | Completed::ForGood(bytes) => told == (Ending::Complete, bytes),
                Completed::Perhaps(bytes) => is_interrupted || told == (Ending::Complete, bytes),
            };
            assert!(is_right, "seed {seed}: access {id} reads {told:?}: {fate:?}");
        }
    }
    assert!(rows > runs * 20, "{rows} rows in {runs} runs: the model tries nothing");
}
