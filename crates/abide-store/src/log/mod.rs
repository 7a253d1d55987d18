//! The log's single writer: commits in, signed checkpoints out, one write and one flush each.

mod flush;
mod recover;
mod state;

use std::io::ErrorKind;
use std::sync::Arc;

use crate::blobs::Blobs;
use crate::checkpoint::{Checkpoint, LogSigner};
use crate::disk::{Disk, DiskFile, LockError, LockGuard, OpenMode};
use crate::error::{AppendError, DiskError, OpenError, ReadError, SnapshotError};
use crate::format::{
    BLOB_DIR, CommitFields, FrameBuffer, LOCK_FILE, LOG_DIR, OBJECTS_MAX, Position, RecordHeader, RecordPos,
    SNAPSHOT_DIR, SegmentHeader, segment_path,
};
use crate::merkle::{Frontier, Hash, empty_root};
use crate::read::{Frames, Lineage, LogReader, Record, Segments, list_segments};
use crate::snapshot;
use crate::verify::{Verification, verify};

pub use flush::{FlushJob, Flushed};
pub use recover::Recovery;
pub(crate) use state::{Heads, LogState};

use flush::{Staged, Target};

/// A segment takes no more frames once it has this many bytes.
const SEGMENT_BYTES: u64 = 64 << 20;

/// How a log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Signs the checkpoints.
    pub signer: LogSigner,
    /// A segment takes no more frames once it has this many bytes; its last frame may go beyond. 64 MiB unless set.
    pub segment_bytes: u64,
}

impl LogOptions {
    /// The usual options.
    #[must_use]
    pub fn new(signer: LogSigner) -> Self {
        Self { signer, segment_bytes: SEGMENT_BYTES }
    }
}

/// What one tick commits. The entries become one frame, in order.
#[derive(Clone, Debug)]
pub struct Commit<E> {
    /// The tick.
    pub tick: u64,
    /// The tick's time, in nanoseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// The records: any iterator over [`Entry`].
    pub entries: E,
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The object's number, below [`OBJECTS_MAX`](crate::OBJECTS_MAX). Memory is kept for all numbers up to the largest.
    pub object: u32,
    /// The record's bytes.
    pub bytes: &'a [u8],
    /// `SHA-256(0x00 || bytes)`, which is [`merkle::leaf_hash`](crate::merkle::leaf_hash). It is not computed again.
    pub hash: Hash,
}

/// An open log, held against other writers until it is dropped.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    signer: LogSigner,
    segment_bytes: u64,
    /// What is flushed.
    segments: Segments,
    /// What the log comes to with what is staged.
    state: LogState,
    /// The segment that takes the next frame, and its base.
    file: Arc<dyn DiskFile>,
    base: u64,
    /// The next frame opens a segment, however short this one is.
    rotate: bool,
    staged: Option<Staged>,
    in_flight: bool,
    /// What the next frame is written to.
    spare: FrameBuffer,
    /// Buffers that came back from the disk, kept for their memory: never more than two.
    returned: Vec<FrameBuffer>,
    checkpoint: Option<Checkpoint>,
    poisoned: Option<String>,
    _lock: LockGuard,
}

impl Log {
    /// Creates a store in a data folder without one.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is one, [`OpenError::InUse`] if another process is at it, or what the disk says.
    pub fn create(disk: Arc<dyn Disk>, options: LogOptions) -> Result<Self, OpenError> {
        let at = |operation, path| DiskError::at(operation, &*disk, path, None);
        disk.create_dir("").map_err(at("create", ""))?;
        let lock = lock(&*disk)?;
        match recover::recover(disk.clone()) {
            Err(OpenError::Missing { .. }) => {}
            Ok(_) => return Err(OpenError::Exists { path: disk.describe("") }),
            Err(other) => return Err(other),
        }
        for dir in [LOG_DIR, SNAPSHOT_DIR, BLOB_DIR] {
            disk.create_dir(dir).map_err(at("create", dir))?;
        }
        snapshot::remove_all(&*disk)?;
        disk.sync_dir("").map_err(at("flush", ""))?;
        let (file, position) = create_first_segment(&*disk, &options.signer)?;
        let segments = Segments::new(disk, vec![0], position);
        let state = LogState { position, ..LogState::default() };
        Ok(Self::new(options, lock, segments, state, file))
    }

