//! The least that a chained log can do: append the bytes, hash them into a Merkle tree, flush once a tick.
//!
//! No types, no admission, no chain of an object, no signature, no recovery. What is left is what the disk and SHA-256
//! cost, so the distance to it is what everything else costs.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::race::{Contestant, Round};

type Hash = [u8; 32];

/// The records of one tick, end to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Appends batches to a file, the given ones over and over.
pub(crate) struct BareAppend {
    name: String,
    file: File,
    batches: std::iter::Cycle<std::vec::IntoIter<Batch>>,
    tree: Frontier,
    written: u64,
    /// How far the file is laid out.
    laid_out: u64,
    /// By how much at a time it is; 0 leaves that to each write.
    lay_out_by: u64,
}

/// An RFC 6962 tree of which only the roots of its full subtrees are kept, the largest first.
#[derive(Debug, Default)]
struct Frontier {
    leaves: u64,
    roots: Vec<Hash>,
}

impl Batch {
    /// The given records, one after the other.
    pub(crate) fn of(records: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut batch = Self::default();
        for record in records {
            batch.bytes.extend_from_slice(record.as_ref());
            batch.ends.push(batch.bytes.len());
        }
        batch
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

impl BareAppend {
    /// Makes the file. With `lay_out_by` its blocks are reserved that many bytes at a time, so that a flush mostly has no
    /// metadata to write.
    pub(crate) fn new(folder: &Path, batches: Vec<Batch>, lay_out_by: u64) -> io::Result<Self> {
        let name = if lay_out_by == 0 { "bare append" } else { "bare append, laid out" };
        Ok(Self {
            name: name.to_owned(),
            file: File::create_new(folder.join(name))?,
            batches: batches.into_iter().cycle(),
            tree: Frontier::default(),
            written: 0,
            laid_out: 0,
            lay_out_by,
        })
    }

    fn tick(&mut self) -> io::Result<Hash> {
        let batch = self.batches.next().unwrap_or_default();
        for record in batch.records() {
            self.tree.push(leaf(record));
        }
        let root = self.tree.root();
        self.written = self.written.saturating_add(u64::try_from(batch.bytes.len()).unwrap_or(u64::MAX));
        if self.lay_out_by > 0 && self.written > self.laid_out {
            let more = (self.written - self.laid_out).next_multiple_of(self.lay_out_by);
            rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), self.laid_out, more)?;
            self.laid_out = self.laid_out.saturating_add(more);
        }
        self.file.write_all(&batch.bytes)?;
        self.file.sync_data()?;
        Ok(root)
    }
}

impl Contestant for BareAppend {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, ticks: u32) -> io::Result<Round> {
        let mut elapsed = Duration::ZERO;
        for _ in 0..ticks {
            let start = Instant::now();
            std::hint::black_box(self.tick()?);
            elapsed += start.elapsed();
        }
        Ok(Round { elapsed, flushes: ticks.into() })
    }
}

impl Frontier {
    fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // A leaf completes one subtree for each full one of its own size that stands before it.
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node(&left, &root);
            }
        }
        self.roots.push(root);
        self.leaves += 1;
    }

    fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            Some(last) => roots.fold(*last, |right, left| node(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(leaves: &[&[u8]]) -> String {
        let mut tree = Frontier::default();
        leaves.iter().for_each(|record| tree.push(leaf(record)));
        tree.root().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors of the Certificate Transparency reference implementation.
    #[test]
    fn roots_are_those_of_rfc_6962() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let expected = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        for (count, root) in expected {
            assert_eq!(root_of(&leaves[..count]), root, "{count} leaves");
        }
    }

    #[test]
    fn the_file_holds_what_was_appended() {
        let folder = tempfile::tempdir().unwrap();
        let batches = vec![Batch::of(["one", ""]), Batch::of(["three"])];
        for lay_out_by in [0, 4096] {
            let mut append = BareAppend::new(folder.path(), batches.clone(), lay_out_by).unwrap();
            append.round(3).unwrap();
            assert_eq!(append.tree.leaves, 5);
            let mut expected = b"onethreeone".to_vec();
            expected.resize(if lay_out_by == 0 { 11 } else { 4096 }, 0);
            assert_eq!(std::fs::read(folder.path().join(append.name())).unwrap(), expected);
        }
    }
}
