//! Proofs that a leaf is in a tree, and that a tree grew out of an earlier one (RFC 6962 §2.1).

use super::{Hash, empty_root, node_hash};

/// A tree with all its complete inner nodes in memory, about 64 bytes a leaf: for making proofs.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `levels[k][i]` is the root over the leaves from `i * 2^k` to before `(i + 1) * 2^k`.
    levels: Vec<Vec<Hash>>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index or the sizes do not go together.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    Index {
        /// The leaf's index, or the earlier tree's size.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The number of hashes is not that of a proof for this place.
    #[error("the proof has {given} hashes where it needs another number")]
    Length {
        /// The number of hashes given.
        given: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

impl Tree {
    /// The tree over `leaves`.
    #[must_use]
    pub fn new(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut levels = vec![leaves.into_iter().collect::<Vec<Hash>>()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pairs = below.as_chunks::<2>().0;
            let level = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(level);
        }
        Self { levels }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root over the first `size` leaves, or `None` if there are fewer.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        if size == 0 { Some(empty_root()) } else { self.subtree(0, size) }
    }

    /// The hashes that lead from leaf `index` to the root over the first `size` leaves, the lowest first.
    /// `None` if there is no such leaf or tree.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut end) = (0, size);
        let mut proof = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                proof.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                proof.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        proof.reverse();
        Some(proof)
    }

    /// The hashes that show that the tree of `old` leaves is the beginning of the one of `new` leaves.
    /// `None` unless `0 < old <= new` and there are that many leaves.
    #[must_use]
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if old == 0 || old > new || new > self.size() {
            return None;
        }
        let (mut start, mut end) = (0, new);
        let mut proof = Vec::new();
        while end > old {
            let middle = start + split(end - start);
            if old <= middle {
                proof.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                proof.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        // The old root itself is known to whoever checks; only another subtree of it has to be told.
        if start > 0 {
            proof.push(self.subtree(start, end)?);
        }
        proof.reverse();
        Some(proof)
    }

    /// The root over the leaves from `start` to before `end`, where `start` is a multiple of the span's power of two.
    fn subtree(&self, start: u64, end: u64) -> Option<Hash> {
        let mut parts = Vec::new();
        let mut at = start;
        while at < end {
            let level = (end - at).ilog2();
            let nodes = self.levels.get(usize::try_from(level).ok()?)?;
            parts.push(*nodes.get(usize::try_from(at >> level).ok()?)?);
            at += 1 << level;
        }
        parts.into_iter().rev().reduce(|right, left| node_hash(&left, &right))
    }
}

/// The largest power of two below `leaves`, which is at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// [`ProofError`] says what is wrong with the proof.
pub fn verify_inclusion(
    root: &Hash,
    size: u64,
    index: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let mut hashes = proof.iter();
    let (mut at, mut last, mut node) = (index, size - 1, *leaf);
    while last > 0 {
        // On the right edge a node without a sibling is its own parent.
        if at % 2 == 1 || at < last {
            let sibling = hashes.next().ok_or(ProofError::Length { given: proof.len() })?;
            node = if at % 2 == 1 { node_hash(sibling, &node) } else { node_hash(&node, sibling) };
        }
        at /= 2;
        last /= 2;
    }
    finish(hashes.next(), proof, node == *root)
}

/// Checks that the tree of `old` leaves with root `old_root` is the beginning of the tree of `new` leaves with root
/// `new_root`.
///
/// # Errors
/// [`ProofError`] says what is wrong with the proof.
pub fn verify_consistency(
    old_root: &Hash,
    old: u64,
    new_root: &Hash,
    new: u64,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old == 0 || old > new {
        return Err(ProofError::Index { index: old, size: new });
    }
    if old == new {
        return finish(proof.first(), proof, old_root == new_root);
    }
    let length = ProofError::Length { given: proof.len() };
    let mut hashes = proof.iter();
    // Up to the subtree that ends the old tree, both trees are the same.
    let level = (old - 1).trailing_ones();
    let (mut at, mut last) = (shift(old - 1, level), shift(new - 1, level));
    let whole = old.is_power_of_two();
    let mut node_old = if whole { *old_root } else { *hashes.next().ok_or(length)? };
    let mut node_new = node_old;
    while last > 0 {
        if at % 2 == 1 {
            let sibling = hashes.next().ok_or(length)?;
            node_old = node_hash(sibling, &node_old);
            node_new = node_hash(sibling, &node_new);
        } else if at < last {
            node_new = node_hash(&node_new, hashes.next().ok_or(length)?);
        }
        at /= 2;
        last /= 2;
    }
    finish(hashes.next(), proof, node_old == *old_root && node_new == *new_root)
}

fn shift(number: u64, bits: u32) -> u64 {
    number.checked_shr(bits).unwrap_or(0)
}

fn finish(rest: Option<&Hash>, proof: &[Hash], equal: bool) -> Result<(), ProofError> {
    match (rest, equal) {
        (Some(_), _) => Err(ProofError::Length { given: proof.len() }),
        (None, false) => Err(ProofError::Root),
        (None, true) => Ok(()),
    }
}
