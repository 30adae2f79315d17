//! What does not reach the store is kept, and told: once, and before it is forgotten.

use std::time::Duration;

use super::rig::*;
use crate::access::{AccessRecord, Flags, Stream, Timestamp};
use crate::accesslog::inspect::{SegmentPlace, inspect};

/// None, a kill, a power cut.
const DEATHS: [Option<fn(&mut Rig)>; 3] = [None, Some(Rig::kill), Some(Rig::cut_power)];
const DAY: Duration = Duration::from_secs(86_400);

fn dated(start: Timestamp, bytes: u64) -> AccessRecord {
    AccessRecord { start, end: start, ..complete(bytes) }
}

/// The rows in the files of a folder beside the lanes.
fn aside(rig: &Rig, folder: &str) -> Vec<u64> {
    let folder = rig.settings.directory.join(folder);
    let mut rows = Vec::new();
    for path in rig.disk.paths().into_iter().filter(|path| path.starts_with(&folder)) {
        let mut bytes = Vec::new();
        rig.disk.damage(&path, |found| bytes = found.clone());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let lane = name.split('-').nth(1).unwrap().parse().unwrap();
        let found = inspect(&bytes, SegmentPlace { stream: Stream::Accesses, lane, segment: 0 });
        assert_eq!(found.problems, [] as [String; 0], "{name}");
        assert!(name.ends_with(&format!("-{}.seg", found.rows.len())), "{name}");
        rows.extend(found.rows.iter().map(|row| match row {
            crate::access::Row::Access(row) => row.record.bytes_down,
            crate::access::Row::Connection(_) => unreachable!(),
        }));
    }
    rows
}

fn stored(rig: &Rig) -> Vec<u64> {
    rig.store.accesses().iter().map(|row| row.record.bytes_down).collect()
}

#[test]
fn rows_of_impossible_dates_go_to_quarantine_and_a_gap_says_so() {
    for die in DEATHS {
        let mut rig = Rig::new(1);
        let dates = [NOON, Timestamp::from_micros(0), NOON.plus(3 * DAY), NOON.minus(500 * DAY), NOON.minus(30 * DAY)];
        for (bytes, date) in (1..).zip(dates) {
            rig.log.append_access(&dated(date, bytes)).unwrap();
        }
        rig.log.sync().unwrap();
        match die {
            None => rig.ship_own(),
            Some(die) => {
                die(&mut rig);
                rig.ship_dead();
            }
        }
        rig.ship_own();
        assert_eq!((stored(&rig), aside(&rig, "quarantine")), (vec![1, 5], vec![2, 3, 4]));
        let told = rig.store.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].count, told[0].since, told[0].until), (3, NOON, NOON));
        assert!(told[0].cause.contains("in quarantine for their dates, 1970-01-01 to 2026-11-26"), "{}", told[0].cause);
    }
}

#[test]
fn what_is_in_quarantine_is_told_once_however_often_its_batch_is_sent() {
    for die in [Rig::kill, Rig::cut_power] {
        let mut rig = Rig::new(1);
        rig.log.append_access(&dated(Timestamp::from_micros(5), 1)).unwrap();
        rig.log.append_access(&complete(2)).unwrap();
        *rig.store.answers.lock().unwrap() = vec![Answer::Closed, Answer::StoredUnsaid];
        rig.ship_own();
        rig.ship_own();
        // A day later the same token must carry the same rows still.
        rig.advance(2 * DAY);
        die(&mut rig);
        *rig.store.answers.lock().unwrap() = vec![Answer::Lost];
        rig.ship_dead();
        rig.ship_dead();
        assert_eq!((stored(&rig), aside(&rig, "quarantine"), rig.store.told().len()), (vec![2], vec![1], 1));
    }
}

#[test]
fn a_clock_that_is_impossible_itself_sends_nobody_elses_rows_to_quarantine() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    rig.kill();
    rig.clock.set(Timestamp::from_micros(60_000_000));
    rig.ship_dead();
    assert_eq!((stored(&rig), aside(&rig, "quarantine")), (vec![1], vec![]));
}

