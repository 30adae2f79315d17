use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::access::proof::{Circumstances, ClockQuality, Half, Sealed, Secret, Signer};
use crate::access::{Host, Pseudonym, Row};
use crate::store::suite::sample::{self, Dice};
use crate::store::suite::{self};
use crate::store::{Embedded, Filter, HostFilter, ProofStore};

mod changes;

/// A store whose rows are sealed, and packages of it.
struct Place {
    folder: TempDir,
    store: Embedded,
    rows: Vec<Row>,
    signer: Signer,
    trees: usize,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// No authority is asked.
type NoStamp = fn(Hash) -> std::future::Ready<Result<Vec<u8>, String>>;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Place {
    /// So many rows of chance, in trees of at most `leaves` rows.
    fn with(seed: u64, stream: Stream, rows: usize, leaves: usize) -> Place {
        let folder = TempDir::new().unwrap();
        let store = Embedded::open(&folder.path().join("store")).unwrap();
        let rows = sample::rows(&mut Dice::seeded(seed), stream, rows);
        block_on(suite::insert(&store, &rows));
        let mut place = Place { folder, store, rows, signer: Signer::from_seed(&[1; 32]).unwrap(), trees: 0 };
        place.seal(stream, leaves);
        place
    }

    fn seal(&mut self, stream: Stream, leaves: usize) {
        let mut lanes: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            let key = row.key();
            lanes.entry((key.college.clone(), key.gateway.clone(), key.lane)).or_default().push(row);
        }
        let mut heads: BTreeMap<_, (u64, Hash)> = BTreeMap::new();
        let mut sealed = Vec::new();
        for ((college, gateway, lane), rows) in lanes {
            let head = heads.entry((college.clone(), gateway.clone())).or_default();
            for (segment, rows) in (1u32..).zip(rows.chunks(leaves)) {
                let mut growing = Sealed::grow(Secret::of_bytes([segment as u8; 32]));
                rows.iter().for_each(|row| growing.row(row));
                let about = Circumstances {
                    college: college.clone(),
                    gateway: gateway.clone(),
                    stream,
                    lane,
                    segment,
                    sealed: at("2026-11-26T00:00:00Z"),
                    clock: ClockQuality::default(),
                    rules: "0123456789ab".into(),
                };
                let tree = growing.seal(about, *head, &[], &self.signer).unwrap();
                *head = (head.0 + 1, tree.root.hash());
                sealed.push(tree);
            }
        }
        self.trees = sealed.len();
        block_on(self.store.keep(&sealed)).unwrap();
    }

    fn package(&self) -> PathBuf {
        self.folder.path().join("package")
    }

    fn export(&self, filter: Filter, complete: bool) -> Written {
        let _ = fs::remove_dir_all(self.package());
        let order = ExportOrder {
            filter,
            filters: serde_json::json!({}),
            reason: "réquisition 12/2026".into(),
            question: 1,
            complete,
            college: CollegeCode::parse("0131234A").unwrap(),
            gateway: GatewayName::parse("gw-1").unwrap(),
            now: at("2026-11-26T08:00:00Z"),
            pending: "complete up to 09:00:00".into(),
        };
        let stamp: Option<NoStamp> = None;
        block_on(write(&self.store, order, &self.signer, &self.package(), stamp)).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust(vec![self.signer.public().fingerprint()])
    }

    fn verify(&self) -> Result<Report, Altered> {
        verify(&self.package(), &self.trust(), None)
    }
}

#[test]
fn what_was_exported_is_whole_and_every_row_is_proven() {
    for stream in Stream::ALL {
        let place = Place::with(3, *stream, 200, 40);
        let written = place.export(Filter::all(*stream), false);
        assert_eq!((written.rows, written.proven), (200, 200));
        let report = place.verify().unwrap();
        assert_eq!((report.manifest.rows, report.roots as usize), (200, place.trees));
        assert_eq!((report.unknown.len(), report.accounted), (0, None));
        let names = files::names(&place.package()).unwrap();
        assert_eq!(names.len(), 8, "{names:?}");
    }
}

#[test]
fn without_trust_the_key_is_unknown_and_all_else_is_checked() {
    let place = Place::with(3, Stream::Accesses, 30, 40);
    place.export(Filter::all(Stream::Accesses), false);
    let report = verify(&place.package(), &Trust::default(), None).unwrap();
    assert_eq!(report.unknown, [place.signer.public().fingerprint()]);
    let other = Signer::from_seed(&[2; 32]).unwrap().public().fingerprint();
    assert_eq!(verify(&place.package(), &Trust(vec![other]), None).unwrap().unknown.len(), 1);
}

#[test]
fn a_key_is_trusted_by_fingerprint_or_by_a_file() {
    let place = Place::with(3, Stream::Accesses, 1, 40);
    let key = place.signer.public();
    let file = place.folder.path().join("gateway.pub");
    fs::write(&file, format!("ed25519 {key}\nfingerprint {}\n", key.fingerprint())).unwrap();
    for text in [key.fingerprint().to_string(), file.display().to_string()] {
        assert!(Trust::read(&text).unwrap().0.contains(&key.fingerprint()), "{text}");
    }
    fs::write(&file, "nothing\n").unwrap();
    assert!(Trust::read(&file.display().to_string()).is_err());
    assert!(Trust::read("no-such-file").is_err());
}

