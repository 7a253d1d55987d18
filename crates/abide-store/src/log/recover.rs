//! Recovery: what is left of a log after a crash, told apart from damage.
//!
//! A crash can only have torn the last frame, because a frame is written after the one before it is durable, and a
//! segment is created after the one before it is complete. So a tail is cut only where it is the end of the last segment,
//! no whole frame follows, and no snapshot shows that the log had come further. Everything else is damage.

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, LogSigner, LogVerifier};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Damage, DiskError, OpenError};
use crate::format::{
    FrameFault, HeaderFault, LOG_DIR, SEGMENT_HEADER_BYTES_MAX, SegmentHeader, segment_path,
};
use crate::read::{Found, SegmentFile, Segments, Window, gap, is_genuine, list_segments};
use crate::snapshot::{Judged, Snapshot, judge};

use super::LogState;

/// What opening a log came upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The frames read and checked: those after the snapshot.
    pub frames: u64,
    /// The records in them.
    pub records: u64,
    /// The bytes of a torn tail that were cut off: a commit that was never acknowledged.
    pub cut_bytes: u64,
    /// The file they were cut off.
    pub cut_path: Option<String>,
    /// The newest snapshot that the log bears out. The frames from its position on are to be folded onto it.
    pub snapshot: Option<Snapshot>,
    /// Snapshots that were passed over, because they are damaged or the log does not bear them out.
    pub snapshots_ignored: Vec<String>,
    /// The last checkpoint; none in an empty log.
    pub checkpoint: Option<Checkpoint>,
}

/// A log as recovery found it. Nothing is changed yet.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Segments,
    pub(super) state: LogState,
    pub(super) report: Recovery,
    verifier: LogVerifier,
    cut: Option<Cut>,
}

/// A torn tail, to be cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// The base of the segment it ends.
    base: u64,
    /// What stays of the segment; 0 if the whole file goes.
    kept: u64,
}

/// Finds out what the log comes to.
pub(super) fn recover(disk: Arc<dyn Disk>) -> Result<Recovered, OpenError> {
    let mut files = list_segments(&*disk)?;
    if let Some(damage) = gap(&*disk, &files) {
        return Err(damage.into());
    }
    let torn = take_torn_segment(&*disk, &mut files)?;
    let Some(last) = files.last() else { return Err(OpenError::Missing { path: disk.describe("") }) };
    let Judged { best, ignored, reached } = judge(&*disk, &files)?;
    let cut_bytes = torn.as_ref().map_or(0, |torn| torn.len);
    let cut = torn.map(|torn| Cut { base: torn.base, kept: 0 });
    let report = Recovery { cut_bytes, snapshots_ignored: ignored, ..Recovery::default() };
    let mut scan = Scan::new(&*disk, &files, last.base, best, report, cut);
    scan.run()?;
    scan.check_reached(reached)?;
    let Scan { state, mut report, verifier, cut, .. } = scan;
    let Some(verifier) = verifier else { return Err(OpenError::Missing { path: disk.describe("") }) };
    report.cut_path = cut.map(|cut| disk.describe(&segment_path(cut.base)));
    let gone = cut.filter(|cut| cut.kept == 0).map(|cut| cut.base);
    let bases = files.iter().map(|file| file.base).filter(|base| Some(*base) != gone).collect();
    let segments = Segments::new(disk, bases, state.position);
    Ok(Recovered { segments, state, report, verifier, cut })
}

/// Takes the last segment off the list if its header never became durable.
fn take_torn_segment(
    disk: &dyn Disk,
    files: &mut Vec<SegmentFile>,
) -> Result<Option<SegmentFile>, OpenError> {
    let Some(last) = files.last() else { return Ok(None) };
    let mut window = Window::open(disk, last.base)?;
    let what = match window.header()? {
        Ok(_) => return Ok(None),
        Err(HeaderFault::Newer(version)) => {
            return Err(OpenError::Newer { path: window.described().to_owned(), version });
        }
        Err(HeaderFault::Invalid(what)) => what,
    };
    match window.frame_after(0, |_| true)? {
        Some(frame) => Err(damage(&window, 0, format!("{what}, and a whole frame follows at byte {frame}"))),
        None => Ok(files.pop()),
    }
}