    /// Opens the store in a data folder, after recovering what a crash may have left of it.
    ///
    /// # Errors
    /// [`OpenError`] for a store that is missing, in use, damaged, of a later format or under another key, or what the
    /// disk says. Nothing is changed then.
    pub fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<(Self, Recovery), OpenError> {
        // A folder without a store is left as it is: without a lock file too.
        if list_segments(&*disk)?.is_empty() {
            return Err(OpenError::Missing { path: disk.describe("") });
        }
        let lock = lock(&*disk)?;
        let recovered = recover::recover(disk)?;
        recovered.check_key(&options.signer)?;
        let file = recovered.settle()?;
        make_missing_folders(&**recovered.segments.disk())?;
        let mut log = Self::new(options, lock, recovered.segments, recovered.state, file);
        log.checkpoint.clone_from(&recovered.report.checkpoint);
        Ok((log, recovered.report))
    }

    fn new(
        options: LogOptions,
        lock: LockGuard,
        segments: Segments,
        state: LogState,
        file: Arc<dyn DiskFile>,
    ) -> Self {
        Self {
            disk: segments.disk().clone(),
            signer: options.signer,
            segment_bytes: options.segment_bytes,
            base: segments.bases().last().copied().unwrap_or(0),
            segments,
            state,
            file,
            rotate: false,
            staged: None,
            in_flight: false,
            spare: FrameBuffer::default(),
            returned: Vec::new(),
            checkpoint: None,
            poisoned: None,
            _lock: lock,
        }
    }

    /// Writes a commit and flushes it: [`stage`](Self::stage) and [`flush`](Self::flush).
    ///
    /// # Errors
    /// As those two.
    pub fn append<'a, E>(&mut self, commit: Commit<E>) -> Result<Checkpoint, AppendError>
    where
        E: IntoIterator<Item = Entry<'a>>,
    {
        self.stage(commit)?;
        self.flush()
    }

    /// Prepares a commit in memory and gives the checkpoint that holds once it is flushed; nobody may see it before.
    ///
    /// One commit can be prepared while the one before it is on its way to the disk.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] and [`AppendError::Object`] for a commit of which nothing is taken;
    /// [`AppendError::Poisoned`] after a failed write; [`AppendError::Order`] if a commit is staged already.
    pub fn stage<'a, E>(&mut self, commit: Commit<E>) -> Result<&Checkpoint, AppendError>
    where
        E: IntoIterator<Item = Entry<'a>>,
    {
        self.check_sound()?;
        if self.staged.is_some() {
            return Err(AppendError::Order("a commit is staged already; flush it first"));
        }
        let frontier = self.state.frontier.clone();
        let (base, offset) = self.begin_frame();
        if let Err(error) = self.push_entries(commit.tick, commit.entries) {
            self.undo_frame(frontier);
            return Err(error);
        }
        let (size, root) = (self.state.frontier.size(), self.state.root());
        let signature = self.signer.sign(size, &root);
        let verifier = self.signer.verifier();
        let (tick, time, key_id) = (commit.tick, commit.time, verifier.key_id());
        let fields = CommitFields { first_leaf: frontier.size(), tick, time, key_id };
        let mut buffer = std::mem::replace(&mut self.spare, self.returned.pop().unwrap_or_default());
        let header = buffer.finish(&fields, &root, &signature);
        let checkpoint = Checkpoint { size, root, tick, time, note: verifier.note(size, &root, &signature) };
        let target = if offset == 0 { Target::New } else { Target::Open { file: self.file.clone(), offset } };
        self.rotate = false;
        self.base = base;
        self.state.position = header.end();
        self.state.last_frame = Some(header.position);
        self.state.tick = tick;
        self.state.time = time;
        let staged = self.staged.insert(Staged { buffer, base, end: header.end(), checkpoint, target });
        Ok(&staged.checkpoint)
    }

    /// Writes the staged commit and waits until it is durable.
    ///
    /// # Errors
    /// As [`begin_flush`](Self::begin_flush) and [`finish_flush`](Self::finish_flush).
    pub fn flush(&mut self) -> Result<Checkpoint, AppendError> {
        let job = self.begin_flush()?;
        self.finish_flush(job.run())
    }

