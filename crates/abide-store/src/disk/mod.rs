//! The storage port: what the log asks of a disk, and the three disks that answer.
//!
//! Paths are relative to the data folder, with `/` between their parts. Nothing is durable before it is flushed: the
//! bytes of a file by [`DiskFile::sync_data`], the names in a folder by [`Disk::sync_dir`].

mod faulty;
mod file;
mod memory;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use faulty::{Faults, FaultyDisk};
pub use file::FileDisk;
pub use memory::MemoryDisk;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; the file must not exist.
    CreateNew,
    /// For reading and writing; an existing file is emptied.
    Replace,
}

/// A file in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    /// The name within its folder.
    pub name: String,
    /// The length in bytes.
    pub len: u64,
}

/// A folder tree that can be made durable.
pub trait Disk: Send + Sync + fmt::Debug {
    /// How people name `path`: for messages only.
    fn describe(&self, path: &str) -> String;

    /// Creates a folder and those above it, for the owner's eyes only. It is no error if it exists.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` and `AlreadyExists` as `mode` demands, or whatever else the disk says.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// The files of a folder in order of their names, without the folders in it.
    ///
    /// # Errors
    /// `NotFound` if there is no such folder, or whatever else the disk says.
    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>>;

    /// Gives a file another name, atomically; a file of that name is replaced.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, or whatever else the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, or whatever else the disk says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable: files created, renamed and removed.
    ///
    /// # Errors
    /// Whatever the disk says. What was not durable before may be lost for good.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Takes the lock file at `path` for this process until the guard is dropped, and writes the process number in it.
    ///
    /// # Errors
    /// [`LockError::Held`] if another holder has it.
    fn lock(&self, path: &str) -> Result<LockGuard, LockError>;
}

/// An open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to the length of `buffer` from `offset`; fewer bytes than that only where the file ends.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; a gap before it reads as zeros.
    ///
    /// # Errors
    /// Whatever the disk says; a part of the bytes may then be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn size(&self) -> io::Result<u64>;

    /// Makes the file's bytes and its length durable.
    ///
    /// # Errors
    /// Whatever the disk says. What was not durable before may then be lost for good, also when a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another holder has it.
    #[error("the lock is held{}", pid.map_or_else(String::new, |pid| format!(" by process {pid}")))]
    Held {
        /// The holder's process number, if the lock file told it.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub struct LockGuard {
    #[expect(dead_code, reason = "it is held only to be dropped, which releases the lock")]
    held: Box<dyn fmt::Debug + Send + Sync>,
}

impl LockGuard {
    /// A guard that releases its lock by dropping `held`.
    #[must_use]
    pub fn new(held: impl fmt::Debug + Send + Sync + 'static) -> Self {
        Self { held: Box::new(held) }
    }
}

/// The folder that holds `path`: empty for the data folder itself.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The name of `path` within `dir`, if it is directly in it.
fn name_in<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    let name = if dir.is_empty() { path } else { path.strip_prefix(dir)?.strip_prefix('/')? };
    (!name.contains('/')).then_some(name)
}

/// Copies what of `content` lies from `offset` into `buffer`.
fn read_from(content: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|start| content.get(start..)).unwrap_or_default();
    let len = rest.len().min(buffer.len());
    if let (Some(into), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
        into.copy_from_slice(from);
    }
    len
}

/// Overwrites and extends `content` from `offset`, with zeros in a gap.
fn write_into(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(into) = content.get_mut(start..end) {
        into.copy_from_slice(bytes);
    }
    Ok(())
}
