//! Checkpoints as signed notes: only what the host signed verifies.

use super::{Reached, Target};
use crate::sample::sample;

pub(super) const TARGET: Target = Target {
    name: "note",
    run,
    seeds: || sample().notes.iter().map(|note| note.as_bytes().to_vec()).collect(),
};

fn run(bytes: &[u8]) -> Reached {
    let note = String::from_utf8_lossy(bytes);
    let verified = sample().verifier.verify_note(&note);
    if verified.is_some() {
        let mut known = sample().notes.iter().map(|known| sample().verifier.verify_note(known));
        assert!(known.any(|known| known == verified), "a head verifies that was never signed");
    }
    Reached::of(&verified.is_some())
}
