//! What a damaged spool costs.

use super::rig::*;
use crate::access::Ending;
use crate::accesslog::ShipError;

/// Three accesses, the second still open, then a kill; answers the rig and its only segment.
fn killed(seed: u64) -> (Rig, std::path::PathBuf) {
    let mut rig = Rig::new(seed);
    rig.log.append_access(&complete(1)).unwrap();
    let _open = rig.log.begin_access(&access()).unwrap();
    rig.log.append_access(&complete(3)).unwrap();
    rig.kill();
    let segment = rig.segments()[0].clone();
    (rig, segment)
}

#[test]
fn a_segment_cut_at_any_byte_gives_what_was_whole_before() {
    let length = {
        let (rig, segment) = killed(1);
        let mut length = 0;
        rig.disk.damage(&segment, |bytes| length = bytes.len());
        length
    };
    let mut seen = Vec::new();
    for cut in 0..=length {
        let (mut rig, segment) = killed(1);
        rig.disk.damage(&segment, |bytes| bytes.truncate(cut));
        let shipped = rig.ship_dead();
        let rows: Vec<_> = rig.store.accesses().iter().map(|row| (row.record.bytes_down, row.record.ending)).collect();
        let whole = [(1, Ending::Complete), (0, Ending::Interrupted), (3, Ending::Complete)];
        assert_eq!(rows, whole[..rows.len()], "cut at {cut}");
        assert!(shipped.problems.is_empty() || rows.is_empty(), "cut at {cut}: {:?}", shipped.problems);
        seen.push(rows.len());
    }
    assert!(seen.is_sorted() && seen.last() == Some(&3) && seen.contains(&1) && seen.contains(&2), "{seen:?}");
}

#[test]
fn a_closed_segment_whose_end_is_gone_is_noticed() {
    let mut rig = Rig::new(1);
    for n in 0..10 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.log.close().unwrap();
    rig.kill();
    let segment = rig.segments()[0].clone();
    rig.disk.damage(&segment, |bytes| {
        let third = bytes.len() / 3;
        bytes[third..third + 300].fill(0);
    });
    let shipped = rig.ship_dead();
    assert_eq!(shipped.damaged, 1);
    let rows = rig.store.accesses().len();
    assert!((7..10).contains(&rows), "{rows}");
}

#[test]
fn a_damaged_header_costs_the_header_where_another_segment_says_whose_it_is() {
    let mut rig = Rig::with(1, |settings| settings.segment_bytes = 500);
    for n in 0..10 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.kill();
    let segment = rig.segments()[0].clone();
    rig.disk.damage(&segment, |bytes| bytes[..16].fill(0xff));
    let shipped = rig.ship_dead();
    assert_eq!((shipped.damaged, rig.store.accesses().len()), (1, 10));
}

#[test]
fn a_damaged_header_costs_no_row_and_is_said_whichever_byte_it_is() {
    let length = crate::accesslog::header::Header::read(&bytes_of(&killed(1))).unwrap().1;
    for at in 0..length {
        let (mut rig, segment) = killed(1);
        rig.advance(std::time::Duration::from_secs(60));
        rig.disk.damage(&segment, |bytes| bytes[at] ^= 0x41);
        let shipped = rig.ship_dead();
        assert_eq!(rig.store.accesses().len(), 3, "byte {at}");
        assert!(matches!(shipped.problems[..], [ShipError::Damaged { .. }]), "byte {at}: {:?}", shipped.problems);
        let told = rig.store.told();
        assert_eq!(told.len(), 1, "byte {at}");
        assert_eq!((told[0].since, told[0].until, told[0].segment), (NOON, rig.clock.now(), 1));
    }
}

fn bytes_of((rig, segment): &(Rig, std::path::PathBuf)) -> Vec<u8> {
    let mut whole = Vec::new();
    rig.disk.damage(segment, |bytes| whole = bytes.clone());
    whole
}

#[test]
fn a_segment_that_is_damaged_while_its_gateway_runs_is_said_and_costs_only_that() {
    let mut rig = Rig::new(1);
    for n in 0..10 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    rig.log.sync().unwrap();
    let segment = rig.segments()[0].clone();
    rig.disk.damage(&segment, |bytes| {
        let half = bytes.len() / 2;
        bytes[half] ^= 0x41;
    });
    rig.ship_synced();
    assert_eq!(rig.store.accesses().len(), 9);
    rig.ship_own();
    assert_eq!(rig.store.told().iter().map(|gap| gap.segment).collect::<Vec<_>>(), [1]);
    rig.kill();
    rig.ship_dead();
    assert_eq!((rig.store.accesses().len(), rig.store.told().len()), (9, 1), "it is told once");
}

#[test]
fn a_lane_that_cannot_be_read_now_is_not_taken_for_empty() {
    let (mut rig, segment) = killed(1);
    rig.disk.fail(|faults| faults.reads = 50);
    assert!(!rig.ship_dead().problems.is_empty() || rig.segments().contains(&segment));
    rig.disk.fail(|faults| faults.reads = 0);
    rig.ship_dead();
    assert_eq!(rig.store.accesses().len(), 3);
}

#[test]
fn every_start_on_a_damaged_spool_works() {
    // A spool grows with each start: the full count takes minutes and is asked for by name.
    let starts: u64 = std::env::var("ECLUSE_TEST_STARTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut rig = Rig::with(5, |settings| settings.segment_bytes = 1500);
    for start in 0..starts {
        for n in 0..5 {
            rig.log.append_access(&complete(n)).unwrap();
        }
        std::mem::forget(rig.log.begin_access(&access()).unwrap());
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(start);
        let paths = rig.disk.paths();
        let path = paths[(random >> 33) as usize % paths.len()].clone();
        rig.disk.damage(&path, |bytes| {
            if !bytes.is_empty() {
                let at = (random >> 17) as usize % bytes.len();
                bytes[at] ^= (random >> 9) as u8 | 1;
            }
        });
        if start % 2 == 0 {
            rig.kill()
        } else {
            rig.cut_power()
        }
        if start % 10 == 0 {
            rig.ship_dead();
        }
    }
}
