//! A record folded onto a lineage, as the verifier of a bundle and the recovery of a log do: it follows, or it is refused.

use std::sync::OnceLock;

use abide_core::engine::Engine;
use abide_core::record::Hash;

use super::{Reached, Target};
use crate::sample::{fold, sample};

pub(super) const TARGET: Target = Target { name: "fold", run, seeds };

/// The first byte says how much of the sample goes before: after so many records, the next one follows.
fn seeds() -> Vec<Vec<u8>> {
    let records = sample().records.iter().zip(0_u8..);
    records.map(|(record, before)| [&[before], record.as_slice()].concat()).collect()
}

/// The engine after each number of records, as bytes; none after none.
fn states() -> &'static [Option<Vec<u8>>] {
    static STATES: OnceLock<Vec<Option<Vec<u8>>>> = OnceLock::new();
    STATES.get_or_init(|| {
        let counts = 0..sample().records.len();
        let records = |n| sample().records.get(..n).unwrap_or_default();
        counts.map(|n| fold(records(n)).ok().map(|engine| engine.snapshot())).collect()
    })
}

fn run(bytes: &[u8]) -> Reached {
    let Some((before, record)) = bytes.split_first() else { return Reached::of(&"nothing") };
    let Some(Some(state)) = states().get(usize::from(*before)) else {
        return Reached::of(&Engine::recover(record).map(drop).map_err(|error| error.to_string()));
    };
    let Ok(mut engine) = Engine::restore(state) else { return Reached::of(&"not restored") };
    let folded = engine.fold(record, Hash::of_record(record));
    let _ = engine.next_due();
    let snapshot = engine.snapshot();
    let restored = Engine::restore(&snapshot).map(|engine| engine.snapshot());
    assert!(
        restored.is_ok_and(|again| again == snapshot),
        "what was folded is not what its snapshot restores"
    );
    Reached::of(&folded.map_err(|error| error.to_string()))
}
