//! The store of one machine: SQLite, one file per UTC day of the rows' start.
//!
//! A file a day keeps indexes small, so that the millionth row of a day costs what the first did, and makes deletion what
//! the law wants it to be: a file that is gone. Files are in WAL mode: other processes read while the gateway writes, and
//! a commit is on the disk (`synchronous=FULL`) before a batch is acknowledged. The key of a row is the table's, so a batch
//! that comes again doubles nothing; a row that comes again *different* is poison and is not stored.
//!
//! | file | holds |
//! |---|---|
//! | `2026-11-23.sqlite` | the tables `accesses` and `connections` of that day ([`day`](self)) |
//! | `…-wal`, `…-shm` | what SQLite keeps beside it while somebody has it open |
//! | `gaps.sqlite` | what is missing from the log, of all days (`gaps.rs`) |
//! | `proofs.sqlite` | the signed roots of the rows' trees, with what opens their leaves (`proofs.rs`) |
//! | `purge.lock` | held by the process that purges |
//!
//! Reads open their own read-only connections, so a reader never waits for the writer; everything that touches the
//! disk runs on the blocking threads, one writer and a few readers at a time.

mod columns;
mod day;
mod gaps;
mod proofs;
mod purge;
mod read;
mod select;
mod write;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{
    Batch, ChainName, Filter, Found, ProofStore, Query, Question, ReadError, RecordStore, RootsAsked, StoreError, Tally,
};
use crate::access::proof::{Hash, Sealed};
use crate::access::{GapRow, Stream};
pub use day::{NO_FOLLOW, give_to_owner_of};
pub use purge::{PurgeError, Purged};
use read::Interrupt;
use write::DayFiles;

/// Questions answered at the same time; the next ones wait. Each holds a thread and a page cache.
const READERS: usize = 4;

/// SQLite files in a directory. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    directory: Arc<Path>,
    /// `None`: opened to read only.
    writer: Option<Arc<Mutex<DayFiles>>>,
    writing: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's directory {path} cannot be made or written: {source}; make it writable for this account")]
    Directory { path: PathBuf, source: std::io::Error },
}

impl Embedded {
    /// Opens a store to write and read; makes its directory where there is none.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Directory { path: directory.into(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(failed)?;
        rustix::fs::access(directory, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
            .map_err(|e| failed(e.into()))?;
        let writer = Arc::new(Mutex::new(DayFiles::new(directory)));
        Ok(Embedded { writer: Some(writer), ..Self::open_read_only(directory) })
    }

