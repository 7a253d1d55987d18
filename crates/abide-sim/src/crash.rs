//! One crash point: a run that fails, what survives it, and the run that goes on.

use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::state::State;
use abide_host::{Host, HostError};
use abide_store::{AppendError, Faults, FaultyDisk, OpenError, SnapshotError};

use crate::drive::drive;
use crate::plan::{Fault, Plan};
use crate::reference::{Reached, Reference, files, log_bytes, open, records_of, verified_records};

/// What a crash point came to: the same for the same seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What went wrong.
    pub plan: Plan,
    /// How often the store was opened.
    pub openings: u32,
    /// Records that survived each failure, and those that had been acknowledged before it.
    pub survived: Vec<(usize, usize)>,
    /// Whether a flipped bit was found: by opening the store, or by verifying it.
    pub damage_found: Option<bool>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::new(format!("the host: {error}"))
    }
}

/// Runs the crash point of that seed, twice, and compares the two.
///
/// # Errors
/// The promise that was broken.
pub fn crash_point(seed: u64, reference: &Reference) -> Result<Outcome, Failure> {
    let first = run(seed, reference, true)?;
    // Signatures are verified once: the second time the same bytes are expected.
    let second = run(seed, reference, false)?;
    if first != second {
        return Err(Failure::new(format!("the seed does not decide the run: {first:?} and {second:?}")));
    }
    Ok(first)
}

fn run(seed: u64, reference: &Reference, verifies: bool) -> Result<Outcome, Failure> {
    let plan = Plan::new(seed, reference);
    let mut run = Run {
        reference,
        verifies,
        acknowledged: 0,
        commits: 0,
        outcome: Outcome { plan, openings: 0, survived: Vec::new(), damage_found: None },
    };
    run.play()?;
    Ok(run.outcome)
}

struct Run<'a> {
    reference: &'a Reference,
    verifies: bool,
    /// Records that the host said are durable.
    acknowledged: usize,
    commits: u64,
    outcome: Outcome,
}

