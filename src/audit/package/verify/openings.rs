//! Leaves that are no rows of the package, and that they show so.

use std::collections::HashMap;

use super::chains::Chains;
use super::rows::Rows;
use super::{Altered, OPENINGS};
use crate::access::RowKey;
use crate::access::proof::{Half, HalfName, Halves, Salts, leaf};
use crate::audit::package::{Manifest, Opened, OpeningLine};

/// What was opened.
#[derive(Default)]
pub(super) struct Found {
    pub set_aside: u64,
}

pub(super) fn check(bytes: &[u8], manifest: &Manifest, chains: &mut Chains, rows: &Rows) -> Result<Found, Altered> {
    let keys = rows.key_set();
    let (mut found, mut set_aside) = (Found::default(), HashMap::new());
    for (n, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let altered = |why: String| Altered::file(OPENINGS, format!("line {}: {why}", n + 1));
        let opening: OpeningLine =
            serde_json::from_slice(line).map_err(|e| altered(format!("the opening was altered: {e}")))?;
        let mut spelled = serde_json::to_vec(&opening).map_err(|e| altered(e.to_string()))?;
        spelled.push(b'\n');
        if spelled != line {
            return Err(altered("the opening was altered: it is not spelled as it was written".into()));
        }
        let tree =
            chains.tree(opening.root).ok_or_else(|| altered("it names a root that is not in the package".into()))?;
        let root = &tree.root;
        let is_row = opening.leaf < root.rows;
        let hash = match opening.opened {
            Opened::SetAside { hash } if is_row => {
                found.set_aside += 1;
                let told = set_aside.entry(opening.root).or_insert(0u64);
                *told += 1;
                if *told > root.set_aside {
                    let why = format!("more leaves are said to be set aside than the {} of their root", root.set_aside);
                    return Err(altered(why));
                }
                hash
            }
            Opened::Gap { gap, who, what } if !is_row => {
                Halves::of_gap(&root.college, &root.gateway, root.lane, root.stream, &gap).leaf(Salts { who, what })
            }
            Opened::Half { half, salt, fields, other } if is_row => {
                let opened = Half::from_fields(manifest.stream, half, fields)
                    .map_err(|e| altered(format!("the opening was altered: {e}")))?;
                let is_one_of_ours = key_of(&opened).is_some_and(|key| keys.contains(&key));
                if manifest.wanted.may_be(&opened) && !is_one_of_ours {
                    return Err(altered(
                        "this leaf may be an answer, and is no row of the package: rows were removed".into(),
                    ));
                }
                let opened = opened.hash(salt);
                match half {
                    HalfName::Who => leaf(opened, other),
                    HalfName::What => leaf(other, opened),
                }
            }
            _ => return Err(altered("a leaf of a row is opened as a gap, or a gap as a row".into())),
        };
        tree.open(opening.leaf, hash).map_err(altered)?;
    }
    Ok(found)
}

fn key_of(half: &Half) -> Option<RowKey> {
    let (college, gateway, lane, sequence, slice) = match half {
        Half::AccessWho(half) => (&half.college, &half.gateway, half.lane, half.sequence, half.slice),
        Half::ConnectionWho(half) => (&half.college, &half.gateway, half.lane, half.sequence, half.slice),
        _ => return None,
    };
    Some(RowKey { college: college.clone(), gateway: gateway.clone(), lane, sequence, slice })
}
