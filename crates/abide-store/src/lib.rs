//! The log of an Abide host: what it wrote, in what order, under a signed Merkle tree.
//!
//! [`Log`] is the single writer: it appends a commit as one frame with one checkpoint and one flush. [`LogReader`]
//! reads the same folder without a lock, also while a writer is at work. Records are opaque bytes here, with the hash
//! that the caller gave them; what they mean is not this crate's business. The format stands byte by byte in
//! `docs/formats/lineage.md`.
//!
//! Everything reaches the disk through the [`Disk`] port, of which there are three: [`FileDisk`], [`MemoryDisk`] and
//! [`FaultyDisk`], which tears, reorders and loses what was not flushed.
#![forbid(unsafe_code)]

mod blobs;
mod checkpoint;
mod disk;
mod error;
mod format;
mod log;
pub mod merkle;
mod read;
mod snapshot;
mod verify;

pub use blobs::Blobs;
pub use checkpoint::{Checkpoint, KeyId, LogSigner, LogVerifier, SignerError};
pub use disk::{
    Disk, DiskEntry, DiskFile, Faults, FaultyDisk, FileDisk, LockError, LockGuard, MemoryDisk, OpenMode,
};
pub use error::{AppendError, BlobError, Damage, DiskError, OpenError, ReadError, SnapshotError};
pub use format::{FORMAT_VERSION, FRAME_BYTES_MAX, OBJECTS_MAX, Position, RecordPos};
pub use log::{Commit, Entry, FlushJob, Flushed, Log, LogOptions, Recovery};
pub use merkle::Hash;
pub use read::{Frame, Frames, Lineage, LogReader, Record, RecordRef};
pub use snapshot::Snapshot;
pub use verify::{KeyUse, Problem, Verification};
