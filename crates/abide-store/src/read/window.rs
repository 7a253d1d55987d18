//! A window on a segment that moves forward: large reads for many small frames.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::DiskError;
use crate::format::{
    ALIGNMENT, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameFault, FrameHeader, FrameView, HeaderFault,
    SEGMENT_HEADER_BYTES_MAX, SegmentHeader, segment_path,
};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// A segment's file, and the part of it that was read last.
#[derive(Debug)]
pub(crate) struct Window {
    /// The segment's path as people name it.
    described: String,
    base: u64,
    file: Arc<dyn DiskFile>,
    start: u64,
    bytes: Vec<u8>,
}

/// What stands at a place of a segment.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Frame(FrameView<'a>),
    /// The file ends there.
    End,
    Fault(FrameFault),
}

impl Window {
    /// Opens the segment that starts at `base`.
    pub(crate) fn open(disk: &dyn Disk, base: u64) -> Result<Self, DiskError> {
        let path = segment_path(base);
        let file = disk.open(&path, OpenMode::Read).map_err(DiskError::at("open", disk, &path, None))?;
        Ok(Self { described: disk.describe(&path), base, file, start: 0, bytes: Vec::new() })
    }

    /// The segment's position in the log.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The segment's path as people name it.
    pub(crate) fn described(&self) -> &str {
        &self.described
    }

    /// The segment's header.
    pub(crate) fn header(&mut self) -> Result<Result<SegmentHeader, HeaderFault>, DiskError> {
        let base = self.base;
        let header = SegmentHeader::parse(self.get(0, SEGMENT_HEADER_BYTES_MAX)?);
        Ok(header.and_then(|header| {
            let elsewhere = HeaderFault::Invalid("the segment header belongs to another file");
            if header.base == base { Ok(header) } else { Err(elsewhere) }
        }))
    }

    /// What stands at `offset` of the file. It does not last: a frame being written grows.
    pub(crate) fn frame(&mut self, offset: u64) -> Result<Found<'_>, DiskError> {
        let position = self.base + offset;
        let start = self.get(offset, FRAME_HEADER_BYTES)?;
        if start.is_empty() {
            return Ok(Found::End);
        }
        let len = match FrameHeader::parse(start, position) {
            Ok(header) => usize::try_from(header.len).unwrap_or(usize::MAX),
            Err(fault) => return Ok(Found::Fault(fault)),
        };
        Ok(match FrameView::parse(self.get(offset, len)?, position) {
            Ok(frame) => Found::Frame(frame),
            Err(fault) => Found::Fault(fault),
        })
    }

    /// The offset of the first sound frame after `offset` that `is_genuine`, if there is any in this segment.
    pub(crate) fn frame_after(
        &mut self,
        offset: u64,
        is_genuine: impl Fn(&FrameView<'_>) -> bool,
    ) -> Result<Option<u64>, DiskError> {
        let mut at = offset + ALIGNMENT;
        loop {
            let bytes = self.get(at, READ_BYTES)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let len = bytes.len();
            let words = bytes.as_chunks::<8>().0.iter();
            let candidates: Vec<u64> = std::iter::successors(Some(at), |at| Some(at + ALIGNMENT))
                .zip(words)
                .filter(|(_, word)| word.starts_with(&FRAME_MAGIC))
                .map(|(candidate, _)| candidate)
                .collect();
            for candidate in candidates {
                if matches!(self.frame(candidate)?, Found::Frame(frame) if is_genuine(&frame)) {
                    return Ok(Some(candidate));
                }
            }
            if len < READ_BYTES {
                return Ok(None);
            }
            at += (len as u64).next_multiple_of(ALIGNMENT) - ALIGNMENT;
        }
    }

    /// The bytes from `offset`: at least `len`, unless the file ends before.
    fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], DiskError> {
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let held = skip.and_then(|skip| self.bytes.len().checked_sub(skip)).unwrap_or(0);
        if held >= len {
            return Ok(self.bytes.get(skip.unwrap_or(0)..).unwrap_or_default());
        }
        self.fill(offset, len)?;
        Ok(&self.bytes)
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<(), DiskError> {
        let failed = |source| DiskError {
            operation: "read",
            path: self.described.clone(),
            offset: Some(offset),
            source,
        };
        let left = self.file.size().map_err(failed)?.saturating_sub(offset);
        // A length that a damaged header states must not decide how much memory is taken.
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(len.max(READ_BYTES));
        self.bytes.resize(wanted, 0);
        let read = self.file.read_at(offset, &mut self.bytes).map_err(failed)?;
        self.bytes.truncate(read);
        self.start = offset;
        Ok(())
    }
}
