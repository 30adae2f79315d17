//! What an append, a guard and a lane promise.

use std::path::Path;
use std::time::Duration;

use super::rig::*;
use crate::access::*;
use crate::accesslog::AppendError;
use crate::config::OnFull;

#[test]
fn an_access_that_is_completed_is_one_row() {
    let mut rig = Rig::new(1);
    let open = rig.log.begin_access(&access()).unwrap();
    assert_eq!(open.sequence(), 1);
    rig.ship_own();
    assert_eq!(rig.store.accesses(), [], "nothing is shipped before it is complete");
    open.complete(&complete(1234)).unwrap();
    rig.ship_own();
    let rows = rig.store.accesses();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].record, complete(1234));
    assert_eq!((rows[0].key.lane, rows[0].key.sequence, rows[0].key.slice), (rig.log.lane(), 1, 0));
}

#[test]
fn a_guard_that_is_dropped_completes_as_interrupted() {
    let mut rig = Rig::new(1);
    let open = rig.log.begin_access(&access()).unwrap();
    rig.advance(Duration::from_secs(3));
    drop(open);
    rig.ship_own();
    let row = &rig.store.accesses()[0].record;
    assert_eq!((row.ending, row.end), (Ending::Interrupted, NOON.plus(Duration::from_secs(3))));
}

#[test]
fn what_is_open_when_the_process_is_killed_is_interrupted_exactly_once() {
    let mut rig = Rig::new(1);
    let _first = rig.log.begin_access(&access()).unwrap();
    let _tunnel = rig.log.begin_connection(&connection()).unwrap();
    rig.log.append_access(&complete(5)).unwrap();
    rig.kill();
    let shipped = rig.ship_dead();
    assert_eq!((shipped.lanes, shipped.rows, shipped.interrupted), (1, 3, 2));
    assert_eq!(rig.ship_dead().lanes, 0, "the lane is gone");
    let rows = rig.store.accesses();
    assert_eq!(rows.iter().map(|row| row.record.ending).collect::<Vec<_>>(), [Ending::Interrupted, Ending::Complete]);
}

#[test]
fn slices_tell_of_their_part_and_together_of_the_whole() {
    let mut rig = Rig::new(1);
    let mut open = rig.log.begin_access(&access()).unwrap();
    let so_far = |minutes: u64, bytes_down| AccessRecord {
        end: NOON.plus(Duration::from_secs(60 * minutes)),
        ..complete(bytes_down)
    };
    open.slice(&so_far(10, 100)).unwrap();
    open.slice(&so_far(20, 250)).unwrap();
    open.complete(&so_far(25, 300)).unwrap();
    rig.ship_own();
    let rows = rig.store.accesses();
    let told: Vec<_> = rows.iter().map(|r| (r.key.slice, r.record.bytes_down, r.record.ending)).collect();
    assert_eq!(told, [(0, 100, Ending::Continues), (1, 150, Ending::Continues), (2, 50, Ending::Complete)]);
    assert!(rows.windows(2).all(|pair| pair[0].record.end == pair[1].record.start));
}

#[test]
fn a_slice_that_is_open_at_the_end_is_interrupted_and_the_ended_ones_stay() {
    let mut rig = Rig::new(1);
    let mut open = rig.log.begin_access(&access()).unwrap();
    open.slice(&complete(100)).unwrap();
    rig.ship_own();
    rig.kill();
    rig.ship_dead();
    let rows = rig.store.accesses();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[1].record.ending, rows[1].record.bytes_down), (Ending::Interrupted, 0));
}

#[test]
fn a_lane_number_is_never_given_again() {
    let mut rig = Rig::new(1);
    let mut numbers = vec![rig.log.lane()];
    for _ in 0..5 {
        rig.log.append_access(&complete(1)).unwrap();
        rig.kill();
        rig.ship_dead();
        numbers.push(rig.log.lane());
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(
        rig.disk.paths().iter().filter(|path| path.ends_with("lock")).count(),
        2,
        "the spool's and the own lane's"
    );
}

#[test]
fn a_spool_that_was_deleted_does_not_give_its_numbers_again() {
    let rig = Rig::new(1);
    let other = Rig::new(2);
    other.advance(Duration::from_secs(1));
    let later = Rig::with(3, |_| {});
    assert_eq!(rig.log.lane(), later.log.lane(), "the same second gives the same number");
    assert!(rig.log.lane() > 1_000_000_000);
}

#[test]
fn two_processes_write_two_lanes_and_neither_ships_the_others() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    let second = crate::accesslog::AccessLog::on_disk(
        rig.settings.clone(),
        rig.clock.clone(),
        std::sync::Arc::new(rig.disk.clone()),
    )
    .unwrap();
    assert!(second.lane() > rig.log.lane());
    second.append_access(&complete(2)).unwrap();
    assert_eq!(rig.ship_dead().lanes, 0);
    drop(second);
    assert_eq!(rig.ship_dead().rows, 1);
    assert_eq!(rig.store.accesses().len(), 1);
}

