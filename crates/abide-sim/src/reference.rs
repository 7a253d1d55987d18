//! The run that nothing goes wrong in: what all others are held against.

use std::sync::Arc;

use abide_core::engine::Engine;
use abide_core::record::Hash;
use abide_host::{Host, HostError};
use abide_store::{Disk, Faults, FaultyDisk, LogOptions, LogReader, OpenMode, Position};
use sha2::{Digest as _, Sha256};

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
    /// The log, as it came to be.
    pub(crate) log: Folded,
    /// Operations of the disk in all.
    pub(crate) operations: u64,
    /// Bytes that the store takes in the end.
    pub(crate) bytes: u64,
}

/// A log, read back and folded without its snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    /// The hash of each record, in the order of the log.
    pub(crate) records: Vec<Hash>,
    /// After each frame: how many records there are, and the digest of the state that they come to.
    pub(crate) frames: Vec<(usize, [u8; 32])>,
}

impl Reference {
    /// Runs the history of that seed.
    ///
    /// # Errors
    /// When the run fails without a fault, or its log is not sound.
    pub fn new(history_seed: u64) -> Result<Self, Failure> {
        let application = Application::load().map_err(|unsound| Failure::new(format!("the application: {unsound:?}")))?;
        let history = history(history_seed);
        let disk = FaultyDisk::new(0, Faults::default());
        let mut host = open(&disk, &application)?;
        drive(&mut host, &application, &history, &mut |_| Ok(()))?;
        let live = host.engine().snapshot();
        drop(host);
        let operations = disk.operations();
        let (log, engine) = Folded::read(&disk)?;
        if engine.snapshot() != live {
            return Err(Failure::new("the live state is not the fold of the log"));
        }
        let bytes = stored_bytes(&disk)?;
        Ok(Self { application, history, log, operations, bytes })
    }

    /// How many commits the run makes.
    pub(crate) fn commits(&self) -> u64 {
        u64::try_from(self.log.frames.len()).unwrap_or(u64::MAX)
    }
}

/// The host of the application, on that disk.
pub(crate) fn open(disk: &FaultyDisk, application: &Application) -> Result<Host, HostError> {
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::new(application.keys.signer()?) };
    Host::open_log(Arc::new(disk.clone()), options, &application.keys, true, START)
}

impl Folded {
    /// Reads and verifies the log of a disk, and folds it from its first record.
    pub(crate) fn read(disk: &FaultyDisk) -> Result<(Self, Engine), Failure> {
        let reader = LogReader::open(Arc::new(disk.clone())).map_err(|error| Failure::new(format!("reading: {error}")))?;
        let verified = reader.verify().map_err(|error| Failure::new(format!("verifying: {error}")))?;
        if !verified.is_sound() {
            return Err(Failure::new(format!("the log does not verify: {:?}", verified.problems)));
        }
        let mut engine: Option<Engine> = None;
        let mut folded = Self { records: Vec::new(), frames: Vec::new() };
        for frame in reader.frames(Position::START) {
            let frame = frame.map_err(|error| Failure::new(format!("reading a frame: {error}")))?;
            for record in frame.records() {
                let hash = Hash(record.hash());
                let step = match &mut engine {
                    None => Engine::recover(record.bytes).map(|begun| engine = Some(begun)),
                    Some(engine) => engine.fold(record.bytes, hash),
                };
                step.map_err(|error| Failure::new(format!("record {}: {error}", record.leaf)))?;
                folded.records.push(hash);
            }
            let state = engine.as_ref().map(Engine::snapshot).unwrap_or_default();
            folded.frames.push((folded.records.len(), Sha256::digest(&state).into()));
        }
        if u64::try_from(folded.records.len()).ok() != Some(verified.records) {
            return Err(Failure::new(format!("{} records verify, {} are read", verified.records, folded.records.len())));
        }
        let engine = engine.ok_or_else(|| Failure::new("the log has no record"))?;
        Ok((folded, engine))
    }

    /// Whether this log is the beginning of another, to a whole frame.
    pub(crate) fn begins(&self, whole: &Self) -> bool {
        whole.records.starts_with(&self.records) && whole.frames.starts_with(&self.frames)
    }
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

fn stored_bytes(disk: &FaultyDisk) -> Result<u64, Failure> {
    let mut bytes = 0;
    for (path, _) in files(disk)? {
        let file = disk.open(&path, OpenMode::Read).map_err(|error| Failure::new(format!("`{path}`: {error}")))?;
        bytes += file.len().map_err(|error| Failure::new(format!("`{path}`: {error}")))?;
    }
    Ok(bytes)
}