    /// A store to read, perhaps while a gateway writes to it. Whether there is one shows at the first question.
    pub fn open_read_only(directory: &Path) -> Self {
        Embedded {
            directory: directory.into(),
            writer: None,
            writing: Arc::new(Semaphore::new(1)),
            reading: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Deletes the rows of a stream that started before the UTC day `before` (days since 1970): see [`Purged`].
    /// To be called by the process that writes.
    pub async fn purge(&self, stream: Stream, before: i32) -> Result<Vec<Purged>, PurgeError> {
        let writer =
            self.writer.clone().ok_or_else(|| PurgeError::Failed("the store was opened to read only".into()))?;
        let permit = self.writing.clone().acquire_owned().await;
        let directory = self.directory.clone();
        let purged = spawn_blocking(move || {
            let _permit = permit;
            let mut files = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let purged = purge::purge(&directory, stream, before, |day| files.close(day))?;
            gaps::purge(&directory, stream, before)?;
            Ok(purged)
        });
        purged.await.unwrap_or_else(|e| Err(PurgeError::Failed(e.to_string())))
    }
}

impl RecordStore for Embedded {
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        let writer = self.writer.clone().ok_or_else(|| StoreError::Stop("the store was opened to read only".into()))?;
        // The permit goes with the work: a caller that gives up does not let a second writer in.
        let permit = self.writing.clone().acquire_owned().await;
        let batch = batch.clone();
        let inserted = spawn_blocking(move || {
            let _permit = permit;
            let mut files = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            files.insert(&batch)
        });
        inserted.await.unwrap_or_else(|e| Err(StoreError::Retry(e.to_string())))
    }

    async fn search(&self, query: &Query) -> Result<Found, ReadError> {
        let permit = self.reading.clone().acquire_owned().await;
        let (directory, query) = (self.directory.clone(), query.clone());
        let interrupt = Arc::new(Interrupt::default());
        let days = blocking(move || read::days(&directory, &query.filter).map(|days| (days, directory, query)));
        let (days, directory, query) = days.await?;
        let (finder, found) = Found::channel(interrupt.clone());
        spawn_blocking(move || {
            let _permit = permit;
            read::search(&directory, days, &query, &interrupt, &finder);
        });
        Ok(found)
    }

    async fn gaps(&self, filter: &Filter) -> Result<Vec<GapRow>, ReadError> {
        let permit = self.reading.clone().acquire_owned().await;
        let (directory, filter) = (self.directory.clone(), filter.clone());
        blocking(move || {
            let _permit = permit;
            gaps::search(&directory, &filter).map_err(|e| ReadError::BrokeOff(e.to_string()))
        })
        .await
    }

    async fn stats(&self, question: &Question) -> Result<Vec<Tally>, ReadError> {
        if !question.by.is_of(question.filter.stream) {
            return Err(ReadError::Misplaced(question.by.as_str()));
        }
        let permit = self.reading.clone().acquire_owned().await;
        let (directory, question) = (self.directory.clone(), question.clone());
        let interrupt = Arc::new(Interrupt::default());
        let _stop = StopOnDrop(interrupt.clone());
        blocking(move || {
            let _permit = permit;
            let days = read::days(&directory, &question.filter)?;
            read::stats(&directory, days, &question, &interrupt)
        })
        .await
    }
}

impl ProofStore for Embedded {
    async fn keep(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
        let permit = self.writing.clone().acquire_owned().await;
        let (directory, sealed) = (self.directory.clone(), sealed.to_vec());
        let kept = spawn_blocking(move || {
            let _permit = permit;
            proofs::keep(&directory, &sealed).map_err(|e| StoreError::Retry(e.to_string()))
        });
        kept.await.unwrap_or_else(|e| Err(StoreError::Retry(e.to_string())))
    }

    async fn newest(&self, chain: &ChainName) -> Result<Option<(u64, Hash)>, ReadError> {
        let (directory, chain) = (self.directory.clone(), chain.clone());
        blocking(move || proofs::newest(&directory, &chain).map_err(|e| ReadError::BrokeOff(e.to_string()))).await
    }

    async fn roots(&self, asked: &RootsAsked) -> Result<Vec<Sealed>, ReadError> {
        let (directory, asked) = (self.directory.clone(), asked.clone());
        blocking(move || proofs::roots(&directory, &asked)).await
    }
}

impl Embedded {
    /// Deletes the proofs of a stream's trees whose rows are all gone; answers how many.
    pub async fn purge_proofs(&self, stream: Stream, before: i32) -> Result<u64, PurgeError> {
        let (directory, permit) = (self.directory.clone(), self.writing.clone().acquire_owned().await);
        let purged = spawn_blocking(move || {
            let _permit = permit;
            proofs::purge(&directory, stream, before).map_err(PurgeError::from)
        });
        purged.await.unwrap_or_else(|e| Err(PurgeError::Failed(e.to_string())))
    }

    /// The trees that hold something of a UTC day: what a certificate of its purge names.
    pub async fn roots_of_day(&self, stream: Stream, day: i32) -> Result<Vec<Sealed>, ReadError> {
        let directory = self.directory.clone();
        let roots = move || proofs::roots_of_day(&directory, stream, day);
        blocking(move || roots().map_err(|e| ReadError::BrokeOff(e.to_string()))).await
    }
}

/// The columns of a stream, in the order in which every table and export has them.
pub fn column_names(stream: Stream) -> impl Iterator<Item = &'static str> {
    columns::columns(stream).iter().map(|(name, _)| *name)
}

/// A caller that gives up ends the counting too.
struct StopOnDrop(Arc<Interrupt>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        super::found::Stop::stop(&*self.0);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    spawn_blocking(work).await.unwrap_or_else(|e| Err(ReadError::BrokeOff(e.to_string())))
}

#[cfg(test)]
mod tests;
