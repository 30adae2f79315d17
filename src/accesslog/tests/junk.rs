//! A start is quick and shipping goes on, whatever lies in the spool; and bytes of any kind are read without a panic.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::rig::*;
use crate::access::{CollegeCode, GatewayName, Stream};
use crate::accesslog::inspect::{SegmentPlace, inspect, inspect_ledger};
use crate::accesslog::{AccessLog, JournalSettings, ShipError, ShipSettings, ship_dead_lanes};
use crate::clock::Clock;

fn settings(spool: &Path) -> JournalSettings {
    JournalSettings::new(spool, CollegeCode::parse("0131234A").unwrap(), GatewayName::parse("gw-1").unwrap())
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn lane(spool: &Path, number: u64) -> std::path::PathBuf {
    let folder = spool.join(format!("lane-{number:010}"));
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn a_start_takes_less_than_five_seconds_whatever_lies_in_the_spool() {
    let state = tempfile::TempDir::new().unwrap();
    let spool = state.path().join("journal");
    {
        let before = AccessLog::open(settings(&spool), Clock::manual(NOON)).unwrap();
        before.append_access(&complete(1)).unwrap();
    }
    for n in 0..10_000 {
        fs::write(spool.join(format!("junk-{n}")), b"junk").unwrap();
    }
    let large = lane(&spool, 1);
    File::create(large.join("accesses-00000001.seg")).unwrap().set_len(1 << 30).unwrap();
    pipe(&lane(&spool, 2).join("accesses-00000001.seg"));
    pipe(&lane(&spool, 3).join("lock"));
    pipe(&lane(&spool, 4).join("owner"));
    pipe(&spool.join("lane-0000000005"));
    symlink(&spool, spool.join("lane-0000000006")).unwrap();
    let looped = lane(&spool, 7);
    symlink(&looped, looped.join("accesses-00000001.seg")).unwrap();
    fs::create_dir(spool.join("lane-99999999999999999999")).unwrap();
    fs::create_dir(spool.join(format!("lane-{}", u64::MAX))).unwrap();
    for name in ["next-lane", "lock"] {
        fs::remove_file(spool.join(name)).unwrap();
    }
    fs::create_dir(spool.join("next-lane")).unwrap();
    pipe(&spool.join("lock"));

    let begun = Instant::now();
    let log = AccessLog::open(settings(&spool), Clock::manual(NOON)).unwrap();
    log.append_access(&complete(2)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(log);

    let store = StrictStore::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let shipped = runtime.block_on(ship_dead_lanes(&spool, &store, &ShipSettings::default()));
    assert_eq!(store.accesses().len(), 2, "{:?}", shipped.problems);
    let needs_a_person =
        shipped.problems.iter().filter(|problem| !matches!(problem, ShipError::Damaged { .. })).count();
    assert!(needs_a_person >= 3, "the large, the pipe, the loop: {:?}", shipped.problems);
    assert!(spool.join("lane-0000000006").is_symlink() && spool.join("junk-0").exists(), "what is not ours stays");
}

#[test]
fn a_segment_is_inspected_whatever_its_bytes_are() {
    let rig = Rig::new(1);
    rig.log.append_access(&complete(1)).unwrap();
    let _open = rig.log.begin_access(&access()).unwrap();
    rig.log.append_access(&complete(3)).unwrap();
    let mut whole = Vec::new();
    rig.disk.damage(&rig.segments()[0], |bytes| whole = bytes.clone());
    let place = SegmentPlace { stream: Stream::Accesses, lane: rig.log.lane(), segment: 1 };
    let found = inspect(&whole, place);
    assert_eq!((found.rows.len(), found.intents, found.problems.len()), (2, 1, 0), "{:?}", found.problems);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x81;
        let found = inspect(&damaged, place);
        assert!(!found.problems.is_empty(), "byte {at} goes unnoticed");
        assert!(found.rows.len() as u64 + found.intents >= 2 || at < 100, "byte {at} costs more than its frame");
        inspect(&whole[..at], place);
        inspect(&whole[at..], place);
    }
    assert_eq!(inspect(&whole, SegmentPlace { segment: 2, ..place }).rows, [], "frames of elsewhere are not taken");
    assert_eq!(inspect_ledger(&whole), 0);
}

#[test]
fn where_no_window_is_allowed_traffic_waits_until_the_intent_is_on_the_disk() {
    let state = tempfile::TempDir::new().unwrap();
    let spool = state.path().join("journal");
    let mut settings = settings(&spool);
    settings.sync_window = Duration::ZERO;
    let log = AccessLog::open(settings, Clock::manual(NOON)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let wait = |_| {
            let log = log.clone();
            async move {
                let open = log.begin_access(&access()).unwrap();
                log.before_traffic().await.unwrap();
                let durable: u64 =
                    log.stream(Stream::Accesses).writer().extents().iter().map(|(_, e)| e.readable).sum();
                assert!(durable > 0);
                open.complete(&complete(1)).unwrap();
            }
        };
        let mut all: tokio::task::JoinSet<()> = (0..50).map(wait).collect();
        while let Some(one) = tokio::time::timeout(Duration::from_secs(20), all.join_next()).await.unwrap() {
            one.unwrap();
        }
    });
}

#[test]
fn where_the_intent_cannot_be_synced_traffic_does_not_pass() {
    let rig = Rig::with(1, |settings| settings.sync_window = Duration::ZERO);
    let _open = rig.log.begin_access(&access()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    rig.disk.fail(|faults| faults.syncs = 9);
    assert!(runtime.block_on(rig.log.before_traffic()).is_err());
    rig.disk.fail(|faults| faults.syncs = 0);
    assert!(runtime.block_on(rig.log.before_traffic()).is_ok());
    let mut rig = rig;
    rig.cut_power();
    rig.ship_dead();
    assert_eq!(rig.store.accesses().len(), 1, "the intent was on the disk");
}
