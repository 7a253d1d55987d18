//! Folders of the host as containers, and files in them as objects.
//!
//! Whatever is opened is opened in the folder that it is in, by the name of a file alone and never over a symbolic link: nothing that a
//! component says leads out of its [`Root`]. What others put there is left alone where it is no object.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::fs::{self, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tokio::runtime::Handle;

use super::names;
use crate::link::Config;

/// The configuration that names the folder.
const ROOT: &str = "root";
/// The folder of objects that are being written. No container has this name.
const NEW: &str = ".new";
/// Most bytes of an object.
const OBJECT_MAX: u64 = 1 << 30;
/// Bytes that are read at once.
const CHUNK: u64 = 256 << 10;
/// How often a container is cleared that is written to while it is deleted.
const CLEARS_MAX: usize = 3;

const FOLDER_MODE: u32 = 0o700;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without waiting for what is no file.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const WRITE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// What came of it, or why not, for whoever mends it.
pub(super) type Done<T> = Result<T, String>;

fn failed(what: &str) -> impl Fn(Errno) -> String {
    move |error| format!("{what}: {error}")
}

/// The folders of a host.
pub(crate) struct Blobs {
    /// What the folders are in that nothing else is said of.
    home: PathBuf,
    /// The folders in which leftovers were looked for.
    swept: Mutex<BTreeSet<PathBuf>>,
}

impl Blobs {
    pub(crate) fn new(home: PathBuf) -> Self {
        Self { home, swept: Mutex::default() }
    }

    /// Where a provider keeps its containers: in the folder that it is configured with, or in one of its own.
    ///
    /// # Errors
    /// When the configuration names a folder over `..`.
    pub(crate) fn place(&self, provider: &str, config: &Config) -> Done<PathBuf> {
        let Some(root) = config.get(ROOT) else {
            return Ok(self.home.join(names::encode(provider)?));
        };
        let path = Path::new(root);
        if root.is_empty() || path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("`{ROOT}` is the path of a folder without `..`, and not `{root}`"));
        }
        Ok(self.home.join(path))
    }

    /// Opens a folder, and makes it where there is none.
    pub(super) fn open(&self, place: &Path) -> Done<Root> {
        let shown = place.display();
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(place)
            .map_err(|error| format!("the folder `{shown}` cannot be made: {error}"))?;
        // It may be a link: whoever configured it chose it.
        let folder = fs::open(place, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty())
            .map_err(failed(&format!("the folder `{shown}` cannot be opened")))?;
        let root = Root { folder, place: place.to_owned() };
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.insert(place.to_owned()) {
            root.sweep();
        }
        Ok(root)
    }
}

/// A folder of containers.
pub(super) struct Root {
    folder: OwnedFd,
    place: PathBuf,
}

impl Root {
    pub(super) fn create(&self, name: &str) -> Done<()> {
        let what = format!("the container `{name}` cannot be made");
        match fs::mkdirat(&self.folder, names::encode(name)?, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => fs::fsync(&self.folder).map_err(failed(&what)),
            Err(Errno::EXIST) => self.container(name).map(drop),
            Err(error) => Err(failed(&what)(error)),
        }
    }

    pub(super) fn container(&self, name: &str) -> Done<Container> {
        let opened = fs::openat(&self.folder, names::encode(name)?, FOLDER, Mode::empty());
        let folder = opened.map_err(|error| match error {
            Errno::NOENT => format!("there is no container `{name}`"),
            Errno::LOOP | Errno::NOTDIR => {
                format!("the container `{name}` is no folder on the host, but a file or a link")
            }
            error => failed(&format!("the container `{name}` cannot be opened"))(error),
        })?;
        Ok(Container { folder, name: name.to_owned() })
    }

    pub(super) fn has(&self, name: &str) -> Done<bool> {
        match fs::statat(&self.folder, names::encode(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(FileType::from_raw_mode(found.st_mode).is_dir()),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed(&format!("the container `{name}` cannot be looked for"))(error)),
        }
    }

    pub(super) fn delete(&self, name: &str) -> Done<()> {
        let container = self.container(name)?;
        let what = format!("the container `{name}` cannot be deleted");
        for _ in 0..CLEARS_MAX {
            container.clear()?;
            match fs::unlinkat(&self.folder, names::encode(name)?, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Ok(()) | Err(Errno::NOENT) => return fs::fsync(&self.folder).map_err(failed(&what)),
                Err(error) => return Err(failed(&what)(error)),
            }
        }
        Err(format!(
            "{what}: it is being written to, or holds what is no object; look into `{}` on the host",
            self.place.display()
        ))
    }

    /// A file for an object that is to be written.
    pub(super) fn draft(&self) -> Done<Draft> {
        Ok(Draft { temporary: Temporary::new(self).map_err(failed("nothing can be written"))?, size: 0 })
    }

