//! Seals what was shipped: a signed root for every segment, before the segment is forgotten.
//!
//! Beside the journal, in `proofs/` of the state directory:
//!
//! | file | holds |
//! |---|---|
//! | `gateway.key` | the gateway's Ed25519 key, PKCS #8 DER, mode 0600; not there when the configuration names another |
//! | `gateway.pub` | its public half and the fingerprint, to be given to those who verify |
//! | `0131234A-gw-1-accesses-2026-11.jsonl` | a chain: one [`Sealed`] a line, of that gateway and stream, in the order of their numbers; one file a month ([`chain`]) |
//! | `lock` | held while a line is appended |
//!
//! All of it happens where rows are shipped, never on the traffic's thread. From the chain's files the roots go on to the
//! store and to the witness ([`hand_on`]).

mod chain;
mod hand_on;
mod key_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::aside::Aside;
use super::frame::Kind;
use super::inspect::{SegmentPlace, inspect};
use super::owner::Owner;
use super::reading::{Place, Reading};
use super::writer::Extent;
use crate::access::proof::{Circumstances, PublicKey, Root, Sealed, Secret, Signer};
use crate::access::{Row, Stream};
use crate::clock::Clock;
use crate::store::ChainName;

pub use hand_on::{HandOn, HandOnError};
pub use key_file::read_key;

/// Where proofs are kept and what signs them.
#[derive(Debug, Clone)]
pub struct ProofSettings {
    pub folder: PathBuf,
    /// The key, where it is not to be made in the folder: as systemd's `LoadCredential=` gives it.
    pub key_file: Option<PathBuf>,
}

/// A root cannot be made, so the segment stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proofs in {folder}: {why}")]
pub struct ProofError {
    pub folder: PathBuf,
    pub why: String,
}

/// Makes roots. Cheap to clone.
#[derive(Clone)]
pub struct Proofs(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    signer: Signer,
    clock: Clock,
    /// The policy's version in force.
    rules: Mutex<String>,
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proofs({})", self.0.folder.display())
    }
}

impl Proofs {
    /// Reads the gateway's key, or makes one at the first start.
    pub fn open(settings: &ProofSettings, clock: Clock) -> Result<Proofs, ProofError> {
        let folder = settings.folder.clone();
        let signer = key_file::open(&folder, settings.key_file.as_deref())
            .map_err(|why| ProofError { folder: folder.clone(), why })?;
        Ok(Proofs(Arc::new(Shared { folder, signer, clock, rules: Mutex::default() })))
    }

    /// Says which policy is in force from now on.
    pub fn set_rules(&self, version: &str) {
        *self.0.rules.lock().unwrap_or_else(PoisonError::into_inner) = version.to_owned();
    }

    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    pub fn public_key(&self) -> PublicKey {
        self.0.signer.public()
    }

    pub fn signer(&self) -> &Signer {
        &self.0.signer
    }

    /// Seals one segment that nobody writes any more. Sealed again, after a crash, it keeps the root that it has.
    pub(super) fn seal(
        &self,
        reading: &Reading,
        owner: &Owner,
        segment: u32,
        extent: Extent,
    ) -> Result<(), super::ShipError> {
        let wrong = |why: String| super::ShipError::Proof(ProofError { folder: self.0.folder.clone(), why });
        let secret = Secret::random().map_err(|_| wrong("the system gives no randomness".into()))?;
        let mut growing = Sealed::grow(secret);
        let place = SegmentPlace { stream: reading.stream, lane: reading.lane, segment };
        reading.read(&[(segment, extent)], Place { segment, offset: 0 }, &mut |met| {
            match met.kind {
                // What cannot be read as a row was told of when it was shipped, and is in no store.
                Kind::Completion => {
                    if let Some(row) = super::inspect::completion(met.payload, place, &owner.college, &owner.gateway) {
                        growing.row(&row);
                    }
                }
                Kind::Gap => {
                    if let Some(gap) = super::frame::read_gap(met.payload) {
                        growing.gap(gap);
                    }
                }
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        })?;
        let refused = refused(reading);
        let name = ChainName { college: owner.college.clone(), gateway: owner.gateway.clone(), stream: reading.stream };
        let rules = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let about = Circumstances {
            college: owner.college.clone(),
            gateway: owner.gateway.clone(),
            stream: reading.stream,
            lane: reading.lane,
            segment,
            sealed: self.0.clock.now(),
            clock: self.0.clock.quality(),
            rules,
        };
        let is_same = |root: &Root| root.lane == reading.lane && root.segment == segment;
        let now = about.sealed;
        let appended = chain::append(&self.0.folder, &name, now, is_same, |previous| {
            growing.seal(about, previous, &refused, &self.0.signer).map_err(|e| std::io::Error::other(e.to_string()))
        });
        appended.map_err(|error| wrong(error.to_string()))
    }

    /// Deletes what is kept of trees whose rows are all past their duration; answers how many files went.
    pub fn purge(&self, stream: Stream, before: i32) -> Result<u64, ProofError> {
        chain::purge(&self.0.folder, stream, before)
            .map_err(|error| ProofError { folder: self.0.folder.clone(), why: error.to_string() })
    }
}

/// Keys of the lane's rows that no store has: refused, or in quarantine for their dates.
fn refused(reading: &Reading) -> Vec<(u64, u32)> {
    let Some(spool) = reading.folder.parent() else { return Vec::new() };
    let disk = &*reading.disk;
    let prefix = format!("lane-{:010}-{}-", reading.lane, reading.stream);
    let place = SegmentPlace { stream: reading.stream, lane: reading.lane, segment: 0 };
    let mut keys = Vec::new();
    for folder in Aside::ALL.map(|aside| aside.folder(spool)) {
        let names = disk.names(&folder).unwrap_or_default();
        for name in names.iter().filter(|name| name.starts_with(&prefix) && name.ends_with(".seg")) {
            let path = folder.join(name);
            let size = disk.size(&path).unwrap_or(0);
            let rows = disk.read(&path, 0, size).map(|bytes| inspect(&bytes, place).rows).unwrap_or_default();
            keys.extend(rows.iter().map(|row: &Row| (row.key().sequence, row.key().slice)));
        }
    }
    keys
}

#[cfg(test)]
mod tests;
