//! Bringing one commit to the disk: one write and one flush, on whatever thread.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::DiskError;
use crate::format::{FrameBuffer, LOG_DIR, segment_path};

/// A commit in memory.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) buffer: FrameBuffer,
    /// The base of the segment it goes to.
    pub(super) base: u64,
    /// Where its frame ends.
    pub(super) end: u64,
    pub(super) checkpoint: Checkpoint,
    pub(super) target: Target,
}

/// Where a commit is written.
#[derive(Debug)]
pub(super) enum Target {
    /// At an offset of the segment that is open.
    Open { file: Arc<dyn DiskFile>, offset: u64 },
    /// In a segment of its own.
    New,
}

/// The work of writing a commit. It borrows nothing, so that any thread can do it.
///
/// A job that is dropped instead of run leaves its commit on its way for ever: the log takes no more.
#[derive(Debug)]
#[must_use = "the commit is not durable before the job is run and its outcome handed back"]
pub struct FlushJob {
    disk: Arc<dyn Disk>,
    staged: Staged,
}

/// The outcome of a [`FlushJob`], to be handed back to its log.
#[derive(Debug)]
#[must_use = "the log waits for the outcome"]
pub struct Flushed {
    staged: Staged,
    /// The file of a new segment.
    written: Result<Option<Arc<dyn DiskFile>>, DiskError>,
}

impl FlushJob {
    pub(super) fn new(disk: Arc<dyn Disk>, staged: Staged) -> Self {
        Self { disk, staged }
    }

    /// Writes the commit and waits until it is durable.
    pub fn run(self) -> Flushed {
        let written = write(&*self.disk, &self.staged);
        Flushed { staged: self.staged, written }
    }
}

impl Flushed {
    pub(super) fn into_parts(self) -> (Staged, Result<Option<Arc<dyn DiskFile>>, DiskError>) {
        (self.staged, self.written)
    }
}

fn write(disk: &dyn Disk, staged: &Staged) -> Result<Option<Arc<dyn DiskFile>>, DiskError> {
    let path = segment_path(staged.base);
    let bytes = staged.buffer.bytes();
    let at = |operation, offset| DiskError::at(operation, disk, &path, offset);
    match &staged.target {
        Target::Open { file, offset } => {
            file.write_at(*offset, bytes).map_err(at("write", Some(*offset)))?;
            file.sync_data().map_err(at("flush", None))?;
            Ok(None)
        }
        Target::New => {
            let file = disk.open(&path, OpenMode::CreateNew).map_err(at("create", None))?;
            file.write_at(0, bytes).map_err(at("write", Some(0)))?;
            file.sync_data().map_err(at("flush", None))?;
            disk.sync_dir(LOG_DIR).map_err(DiskError::at("flush", disk, LOG_DIR, None))?;
            Ok(Some(file))
        }
    }
}
