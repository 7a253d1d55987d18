//! Documents of scenarios: they load or are refused, and those that load are played.

use std::path::Path;

use abide_core::guest::NoGuest;
use abide_host::scenario::load;

use super::manifest::{check_reports, resolve, words};
use super::{Reached, Target, no_seeds};

pub(super) const TARGET: Target = Target { name: "scenario", run, seeds: no_seeds };

/// Most moments of a document that is played: between any two, years may pass at a tick a second.
const PLAYED_MAX: usize = 4;

fn run(bytes: &[u8]) -> Reached {
    let text = String::from_utf8_lossy(bytes);
    let (suite, reports) = load("test.yaml", &text, Path::new("/nowhere"), &resolve);
    check_reports(&reports);
    let suite = suite.filter(|suite| {
        suite.scenarios.iter().map(|scenario| scenario.moments.len()).sum::<usize>() <= PLAYED_MAX
    });
    let played = suite.map(|suite| {
        let outcomes = suite.run(&NoGuest, "");
        outcomes.iter().map(|outcome| outcome.differences.len()).collect::<Vec<_>>()
    });
    Reached::of(&(words(&reports), played))
}
