//! Exporting and verifying 100,000 rows: how long somebody waits who received a package.
//!
//! The package is made whole and verified whole; a count that is wrong fails.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench tells and fails")]

use std::collections::BTreeMap;
use std::time::Instant;

use ecluse::access::proof::{Circumstances, ClockQuality, Hash, Sealed, Secret, Signer};
use ecluse::access::{CollegeCode, GatewayName, Row, Stream, Timestamp};
use ecluse::audit::package::{ExportOrder, Trust, verify, write};
use ecluse::store::suite::{self, sample};
use ecluse::store::{Embedded, Filter, ProofStore};

const ROWS: usize = 100_000;
const SEGMENT: usize = 2_000;

/// No authority is asked.
type NoStamp = fn(Hash) -> std::future::Ready<Result<Vec<u8>, String>>;

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Embedded::open(&folder.path().join("store")).unwrap();
    let rows = sample::rows(&mut sample::Dice::seeded(1), Stream::Accesses, ROWS);
    let signer = Signer::from_seed(&[1; 32]).unwrap();
    let began = Instant::now();
    let sealed = seal(&rows, &signer);
    println!("seal     {ROWS} rows, {} trees: {:.2?}", sealed.len(), began.elapsed());
    runtime.block_on(async {
        suite::insert(&store, &rows).await;
        store.keep(&sealed).await.unwrap();
    });
    for complete in [false, true] {
        let package = folder.path().join(format!("package-{complete}"));
        let order = ExportOrder {
            filter: Filter::all(Stream::Accesses),
            filters: serde_json::json!({}),
            reason: "bench".into(),
            question: 1,
            complete,
            college: CollegeCode::parse("0131234A").unwrap(),
            gateway: GatewayName::parse("gw-1").unwrap(),
            now: Timestamp::from_micros(1_795_600_000_000_000),
            pending: String::new(),
        };
        let began = Instant::now();
        let stamp: Option<NoStamp> = None;
        let written = runtime.block_on(write(&store, order, &signer, &package, stamp)).unwrap();
        println!("export   complete={complete}: {:.2?}", began.elapsed());
        assert_eq!((written.rows, written.proven), (ROWS as u64, ROWS as u64));
        for _ in 0..3 {
            let began = Instant::now();
            let report = verify(&package, &Trust(vec![signer.public().fingerprint()]), None).unwrap();
            println!("verify   complete={complete}: {:.2?}", began.elapsed());
            assert_eq!((report.manifest.rows, report.unknown.len()), (ROWS as u64, 0));
        }
        let bytes: u64 =
            std::fs::read_dir(&package).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        println!("package  complete={complete}: {} bytes a row", bytes / ROWS as u64);
    }
}

fn seal(rows: &[Row], signer: &Signer) -> Vec<Sealed> {
    let mut lanes: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let key = row.key();
        lanes.entry((key.college.clone(), key.gateway.clone(), key.lane)).or_default().push(row);
    }
    let mut heads: BTreeMap<_, (u64, Hash)> = BTreeMap::new();
    let mut sealed = Vec::new();
    for ((college, gateway, lane), mut rows) in lanes {
        rows.sort_by_key(|row| row.start());
        let head = heads.entry((college.clone(), gateway.clone())).or_default();
        for (segment, rows) in (1u32..).zip(rows.chunks(SEGMENT)) {
            let mut growing = Sealed::grow(Secret::random().unwrap());
            rows.iter().for_each(|row| growing.row(row));
            let about = Circumstances {
                college: college.clone(),
                gateway: gateway.clone(),
                stream: Stream::Accesses,
                lane,
                segment,
                sealed: Timestamp::from_micros(1_795_600_000_000_000),
                clock: ClockQuality::default(),
                rules: "0123456789ab".into(),
            };
            let tree = growing.seal(about, *head, &[], signer).unwrap();
            *head = (head.0 + 1, tree.root.hash());
            sealed.push(tree);
        }
    }
    sealed
}
