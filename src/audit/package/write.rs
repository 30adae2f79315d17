//! Makes a package.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::files::Folder;
use super::trees::{Proofs, RowPlaces};
use super::{
    ChainPart, FORMAT, LEAVES, LeafLine, MANIFEST, Manifest, ManifestSignature, OPENINGS, PACKAGE, README, ROOTS,
    ROOTS_MAX, ROWS, ROWS_MAX, SIGNATURE, TABLE, TOKEN, Wanted, readme, signed_message,
};
use crate::access::proof::{Hash, Sealed, SignedText, Signer};
use crate::access::{CollegeCode, GapRow, GatewayName, Row, RowKey, Timestamp};
use crate::audit::csv::Csv;
use crate::store::{Filter, Order, ProofStore, Query, ReadError, RecordStore, RootsAsked};

/// What is to be exported, and what is known about the asking.
pub struct ExportOrder {
    pub filter: Filter,
    /// The filters as they were asked.
    pub filters: serde_json::Value,
    pub reason: String,
    pub question: u64,
    /// Open a half of every other leaf of that time, so that what is not there is provable.
    pub complete: bool,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub now: Timestamp,
    pub pending: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub proven: u64,
    pub complete: bool,
    pub openings: u64,
    pub notes: Vec<String>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the package cannot be written: {0}")]
    Write(io::Error),
    #[error("the proofs that are kept cannot be read: {0}")]
    Proof(String),
    #[error("{0}: narrow --from and --to")]
    TooMuch(String),
    #[error("the time-stamping authority: {0}")]
    Timestamp(String),
}

/// Writes a package to `place`, which must not exist; nothing is left there if it fails. `stamp` is asked for a token over the
/// manifest's hash.
pub async fn write<S: RecordStore + ProofStore>(
    store: &S,
    order: ExportOrder,
    signer: &Signer,
    place: &Path,
    stamp: Option<impl AsyncFnOnce(Hash) -> Result<Vec<u8>, String>>,
) -> Result<Written, ExportError> {
    let folder = Folder::make(place).map_err(|error| named(place, error))?;
    let mut sums = BTreeMap::new();
    let (keys, sum) = rows(store, &order.filter, &folder).await?;
    sums.extend(sum);
    let wanted = Wanted::of(&order.filter);
    let asked = RootsAsked {
        stream: order.filter.stream,
        college: order.filter.college.clone(),
        from: order.filter.from,
        to: order.filter.to,
        most: ROOTS_MAX,
    };
    let sealed = store.roots(&asked).await?;
    let places: RowPlaces =
        keys.iter().enumerate().map(|(n, key)| ((key.gateway.clone(), key.lane, key.sequence, key.slice), n)).collect();
    let mut proofs = Proofs::of(keys.len());
    let opens = order.complete.then_some(&wanted);
    let mut openings = folder.file(OPENINGS)?;
    let mut roots = folder.file(ROOTS)?;
    for (line, sealed) in (0u32..).zip(&sealed) {
        roots.line(&proofs.tree(store, line, sealed, &places, opens, &mut openings).await?)?;
    }
    sums.insert(OPENINGS.to_owned(), openings.finish()?);
    sums.insert(ROOTS.to_owned(), roots.finish()?);
    let mut leaves = folder.file(LEAVES)?;
    for (key, proof) in keys.into_iter().zip(&proofs.proofs) {
        let RowKey { gateway, lane, sequence, slice, .. } = key;
        leaves.line(&LeafLine { gateway, lane, sequence, slice, proof: *proof })?;
    }
    sums.insert(LEAVES.to_owned(), leaves.finish()?);
    let written = Written {
        rows: proofs.proofs.len() as u64,
        proven: proofs.proofs.iter().flatten().count() as u64,
        complete: order.complete && proofs.is_complete && !sealed.is_empty(),
        openings: proofs.openings,
        notes: proofs.notes,
    };
    for (name, most) in super::verify::MOST {
        if sums.get(name).is_some_and(|sum| sum.bytes > most) {
            return Err(ExportError::TooMuch(format!("{name} would have more than {most} bytes")));
        }
    }
    let gaps = store.gaps(&order.filter).await?;
    let chains = chains(&sealed)?;
    let manifest = manifest(order, wanted, &written, gaps, chains, signer);
    sums.insert(README.to_owned(), folder.put(README, readme::text(&manifest).as_bytes())?);
    finish(&folder, Manifest { files: sums, ..manifest }, signer, stamp).await?;
    folder.done().map_err(|error| named(place, error))?;
    Ok(written)
}

