//! What can go wrong: an enum for each operation. Every message names the file, and says what to do where something
//! can be done.

use std::io;

use crate::checkpoint::KeyId;
use crate::disk::Disk;
use crate::format::{FORMAT_VERSION, FRAME_BYTES_MAX, OBJECTS_MAX};
use crate::merkle::Hash;

/// The disk refused an operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{path}`{}: {source}", offset.map_or_else(String::new, |at| format!(" at byte {at}")))]
pub struct DiskError {
    /// What was tried: a verb, as `read` or `flush`.
    pub operation: &'static str,
    /// The file or folder.
    pub path: String,
    /// Where in the file, if that means something.
    pub offset: Option<u64>,
    /// What the disk said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Says of an error of the disk what was tried and where.
    pub(crate) fn at<'a>(
        operation: &'static str,
        disk: &'a dyn Disk,
        path: &'a str,
        offset: Option<u64>,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { operation, path: disk.describe(path), offset, source }
    }
}

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is damaged at byte {offset}: {what}")]
pub struct Damage {
    /// The file.
    pub path: String,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong there, and how that is known.
    pub what: String,
}

/// Why a store cannot be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to the store.
    #[error("the store in `{path}` is in use by {}; stop it, or talk to it through its socket", holder(*pid))]
    InUse {
        /// The data folder.
        path: String,
        /// The other process's number, if it is known.
        pid: Option<u32>,
    },
    /// There is no store.
    #[error("there is no store in `{path}`; name the right data folder, or create a store there")]
    Missing {
        /// The data folder.
        path: String,
    },
    /// There is a store already.
    #[error("there is a store in `{path}` already; open it, or name another data folder")]
    Exists {
        /// The data folder.
        path: String,
    },
    /// A later program wrote the store.
    #[error(
        "`{path}` has format version {version}, and this program reads up to version {FORMAT_VERSION}; use a newer one"
    )]
    Newer {
        /// The file.
        path: String,
        /// The version it states.
        version: u32,
    },
    /// The log is damaged where a crash cannot have done it.
    #[error("{0}; nothing was changed: restore the data folder from a copy")]
    Damaged(#[from] Damage),
    /// The log was written under another name or key.
    #[error(
        "the store in `{path}` is the log of `{origin}` under key {key_id}, and the key given is {given_key_id} of `{given_origin}`; use the host's own key"
    )]
    Key {
        /// The data folder.
        path: String,
        /// The log's origin.
        origin: String,
        /// The log's key in force.
        key_id: KeyId,
        /// The origin given.
        given_origin: String,
        /// The key given.
        given_key_id: KeyId,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a commit was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full. The log takes no more commits.
    #[error("the disk is full: {0}; nothing acknowledged is lost: free some space, then start again")]
    Full(#[source] DiskError),
    /// A write or a flush failed. The log takes no more commits.
    #[error("{0}; the log takes no more commits: look after the disk, then start again")]
    Disk(#[source] DiskError),
    /// An earlier write or flush failed.
    #[error(
        "the log takes no more commits since an earlier write failed ({cause}); look after the disk, then start again"
    )]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// The commit is larger than a frame may be. Nothing of it was taken.
    #[error("the commit at tick {tick} is larger than {FRAME_BYTES_MAX} bytes; spread it over several ticks")]
    TooLarge {
        /// The commit's tick.
        tick: u64,
    },
    /// An object's number is out of bounds. Nothing of the commit was taken.
    #[error("object number {object} is out of bounds: a store holds {OBJECTS_MAX} objects")]
    Object {
        /// The number.
        object: u32,
    },
    /// The calls came in an order that cannot be.
    #[error("{0}")]
    Order(&'static str),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such place, or it is not flushed yet.
    #[error("there is no {what} at position {position} of the log")]
    Absent {
        /// A record or a frame.
        what: &'static str,
        /// The position.
        position: u64,
    },
    /// What was read is not what was written.
    #[error("{0}; restore the data folder from a copy")]
    Damaged(#[from] Damage),
    /// A later program wrote the file.
    #[error(
        "`{path}` has format version {version}, and this program reads up to version {FORMAT_VERSION}; use a newer one"
    )]
    Newer {
        /// The file.
        path: String,
        /// The version it states.
        version: u32,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a snapshot was not written. The log goes on: a snapshot is a cache.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A commit is staged or on its way to the disk.
    #[error("a snapshot can be taken only when every commit is flushed")]
    Unflushed,
    /// An earlier write or flush of the log failed.
    #[error(
        "no snapshot is taken since an earlier write failed ({cause}); look after the disk, then start again"
    )]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a blob was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob has this digest.
    #[error("there is no blob `{digest}`")]
    Absent {
        /// The digest, in hexadecimal.
        digest: String,
    },
    /// The bytes have another digest.
    #[error("`{path}` is damaged: its bytes have the digest {}; fetch it again", hex(found))]
    Damaged {
        /// The file.
        path: String,
        /// The digest of what it holds.
        found: Hash,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
