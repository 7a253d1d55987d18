//! The real disk: a folder of the file system, kept to its owner.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskEntry, DiskFile, LockError, LockGuard, OpenMode};

/// The owner may read, write and enter; nobody else may anything.
const DIR_MODE: u32 = 0o700;
/// The owner may read and write; nobody else may anything.
const FILE_MODE: u32 = 0o600;

/// A data folder of the file system.
#[derive(Clone, Debug)]
pub struct FileDisk {
    root: PathBuf,
}

impl FileDisk {
    /// The disk whose data folder is `root`. Nothing is read or created yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The data folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Disk for FileDisk {
    fn describe(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let full = self.path(path);
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(&full)?;
        // The folder may have been there before, open to others.
        fs::set_permissions(&full, Permissions::from_mode(DIR_MODE))
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = options(mode).open(self.path(path))?;
        Ok(Arc::new(file))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.path(dir))? {
            let entry = entry?;
            // A reader lists while a writer replaces temporary files: one that is gone again is not there.
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
                entries.push(DiskEntry { name, len: meta.len() });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir))?.sync_all()?;
        // The data folder's own name is in a folder that may not be ours to flush.
        match self.root.parent().filter(|parent| dir.is_empty() && !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent).map_or(Ok(()), |parent| parent.sync_all()),
            None => Ok(()),
        }
    }

    fn lock(&self, path: &str) -> Result<LockGuard, LockError> {
        let options = &mut OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = options.open(self.path(path))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
                Ok(LockGuard::new(file))
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Held { pid: holder(&mut file) }),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

fn options(mode: OpenMode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).mode(FILE_MODE);
    match mode {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::CreateNew => options.write(true).create_new(true),
        OpenMode::Replace => options.write(true).create(true).truncate(true),
    };
    options
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }
}
