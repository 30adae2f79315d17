use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::day::{self, ReadOnly};
use super::*;
use crate::access::{Row, Timestamp};
use crate::store::suite::sample::{self, Dice};
use crate::store::suite::{self, batch, everything, insert, search};

struct Fresh {
    store: Embedded,
    _directory: TempDir,
}

/// The suite owns its stores: the directory lives as long as the store.
impl RecordStore for Fresh {
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.insert(batch).await
    }
    async fn search(&self, query: &Query) -> Result<Found, ReadError> {
        self.store.search(query).await
    }
    async fn gaps(&self, filter: &Filter) -> Result<Vec<GapRow>, ReadError> {
        self.store.gaps(filter).await
    }
    async fn stats(&self, question: &Question) -> Result<Vec<Tally>, ReadError> {
        self.store.stats(question).await
    }
}

impl ProofStore for Fresh {
    async fn keep(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
        self.store.keep(sealed).await
    }
    async fn newest(&self, chain: &ChainName) -> Result<Option<(u64, Hash)>, ReadError> {
        self.store.newest(chain).await
    }
    async fn roots(&self, asked: &RootsAsked) -> Result<Vec<Sealed>, ReadError> {
        self.store.roots(asked).await
    }
}

fn fresh() -> Fresh {
    let directory = TempDir::new().unwrap();
    Fresh { store: Embedded::open(directory.path()).unwrap(), _directory: directory }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn accesses(number: usize) -> Vec<Row> {
    sample::rows(&mut Dice::seeded(11), Stream::Accesses, number)
}

#[test]
fn it_passes_what_every_store_must() {
    block_on(suite::check_all(async || fresh()));
    block_on(suite::check_proofs(async || fresh()));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 48, ..Default::default() })]
    #[test]
    fn every_question_is_answered_as_a_naive_search_would(
        choices in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4000)
    ) {
        let mut dice = Dice::Given(&choices);
        block_on(async { suite::every_question_is_answered_as_a_naive_search_would(&fresh(), &mut dice).await });
    }
}

#[test]
fn a_row_that_comes_again_with_other_contents_is_poison_and_changes_nothing() {
    block_on(async {
        let store = fresh();
        let rows = accesses(30);
        insert(&store, &rows[..10]).await;
        let mut other = rows.clone();
        sample::set_start(&mut other[3], rows[3].start().plus(std::time::Duration::from_micros(1)));
        let answer = store.insert(&batch(&other)).await;
        assert!(matches!(&answer, Err(StoreError::Poison(why)) if why.starts_with("1 rows")), "{answer:?}");
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 10);
        // The store is not stuck.
        insert(&store, &rows).await;
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 30);
    });
}

#[test]
fn a_batch_that_was_stored_in_part_is_completed() {
    block_on(async {
        let (store, rows) = (fresh(), accesses(60));
        insert(&store, &rows[..20]).await;
        insert(&store, &rows).await;
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 60);
    });
}

#[test]
fn the_largest_numbers_and_the_farthest_instants_come_back() {
    block_on(async {
        let store = fresh();
        let mut rows = accesses(3);
        for (row, start) in rows.iter_mut().zip([-1, 0, 253_402_207_199_999_999]) {
            sample::set_start(row, Timestamp::from_micros(start));
            let Row::Access(row) = row else { panic!("an access") };
            (row.record.connection, row.record.bytes_down, row.record.count) = (u64::MAX, u64::MAX, u32::MAX);
        }
        insert(&store, &rows).await;
        assert_eq!(search(&store, &everything(Stream::Accesses)).await, rows);
    });
}

