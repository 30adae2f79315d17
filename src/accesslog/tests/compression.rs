//! What a compressed segment promises: it reads as before, costs only what is damaged, and is there whole or not at all.

use std::path::{Path, PathBuf};

use super::rig::*;
use crate::access::{AccessRecord, Ending, Stream};
use crate::accesslog::inspect::{self, SegmentPlace};
use crate::accesslog::{AppendError, ShipError};
use crate::metrics::METRICS;

/// A rig with segments of some hundred rows, of which `rows` are written, all different.
fn written(seed: u64, rows: u64) -> Rig {
    let rig = Rig::with(seed, |settings| settings.segment_bytes = 60_000);
    for n in 0..rows {
        rig.log.append_access(&numbered(n)).unwrap();
    }
    rig.log.sync().unwrap();
    rig
}

fn numbered(n: u64) -> AccessRecord {
    AccessRecord { host: format!("n{n}.example.fr").into(), ..complete(n) }
}

fn bytes_of(rig: &Rig, path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    rig.disk.damage(path, |found| bytes = found.clone());
    bytes
}

fn is_compressed(rig: &Rig, path: &Path) -> bool {
    bytes_of(rig, path).starts_with(b"ECLUSEZ\0")
}

fn compressed(rig: &Rig) -> Vec<PathBuf> {
    rig.segments().into_iter().filter(|path| is_compressed(rig, path)).collect()
}

fn numbers(rig: &Rig) -> Vec<u64> {
    rig.store.accesses().iter().map(|row| row.record.bytes_down).collect()
}

#[test]
fn what_waits_is_compressed_and_ships_as_it_was_written() {
    let mut rig = written(1, 2000);
    let before: usize = rig.segments().iter().map(|path| bytes_of(&rig, path).len()).sum();
    let counted = METRICS.segments_compressed.value();
    rig.compress();
    let after: usize = rig.segments().iter().map(|path| bytes_of(&rig, path).len()).sum();
    assert_eq!(compressed(&rig).len(), rig.segments().len() - 1, "all but the one that is written");
    assert!(METRICS.segments_compressed.value() >= counted + compressed(&rig).len() as u64);
    assert!(after * 3 < before, "{before} bytes became {after}");
    rig.ship_own();
    assert_eq!(numbers(&rig), (0..2000).collect::<Vec<_>>());
    assert_eq!(rig.store.told(), []);
}

#[test]
fn a_segment_that_is_met_once_is_left_to_the_shipper() {
    let rig = written(1, 1000);
    let mut compressor = crate::accesslog::compress::Compressor::new(rig.log.clone());
    compressor.survey();
    assert!(!compressor.step());
    assert_eq!(compressed(&rig), [] as [PathBuf; 0]);
    compressor.survey();
    assert!(compressor.step());
    assert_eq!(compressed(&rig).len(), 1);
}

#[test]
fn a_batch_cut_before_is_sent_again_the_same_after_its_segments_were_compressed() {
    for die in [Rig::kill, Rig::cut_power] {
        let mut rig = written(1, 2000);
        rig.ship.batch_rows = 700;
        // Stored, but nobody was told; the strict store holds the batch that comes again against it.
        *rig.store.answers.lock().unwrap() = vec![Answer::StoredUnsaid];
        rig.ship_synced();
        rig.compress();
        assert!(compressed(&rig).len() > 3);
        die(&mut rig);
        rig.ship_dead();
        assert_eq!(numbers(&rig), (0..2000).collect::<Vec<_>>());
    }
}

#[test]
fn the_segments_of_a_dead_process_are_compressed_before_and_after_their_recovery() {
    let mut rig = written(1, 1000);
    let _open = rig.log.begin_access(&access()).unwrap();
    rig.log.sync().unwrap();
    rig.kill();
    rig.compress();
    assert!(compressed(&rig).len() + 1 >= rig.segments().len(), "nobody writes any of them");
    let mut rows: Vec<u64> = (0..1000).collect();
    rows.push(0); // the one that was open
    *rig.store.answers.lock().unwrap() = vec![Answer::Closed];
    rig.ship_dead();
    rig.compress();
    rig.ship_dead();
    assert_eq!(numbers(&rig), rows);
    assert_eq!(rig.store.accesses().last().unwrap().record.ending, Ending::Interrupted);
    assert_eq!(rig.segments(), [] as [PathBuf; 0]);
}

