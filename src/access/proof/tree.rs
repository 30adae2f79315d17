//! Merkle trees in the shape of RFC 6962 §2.1, and proofs for many leaves of one tree at once.
//!
//! A proof for a set of leaves is the hashes of all largest subtrees without any of them, from left to right: nothing if
//! the set is the whole tree, and the audit path of RFC 6962, sorted by place, if it is one leaf.

use super::hash::Hash;

fn node(left: Hash, right: Hash) -> Hash {
    Hash::of(&[&[1], &left.0, &right.0])
}

/// Where a tree of `size` ≥ 2 leaves divides: the largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The root over leaves; of none it is the SHA-256 of nothing.
pub fn tree_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
            node(tree_root(left), tree_root(right))
        }
    }
}

/// The proof that the leaves at `places` (ascending) stand in the tree.
pub fn prove(leaves: &[Hash], places: &[u64]) -> Vec<Hash> {
    let mut proof = Vec::new();
    put(leaves, 0, places, &mut proof);
    proof
}

fn put(leaves: &[Hash], first: u64, places: &[u64], proof: &mut Vec<Hash>) {
    if places.is_empty() {
        if !leaves.is_empty() {
            proof.push(tree_root(leaves));
        }
        return;
    }
    if leaves.len() > 1 {
        let at = split(leaves.len() as u64);
        let (left, right) = leaves.split_at(at as usize);
        let (lefts, rights) = places.split_at(places.partition_point(|place| *place < first + at));
        put(left, first, lefts, proof);
        put(right, first + at, rights, proof);
    }
}

/// The root of a tree of `size` leaves of which some are known (ascending, by place) and the rest is proof; `None`: the proof
/// has another shape. Costs no more than the known leaves and the proof are long, whatever `size` claims.
pub fn recompute(size: u64, known: &[(u64, Hash)], proof: &[Hash]) -> Option<Hash> {
    if size == 0 {
        return (known.is_empty() && proof.is_empty()).then(|| tree_root(&[]));
    }
    let is_ascending = known.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !is_ascending || known.last().is_some_and(|(place, _)| *place >= size) {
        return None;
    }
    let mut proof = proof.iter();
    let root = fold(0, size, known, &mut proof)?;
    proof.next().is_none().then_some(root)
}

fn fold(first: u64, size: u64, known: &[(u64, Hash)], proof: &mut std::slice::Iter<'_, Hash>) -> Option<Hash> {
    match known {
        [] => proof.next().copied(),
        [(_, leaf)] if size == 1 => Some(*leaf),
        _ => {
            let at = split(size);
            let (left, right) = known.split_at(known.partition_point(|(place, _)| *place < first + at));
            let left = fold(first, at, left, proof)?;
            Some(node(left, fold(first + at, size - at, right, proof)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(size: usize) -> Vec<Hash> {
        (0..size).map(|n| Hash::of(&[&[0], &n.to_le_bytes()])).collect()
    }

    #[test]
    fn a_tree_has_the_shape_of_rfc_6962() {
        let l = leaves(7);
        let pair = |a, b| node(a, b);
        // §2.1.3: ((01)(23)) ((45)6)
        let left = pair(pair(l[0], l[1]), pair(l[2], l[3]));
        assert_eq!(tree_root(&l), pair(left, pair(pair(l[4], l[5]), l[6])));
        assert_eq!(tree_root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        // A single leaf's proof is its audit path.
        assert_eq!(prove(&l, &[6]), [left, pair(l[4], l[5])]);
    }

    proptest! {
        #[test]
        fn any_set_of_leaves_is_proven_and_no_other(size in 1usize..70, picks in any::<u128>(), wrong in any::<prop::sample::Index>()) {
            let all = leaves(size);
            let places: Vec<u64> = (0..size as u64).filter(|n| picks >> n & 1 == 1).collect();
            let proof = prove(&all, &places);
            let mut known: Vec<(u64, Hash)> = places.iter().map(|n| (*n, all[*n as usize])).collect();
            prop_assert_eq!(recompute(size as u64, &known, &proof), Some(tree_root(&all)));
            let mut longer = proof.clone();
            longer.push(all[0]);
            prop_assert_eq!(recompute(size as u64, &known, &longer), None);
            if !known.is_empty() {
                let at = wrong.index(known.len());
                known[at].1 = Hash::of(&[b"other"]);
                prop_assert_ne!(recompute(size as u64, &known, &proof), Some(tree_root(&all)));
            }
        }
    }

    #[test]
    fn a_claimed_size_costs_nothing() {
        let leaf = leaves(1)[0];
        assert!(recompute(u64::MAX, &[(0, leaf)], &[]).is_none());
        assert!(recompute(u64::MAX, &[(0, leaf), (u64::MAX - 1, leaf)], &[leaf; 3]).is_none());
        assert!(recompute(2, &[(1, leaf), (0, leaf)], &[]).is_none());
        assert!(recompute(2, &[(2, leaf)], &[leaf]).is_none());
    }
}