#[test]
fn many_days_are_written_with_few_files_open() {
    block_on(async {
        let store = fresh();
        let mut rows = accesses(40);
        for (day, row) in rows.iter_mut().enumerate() {
            sample::set_start(row, Timestamp::start_of_day(20_700 + day as i32));
        }
        insert(&store, &rows).await;
        insert(&store, &rows).await;
        for _ in 0..5 {
            assert_eq!(search(&store, &everything(Stream::Accesses)).await, rows);
        }
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let directory = store.store.directory.clone();
        let of_store: Vec<_> =
            open.flat_map(|fd| fs::read_link(fd.path())).filter(|file| file.starts_with(&directory)).collect();
        // A day open for writing is three files. SQLite keeps the descriptor of a reader that closed beside a writer of
        // the same process, since closing it would drop the writer's lock (fcntl(2)), and gives it to the next reader.
        assert!(of_store.len() <= 12, "{of_store:?}");
    });
}

#[test]
fn a_reader_sees_each_batch_whole_while_another_writes() {
    block_on(async {
        let store = fresh();
        let reader = Embedded::open_read_only(&store.store.directory);
        let rows = accesses(300);
        for part in 1..=10 {
            insert(&store, &rows[..part * 30]).await;
            assert_eq!(search(&reader, &everything(Stream::Accesses)).await.len(), part * 30);
        }
        assert!(matches!(reader.insert(&batch(&rows)).await, Err(StoreError::Stop(_))));
    });
}

#[test]
fn a_day_in_a_directory_where_nothing_can_be_made_is_read_and_a_writer_beside_is_noticed() {
    block_on(async {
        let Fresh { store, _directory } = fresh();
        insert(&store, &accesses(30)).await;
        let day = day::days(&store.directory).unwrap()[0];
        let path = day::path_of(&store.directory, day);
        drop(store);
        assert!(!day::beside(&path, "-wal").exists(), "a closed store has no write-ahead log");
        let file = ReadOnly::open_immutable(&path).unwrap();
        assert!(day::has_table(&file.connection, Stream::Accesses).unwrap());
        assert!(file.is_unchanged());
        let _writer = day::open_to_write(&path).unwrap();
        fs::write(day::beside(&path, "-wal"), b"").unwrap();
        assert!(!file.is_unchanged());
    });
}

#[test]
fn an_absent_store_is_said_to_be_absent() {
    block_on(async {
        let reader = Embedded::open_read_only(Path::new("/nonexistent/store"));
        let error = reader.search(&everything(Stream::Accesses)).await.err().unwrap();
        assert!(error.to_string().starts_with("there is no store in /nonexistent/store"), "{error}");
    });
}

#[test]
fn a_file_of_a_newer_version_stops_the_store_and_is_left_alone() {
    block_on(async {
        let store = fresh();
        let rows = accesses(1);
        let path = day::path_of(&store.store.directory, rows[0].start().day());
        let newer = rusqlite::Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", day::SCHEMA + 1).unwrap();
        let answer = store.insert(&batch(&rows)).await;
        assert!(matches!(&answer, Err(StoreError::Stop(why)) if why.contains("newer version")), "{answer:?}");
    });
}

#[test]
fn a_file_that_is_no_database_stops_the_store_and_says_which() {
    block_on(async {
        let store = fresh();
        let rows = accesses(1);
        let path = day::path_of(&store.store.directory, rows[0].start().day());
        fs::write(&path, [7; 4096]).unwrap();
        let answer = store.insert(&batch(&rows)).await;
        assert!(matches!(&answer, Err(StoreError::Stop(why)) if why.contains(".sqlite")), "{answer:?}");
    });
}

#[test]
fn a_dropped_answer_ends_the_reading() {
    block_on(async {
        let store = fresh();
        insert(&store, &accesses(3000)).await;
        for _ in 0..20 {
            let mut found = store.search(&everything(Stream::Accesses)).await.unwrap();
            assert!(found.next().await.unwrap().is_ok());
        }
        // Each of them held a place among the readers.
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 3000);
    });
}

