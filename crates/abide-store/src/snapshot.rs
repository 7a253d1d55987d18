//! Snapshots: the host's state at a position of the log, so that opening need not read all of it.
//!
//! A snapshot is a cache. It counts only where the log says the same: its last frame stands where the snapshot says,
//! with the root that the snapshot has. A damaged one is passed over.

use sha2::{Digest, Sha256};

use crate::disk::{Disk, OpenMode};
use crate::error::DiskError;
use crate::format::{
    FORMAT_VERSION, Fields, OBJECTS_MAX, Position, SNAPSHOT_DIR, TEMPORARY, number_in, snapshot_path,
};
use crate::log::{Heads, LogState};
use crate::merkle::{Frontier, Hash};
use crate::read::{Found, SegmentFile, Window};

const MAGIC: [u8; 8] = *b"ABIDESNP";
const CHECKSUM_BYTES: usize = 32;
/// How many snapshots are kept.
const KEPT: usize = 2;

/// What the caller put in a snapshot, and the place in the log it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state stands for all frames before this position.
    pub position: Position,
    /// The number of records before the position.
    pub size: u64,
    /// The tick of the last frame before the position; 0 if there is none.
    pub tick: u64,
    /// The caller's bytes.
    pub state: Vec<u8>,
}

/// The snapshots of a data folder, judged.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The newest that the log bears out.
    pub(crate) best: Option<(LogState, Snapshot)>,
    /// The files passed over.
    pub(crate) ignored: Vec<String>,
    /// The furthest position that an undamaged snapshot stands for, and its file: the log once reached that far.
    pub(crate) reached: Option<(u64, String)>,
}

/// Writes a snapshot and removes all but the newest two.
pub(crate) fn write(disk: &dyn Disk, log: &LogState, state: &[u8]) -> Result<(), DiskError> {
    let temporary = format!("{SNAPSHOT_DIR}/next{TEMPORARY}");
    let path = snapshot_path(Position(log.position));
    let at = |operation, path| DiskError::at(operation, disk, path, None);
    let file = disk.open(&temporary, OpenMode::Replace).map_err(at("create", &temporary))?;
    file.write_at(0, &encode(log, state)).map_err(at("write", &temporary))?;
    file.sync_data().map_err(at("flush", &temporary))?;
    disk.rename(&temporary, &path).map_err(at("name", &path))?;
    disk.sync_dir(SNAPSHOT_DIR).map_err(at("flush", SNAPSHOT_DIR))?;
    let named = list(disk)?;
    for old in named.iter().rev().skip(KEPT) {
        disk.remove(old).map_err(at("remove", old))?;
    }
    Ok(())
}

/// Removes all snapshots: those of a log that is no more.
pub(crate) fn remove_all(disk: &dyn Disk) -> Result<(), DiskError> {
    for path in list(disk)? {
        disk.remove(&path).map_err(DiskError::at("remove", disk, &path, None))?;
    }
    Ok(())
}

/// Reads the snapshots and holds them against the log.
pub(crate) fn judge(disk: &dyn Disk, files: &[SegmentFile]) -> Result<Judged, DiskError> {
    let mut judged = Judged::default();
    for path in list(disk)?.iter().rev() {
        let Some((log, state)) = read(disk, path)? else {
            judged.ignored.push(disk.describe(path));
            continue;
        };
        if judged.reached.as_ref().is_none_or(|(reached, _)| *reached < log.position) {
            judged.reached = Some((log.position, disk.describe(path)));
        }
        if judged.best.is_some() {
            continue;
        }
        if is_borne_out(disk, files, &log)? {
            let (position, size, tick) = (Position(log.position), log.frontier.size(), log.tick);
            judged.best = Some((log, Snapshot { position, size, tick, state }));
        } else {
            judged.ignored.push(disk.describe(path));
        }
    }
    Ok(judged)
}

