//! One declared mutation an object each tick: typed, checked, chained, flushed once.

use std::io;
use std::path::Path;

use crate::append::{BareAppend, Batch};
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
    race::race(entries(folder, objects)?, plan)
}

fn entries(folder: &Path, objects: u32) -> io::Result<Vec<Entry>> {
    let batches: Vec<Batch> = (0..2).map(|tick| sample(objects, tick)).collect();
    let script = ChainScript::start(folder, objects)?;
    let append = BareAppend::new(folder, batches.clone(), 0)?;
    let laid_out = BareAppend::new(folder, batches, LAY_OUT_BY)?;
    Ok(vec![
        Entry { contestant: Box::new(script), at_least: None },
        Entry { contestant: Box::new(append), at_least: None },
        Entry { contestant: Box::new(laid_out), at_least: None },
    ])
}

/// Records of about the size that such a mutation has: a link, arguments, and a list of 24 numbers.
fn sample(objects: u32, tick: u32) -> Batch {
    const RECORD_BYTES: usize = 330;
    Batch::of((0..objects).map(|object| {
        let seed = u64::from(object) << 32 | u64::from(tick);
        let words = (0..).map(|n: u64| (seed ^ n.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        words.flat_map(u64::to_be_bytes).take(RECORD_BYTES).collect::<Vec<u8>>()
    }))
}
