//! What the tests share: a log with small segments, and commits that are easy to tell apart.

use std::sync::Arc;

use abide_store::merkle::leaf_hash;
use abide_store::{
    AppendError, Checkpoint, Commit, Disk, Entry, Log, LogOptions, LogReader, LogSigner, OpenError, OpenMode,
    Position, RecordPos, Recovery,
};

pub(crate) const ORIGIN: &str = "abide.example/host";

/// A record as the tests see it: its object and its bytes.
pub(crate) type Plain = (u32, Vec<u8>);

pub(crate) fn signer() -> LogSigner {
    LogSigner::new(ORIGIN, &[7; 32]).unwrap()
}

/// Segments of two kilobytes, so that a test sees several.
pub(crate) fn options() -> LogOptions {
    LogOptions { segment_bytes: 2048, ..LogOptions::new(signer()) }
}

pub(crate) fn create(disk: &(impl Disk + Clone + 'static)) -> Log {
    Log::create(Arc::new(disk.clone()), options()).unwrap()
}

pub(crate) fn open(disk: &(impl Disk + Clone + 'static)) -> Result<(Log, Recovery), OpenError> {
    Log::open(Arc::new(disk.clone()), options())
}

pub(crate) fn append(log: &mut Log, tick: u64, records: &[Plain]) -> Result<Checkpoint, AppendError> {
    let entries =
        records.iter().map(|(object, bytes)| Entry { object: *object, bytes, hash: leaf_hash(bytes) });
    log.append(Commit { tick, time: i64::try_from(tick).unwrap() * 1_000, entries })
}

/// Three records of two objects, about 300 bytes.
pub(crate) fn records(tick: u64) -> Vec<Plain> {
    (0..3).map(|i| (i % 2, format!("tick {tick}, record {i}, {}", "x".repeat(80)).into_bytes())).collect()
}

/// Appends ticks `from` to before `to`.
pub(crate) fn append_ticks(log: &mut Log, from: u64, to: u64) {
    for tick in from..to {
        append(log, tick, &records(tick)).unwrap();
    }
}

/// All that a log holds: the tick and the records of each frame.
pub(crate) fn content(log: &Log) -> Vec<(u64, Vec<Plain>)> {
    log.frames(Position::START).map(|frame| plain(&frame.unwrap())).collect()
}

/// All that a reader sees.
pub(crate) fn content_read(log: &LogReader) -> Vec<(u64, Vec<Plain>)> {
    log.frames(Position::START).map(|frame| plain(&frame.unwrap())).collect()
}

pub(crate) fn plain(frame: &abide_store::Frame) -> (u64, Vec<Plain>) {
    (frame.tick(), frame.records().map(|record| (record.object, record.bytes.to_vec())).collect())
}

/// What `append_ticks` wrote.
pub(crate) fn ticks(from: u64, to: u64) -> Vec<(u64, Vec<Plain>)> {
    (from..to).map(|tick| (tick, records(tick))).collect()
}

/// The paths of the segments.
pub(crate) fn segments(disk: &impl Disk) -> Vec<String> {
    disk.list("log").unwrap().into_iter().map(|entry| format!("log/{}", entry.name)).collect()
}

pub(crate) fn read_file(disk: &impl Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

pub(crate) fn write_file(disk: &impl Disk, path: &str, bytes: &[u8]) {
    disk.open(path, OpenMode::Replace).unwrap().write_at(0, bytes).unwrap();
}

/// Flips a bit of one byte of a file.
pub(crate) fn damage(disk: &impl Disk, path: &str, offset: u64) {
    let mut bytes = read_file(disk, path);
    bytes[usize::try_from(offset).unwrap()] ^= 0x10;
    write_file(disk, path, &bytes);
}

/// The offsets of a file at which frames start, by their magic.
pub(crate) fn frame_offsets(disk: &impl Disk, path: &str) -> Vec<u64> {
    let bytes = read_file(disk, path);
    (0..bytes.len()).step_by(8).filter(|at| bytes[*at..].starts_with(b"AbFr")).map(|at| at as u64).collect()
}

/// An object's records, oldest first, by walking its lineage back from its head.
pub(crate) fn lineage(log: &Log, head: Option<RecordPos>) -> Vec<Vec<u8>> {
    let Some(head) = head else { return Vec::new() };
    let mut records: Vec<_> = log.lineage(head).map(|record| record.unwrap().bytes).collect();
    records.reverse();
    records
}
