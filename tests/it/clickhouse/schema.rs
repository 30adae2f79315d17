//! The schema on a real server: made once, made again, its durations, what it refuses, what it deletes.

use ecluse::access::{Stream, Timestamp};
use ecluse::store::clickhouse::accounts::{Secret, gateway, reader};
use ecluse::store::clickhouse::{Plan, statements};
use ecluse::store::suite::{self, batch, everything, sample, search};
use ecluse::store::{ProofStore, RecordStore, RootsAsked, StoreError};

use super::{Rig, ask, fresh_name, number, open, plan, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_runs_again_changes_nothing_and_a_new_duration_is_set() {
    let Some(rig) = Rig::start() else { return };
    let (url, database) = (rig.engine.url(), fresh_name());
    let store = open(&server(std::slice::from_ref(&url), &database));
    let first = store.migrate(&plan(&database)).await.unwrap();
    assert_eq!(first.applied.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(first.durations, Vec::<String>::new());
    let tables = format!("SELECT groupArray(create_table_query) FROM system.tables WHERE database = '{database}'");
    let made = ask(&url, &tables).await;
    assert_eq!(store.migrate(&plan(&database)).await.unwrap(), Default::default());
    assert_eq!(ask(&url, &tables).await, made);

    // Half of a step was done when somebody pulled the plug.
    ask(&url, &format!("DROP TABLE {database}.gaps")).await;
    ask(&url, &format!("ALTER TABLE {database}.schema_migrations DELETE WHERE 1 SETTINGS mutations_sync = 2")).await;
    assert_eq!(store.migrate(&plan(&database)).await.unwrap().applied.len(), 3);

    let shorter = Plan { accesses_days: 10_000, ..plan(&database) };
    let changed = store.migrate(&shorter).await.unwrap();
    assert_eq!(changed.durations, ["accesses", "gaps", "hourly", "proofs"]);
    assert_eq!(store.migrate(&shorter).await.unwrap(), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_for_a_cluster_and_for_accounts_is_one_that_the_server_reads() {
    let Some(rig) = Rig::start() else { return };
    let url = rig.engine.url();
    let cluster = Plan { cluster: Some("ecluse".to_owned()), ..plan("ecluse") };
    let (name, college) = ("gw-0131234a".to_owned().try_into().unwrap(), "0131234A".to_owned().try_into().unwrap());
    let mut all = statements(&cluster);
    for plan in [&cluster, &plan("ecluse")] {
        all.extend(gateway(plan, &name, &college, &Secret::Password("it's\\secret")));
        all.extend(gateway(plan, &name, &college, &Secret::Certificate("gw 'x'")));
        all.extend(reader(plan, Some(&college)));
        all.extend(reader(plan, None));
    }
    for statement in &all {
        let quoted = statement.replace('\\', "\\\\").replace('\'', "\\'");
        let read = ask(&url, &format!("SELECT formatQuery('{quoted}')")).await;
        assert!(!read.is_empty(), "{statement}");
    }
    assert!(!all.iter().any(|statement| statement.contains("secret")), "a password in clear");
}

/// The engine here has one account and no settings of its own names: the conditions of the tables are asked for what they say
/// of others.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_writes_rows_of_its_own_gateway_and_college_only() {
    let Some(rig) = Rig::start() else { return };
    let made = statements(&plan("ecluse"));
    let table = made.iter().find(|statement| statement.contains("own_college")).expect("a table with conditions");
    let condition = |name: &str, end: &str| {
        let (_, rest) = table.split_once(&format!("CONSTRAINT {name} CHECK ")).expect("a condition");
        rest.split_once(end).expect("its end").0.to_owned()
    };
    let (gateway, college) = (condition("own_gateway", ", CONSTRAINT"), condition("own_college", ") ENGINE"));
    for (account, setting, row, allowed) in [
        ("gw_a-1", "0131234A", ("a-1", "0131234A"), 1),
        ("gw_a-1", "0131234A", ("a-2", "0131234A"), 0),
        ("gw_a-1", "0131234A", ("a-1", "0131234B"), 0),
        ("gw_a-1", "", ("a-1", "0131234A"), 0),
        ("ecluse_admin", "", ("a-1", "0131234A"), 1),
        ("ecluse_admin", "0131234A", ("a-1", "0131234B"), 0),
    ] {
        let asked = format!("({gateway}) AND ({college})")
            .replace("currentUser()", &format!("'{account}'"))
            .replace("getSettingOrDefault('SQL_college', '')", &format!("'{setting}'"));
        let sql = format!("SELECT {asked} FROM (SELECT '{}' AS gateway, '{}' AS college)", row.0, row.1);
        assert_eq!(number(&rig.engine.url(), &sql).await, allowed, "{account} with {setting:?} writes {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_day_is_set_aside_and_not_put_into_another_day() {
    let Some(rig) = Rig::start() else { return };
    let store = rig.store(&fresh_name()).await;
    for start in [-1, 0, 4_102_444_800_000_000_i64, i64::MAX] {
        let mut rows = sample::rows(&mut sample::Dice::seeded(42), Stream::Accesses, 1);
        sample::set_start(&mut rows[0], Timestamp::from_micros(start));
        let answer = store.insert(&batch(&rows)).await;
        assert!(matches!(answer, Err(StoreError::Poison(_))), "{start}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_past_their_duration_go_and_what_is_held_for_a_case_stays() {
    let Some(rig) = Rig::start() else { return };
    let (url, database) = (rig.engine.url(), fresh_name());
    let (store, plan) = (rig.store(&database).await, plan(&database));
    let rows = sample::rows(&mut sample::Dice::seeded(43), Stream::Accesses, 120);
    suite::insert(&store, &rows).await;
    let mut days: Vec<i32> = rows.iter().map(|row| row.start().day()).collect();
    days.sort_unstable();
    let (first, second) = (days[0], *days.iter().find(|day| **day > days[0]).unwrap());
    let old = days.iter().filter(|day| **day == first).count() as u64;

    let mut filter = everything(Stream::Accesses).filter;
    filter.to = Some(Timestamp::start_of_day(second));
    assert_eq!(store.hold(&plan, "case_12", &filter).await.unwrap(), old);
    assert!(store.hold(&plan, "case_12", &filter).await.is_err(), "a case is held once");

    let past = store.days_before(&plan, Stream::Accesses, second).await.unwrap();
    assert_eq!(past.iter().map(|past| (past.day, past.rows())).collect::<Vec<_>>(), [(first, old)]);
    let mut colleges: Vec<&str> = past[0].rows.iter().map(|(college, _)| college.as_str()).collect();
    colleges.dedup();
    assert_eq!(colleges.len(), past[0].rows.len(), "each college once");
    store.drop_day(&plan, Stream::Accesses, first).await.unwrap();
    assert_eq!(store.days_before(&plan, Stream::Accesses, second).await.unwrap(), []);
    assert_eq!(search(&store, &everything(Stream::Accesses)).await.len() as u64, 120 - old);
    assert_eq!(number(&url, &format!("SELECT count() FROM {database}.hold_case_12_accesses")).await, old);
    let of_the_day = format!("SELECT count() FROM {database}.hourly WHERE toDate(hour) = toDate({first})");
    assert_eq!(number(&url, &of_the_day).await, 0, "its counts went with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_counts_is_made_anew_from_the_rows() {
    let Some(rig) = Rig::start() else { return };
    let (url, database) = (rig.engine.url(), fresh_name());
    let (store, plan) = (rig.store(&database).await, plan(&database));
    let rows = sample::rows(&mut sample::Dice::seeded(44), Stream::Accesses, 200);
    suite::insert(&store, &rows).await;
    let counted = format!(
        "SELECT toDate(hour) AS day, college, category, action, sum(number), sum(bytes_up) FROM {database}.hourly \
         GROUP BY ALL ORDER BY ALL"
    );
    let right = ask(&url, &counted).await;
    let day = ask(&url, &format!("SELECT toDate(min(start)) FROM {database}.accesses")).await;
    ask(&url, &format!("INSERT INTO {database}.hourly SELECT * FROM {database}.hourly LIMIT 3")).await;
    assert_ne!(ask(&url, &counted).await, right);
    for day in ask(&url, &format!("SELECT DISTINCT toDate(hour) FROM {database}.hourly")).await.lines() {
        store.rebuild_hours(&plan, day).await.unwrap();
    }
    assert_eq!(ask(&url, &counted).await, right, "{day}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_of_rows_that_are_gone_go_and_another_root_of_the_same_number_is_refused() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    let (store, plan) = (rig.store(&database).await, plan(&database));
    let everything = RootsAsked { stream: Stream::Accesses, college: None, from: None, to: None, most: 100 };
    let chain = suite::chain_of("gw-1", Stream::Accesses, 8);
    store.keep(&chain).await.unwrap();
    // The same gateway's name on another machine.
    let other = suite::chain_of("gw-1", Stream::Accesses, 9);
    let mut forged = other[8].clone();
    forged.root.text = forged.root.text.replace("\"number\":9", "\"number\":8");
    let refused = store.keep(&[forged]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Stop(why) if why.contains("a name of its own")), "{refused}");
    assert_eq!(store.roots(&everything).await.unwrap(), chain);

    let college = chain[0].root.unverified_root().unwrap().college;
    let day = "2026-11-24T00:00:00Z".parse::<Timestamp>().unwrap().day();
    // Two trees a day; the third holds nothing.
    assert_eq!(store.roots_of_day(Stream::Accesses, &college, day).await.unwrap(), [chain[3].clone()]);
    store.purge_proofs(&plan, Stream::Connections, day + 100).await.unwrap();
    store.purge_proofs(&plan, Stream::Accesses, day).await.unwrap();
    assert_eq!(store.roots(&everything).await.unwrap(), chain[2..]);
}