#[test]
fn a_segment_is_closed_by_size_by_age_and_at_midnight_utc() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 2000);
    for _ in 0..60 {
        rig.log.append_access(&complete(1)).unwrap();
    }
    let by_size = rig.segments().len();
    assert!(by_size > 3, "{by_size}");
    rig.advance(rig.settings.segment_age);
    rig.log.append_access(&complete(1)).unwrap();
    assert_eq!(rig.segments().len(), by_size + 1);
    rig.clock.set(Timestamp::start_of_day(rig.clock.now().day() + 1).minus(Duration::from_micros(1)));
    rig.log.append_access(&complete(1)).unwrap();
    let before = rig.segments().len();
    rig.advance(Duration::from_micros(1));
    rig.log.append_access(&complete(1)).unwrap();
    assert_eq!(rig.segments().len(), before + 1);
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), 63);
}

#[test]
fn a_clock_that_steps_back_marks_rows_until_it_has_caught_up() {
    let mut rig = Rig::new(1);
    let mut append = |at: u64| {
        rig.clock.set(NOON.plus(Duration::from_secs(at)));
        rig.log.append_access(&complete(at)).unwrap();
        rig.segments().len()
    };
    assert_eq!([100, 50, 51, 100, 101].map(&mut append), [1, 2, 2, 2, 2]);
    rig.ship_own();
    let is_doubtful = |row: &AccessRow| row.record.flags.contains(Flags::CLOCK_DOUBTFUL);
    assert_eq!(rig.store.accesses().iter().map(is_doubtful).collect::<Vec<_>>(), [false, true, true, false, false]);
}

#[test]
fn a_clock_that_is_behind_the_last_process_is_doubtful_from_the_start() {
    let mut rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    rig.clock.set(NOON.minus(Duration::from_secs(3600)));
    rig.kill();
    rig.log.append_access(&complete(2)).unwrap();
    rig.ship_own();
    assert!(rig.store.accesses()[0].record.flags.contains(Flags::CLOCK_DOUBTFUL));
}

#[test]
fn a_full_journal_refuses_what_is_new_and_completes_what_is_open() {
    let mut rig = Rig::with(1, |settings| settings.max_bytes = 20_000);
    let mut open = Vec::new();
    let refused = loop {
        match rig.log.begin_access(&access()) {
            Ok(access) => open.push(access),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    // A record that is complete at once needs less room than an intent and its completion.
    let mut answered = 0;
    while rig.log.append_access(&complete(1)).is_ok() {
        answered += 1;
        assert!(answered < 100, "it is never full");
    }
    let count = open.len() + answered;
    assert!(open.len() > 5);
    open.into_iter().for_each(|open| open.complete(&complete(7)).unwrap());
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), count);
    assert!(rig.log.begin_access(&access()).is_ok(), "what was promised and not used is free again");
}

#[test]
fn a_full_disk_refuses_what_is_new_and_completes_what_is_open() {
    let mut rig = Rig::new(1);
    let first = rig.log.begin_access(&access()).unwrap();
    rig.disk.leave(0);
    let mut open = vec![first];
    let refused = loop {
        match rig.log.begin_access(&access()) {
            Ok(access) => open.push(access),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    let long = AccessRecord { finding: "f".repeat(700).into(), ..complete(7) };
    let count = open.len();
    open.into_iter().for_each(|open| open.complete(&long).unwrap());
    rig.disk.leave(u64::MAX);
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), count);
}

#[test]
fn a_write_that_fails_or_is_short_is_written_again_in_a_new_segment() {
    for fail in [
        |f: &mut crate::accesslog::disk::fake::Faults| f.writes = 1,
        |f: &mut crate::accesslog::disk::fake::Faults| f.short_writes = 1,
    ] {
        for seed in 1..40 {
            let mut rig = Rig::new(seed);
            let mut open = rig.log.begin_access(&access()).unwrap();
            rig.disk.fail(fail);
            open.slice(&complete(1)).unwrap();
            assert_eq!(rig.segments().len(), 2);
            open.complete(&complete(3)).unwrap();
            if seed % 2 == 0 {
                rig.ship_own();
            }
            rig.kill();
            rig.ship_dead();
            let rows = rig.store.accesses();
            assert_eq!(rows.iter().map(|row| row.record.bytes_down).collect::<Vec<_>>(), [1, 2]);
        }
    }
}

