use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::access::proof::Hash;
use crate::access::{Ending, Row};
use crate::accesslog::tests::rig::*;

fn proofs(folder: &TempDir) -> Proofs {
    let settings = ProofSettings { folder: folder.path().join("proofs"), key_file: None };
    Proofs::open(&settings, Clock::manual(NOON)).unwrap()
}

/// A journal with segments of one minute, whose segments are sealed.
fn rig(folder: &TempDir) -> Rig {
    let mut rig = Rig::with(1, |settings| settings.segment_age = Duration::from_secs(60));
    rig.ship.proofs = Some(proofs(folder));
    rig
}

/// Every tree of a stream, in the order of its chain.
fn chain(folder: &TempDir, stream: Stream) -> Vec<Sealed> {
    let all = chain::all_files(&folder.path().join("proofs")).unwrap();
    let files = all.into_iter().filter(|(name, _)| name.stream == stream);
    let lines = files.flat_map(|(_, file)| chain::read_from(&file.path, 0, usize::MAX).unwrap().0);
    lines.filter_map(|line| serde_json::from_slice(&line).ok()).collect()
}

/// The chain holds, each tree is what the store's rows give, and every row of the store stands in one.
fn check(rig: &Rig, folder: &TempDir) -> Vec<Root> {
    let rows: Vec<Row> = rig.store.accesses().into_iter().map(|row| Row::Access(Box::new(row))).collect();
    let (mut previous, mut roots) = ((0, Hash::default()), Vec::new());
    let mut found = BTreeMap::new();
    for sealed in chain(folder, Stream::Accesses) {
        let root = sealed.root.root().unwrap();
        assert_eq!((root.number, root.previous), (previous.0 + 1, previous.1));
        previous = (root.number, sealed.root.hash());
        let of_tree: Vec<Row> = rows
            .iter()
            .filter(|row| row.key().lane == root.lane && sealed.keys.contains(row.key().sequence, row.key().slice))
            .cloned()
            .collect();
        sealed.leaves(&of_tree).unwrap();
        for row in of_tree {
            assert_eq!(found.insert(row.key().clone(), root.number), None, "a row in two trees");
        }
        roots.push(root);
    }
    assert_eq!(found.len(), rows.len(), "a row without a root");
    roots
}

#[test]
fn no_segment_is_forgotten_without_its_root() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    for minute in 0..5 {
        for n in 0..4 {
            rig.log.append_access(&complete(minute * 10 + n)).unwrap();
        }
        rig.advance(Duration::from_secs(61));
        rig.ship_own();
    }
    rig.ship_own();
    let roots = check(&rig, &folder);
    assert_eq!(roots.iter().map(|root| root.rows).collect::<Vec<_>>(), [4; 5]);
    assert!(roots.windows(2).all(|pair| pair[0].segment < pair[1].segment));
    // Only the one that is written is left.
    assert_eq!(rig.segments().len(), 1, "{:?}", rig.segments());
}

#[test]
fn a_segment_that_cannot_be_sealed_stays_until_it_can() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    rig.log.append_access(&complete(1)).unwrap();
    rig.advance(Duration::from_secs(61));
    std::fs::remove_dir_all(folder.path().join("proofs")).unwrap();
    rig.ship_own();
    rig.ship_own();
    assert_eq!(rig.store.accesses().len(), 1, "shipping goes on");
    assert_eq!(rig.segments().len(), 2, "{:?}", rig.segments());
    std::fs::create_dir(folder.path().join("proofs")).unwrap();
    rig.ship_own();
    check(&rig, &folder);
    assert_eq!(rig.segments().len(), 1);
}

