//! A server of one's own, where `CLICKHOUSE_URL` names one (`http://admin:password@127.0.0.1:8123`, an account that may make
//! databases, users and roles): the suite of every store, and what the engine of the other tests has not, accounts and row
//! policies in force. Databases, users and roles are made for the test and dropped at its end.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ecluse::access::{Row, RowKey, Stream};
use ecluse::config::Server;
use ecluse::store::clickhouse::Plan;
use ecluse::store::clickhouse::accounts::{Secret, gateway, reader};
use ecluse::store::suite::{self, batch, everything, sample};
use ecluse::store::{ClickHouse, ProofStore, ReadError, RecordStore, StoreError};
use url::Url;

use super::{fresh_name, open, plan, server};
use crate::harness::skip;

/// The server that was named, or a word that none was.
struct Named {
    endpoint: String,
    user: String,
    folder: tempfile::TempDir,
}

impl Named {
    fn find() -> Option<Named> {
        let Ok(text) = std::env::var("CLICKHOUSE_URL") else {
            skip("clickhouse-server", "accounts and row policies want a server: name one by CLICKHOUSE_URL");
            return None;
        };
        let mut url = Url::parse(&text).expect("CLICKHOUSE_URL is an address");
        let user = if url.username().is_empty() { "default".to_owned() } else { url.username().to_owned() };
        let folder = tempfile::TempDir::new().expect("a folder");
        if let Some(password) = url.password() {
            write(&folder.path().join(&user), password);
        }
        url.set_username("").and_then(|()| url.set_password(None)).expect("an address with a host");
        Some(Named { endpoint: url.as_str().trim_end_matches('/').to_owned(), user, folder })
    }

    /// The store of an account, whose password is the file of its name.
    fn store_of(&self, user: &str, database: &str) -> ClickHouse {
        let password = self.folder.path().join(user);
        let password_file = password.exists().then_some(password);
        let endpoints = [self.endpoint.clone()];
        open(&Server { user: user.to_owned(), password_file, ..server(&endpoints, database) })
    }

    fn admin(&self, database: &str) -> ClickHouse {
        self.store_of(&self.user, database)
    }

    async fn migrated(&self, plan: &Plan) -> ClickHouse {
        let store = self.admin(&plan.database);
        store.migrate(plan).await.expect("migrated");
        store
    }
}

fn write(path: &Path, password: &str) {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(password.as_bytes())).expect("a file for a password");
}

fn named_here() -> String {
    format!("ecluse_test_{}_{}", std::process::id(), fresh_name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_ones_own_passes_the_suite_of_every_store() {
    let Some(named) = Named::find() else { return };
    let made = std::sync::Mutex::new(Vec::new());
    let fresh = async || {
        let name = named_here();
        made.lock().expect("no panic").push(name.clone());
        named.migrated(&plan(&name)).await
    };
    suite::check_all(&fresh).await;
    suite::check_proofs(&fresh).await;
    let drops: Vec<String> =
        made.lock().expect("no panic").iter().map(|name| format!("DROP DATABASE `{name}` SYNC")).collect();
    named.admin("default").run(&drops).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_write_and_read_what_is_theirs_and_nothing_else() {
    let Some(named) = Named::find() else { return };
    let (database, name) = (named_here(), format!("t{}", std::process::id()));
    let (plan, account) = (plan(&database), format!("gw_{name}"));
    let admin = named.migrated(&plan).await;
    let college = "0131234A".to_owned().try_into().expect("a code");
    let owner = name.clone().try_into().expect("a name");
    write(&named.folder.path().join(&account), "a secret of the test");
    admin.run(&gateway(&plan, &owner, &college, &Secret::Password("a secret of the test"))).await.expect("admitted");
    admin.run(&reader(&plan, Some(&college))).await.expect("a role");
    let person = format!("reader_{name}");
    write(&named.folder.path().join(&person), "another secret");
    let role = format!("college_{college}");
    let people = [
        format!("CREATE USER `{person}` IDENTIFIED WITH sha256_password BY 'another secret' DEFAULT ROLE `{role}`"),
        format!("GRANT `{role}` TO `{person}`"),
        format!("ALTER USER `{person}` DEFAULT ROLE `{role}`"),
    ];
    admin.run(&people).await.expect("a reader");

    let key = |gateway: &str, college: &str, sequence| RowKey {
        college: college.to_owned().try_into().expect("a code"),
        gateway: gateway.to_owned().try_into().expect("a name"),
        lane: 1,
        sequence,
        slice: 0,
    };
    let rows_of = |gateway: &str, college: &str| -> Vec<Row> {
        let mut rows = sample::rows(&mut sample::Dice::seeded(5), Stream::Accesses, 6);
        (1..).zip(&mut rows).for_each(|(n, row)| sample::set_key(row, key(gateway, college, n)));
        rows
    };
    let gateway_store = named.store_of(&account, &database);
    gateway_store.insert(&batch(&rows_of(&name, "0131234A"))).await.expect("its own rows");
    for (gateway, college) in [("another", "0131234A"), (name.as_str(), "0131234B")] {
        let refused = gateway_store.insert(&batch(&rows_of(gateway, college))).await;
        assert!(matches!(refused, Err(StoreError::Poison(_))), "{gateway} {college}: {refused:?}");
    }
    gateway_store.keep(&suite::chain_of(&name, Stream::Accesses, 2)).await.expect("its own roots");
    assert!(gateway_store.keep(&suite::chain_of("another", Stream::Accesses, 2)).await.is_err(), "another's roots");
    let compared = gateway_store.compare(&rows_of(&name, "0131234A")).await.expect("the keys of its own");
    assert_eq!(compared.missing, []);
    let read = gateway_store.search(&everything(Stream::Accesses)).await;
    assert!(matches!(read, Err(ReadError::Unreadable(_))), "a gateway reads no row");
    assert!(gateway_store.run(&[format!("TRUNCATE TABLE `{database}`.accesses")]).await.is_err(), "nor deletes one");

    admin.insert(&batch(&rows_of("another", "0131234B"))).await.expect("another college's");
    let found = suite::search(&named.store_of(&person, &database), &everything(Stream::Accesses)).await;
    assert_eq!(found.len(), 6, "a reader of one college sees its rows");
    assert!(found.iter().all(|row| row.key().college.as_str() == "0131234A"));
    assert_eq!(suite::search(&admin, &everything(Stream::Accesses)).await.len(), 12);

    let drops = [
        format!("DROP DATABASE `{database}` SYNC"),
        format!("DROP USER `{account}`, `{person}`"),
        format!("DROP ROLE `{role}`"),
        format!("DROP QUOTA `{role}`"),
    ];
    admin.run(&drops).await.expect("dropped");
}
