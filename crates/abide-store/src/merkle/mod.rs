//! The Merkle tree of RFC 6962 over all records of a host, in commit order.
//!
//! [`Frontier`] is what an append needs of it: the roots of its complete subtrees, one for each bit of its size.
//! Proofs are in [`Tree`] and the two functions that check them.

mod proof;

use sha2::{Digest, Sha256};

pub use proof::{ProofError, Tree, verify_consistency, verify_inclusion};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The hash of a leaf: `SHA-256(0x00 || bytes)`. For a record it is also the link that its successor names.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    let (_, children) = input.split_at_mut(1);
    let (into_left, into_right) = children.split_at_mut(32);
    into_left.copy_from_slice(left);
    into_right.copy_from_slice(right);
    Sha256::digest(input).into()
}

/// The root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: enough to append leaves and to tell the root.
///
/// A leaf costs one node hash on average; the whole takes at most 64 hashes of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one hash for each bit of `size`, of the largest subtree first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, or `None` unless there is one hash for each bit of the size.
    #[must_use]
    pub fn from_parts(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()) == Ok(subtrees.len());
        fits.then_some(Self { size, subtrees })
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one of the size is a complete subtree that this leaf's subtree completes a larger one with.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(smallest) = subtrees.next() else { return empty_root() };
        subtrees.fold(*smallest, |right, left| node_hash(left, &right))
    }
}
