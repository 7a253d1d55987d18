//! A frame: the records of one commit, and the signed root of the tree that they complete.

use std::fmt;

use crate::checkpoint::KeyId;
use crate::merkle::Hash;

use super::{ALIGNMENT, FRAME_BYTES_MAX, Fields, OBJECTS_MAX, RecordPos};

/// What every frame starts with.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"AbFr";
/// Magic and checksum: what stands before the bytes that the checksum covers.
const UNCOVERED_BYTES: usize = 8;
/// The length of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 56;
/// Where the header has bytes to spare, which are zero.
const RESERVED: std::ops::Range<usize> = 52..56;
/// The length of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;
/// The root and its signature.
const TRAILER_BYTES: usize = 96;
const FRAME_BYTES_MIN: usize = FRAME_HEADER_BYTES + TRAILER_BYTES;

/// The fields at the start of a frame, after its magic and its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The length of the whole frame.
    pub(crate) len: u32,
    /// The number of records.
    pub(crate) records: u32,
    /// The frame's position in the log.
    pub(crate) position: u64,
    /// The index of its first record.
    pub(crate) first_leaf: u64,
    pub(crate) tick: u64,
    pub(crate) time: i64,
    pub(crate) key_id: KeyId,
}

/// The fields before a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// The record's index in the tree.
    pub(crate) leaf: u64,
    /// The same object's record before it.
    pub(crate) previous: Option<RecordPos>,
    pub(crate) object: u32,
    /// The length of the record's bytes.
    pub(crate) len: u32,
}

