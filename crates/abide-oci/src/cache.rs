//! The cache: blobs by their digests, and a small file for each reference that is no digest itself.
//!
//! ```text
//! blobs/sha256/HEX    manifests and layers, each the bytes of its digest
//! references/HEX      of the SHA-256 of `REGISTRY/REPOSITORY:TAG`: what that was when the registry was asked last
//! ```
//!
//! A file is written whole under another name, made durable and then named, so that processes may share a cache. What is read is
//! checked: a file that does not hold what it should is as good as none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::digest::Digest;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Ends the names of files that are being written.
const TEMPORARY: &str = ".tmp";
/// How old such a file is when nobody writes it any more.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// First line of a reference's file.
const FORMAT: &str = "abide-oci reference 1";
/// Most bytes of a reference's file.
const REFERENCE_MAX_BYTES: u64 = 4_096;

/// A folder of images.
#[derive(Debug)]
pub(crate) struct Cache {
    blobs: PathBuf,
    references: PathBuf,
}

/// What a reference was when its registry was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) manifest: Digest,
    pub(crate) layer: Digest,
}

/// A file that cannot be written.
pub(crate) type Unwritten = (PathBuf, io::Error);

impl Cache {
    /// Opens the cache in a folder, which is made if it is not there. What it holds is for its owner alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, Unwritten> {
        let cache = Self { blobs: folder.join("blobs/sha256"), references: folder.join("references") };
        for folder in [&cache.blobs, &cache.references] {
            make_private(folder).map_err(|error| (folder.clone(), error))?;
            clear(folder);
        }
        Ok(cache)
    }

    /// A blob, if it is there and sound.
    pub(crate) fn blob(&self, digest: Digest, max_bytes: u64) -> Option<Vec<u8>> {
        read(&self.blobs.join(digest.hex()), max_bytes).filter(|bytes| Digest::of(bytes) == digest)
    }

    /// Keeps a blob.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<(), Unwritten> {
        let digest = Digest::of(bytes);
        if self.blob(digest, bytes.len() as u64).is_some() {
            // It may have been named by a process that died before it could make the name durable.
            return sync(&self.blobs).map_err(|error| (self.blobs.clone(), error));
        }
        write(&self.blobs.join(digest.hex()), bytes)
    }

    /// What a reference was, if that is known.
    pub(crate) fn reference(&self, name: &str) -> Option<Named> {
        let text = String::from_utf8(read(&self.reference_path(name), REFERENCE_MAX_BYTES)?).ok()?;
        let mut lines = text.lines();
        let mut line = |key: &str| lines.next()?.strip_prefix(key);
        let _ = line(FORMAT).filter(|rest| rest.is_empty())?;
        let _ = line("reference ").filter(|there| *there == name)?;
        let manifest = line("manifest ").and_then(Digest::read)?;
        let layer = line("layer ").and_then(Digest::read)?;
        Some(Named { manifest, layer })
    }

    /// Keeps what a reference is. The blobs that it names are kept before.
    pub(crate) fn put_reference(&self, name: &str, named: Named) -> Result<(), Unwritten> {
        let Named { manifest, layer } = named;
        let text = format!("{FORMAT}\nreference {name}\nmanifest {manifest}\nlayer {layer}\n");
        write(&self.reference_path(name), text.as_bytes())
    }

    fn reference_path(&self, name: &str) -> PathBuf {
        self.references.join(Digest::of(name.as_bytes()).hex())
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // It may have been there before.
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE))
}

/// Removes what processes left that died as they wrote. That it cannot is no reason to do without the cache.
fn clear(folder: &Path) {
    let is_old = |file: &Path| {
        let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        age.is_some_and(|age| age > TEMPORARY_AGE_MAX)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().ends_with(TEMPORARY.as_bytes()) && is_old(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// A file's bytes, if they are there and no more than these.
fn read(path: &Path, max_bytes: u64) -> Option<Vec<u8>> {
    // To open what is no file, as a pipe, may wait for ever.
    let there = fs::metadata(path).ok()?;
    if !there.is_file() || there.len() > max_bytes {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(max_bytes).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Unwritten> {
    let temporary = temporary(path);
    let mut new = File::options();
    let written = new.write(true).create_new(true).mode(FILE_MODE).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    let durable = written.and_then(|()| path.parent().map_or(Ok(()), sync));
    durable.map_err(|error| {
        // Nothing else can be done about what is left of it.
        let _ = fs::remove_file(&temporary);
        (path.to_owned(), error)
    })
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A name beside a path that no thread has, nor another process: not even one with the same number, in another container.
fn temporary(path: &Path) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{now}-{count}{TEMPORARY}", std::process::id()));
    path.with_file_name(name)
}