#[test]
fn what_a_dead_process_left_open_is_sealed_as_interrupted_and_gaps_with_it() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    let _open = rig.log.begin_access(&access()).unwrap();
    for n in 0..3 {
        rig.log.append_access(&complete(n)).unwrap();
    }
    let gap = crate::access::Gap {
        since: NOON,
        until: NOON.plus(Duration::from_secs(5)),
        count: 7,
        segment: 0,
        cause: "disk full".into(),
    };
    rig.log.tell(Stream::Accesses, &gap).unwrap();
    rig.log.sync().unwrap();
    let proofs = rig.ship.proofs.clone();
    rig.kill();
    rig.ship.proofs = proofs;
    rig.ship_dead();
    let rows = rig.store.accesses();
    assert_eq!(rows.iter().filter(|row| row.record.ending == Ending::Interrupted).count(), 1);
    let roots = check(&rig, &folder);
    assert_eq!(roots.iter().map(|root| (root.rows, root.gaps)).collect::<Vec<_>>(), [(3, 1), (1, 0)]);
    assert_eq!(rig.segments(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn sealed_again_after_a_crash_a_segment_keeps_its_root() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    // An access that stays open keeps the segments, so they are read again by whoever comes next.
    let _open = rig.log.begin_access(&access()).unwrap();
    rig.log.append_access(&complete(1)).unwrap();
    rig.advance(Duration::from_secs(61));
    rig.ship_own();
    rig.ship_own();
    assert_eq!(chain(&folder, Stream::Accesses).len(), 1);
    // The ledger is lost, the chain is not.
    let ledger = rig.disk.paths().into_iter().find(|path| path.ends_with("accesses.ledger")).unwrap();
    let proofs = rig.ship.proofs.clone();
    rig.kill();
    crate::accesslog::disk::Disk::remove(&rig.disk, &ledger).unwrap();
    rig.ship.proofs = proofs;
    rig.store = StrictStore::default();
    rig.ship_dead();
    let roots = check(&rig, &folder);
    assert_eq!(roots.iter().map(|root| root.segment).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn rows_that_no_store_takes_are_leaves_without_a_row() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    rig.log.append_access(&complete(1)).unwrap();
    *rig.store.answers.lock().unwrap() = vec![Answer::Refused];
    rig.ship_own();
    rig.log.append_access(&complete(2)).unwrap();
    rig.advance(Duration::from_secs(61));
    rig.ship_own();
    rig.ship_own();
    let sealed = chain(&folder, Stream::Accesses);
    let root = sealed[0].root.root().unwrap();
    assert_eq!((root.rows, root.set_aside, sealed[0].set_aside.len()), (2, 1, 1));
    check_set_aside(&rig, &sealed[0]);
}

fn check_set_aside(rig: &Rig, sealed: &Sealed) {
    let rows: Vec<Row> = rig.store.accesses().into_iter().map(|row| Row::Access(Box::new(row))).collect();
    assert_eq!(rows.len(), 1);
    // The two rows, and the gap that tells of the one.
    assert_eq!(sealed.leaves(&rows).unwrap().len(), 2 + sealed.gaps.len());
    assert_eq!(sealed.gaps.len(), 1);
}

#[test]
fn the_key_is_made_once_for_its_owner_alone_and_a_configured_one_is_taken() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let first = proofs(&folder).public_key();
    assert_eq!(proofs(&folder).public_key(), first);
    let key = folder.path().join("proofs/gateway.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let told = std::fs::read_to_string(folder.path().join("proofs/gateway.pub")).unwrap();
    assert!(told.contains(&first.fingerprint().to_string()), "{told}");

    let elsewhere = TempDir::new().unwrap();
    let settings = |key_file| ProofSettings { folder: elsewhere.path().join("proofs"), key_file };
    let given = Proofs::open(&settings(Some(key)), Clock::System).unwrap();
    assert_eq!(given.public_key(), first);
    let error = Proofs::open(&settings(Some(elsewhere.path().join("none"))), Clock::System).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn a_line_that_a_crash_tore_costs_nothing_but_itself() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    let go = |rig: &mut Rig| {
        rig.log.append_access(&complete(1)).unwrap();
        rig.advance(Duration::from_secs(61));
        rig.ship_own();
        rig.ship_own();
    };
    go(&mut rig);
    let (_, file) = chain::all_files(&folder.path().join("proofs")).unwrap().pop().unwrap();
    let mut torn = std::fs::read(&file.path).unwrap();
    torn.extend_from_slice(b"{\"text\":\"half a li");
    std::fs::write(&file.path, torn).unwrap();
    go(&mut rig);
    assert_eq!(check(&rig, &folder).len(), 2);
}

#[test]
fn roots_reach_the_store_and_the_witness_once() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(&folder);
    let store = crate::store::Embedded::open(&folder.path().join("store")).unwrap();
    let witness = folder.path().join("witness.jsonl");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let name = ChainName {
        college: rig.settings.college.clone(),
        gateway: rig.settings.gateway.clone(),
        stream: Stream::Accesses,
    };
    for turn in 1..4 {
        rig.log.append_access(&complete(turn)).unwrap();
        rig.advance(Duration::from_secs(61));
        rig.ship_own();
        rig.ship_own();
        // Each time another process, which knows nothing of what was handed on before.
        let mut hand_on = HandOn::new(rig.ship.proofs.clone().unwrap(), Some(witness.clone()));
        runtime.block_on(hand_on.turn(&store)).unwrap();
        runtime.block_on(hand_on.turn(&store)).unwrap();
        use crate::store::ProofStore;
        assert_eq!(runtime.block_on(store.newest(&name)).unwrap().unwrap().0, turn);
        assert_eq!(std::fs::read_to_string(&witness).unwrap().lines().count() as u64, turn);
    }
    let text = std::fs::read_to_string(&witness).unwrap();
    assert!(!text.contains("secret"), "what opens leaves is no witness's business");
}
