//! The state that a snapshot holds: it restores or is refused, and what it restores is what it says.

use abide_core::engine::Engine;

use super::{Reached, Target};
use crate::sample::{fold, sample};

pub(super) const TARGET: Target = Target { name: "snapshot", run, seeds };

fn seeds() -> Vec<Vec<u8>> {
    let records = &sample().records;
    let folds =
        [2, records.len() / 2, records.len()].into_iter().filter_map(|n| fold(records.get(..n)?).ok());
    folds.map(|engine| engine.snapshot()).collect()
}

fn run(bytes: &[u8]) -> Reached {
    let restored = Engine::restore(bytes);
    Reached::of(&restored.map(|mut engine| {
        let _ = engine.next_due();
        let again = Engine::restore(&engine.snapshot()).map(|again| again.snapshot() == engine.snapshot());
        assert!(matches!(again, Ok(true)), "a restored state is not what its own snapshot restores");
    }))
}
