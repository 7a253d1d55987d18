//! A disk in memory, for tests and for hosts that keep nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Disk, DiskEntry, DiskFile, LockError, LockGuard, OpenMode, name_in, parent, read_from, write_into,
};

/// A folder tree in memory. Clones share it; everything in it counts as durable.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    dirs: BTreeSet<String>,
    files: BTreeMap<String, MemoryFile>,
    locks: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct MemoryFile {
    content: Arc<Mutex<Vec<u8>>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn describe(&self, path: &str) -> String {
        format!("memory:{path}")
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut tree = self.tree();
        let mut dir = path;
        while !dir.is_empty() {
            tree.dirs.insert(dir.to_owned());
            dir = parent(dir);
        }
        Ok(())
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut tree = self.tree();
        let found = tree.files.get(path).cloned();
        let file = match (found, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), OpenMode::Read | OpenMode::Write) => file,
            (Some(file), OpenMode::Replace) => {
                file.content().clear();
                file
            }
            (None, OpenMode::CreateNew | OpenMode::Replace) => {
                tree.must_have_dir(parent(path))?;
                tree.files.entry(path.to_owned()).or_default().clone()
            }
        };
        Ok(Arc::new(file))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>> {
        let tree = self.tree();
        tree.must_have_dir(dir)?;
        let named = tree.files.iter().filter_map(|(path, file)| Some((name_in(path, dir)?, file)));
        Ok(named
            .map(|(name, file)| DiskEntry { name: name.to_owned(), len: file.content().len() as u64 })
            .collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut tree = self.tree();
        tree.must_have_dir(parent(to))?;
        let file = tree.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        tree.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.tree().files.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.tree().must_have_dir(dir)
    }

    fn lock(&self, path: &str) -> Result<LockGuard, LockError> {
        if !self.tree().locks.insert(path.to_owned()) {
            return Err(LockError::Held { pid: Some(std::process::id()) });
        }
        Ok(LockGuard::new(Held { disk: self.clone(), path: path.to_owned() }))
    }
}

impl Tree {
    fn must_have_dir(&self, dir: &str) -> io::Result<()> {
        if dir.is_empty() || self.dirs.contains(dir) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

#[derive(Debug)]
struct Held {
    disk: MemoryDisk,
    path: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.tree().locks.remove(&self.path);
    }
}

impl MemoryFile {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryFile {
    /// The length alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.content().len())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read_from(&self.content(), offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_into(&mut self.content(), offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.content().resize(len, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content().len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