/// Whether the log has the snapshot's last frame where the snapshot says, with its root, and signed.
fn is_borne_out(disk: &dyn Disk, files: &[SegmentFile], log: &LogState) -> Result<bool, DiskError> {
    let Some(last_frame) = log.last_frame else { return Ok(false) };
    let holds = |file: &&SegmentFile| file.base < last_frame && last_frame < file.end();
    let Some(file) = files.iter().rev().find(holds) else { return Ok(false) };
    let mut window = Window::open(disk, file.base)?;
    let Ok(header) = window.header()? else { return Ok(false) };
    let Found::Frame(frame) = window.frame(last_frame - file.base)? else { return Ok(false) };
    Ok(frame.header.end() == log.position
        && frame.header.tick == log.tick
        && frame.header.time == log.time
        && frame.size() == log.frontier.size()
        && frame.root == log.root()
        && header.verifier.verify(frame.size(), &frame.root, &frame.signature))
}

/// The paths of the snapshots, the oldest first; none if there is no folder.
fn list(disk: &dyn Disk) -> Result<Vec<String>, DiskError> {
    let entries = match disk.list(SNAPSHOT_DIR) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(DiskError::at("list", disk, SNAPSHOT_DIR, None))?,
    };
    let positions = entries.iter().filter_map(|entry| number_in(&entry.name, "snap"));
    Ok(positions.map(|position| snapshot_path(Position(position))).collect())
}

/// Reads a snapshot, or `None` if it is not one, is damaged, or is gone again.
fn read(disk: &dyn Disk, path: &str) -> Result<Option<(LogState, Vec<u8>)>, DiskError> {
    let at = |operation| DiskError::at(operation, disk, path, None);
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at("open"))?,
    };
    let len = usize::try_from(file.size().map_err(at("read"))?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let read = file.read_at(0, &mut bytes).map_err(at("read"))?;
    bytes.truncate(read);
    Ok(decode(&bytes))
}

fn encode(log: &LogState, state: &[u8]) -> Vec<u8> {
    let (subtrees, heads) = (log.frontier.subtrees(), log.heads.stored());
    let mut out = Vec::with_capacity(128 + 32 * subtrees.len() + 8 * heads.len() + state.len());
    out.extend(MAGIC);
    out.extend(FORMAT_VERSION.to_le_bytes());
    out.extend(u32::try_from(heads.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(log.position.to_le_bytes());
    out.extend(log.last_frame.unwrap_or(0).to_le_bytes());
    out.extend(log.tick.to_le_bytes());
    out.extend(log.time.to_le_bytes());
    out.extend(log.frontier.size().to_le_bytes());
    out.extend(subtrees.as_flattened());
    out.extend(heads.iter().flat_map(|head| head.to_le_bytes()));
    out.extend((state.len() as u64).to_le_bytes());
    out.extend(state);
    let checksum: Hash = Sha256::digest(&out).into();
    out.extend(checksum);
    out
}

fn decode(bytes: &[u8]) -> Option<(LogState, Vec<u8>)> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let computed: Hash = Sha256::digest(content).into();
    let mut fields = Fields::new(content);
    if computed != *checksum || fields.array() != Some(MAGIC) || fields.u32() != Some(FORMAT_VERSION) {
        return None;
    }
    let objects = fields.u32().filter(|objects| *objects <= OBJECTS_MAX)?;
    let (position, last_frame) = (fields.u64()?, fields.u64()?);
    let (tick, time, size) = (fields.u64()?, fields.i64()?, fields.u64()?);
    let subtrees = (0..size.count_ones()).map(|_| fields.array()).collect::<Option<_>>()?;
    let heads = (0..objects).map(|_| fields.u64()).collect::<Option<_>>()?;
    let state_len = usize::try_from(fields.u64()?).ok()?;
    let state = fields.bytes(state_len)?.to_vec();
    let log = LogState {
        position,
        last_frame: (last_frame != 0).then_some(last_frame),
        tick,
        time,
        frontier: Frontier::from_parts(size, subtrees)?,
        heads: Heads::from_stored(heads),
    };
    fields.rest().is_empty().then_some((log, state))
}
