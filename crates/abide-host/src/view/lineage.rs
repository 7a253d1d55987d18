//! The records of one lineage, in either direction.

use std::sync::Arc;

use abide_core::engine::FoldError;
use abide_core::record::decode::{self, DecodeError};
use abide_core::record::{Event, Hash, Record};
use abide_core::schema::Schema;
use abide_store::RecordPos;
use serde_json::Value as Json;

use super::{Lineage, View, describe};
use crate::host::HostError;

/// A record of a lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The record.
    pub record: Record,
    /// Its hash.
    pub hash: Hash,
    /// The schema in force after it; none in the host's own lineage.
    pub schema: Option<Arc<Schema>>,
}

impl Link {
    /// As `lineage --json` has it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.record.to_json(self.hash, self.schema.as_deref())
    }

    /// In a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(&self.record, self.schema.as_deref())
    }
}

/// The records of a lineage from the first on. It ends after the first error.
#[derive(Debug)]
pub struct Records<'a> {
    view: &'a View,
    lineage: Lineage<'a>,
    /// Where the records start, the last first.
    positions: Vec<RecordPos>,
    prev: Option<Hash>,
    seq: u64,
    /// The schema in force after the last one.
    schema: Option<Arc<Schema>>,
}

/// The records of a lineage from the last on. It ends after the first error.
#[derive(Debug)]
pub struct Backwards<'a> {
    view: &'a View,
    next: Option<RecordPos>,
    /// The hash that the next one must have, and one more than its number.
    expected: (Hash, u64),
    /// The schema in force after the next one.
    schema: Option<Arc<Schema>>,
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
        Ok(Self { view, lineage, positions, prev: None, seq: 0, schema: None })
    }

    fn read(&mut self, pos: RecordPos) -> Result<Link, HostError> {
        let stored = self.view.reader.record(pos)?;
        let at = |source| HostError::Fold { leaf: stored.leaf, source };
        if let Some(digest) = decode::puts_in_force(&stored.bytes).map_err(|error| at(error.into()))? {
            self.schema = self.view.engine.schemas().get(&digest).cloned();
        }
        let link = decoded(&stored, self.schema.clone())?;
        let Link { record, hash, .. } = &link;
        let is_last = self.positions.is_empty();
        let follows = record.prev == self.prev && record.seq == self.seq;
        let is_gap = self.view.host_gaps && self.lineage.number == 0 && record.seq > self.seq;
        if !(follows || is_gap) || (is_last && *hash != self.lineage.head) {
            return Err(at(FoldError::Chain { object: Arc::clone(&record.object), seq: record.seq }));
        }
        self.prev = Some(*hash);
        self.seq = record.seq + 1;
        Ok(link)
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
        let (next, expected) = (view.head(lineage.number)?, (lineage.head, lineage.length));
        Ok(Self { view, next, expected, schema: lineage.schema.cloned() })
    }

    /// As the iterator, and says where the record is.
    pub(crate) fn next_placed(&mut self) -> Option<(RecordPos, Result<Link, HostError>)> {
        let pos = self.next.take()?;
        Some((pos, self.read(pos)))
    }

    /// A record that was gone past, with the schema in force after it.
    pub(crate) fn again(&self, pos: RecordPos, schema: Option<Arc<Schema>>) -> Result<Link, HostError> {
        decoded(&self.view.reader.record(pos)?, schema)
    }

    fn read(&mut self, pos: RecordPos) -> Result<Link, HostError> {
        let stored = self.view.reader.record(pos)?;
        let link = decoded(&stored, self.schema.clone())?;
        let Link { record, hash, .. } = &link;
        let (expected, length) = self.expected;
        if *hash != expected || record.seq + 1 != length || record.prev.is_none() != stored.previous.is_none()
        {
            let source = FoldError::Chain { object: Arc::clone(&record.object), seq: record.seq };
            return Err(HostError::Fold { leaf: stored.leaf, source });
        }
        self.expected = (record.prev.unwrap_or_default(), record.seq);
        self.next = stored.previous;
        if let Event::Upgrade(upgrade) = &record.event
            && let Some(change) = &upgrade.schema
        {
            self.schema = self.view.engine.schemas().get(&change.was).cloned();
        }
        Ok(link)
    }
}

impl Iterator for Backwards<'_> {
    type Item = Result<Link, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_placed().map(|(_, read)| read)
    }
}

fn decoded(stored: &abide_store::Record, schema: Option<Arc<Schema>>) -> Result<Link, HostError> {
    let record = decode::decode(&stored.bytes, schema.as_deref());
    let at = |error: DecodeError| HostError::Fold { leaf: stored.leaf, source: error.into() };
    Ok(Link { record: record.map_err(at)?, hash: Hash(stored.hash()), schema })
}
