//! The two faces of a disk: what programs see, and what is durable, with the changes that lie between them in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::super::{DiskEntry, name_in, parent, write_into};
use super::random::Random;

/// What a device writes whole or not at all, except where the power goes in the middle of one.
const SECTOR_BYTES: u64 = 512;

#[derive(Default)]
pub(super) struct Image {
    inodes: BTreeMap<u64, Inode>,
    seen: Names,
    durable: Names,
    pending: Vec<NameChange>,
}

#[derive(Clone, Default)]
struct Names {
    dirs: BTreeSet<String>,
    files: BTreeMap<String, u64>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Dir { path: String },
    Link { path: String, inode: u64 },
    Unlink { path: String },
    Rename { from: String, to: String, inode: u64 },
}

#[derive(Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// What becomes of the changes to one file that were not flushed when the power went.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Kept,
    /// So many bytes arrived, in order.
    Prefix(u64),
    /// Each sector arrived or not.
    Sectors,
    /// Each sector arrived, or, where the file had none before, holds what somebody else left on the medium.
    Junk,
}

impl Image {
    pub(super) fn find(&self, path: &str) -> Option<u64> {
        self.seen.files.get(path).copied()
    }

    pub(super) fn has_dir(&self, dir: &str) -> bool {
        self.seen.has_dir(dir)
    }

    pub(super) fn list(&self, dir: &str) -> Vec<DiskEntry> {
        let named = self.seen.files.iter().filter_map(|(path, inode)| Some((name_in(path, dir)?, *inode)));
        named
            .map(|(name, inode)| DiskEntry { name: name.to_owned(), len: self.content(inode).len() as u64 })
            .collect()
    }

    pub(super) fn content(&self, inode: u64) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |inode| &inode.seen)
    }

    /// The bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.seen.files.values().map(|inode| self.content(*inode).len() as u64).sum()
    }

    /// How many of `len` bytes at `offset` can be written when the disk has `room` for growth.
    pub(super) fn fits(&self, inode: u64, offset: u64, len: usize, room: u64) -> usize {
        let end_max = (self.content(inode).len() as u64).saturating_add(room);
        usize::try_from(end_max.saturating_sub(offset)).map_or(len, |room| room.min(len))
    }

    pub(super) fn new_inode(&mut self) -> u64 {
        let inode = self.inodes.keys().next_back().map_or(0, |last| last + 1);
        self.inodes.insert(inode, Inode::default());
        inode
    }

    pub(super) fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inodes.entry(inode).or_default();
        inode.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
        write_into(&mut inode.seen, offset, bytes)
    }

    pub(super) fn set_len(&mut self, inode: u64, len: u64) -> io::Result<()> {
        let inode = self.inodes.entry(inode).or_default();
        inode.pending.push(Change::SetLen(len));
        inode.seen.resize(usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        Ok(())
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        self.seen.apply(&change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self, inode: u64) {
        let inode = self.inodes.entry(inode).or_default();
        for change in std::mem::take(&mut inode.pending) {
            change.survive(&mut inode.durable, 0, Fate::Kept, 0, &mut Random::new(0));
        }
    }

    /// A flush that fails: the changes arrive in part, and as on Linux nothing remembers that they should have.
    pub(super) fn sync_badly(&mut self, inode: u64, random: &mut Random) {
        let inode = self.inodes.entry(inode).or_default();
        inode.durable = inode.survivor(random);
        inode.pending.clear();
    }

    pub(super) fn sync_dir(&mut self, dir: &str) {
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let here = change.is_in(dir);
            if here {
                durable.apply(change);
            }
            !here
        });
    }

    pub(super) fn flip_bit(&mut self, path: &str, bit: u64) -> bool {
        let Some(inode) = self.find(path).and_then(|inode| self.inodes.get_mut(&inode)) else { return false };
        let Ok(at) = usize::try_from(bit / 8) else { return false };
        let mask = 1_u8 << (bit % 8);
        let mut flipped = false;
        for content in [&mut inode.seen, &mut inode.durable] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= mask;
                flipped = true;
            }
        }
        flipped
    }

    /// What the disk holds when it comes up after the power went.
    pub(super) fn survivor(&self, random: &mut Random) -> Self {
        let mut names = self.durable.clone();
        for change in &self.pending {
            if random.coin() {
                names.apply(change);
            }
        }
        let dirs = names.dirs.clone();
        names.files.retain(|path, _| parent(path).is_empty() || dirs.contains(parent(path)));
        let mut inodes = BTreeMap::new();
        for (number, inode) in &self.inodes {
            let content = inode.survivor(random);
            inodes.insert(*number, Inode { seen: content.clone(), durable: content, pending: Vec::new() });
        }
        Self { inodes, seen: names.clone(), durable: names, pending: Vec::new() }
    }
}