    pub(super) fn copy(&self, (container, object): (&str, &str), (to, new): (&str, &str)) -> Done<()> {
        let (mut from, metadata) = self.container(container)?.file(object)?;
        let target = self.container(to)?;
        names::encode(new)?;
        if metadata.len() > OBJECT_MAX {
            return Err(too_large());
        }
        let mut draft = self.draft()?;
        draft.size = io::copy(&mut from, draft.temporary.file()?)
            .map_err(|error| format!("`{object}` cannot be copied: {error}"))?;
        target.put(draft, new)
    }

    pub(super) fn rename(&self, (container, object): (&str, &str), (to, new): (&str, &str)) -> Done<()> {
        let source = self.container(container)?;
        source.file(object)?;
        let target = self.container(to)?;
        let moved = fs::renameat(&source.folder, names::encode(object)?, &target.folder, names::encode(new)?);
        let what = format!("`{object}` cannot be moved");
        moved
            .and_then(|()| fs::fsync(&target.folder))
            .and_then(|()| fs::fsync(&source.folder))
            .map_err(failed(&what))
    }

    fn new_folder(&self, make: bool) -> rustix::io::Result<OwnedFd> {
        match fs::openat(&self.folder, NEW, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if make => {
                match fs::mkdirat(&self.folder, NEW, Mode::from_raw_mode(FOLDER_MODE)) {
                    Ok(()) | Err(Errno::EXIST) => fs::openat(&self.folder, NEW, FOLDER, Mode::empty()),
                    Err(error) => Err(error),
                }
            }
            opened => opened,
        }
    }

    /// Removes what a host that ended at once has left: what nobody holds.
    fn sweep(&self) {
        let Ok(folder) = self.new_folder(false) else { return };
        let Ok(mut entries) = Dir::read_from(&folder) else { return };
        while let Some(Ok(entry)) = entries.read() {
            let name = entry.file_name();
            if let Ok(file) = fs::openat(&folder, name, READ, Mode::empty())
                && fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                let _ = fs::unlinkat(&folder, name, AtFlags::empty());
            }
        }
    }
}

/// A folder of objects.
#[derive(Debug)]
pub(super) struct Container {
    folder: OwnedFd,
    name: String,
}

impl Container {
    pub(super) fn created_at(&self) -> Done<u64> {
        let folder = self.folder.try_clone().map(File::from);
        let metadata = folder.and_then(|folder| folder.metadata());
        metadata
            .map(|metadata| created_at(&metadata))
            .map_err(|error| format!("container `{}`: {error}", self.name))
    }

    fn file(&self, object: &str) -> Done<(File, Metadata)> {
        let what = || format!("`{object}` in the container `{}`", self.name);
        let opened = fs::openat(&self.folder, names::encode(object)?, READ, Mode::empty());
        let file = File::from(opened.map_err(|error| match error {
            Errno::NOENT => format!("there is no object {}", what()),
            Errno::LOOP => format!("{} is no file on the host, but a link", what()),
            error => format!("{} cannot be opened: {error}", what()),
        })?);
        let metadata = file.metadata().map_err(|error| format!("{}: {error}", what()))?;
        if !metadata.is_file() {
            return Err(format!("{} is no file on the host", what()));
        }
        Ok((file, metadata))
    }

    pub(super) fn has(&self, object: &str) -> Done<bool> {
        match fs::statat(&self.folder, names::encode(object)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(FileType::from_raw_mode(found.st_mode).is_file()),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed(&format!("`{object}` cannot be looked for"))(error)),
        }
    }

    /// When an object was written, and its size.
    pub(super) fn info(&self, object: &str) -> Done<(u64, u64)> {
        let (_, metadata) = self.file(object)?;
        Ok((created_at(&metadata), metadata.len()))
    }

    /// An object from one byte to another, both included, as far as it goes.
    pub(super) fn part(&self, object: &str, start: u64, end: u64) -> Done<Part> {
        if start > end {
            return Err(format!("the range from {start} to {end} ends before it begins"));
        }
        let (mut file, metadata) = self.file(object)?;
        let start = start.min(metadata.len());
        let left = end.saturating_add(1).min(metadata.len()) - start;
        file.seek(SeekFrom::Start(start)).map_err(|error| format!("`{object}` cannot be read: {error}"))?;
        Ok(Part { file, left })
    }

    /// Has an object be what was written.
    pub(super) fn put(&self, mut draft: Draft, object: &str) -> Done<()> {
        let file = names::encode(object)?;
        let what = format!("`{object}` cannot be written to the container `{}`", self.name);
        let Some(made) = draft.temporary.0.as_mut() else { return Err(what) };
        fs::fsync(&made.file).map_err(failed(&what))?;
        fs::renameat(&made.folder, &made.name, &self.folder, file).map_err(|error| match error {
            Errno::NOENT => format!("there is no container `{}` any more", self.name),
            error => failed(&what)(error),
        })?;
        made.is_kept = true;
        self.sync()
    }

    pub(super) fn delete(&self, objects: &[String]) -> Done<()> {
        objects.iter().try_for_each(|object| self.unlink(object))?;
        self.sync()
    }

    pub(super) fn clear(&self) -> Done<()> {
        let mut names = self.names()?;
        while let Some(object) = names.next()? {
            self.unlink(&object)?;
        }
        self.sync()
    }

    fn unlink(&self, object: &str) -> Done<()> {
        match fs::unlinkat(&self.folder, names::encode(object)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(&format!("`{object}` cannot be deleted"))(error)),
        }
    }

    fn sync(&self) -> Done<()> {
        fs::fsync(&self.folder)
            .map_err(failed(&format!("the container `{}` is perhaps not on the disk as it is", self.name)))
    }

    pub(super) fn names(&self) -> Done<Names> {
        let what = format!("the container `{}` cannot be listed", self.name);
        let folder = Dir::read_from(&self.folder).map_err(failed(&what))?;
        let mut names = Names { folder, ahead: None, what };
        names.ahead = names.find()?;
        Ok(names)
    }
}