/// A frame whose checksum and structure are sound.
#[derive(Clone, Debug)]
pub(crate) struct FrameView<'a> {
    pub(crate) header: FrameHeader,
    pub(crate) root: Hash,
    pub(crate) signature: [u8; 64],
    records: &'a [u8],
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    Magic,
    /// The frame would need this many bytes in all, and there are fewer.
    Short(u64),
    Length,
    Checksum,
    Position,
    Structure,
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "no frame starts there",
            Self::Short(_) => "the frame there is cut short",
            Self::Length => "the frame there states a length that cannot be",
            Self::Checksum => "the frame there does not have its checksum",
            Self::Position => "the frame there belongs elsewhere",
            Self::Structure => "the frame there holds what no writer writes",
        })
    }
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`. Nothing is known yet of the bytes that follow.
    pub(crate) fn parse(bytes: &[u8], position: u64) -> Result<Self, FrameFault> {
        let mut fields = Fields::new(bytes);
        if fields.array() != Some(FRAME_MAGIC) {
            let begins = FRAME_MAGIC.starts_with(bytes.get(..FRAME_MAGIC.len()).unwrap_or(bytes));
            return Err(if begins { FrameFault::Short(FRAME_BYTES_MIN as u64) } else { FrameFault::Magic });
        }
        let header = Self::fields(fields).ok_or(FrameFault::Short(FRAME_BYTES_MIN as u64))?;
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        if !(FRAME_BYTES_MIN..=usize::try_from(FRAME_BYTES_MAX).unwrap_or(usize::MAX)).contains(&len)
            || u64::from(header.len) % ALIGNMENT != 0
        {
            return Err(FrameFault::Length);
        }
        if header.position != position {
            return Err(FrameFault::Position);
        }
        // No log comes near this many records; below it, sums of indices cannot overflow.
        if header.first_leaf > u64::MAX / 2 || bytes.get(RESERVED) != Some(&[0; 4]) {
            return Err(FrameFault::Structure);
        }
        Ok(header)
    }

    fn fields(mut fields: Fields<'_>) -> Option<Self> {
        let _checksum = fields.u32()?;
        let header = Self {
            len: fields.u32()?,
            records: fields.u32()?,
            position: fields.u64()?,
            first_leaf: fields.u64()?,
            tick: fields.u64()?,
            time: fields.i64()?,
            key_id: KeyId(fields.array()?),
        };
        fields.u32()?;
        Some(header)
    }

    /// Where the frame ends.
    pub(crate) fn end(&self) -> u64 {
        self.position + u64::from(self.len)
    }
}

impl<'a> FrameView<'a> {
    /// Reads and checks the frame at the start of `bytes`, which may go on after it. What it says of the tree is not
    /// checked here.
    pub(crate) fn parse(bytes: &'a [u8], position: u64) -> Result<Self, FrameFault> {
        let header = FrameHeader::parse(bytes, position)?;
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let frame = bytes.get(..len).ok_or(FrameFault::Short(u64::from(header.len)))?;
        let view = Self::split(header, frame).ok_or(FrameFault::Checksum)?;
        if view.is_sound() { Ok(view) } else { Err(FrameFault::Structure) }
    }

    /// `None` if the frame does not have its checksum.
    fn split(header: FrameHeader, frame: &'a [u8]) -> Option<Self> {
        let (uncovered, covered) = frame.split_at_checked(UNCOVERED_BYTES)?;
        let (_, checksum) = uncovered.split_last_chunk()?;
        if crc32fast::hash(covered) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (_, body) = frame.split_at_checked(FRAME_HEADER_BYTES)?;
        let (body, signature) = body.split_last_chunk()?;
        let (records, root) = body.split_last_chunk()?;
        Some(Self { header, root: *root, signature: *signature, records })
    }

    /// Whether the records fill the frame as they should. A sound checksum over anything else is not chance.
    fn is_sound(&self) -> bool {
        let mut records = self.records();
        let mut leaf = self.header.first_leaf;
        for (pos, record, _) in records.by_ref() {
            let back = record.previous.is_none_or(|previous| previous < pos);
            if record.leaf != leaf || record.object >= OBJECTS_MAX || !back {
                return false;
            }
            leaf += 1;
        }
        let padding = records.fields.rest();
        leaf - self.header.first_leaf == u64::from(self.header.records)
            && (padding.len() as u64) < ALIGNMENT
            && padding.iter().all(|byte| *byte == 0)
    }

    /// The number of records in the tree with this frame.
    pub(crate) fn size(&self) -> u64 {
        self.header.first_leaf.saturating_add(u64::from(self.header.records))
    }

    /// The records: where each starts, its header and its bytes.
    pub(crate) fn records(&self) -> FrameRecords<'a> {
        FrameRecords::new(&self.header, self.records)
    }

    /// The bytes of all records, with their headers and the padding after them.
    pub(crate) fn record_bytes(&self) -> &'a [u8] {
        self.records
    }
}

/// Goes over the records of a frame.
#[derive(Clone, Debug)]
pub(crate) struct FrameRecords<'a> {
    fields: Fields<'a>,
    at: u64,
    left: u32,
}

impl<'a> FrameRecords<'a> {
    /// Goes over `bytes`, which are the [`FrameView::record_bytes`] of the frame with this header.
    pub(crate) fn new(header: &FrameHeader, bytes: &'a [u8]) -> Self {
        let at = header.position + FRAME_HEADER_BYTES as u64;
        Self { fields: Fields::new(bytes), at, left: header.records }
    }
}

impl<'a> Iterator for FrameRecords<'a> {
    type Item = (RecordPos, RecordHeader, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pos = RecordPos(self.at);
        let header = RecordHeader::parse(&mut self.fields)?;
        let bytes = self.fields.bytes(usize::try_from(header.len).ok()?)?;
        self.at += RECORD_HEADER_BYTES as u64 + u64::from(header.len);
        Some((pos, header, bytes))
    }
}

impl RecordHeader {
    pub(crate) fn parse(fields: &mut Fields<'_>) -> Option<Self> {
        let (leaf, previous) = (fields.u64()?, RecordPos::from_stored(fields.u64()?));
        Some(Self { leaf, previous, object: fields.u32()?, len: fields.u32()? })
    }

    fn encode(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut out = [0; RECORD_HEADER_BYTES];
        let (leaf, rest) = out.split_at_mut(8);
        let (previous, rest) = rest.split_at_mut(8);
        let (object, len) = rest.split_at_mut(4);
        leaf.copy_from_slice(&self.leaf.to_le_bytes());
        previous.copy_from_slice(&self.previous.map_or(0, |previous| previous.0).to_le_bytes());
        object.copy_from_slice(&self.object.to_le_bytes());
        len.copy_from_slice(&self.len.to_le_bytes());
        out
    }
}

/// A frame in the making, behind the segment header if it opens one: what one write brings to the disk.
#[derive(Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    /// Where the frame starts in `bytes`.
    start: usize,
    position: u64,
    records: u32,
}

impl fmt::Debug for FrameBuffer {
    /// Its measures, without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records in {} bytes at position {}", self.records, self.bytes.len(), self.position)
    }
}

impl FrameBuffer {
    /// Starts a frame at `position`, after what `prefix` writes; the memory of an earlier frame is used again.
    pub(crate) fn begin(&mut self, position: u64, prefix: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        prefix(&mut self.bytes);
        self.start = self.bytes.len();
        self.position = position;
        self.records = 0;
        self.bytes.resize(self.start + FRAME_HEADER_BYTES, 0);
    }

    /// Where the next record will start.
    pub(crate) fn next_record(&self) -> RecordPos {
        RecordPos(self.position + self.frame_len())
    }

    /// Appends a record, or says that the frame would be too large.
    pub(crate) fn push(&mut self, header: &RecordHeader, bytes: &[u8]) -> Option<()> {
        let records_max = u64::from(FRAME_BYTES_MAX) - TRAILER_BYTES as u64 - ALIGNMENT;
        let len = self.frame_len() + RECORD_HEADER_BYTES as u64 + bytes.len() as u64;
        if len > records_max {
            return None;
        }
        self.bytes.extend_from_slice(&header.encode());
        self.bytes.extend_from_slice(bytes);
        self.records += 1;
        Some(())
    }

    /// The records appended so far, their positions and headers.
    pub(crate) fn records(&self) -> impl Iterator<Item = (RecordPos, RecordHeader)> {
        let body = self.bytes.get(self.start + FRAME_HEADER_BYTES..).unwrap_or_default();
        let at = self.position + FRAME_HEADER_BYTES as u64;
        let records = FrameRecords { fields: Fields::new(body), at, left: self.records };
        records.map(|(pos, header, _)| (pos, header))
    }

    /// Closes the frame with the root and its signature, and gives its header.
    pub(crate) fn finish(&mut self, commit: &CommitFields, root: &Hash, signature: &[u8; 64]) -> FrameHeader {
        self.bytes.resize(self.start + (self.bytes.len() - self.start).next_multiple_of(8), 0);
        self.bytes.extend_from_slice(root);
        self.bytes.extend_from_slice(signature);
        let header = FrameHeader {
            len: u32::try_from(self.frame_len()).unwrap_or(u32::MAX),
            records: self.records,
            position: self.position,
            first_leaf: commit.first_leaf,
            tick: commit.tick,
            time: commit.time,
            key_id: commit.key_id,
        };
        self.write_header(&header);
        header
    }

    /// The bytes to write.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn frame_len(&self) -> u64 {
        (self.bytes.len() - self.start) as u64
    }

    fn write_header(&mut self, header: &FrameHeader) {
        let Some(frame) = self.bytes.get_mut(self.start..) else { return };
        if let Some((fixed, _)) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>() {
            *fixed = header.encode();
        }
        let checksum = crc32fast::hash(frame.get(UNCOVERED_BYTES..).unwrap_or_default());
        if let Some(field) = frame.get_mut(4..UNCOVERED_BYTES) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

/// What a commit says of itself, beside its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitFields {
    pub(crate) first_leaf: u64,
    pub(crate) tick: u64,
    pub(crate) time: i64,
    pub(crate) key_id: KeyId,
}

impl FrameHeader {
    /// The header with its checksum left open.
    fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let fields: [&[u8]; 10] = [
            &FRAME_MAGIC,
            &[0; 4],
            &self.len.to_le_bytes(),
            &self.records.to_le_bytes(),
            &self.position.to_le_bytes(),
            &self.first_leaf.to_le_bytes(),
            &self.tick.to_le_bytes(),
            &self.time.to_le_bytes(),
            &self.key_id.0,
            &[0; 4],
        ];
        let mut out = [0; FRAME_HEADER_BYTES];
        let mut rest = out.as_mut_slice();
        for field in fields {
            let Some((into, after)) = rest.split_at_mut_checked(field.len()) else { break };
            into.copy_from_slice(field);
            rest = after;
        }
        out
    }
}