    /// Hands out the work of writing the staged commit, to be run on any thread. The next commit can be staged
    /// meanwhile; it cannot be flushed before this one is, because then a crash could leave the later one alone.
    ///
    /// # Errors
    /// [`AppendError::Order`] if nothing is staged or another commit is on its way; [`AppendError::Poisoned`].
    pub fn begin_flush(&mut self) -> Result<FlushJob, AppendError> {
        self.check_sound()?;
        if self.in_flight {
            return Err(AppendError::Order("a commit is on its way to the disk; finish its flush first"));
        }
        let nothing = AppendError::Order("no commit is staged; stage one first");
        let mut staged = self.staged.take().ok_or(nothing)?;
        // Staged while a new segment was on its way: the file is there by now.
        if let Target::Open { file, .. } = &mut staged.target {
            *file = self.file.clone();
        }
        self.in_flight = true;
        Ok(FlushJob::new(self.disk.clone(), staged))
    }

    /// Takes the outcome of a flush. From here on the commit is durable, and may be seen.
    ///
    /// # Errors
    /// [`AppendError::Full`] or [`AppendError::Disk`] if the write or the flush failed: the log takes no more commits.
    pub fn finish_flush(&mut self, flushed: Flushed) -> Result<Checkpoint, AppendError> {
        self.in_flight = false;
        let (staged, written) = flushed.into_parts();
        match written {
            Ok(new_file) => {
                self.segments.grow(staged.base, staged.end);
                self.file = new_file.unwrap_or_else(|| self.file.clone());
                self.returned.push(staged.buffer);
                self.checkpoint = Some(staged.checkpoint.clone());
                Ok(staged.checkpoint)
            }
            Err(error) => {
                self.poisoned = Some(error.to_string());
                let full = matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                Err(if full { AppendError::Full(error) } else { AppendError::Disk(error) })
            }
        }
    }

    /// Signs the commits from here on with another key, under the same origin. The next frame opens a segment, whose
    /// header names the new key; that the new key is the host's own is for a record to say.
    ///
    /// # Errors
    /// [`AppendError::Order`] while a commit is staged, or if the origin is another; [`AppendError::Poisoned`].
    pub fn rotate_key(&mut self, signer: LogSigner) -> Result<(), AppendError> {
        self.check_sound()?;
        if self.staged.is_some() {
            return Err(AppendError::Order("a commit is staged under the old key; flush it first"));
        }
        if signer.verifier().origin() != self.signer.verifier().origin() {
            return Err(AppendError::Order("a new key signs under the same origin as the old one"));
        }
        self.signer = signer;
        self.rotate = true;
        Ok(())
    }

    /// Writes a snapshot of the caller's state as of the last flushed commit, and removes all but the newest two.
    ///
    /// # Errors
    /// [`SnapshotError::Unflushed`] while a commit is staged or on its way, or what the disk says. The log goes on.
    pub fn write_snapshot(&self, state: &[u8]) -> Result<(), SnapshotError> {
        if let Some(cause) = &self.poisoned {
            return Err(SnapshotError::Poisoned { cause: cause.clone() });
        }
        if self.staged.is_some() || self.in_flight {
            return Err(SnapshotError::Unflushed);
        }
        Ok(snapshot::write(&*self.disk, &self.state, state)?)
    }

    /// The last checkpoint that is flushed; none in an empty log.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Where the flushed part of the log ends.
    #[must_use]
    pub fn end(&self) -> Position {
        self.segments.end()
    }

    /// Where an object's last record starts, a staged one included.
    #[must_use]
    pub fn head(&self, object: u32) -> Option<RecordPos> {
        self.state.heads.get(object)
    }

    /// What signs the checkpoints.
    #[must_use]
    pub fn signer(&self) -> &LogSigner {
        &self.signer
    }

