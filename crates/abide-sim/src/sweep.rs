//! Many crash points, on all cores.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::crash::{Failure, Outcome, crash_point};
use crate::plan::{Fault, Plan};
use crate::reference::Reference;

/// How many of what the crash points of a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By kind of fault.
    pub faults: BTreeMap<&'static str, u64>,
    /// Runs whose store had to be opened more than once.
    pub recovered: u64,
    /// Runs in which a frame that nobody had acknowledged survived.
    pub unacknowledged_survived: u64,
    /// Flipped bits that were found, of those in the log.
    pub damage_found: u64,
}

/// Runs the crash points of so many seeds from `seed` on. `told` hears of each.
///
/// # Errors
/// The first promise found broken, and the seed that breaks it.
pub fn sweep(seed: u64, points: u64, told: &(dyn Fn(&Outcome) + Sync)) -> Result<Tally, (u64, Failure)> {
    let end = seed.saturating_add(points);
    let next = AtomicU64::new(Plan::history_seed(seed));
    let tally = Mutex::new(Tally::default());
    let failed: Mutex<Option<(u64, Failure)>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let history = next.fetch_add(1, Ordering::Relaxed);
            let seeds = Plan::seeds_of(history);
            if seeds.start >= end {
                return;
            }
            let ran =
                run_history(history, seeds.start.max(seed)..seeds.end.min(end), &stop, &mut |outcome| {
                    tally.lock().unwrap_or_else(PoisonError::into_inner).count(outcome);
                    told(outcome);
                });
            if let Err(failure) = ran {
                stop.store(true, Ordering::Relaxed);
                let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(seed, _)| failure.0 < *seed) {
                    *first = Some(failure);
                }
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

fn run_history(
    history: u64,
    seeds: std::ops::Range<u64>,
    stop: &AtomicBool,
    told: &mut dyn FnMut(&Outcome),
) -> Result<(), (u64, Failure)> {
    let reference = Reference::new(history).map_err(|failure| (seeds.start, failure))?;
    for seed in seeds {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        told(&crash_point(seed, &reference).map_err(|failure| (seed, failure))?);
    }
    Ok(())
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *self.faults.entry(kind(&outcome.plan.fault)).or_default() += 1;
        self.recovered += u64::from(outcome.openings > 1);
        let more = outcome
            .survived
            .iter()
            .any(|(survived, acknowledged)| survived > acknowledged && *acknowledged > 0);
        self.unacknowledged_survived += u64::from(more);
        self.damage_found += u64::from(outcome.damage_found == Some(true));
    }
}

fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Crash { .. } => "crash",
        Fault::FailingFlush { .. } => "failing flush",
        Fault::FullDisk { .. } => "full disk",
        Fault::FlippedBit { .. } => "flipped bit",
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.faults {
            writeln!(f, "{count:>8} {kind}")?;
        }
        writeln!(f, "{:>8} recovered", self.recovered)?;
        writeln!(
            f,
            "{:>8} with a frame that was written but not acknowledged",
            self.unacknowledged_survived
        )?;
        write!(f, "{:>8} flipped bits found", self.damage_found)
    }
}
