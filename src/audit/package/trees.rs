//! The trees that a package needs, computed anew from the rows of the store.

use std::collections::HashMap;
use std::io;

use super::files::Summed;
use super::wanted::Wanted;
use super::write::ExportError;
use super::{LeafProof, OPENINGS_MAX, Opened, OpeningLine, RootLine};
use crate::access::proof::{BadSealed, HalfName, Halves, Hash, Root, Sealed, prove};
use crate::access::{GatewayName, Row, Timestamp};
use crate::store::{Filter, Order, Query, RecordStore};

/// Where a row of the package stands in it.
pub(super) type RowPlaces = HashMap<(GatewayName, u64, u64, u32), usize>;

/// What proves the rows of the package, filled tree by tree.
pub(super) struct Proofs {
    pub proofs: Vec<Option<LeafProof>>,
    pub notes: Vec<String>,
    /// Whether every leaf that had to be opened could be.
    pub is_complete: bool,
    pub openings: u64,
}

/// The rows that stand in one tree, from the store.
async fn rows_of<S: RecordStore>(store: &S, root: &Root, sealed: &Sealed) -> Result<Vec<Row>, ExportError> {
    let (Some(first), Some(last)) = (root.first_time, root.last_time) else { return Ok(Vec::new()) };
    let filter = Filter {
        from: Some(first),
        to: Some(Timestamp::from_micros(last.as_micros().saturating_add(1))),
        college: Some(root.college.clone()),
        ..Filter::all(root.stream)
    };
    let mut found = store.search(&Query { filter, order: Order::OldestFirst, limit: None }).await?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().await {
        let row = row?;
        let key = row.key();
        if key.gateway == root.gateway && key.lane == root.lane && sealed.keys.contains(key.sequence, key.slice) {
            rows.push(row);
        }
    }
    Ok(rows)
}

impl Proofs {
    pub fn of(rows: usize) -> Self {
        Proofs { proofs: vec![None; rows], notes: Vec::new(), is_complete: true, openings: 0 }
    }

    /// The line of one root, number `line` in its file, after its leaves were looked at as far as the package needs.
    pub async fn tree<S: RecordStore>(
        &mut self,
        store: &S,
        line: u32,
        sealed: &Sealed,
        places: &RowPlaces,
        opens: Option<&Wanted>,
        openings: &mut Summed,
    ) -> Result<RootLine, ExportError> {
        let root = sealed.root.unverified_root().map_err(|e| ExportError::Proof(e.to_string()))?;
        let bare = RootLine { text: sealed.root.text.clone(), signature: sealed.root.signature, proof: None };
        let place_of = |(sequence, slice)| places.get(&(root.gateway.clone(), root.lane, sequence, slice)).copied();
        let opens = opens.filter(|wanted| root.touches(wanted.from, wanted.to));
        if opens.is_none() && !sealed.keys.iter().any(|key| place_of(key).is_some()) {
            return Ok(bare);
        }
        let rows = rows_of(store, &root, sealed).await?;
        let leaves = match sealed.leaves(&rows) {
            Ok(leaves) => leaves,
            Err(why) => {
                self.unproven(&root, &why);
                return Ok(bare);
            }
        };
        let mut known = Vec::new();
        for (leaf, key) in (0u64..).zip(sealed.keys.iter()) {
            let Some(place) = place_of(key) else { continue };
            // A row that stands in two trees is proven by the first.
            if self.proofs[place].is_none() {
                let salts = sealed.salts(key.0, key.1);
                let hash = leaves[leaf as usize];
                self.proofs[place] = Some(LeafProof { root: line, leaf, hash, who: salts.who, what: salts.what });
                known.push(leaf);
            }
        }
        if let Some(wanted) = opens {
            let by_key: HashMap<_, &Row> =
                rows.iter().map(|row| ((row.key().sequence, row.key().slice), row)).collect();
            for (leaf, key) in (0u64..).zip(sealed.keys.iter()) {
                if known.binary_search(&leaf).is_err() {
                    let opened = opening(sealed, wanted, key, by_key.get(&key).copied(), leaves[leaf as usize]);
                    self.open(line, leaf, opened, openings)?;
                }
            }
            for (leaf, gap, salts) in sealed.gap_leaves() {
                let opened = Opened::Gap { gap: gap.clone(), who: salts.who, what: salts.what };
                self.open(line, leaf, opened, openings)?;
            }
            known = (0..leaves.len() as u64).collect();
        }
        Ok(RootLine { proof: Some(prove(&leaves, &known)), ..bare })
    }

    fn open(&mut self, root: u32, leaf: u64, opened: Opened, openings: &mut Summed) -> Result<(), ExportError> {
        self.openings += 1;
        if self.openings > OPENINGS_MAX {
            return Err(ExportError::TooMuch(format!("more than {OPENINGS_MAX} leaves would be opened")));
        }
        openings.line(&OpeningLine { root, leaf, opened }).map_err(ExportError::from)
    }

    fn unproven(&mut self, root: &Root, why: &BadSealed) {
        self.is_complete = false;
        self.notes.push(format!(
            "root {} of gateway {} (lane {}, segment {}): {why}; rows of that tree are without proof",
            root.number, root.gateway, root.lane, root.segment
        ));
    }
}

fn opening(sealed: &Sealed, wanted: &Wanted, key: (u64, u32), row: Option<&Row>, hash: Hash) -> Opened {
    let Some(row) = row else { return Opened::SetAside { hash } };
    let (halves, salts) = (Halves::of_row(row), sealed.salts(key.0, key.1));
    // An answer that is none of the package's rows stands in two trees: who and when it was show that it is one of them.
    let half = wanted.refuting_half(&halves).unwrap_or(HalfName::Who);
    let (opened, salt, other) = match half {
        HalfName::Who => (&halves.who, salts.who, halves.what.hash(salts.what)),
        HalfName::What => (&halves.what, salts.what, halves.who.hash(salts.who)),
    };
    let fields = serde_json::to_value(opened).unwrap_or_default();
    Opened::Half { half, salt, fields, other }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        ExportError::Write(error)
    }
}