impl Names {
    fn has_dir(&self, dir: &str) -> bool {
        dir.is_empty() || self.dirs.contains(dir)
    }

    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Dir { path } => {
                self.dirs.insert(path.clone());
            }
            NameChange::Link { path, inode } => {
                self.files.insert(path.clone(), *inode);
            }
            NameChange::Unlink { path } => {
                self.files.remove(path);
            }
            NameChange::Rename { from, to, inode } => {
                self.files.remove(from);
                self.files.insert(to.clone(), *inode);
            }
        }
    }
}

impl NameChange {
    fn is_in(&self, dir: &str) -> bool {
        match self {
            Self::Dir { path } | Self::Link { path, .. } | Self::Unlink { path } => parent(path) == dir,
            Self::Rename { from, to, .. } => parent(from) == dir || parent(to) == dir,
        }
    }
}

impl Inode {
    fn survivor(&self, random: &mut Random) -> Vec<u8> {
        let written: u64 = self.pending.iter().map(Change::bytes).sum();
        let fate = match random.below(6) {
            0 => Fate::Lost,
            1 => Fate::Kept,
            2 | 3 => Fate::Prefix(random.below(written + 1)),
            4 => Fate::Sectors,
            _ => Fate::Junk,
        };
        let mut content = self.durable.clone();
        let mut before = 0;
        for change in &self.pending {
            change.survive(&mut content, self.durable.len() as u64, fate, before, random);
            before += change.bytes();
        }
        // The new length may be durable although the bytes are not: they read as zeros.
        if !matches!(fate, Fate::Lost) && self.seen.len() > content.len() && random.coin() {
            content.resize(self.seen.len(), 0);
        }
        content
    }
}

impl Change {
    fn bytes(&self) -> u64 {
        match self {
            Self::Write { bytes, .. } => bytes.len() as u64,
            Self::SetLen(_) => 0,
        }
    }

    /// Applies what arrives of this change to a file that had `durable` bytes; `before` bytes were written by the changes
    /// ahead of it.
    fn survive(&self, content: &mut Vec<u8>, durable: u64, fate: Fate, before: u64, random: &mut Random) {
        match self {
            Self::SetLen(len) => {
                let arrives = match fate {
                    Fate::Lost => false,
                    Fate::Kept => true,
                    Fate::Prefix(bytes) => before < bytes,
                    Fate::Sectors | Fate::Junk => random.coin(),
                };
                if let (true, Ok(len)) = (arrives, usize::try_from(*len)) {
                    content.resize(len, 0);
                }
            }
            Self::Write { offset, bytes } => {
                let mut done = 0_u64;
                for piece in sectors(*offset, bytes) {
                    // A sector that was durable already is never lost, only overwritten or not.
                    let fate = if matches!(fate, Fate::Junk) && offset + done < durable {
                        Fate::Sectors
                    } else {
                        fate
                    };
                    let kept = piece_that_arrives(piece, fate, before + done, random);
                    if !kept.is_empty() {
                        // A file too large for memory cannot have come this far.
                        let _ = write_into(content, offset + done, &kept);
                    }
                    done += piece.len() as u64;
                }
            }
        }
    }
}

/// What is written of a piece whose first byte is number `at` of all that was not flushed.
fn piece_that_arrives(piece: &[u8], fate: Fate, at: u64, random: &mut Random) -> Vec<u8> {
    match fate {
        Fate::Lost => Vec::new(),
        Fate::Kept => piece.to_vec(),
        Fate::Prefix(bytes) => {
            let arrived = usize::try_from(bytes.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
            piece.get(..arrived).unwrap_or_default().to_vec()
        }
        Fate::Sectors if random.coin() => piece.to_vec(),
        Fate::Sectors => Vec::new(),
        Fate::Junk if random.coin() => piece.to_vec(),
        Fate::Junk => piece.iter().map(|_| random.next().to_le_bytes()[0]).collect(),
    }
}

/// The pieces of a write, cut where the sectors of the medium are.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let to_boundary = usize::try_from(SECTOR_BYTES - offset % SECTOR_BYTES).unwrap_or(1).min(bytes.len());
    let (first, rest) = bytes.split_at(to_boundary);
    let whole = usize::try_from(SECTOR_BYTES).unwrap_or(1);
    std::iter::once(first).filter(|piece| !piece.is_empty()).chain(rest.chunks(whole))
}
