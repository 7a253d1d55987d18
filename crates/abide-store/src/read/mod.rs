//! Reading a log: without a lock, also while another process writes it.

mod records;
mod segments;
mod window;

use std::sync::Arc;

use crate::blobs::Blobs;
use crate::checkpoint::{Checkpoint, LogVerifier};
use crate::disk::Disk;
use crate::error::{Damage, DiskError, OpenError, ReadError};
use crate::format::{HeaderFault, Position, RecordPos, segment_path};
use crate::log::Heads;
use crate::snapshot::{Judged, Snapshot, judge};
use crate::verify::{Verification, verify};

pub use records::{Frame, Frames, Lineage, Record, RecordRef};
pub(crate) use segments::{SegmentFile, Segments, gap, list_segments};
pub(crate) use window::{Found, Window};

/// How often the folder is listed again when its files do not follow each other: a listing that runs beside a writer can
/// see a new segment and still an old length of the one before it.
const LISTINGS_MAX: u32 = 5;

/// The log as a reader sees it: all frames that were whole when it was opened or refreshed.
///
/// It takes no lock and changes nothing. A frame that is whole but whose flush is still on its way is seen as well.
#[derive(Clone, Debug)]
pub struct LogReader {
    segments: Segments,
    heads: Heads,
    size: u64,
    checkpoint: Option<Checkpoint>,
    snapshot: Option<Snapshot>,
}

impl LogReader {
    /// Opens the log in a data folder: reads the newest snapshot and the frames after it.
    ///
    /// Of those frames the checksums are checked, not the hashes: [`verify`](Self::verify) does that.
    ///
    /// # Errors
    /// [`OpenError`] for a store that is missing, damaged before its end or of a later format, or what the disk says.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let files = settled_listing(&*disk)?;
        if files.is_empty() {
            return Err(OpenError::Missing { path: disk.describe("") });
        }
        let Judged { best, .. } = judge(&*disk, &files)?;
        let (log, snapshot) = best.unzip();
        let log = log.unwrap_or_default();
        let reached = files.iter().map(|file| file.base).filter(|base| *base <= log.position).collect();
        let mut reader = Self {
            segments: Segments::new(disk, reached, log.position),
            heads: log.heads,
            size: log.frontier.size(),
            checkpoint: None,
            snapshot,
        };
        reader.advance(log.last_frame.unwrap_or(0))?;
        if reader.segments.end() == Position::START {
            return Err(OpenError::Missing { path: reader.segments.disk().describe("") });
        }
        Ok(reader)
    }

    pub(crate) fn of_log(segments: Segments, heads: Heads, checkpoint: Option<Checkpoint>) -> Self {
        let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        Self { segments, heads, size, checkpoint, snapshot: None }
    }

    /// Reads what was written since: the number of frames that came.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn refresh(&mut self) -> Result<u64, OpenError> {
        self.advance(self.segments.end().0)
    }

    /// The newest snapshot that the log bore out when it was opened. The frames from its position on are to be folded
    /// onto it.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The last checkpoint; none in an empty log.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Where the log ends for this reader.
    #[must_use]
    pub fn end(&self) -> Position {
        self.segments.end()
    }

    /// Where an object's last record starts.
    #[must_use]
    pub fn head(&self, object: u32) -> Option<RecordPos> {
        self.heads.get(object)
    }

    /// The blobs beside the log.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.segments.disk().clone())
    }

    /// Goes over the frames from `from`, which is [`Position::START`] or between two frames.
    #[must_use]
    pub fn frames(&self, from: Position) -> Frames<'_> {
        self.segments.frames(from)
    }

    /// Reads a record. Its bytes are as the disk gives them: whoever knows its hash compares.
    ///
    /// # Errors
    /// [`ReadError::Absent`] if it is after the end, [`ReadError::Damaged`] if no record starts there.
    pub fn record(&self, pos: RecordPos) -> Result<Record, ReadError> {
        self.segments.record(pos)
    }

    /// Goes over an object's records backwards, from the one at `head`.
    #[must_use]
    pub fn lineage(&self, head: RecordPos) -> Lineage<'_> {
        self.segments.lineage(head)
    }

    /// Checks the log up to this reader's end: every checksum, hash, link, root and signature.
    ///
    /// # Errors
    /// What the disk says. What is wrong with the log is in the answer, not an error.
    pub fn verify(&self) -> Result<Verification, DiskError> {
        verify(&self.segments)
    }

    /// Takes in the frames from `from`, which is at or before the end, up to where no whole frame follows.
    fn advance(&mut self, from: u64) -> Result<u64, OpenError> {
        let disk = self.segments.disk().clone();
        let mut new_frames = 0;
        let mut at = from;
        loop {
            let base = self.segments.bases().iter().rev().find(|base| **base <= at).copied().unwrap_or(0);
            new_frames += self.advance_in(&mut Window::open(&*disk, base)?, &mut at)?;
            let files = settled_listing(&*disk)?;
            match files.iter().find(|file| file.base > base) {
                None => return Ok(new_frames),
                Some(next) if next.base == at => {
                    // The header is not whole yet where a writer is just creating the segment.
                    if !has_header(&*disk, next.base)? {
                        return Ok(new_frames);
                    }
                    self.segments.grow(next.base, next.base);
                }
                Some(_) => {
                    let what =
                        "no whole frame starts there, and the log goes on in the next segment".to_owned();
                    return Err(
                        Damage { path: disk.describe(&segment_path(base)), offset: at - base, what }.into()
                    );
                }
            }
        }
    }

    /// Takes in the frames of one segment.
    fn advance_in(&mut self, window: &mut Window, at: &mut u64) -> Result<u64, OpenError> {
        let base = window.base();
        let header = match window.header()? {
            Ok(header) => header,
            Err(HeaderFault::Newer(version)) => {
                return Err(OpenError::Newer { path: window.described().to_owned(), version });
            }
            Err(HeaderFault::Invalid(_)) => return Ok(0),
        };
        let verifier: LogVerifier = header.verifier.clone();
        *at = (*at).max(base + header.len());
        let mut new_frames = 0;
        while let Found::Frame(frame) = window.frame(*at - base)? {
            let (size, root) = (frame.size(), frame.root);
            // The frame that a snapshot stands on is read again for its checkpoint alone.
            if frame.header.position >= self.segments.end().0 {
                if frame.header.first_leaf != self.size {
                    let what = "records before the frame there are missing".to_owned();
                    return Err(
                        Damage { path: window.described().to_owned(), offset: *at - base, what }.into()
                    );
                }
                for (pos, record, _) in frame.records() {
                    self.heads.replace(record.object, pos);
                }
                new_frames += 1;
            }
            let (tick, time, end) = (frame.header.tick, frame.header.time, frame.header.end());
            let note = verifier.note(size, &root, &frame.signature);
            self.checkpoint = Some(Checkpoint { size, root, tick, time, note });
            self.size = size;
            *at = end;
        }
        self.segments.grow(base, *at);
        Ok(new_frames)
    }
}

/// The segments, once they follow each other.
fn settled_listing(disk: &dyn Disk) -> Result<Vec<SegmentFile>, OpenError> {
    let mut listings = 0;
    loop {
        let files = list_segments(disk)?;
        listings += 1;
        match gap(disk, &files) {
            None => return Ok(files),
            Some(damage) if listings == LISTINGS_MAX => return Err(damage.into()),
            Some(_) => {}
        }
    }
}

fn has_header(disk: &dyn Disk, base: u64) -> Result<bool, DiskError> {
    Ok(!matches!(Window::open(disk, base)?.header()?, Err(HeaderFault::Invalid(_))))
}
