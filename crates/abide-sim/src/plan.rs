//! What goes wrong in one run, and when: a seed decides it.

use crate::random::Random;
use crate::reference::{POINTS_PER_HISTORY, Reference};

/// What one seed asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides the faulty disk, and everything below.
    pub seed: u64,
    /// What goes wrong first.
    pub fault: Fault,
    /// After each such commit, counted from 0, a snapshot is written.
    pub snapshots: Vec<u64>,
    /// Whether flushes overlap with the next tick.
    pub overlaps: bool,
    /// The power goes again during this operation of the recovery or of what follows it.
    pub crash_again_at: Option<u64>,
    /// After a fault that leaves the machine up, whether the power goes, too.
    pub power_lost: bool,
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes during this operation.
    Crash {
        /// Counted from 0 over everything that writes, names or flushes.
        operation: u64,
    },
    /// This flush fails.
    FailingFlush {
        /// Counted from 0.
        flush: u64,
    },
    /// The disk holds so many bytes and no more.
    FullDisk {
        /// How many.
        bytes: u64,
    },
    /// The run comes to its end; then a bit of the store turns over.
    FlippedBit {
        /// Which file, and which bit of it; both wrap round.
        file: u64,
        /// See `file`.
        bit: u64,
    },
}

impl Plan {
    /// The seed of the history that a crash point belongs to.
    #[must_use]
    pub fn history_seed(seed: u64) -> u64 {
        seed / POINTS_PER_HISTORY
    }

    /// The seeds of the crash points that share a history.
    #[must_use]
    pub fn seeds_of(history_seed: u64) -> std::ops::Range<u64> {
        let first = history_seed.saturating_mul(POINTS_PER_HISTORY);
        first..first.saturating_add(POINTS_PER_HISTORY)
    }

    /// The plan of a seed, for a history that ran without faults before.
    #[must_use]
    pub fn new(seed: u64, reference: &Reference) -> Self {
        let mut random = Random::new(seed);
        let fault = match random.below(16) {
            0..=8 => Fault::Crash { operation: random.below(reference.operations) },
            9..=11 => Fault::FailingFlush { flush: random.below(reference.commits()) },
            12 | 13 => Fault::FullDisk { bytes: random.below(reference.bytes) },
            _ => Fault::FlippedBit { file: random.next(), bit: random.next() },
        };
        let mut snapshots = Vec::new();
        while random.one_in(2) {
            snapshots.push(random.below(reference.commits()));
        }
        let soon = if random.one_in(2) { 12 } else { reference.operations };
        let crash_again_at = random.one_in(3).then(|| random.below(soon));
        let power_lost = random.one_in(2);
        let overlaps = random.one_in(2);
        Self { seed, fault, snapshots, overlaps, crash_again_at, power_lost }
    }
}
