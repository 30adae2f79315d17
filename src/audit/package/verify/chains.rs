//! The roots: each signed, each naming the one before, and each tree recomputed from what is known of its leaves.

use std::collections::{BTreeMap, HashMap};

use super::Altered;
use super::rows::{Rows, at, name};
use crate::access::proof::{Hash, PublicKey, Root, SignedText, recompute};
use crate::access::{CollegeCode, GatewayName, RowKey, Timestamp};
use crate::audit::package::{ChainPart, Manifest, ROOTS, RootLine, Wanted};

/// The roots of a package, and what becomes known of their trees.
pub(super) struct Chains {
    pub roots: Vec<Tree>,
}

pub(super) struct Tree {
    pub root: Root,
    text_hash: Hash,
    proof: Option<Vec<Hash>>,
    /// Leaves by place.
    known: BTreeMap<u64, Hash>,
    /// A row of the package that stands in it, to be named when the tree is not right.
    row: Option<RowKey>,
}

impl Chains {
    pub fn read(bytes: &[u8], manifest: &Manifest) -> Result<Chains, Altered> {
        let mut roots = Vec::new();
        for (n, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let altered = |why: String| Altered::file(ROOTS, format!("line {}: {why}", n + 1));
            let read: RootLine =
                serde_json::from_slice(line).map_err(|e| altered(format!("the root was altered: {e}")))?;
            let mut spelled = serde_json::to_vec(&read).map_err(|e| altered(e.to_string()))?;
            spelled.push(b'\n');
            if spelled != line {
                return Err(altered("the root was altered: it is not spelled as it was written".into()));
            }
            let signed: SignedText = read.signed();
            let root = signed.root().map_err(|e| altered(format!("the root was altered: {e}")))?;
            if root.stream != manifest.stream {
                return Err(altered(format!("it is a root of {}", root.stream)));
            }
            roots.push(Tree { root, text_hash: signed.hash(), proof: read.proof, known: BTreeMap::new(), row: None });
        }
        let chains = Chains { roots };
        chains.check_links(manifest)?;
        Ok(chains)
    }

    /// Each chain goes from number to number, and is as long as the manifest says.
    fn check_links(&self, manifest: &Manifest) -> Result<(), Altered> {
        let mut parts: Vec<ChainPart> = Vec::new();
        let mut last: HashMap<(&CollegeCode, &GatewayName), (usize, &Tree)> = HashMap::new();
        for (n, tree) in self.roots.iter().enumerate() {
            let root = &tree.root;
            let chain = (&root.college, &root.gateway);
            let part = match last.get(&chain) {
                Some((part, before)) => {
                    if before.root.number.checked_add(1) != Some(root.number) || before.text_hash != root.previous {
                        let why = format!(
                            "line {}: root {} of gateway {} does not follow root {}: roots were removed, added or moved",
                            n + 1,
                            root.number,
                            root.gateway,
                            before.root.number
                        );
                        return Err(Altered::file(ROOTS, why));
                    }
                    parts[*part].last = root.number;
                    *part
                }
                None => {
                    let (college, gateway) = (root.college.clone(), root.gateway.clone());
                    parts.push(ChainPart { college, gateway, first: root.number, last: root.number });
                    parts.len() - 1
                }
            };
            last.insert(chain, (part, tree));
        }
        if parts == manifest.chains {
            return Ok(());
        }
        Err(Altered::file(ROOTS, "roots were removed or added: the manifest names others"))
    }

    /// A row of the package stands in a tree, it says.
    pub fn know(&mut self, line: u32, leaf: u64, hash: Hash, key: &RowKey) -> Result<(), String> {
        let tree = self.tree(line).ok_or("it names a root that is not in the package")?;
        let root = &tree.root;
        if (&root.college, &root.gateway, root.lane) != (&key.college, &key.gateway, key.lane) {
            return Err("it names a root of another college, gateway or lane".into());
        }
        tree.row.get_or_insert_with(|| key.clone());
        tree.open(leaf, hash)
    }

