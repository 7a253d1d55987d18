//! Reading a log: without a lock, also while another process writes it.

mod records;
mod segments;
mod window;

use std::sync::Arc;

use crate::blobs::Blobs;
use crate::checkpoint::{Checkpoint, LogVerifier};
use crate::disk::Disk;
use crate::error::{Damage, DiskError, OpenError, ReadError};
use crate::format::{
    FRAME_HEADER_BYTES, FrameView, HeaderFault, Position, RECORD_HEADER_BYTES, RecordPos, segment_path,
};
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
        let Judged { best, reached: furthest, .. } = judge(&*disk, &files)?;
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
            return Err(headless(&**reader.segments.disk())?);
        }
        // A snapshot is written when all before it is durable: a log that ends before one has lost something.
        let end = reader.segments.end().0;
        if let Some((position, snapshot)) = furthest.filter(|(position, _)| *position > end) {
            let base = reader.segments.bases().last().copied().unwrap_or(0);
            let what =
                format!("the log ends there, but `{snapshot}` shows that it had come to position {position}");
            let path = reader.segments.disk().describe(&segment_path(base));
            return Err(Damage { path, offset: end - base, what }.into());
        }
        Ok(reader)
    }

    pub(crate) fn of_log(segments: Segments, heads: Heads, checkpoint: Option<Checkpoint>) -> Self {
        let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        Self { segments, heads, size, checkpoint, snapshot: None }
    }

    /// Opens all that the files of a log hold, sound or not, to say what is wrong with it: [`verify`](Self::verify),
    /// [`frames`](Self::frames) and [`sound_after`](Self::sound_after) go over it; it knows no heads and no checkpoint.
    ///
    /// # Errors
    /// [`OpenError::Missing`] if there is none, or what the disk says.
    pub fn open_damaged(disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let files = list_segments(&*disk)?;
        let Some(last) = files.last() else { return Err(OpenError::Missing { path: disk.describe("") }) };
        let (end, bases) = (last.end(), files.iter().map(|file| file.base).collect());
        let segments = Segments::new(disk, bases, end);
        Ok(Self { segments, heads: Heads::default(), size: 0, checkpoint: None, snapshot: None })
    }

    /// The log as if it ended after its first `records`, or before: between two frames, and at the latest where one is damaged.
    ///
    /// It stands on no snapshot, and of the frames only the checksums are checked.
    ///
    /// # Errors
    /// What the disk says, or [`ReadError::Newer`].
    pub fn first(&self, records: u64) -> Result<Self, ReadError> {
        let mut first = Self {
            segments: Segments::new(self.segments.disk().clone(), Vec::new(), 0),
            heads: Heads::default(),
            size: 0,
            checkpoint: None,
            snapshot: None,
        };
        for frame in self.frames(Position::START) {
            let frame = match frame {
                Err(ReadError::Damaged(_)) => break,
                read => read?,
            };
            let checkpoint = frame.checkpoint();
            if checkpoint.size > records {
                break;
            }
            frame.records().for_each(|record| {
                first.heads.replace(record.object, record.pos);
            });
            let base = self.segments.span(frame.position().0).map_or(0, |(base, _)| base);
            first.segments.grow(base, frame.end().0);
            first.size = checkpoint.size;
            first.checkpoint = Some(checkpoint);
        }
        Ok(first)
    }

    /// Where the first sound frame after a place that holds none starts, also past this reader's end. Where there is one,
    /// the place is damaged, since a torn frame has none after it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sound_after(&self, place: Position) -> Result<Option<Position>, DiskError> {
        let disk = &**self.segments.disk();
        for file in list_segments(disk)?.iter().filter(|file| file.end() > place.0) {
            let mut window = Window::open(disk, file.base)?;
            let Ok(header) = window.header()? else { continue };
            let is_genuine =
                |frame: &FrameView<'_>| header.verifier.verify(frame.size(), &frame.root, &frame.signature);
            let start = file.base + header.len();
            if start > place.0
                && matches!(window.frame(header.len())?, Found::Frame(frame) if is_genuine(&frame))
            {
                return Ok(Some(Position(start)));
            }
            let offset = place.0.max(start) - file.base;
            if let Some(found) = window.frame_after(offset, is_genuine)? {
                return Ok(Some(Position(file.base + found)));
            }
        }
        Ok(None)
    }

    /// The records that can still be told apart in a damaged frame that starts at `place`, up to `end`. Nothing of them is
    /// checked but that each could be a record, and follows the one before it.
    #[must_use]
    pub fn records_of_damaged(&self, place: Position, end: Position) -> Vec<Record> {
        let mut found: Vec<Record> = Vec::new();
        let mut start = place.0;
        if self.segments.bases().contains(&start) {
            // The first frame of a segment stands behind its header.
            let header = Window::open(&**self.segments.disk(), start).and_then(|mut window| window.header());
            let Ok(Ok(header)) = header else { return found };
            start += header.len();
        }
        let mut pos = RecordPos(start + FRAME_HEADER_BYTES as u64);
        while pos.0 < end.0 {
            let Ok(record) = self.record(pos) else { break };
            if found.last().is_some_and(|last| last.leaf + 1 != record.leaf) {
                break;
            }
            pos = RecordPos(pos.0 + RECORD_HEADER_BYTES as u64 + record.bytes.len() as u64);
            found.push(record);
        }
        found
    }

    /// The bytes after this reader's end: a commit that is being written, or one that never became whole, which the next
    /// writer cuts off.
    ///
    /// # Errors
    /// What the disk says.
    pub fn bytes_after_end(&self) -> Result<u64, DiskError> {
        let files = list_segments(&**self.segments.disk())?;
        Ok(files.last().map_or(0, |last| last.end().saturating_sub(self.segments.end().0)))
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
        loop {
            if let Found::Fault(_) = window.frame(*at - base)?
                && let Some(after) = window.frame_after(*at - base, |frame| is_genuine(&verifier, frame))?
            {
                // What a writer was just writing is whole by now; what is still no frame never will be.
                *window = Window::open(&*self.segments.disk().clone(), base)?;
                if matches!(window.frame(*at - base)?, Found::Fault(_)) {
                    let what = format!("no whole frame starts there, and one follows at byte {after}");
                    let path = window.described().to_owned();
                    return Err(Damage { path, offset: *at - base, what }.into());
                }
            }
            let Found::Frame(frame) = window.frame(*at - base)? else { break };
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

/// Whether a frame found behind a torn one was written by this log. Bytes of a record can look like a frame; they cannot
/// bear the log key's signature. Under a key that is not known here, the benefit of the doubt goes to the frame.
pub(crate) fn is_genuine(verifier: &LogVerifier, frame: &FrameView<'_>) -> bool {
    frame.header.key_id != verifier.key_id() || verifier.verify(frame.size(), &frame.root, &frame.signature)
}

/// Why nothing is read of a log whose first segment has no header: it is damaged where frames follow, else never came to be.
fn headless(disk: &dyn Disk) -> Result<OpenError, DiskError> {
    let mut window = Window::open(disk, Position::START.0)?;
    let Err(HeaderFault::Invalid(what)) = window.header()? else {
        return Ok(OpenError::Missing { path: disk.describe("") });
    };
    Ok(match window.frame_after(0, |_| true)? {
        Some(frame) => {
            let what = format!("{what}, and a whole frame follows at byte {frame}");
            Damage { path: window.described().to_owned(), offset: 0, what }.into()
        }
        None => OpenError::Missing { path: disk.describe("") },
    })
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

fn has_header(disk: &dyn Disk, base: u64) -> Result<bool, OpenError> {
    let is_sound =
        |window: &mut Window| Ok::<_, DiskError>(!matches!(window.header()?, Err(HeaderFault::Invalid(_))));
    let mut window = Window::open(disk, base)?;
    if is_sound(&mut window)? {
        return Ok(true);
    }
    // A writer flushes the header with the first frame: a whole frame behind a header that stays broken means damage.
    let frame = window.frame_after(0, |_| true)?;
    match frame
        .filter(|_| !Window::open(disk, base).and_then(|mut again| is_sound(&mut again)).unwrap_or(false))
    {
        Some(frame) => {
            let what = format!("the segment has no sound header, and a whole frame follows at byte {frame}");
            Err(Damage { path: disk.describe(&segment_path(base)), offset: 0, what }.into())
        }
        None => Ok(false),
    }
}
