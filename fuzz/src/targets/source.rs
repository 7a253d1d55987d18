//! Sources: every line of a file is a reading or a problem, and the readings can be taken up again anywhere.

use std::path::Path;
use std::sync::OnceLock;

use abide_host::manifest::{Manifest, load};
use abide_host::source::{Replay, Source};

use super::manifest::resolve;
use super::{Reached, Target, no_seeds};

pub(super) const CSV: Target = Target { name: "csv", run: |bytes| run(bytes, 0), seeds: no_seeds };
pub(super) const JSON_LINES: Target = Target { name: "jsonl", run: |bytes| run(bytes, 1), seeds: no_seeds };

/// A source of CSV and one of JSON lines into one object.
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let text = include_str!("sources.yaml");
        let loaded = load(Manifest { file: "app.yaml", text, base: Path::new("/nowhere") }, &resolve);
        loaded.application.map(|application| application.sources).unwrap_or_default()
    })
}

fn run(bytes: &[u8], n: usize) -> Reached {
    let sources = sources().get(n..=n).unwrap_or_default();
    assert_eq!(sources.len(), 1, "the sources do not load");
    let mut replay = match Replay::of(sources, vec![bytes.to_vec()]) {
        Ok(replay) => replay,
        Err(errors) => return Reached::of(&errors.iter().map(ToString::to_string).collect::<Vec<_>>()),
    };
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let readings = replay.len();
    let mut middle = replay.cursor();
    let mut taken = 0;
    let mut before = replay.next_time();
    while let Some(reading) = replay.next() {
        assert!(before.is_none_or(|before| before <= reading.time), "readings go back in time");
        before = Some(reading.time);
        taken += 1;
        if taken * 2 <= readings {
            middle = replay.cursor();
        }
    }
    let problems = usize::try_from(replay.problems().count).unwrap_or(usize::MAX);
    assert!(
        taken <= readings && taken.saturating_add(problems) <= lines.saturating_mul(2),
        "lines are read twice"
    );
    assert!(replay.resume(&middle).is_ok(), "the readings cannot be taken up again at {middle:?}");
    let first: Vec<_> = replay.problems().first.iter().map(|problem| &problem.message).take(2).collect();
    Reached::of(&(first, taken.min(2)))
}
