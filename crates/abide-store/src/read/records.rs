//! What is read of a log: frames with their records, and an object's records backwards.

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, LogVerifier};
use crate::error::ReadError;
use crate::format::{FrameHeader, FrameRecords, FrameView, HeaderFault, Position, RecordPos};
use crate::merkle::{Hash, leaf_hash};

use super::Segments;
use super::window::{Found, Window};

/// A frame: what one commit wrote.
#[derive(Clone, Debug)]
pub struct Frame {
    header: FrameHeader,
    root: Hash,
    signature: [u8; 64],
    verifier: Arc<LogVerifier>,
    records: Vec<u8>,
}

/// A record of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Where it starts.
    pub pos: RecordPos,
    /// The object's number.
    pub object: u32,
    /// The record's index in the Merkle tree.
    pub leaf: u64,
    /// The same object's record before it.
    pub previous: Option<RecordPos>,
    /// The record's bytes.
    pub bytes: &'a [u8],
}

/// A record read by its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it starts.
    pub pos: RecordPos,
    /// The object's number.
    pub object: u32,
    /// The record's index in the Merkle tree.
    pub leaf: u64,
    /// The same object's record before it.
    pub previous: Option<RecordPos>,
    /// The record's bytes.
    pub bytes: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(view: &FrameView<'_>, verifier: Arc<LogVerifier>) -> Self {
        let records = view.record_bytes().to_vec();
        Self { header: view.header.clone(), root: view.root, signature: view.signature, verifier, records }
    }

    /// Where the frame starts.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.header.position)
    }

    /// Where the frame ends, and the next one starts or will start.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.header.end())
    }

    /// The tick of the commit.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.header.tick
    }

    /// The time of the commit, in nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn time(&self) -> i64 {
        self.header.time
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        FrameRecords::new(&self.header, &self.records).map(|(pos, header, bytes)| RecordRef {
            pos,
            object: header.object,
            leaf: header.leaf,
            previous: header.previous,
            bytes,
        })
    }

    /// The signed head of the log after this commit. Whether the signature holds is not checked here.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let size = self.header.first_leaf + u64::from(self.header.records);
        let note = self.verifier.note(size, &self.root, &self.signature);
        Checkpoint { size, root: self.root, tick: self.header.tick, time: self.header.time, note }
    }

    /// The name and the key that the checkpoint is signed under.
    #[must_use]
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }
}

impl RecordRef<'_> {
    /// The record's hash: its leaf in the Merkle tree, and the link its successor names. It is computed from the bytes.
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(self.bytes)
    }
}

impl Record {
    /// The record's hash: its leaf in the Merkle tree, and the link its successor names. It is computed from the bytes.
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.bytes)
    }
}

/// Goes over the frames of a log in order. It ends after the first error.
#[derive(Debug)]
pub struct Frames<'a> {
    segments: &'a Segments,
    position: u64,
    current: Option<(Window, Arc<LogVerifier>)>,
    failed: bool,
}

impl<'a> Frames<'a> {
    pub(super) fn new(segments: &'a Segments, from: Position) -> Self {
        Self { segments, position: from.0, current: None, failed: false }
    }

    fn read(&mut self) -> Result<Option<Frame>, ReadError> {
        let end = self.segments.end().0;
        if self.position == end {
            return Ok(None);
        }
        let absent = ReadError::Absent { what: "frame", position: self.position };
        let Some((base, segment_end)) = self.segments.span(self.position) else { return Err(absent) };
        if self.current.as_ref().is_none_or(|(window, _)| window.base() != base) {
            let (window, verifier, header_end) = open(self.segments, base)?;
            self.position = self.position.max(header_end);
            self.current = Some((window, verifier));
            if self.position == segment_end {
                return self.read();
            }
        }
        let Some((window, verifier)) = &mut self.current else { return Err(absent) };
        let offset = self.position - base;
        match window.frame(offset)? {
            Found::Frame(view) if view.header.end() <= segment_end => {
                self.position = view.header.end();
                Ok(Some(Frame::new(&view, verifier.clone())))
            }
            Found::Frame(_) => {
                Err(self.segments.damage(base, offset, "the frame there runs into the next segment"))
            }
            Found::End => Err(self.segments.damage(base, offset, "the segment is cut short")),
            Found::Fault(fault) => Err(self.segments.damage(base, offset, fault.to_string())),
        }
    }
}

/// Opens a segment and reads its header; gives the position after it as well.
fn open(segments: &Segments, base: u64) -> Result<(Window, Arc<LogVerifier>, u64), ReadError> {
    let mut window = Window::open(&**segments.disk(), base)?;
    match window.header()? {
        Ok(header) => {
            let end = base + header.len();
            Ok((window, Arc::new(header.verifier), end))
        }
        Err(HeaderFault::Newer(version)) => {
            Err(ReadError::Newer { path: window.described().to_owned(), version })
        }
        Err(HeaderFault::Invalid(what)) => Err(segments.damage(base, 0, what)),
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}

/// Goes over an object's records from one of them back to its first. It ends after the first error.
#[derive(Debug)]
pub struct Lineage<'a> {
    segments: &'a Segments,
    next: Option<RecordPos>,
    /// The object, and the leaf that the next record must be before.
    bound: Option<(u32, u64)>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(segments: &'a Segments, head: RecordPos) -> Self {
        Self { segments, next: Some(head), bound: None }
    }

    fn read(&mut self, pos: RecordPos) -> Result<Record, ReadError> {
        let record = self.segments.record(pos)?;
        if self.bound.is_some_and(|(object, leaf)| record.object != object || record.leaf >= leaf) {
            let base = self.segments.span(pos.0).map_or(0, |(base, _)| base);
            return Err(self.segments.damage(
                base,
                pos.0 - base,
                "the record there is not the one the lineage names",
            ));
        }
        self.bound = Some((record.object, record.leaf));
        self.next = record.previous;
        Ok(record)
    }
}

impl Iterator for Lineage<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pos = self.next.take()?;
        Some(self.read(pos))
    }
}