    /// The blobs beside the log.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.disk.clone())
    }

    /// Goes over the flushed frames from `from`, which is [`Position::START`] or between two frames.
    #[must_use]
    pub fn frames(&self, from: Position) -> Frames<'_> {
        self.segments.frames(from)
    }

    /// Reads a flushed record. Its bytes are as the disk gives them: whoever knows its hash compares.
    ///
    /// # Errors
    /// [`ReadError::Absent`] if it is not flushed, [`ReadError::Damaged`] if no record starts there.
    pub fn record(&self, pos: RecordPos) -> Result<Record, ReadError> {
        self.segments.record(pos)
    }

    /// Goes over an object's records backwards, from the one at `head`.
    #[must_use]
    pub fn lineage(&self, head: RecordPos) -> Lineage<'_> {
        self.segments.lineage(head)
    }

    /// A reader of what is flushed by now, for another thread; `None` while a commit is staged or on its way.
    #[must_use]
    pub fn reader(&self) -> Option<LogReader> {
        let (segments, heads) = (&self.segments, &self.state.heads);
        let flushed = self.staged.is_none() && !self.in_flight && self.poisoned.is_none();
        flushed.then(|| LogReader::of_log(segments.clone(), heads.clone(), self.checkpoint.clone()))
    }

    /// Checks all that is flushed: every checksum, hash, link, root and signature.
    ///
    /// # Errors
    /// What the disk says. What is wrong with the log is in the answer, not an error.
    pub fn verify(&self) -> Result<Verification, DiskError> {
        verify(&self.segments)
    }

    /// Whether the log takes commits.
    ///
    /// # Errors
    /// [`AppendError::Poisoned`] after a failed write.
    pub fn check_sound(&self) -> Result<(), AppendError> {
        match &self.poisoned {
            Some(cause) => Err(AppendError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Starts the frame in the spare buffer: the base of its segment, and its offset there, or 0 if it opens one.
    fn begin_frame(&mut self) -> (u64, u64) {
        let position = self.state.position;
        let offset = position - self.base;
        if !self.rotate && offset < self.segment_bytes {
            self.spare.begin(position, |_| {});
            return (self.base, offset);
        }
        let header = SegmentHeader {
            base: position,
            first_leaf: self.state.frontier.size(),
            root_before: self.state.root(),
            verifier: self.signer.verifier().clone(),
        };
        self.spare.begin(position + header.len(), |out| header.encode(out));
        (position, 0)
    }

    fn push_entries<'a>(
        &mut self,
        tick: u64,
        entries: impl IntoIterator<Item = Entry<'a>>,
    ) -> Result<(), AppendError> {
        for Entry { object, bytes, hash } in entries {
            debug_assert_eq!(hash, crate::merkle::leaf_hash(bytes), "the caller hashed other bytes");
            if object >= OBJECTS_MAX {
                return Err(AppendError::Object { object });
            }
            let pos = self.spare.next_record();
            let len = u32::try_from(bytes.len()).map_err(|_| AppendError::TooLarge { tick })?;
            let previous = self.state.heads.replace(object, pos);
            let header = RecordHeader { leaf: self.state.frontier.size(), previous, object, len };
            if self.spare.push(&header, bytes).is_none() {
                self.state.heads.restore(object, previous);
                return Err(AppendError::TooLarge { tick });
            }
            self.state.frontier.push(hash);
        }
        Ok(())
    }

    /// Takes back what a refused commit did.
    fn undo_frame(&mut self, frontier: Frontier) {
        let pushed: Vec<_> =
            self.spare.records().map(|(_, record)| (record.object, record.previous)).collect();
        for (object, previous) in pushed.into_iter().rev() {
            self.state.heads.restore(object, previous);
        }
        self.state.frontier = frontier;
    }
}

fn lock(disk: &dyn Disk) -> Result<LockGuard, OpenError> {
    disk.lock(LOCK_FILE).map_err(|error| match error {
        LockError::Held { pid } => OpenError::InUse { path: disk.describe(""), pid },
        LockError::Io(source) => DiskError::at("lock", disk, LOCK_FILE, None)(source).into(),
    })
}

/// A copy of a store need not have the folders that were empty.
fn make_missing_folders(disk: &dyn Disk) -> Result<(), DiskError> {
    let at = |operation, path| DiskError::at(operation, disk, path, None);
    let is_missing = |dir: &&str| disk.list(dir).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let missing: Vec<&str> = [SNAPSHOT_DIR, BLOB_DIR].into_iter().filter(is_missing).collect();
    for dir in &missing {
        disk.create_dir(dir).map_err(at("create", dir))?;
    }
    if missing.is_empty() { Ok(()) } else { disk.sync_dir("").map_err(at("flush", "")) }
}

fn create_first_segment(disk: &dyn Disk, signer: &LogSigner) -> Result<(Arc<dyn DiskFile>, u64), DiskError> {
    let path = segment_path(0);
    let at = |operation| DiskError::at(operation, disk, &path, None);
    let verifier = signer.verifier().clone();
    let header = SegmentHeader { base: 0, first_leaf: 0, root_before: empty_root(), verifier };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    // What a create that was cut short may have left has no frame in it.
    let file = disk.open(&path, OpenMode::Replace).map_err(at("create"))?;
    file.write_at(0, &bytes).map_err(at("write"))?;
    file.sync_data().map_err(at("flush"))?;
    disk.sync_dir(LOG_DIR).map_err(DiskError::at("flush", disk, LOG_DIR, None))?;
    Ok((file, header.len()))
}