/// When what is there was made, or changed where that is not known: in seconds.
fn created_at(metadata: &Metadata) -> u64 {
    let time = metadata.created().or_else(|_| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The names of objects, as they are read from their folder.
pub(super) struct Names {
    folder: Dir,
    ahead: Option<String>,
    what: String,
}

impl Names {
    /// The next ones, as many as asked for, and whether they were the last.
    pub(super) fn page(&mut self, count: u64) -> Done<(Vec<String>, bool)> {
        let mut names = Vec::new();
        for _ in 0..count {
            match self.next()? {
                Some(name) => names.push(name),
                None => break,
            }
        }
        Ok((names, self.ahead.is_none()))
    }

    /// How many were left out of as many as asked for, and whether they were the last.
    pub(super) fn skip(&mut self, count: u64) -> Done<(u64, bool)> {
        let mut skipped = 0;
        while skipped < count && self.next()?.is_some() {
            skipped += 1;
        }
        Ok((skipped, self.ahead.is_none()))
    }

    fn next(&mut self) -> Done<Option<String>> {
        if self.ahead.is_none() {
            return Ok(None);
        }
        let found = self.find()?;
        Ok(std::mem::replace(&mut self.ahead, found))
    }

    fn find(&mut self) -> Done<Option<String>> {
        while let Some(entry) = self.folder.read() {
            let entry = entry.map_err(failed(&self.what))?;
            let Some(name) = entry.file_name().to_str().ok().and_then(names::decode) else { continue };
            let is_file = match entry.file_type() {
                FileType::Unknown => {
                    let folder = self.folder.fd().map_err(failed(&self.what))?;
                    let found = fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
                }
                known => known.is_file(),
            };
            if is_file {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// What of an object is to be read yet.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    left: u64,
}

impl Part {
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes; none at the end.
    pub(super) fn read(&mut self) -> io::Result<Bytes> {
        self.take(self.left.min(CHUNK)).map(Into::into)
    }

    /// All that is left.
    pub(super) fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.take(self.left)
    }

    fn take(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        self.file.read_exact(&mut bytes)?;
        self.left -= count;
        Ok(bytes)
    }
}

/// An object that is being written. It leaves no trace where it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    temporary: Temporary,
    size: u64,
}

impl Draft {
    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Done<()> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(self.size);
        if size > OBJECT_MAX {
            return Err(too_large());
        }
        io::Write::write_all(self.temporary.file()?, bytes)
            .map_err(|error| format!("the object cannot be written: {error}"))?;
        self.size = size;
        Ok(())
    }
}

fn too_large() -> String {
    format!("an object has at most {} MiB", OBJECT_MAX >> 20)
}

/// A file that is gone with this, which a thread that may wait sees to.
#[derive(Debug)]
struct Temporary(Option<Made>);

#[derive(Debug)]
struct Made {
    folder: OwnedFd,
    name: String,
    /// Locked, so that nobody takes it for a leftover.
    file: File,
    is_kept: bool,
}

impl Temporary {
    fn new(root: &Root) -> rustix::io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = root.new_folder(true)?;
        loop {
            let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let file = match fs::openat(&folder, &name, WRITE, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error),
            };
            // Another host may have come in between and taken it for a leftover.
            let is_ours = fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
                != Err(Errno::WOULDBLOCK)
                && file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
            if is_ours {
                return Ok(Self(Some(Made { folder, name, file, is_kept: false })));
            }
        }
    }

    fn file(&mut self) -> Done<&mut File> {
        self.0.as_mut().map(|made| &mut made.file).ok_or_else(|| "the host failed".to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(made) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn_blocking(move || drop(made)));
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::unlinkat(&self.folder, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests;