#[test]
fn a_refused_batch_is_set_aside_and_its_gap_has_the_stores_words() {
    for die in DEATHS {
        let mut rig = Rig::new(1);
        rig.log.append_access(&complete(1)).unwrap();
        rig.log.append_access(&complete(2)).unwrap();
        rig.log.sync().unwrap();
        *rig.store.answers.lock().unwrap() = vec![Answer::Refused];
        match die {
            None => rig.ship_own(),
            Some(die) => {
                die(&mut rig);
                rig.ship_dead();
            }
        }
        rig.log.append_access(&complete(3)).unwrap();
        rig.ship_own();
        assert_eq!((stored(&rig), aside(&rig, "poison")), (vec![3], vec![1, 2]));
        let told = rig.store.told();
        assert_eq!(told.iter().map(|gap| (gap.count, gap.since)).collect::<Vec<_>>(), [(2, NOON)]);
        assert_eq!(told[0].cause, "rows 1-2: refused by the store, set aside in `poison`: refused");
    }
}

#[test]
fn a_gap_about_a_batch_does_not_end_one_that_is_open() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    rig.log.stream(Stream::Accesses).count_unwritten(NOON, "the disk was full").unwrap();
    *rig.store.answers.lock().unwrap() = vec![Answer::Refused];
    rig.ship_own();
    rig.kill();
    rig.ship_dead();
    let told: Vec<String> = rig.store.told().into_iter().map(|gap| gap.cause).collect();
    assert!(told.iter().any(|cause| cause.starts_with("rows 1-1: refused")), "{told:?}");
    assert!(told.iter().any(|cause| cause.contains("the disk was full")), "{told:?}");
}

#[test]
fn damage_after_the_recovery_of_a_lane_is_told_too_and_once() {
    for die in [Rig::kill, Rig::cut_power] {
        let mut rig = Rig::with(1, |settings| settings.segment_bytes = 900);
        for n in 0..20 {
            rig.log.append_access(&complete(n)).unwrap();
        }
        rig.log.sync().unwrap();
        die(&mut rig);
        // Recovered, and not stored.
        *rig.store.answers.lock().unwrap() = vec![Answer::Closed];
        rig.ship_dead();
        assert_eq!(rig.store.told(), []);
        let segment = rig.segments()[2].clone();
        rig.disk.damage(&segment, |bytes| {
            let half = bytes.len() / 2;
            bytes[half] ^= 0x41;
        });
        // Told, and nobody was told that it is stored.
        *rig.store.answers.lock().unwrap() = vec![Answer::StoredUnsaid];
        rig.ship_dead();
        die(&mut rig);
        while rig.ship_dead().lanes > 0 {}
        let told: Vec<u32> = rig.store.told().iter().map(|gap| gap.segment).collect();
        assert_eq!((stored(&rig).len(), told), (19, vec![3]));
        assert!(rig.segments().is_empty(), "{:?}", rig.segments());
    }
}

#[test]
fn damage_is_told_before_what_came_behind_it_is_acknowledged() {
    let mut rig = Rig::new(1);
    for n in 0..10 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    *rig.store.answers.lock().unwrap() = vec![Answer::Closed];
    rig.ship_own();
    let segment = rig.segments()[0].clone();
    rig.disk.damage(&segment, |bytes| {
        let half = bytes.len() / 2;
        bytes[half] ^= 0x41;
    });
    // The batch is cut. Its gap cannot be written: nothing is sent.
    rig.disk.fail(|faults| faults.writes = 50);
    rig.ship_synced();
    assert_eq!(stored(&rig), [] as [u64; 0]);
    rig.disk.fail(|faults| faults.writes = 0);
    rig.advance(Duration::from_secs(2));
    rig.ship_own();
    rig.ship_own();
    assert_eq!((stored(&rig).len(), rig.store.told().len()), (9, 1));
}

#[test]
fn rows_after_a_step_back_of_the_clock_reach_the_store_marked_and_in_a_segment_of_their_own() {
    let mut rig = Rig::new(1);
    let at = |seconds| NOON.plus(Duration::from_secs(seconds));
    for seconds in [100, 40, 60, 120] {
        rig.clock.set(at(seconds));
        rig.log.append_access(&dated(at(seconds), seconds)).unwrap();
    }
    assert_eq!(rig.segments().len(), 2);
    rig.kill();
    rig.ship_dead();
    let rows = rig.store.accesses();
    let told: Vec<_> =
        rows.iter().map(|row| (row.record.bytes_down, row.record.flags.contains(Flags::CLOCK_DOUBTFUL))).collect();
    assert_eq!(told, [(100, false), (40, true), (60, true), (120, false)]);
}