#[test]
fn a_file_with_a_second_name_is_given_to_nobody() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root gives files away");
    }
    let directory = TempDir::new().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(4242), Some(4242)).unwrap();
    let path = directory.path().join("lock");
    let file = fs::File::create(&path).unwrap();
    give_to_owner_of(directory.path(), &file).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap()), 4242);
    fs::hard_link(&path, directory.path().join("other")).unwrap();
    assert!(give_to_owner_of(directory.path(), &file).is_err());
}

#[test]
fn what_root_brings_in_the_gateway_can_go_on_writing() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root gives files away");
    }
    block_on(async {
        let store = fresh();
        std::os::unix::fs::chown(&*store.store.directory, Some(4242), Some(4242)).unwrap();
        insert(&store, &accesses(3)).await;
        for file in fs::read_dir(&store.store.directory).unwrap().flatten() {
            let owner = std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap());
            assert_eq!(owner, 4242, "{}", file.path().display());
        }
    });
}

/// The child of the next test: another account that may read and not write.
#[test]
fn child_that_reads_as_another_account() {
    let Some(directory) = std::env::var_os("ECLUSE_TEST_READ_STORE") else { return };
    let reader = Embedded::open_read_only(Path::new(&directory));
    let rows = block_on(search(&reader, &everything(Stream::Accesses)));
    println!("\nread {}", rows.len());
}

#[test]
fn an_account_that_cannot_write_reads_what_is_there_beside_a_writer_and_after_its_death() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another account");
    }
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // This program may lie where another account cannot go.
    let place = TempDir::new().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let read = || {
        for file in fs::read_dir(directory.path()).unwrap().flatten() {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let mut child = Command::new(&program);
        child.args(["--exact", "store::embedded::tests::child_that_reads_as_another_account", "--nocapture"]);
        let output = child.env("ECLUSE_TEST_READ_STORE", directory.path()).uid(4242).gid(4242).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().find_map(|line| line.strip_prefix("read ")?.parse::<usize>().ok()).ok_or(text)
    };
    let store = Embedded::open(directory.path()).unwrap();
    block_on(insert(&store, &accesses(30)));
    assert_eq!(read(), Ok(30), "beside a writer");
    // What a killed writer leaves: the write-ahead log and its index, and nobody who holds them.
    let copy = TempDir::new().unwrap();
    for file in fs::read_dir(directory.path()).unwrap().flatten() {
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    drop(store);
    assert_eq!(read(), Ok(30), "after a writer that closed");
    for file in fs::read_dir(copy.path()).unwrap().flatten() {
        fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    assert!(
        fs::read_dir(directory.path()).unwrap().flatten().any(|file| file.path().to_string_lossy().ends_with("-wal"))
    );
    assert_eq!(read(), Ok(30), "after a writer that was killed");
}

fn days_of(rows: &[Row]) -> Vec<i32> {
    let mut days: Vec<i32> = rows.iter().map(|row| row.start().day()).collect();
    days.sort_unstable();
    days.dedup();
    days
}

#[test]
fn a_stream_is_purged_in_its_own_time_and_the_last_takes_the_file() {
    block_on(async {
        let Fresh { store, _directory } = fresh();
        let (accesses, connections) = (accesses(200), sample::rows(&mut Dice::seeded(12), Stream::Connections, 200));
        insert(&store, &accesses).await;
        insert(&store, &connections).await;
        let days = days_of(&accesses);
        assert_eq!(days_of(&connections), days);
        let before = days[2];

        let purged = store.purge(Stream::Accesses, before).await.unwrap();
        let old = accesses.iter().filter(|row| row.start().day() < before).count();
        assert_eq!(purged.iter().map(|p| p.rows).sum::<u64>(), old as u64);
        assert!(purged.iter().all(|p| !p.file_removed));
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 200 - old);
        assert_eq!(search(&store, &everything(Stream::Connections)).await.len(), 200);
        assert_eq!(store.purge(Stream::Accesses, before).await.unwrap(), [], "nothing is left to purge");

        let purged = store.purge(Stream::Connections, before).await.unwrap();
        assert!(purged.len() == 2 && purged.iter().all(|p| p.file_removed));
        assert_eq!(day::days(&store.directory).unwrap(), days[2..]);
        // Nothing of a purged day is left beside, and a late row begins the day anew.
        assert!(fs::read_dir(&store.directory).unwrap().flatten().all(|f| {
            let name = f.file_name().into_string().unwrap();
            name == "purge.lock"
                || days[2..].iter().any(|d| {
                    f.path().to_string_lossy().starts_with(&*day::path_of(&store.directory, *d).to_string_lossy())
                })
        }));
        insert(&store, &accesses).await;
        assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 200);
    });
}

