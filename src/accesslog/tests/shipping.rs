//! What reaches the store, and how often.

use std::time::Duration;

use super::rig::*;
use crate::access::{AccessRecord, Ending};
use crate::metrics::METRICS;

#[test]
fn a_batch_is_sent_again_the_same_until_it_is_acknowledged() {
    let mut rig = Rig::new(1);
    for n in 0..10 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    for answer in [Answer::Lost, Answer::StoredUnsaid, Answer::Closed] {
        *rig.store.answers.lock().unwrap() = vec![answer];
        rig.ship_own();
        // What came meanwhile goes into the next batch.
        rig.log.append_access(&complete(99)).unwrap();
    }
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), 13);
}

#[test]
fn a_batch_that_was_cut_by_a_process_that_died_is_sent_again_the_same() {
    for answer in [Answer::Lost, Answer::StoredUnsaid] {
        for die in [Rig::kill, Rig::cut_power] {
            let mut rig = Rig::new(1);
            let _open = rig.log.begin_access(&access()).unwrap();
            for n in 0..10 {
                rig.log.append_access(&complete(n)).unwrap();
            }
            *rig.store.answers.lock().unwrap() = vec![answer];
            rig.ship_own();
            rig.log.append_access(&complete(77)).unwrap();
            rig.log.sync().unwrap();
            die(&mut rig);
            rig.ship_dead();
            assert_eq!(rig.store.accesses().len(), 12);
        }
    }
}

#[test]
fn only_what_is_synced_is_shipped() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    rig.ship_synced();
    assert_eq!(rig.store.accesses().len(), 0);
    rig.log.sync().unwrap();
    rig.ship_synced();
    assert_eq!(rig.store.accesses().len(), 1);
}

#[test]
fn a_batch_no_store_takes_is_set_aside_and_hides_none() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    *rig.store.answers.lock().unwrap() = vec![Answer::Refused];
    rig.ship_own();
    rig.log.append_access(&complete(2)).unwrap();
    rig.ship_own();
    assert_eq!(rig.store.accesses().iter().map(|row| row.record.bytes_down).collect::<Vec<_>>(), [2]);
    let aside = rig.disk.paths().into_iter().filter(|path| path.starts_with(rig.poison())).count();
    assert_eq!(aside, 1);
}

#[test]
fn a_segment_is_deleted_when_all_in_it_is_complete_and_shipped() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 600);
    let open = rig.log.begin_access(&access()).unwrap();
    for n in 0..20 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.ship_own();
    let count = rig.segments().len();
    assert!(count > 5, "the first segment holds an intent, and none is deleted before it");
    open.complete(&complete(5)).unwrap();
    rig.ship_own();
    rig.log.append_access(&complete(5)).unwrap();
    rig.ship_own();
    assert!(rig.segments().len() < 3, "{:?}", rig.segments());
    rig.kill();
    rig.ship_dead();
    assert_eq!(rig.store.accesses().len(), 22);
    assert!(rig.segments().is_empty());
}

#[test]
fn what_is_shipped_is_kept_as_long_as_it_is_said() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 600);
    rig.ship.keep = Duration::from_secs(60);
    for n in 0..20 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.ship_own();
    let count = rig.segments().len();
    rig.kill();
    rig.ship_dead();
    assert_eq!(rig.segments().len(), count);
    rig.advance(Duration::from_secs(61));
    rig.ship_dead();
    assert!(rig.segments().is_empty());
}

/// A journal whose twenty rows were acknowledged and then lost by the store, and are old enough to be deleted.
fn lost_by_the_store() -> Rig {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 600);
    (rig.ship.keep, rig.ship.confirm) = (Duration::from_secs(60), true);
    for n in 0..20 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), 20);
    rig.store.rows.lock().unwrap().clear();
    rig.advance(Duration::from_secs(61));
    rig
}

#[test]
fn what_the_store_lost_is_sent_again_before_the_last_copy_is_deleted() {
    let mut rig = lost_by_the_store();
    rig.ship_own();
    let left = rig.segments().len();
    assert!(left < 3, "{:?}", rig.segments());
    // What is in the segment that is written still has another copy.
    assert!(rig.store.accesses().len() >= 18, "{}", rig.store.accesses().len());
    rig.kill();
    rig.advance(Duration::from_secs(61));
    rig.ship_dead();
    assert!(rig.segments().is_empty());
    assert_eq!(rig.store.accesses().len(), 20);
}

#[test]
fn a_lane_that_nobody_holds_is_looked_for_whole_before_its_folder_goes() {
    let mut rig = lost_by_the_store();
    rig.kill();
    rig.ship_dead();
    assert!(rig.segments().is_empty());
    assert_eq!(rig.store.accesses().len(), 20);
}

