//! The records of one lineage, in either direction.

use std::sync::Arc;

use abide_core::engine::FoldError;
use abide_core::record::decode::{self, DecodeError};
use abide_core::record::{Hash, Record};
use abide_core::schema::Schema;
use abide_store::RecordPos;

use super::{Lineage, View};
use crate::host::HostError;

/// A record of a lineage, and its hash.
pub type Link = (Record, Hash);

/// The records of a lineage from the first on. It ends after the first error.
#[derive(Debug)]
pub struct Records<'a> {
    view: &'a View,
    lineage: Lineage<'a>,
    /// Where the records start, the last first.
    positions: Vec<RecordPos>,
    prev: Option<Hash>,
    seq: u64,
}

/// The records of a lineage from the last on. It ends after the first error.
#[derive(Debug)]
pub struct Backwards<'a> {
    view: &'a View,
    lineage: Lineage<'a>,
    next: Option<RecordPos>,
    /// The hash that the next one must have, and one more than its number.
    expected: (Hash, u64),
}

impl<'a> Records<'a> {
    pub(super) fn new(view: &'a View, lineage: Lineage<'a>) -> Result<Self, HostError> {
        let mut positions =
            Vec::with_capacity(usize::try_from(lineage.length).unwrap_or_default().min(1 << 20));
        if let Some(head) = view.head(lineage.number)? {
            for record in view.reader.lineage(head) {
                positions.push(record?.pos);
            }
        }
        Ok(Self { view, lineage, positions, prev: None, seq: 0 })
    }

    fn read(&mut self, pos: RecordPos) -> Result<Link, HostError> {
        let stored = self.view.reader.record(pos)?;
        let hash = Hash(stored.hash());
        let at = |source| HostError::Fold { leaf: stored.leaf, source };
        let record = decoded(&stored.bytes, self.lineage.schema).map_err(at)?;
        let is_last = self.positions.is_empty();
        let follows = record.prev == self.prev && record.seq == self.seq;
        let is_gap = self.view.host_gaps && self.lineage.number == 0 && record.seq > self.seq;
        if !(follows || is_gap) || (is_last && hash != self.lineage.head) {
            return Err(at(FoldError::Chain { object: Arc::clone(&record.object), seq: record.seq }));
        }
        self.prev = Some(hash);
        self.seq = record.seq + 1;
        Ok((record, hash))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Link, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pos = self.positions.pop()?;
        let read = self.read(pos);
        if read.is_err() {
            self.positions.clear();
        }
        Some(read)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.positions.len()))
    }
}

impl<'a> Backwards<'a> {
    pub(super) fn new(view: &'a View, lineage: Lineage<'a>) -> Result<Self, HostError> {
        Ok(Self { view, lineage, next: view.head(lineage.number)?, expected: (lineage.head, lineage.length) })
    }

    /// As the iterator, and says where the record is.
    pub(crate) fn next_placed(&mut self) -> Option<(RecordPos, Result<Link, HostError>)> {
        let pos = self.next.take()?;
        Some((pos, self.read(pos)))
    }

    /// A record that was gone past.
    pub(crate) fn again(&self, pos: RecordPos) -> Result<Link, HostError> {
        let stored = self.view.reader.record(pos)?;
        let at = |source| HostError::Fold { leaf: stored.leaf, source };
        Ok((decoded(&stored.bytes, self.lineage.schema).map_err(at)?, Hash(stored.hash())))
    }

    fn read(&mut self, pos: RecordPos) -> Result<Link, HostError> {
        let stored = self.view.reader.record(pos)?;
        let hash = Hash(stored.hash());
        let at = |source| HostError::Fold { leaf: stored.leaf, source };
        let record = decoded(&stored.bytes, self.lineage.schema).map_err(at)?;
        let (expected, length) = self.expected;
        if hash != expected || record.seq + 1 != length || record.prev.is_none() != stored.previous.is_none()
        {
            return Err(at(FoldError::Chain { object: Arc::clone(&record.object), seq: record.seq }));
        }
        self.expected = (record.prev.unwrap_or_default(), record.seq);
        self.next = stored.previous;
        Ok((record, hash))
    }
}

impl Iterator for Backwards<'_> {
    type Item = Result<Link, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_placed().map(|(_, read)| read)
    }
}

fn decoded(bytes: &[u8], schema: Option<&Schema>) -> Result<Record, FoldError> {
    decode::decode(bytes, schema).map_err(|error: DecodeError| error.into())
}
