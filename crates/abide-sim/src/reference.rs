//! The run that nothing goes wrong in: what all others are held against.

use std::sync::Arc;

use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::record::Hash;
use abide_host::{Host, HostError};
use abide_store::{Disk as _, Faults, FaultyDisk, LogOptions, LogReader, OpenMode, Position};

use crate::application::Application;
use crate::crash::Failure;
use crate::drive::drive;
use crate::history::{Event, START, history};

/// How many crash points share a history.
pub const POINTS_PER_HISTORY: u64 = 100;

/// Segments are small here, so that a run has several.
const SEGMENT_BYTES: u64 = 8 * 1024;

/// A run to the end over a disk that works.
#[derive(Debug)]
pub struct Reference {
    pub(crate) application: Application,
    pub(crate) history: Vec<Event>,
    /// The log, byte by byte.
    pub(crate) log: Vec<u8>,
    /// The hash of each record, in the order of the log.
    pub(crate) records: Vec<Hash>,
    /// What the log comes to after each frame, folded without snapshots.
    pub(crate) frames: Vec<Reached>,
    /// Operations of the disk in all.
    pub(crate) operations: u64,
    /// Bytes that the store takes in the end.
    pub(crate) bytes: u64,
}

/// Where a log stands after a frame.
#[derive(Debug)]
pub(crate) struct Reached {
    /// How many records there are.
    pub(crate) records: usize,
    pub(crate) host_lineage: (u64, Hash),
    pub(crate) objects: Vec<Object>,
    /// The engine as bytes.
    pub(crate) state: Vec<u8>,
}

impl Reference {
    /// Runs the history of that seed.
    ///
    /// # Errors
    /// When the run fails without a fault, or its log is not sound.
    pub fn new(history_seed: u64) -> Result<Self, Failure> {
        let application = Application::load()?;
        let history = history(history_seed);
        let disk = FaultyDisk::new(0, Faults::default());
        let mut host = open(&disk, &application)?;
        drive(&mut host, &application, &history, false, &mut |_| Ok(()))?;
        let live = host.engine().snapshot();
        drop(host);
        let operations = disk.operations();
        let (log, records) = (log_bytes(&disk)?, verified_records(&disk)?);
        let frames = fold(&disk)?;
        if frames.last().is_none_or(|last| last.state != live || last.records != records.len()) {
            return Err(Failure::new("the live state is not the fold of the log"));
        }
        let bytes = files(&disk)?.iter().map(|(_, len)| len).sum();
        Ok(Self { application, history, log, records, frames, operations, bytes })
    }

    /// How many commits the run makes.
    pub(crate) fn commits(&self) -> u64 {
        u64::try_from(self.frames.len()).unwrap_or(u64::MAX)
    }

    /// Where the run stood when the log had just these records; `None` if it never had.
    pub(crate) fn reached(&self, records: &[Hash]) -> Option<&Reached> {
        let frame = self.frames.iter().find(|frame| frame.records == records.len())?;
        self.records.starts_with(records).then_some(frame)
    }
}

/// The host of the application, on that disk.
pub(crate) fn open(disk: &FaultyDisk, application: &Application) -> Result<Host, HostError> {
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::new(application.keys.signer()?) };
    Host::open_log(Arc::new(disk.clone()), options, &application.keys, true, START)
}

/// The hashes of all records of a disk's log.
pub(crate) fn records_of(disk: &FaultyDisk) -> Result<Vec<Hash>, Failure> {
    let mut records = Vec::new();
    for frame in reader(disk)?.frames(Position::START) {
        let frame = frame.map_err(|error| Failure::new(format!("reading a frame: {error}")))?;
        records.extend(frame.records().map(|record| Hash(record.hash())));
    }
    Ok(records)
}

/// The same of a log that must verify: every checksum, hash, link, root and signature.
pub(crate) fn verified_records(disk: &FaultyDisk) -> Result<Vec<Hash>, Failure> {
    let verified = reader(disk)?.verify().map_err(|error| Failure::new(format!("verifying: {error}")))?;
    if !verified.is_sound() {
        return Err(Failure::new(format!("the log does not verify: {:?}", verified.problems)));
    }
    let records = records_of(disk)?;
    if u64::try_from(records.len()).ok() != Some(verified.records) {
        return Err(Failure::new(format!("{} records verify, {} are read", verified.records, records.len())));
    }
    Ok(records)
}

/// The segments of a disk's log, one after another.
pub(crate) fn log_bytes(disk: &FaultyDisk) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for (path, len) in files(disk)?.iter().filter(|(path, _)| path.starts_with("log/")) {
        let read = |error| Failure::new(format!("reading `{path}`: {error}"));
        let start = bytes.len();
        bytes.resize(start + usize::try_from(*len).unwrap_or(0), 0);
        let file = disk.open(path, OpenMode::Read).map_err(read)?;
        file.read_at(0, bytes.get_mut(start..).unwrap_or_default()).map_err(read)?;
    }
    Ok(bytes)
}

/// What the log of a disk comes to, frame by frame, from its first record.
fn fold(disk: &FaultyDisk) -> Result<Vec<Reached>, Failure> {
    let mut engine: Option<Engine> = None;
    let mut frames = Vec::new();
    let mut records = 0;
    for frame in reader(disk)?.frames(Position::START) {
        let frame = frame.map_err(|error| Failure::new(format!("reading a frame: {error}")))?;
        for record in frame.records() {
            let step = match &mut engine {
                None => Engine::recover(record.bytes).map(|begun| engine = Some(begun)),
                Some(engine) => engine.fold(record.bytes, Hash(record.hash())),
            };
            step.map_err(|error| Failure::new(format!("record {}: {error}", record.leaf)))?;
            records += 1;
        }
        if let Some(engine) = &engine {
            let (host_lineage, objects) = (engine.host_lineage(), engine.objects().to_vec());
            frames.push(Reached { records, host_lineage, objects, state: engine.snapshot() });
        }
    }
    Ok(frames)
}

/// The files of a store: those of the log, and the snapshots.
pub(crate) fn files(disk: &FaultyDisk) -> Result<Vec<(String, u64)>, Failure> {
    let mut files = Vec::new();
    for dir in ["log", "snapshots"] {
        let entries = disk.list(dir).map_err(|error| Failure::new(format!("listing `{dir}`: {error}")))?;
        files.extend(entries.into_iter().map(|entry| (format!("{dir}/{}", entry.name), entry.len)));
    }
    Ok(files)
}

fn reader(disk: &FaultyDisk) -> Result<LogReader, Failure> {
    LogReader::open(Arc::new(disk.clone())).map_err(|error| Failure::new(format!("reading: {error}")))
}