#[test]
fn the_last_copy_stays_while_nobody_can_tell_whether_there_is_another() {
    let mut rig = lost_by_the_store();
    let count = rig.segments().len();
    *rig.store.answers.lock().unwrap() = vec![Answer::Lost];
    rig.ship_own();
    assert_eq!(rig.segments().len(), count);
    rig.kill();
    // Each segment but the last may go; the last goes with its folder.
    for _ in 0..3 {
        *rig.store.answers.lock().unwrap() = vec![Answer::Lost];
        let said = rig.ship_dead();
        assert!(format!("{:?}", said.problems).contains("Unconfirmed"), "{said:?}");
        assert!(rig.store.accesses().is_empty());
        assert_eq!(rig.segments().len(), count);
    }
    rig.ship_dead();
    assert_eq!(rig.store.accesses().len(), 20);
    assert!(rig.segments().is_empty());
}

#[test]
fn a_look_that_fails_keeps_nothing_new_from_the_store() {
    let mut rig = lost_by_the_store();
    rig.ship.batch_rows = 1;
    for n in 0..30 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    let _ = rig.log.sync();
    // Popped from the end: the first four batches are stored, then the look fails; so the turn after it.
    *rig.store.answers.lock().unwrap() = [[Answer::Lost].as_slice(), &[Answer::Passed; 4]].concat().repeat(2);
    rig.ship_synced();
    assert!(rig.store.accesses().len() >= 30, "{}", rig.store.accesses().len());
}

#[test]
fn a_full_journal_does_not_keep_what_was_acknowledged_for_a_look_that_fails() {
    let mut rig = lost_by_the_store();
    rig.ship.keep = Duration::ZERO;
    *rig.store.answers.lock().unwrap() = vec![Answer::Lost; 100];
    rig.ship_own();
    assert!(rig.segments().len() < 3, "{:?}", rig.segments());
}

#[test]
fn rows_in_quarantine_are_not_looked_for() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 600);
    (rig.ship.keep, rig.ship.confirm) = (Duration::from_secs(60), true);
    let mut strange = complete(1);
    strange.start = NOON.minus(Duration::from_secs(3 * 366 * 86_400));
    rig.log.append_access(&strange).unwrap();
    for n in 0..20 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.ship_own();
    rig.advance(Duration::from_secs(61));
    rig.ship_own();
    assert!(rig.segments().len() < 3);
    assert_eq!(rig.store.accesses().len(), 20);
}

#[test]
fn batches_are_no_larger_than_they_may_be() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 2000);
    rig.ship.batch_rows = 7;
    for n in 0..100 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    let before = METRICS.rows_shipped.value();
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), 100);
    assert!(METRICS.rows_shipped.value() >= before + 100);
}

#[test]
fn a_recovery_that_is_killed_midway_is_done_again_and_doubles_nothing() {
    for writes in 0..4 {
        let mut rig = Rig::new(1);
        let _open: Vec<_> = (0..3).map(|_| rig.log.begin_access(&access()).unwrap()).collect();
        rig.kill();
        // Whatever fails first: the segment, its sync, the ledger.
        rig.disk.fail(|faults| if writes % 2 == 0 { faults.writes = writes / 2 + 1 } else { faults.syncs = writes });
        rig.ship_dead();
        rig.kill();
        rig.ship_dead();
        let rows = rig.store.accesses();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.record.ending == Ending::Interrupted));
    }
}

#[test]
fn a_long_ledger_is_shortened_and_says_the_same() {
    let mut rig = Rig::new(1);
    rig.ship.batch_rows = 1;
    for n in 0..4000 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.ship_own();
    let ledger = rig.disk.paths().into_iter().find(|path| path.to_string_lossy().ends_with("accesses.ledger")).unwrap();
    let mut length = 0;
    rig.disk.damage(&ledger, |bytes| length = bytes.len());
    assert!(length < 300_000, "{length}");
    rig.kill();
    assert_eq!(rig.ship_dead().rows, 0);
    assert_eq!(rig.store.accesses().len(), 4000);
}

#[test]
fn a_record_of_the_greatest_length_is_shipped_whole() {
    let mut rig = Rig::new(1);
    let long: std::sync::Arc<str> = "x".repeat(crate::access::encoding::TEXT_MAX).into();
    let record =
        AccessRecord { path: long.clone(), entry: long.clone(), host: long.clone(), asked: long, ..complete(1) };
    rig.log.append_access(&record).unwrap();
    rig.ship_own();
    assert_eq!(rig.store.accesses()[0].record, record);
}