#[test]
fn nothing_found_is_provable_and_tells_half_of_what_was_there() {
    let place = Place::with(5, Stream::Accesses, 120, 25);
    let nobody = Filter { persons: Some(vec![Pseudonym([0xee; 16])]), ..Filter::all(Stream::Accesses) };
    let written = place.export(nobody, true);
    assert_eq!((written.rows, written.complete, written.openings), (0, true, 120));
    let report = place.verify().unwrap();
    assert_eq!((report.accounted, report.trees as usize), (Some(120), place.trees));
    let openings = fs::read_to_string(place.package().join(OPENINGS)).unwrap();
    for line in openings.lines() {
        let OpeningLine { opened: Opened::Half { half, fields, .. }, .. } = serde_json::from_str(line).unwrap() else {
            panic!("{line}")
        };
        assert_eq!(half, HalfName::Who);
        assert!(fields.get("host").is_none() && fields.get("person").is_some(), "where somebody went is not told");
    }
    // A host is searched for in the other half, which tells of nobody.
    let nowhere = HostFilter::Exactly(Host::parse("nowhere.example").unwrap());
    place.export(Filter { host: Some(nowhere), ..Filter::all(Stream::Accesses) }, true);
    assert_eq!(place.verify().unwrap().accounted, Some(120));
    let openings = fs::read_to_string(place.package().join(OPENINGS)).unwrap();
    assert!(openings.contains("\"host\"") && !openings.contains("\"person\"") && !openings.contains("client_address"));
}

#[test]
fn a_row_that_the_store_lost_leaves_its_tree_without_proof_and_that_is_said() {
    let place = Place::with(5, Stream::Accesses, 60, 1000);
    // The same trees, beside a store that has one row less.
    let other = Place::with(6, Stream::Accesses, 1, 1);
    let store = Embedded::open(&other.folder.path().join("less")).unwrap();
    let (lost, kept) = place.rows.split_first().unwrap();
    block_on(suite::insert(&store, kept));
    let asked = crate::store::RootsAsked { stream: Stream::Accesses, college: None, from: None, to: None, most: 1000 };
    let sealed = block_on(place.store.roots(&asked)).unwrap();
    block_on(store.keep(&sealed)).unwrap();
    let less = Place { store, rows: kept.to_vec(), ..other };
    let written = less.export(Filter::all(Stream::Accesses), true);
    assert!(written.proven < written.rows && !written.complete);
    let told = format!("sequence {} slice {}", lost.key().sequence, lost.key().slice);
    assert!(written.notes[0].contains(&told), "{:?}", written.notes);
    let report = less.verify().unwrap();
    assert_eq!(report.manifest.proven, written.proven);
    assert!(report.notes.iter().any(|note| note.contains(&told)));
}

#[test]
fn a_package_that_is_there_is_not_overwritten_and_a_broken_one_leaves_nothing() {
    let place = Place::with(5, Stream::Accesses, 3, 10);
    place.export(Filter::all(Stream::Accesses), false);
    assert!(files::Folder::make(&place.package()).is_err());
    drop(files::Folder::make(&place.folder.path().join("other")).unwrap());
    assert!(!place.folder.path().join("other.partial").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_complete_answer_to_any_question_is_proven(seed in any::<u64>()) {
        let mut dice = Dice::seeded(seed);
        let place = Place::with(seed, Stream::Accesses, 50, 12);
        let all = BTreeMap::from([(Stream::Accesses, place.rows.clone()), (Stream::Connections, Vec::new())]);
        let filter = sample::query(&mut dice, &all).filter;
        if filter.stream == Stream::Accesses && filter.misplaced().is_none() {
            let expected = place.rows.iter().filter(|row| suite::naive::matches(&filter, row)).count() as u64;
            let written = place.export(filter.clone(), true);
            prop_assert_eq!(written.rows, expected);
            prop_assert_eq!(written.proven, expected);
            let report = place.verify();
            prop_assert!(report.is_ok(), "{:?}: {:?}", filter, report);
            prop_assert!(report.unwrap().accounted.is_some());
        }
    }

    #[test]
    fn a_row_has_the_same_leaf_before_and_after_the_store(seed in any::<u64>()) {
        for stream in Stream::ALL {
            let folder = TempDir::new().unwrap();
            let store = Embedded::open(folder.path()).unwrap();
            let rows = sample::rows(&mut Dice::seeded(seed), *stream, 20);
            block_on(suite::insert(&store, &rows));
            let leaf = |row: &Row| {
                let salt = crate::access::proof::Salt([7; 16]);
                let salts = crate::access::proof::Salts { who: salt, what: salt };
                (row.key().clone(), crate::access::proof::Halves::of_row(row).leaf(salts))
            };
            let mut before: Vec<_> = rows.iter().map(leaf).collect();
            let found = block_on(async {
                crate::store::RecordStore::search(&store, &suite::everything(*stream)).await.unwrap().all().await.unwrap()
            });
            let mut after: Vec<_> = found.iter().map(leaf).collect();
            before.sort();
            after.sort();
            prop_assert_eq!(before, after);
        }
    }
}

#[test]
fn a_half_is_read_back_from_the_fields_that_a_package_shows() {
    for stream in Stream::ALL {
        for row in sample::rows(&mut Dice::seeded(8), *stream, 50) {
            let halves = crate::access::proof::Halves::of_row(&row);
            for (name, half) in [(HalfName::Who, &halves.who), (HalfName::What, &halves.what)] {
                let fields = serde_json::to_value(half).unwrap();
                assert_eq!(&Half::from_fields(*stream, name, fields).unwrap(), half);
            }
        }
    }
}
