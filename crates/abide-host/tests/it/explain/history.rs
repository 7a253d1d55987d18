//! Replay: the fold, up to any place, and the rules run again.

use abide_host::history::{At, differences, replay};
use serde_json::json;

use super::scenario::{Run, all, at, family, faulty, lamp, sleeper, spender};

fn agree(name: &str, run: &Run) {
    let view = run.view();
    for object in view.engine().objects() {
        let done = replay(&view, object, None, true).unwrap();
        assert_eq!(done.problems, [], "{name}: {} {:#?}", object.id, super::scenario::lineage(&view, &object.id));
        assert_eq!(done.live_equal, Some(true), "{name}: {}", object.id);
        assert_eq!((done.records, done.executed), (object.length, Some(object.length)), "{name}: {}", object.id);
        assert_eq!(done.state, view.show(object), "{name}: {}", object.id);
        let live = run.host.engine().object(&object.id).unwrap();
        assert_eq!(differences(object, live), [] as [&str; 0], "{name}: {} as the host has it", object.id);
    }
}

#[test]
fn every_scenario_replays_and_executes_to_the_same_records() {
    for (name, mut run) in all() {
        // What is counted is in the log once the host has said how far it is.
        run.host.finish().unwrap();
        agree(name, &run);
    }
}

#[test]
fn the_scenarios_hold_what_they_are_there_for() {
    let has = |run: &Run, object: &str, kinds: &[&str]| {
        let there = run.kinds(object);
        for kind in kinds {
            assert!(there.iter().any(|found| found == kind), "{object} has no {kind}: {there:?}");
        }
    };
    has(&lamp(), "lamp", &["genesis", "mutation", "denial", "denials"]);
    has(&faulty(), "faulty", &["hold", "denials", "quarantine", "release"]);
    has(&spender(), "spender", &["denial", "denials"]);
    has(&sleeper(), "sleeper", &["sleep", "wake", "retry", "pause", "terminate"]);
    has(&family(), "parent", &["spawn", "child-ended", "denial"]);
    has(&super::scenario::sender(), "sender", &["outcome", "policy", "seal"]);
}
