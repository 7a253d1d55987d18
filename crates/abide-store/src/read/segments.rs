//! The segments of a log, as far as it is known to go: what every reading goes through.

use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Damage, DiskError, ReadError};
use crate::format::{
    FRAME_BYTES_MAX, Fields, LOG_DIR, OBJECTS_MAX, Position, RECORD_HEADER_BYTES, RecordHeader, RecordPos,
    number_in, segment_path,
};

use super::{Frames, Lineage, Record};

/// How many files are kept open for reading single records.
const OPEN_FILES_MAX: usize = 16;

/// How much is read of a record at first: most records fit.
const RECORD_READ_BYTES: usize = 1024;

/// The segments of a log up to a position between two frames.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    /// Where each segment starts, in order.
    bases: Vec<u64>,
    end: u64,
    open_files: Mutex<Vec<(u64, Arc<dyn DiskFile>)>>,
}

/// A segment's file as the folder lists it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) base: u64,
    pub(crate) len: u64,
}

impl SegmentFile {
    /// The position after the file's last byte.
    pub(crate) fn end(&self) -> u64 {
        self.base.saturating_add(self.len)
    }
}

/// The segments in the folder, in order of their positions; none if there is no folder.
pub(crate) fn list_segments(disk: &dyn Disk) -> Result<Vec<SegmentFile>, DiskError> {
    let entries = match disk.list(LOG_DIR) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(DiskError::at("list", disk, LOG_DIR, None))?,
    };
    let named = entries.iter().filter_map(|entry| Some((number_in(&entry.name, "seg")?, entry.len)));
    Ok(named.map(|(base, len)| SegmentFile { base, len }).collect())
}

/// The place where the files leave off following each other, if there is one.
pub(crate) fn gap(disk: &dyn Disk, files: &[SegmentFile]) -> Option<Damage> {
    let damage = |base, offset, what| Damage { path: disk.describe(&segment_path(base)), offset, what };
    if let Some(first) = files.first().filter(|first| first.base != 0) {
        return Some(damage(first.base, 0, "the segments before it are missing".to_owned()));
    }
    files.iter().zip(files.iter().skip(1)).find(|(file, next)| file.end() != next.base).map(|(file, next)| {
        let at = next.base.min(file.end()).saturating_sub(file.base);
        damage(
            file.base,
            at,
            format!("the segment ends at position {}, and the next starts at {}", file.end(), next.base),
        )
    })
}

impl Segments {
    /// The segments that start at `bases`, read up to `end`.
    pub(crate) fn new(disk: Arc<dyn Disk>, bases: Vec<u64>, end: u64) -> Self {
        Self { disk, bases, end, open_files: Mutex::default() }
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn end(&self) -> Position {
        Position(self.end)
    }

    pub(crate) fn bases(&self) -> &[u64] {
        &self.bases
    }

    /// Moves the end on, into a new segment if `base` is one.
    pub(crate) fn grow(&mut self, base: u64, end: u64) {
        if self.bases.last().is_none_or(|last| *last < base) {
            self.bases.push(base);
        }
        self.end = end;
    }

    /// Where the segment that holds `position` starts and ends, as far as it may be read.
    pub(crate) fn span(&self, position: u64) -> Option<(u64, u64)> {
        let after = self.bases.partition_point(|base| *base <= position);
        let base = *self.bases.get(after.checked_sub(1)?)?;
        let end = self.bases.get(after).copied().unwrap_or(self.end);
        (position < end).then_some((base, end))
    }

    /// Goes over the frames from `from`, which is between two frames.
    pub(crate) fn frames(&self, from: Position) -> Frames<'_> {
        Frames::new(self, from)
    }

    /// Goes over an object's records backwards, from `head`.
    pub(crate) fn lineage(&self, head: RecordPos) -> Lineage<'_> {
        Lineage::new(self, head)
    }

    /// Reads one record.
    pub(crate) fn record(&self, pos: RecordPos) -> Result<Record, ReadError> {
        let absent = ReadError::Absent { what: "record", position: pos.0 };
        let Some((base, end)) = self.span(pos.0) else { return Err(absent) };
        let file = self.file(base)?;
        let failed = |source| self.failed(base, pos.0 - base, source);
        let mut bytes =
            vec![0; RECORD_READ_BYTES.min(usize::try_from(end - pos.0).unwrap_or(RECORD_READ_BYTES))];
        let read = file.read_at(pos.0 - base, &mut bytes).map_err(failed)?;
        bytes.truncate(read);
        let header =
            RecordHeader::parse(&mut Fields::new(&bytes)).filter(|header| is_plausible(header, pos, end));
        let Some(header) = header else {
            return Err(self.damage(base, pos.0 - base, "no record starts there"));
        };
        let len = RECORD_HEADER_BYTES + usize::try_from(header.len).unwrap_or(usize::MAX);
        if len > bytes.len() {
            bytes.resize(len, 0);
            let read = file.read_at(pos.0 - base, &mut bytes).map_err(failed)?;
            if read < len {
                return Err(self.damage(base, pos.0 - base, "the record there is cut short"));
            }
        }
        bytes.truncate(len);
        bytes.drain(..RECORD_HEADER_BYTES);
        Ok(Record { pos, object: header.object, leaf: header.leaf, previous: header.previous, bytes })
    }

    /// Damage in the segment that starts at `base`.
    pub(crate) fn damage(&self, base: u64, offset: u64, what: impl Into<String>) -> ReadError {
        let path = self.disk.describe(&segment_path(base));
        ReadError::Damaged(Damage { path, offset, what: what.into() })
    }

    fn failed(&self, base: u64, offset: u64, source: std::io::Error) -> DiskError {
        DiskError::at("read", &*self.disk, &segment_path(base), Some(offset))(source)
    }

    fn file(&self, base: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut files = self.open_files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = files.iter().position(|(open, _)| *open == base) {
            let found = files.remove(at);
            files.push(found.clone());
            return Ok(found.1);
        }
        let path = segment_path(base);
        let opened = self.disk.open(&path, OpenMode::Read);
        let file = opened.map_err(DiskError::at("open", &*self.disk, &path, None))?;
        if files.len() == OPEN_FILES_MAX {
            files.remove(0);
        }
        files.push((base, file.clone()));
        Ok(file)
    }
}

impl Clone for Segments {
    fn clone(&self) -> Self {
        Self::new(self.disk.clone(), self.bases.clone(), self.end)
    }
}

/// Whether these can be the fields of a record at `pos` in a segment that ends at `end`.
fn is_plausible(header: &RecordHeader, pos: RecordPos, end: u64) -> bool {
    header.len <= FRAME_BYTES_MAX
        && header.object < OBJECTS_MAX
        && header.previous.is_none_or(|previous| previous < pos)
        && pos.0 + RECORD_HEADER_BYTES as u64 + u64::from(header.len) <= end
}
