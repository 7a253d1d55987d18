//! One declared mutation an object each tick: typed, checked, chained, flushed once.

use std::io;
use std::path::Path;

use crate::append::BareAppend;
use crate::host::HostedObjects;
use crate::race::{self, Entry, Plan, Standings};
use crate::script::ChainScript;

/// The memory of an object is as large as it gets after so many ticks: its longest list is full.
const WARM_UP_TICKS: u32 = 24;

/// How much of a file is laid out at a time, in bytes.
const LAY_OUT_BY: u64 = 64 << 20;

/// Runs the race.
pub(crate) fn run(folder: &Path, objects: u32, quick: bool) -> io::Result<Standings> {
    let plan = if quick {
        Plan { warm_up_ticks: 2, rounds: 3, ticks: 2 }
    } else {
        Plan { warm_up_ticks: WARM_UP_TICKS, rounds: 9, ticks: 10 }
    };
    race::race(entries(folder, objects, plan.warm_up_ticks)?, plan)
}

fn entries(folder: &Path, objects: u32, warm_up_ticks: u32) -> io::Result<Vec<Entry>> {
    let mut hosted = HostedObjects::open(folder, objects)?;
    for _ in 0..warm_up_ticks {
        hosted.tick()?;
    }
    let batches = vec![hosted.batch()?, hosted.batch()?];
    let script = ChainScript::start(folder, objects)?;
    let append = BareAppend::new(folder, batches.clone(), 0)?;
    let laid_out = BareAppend::new(folder, batches, LAY_OUT_BY)?;
    Ok(vec![
        Entry { contestant: Box::new(hosted), at_least: None },
        Entry { contestant: Box::new(script), at_least: Some(4.0) },
        Entry { contestant: Box::new(append), at_least: Some(0.4) },
        Entry { contestant: Box::new(laid_out), at_least: None },
    ])
}
