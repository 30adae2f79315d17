//! Deletes what the store has had for long enough. Where the store is another machine, it is asked first whether it has the
//! rows: whoever deletes the last copy looks at the other one.

use std::sync::Arc;

use super::super::batch::Cutter;
use super::super::error::ShipError;
use super::super::settings::ShipSettings;
use super::super::writer::Extent;
use super::{BATCHES_A_TURN, blocking};
use crate::access::Timestamp;
use crate::store::{Batch, RecordStore, StoreError};

/// What was deleted.
pub(super) struct Forgotten {
    pub cutter: Cutter,
    /// Segments, with their sizes.
    pub segments: Vec<(u32, u64)>,
    /// Whether there is more to delete at once.
    pub result: Result<bool, ShipError>,
}

/// Deletes the oldest segments of a stream of a lane that need not be kept.
pub(super) async fn forget<S: RecordStore>(
    mut cutter: Cutter,
    extents: &Arc<[(u32, Extent)]>,
    store: &S,
    settings: &ShipSettings,
    now: Timestamp,
) -> Forgotten {
    let (shared, keep, is_proven) = (extents.clone(), settings.keep, settings.proofs.is_some());
    let due: Vec<(u32, Extent)>;
    (cutter, due) = blocking(move || {
        let mut due = cutter.forgettable(&shared, now, keep);
        due.retain(|segment| !is_proven || *segment <= cutter.sealed());
        let due = shared.iter().filter(|(segment, _)| due.contains(segment)).copied().collect();
        (cutter, due)
    })
    .await;
    let at_once = if settings.confirm { BATCHES_A_TURN } else { due.len() };
    let (mut segments, mut result) = (Vec::new(), Ok(due.len() > at_once));
    for (segment, extent) in due.into_iter().take(at_once) {
        let confirmed;
        (cutter, confirmed) = confirm(cutter, (segment, extent), store, settings, now).await;
        match confirmed {
            Ok(()) => {}
            // What is new comes first: the journal is full soon, and the store has acknowledged this.
            Err(error) if settings.keep.is_zero() => {
                tracing::error!(%error, segment, "a shipped segment is deleted although it cannot be told whether the store has it: the journal needs the room");
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        let size;
        (cutter, size) = blocking(move || {
            let size = cutter.forget(segment);
            (cutter, size)
        })
        .await;
        match size {
            Ok(bytes) => segments.push((segment, bytes)),
            Err(error) => {
                tracing::warn!(%error, segment, "a shipped segment could not be deleted");
                result = Ok(false);
                break;
            }
        }
    }
    Forgotten { cutter, segments, result }
}

/// Has the store look for the rows of a segment.
pub(super) async fn confirm<S: RecordStore>(
    cutter: Cutter,
    (segment, extent): (u32, Extent),
    store: &S,
    settings: &ShipSettings,
    now: Timestamp,
) -> (Cutter, Result<(), ShipError>) {
    if !settings.confirm {
        return (cutter, Ok(()));
    }
    let dates = settings.dates;
    let (cutter, rows) = blocking(move || {
        let rows = cutter.rows_kept((segment, extent), dates, now);
        (cutter, rows)
    })
    .await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return (cutter, Err(error)),
    };
    for batch in rows.chunks(settings.batch_rows).filter_map(Batch::of) {
        match store.confirm(&batch).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::error!(segment, rows, "the store had acknowledged rows and lost them: they were sent again");
            }
            // A person was told when they were set aside.
            Err(StoreError::Poison(why)) => {
                tracing::warn!(segment, why, "rows that were set aside are not in the store")
            }
            Err(error) => return (cutter, Err(ShipError::Unconfirmed(error))),
        }
    }
    (cutter, Ok(()))
}