#[test]
fn a_sync_that_fails_costs_nothing_even_in_a_power_cut() {
    for seed in 1..60 {
        let mut rig = Rig::with(seed, |settings| settings.segment_bytes = 900);
        let mut open = Vec::new();
        for n in 0..6 {
            open.push(rig.log.begin_access(&access()).unwrap());
            if n == 2 {
                rig.log.sync().unwrap();
            }
        }
        open.drain(..3).for_each(|open| open.complete(&complete(3)).unwrap());
        rig.disk.fail(|faults| faults.syncs = 1);
        rig.log.sync().unwrap();
        rig.ship_synced();
        rig.cut_power();
        rig.ship_dead();
        let endings: Vec<_> = rig.store.accesses().iter().map(|row| row.record.ending).collect();
        use Ending::{Complete, Interrupted};
        assert_eq!(endings, [Complete, Complete, Complete, Interrupted, Interrupted, Interrupted], "seed {seed}");
    }
}

#[test]
fn while_nothing_can_be_made_durable_nothing_new_is_accepted_and_nothing_is_lost() {
    for failures in 2..8 {
        let mut rig = Rig::new(failures.into());
        let open = rig.log.begin_access(&access()).unwrap();
        rig.disk.fail(|faults| faults.syncs = failures);
        assert!(rig.log.sync().is_err());
        assert!(matches!(rig.log.begin_access(&access()), Err(AppendError::Disk(_))));
        open.complete(&complete(9)).unwrap();
        for _ in 0..failures {
            let _ = rig.log.sync();
        }
        rig.log.sync().unwrap();
        rig.log.append_access(&complete(10)).unwrap();
        rig.log.sync().unwrap();
        rig.cut_power();
        rig.ship_dead();
        let rows = rig.store.accesses();
        assert_eq!(rows.iter().map(|row| row.record.bytes_down).collect::<Vec<_>>(), [9, 10], "{failures} failures");
    }
}

#[test]
fn a_help_line_is_stripped_of_whatever_leads_to_a_person() {
    let mut record = AccessRecord { path: "/chat".into(), ..complete(5) };
    record.strip_help_line();
    assert!(record.is_stripped());
    let mut conn = connection();
    conn.strip_help_line();
    assert!(conn.is_stripped());
    let mut rig = Rig::new(1);
    let open = rig.log.begin_access(&record).unwrap();
    rig.advance(Duration::from_secs(100));
    drop(open);
    rig.log.append_access(&record).unwrap();
    rig.ship_own();
    for row in rig.store.accesses() {
        let r = row.record;
        assert_eq!((r.person, r.client_address, r.connection, r.start, r.end), (None, None, 0, NOON, NOON));
        assert_eq!(r.host, "example.fr".into());
    }
}

#[test]
fn a_gap_is_a_record_of_its_own() {
    let mut rig = Rig::new(1);
    let gap = Gap { since: NOON, until: NOON, count: 3, segment: 0, cause: "full".into() };
    rig.log.tell(Stream::Accesses, &gap).unwrap();
    rig.ship_own();
    assert_eq!(rig.store.told(), std::slice::from_ref(&gap), "also where there is nothing else to ship");
    rig.log.append_access(&complete(1)).unwrap();
    rig.log.tell(Stream::Accesses, &gap).unwrap();
    rig.kill();
    assert_eq!(rig.ship_dead().rows, 2);
    assert_eq!((rig.store.accesses().len(), rig.store.told().len()), (1, 2));
}

/// A journal that is full, with what is open in it.
fn full(on_full: OnFull) -> (Rig, Vec<crate::accesslog::OpenAccess>) {
    let rig = Rig::with(1, |settings| (settings.max_bytes, settings.on_full) = (20_000, on_full));
    let mut open = Vec::new();
    loop {
        match rig.log.begin_access(&access()) {
            Ok(access) => open.push(access),
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                return (rig, open);
            }
        }
    }
}