impl Run<'_> {
    fn play(&mut self) -> Result<(), Failure> {
        let plan = self.outcome.plan.clone();
        let faults = match plan.fault {
            Fault::Crash { operation } => Faults { crash_at: Some(operation), ..Faults::default() },
            Fault::FailingFlush { flush } => Faults { failing_sync_at: Some(flush), ..Faults::default() },
            Fault::FullDisk { bytes } => Faults { bytes_max: Some(bytes), ..Faults::default() },
            Fault::FlippedBit { .. } => Faults::default(),
        };
        let mut disk = FaultyDisk::new(plan.seed, faults);
        if self.attempt(&disk)?.is_none() {
            disk = self.next_disk(&disk, plan.crash_again_at)?;
            if self.attempt(&disk)?.is_none() {
                disk = self.next_disk(&disk, None)?;
                if self.attempt(&disk)?.is_none() {
                    return Err(Failure::new("the host fails on a disk that works"));
                }
            }
        }
        if let Fault::FlippedBit { file, bit } = plan.fault {
            return self.flip(&disk, file, bit);
        }
        Ok(())
    }

    /// Opens the host, checks what it came upon, and runs it to the end. `None` when the disk failed before that.
    fn attempt(&mut self, disk: &FaultyDisk) -> Result<Option<()>, Failure> {
        self.outcome.openings += 1;
        let mut host = match open(disk, &self.reference.application) {
            Ok(host) => host,
            Err(error) => return is_fault_of(&error).map(|()| None),
        };
        self.check_opened(disk, &host)?;
        let overlaps = self.outcome.plan.overlaps;
        let Self { reference, acknowledged, commits, outcome, .. } = self;
        let mut after = |host: &mut Host| {
            *acknowledged = records(host);
            let snapshot = outcome.plan.snapshots.contains(commits);
            *commits += 1;
            if snapshot { host.snapshot() } else { Ok(()) }
        };
        let driven = drive(&mut host, &reference.application, &reference.history, overlaps, &mut after);
        match driven {
            Ok(()) => self.check_end(disk, &host).map(Some),
            Err(error) => is_fault_of(&error).map(|()| None),
        }
    }

    /// The disk that the next attempt runs on: what survives when the power goes, or the same disk, mended.
    fn next_disk(&self, disk: &FaultyDisk, crash_at: Option<u64>) -> Result<FaultyDisk, Failure> {
        let power_lost = disk.crashed() || self.outcome.plan.power_lost;
        if power_lost {
            return Ok(disk.survivor(Faults { crash_at, ..Faults::default() }));
        }
        let crash_at = crash_at.map(|operation| operation.saturating_add(disk.operations()));
        disk.set_faults(Faults { crash_at, ..Faults::default() });
        Ok(disk.clone())
    }

    /// What a host comes upon when it opens: all that was acknowledged, of the reference's log a beginning, and the state
    /// that it folds to.
    fn check_opened(&mut self, disk: &FaultyDisk, host: &Host) -> Result<(), Failure> {
        let records = if self.verifies { verified_records(disk)? } else { records_of(disk)? };
        let reached = self
            .reference
            .reached(&records)
            .filter(|_| log_bytes(disk).is_ok_and(|log| self.reference.log.starts_with(&log)));
        let Some(reached) = reached else {
            return Err(Failure::new("what survived is not the beginning of the run"));
        };
        if records.len() < self.acknowledged {
            let (has, had) = (records.len(), self.acknowledged);
            return Err(Failure::new(format!("{had} records were acknowledged, and {has} survived")));
        }
        self.outcome.survived.push((records.len(), self.acknowledged));
        // From here on they are all shown, so they must stay.
        self.acknowledged = records.len();
        same_state(host.engine(), reached, !self.outcome.plan.snapshots.is_empty())
    }

    fn check_end(&self, disk: &FaultyDisk, host: &Host) -> Result<(), Failure> {
        let records = records_of(disk)?;
        match self.reference.frames.last() {
            Some(last) if log_bytes(disk)? == self.reference.log => same_state(host.engine(), last, false),
            _ => {
                let at = records.iter().zip(&self.reference.records).position(|(a, b)| a != b);
                Err(Failure::new(format!("the run comes to another end: its records differ from {at:?} on")))
            }
        }
    }

    /// Turns a bit over in the store of a run that came to its end. Nothing may be altered unseen.
    fn flip(&mut self, disk: &FaultyDisk, file: u64, bit: u64) -> Result<(), Failure> {
        let files = files(disk)?;
        let at = usize::try_from(file.checked_rem(files.len() as u64).unwrap_or(0)).unwrap_or(0);
        let Some((path, len)) = files.get(at) else { return Err(Failure::new("the store has no files")) };
        let bit = bit.checked_rem(len * 8).unwrap_or(0);
        if !disk.flip_bit(path, bit) {
            return Err(Failure::new(format!("`{path}` has no bit {bit}")));
        }
        let found = self
            .is_found(disk)
            .map_err(|failure| Failure::new(format!("bit {bit} of `{path}`, {len} bytes long: {failure}")))?;
        self.outcome.damage_found = Some(found);
        Ok(())
    }

    /// Whether a flipped bit shows. Where it does not, nothing that is told may differ.
    fn is_found(&self, disk: &FaultyDisk) -> Result<bool, Failure> {
        let shows = verified_records(disk).is_err();
        match open(disk, &self.reference.application) {
            Err(
                HostError::Open(OpenError::Damaged(_) | OpenError::Newer { .. })
                | HostError::Fold { .. }
                | HostError::Read(_),
            ) => {
                return Ok(true);
            }
            Err(error) => return Err(Failure::new(format!("it is not called damage: {error}"))),
            Ok(host) => drop(host),
        }
        // What a crash can do to the last frame looks the same: that one may be gone, and no more.
        let frames = &self.reference.frames;
        let last_but_one = frames.iter().rev().nth(1).map_or(0, |frame| frame.records);
        match verified_records(disk) {
            Err(_) => Ok(true),
            Ok(records) if self.reference.reached(&records).is_none() => {
                Err(Failure::new("the log differs, and nobody says so"))
            }
            Ok(records) if records.len() < last_but_one => {
                Err(Failure::new(format!("{} records are left, and nobody says so", records.len())))
            }
            Ok(records) => Ok(shows || records.len() < self.reference.records.len()),
        }
    }
}

fn records(host: &Host) -> usize {
    host.log().checkpoint().map_or(0, |checkpoint| usize::try_from(checkpoint.size).unwrap_or(usize::MAX))
}

/// Whether an error is one that a failing disk may cause. Damage is not: nothing was flipped.
fn is_fault_of(error: &HostError) -> Result<(), Failure> {
    let expected = matches!(
        error,
        HostError::Append(AppendError::Full(_) | AppendError::Disk(_) | AppendError::Poisoned { .. })
            | HostError::Open(OpenError::Disk(_))
            | HostError::Snapshot(SnapshotError::Disk(_))
    );
    if expected { Ok(()) } else { Err(Failure::new(format!("the host fails: {error}"))) }
}

/// A host's state is what its log folds to. Only a snapshot may be ahead of the log, by what is counted and not recorded.
fn same_state(live: &Engine, folded: &Reached, may_be_ahead: bool) -> Result<(), Failure> {
    if live.host_lineage() != folded.host_lineage || live.objects().len() != folded.objects.len() {
        return Err(Failure::new("the host's own lineage is not the one that the log folds to"));
    }
    for (live, folded) in live.objects().iter().zip(&folded.objects) {
        let uncounted = |object: &Object| {
            let rules = if may_be_ahead { Vec::new() } else { object.state.rules.clone() };
            let own_denials = if may_be_ahead { Vec::new() } else { object.state.own_denials.clone() };
            let pending = if may_be_ahead { Vec::new() } else { object.state.pending.clone() };
            State { rules, own_denials, pending, ..object.state.clone() }
        };
        if (live.head, live.length) != (folded.head, folded.length) || uncounted(live) != uncounted(folded) {
            return Err(Failure::new(format!(
                "the state of `{}` is not the one that the log folds to",
                live.id
            )));
        }
    }
    if !may_be_ahead && live.snapshot() != folded.state {
        return Err(Failure::new("the state is not the one that the log folds to"));
    }
    Ok(())
}
