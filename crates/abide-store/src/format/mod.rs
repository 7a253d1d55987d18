//! The bytes on the disk: what `docs/formats/lineage.md` says of segments and frames, and nothing else.

mod fields;
mod frame;
mod segment;

use std::fmt;

pub(crate) use fields::Fields;
pub(crate) use frame::{
    CommitFields, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameBuffer, FrameFault, FrameHeader, FrameRecords,
    FrameView, RECORD_HEADER_BYTES, RecordHeader,
};
pub(crate) use segment::{HeaderFault, SEGMENT_HEADER_BYTES_MAX, SegmentHeader};

/// The version of the format that this program writes, and the highest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The most bytes a frame may have.
pub const FRAME_BYTES_MAX: u32 = 1 << 30;

/// The most objects a store may hold: their numbers are below this.
pub const OBJECTS_MAX: u32 = 1 << 24;

/// Frames start and end at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;

/// The folder of the segments.
pub(crate) const LOG_DIR: &str = "log";
/// The folder of the snapshots.
pub(crate) const SNAPSHOT_DIR: &str = "snapshots";
/// The folder of the blobs.
pub(crate) const BLOB_DIR: &str = "blobs";
/// The lock file of the writer.
pub(crate) const LOCK_FILE: &str = "lock";
/// What the names of files end with that are not finished.
pub(crate) const TEMPORARY: &str = ".tmp";

/// A place between frames: the bytes of all segments before it, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Where a record starts, counted as a [`Position`] is. Never 0: a segment header is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPos(pub u64);

impl Position {
    /// Where the log starts.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RecordPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl RecordPos {
    /// The position a file holds, where 0 stands for none.
    pub(crate) fn from_stored(stored: u64) -> Option<Self> {
        (stored != 0).then_some(Self(stored))
    }
}

/// The path of the segment that starts at `base`.
pub(crate) fn segment_path(base: u64) -> String {
    format!("{LOG_DIR}/{base:020}.seg")
}

/// The path of the snapshot that stands for the log up to `position`.
pub(crate) fn snapshot_path(position: Position) -> String {
    format!("{SNAPSHOT_DIR}/{:020}.snap", position.0)
}

/// The number in the name of a segment (`seg`) or a snapshot (`snap`), if it is such a name.
pub(crate) fn number_in(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    (digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)?.parse().ok()
}
