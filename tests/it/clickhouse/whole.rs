//! The whole gateway with a real server for its log: away at the start, killed in between, and every request is found once.

use std::collections::HashSet;
use std::time::Duration;

use ecluse::access::Stream;
use ecluse::store::suite::everything;

use super::between::{Between, Fault};
use super::{Rig, open, server};
use crate::harness::gateway::{Gateway, search};
use crate::harness::school::School;
use crate::harness::{cli, eventually, eventually_within};
use crate::proof;

fn store_table(between: &Between) -> String {
    format!(
        "kind = \"clickhouse\"\nendpoints = [\"{}\"]\nuser = \"default\"\nbatch_seconds = 1\nanswer_ms = 5000",
        between.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_works_without_its_server_and_each_request_is_there_once_when_it_is_back() {
    let Some(rig) = Rig::start() else { return };
    let between = Between::start(rig.engine.port(), None, || Fault::Pass).await;
    // Away: nobody made a table yet, and soon nobody listens.
    rig.engine.kill();
    let mut school = School::open_with(|site| {
        site.set("store", &store_table(&between));
    })
    .await;
    let mut asked = HashSet::new();
    let mut pupil = school.pupil().await;
    for serial in 0..10 {
        let host = format!("away{serial}.test");
        assert_eq!(pupil.get(&school.url(&host, "/")).await.status, 200);
        asked.insert(host);
    }
    // The gateway dies twice, with its rows unshipped.
    for turn in 0..2 {
        let School { gateway, site, names, origin } = school;
        gateway.kill();
        let mut site = site;
        let gateway = Gateway::start(&mut site).await;
        school = School { gateway, site, names, origin };
        let host = format!("killed{turn}.test");
        assert_eq!(school.pupil().await.get(&school.url(&host, "/")).await.status, 200);
        asked.insert(host);
    }

    rig.engine.restart();
    between.moved(rig.engine.port());
    let said = school.gateway.cli(&["store", "migrate"]).ok();
    assert!(said.contains("applied step 1"), "{said}");
    // Where a batch came between the server's return and its tables, the shipper pauses for half a minute.
    let found = eventually_within("all rows are in the server", Duration::from_secs(90), async || {
        let rows = search(Some(&school.site.config()), &school.site.state(), &["--limit", "1000"]);
        (rows.len() >= asked.len()).then_some(rows)
    })
    .await;
    let hosts: Vec<&str> = found.iter().map(|row| cli::text(row, "host")).collect();
    assert_eq!(hosts.len(), asked.len(), "doubled: {hosts:?}");
    assert!(hosts.iter().all(|host| asked.contains(*host)), "{hosts:?}");

    // The counts by hour follow their rows by a moment.
    eventually("they are counted", async || {
        let stats = school.gateway.cli(&["log", "stats", "--by", "decision", "--format", "json"]).ok();
        let number: u64 = cli::rows(&stats).iter().map(|line| cli::number(line, "number")).sum();
        assert!(number <= asked.len() as u64, "{stats}");
        (number == asked.len() as u64).then_some(())
    })
    .await;
    let store = open(&server(&[rig.engine.url()], "ecluse"));
    let connections = ecluse::store::suite::search(&store, &everything(Stream::Connections)).await;
    assert!(connections.len() >= 3, "{} connections", connections.len());

    // The journal keeps what was acknowledged, and the two agree; where the server lost rows they are sent again.
    assert_eq!(school.gateway.stop().await.code(), Some(0));
    // An export of the server's rows is proven, and no longer so after one byte of it was changed.
    let package = proof::export(&school.site, "package", &[]).await;
    let trust = proof::fingerprint(&school.site);
    let said = proof::verify(&package, &["--trust", &trust]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains(&format!("{0} rows, {0} of them proven", asked.len())), "{said:?}");
    let rows = package.join("rows.jsonl");
    let whole = std::fs::read_to_string(&rows).unwrap();
    std::fs::write(&rows, whole.replacen("killed1.test", "killed2.test", 1)).unwrap();
    let said = proof::verify(&package, &["--trust", &trust]);
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(said.stderr.contains("ALTERED: row "), "{said:?}");

    let (config, state) = (school.site.config(), school.site.state());
    let said = cli::run(Some(&config), &state, &["store", "reconcile"]).ok();
    assert!(said.contains("acknowledged rows of this journal were looked for"), "{said}");
    assert!(!said.contains("missing"), "{said}");
    let gone = super::number(&rig.engine.url(), "SELECT count() FROM ecluse.accesses WHERE host LIKE 'away%'").await;
    super::ask(
        &rig.engine.url(),
        "ALTER TABLE ecluse.accesses DELETE WHERE host LIKE 'away%' SETTINGS mutations_sync = 2",
    )
    .await;
    let said = cli::run(Some(&config), &state, &["store", "reconcile"]);
    assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains(&format!("{gone} rows are missing")), "{}", said.stdout);
    let said = cli::run(Some(&config), &state, &["store", "reconcile", "--send"]).ok();
    let rows = search(Some(&config), &state, &["--limit", "1000"]);
    let hosts: HashSet<&str> = rows.iter().map(|row| cli::text(row, "host")).collect();
    assert_eq!((hosts.len(), rows.len()), (asked.len(), asked.len()), "{said}{hosts:?}");
    cli::run(Some(&config), &state, &["store", "reconcile"]).ok();

    // A case is held with what proves it, and proves itself when all else is gone.
    let case = ["--case", "affaire_7", "--reason", "réquisition 7"];
    let hold = |more: &[&str]| cli::run(Some(&config), &state, &[&["store", "hold"], &case[..], more].concat());
    let whose = ["--college", "0131234A", "--from", "2026-01-01", "--to", "2100-01-01"];
    let said = hold(&whose).ok();
    assert!(
        said.contains(&format!("{0} rows are held in the tables of case affaire_7, {0} of them", asked.len())),
        "{said}"
    );
    assert!(hold(&whose).stderr.contains("already"), "a case is held once");
    for table in ["accesses", "connections", "proofs"] {
        super::ask(&rig.engine.url(), &format!("TRUNCATE TABLE ecluse.{table}")).await;
    }
    let package = school.site.folder().join("held");
    let out = package.to_str().unwrap();
    cli::run(Some(&config), &state, &[&["store", "held"], &case[..], &["--out", out]].concat()).ok();
    let said = proof::verify(&package, &["--trust", &trust]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains(&format!("{0} rows, {0} of them proven", asked.len())), "{said:?}");
    // A piece that the server lost is told.
    super::ask(&rig.engine.url(), "ALTER TABLE ecluse.hold_affaire_7_accesses_package DELETE WHERE file = 'roots.jsonl' SETTINGS mutations_sync = 2").await;
    let again = school.site.folder().join("held-again");
    let said =
        cli::run(Some(&config), &state, &[&["store", "held"], &case[..], &["--out", again.to_str().unwrap()]].concat());
    assert!(said.stderr.contains("roots.jsonl") && !again.exists(), "{said:?}");
    let trail = std::fs::read_dir(state.join("trail"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert_eq!(trail.collect::<String>().matches("réquisition 7").count(), 4, "each of the four is in the trail");
}
