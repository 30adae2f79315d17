//! Hands roots on: to the store, where exports find them, and to the witness, which nobody here can alter afterwards.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Proofs, chain};
use crate::access::proof::{Sealed, SignedText};
use crate::store::{ChainName, ProofStore, ReadError, StoreError};

/// Roots that go to the store at once.
const AT_ONCE: usize = 500;
/// The end of the witness file, in which the last root of each chain stands.
const WITNESS_TAIL: u64 = 1 << 20;

/// What is left to hand on.
pub struct HandOn {
    proofs: Proofs,
    witness: Option<PathBuf>,
    /// Up to where each chain was read, and the last number that was handed on.
    places: HashMap<ChainName, Reached>,
    witnessed: Option<HashMap<ChainName, u64>>,
}

#[derive(Default, Clone)]
struct Reached {
    month: String,
    offset: u64,
    number: u64,
}

/// Roots wait in the chain's files.
#[derive(Debug, thiserror::Error)]
pub enum HandOnError {
    #[error("the roots are not in the store yet: {0}")]
    Store(#[from] StoreError),
    #[error("which roots the store has is unknown: {0}")]
    Read(#[from] ReadError),
    #[error("the roots in {path}: {error}")]
    Chain { path: PathBuf, error: io::Error },
    #[error("the witness file {path} is not written: {error}")]
    Witness { path: PathBuf, error: io::Error },
}

impl HandOn {
    pub fn new(proofs: Proofs, witness: Option<PathBuf>) -> Self {
        HandOn { proofs, witness, places: HashMap::new(), witnessed: None }
    }

    /// Hands on everything that is new.
    pub async fn turn<S: ProofStore>(&mut self, store: &S) -> Result<(), HandOnError> {
        let folder = self.proofs.folder().to_owned();
        let wrong = |error| HandOnError::Chain { path: folder.clone(), error };
        for (name, file) in chain::all_files(&folder).map_err(wrong)? {
            let mut reached = match self.places.get(&name) {
                Some(reached) => reached.clone(),
                None => Reached { number: store.newest(&name).await?, ..Reached::default() },
            };
            if file.month < reached.month {
                continue;
            }
            if file.month > reached.month {
                reached = Reached { month: file.month.clone(), offset: 0, ..reached };
            }
            loop {
                let (lines, offset) = chain::read_from(&file.path, reached.offset, AT_ONCE).map_err(wrong)?;
                if offset == reached.offset {
                    break;
                }
                let mut last = reached.number;
                let mut fresh = Vec::new();
                for sealed in lines {
                    let number = sealed.root.unverified_root().map_or(0, |root| root.number);
                    self.witness(&name, number, &sealed)?;
                    if number > reached.number {
                        last = number;
                        fresh.push(sealed);
                    }
                }
                store.keep(&fresh).await?;
                reached.offset = offset;
                reached.number = last;
            }
            self.places.insert(name, reached);
        }
        Ok(())
    }

    /// Appends to the witness file what is not in it.
    fn witness(&mut self, name: &ChainName, number: u64, sealed: &Sealed) -> Result<(), HandOnError> {
        let Some(path) = &self.witness else { return Ok(()) };
        let wrong = |error| HandOnError::Witness { path: path.clone(), error };
        let witnessed = match &mut self.witnessed {
            Some(witnessed) => witnessed,
            none => none.insert(witnessed(path).map_err(wrong)?),
        };
        let known = witnessed.entry(name.clone()).or_default();
        if number > *known {
            append(path, &sealed.root).map_err(wrong)?;
            *known = number;
        }
        Ok(())
    }
}

/// The last number of each chain in the end of the witness file. A chain whose last root stands further up is written once
/// more from its beginning here, which harms nobody.
fn witnessed(path: &Path) -> io::Result<HashMap<ChainName, u64>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WITNESS_TAIL)))?;
    let mut tail = Vec::new();
    file.take(WITNESS_TAIL).read_to_end(&mut tail)?;
    let mut last = HashMap::new();
    for line in tail.split(|byte| *byte == b'\n') {
        let Ok(text) = serde_json::from_slice::<SignedText>(line) else { continue };
        if let Ok(root) = text.unverified_root() {
            let name = ChainName { college: root.college, gateway: root.gateway, stream: root.stream };
            last.insert(name, root.number);
        }
    }
    Ok(last)
}

fn append(path: &Path, root: &SignedText) -> io::Result<()> {
    let mut line = serde_json::to_vec(root)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    file.write_all(&line)?;
    file.sync_data()
}