/// Goes over the frames after the snapshot.
#[derive(Debug)]
struct Scan<'a> {
    disk: &'a dyn Disk,
    files: &'a [SegmentFile],
    last_base: u64,
    state: LogState,
    report: Recovery,
    /// The name and key of the segment reached.
    verifier: Option<LogVerifier>,
    cut: Option<Cut>,
}

impl<'a> Scan<'a> {
    fn new(
        disk: &'a dyn Disk,
        files: &'a [SegmentFile],
        last_base: u64,
        best: Option<(LogState, Snapshot)>,
        mut report: Recovery,
        cut: Option<Cut>,
    ) -> Self {
        let (state, snapshot) = best.unzip();
        report.snapshot = snapshot;
        Self { disk, files, last_base, state: state.unwrap_or_default(), report, verifier: None, cut }
    }

    fn run(&mut self) -> Result<(), OpenError> {
        let first = self.files.partition_point(|file| file.base <= self.state.position).saturating_sub(1);
        for file in self.files.get(first..).unwrap_or_default() {
            let mut window = Window::open(self.disk, file.base)?;
            let header = sound_header(&mut window)?;
            if self.state.position <= file.base {
                if header.first_leaf != self.state.frontier.size() || header.root_before != self.state.root()
                {
                    let what = "the segment header does not continue the segment before it";
                    return Err(damage(&window, 0, what));
                }
                self.state.position = file.base + header.len();
            }
            self.read_segment(&mut window, &header)?;
            self.drop_empty(file, &header);
        }
        self.read_checkpoint()
    }

    fn read_segment(&mut self, window: &mut Window, header: &SegmentHeader) -> Result<(), OpenError> {
        let key_id = header.verifier.key_id();
        self.verifier = Some(header.verifier.clone());
        loop {
            let offset = self.state.position - window.base();
            let wrong = match window.frame(offset)? {
                Found::End => return Ok(()),
                Found::Frame(frame) if frame.header.key_id != key_id => {
                    Some("the frame there names another key than its segment".to_owned())
                }
                Found::Frame(frame) => {
                    self.report.frames += 1;
                    self.report.records += u64::from(frame.header.records);
                    self.state.admit(&frame).err().map(|wrong| wrong.to_string())
                }
                Found::Fault(fault) => return self.cut_or_refuse(window, header, offset, fault),
            };
            if let Some(wrong) = wrong {
                return Err(damage(window, offset, wrong));
            }
        }
    }

    /// Something that is no frame stands at `offset`: a torn tail, or damage.
    fn cut_or_refuse(
        &mut self,
        window: &mut Window,
        header: &SegmentHeader,
        offset: u64,
        fault: FrameFault,
    ) -> Result<(), OpenError> {
        // A file that comes after this segment was created when this segment was complete.
        if window.base() != self.last_base || self.cut.is_some() {
            return Err(damage(window, offset, format!("{fault}, and the log goes on in the next segment")));
        }
        if let Some(frame) = window.frame_after(offset, |frame| is_genuine(&header.verifier, frame))? {
            return Err(damage(
                window,
                offset,
                format!("{fault}, and a whole frame follows at byte {frame}"),
            ));
        }
        let len = self.files.last().map_or(offset, |file| file.len);
        self.report.cut_bytes = len.saturating_sub(offset);
        self.cut = Some(Cut { base: window.base(), kept: offset });
        Ok(())
    }

    /// A segment is written with its first frame. Where only the header arrived, nothing was acknowledged, and the key it
    /// names may never have come into force.
    fn drop_empty(&mut self, file: &SegmentFile, header: &SegmentHeader) {
        let is_empty = self.state.position == file.base + header.len();
        if is_empty
            && file.base != 0
            && file.base == self.last_base
            && self.cut.is_none_or(|cut| cut.base == file.base)
        {
            self.report.cut_bytes = file.len;
            self.cut = Some(Cut { base: file.base, kept: 0 });
            self.state.position = file.base;
        }
    }

