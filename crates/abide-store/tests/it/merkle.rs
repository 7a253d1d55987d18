//! The Merkle tree against the definition in RFC 6962, and against another implementation.

use abide_store::Hash;
use abide_store::merkle::{
    Frontier, ProofError, Tree, empty_root, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use tlog_tiles::tlog;

/// MTH of RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

/// PATH of RFC 6962 §2.1.1, word for word.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut path, sibling) = if index < split {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - split, right), naive_root(left))
    };
    path.push(sibling);
    path
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_le_bytes())).collect()
}

fn theirs(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().map(|hash| tlog::Hash(*hash)).collect()
}

#[test]
fn the_hashes_are_those_of_the_specification() {
    insta::assert_snapshot!(tlog::Hash(empty_root()), @"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(leaf_hash(b"hello"), tlog::record_hash(b"hello").0);
    let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_eq!(node_hash(&a, &b), tlog::node_hash(tlog::Hash(a), tlog::Hash(b)).0);
}

#[test]
fn every_small_tree_proves_every_leaf_and_every_beginning() {
    let all = leaves(40);
    let tree = Tree::new(all.iter().copied());
    let mut frontier = Frontier::default();
    for size in 0..=40_usize {
        let (root, new) = (naive_root(&all[..size]), size as u64);
        assert_eq!(frontier.root(), root, "size {size}");
        assert_eq!(tree.root(new), Some(root), "size {size}");
        for (index, leaf) in all[..size].iter().enumerate() {
            let proof = tree.inclusion(index as u64, new).unwrap();
            assert_eq!(proof, naive_path(index, &all[..size]));
            assert_eq!(verify_inclusion(&root, new, index as u64, leaf, &proof), Ok(()));
            tlog::check_record(&theirs(&proof), new, tlog::Hash(root), index as u64, tlog::Hash(*leaf))
                .unwrap();
        }
        for old in 1..=size {
            let (old_root, old) = (naive_root(&all[..old]), old as u64);
            let proof = tree.consistency(old, new).unwrap();
            assert_eq!(verify_consistency(&old_root, old, &root, new, &proof), Ok(()), "{old} in {new}");
            tlog::check_tree(&theirs(&proof), new, tlog::Hash(root), old, tlog::Hash(old_root)).unwrap();
        }
        frontier.push(*all.get(size).unwrap_or(&[0; 32]));
    }
}

#[test]
fn what_is_not_there_has_no_proof() {
    let tree = Tree::new(leaves(5));
    assert_eq!(tree.inclusion(5, 5), None);
    assert_eq!(tree.inclusion(0, 6), None);
    assert_eq!(tree.consistency(0, 5), None);
    assert_eq!(tree.consistency(4, 3), None);
    assert_eq!(tree.root(6), None);
    let root = tree.root(5).unwrap();
    assert_eq!(verify_inclusion(&root, 5, 5, &[0; 32], &[]), Err(ProofError::Index { index: 5, size: 5 }));
    assert_eq!(verify_inclusion(&root, 0, 0, &[0; 32], &[]), Err(ProofError::Index { index: 0, size: 0 }));
    assert_eq!(verify_consistency(&root, 6, &root, 5, &[]), Err(ProofError::Index { index: 6, size: 5 }));
    assert_eq!(verify_consistency(&root, 5, &empty_root(), 5, &[]), Err(ProofError::Root));
    assert_eq!(Tree::default().root(0), Some(empty_root()));
}

#[test]
fn a_frontier_has_one_hash_for_each_bit_of_its_size() {
    let mut frontier = Frontier::default();
    for leaf in leaves(11) {
        frontier.push(leaf);
    }
    let parts = frontier.subtrees().to_vec();
    assert_eq!(Frontier::from_parts(11, parts.clone()), Some(frontier));
    assert_eq!(Frontier::from_parts(12, parts.clone()), None);
    assert_eq!(Frontier::from_parts(15, parts), None);
}

proptest! {
    #[test]
    fn an_altered_proof_proves_nothing(size in 1_u64..600, index: prop::sample::Index, old: prop::sample::Index,
                                       place: prop::sample::Index, bit in 0_usize..256) {
        let all = leaves(size);
        let tree = Tree::new(all.iter().copied());
        let root = naive_root(&all);
        let (index, old) = (index.index(all.len()) as u64, old.index(all.len()) as u64 + 1);
        let leaf = all[usize::try_from(index).unwrap()];
        let old_root = naive_root(&all[..usize::try_from(old).unwrap()]);
        let alter = |proof: &[Hash]| {
            let mut altered = proof.to_vec();
            altered[place.index(proof.len())][bit / 8] ^= 1 << (bit % 8);
            altered
        };
        let inclusion = tree.inclusion(index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&root, size, index, &leaf, &inclusion), Ok(()));
        prop_assert!(verify_inclusion(&root, size, index, &[9; 32], &inclusion).is_err());
        let longer = [inclusion.as_slice(), &[[0; 32]]].concat();
        prop_assert!(verify_inclusion(&root, size, index, &leaf, &longer).is_err());
        if !inclusion.is_empty() {
            prop_assert!(verify_inclusion(&root, size, index, &leaf, &alter(&inclusion)).is_err());
            prop_assert!(verify_inclusion(&root, size, index, &leaf, &inclusion[1..]).is_err());
        }
        let consistency = tree.consistency(old, size).unwrap();
        prop_assert_eq!(verify_consistency(&old_root, old, &root, size, &consistency), Ok(()));
        if !consistency.is_empty() {
            prop_assert!(verify_consistency(&old_root, old, &root, size, &alter(&consistency)).is_err());
            prop_assert!(verify_consistency(&old_root, old, &root, size, &consistency[1..]).is_err());
        }
    }
}
