//! Hands roots on: to the store, where exports find them, and to the witness, which nobody here can alter afterwards.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::chain::{ChainFile, Line};
use super::{Proofs, chain};
use crate::access::proof::{Hash, Sealed, SignedText};
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

impl Reached {
    /// Before the first line that somebody lacks: in the newest file that does not begin after it.
    fn before(files: &[ChainFile], (known, stored): (u64, u64)) -> io::Result<Reached> {
        for file in files.iter().rev() {
            let (lines, _) = chain::read_from(&file.path, 0, 1)?;
            let first = lines.first().and_then(|line| Line::read(line));
            if first.is_some_and(|(_, root)| root.number <= known + 1) {
                return Ok(Reached { month: file.month.clone(), offset: 0, number: stored });
            }
        }
        Ok(Reached { number: stored, ..Reached::default() })
    }
}

/// Roots wait in the chain's files.
#[derive(Debug, thiserror::Error)]
pub enum HandOnError {
    #[error("the roots are not in the store yet: {0}")]
    Store(#[from] StoreError),
    #[error("which roots the store has is unknown: {0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Another(String),
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
        let mut chains: BTreeMap<ChainName, Vec<ChainFile>> = BTreeMap::new();
        for (name, file) in chain::all_files(&folder).map_err(wrong)? {
            chains.entry(name).or_default().push(file);
        }
        for (name, files) in chains {
            let mut reached = match self.places.get(&name) {
                Some(reached) => reached.clone(),
                None => {
                    let stored = store.newest(&name).await?;
                    if let Some((number, hash)) = stored
                        && !is_ours(&files, number, hash).map_err(wrong)?
                    {
                        return Err(HandOnError::Another(name.is_another(number)));
                    }
                    let stored = stored.map_or(0, |(number, _)| number);
                    Reached::before(&files, (self.known(&name, stored)?, stored)).map_err(wrong)?
                }
            };
            let begun = reached.month.clone();
            for file in files.into_iter().filter(|file| file.month >= begun) {
                if file.month > reached.month {
                    (reached.month, reached.offset) = (file.month.clone(), 0);
                }
                while self.step(&name, &file, &mut reached, store).await? {}
            }
            self.places.insert(name, reached);
        }
        Ok(())
    }

    /// Up to which number both store and witness have a chain.
    fn known(&mut self, name: &ChainName, stored: u64) -> Result<u64, HandOnError> {
        let Some(path) = self.witness.clone() else { return Ok(stored) };
        let witnessed = match &self.witnessed {
            Some(witnessed) => witnessed,
            None => {
                let read = witnessed(&path).map_err(|error| HandOnError::Witness { path, error })?;
                self.witnessed.insert(read)
            }
        };
        Ok(stored.min(witnessed.get(name).copied().unwrap_or(0)))
    }

    /// Hands on some lines of a file; whether there may be more.
    async fn step<S: ProofStore>(
        &mut self,
        name: &ChainName,
        file: &ChainFile,
        reached: &mut Reached,
        store: &S,
    ) -> Result<bool, HandOnError> {
        let wrong = |error| HandOnError::Chain { path: file.path.clone(), error };
        let (lines, offset) = chain::read_from(&file.path, reached.offset, AT_ONCE).map_err(wrong)?;
        let (mut number, mut fresh) = (reached.number, Vec::new());
        for line in &lines {
            let Some((text, root)) = Line::read(line) else { continue };
            self.witness(name, root.number, &text)?;
            if root.number > number {
                number = root.number;
                fresh.extend(serde_json::from_slice::<Sealed>(line).ok());
            }
        }
        store.keep(&fresh).await?;
        let is_more = offset > reached.offset;
        (reached.offset, reached.number) = (offset, number);
        Ok(is_more)
    }

    /// Appends to the witness file what is not in it.
    fn witness(&mut self, name: &ChainName, number: u64, root: &SignedText) -> Result<(), HandOnError> {
        let Some(path) = &self.witness else { return Ok(()) };
        let wrong = |error| HandOnError::Witness { path: path.clone(), error };
        let witnessed = match &mut self.witnessed {
            Some(witnessed) => witnessed,
            none => none.insert(witnessed(path).map_err(wrong)?),
        };
        let known = witnessed.entry(name.clone()).or_default();
        if number > *known {
            append(path, root).map_err(wrong)?;
            *known = number;
        }
        Ok(())
    }
}

/// Whether a root that the store has is one of these files, or older than all that they still have.
fn is_ours(files: &[ChainFile], number: u64, hash: Hash) -> io::Result<bool> {
    let reached = Reached::before(files, (number.saturating_sub(1), 0))?;
    for file in files.iter().filter(|file| file.month >= reached.month) {
        let mut offset = 0;
        loop {
            let (lines, next) = chain::read_from(&file.path, offset, AT_ONCE)?;
            for (text, root) in lines.iter().filter_map(|line| Line::read(line)) {
                if root.number >= number {
                    return Ok(root.number > number || text.hash() == hash);
                }
            }
            if next == offset {
                break;
            }
            offset = next;
        }
    }
    Ok(false)
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