#[test]
fn what_was_purged_is_not_left_in_the_file() {
    block_on(async {
        let Fresh { store, _directory } = fresh();
        let mut accesses = accesses(5);
        for row in &mut accesses {
            sample::set_start(row, Timestamp::start_of_day(20_700));
            let Row::Access(row) = row else { panic!("an access") };
            row.record.path = "/a-path-to-forget".into();
        }
        let mut connections = sample::rows(&mut Dice::seeded(1), Stream::Connections, 5);
        connections.iter_mut().for_each(|row| sample::set_start(row, Timestamp::start_of_day(20_700)));
        insert(&store, &accesses).await;
        insert(&store, &connections).await;
        store.purge(Stream::Accesses, 20_701).await.unwrap();
        for file in fs::read_dir(&store.directory).unwrap().flatten() {
            let bytes = fs::read(file.path()).unwrap();
            let found = bytes.windows(16).any(|w| w == b"a-path-to-forget");
            assert!(!found, "{}", file.path().display());
        }
        assert_eq!(search(&store, &everything(Stream::Connections)).await.len(), 5);
    });
}

#[test]
fn a_writer_that_holds_a_purged_file_loses_no_row() {
    block_on(async {
        let Fresh { store, _directory } = fresh();
        let other = Embedded::open(&store.directory).unwrap();
        let rows = accesses(30);
        insert(&store, &rows[..15]).await;
        other.purge(Stream::Accesses, i32::MAX).await.unwrap();
        // The first tries meet the files that have no name any more.
        for _ in 0..10 {
            let answer = store.insert(&batch(&rows)).await;
            if answer.is_ok() {
                break;
            }
            assert!(matches!(answer, Err(StoreError::Retry(_))), "{answer:?}");
        }
        assert_eq!(search(&other, &everything(Stream::Accesses)).await.len(), 30);
    });
}

/// The child of the next test: writes batches of 200 until it is killed.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("ECLUSE_TEST_KILLED_STORE") else { return };
    block_on(async {
        let store = Embedded::open(Path::new(&directory)).unwrap();
        let mut rows = accesses(200_000);
        rows.iter_mut().for_each(|row| sample::set_start(row, Timestamp::start_of_day(20_700)));
        for part in rows.chunks(200) {
            store.insert(&batch(part)).await.unwrap();
            println!("stored");
        }
    });
}

#[test]
fn a_batch_is_there_whole_or_not_at_all_whenever_the_writer_is_killed() {
    use std::io::BufRead;
    for round in 0..5 {
        let directory = TempDir::new().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::embedded::tests::child_that_writes_until_it_is_killed", "--nocapture"])
            .env("ECLUSE_TEST_KILLED_STORE", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let stored = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, n: usize| {
            lines.map_while(Result::ok).filter(|line| line.contains("stored")).take(n).count()
        };
        let mut acknowledged = stored(&mut lines, 3 + 2 * round);
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged += stored(&mut lines, usize::MAX);
        let found = block_on(async {
            let reader = Embedded::open_read_only(directory.path());
            search(&reader, &everything(Stream::Accesses)).await.len()
        });
        assert_eq!(found % 200, 0, "a part of a batch");
        assert!(found >= acknowledged * 200, "{found} rows of {acknowledged} acknowledged batches");
    }
}