#[test]
fn what_passes_while_the_journal_is_full_is_told_by_a_gap_record() {
    let (mut rig, open) = full(OnFull::Allow);
    rig.advance(Duration::from_secs(10));
    let since = rig.clock.now();
    for _ in 0..5 {
        let error = rig.log.begin_access(&access()).err().unwrap();
        rig.log.pass_unwritten(&access(), error).unwrap();
        rig.advance(Duration::from_millis(100));
    }
    // Long gaps are told of while they last.
    rig.advance(Duration::from_secs(2));
    rig.ship_own();
    let told = rig.store.told();
    assert_eq!(told.iter().map(|gap| (gap.since, gap.count)).collect::<Vec<_>>(), [(since, 5)]);
    let error = rig.log.begin_access(&access()).err().unwrap();
    rig.log.pass_unwritten(&access(), error).unwrap();
    let until = rig.clock.now();
    let written = open.len();
    open.into_iter().for_each(|open| open.complete(&complete(1)).unwrap());
    rig.ship_own();
    rig.advance(Duration::from_secs(2));
    rig.log.close().unwrap();
    rig.ship_own();
    let told = rig.store.told();
    assert_eq!(told.iter().map(|gap| gap.count).sum::<u64>(), 6);
    assert_eq!((told[1].since, told[1].until), (told[0].until, until), "no time is left out");
    assert!(told[0].cause.contains("full"), "{}", told[0].cause);
    assert_eq!(rig.store.accesses().len(), written);
    assert!(rig.log.begin_access(&access()).is_ok());
}

#[test]
fn a_gateway_that_dies_while_accesses_pass_unwritten_leaves_a_gap_of_unknown_count() {
    for die in [Rig::kill, Rig::cut_power] {
        let (mut rig, open) = full(OnFull::Allow);
        let error = rig.log.begin_access(&access()).err().unwrap();
        rig.log.pass_unwritten(&access(), error).unwrap();
        rig.log.sync().unwrap();
        let since = rig.clock.now();
        rig.advance(Duration::from_secs(60));
        std::mem::forget(open);
        die(&mut rig);
        rig.ship_dead();
        let told = rig.store.told();
        assert_eq!(told.iter().map(|gap| (gap.since, gap.count)).collect::<Vec<_>>(), [(since, 0)]);
        assert_eq!(told[0].until, rig.clock.now());
    }
}

#[test]
fn nothing_passes_unwritten_unless_a_person_allowed_it_and_the_gap_is_written() {
    let (rig, _open) = full(OnFull::Refuse);
    assert_eq!(rig.log.pass_unwritten(&access(), AppendError::Full), Err(AppendError::Full));
    let (rig, _open) = full(OnFull::Allow);
    let broken = AppendError::Disk("EIO".into());
    assert_eq!(rig.log.pass_unwritten(&access(), broken.clone()), Err(broken), "a broken disk is not a full one");
    rig.disk.fail(|faults| faults.writes = 4);
    assert!(rig.log.pass_unwritten(&access(), AppendError::Full).is_err());
}

#[test]
fn a_help_line_passes_a_full_journal_and_its_gap_does_not_tell_when() {
    let (mut rig, _open) = full(OnFull::Refuse);
    rig.advance(Duration::from_secs(1234));
    let mut record = complete(5);
    record.strip_help_line();
    rig.log.pass_unwritten(&record, AppendError::Full).unwrap();
    rig.disk.fail(|faults| faults.writes = 4);
    rig.log.pass_unwritten(&record, AppendError::Disk("EIO".into())).unwrap();
    rig.disk.fail(|faults| faults.writes = 0);
    rig.log.close().unwrap();
    rig.ship_own();
    let told = rig.store.told();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].since, told[0].until, told[0].count), (NOON, NOON, 2));
}

#[test]
fn a_completion_that_the_disk_refused_is_shipped_with_the_next_turn_after_it_works_again() {
    let mut rig = Rig::new(1);
    let open = rig.log.begin_access(&access()).unwrap();
    rig.disk.fail(|faults| faults.writes = 4);
    assert!(matches!(open.complete(&complete(9)), Err(AppendError::Disk(_))));
    rig.ship_own();
    assert_eq!(rig.store.accesses(), [], "the disk still fails");
    rig.disk.fail(|faults| faults.writes = 0);
    rig.ship_own();
    assert_eq!(rig.store.accesses().iter().map(|row| row.record.bytes_down).collect::<Vec<_>>(), [9]);
}

#[test]
fn opening_reads_no_more_than_a_header_per_lane() {
    let mut rig = Rig::new(1);
    for _ in 0..5 {
        for _ in 0..100 {
            rig.log.append_access(&complete(1)).unwrap();
        }
        rig.kill();
    }
    let folder = Path::new("/state/journal");
    assert!(rig.segments().iter().all(|path| path.starts_with(folder)));
    // Five lanes and the high-water mark: reading their content would meet this.
    let disk = rig.disk.restart();
    disk.fail(|faults| faults.reads = 7);
    let log = crate::accesslog::AccessLog::on_disk(rig.settings.clone(), rig.clock.clone(), std::sync::Arc::new(disk));
    assert!(log.is_err(), "the high-water mark cannot be read: no lane is made");
    rig.kill();
    assert_eq!(rig.ship_dead().rows, 500);
}
