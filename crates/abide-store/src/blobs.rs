//! Blobs: bytes kept by their digest, beside the log.

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::disk::{Disk, OpenMode};
use crate::error::{BlobError, DiskError, hex};
use crate::format::{BLOB_DIR, TEMPORARY};
use crate::merkle::Hash;

/// The blobs of a data folder. A blob is there whole or not at all, and is never changed.
#[derive(Clone, Debug)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
}

impl Blobs {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Stores a blob, durably, and gives its digest: the SHA-256 of its bytes. A blob that is there already is kept if
    /// its bytes are sound, and replaced if they are not.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, bytes: &[u8]) -> Result<Hash, BlobError> {
        let digest: Hash = Sha256::digest(bytes).into();
        if self.get(&digest).is_ok() {
            // It may have been named by a process that died before it could make the name durable.
            self.sync_dir()?;
            return Ok(digest);
        }
        let disk = &*self.disk;
        let at = |operation, path| DiskError::at(operation, disk, path, None);
        let path = path(&digest);
        // Two processes may store the same blob at once.
        let temporary = format!("{path}.{}{TEMPORARY}", std::process::id());
        let file = disk.open(&temporary, OpenMode::Replace).map_err(at("create", &temporary))?;
        file.write_at(0, bytes).map_err(at("write", &temporary))?;
        file.sync_data().map_err(at("flush", &temporary))?;
        disk.rename(&temporary, &path).map_err(at("name", &path))?;
        self.sync_dir()?;
        Ok(digest)
    }

    /// Reads a blob, and checks that its bytes have the digest.
    ///
    /// # Errors
    /// [`BlobError::Absent`] if there is none, [`BlobError::Damaged`] if its bytes are others, or what the disk says.
    pub fn get(&self, digest: &Hash) -> Result<Vec<u8>, BlobError> {
        let path = path(digest);
        let at = |operation| DiskError::at(operation, &*self.disk, &path, None);
        let file = match self.disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::Absent { digest: hex(digest) });
            }
            opened => opened.map_err(at("open"))?,
        };
        let len = usize::try_from(file.size().map_err(at("read"))?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let read = file.read_at(0, &mut bytes).map_err(at("read"))?;
        bytes.truncate(read);
        let found: Hash = Sha256::digest(&bytes).into();
        if found == *digest {
            Ok(bytes)
        } else {
            Err(BlobError::Damaged { path: self.disk.describe(&path), found })
        }
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        self.disk.sync_dir(BLOB_DIR).map_err(DiskError::at("flush", &*self.disk, BLOB_DIR, None))
    }
}

fn path(digest: &Hash) -> String {
    format!("{BLOB_DIR}/{}", hex(digest))
}