    pub fn tree(&mut self, line: u32) -> Option<&mut Tree> {
        self.roots.get_mut(line as usize)
    }

    /// What is known of each tree gives its root.
    pub fn check_trees(&self, rows: &Rows) -> Result<(), Altered> {
        for (n, tree) in self.roots.iter().enumerate() {
            let is_used = tree.proof.is_some() || !tree.known.is_empty();
            if is_used && !tree.gives_its_root() {
                let why = format!(
                    "root {} of gateway {} is not what its leaves and hashes give: a row, a leaf, an opening or a hash of that tree was altered",
                    tree.root.number, tree.root.gateway
                );
                let row = tree.row.as_ref().and_then(|key| rows.keys.iter().position(|other| other == key));
                return Err(match (row, &tree.row) {
                    (Some(row), Some(key)) => at(row as u64 + 1, name(key), &why),
                    _ => Altered::file(ROOTS, format!("line {}: {why}", n + 1)),
                });
            }
        }
        Ok(())
    }

    /// Trees that may hold something of the time asked for.
    pub fn touching<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = &'a Tree> {
        self.roots.iter().filter(|tree| tree.root.touches(wanted.from, wanted.to))
    }

    /// Every leaf of every tree of the time is known; answers how many. What lies beyond the chains is noted.
    pub fn check_complete(&self, wanted: &Wanted, notes: &mut Vec<String>) -> Result<u64, Altered> {
        let mut leaves = 0;
        for tree in self.touching(wanted) {
            let root = &tree.root;
            if tree.known.len() as u64 != root.leaves() {
                let why = format!(
                    "{} of {} leaves of root {} of gateway {} are opened: rows or openings were removed",
                    tree.known.len(),
                    root.leaves(),
                    root.number,
                    root.gateway
                );
                return Err(Altered::file(super::OPENINGS, why));
            }
            leaves += root.leaves();
        }
        let mut ends: BTreeMap<(&CollegeCode, &GatewayName), (&Root, &Root)> = BTreeMap::new();
        for Tree { root, .. } in &self.roots {
            ends.entry((&root.college, &root.gateway)).or_insert((root, root)).1 = root;
        }
        if ends.is_empty() {
            notes.push("no gateway sealed anything: nothing is proven about that time".into());
        }
        for (first, last) in ends.values() {
            if first.number > 1 && wanted.from.is_none_or(|from| first.sealed > from) {
                notes.push(format!(
                    "gateway {}: the first root here, number {}, was sealed at {}, after that time began; older ones are not in the package",
                    first.gateway, first.number, first.sealed
                ));
            }
            if wanted.to.is_none_or(|to| last.sealed < to) {
                notes.push(format!(
                    "gateway {}: the last root here was sealed at {}: what was sealed later is not accounted for",
                    last.gateway, last.sealed
                ));
            }
        }
        Ok(leaves)
    }

    /// The keys that signed roots.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.roots.iter().map(|tree| tree.root.key)
    }

    /// The instant up to which the last root of every chain goes.
    pub fn sealed_up_to(&self) -> Option<Timestamp> {
        let mut last: BTreeMap<(&CollegeCode, &GatewayName), Timestamp> = BTreeMap::new();
        for Tree { root, .. } in &self.roots {
            last.insert((&root.college, &root.gateway), root.sealed);
        }
        last.into_values().min()
    }
}

impl Tree {
    /// A leaf becomes known, once.
    pub fn open(&mut self, leaf: u64, hash: Hash) -> Result<(), String> {
        if leaf >= self.root.leaves() {
            return Err(format!("it names leaf {leaf} of a tree that has {}", self.root.leaves()));
        }
        match self.known.insert(leaf, hash) {
            None => Ok(()),
            Some(_) => Err(format!("leaf {leaf} of that tree is there twice")),
        }
    }

    fn gives_its_root(&self) -> bool {
        let Some(proof) = &self.proof else { return false };
        let known: Vec<(u64, Hash)> = self.known.iter().map(|(leaf, hash)| (*leaf, *hash)).collect();
        recompute(self.root.leaves(), &known, proof) == Some(self.root.root)
    }
}
