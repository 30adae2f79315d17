//! Packages of exported rows that were changed anywhere: each is refused, none crashes who verifies it.
//!
//! The input says which file of a good package is changed where and how. Nothing is signed anew, so a changed package that
//! is found whole is a finding.

#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use ecluse::access::proof::Signer;
use ecluse::access::{CollegeCode, GatewayName, Stream};
use ecluse::audit::package::{Carried, ExportOrder, Trust, write};
use ecluse::store::{Embedded, Filter, ProofStore, suite};
use libfuzzer_sys::fuzz_target;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a good package: rows with and without proof, and everything else of their trees opened by half.
fn good() -> &'static Files {
    static GOOD: OnceLock<Files> = OnceLock::new();
    GOOD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("package");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store = Embedded::open(&folder.path().join("store")).expect("a store");
            let (chain, rows) = suite::chain_and_rows("gw-1", Stream::Accesses, 5);
            suite::insert(&store, &rows).await;
            store.keep(&chain[..4]).await.expect("kept");
            let order = ExportOrder {
                filter: Filter::all(Stream::Accesses),
                filters: serde_json::json!({}),
                reason: "a reason".to_owned(),
                question: 1,
                complete: true,
                college: CollegeCode::parse("0131234A").expect("a code"),
                gateway: GatewayName::parse("gw-1").expect("a name"),
                now: "2026-12-01T00:00:00Z".parse().expect("an instant"),
                pending: String::new(),
            };
            let signer = Signer::from_seed(&[7; 32]).expect("a key");
            let no_stamp = None::<fn(_) -> std::future::Ready<Result<Vec<u8>, String>>>;
            write(&store, order, &signer, &place, no_stamp).await.expect("a package");
        });
        let package = Carried::read(&place).expect("a good package");
        package.verify(&Trust::default()).expect("a good package");
        package.files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    })
}

/// One change: which file, where, what kind, with which byte.
type Change = (u8, u16, u8, u8);

fn change(files: &mut Files, (file, place, kind, byte): Change) {
    let Some(bytes) = files.values_mut().nth(usize::from(file % 8)) else { return };
    if bytes.is_empty() {
        return;
    }
    let at = usize::from(place) * bytes.len() / (usize::from(u16::MAX) + 1);
    match kind % 6 {
        0 => bytes[at] ^= byte,
        1 => bytes[at] = byte,
        2 => drop(bytes.remove(at)),
        3 => bytes.insert(at, byte),
        4 => bytes.truncate(at),
        _ => {
            let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (from, to) = (usize::from(place) % lines.len(), usize::from(byte) % lines.len());
            if byte.is_multiple_of(2) {
                let line = lines[from].clone();
                lines.insert(to, line);
            } else {
                lines.swap(from, to);
            }
            *bytes = lines.concat();
        }
    }
}

fuzz_target!(|changes: Vec<Change>| {
    let mut files = good().clone();
    changes.into_iter().take(8).for_each(|one| change(&mut files, one));
    let is_good = files == *good();
    let verified = Carried::of(files).and_then(|package| package.verify(&Trust::default()));
    assert_eq!(verified.is_ok(), is_good, "{verified:?}");
});
