//! A disk that breaks as real ones do: for tests and the simulator.
//!
//! It keeps what programs see apart from what is durable. [`FaultyDisk::survivor`] is the disk as it comes up after
//! the power went: of what was not flushed, each sector and each name is there or not, as the seed decides.

mod image;
mod random;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::image::{Image, NameChange};
use self::random::Random;
use super::{Disk, DiskEntry, DiskFile, LockError, LockGuard, OpenMode, parent, read_from};

/// What is to go wrong, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The power goes during this operation, counted from 0 over everything that writes, names or flushes.
    pub crash_at: Option<u64>,
    /// This flush fails, counted from 0. What it should have made durable is so in part, and never reported again.
    pub failing_sync_at: Option<u64>,
    /// The disk holds so many bytes and no more.
    pub bytes_max: Option<u64>,
}

/// A disk with seeded faults. Clones share it. The same seed, faults and calls give the same survivors.
#[derive(Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    image: Image,
    random: Random,
    faults: Faults,
    operations: u64,
    syncs: u64,
    crashed: bool,
    locks: Vec<String>,
}

impl FaultyDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self::with_image(Image::default(), Random::new(seed), faults)
    }

    /// The disk as it comes up after the power goes now: a new one, with faults of its own.
    #[must_use]
    pub fn survivor(&self, faults: Faults) -> Self {
        let state = &mut *self.state();
        let image = state.image.survivor(&mut state.random);
        let random = state.random.fork();
        Self::with_image(image, random, faults)
    }

    /// How many operations that write, name or flush have been asked for.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether the power has gone; every call fails from then on.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// Replaces what is to go wrong from here on; operations and flushes are counted from the start all the same.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Turns one bit of a file over, durably, as a failing medium does. It says whether there is such a bit.
    #[must_use]
    pub fn flip_bit(&self, path: &str, bit: u64) -> bool {
        self.state().image.flip_bit(path, bit)
    }

    fn with_image(image: Image, random: Random, faults: Faults) -> Self {
        let state =
            State { image, random, faults, operations: 0, syncs: 0, crashed: false, locks: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultyDisk {
    /// How far it has come, without what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut shown = f.debug_struct("FaultyDisk");
        shown
            .field("faults", &state.faults)
            .field("operations", &state.operations)
            .field("crashed", &state.crashed);
        shown.finish_non_exhaustive()
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(power_lost()) } else { Ok(()) }
    }

    /// Counts an operation and says whether the power goes during it.
    fn begin(&mut self) -> io::Result<()> {
        self.alive()?;
        self.crashed = self.faults.crash_at == Some(self.operations);
        self.operations += 1;
        Ok(())
    }

    /// Counts a flush and says whether it fails.
    fn begin_sync(&mut self) -> io::Result<bool> {
        self.begin()?;
        self.alive()?;
        let fails = self.faults.failing_sync_at == Some(self.syncs);
        self.syncs += 1;
        Ok(fails)
    }

    fn change_name(&mut self, change: NameChange) -> io::Result<()> {
        self.begin()?;
        self.image.change_name(change);
        self.alive()
    }

    fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.begin()?;
        let room = self.faults.bytes_max.map_or(u64::MAX, |max| max.saturating_sub(self.image.used()));
        let fits = self.image.fits(inode, offset, bytes.len(), room);
        self.image.write(inode, offset, bytes.get(..fits).unwrap_or(bytes))?;
        self.alive()?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn power_lost() -> io::Error {
    io::Error::other("the power is gone")
}

fn failed_flush() -> io::Error {
    io::Error::other("the device reported an error while flushing")
}

impl Disk for FaultyDisk {
    fn describe(&self, path: &str) -> String {
        format!("faulty:{path}")
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        let mut dirs = Vec::new();
        let mut dir = path;
        while !dir.is_empty() {
            dirs.push(dir.to_owned());
            dir = parent(dir);
        }
        for path in dirs.into_iter().rev() {
            if !state.image.has_dir(&path) {
                state.change_name(NameChange::Dir { path })?;
            }
        }
        Ok(())
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.alive()?;
        let inode = match (state.image.find(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (Some(inode), OpenMode::Read | OpenMode::Write) => inode,
            (Some(inode), OpenMode::Replace) => {
                state.begin()?;
                state.image.set_len(inode, 0)?;
                state.alive()?;
                inode
            }
            (None, OpenMode::CreateNew | OpenMode::Replace) => {
                if !state.image.has_dir(parent(path)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = state.image.new_inode();
                state.change_name(NameChange::Link { path: path.to_owned(), inode })?;
                inode
            }
        };
        Ok(Arc::new(FaultyFile { disk: self.clone(), inode }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>> {
        let state = self.state();
        state.alive()?;
        if state.image.has_dir(dir) { Ok(state.image.list(dir)) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        let inode = state.image.find(from).ok_or(io::ErrorKind::NotFound)?;
        if !state.image.has_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        state.image.find(path).ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Unlink { path: path.to_owned() })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let state = &mut *self.state();
        if state.begin_sync()? {
            return Err(failed_flush());
        }
        state.image.sync_dir(dir);
        Ok(())
    }

    fn lock(&self, path: &str) -> Result<LockGuard, LockError> {
        let mut state = self.state();
        state.alive()?;
        if state.locks.iter().any(|held| held == path) {
            return Err(LockError::Held { pid: Some(std::process::id()) });
        }
        state.locks.push(path.to_owned());
        Ok(LockGuard::new(Held { disk: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct Held {
    disk: FaultyDisk,
    path: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.state().locks.retain(|held| *held != self.path);
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    inode: u64,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        state.alive()?;
        Ok(read_from(state.image.content(self.inode), offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.state().write(self.inode, offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin()?;
        state.image.set_len(self.inode, len)?;
        state.alive()
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive()?;
        Ok(state.image.content(self.inode).len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.disk.state();
        if state.begin_sync()? {
            state.image.sync_badly(self.inode, &mut state.random);
            return Err(failed_flush());
        }
        state.image.sync(self.inode);
        Ok(())
    }
}