#[test]
fn whatever_fails_in_the_middle_a_segment_is_there_as_it_was_or_compressed() {
    for seed in 1..=120u64 {
        let mut rig = written(seed, 500);
        // Its writes, its syncs, its reads, its room; at each step.
        let nth = (seed / 5 % 6) as u32;
        match seed % 5 {
            0 => rig.disk.fail(|faults| faults.writes = nth),
            1 => rig.disk.fail(|faults| faults.short_writes = nth),
            2 => rig.disk.fail(|faults| faults.syncs = nth),
            3 => rig.disk.fail(|faults| faults.reads = nth),
            _ => rig.disk.leave(u64::from(nth) * 700),
        }
        rig.compress();
        rig.disk.fail(|faults| *faults = Default::default());
        rig.disk.leave(u64::MAX);
        if seed % 2 == 0 {
            rig.kill()
        } else {
            rig.cut_power()
        }
        rig.ship_dead();
        assert_eq!(numbers(&rig), (0..500).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(rig.store.told(), [], "seed {seed}");
    }
}

#[test]
fn a_damaged_byte_costs_its_block_and_nothing_else_and_is_said() {
    let rig = written(1, 1000);
    let first = rig.segments()[0].clone();
    let raw = bytes_of(&rig, &first);
    let place = SegmentPlace { stream: Stream::Accesses, lane: rig.log.lane(), segment: 1 };
    let small = inspect::compress(&raw, place).unwrap();
    let whole = inspect::inspect(&small, place);
    assert_eq!((whole.problems.len(), whole.rows.len()), (0, inspect::inspect(&raw, place).rows.len()));
    for at in (0..200).chain((200..small.len()).step_by(61)) {
        let mut damaged = small.clone();
        damaged[at] ^= 0x41;
        let found = inspect::inspect(&damaged, place);
        assert!(!found.problems.is_empty(), "byte {at} goes unnoticed");
        // Its magic gone, it is no compressed segment any more; what stands behind that costs no row.
        assert!(at < 8 || at >= 22 || found.rows.len() == whole.rows.len(), "byte {at}: {} rows", found.rows.len());
        inspect::inspect(&small[..at], place);
        inspect::inspect(&small[at..], place);
    }
}

#[test]
fn a_damaged_block_on_the_way_to_the_store_is_a_gap_and_all_other_rows_are_there() {
    for shipped in [false, true] {
        let mut rig = written(1, 1000);
        rig.compress();
        let second = compressed(&rig)[1].clone();
        rig.disk.damage(&second, |bytes| {
            let end = bytes.len() - 9;
            bytes[end] ^= 0x41;
        });
        if shipped {
            rig.ship_own();
            rig.ship_own();
        } else {
            rig.kill();
            let problems = rig.ship_dead().problems;
            assert!(matches!(problems[..], [ShipError::Damaged { .. }]), "{problems:?}");
        }
        let found = numbers(&rig);
        assert!((600..1000).contains(&found.len()), "{} rows", found.len());
        let told = rig.store.told();
        assert_eq!(told.iter().map(|gap| gap.segment).collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn a_full_journal_has_room_again_when_what_waits_is_compressed() {
    let mut rig = Rig::with(1, |settings| {
        settings.segment_bytes = 60_000;
        settings.max_bytes = 600_000;
    });
    let fill = |rig: &Rig, from: u64| {
        (from..).map_while(|n| rig.log.append_access(&numbered(n)).ok().map(|_| n)).last().unwrap_or(from)
    };
    let full = fill(&rig, 0);
    assert_eq!(rig.log.append_access(&numbered(full + 1)), Err(AppendError::Full));
    rig.log.sync().unwrap();
    rig.compress();
    let more = fill(&rig, full + 1);
    assert!(more * 10 > full * 18, "{full} rows, then {more}");
    let on_disk: usize = rig.disk.paths().iter().map(|path| bytes_of(&rig, path).len()).sum();
    assert!(on_disk <= 610_000, "{on_disk} bytes");
    while rig.store.accesses().len() as u64 <= more {
        rig.ship_own();
    }
    assert_eq!(numbers(&rig), (0..=more).collect::<Vec<_>>());
}

#[test]
fn a_file_that_lies_about_its_lengths_costs_no_memory_and_no_time() {
    let rig = written(1, 500);
    let raw = bytes_of(&rig, &rig.segments()[0]);
    let place = SegmentPlace { stream: Stream::Accesses, lane: rig.log.lane(), segment: 1 };
    let small = inspect::compress(&raw, place).unwrap();
    // The last block a thousand times over: each lies where the first one does.
    let last = (0..small.len() - 4).rev().find(|at| small[*at..].starts_with(&[0xff, 0xfe, 0xec, 0x2c])).unwrap();
    let mut many = small.clone();
    (0..1000).for_each(|_| many.extend_from_slice(&small[last..]));
    let found = inspect::inspect(&many, place);
    assert_eq!(found.rows.len(), inspect::inspect(&raw, place).rows.len());
    assert!(!found.problems.is_empty());
}