fn named(place: &Path, error: io::Error) -> ExportError {
    let place: PathBuf = place.into();
    ExportError::Write(io::Error::new(error.kind(), format!("{}: {error}", place.display())))
}

type Sums = Vec<(String, super::FileSum)>;

/// Writes the rows as they come; only their keys stay in memory.
async fn rows<S: RecordStore>(store: &S, filter: &Filter, folder: &Folder) -> Result<(Vec<RowKey>, Sums), ExportError> {
    let (mut lines, mut table) = (folder.file(ROWS)?, folder.file(TABLE)?);
    let csv = Csv::new(filter.stream);
    csv.begin(&mut table)?;
    let query = Query { filter: filter.clone(), order: Order::OldestFirst, limit: Some(ROWS_MAX + 1) };
    let mut found = store.search(&query).await?;
    let mut keys = Vec::new();
    while let Some(row) = found.next().await {
        let row = row?;
        if keys.len() as u64 == ROWS_MAX {
            return Err(ExportError::TooMuch(format!("there are more than {ROWS_MAX} rows")));
        }
        row_line(&row, &mut lines)?;
        csv.row(&row, &mut table)?;
        keys.push(row.key().clone());
    }
    Ok((keys, vec![(ROWS.to_owned(), lines.finish()?), (TABLE.to_owned(), table.finish()?)]))
}

/// The line of a row, as `log search --format json` has it.
pub(super) fn row_line(row: &Row, out: &mut impl Write) -> io::Result<()> {
    match row {
        Row::Access(row) => serde_json::to_writer(&mut *out, row)?,
        Row::Connection(row) => serde_json::to_writer(&mut *out, row)?,
    }
    out.write_all(b"\n")
}

fn chains(sealed: &[Sealed]) -> Result<Vec<ChainPart>, ExportError> {
    let mut parts: Vec<ChainPart> = Vec::new();
    let mut at: HashMap<(CollegeCode, GatewayName), usize> = HashMap::new();
    for sealed in sealed {
        let root = sealed.root.unverified_root().map_err(|e| ExportError::Proof(e.to_string()))?;
        let name = (root.college.clone(), root.gateway.clone());
        match at.get(&name) {
            Some(n) => parts[*n].last = root.number,
            None => {
                at.insert(name, parts.len());
                let (college, gateway) = (root.college, root.gateway);
                parts.push(ChainPart { college, gateway, first: root.number, last: root.number });
            }
        }
    }
    Ok(parts)
}

fn manifest(
    order: ExportOrder,
    wanted: Wanted,
    written: &Written,
    gaps: Vec<GapRow>,
    chains: Vec<ChainPart>,
    signer: &Signer,
) -> Manifest {
    Manifest {
        format: FORMAT.into(),
        made: order.now,
        software: env!("CARGO_PKG_VERSION").into(),
        college: order.college,
        gateway: order.gateway,
        key: signer.public(),
        stream: order.filter.stream,
        filters: order.filters,
        wanted,
        reason: order.reason,
        question: order.question,
        complete: written.complete,
        rows: written.rows,
        proven: written.proven,
        gaps,
        chains,
        pending: order.pending,
        notes: written.notes.clone(),
        files: BTreeMap::new(),
    }
}

async fn finish(
    folder: &Folder,
    manifest: Manifest,
    signer: &Signer,
    stamp: Option<impl AsyncFnOnce(Hash) -> Result<Vec<u8>, String>>,
) -> Result<(), ExportError> {
    let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| ExportError::Write(e.into()))?;
    bytes.push(b'\n');
    folder.put(MANIFEST, &bytes)?;
    let token = match stamp {
        None => None,
        Some(stamp) => Some(stamp(Hash::of(&[&bytes])).await.map_err(ExportError::Timestamp)?),
    };
    if let Some(token) = &token {
        folder.put(TOKEN, token)?;
    }
    let signed = SignedText::sign(signer, PACKAGE, signed_message(&bytes, token.as_deref()));
    let mut signature = serde_json::to_vec(&ManifestSignature { key: signer.public(), signature: signed.signature })
        .map_err(|e| ExportError::Write(e.into()))?;
    signature.push(b'\n');
    folder.put(SIGNATURE, &signature)?;
    Ok(())
}
