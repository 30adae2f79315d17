//! An answer on its way: rows come through a bounded channel while the store still reads.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::ReadError;
use crate::access::Row;

/// Rows a store sends at once: enough that the channel costs nothing, few enough to be small.
pub const ROWS_AT_ONCE: usize = 256;
/// How many times [`ROWS_AT_ONCE`] wait for a slow reader before the store waits too.
const WAITING: usize = 4;

/// The rows of an answer, in the order asked for. When it is dropped the store stops reading.
///
/// An error is the last thing that comes: rows before it are right, and the answer is not whole.
pub struct Found {
    rows: mpsc::Receiver<Result<Vec<Row>, ReadError>>,
    here: std::vec::IntoIter<Row>,
    stop: Arc<dyn Stop>,
}

/// The store's end of an answer.
pub struct Finder(mpsc::Sender<Result<Vec<Row>, ReadError>>);

/// How a store is told that nobody waits for the answer any more.
pub trait Stop: Send + Sync {
    fn stop(&self);
}

/// Nobody listens any more: not an error, a reason to stop.
#[derive(Debug)]
pub struct Unwanted;

impl Found {
    pub fn channel(stop: Arc<dyn Stop>) -> (Finder, Found) {
        let (send, rows) = mpsc::channel(WAITING);
        (Finder(send), Found { rows, here: Vec::new().into_iter(), stop })
    }

    /// The next row; `None` when the answer is whole.
    pub async fn next(&mut self) -> Option<Result<Row, ReadError>> {
        loop {
            if let Some(row) = self.here.next() {
                return Some(Ok(row));
            }
            match self.rows.recv().await? {
                Ok(rows) => self.here = rows.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }

    /// All that is left of it. For answers known to be small.
    pub async fn all(mut self) -> Result<Vec<Row>, ReadError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await {
            rows.push(row?);
        }
        Ok(rows)
    }
}

impl Finder {
    /// Waits while the reader is slower.
    pub async fn send(&self, rows: Vec<Row>) -> Result<(), Unwanted> {
        self.0.send(Ok(rows)).await.map_err(|_| Unwanted)
    }

    pub async fn fail(&self, error: ReadError) {
        // Nobody is left to be told.
        let _ = self.0.send(Err(error)).await;
    }

    /// From a thread that may block: waits while the reader is slower.
    pub fn send_blocking(&self, rows: Vec<Row>) -> Result<(), Unwanted> {
        self.0.blocking_send(Ok(rows)).map_err(|_| Unwanted)
    }

    pub fn fail_blocking(&self, error: ReadError) {
        // Nobody is left to be told.
        let _ = self.0.blocking_send(Err(error));
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