    /// Reads the last frame's checkpoint, whose signature speaks for all records before it.
    fn read_checkpoint(&mut self) -> Result<(), OpenError> {
        let Some(last_frame) = self.state.last_frame else { return Ok(()) };
        let holding = self.files.iter().rev().find(|file| file.base < last_frame);
        let Some(file) = holding else { return Ok(()) };
        let mut window = Window::open(self.disk, file.base)?;
        let verifier = sound_header(&mut window)?.verifier;
        let offset = last_frame - file.base;
        let Found::Frame(frame) = window.frame(offset)? else {
            return Err(damage(&window, offset, "the last frame is not there any more"));
        };
        let (size, root, signature) = (frame.size(), frame.root, frame.signature);
        let (tick, time) = (frame.header.tick, frame.header.time);
        if !verifier.verify(size, &root, &signature) {
            return Err(damage(&window, offset, "the signature of the last frame is not the log key's"));
        }
        let note = verifier.note(size, &root, &signature);
        self.report.checkpoint = Some(Checkpoint { size, root, tick, time, note });
        self.verifier = Some(verifier);
        Ok(())
    }

    /// A snapshot is written when all before it is durable: a log that ends before one has lost something.
    fn check_reached(&self, reached: Option<(u64, String)>) -> Result<(), OpenError> {
        match reached {
            Some((position, snapshot)) if position > self.state.position => {
                let base = self.last_base.min(self.state.position);
                let what = format!(
                    "the log ends there, but `{snapshot}` shows that it had come to position {position}"
                );
                let path = self.disk.describe(&segment_path(base));
                Err(Damage { path, offset: self.state.position - base, what }.into())
            }
            _ => Ok(()),
        }
    }
}

impl Recovered {
    /// Whether the log is the signer's.
    pub(super) fn check_key(&self, signer: &LogSigner) -> Result<(), OpenError> {
        let given = signer.verifier();
        if *given == self.verifier {
            return Ok(());
        }
        Err(OpenError::Key {
            path: self.segments.disk().describe(""),
            origin: self.verifier.origin().to_owned(),
            key_id: self.verifier.key_id(),
            given_origin: given.origin().to_owned(),
            given_key_id: given.key_id(),
        })
    }

    /// Cuts the torn tail and makes durable what is left, and gives the segment that takes the next frame.
    pub(super) fn settle(&self) -> Result<Arc<dyn DiskFile>, DiskError> {
        let disk = &**self.segments.disk();
        if let Some(cut) = self.cut.filter(|cut| cut.kept == 0) {
            let path = segment_path(cut.base);
            disk.remove(&path).map_err(DiskError::at("remove", disk, &path, None))?;
        }
        let base = self.segments.bases().last().copied().unwrap_or(0);
        let path = segment_path(base);
        let at = |operation| DiskError::at(operation, disk, &path, None);
        let file = disk.open(&path, OpenMode::Write).map_err(at("open"))?;
        if let Some(cut) = self.cut.filter(|cut| cut.kept > 0) {
            file.set_len(cut.kept).map_err(at("cut"))?;
        }
        self.rewrite_tail(&*file, base).map_err(at("write"))?;
        file.sync_data().map_err(at("flush"))?;
        disk.sync_dir(LOG_DIR).map_err(DiskError::at("flush", disk, LOG_DIR, None))?;
        Ok(file)
    }

    /// Writes the last frame once more, as it is. It may have been read from memory only, after a flush that failed: then
    /// the system holds it for written, and another flush alone would do nothing.
    fn rewrite_tail(&self, file: &dyn DiskFile, base: u64) -> std::io::Result<()> {
        let end = self.state.position - base;
        let last_frame =
            self.state.last_frame.and_then(|last_frame| last_frame.checked_sub(base)).unwrap_or(0);
        // Where the frame is the first of its segment, its header was written with it.
        let start = if last_frame <= SEGMENT_HEADER_BYTES_MAX as u64 { 0 } else { last_frame };
        let mut bytes = vec![0; usize::try_from(end - start).map_err(|_| std::io::ErrorKind::FileTooLarge)?];
        let read = file.read_at(start, &mut bytes)?;
        bytes.truncate(read);
        file.write_at(start, &bytes)
    }
}

/// The header of a segment that must have one.
fn sound_header(window: &mut Window) -> Result<SegmentHeader, OpenError> {
    match window.header()? {
        Ok(header) => Ok(header),
        Err(HeaderFault::Newer(version)) => {
            Err(OpenError::Newer { path: window.described().to_owned(), version })
        }
        Err(HeaderFault::Invalid(what)) => Err(damage(window, 0, what)),
    }
}

fn damage(window: &Window, offset: u64, what: impl Into<String>) -> OpenError {
    Damage { path: window.described().to_owned(), offset, what: what.into() }.into()
}
