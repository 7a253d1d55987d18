//! What the log comes to at a position: all that an append builds on.

use std::fmt;

use crate::format::{FrameView, OBJECTS_MAX, RecordPos};
use crate::merkle::{Frontier, Hash, leaf_hash};

/// The log up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    /// Where the next frame starts, or the next segment.
    pub(crate) position: u64,
    /// Where the last frame starts.
    pub(crate) last_frame: Option<u64>,
    /// The tick of the last frame.
    pub(crate) tick: u64,
    /// The time of the last frame.
    pub(crate) time: i64,
    pub(crate) frontier: Frontier,
    pub(crate) heads: Heads,
}

/// Where the last record of each object starts, by the object's number.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    /// 0 stands for none.
    positions: Vec<u64>,
}

/// In what a sound frame contradicts the log before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("records before the frame there are missing")]
    Leaf,
    #[error("a record there names another record before it than its object has")]
    Previous,
    #[error("the records up to there do not have the root that the frame states: some were altered")]
    Root,
}

impl LogState {
    /// Appends a frame that was read, after checking all that it says of the log; hashes every record.
    pub(crate) fn admit(&mut self, frame: &FrameView<'_>) -> Result<(), Contradiction> {
        if frame.header.first_leaf != self.frontier.size() {
            return Err(Contradiction::Leaf);
        }
        for (pos, record, bytes) in frame.records() {
            if self.heads.replace(record.object, pos) != record.previous {
                return Err(Contradiction::Previous);
            }
            self.frontier.push(leaf_hash(bytes));
        }
        if self.frontier.root() != frame.root {
            return Err(Contradiction::Root);
        }
        self.position = frame.header.end();
        self.last_frame = Some(frame.header.position);
        self.tick = frame.header.tick;
        self.time = frame.header.time;
        Ok(())
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }
}

impl fmt::Debug for Heads {
    /// How many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} heads", self.positions.len())
    }
}

impl Heads {
    /// The heads that a file holds.
    pub(crate) fn from_stored(positions: Vec<u64>) -> Self {
        Self { positions }
    }

    /// One number for each object, 0 for those without a record.
    pub(crate) fn stored(&self) -> &[u64] {
        &self.positions
    }

    /// Where the object's last record starts.
    pub(crate) fn get(&self, object: u32) -> Option<RecordPos> {
        let stored = self.positions.get(usize::try_from(object).ok()?)?;
        RecordPos::from_stored(*stored)
    }

    /// Sets where the object's last record starts, and gives where the one before it does.
    pub(crate) fn replace(&mut self, object: u32, pos: RecordPos) -> Option<RecordPos> {
        debug_assert!(object < OBJECTS_MAX, "numbers are checked where they come in");
        let index = usize::try_from(object).ok()?;
        if index >= self.positions.len() {
            self.positions.resize(index + 1, 0);
        }
        let stored = self.positions.get_mut(index)?;
        RecordPos::from_stored(std::mem::replace(stored, pos.0))
    }

    /// Puts an object's last record back to what it was.
    pub(crate) fn restore(&mut self, object: u32, previous: Option<RecordPos>) {
        let stored = usize::try_from(object).ok().and_then(|index| self.positions.get_mut(index));
        if let Some(stored) = stored {
            *stored = previous.map_or(0, |previous| previous.0);
        }
    }
}
