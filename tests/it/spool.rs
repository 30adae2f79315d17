//! A gateway starts whatever lies in its spool; what damage costs is a record where it lay, and it is said.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::browser::Browser;
use crate::harness::cli::{self, text};
use crate::harness::dns::NameServer;
use crate::harness::gateway::{Gateway, search};
use crate::harness::origin::Origin;
use crate::harness::site::{PUPIL, Site};
use crate::harness::table::Table;
use crate::harness::{Dice, amount};

/// What issue and manual promise.
const START_WITHIN: Duration = Duration::from_secs(5);

/// Every file of the spool.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a spool").flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort_unstable();
    files
}

/// Rows that damage can cost at most.
#[derive(Debug, Default)]
struct Cost {
    /// Behind a cut: what the kernel had not taken yet looks the same, and nobody is told of it.
    torn: u64,
    /// A byte was changed: that is noticed.
    damaged: u64,
}

/// Changes a byte, cuts the file, lengthens it, or empties it.
fn damage(path: &Path, dice: &mut Dice, cost: &mut Cost) {
    let mut bytes = std::fs::read(path).expect("a file of the spool");
    let length = bytes.len() as u64;
    let at = dice.below(length.max(1)) as usize;
    let is_segment = path.extension().is_some_and(|extension| extension == "seg");
    match dice.below(8) {
        // A few rows are in a segment of this test, and all of them may lie behind the cut.
        0 if is_segment => {
            bytes.truncate(at);
            cost.torn += 8;
        }
        1 => bytes.extend((0..dice.below(600)).map(|n| n as u8)),
        2 if !is_segment => bytes.clear(),
        _ if bytes.is_empty() => {}
        _ => {
            bytes[at] ^= 1 + dice.below(255) as u8;
            cost.damaged += u64::from(is_segment);
        }
    }
    std::fs::write(path, bytes).expect("a file of the spool");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_on_every_damaged_spool_and_each_lost_row_was_damaged() {
    let starts = amount("ECLUSE_TEST_STARTS", 12);
    let names = NameServer::start().await;
    let origin = Origin::http().await;
    let mut site = Site::new(Some(names.address));
    let mut dice = Dice::new();
    let mut gateway = Gateway::start(&mut site).await;
    let spool = site.state().join("journal");
    let (mut sent, mut cost, mut slowest) = (0u64, Cost::default(), Duration::ZERO);
    for _ in 0..starts {
        let mut browser = Browser::at(PUPIL, gateway.proxy).await;
        for _ in 0..3 {
            let reply = browser.get(&origin.url(&format!("s{sent}.load.test"), "/")).await;
            assert_eq!(reply.status, 200);
            sent += 1;
        }
        gateway.kill();
        let files = files(&spool);
        let chosen = &files[dice.below(files.len() as u64) as usize];
        damage(chosen, &mut dice, &mut cost);
        let config = site.write_config();
        let mut next = Gateway::spawn(Some(&config), &site.state(), site.proxy());
        next.wait_ready().await.unwrap_or_else(|not| panic!("{} was damaged:\n{}", chosen.display(), not.stderr));
        slowest = slowest.max(next.ready_after);
        gateway = next;
    }
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(slowest < START_WITHIN, "the slowest start took {slowest:?}");

    let rows = search(Some(&site.config()), &site.state(), &["--limit", "10000000"]);
    let mut found: HashMap<String, usize> = HashMap::new();
    rows.iter().for_each(|row| *found.entry(text(row, "host").to_owned()).or_default() += 1);
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let missing = sent - found.len() as u64;
    assert!(missing <= cost.torn + cost.damaged, "{missing} of {sent} rows are missing: {cost:?}");
    let said = cli::run(Some(&site.config()), &site.state(), &["log", "search", "--limit", "1"]).ok();
    assert!(
        missing <= cost.torn || said.contains("not written or are lost"),
        "{missing} rows are missing, and nobody says so"
    );
    let mut table = Table::new("Starts on a damaged spool");
    let result = format!(
        "all ready, the slowest after {} ms; of {sent} rows {missing} are lost, {} could be; 0 doubled",
        slowest.as_millis(),
        cost.torn + cost.damaged
    );
    table.row("a byte changed, a file cut, lengthened or emptied; then a start", &starts, &result);
    table.print();
}
