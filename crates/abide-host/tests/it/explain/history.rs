//! Replay: the fold, up to any place, and the rules run again.

use std::sync::Arc;

use abide_core::guest::{Guest, NoGuest};
use abide_core::record::Event;
use abide_host::history::{At, ReplayError, differences, replay};
use abide_host::view::View;

use super::scenario::{
    Lie, Run, all, at, family, faulty, lamp, lineage, rewritten, sender, sleeper, spender,
};

fn agree(name: &str, run: &Run) {
    let view = run.view();
    for object in view.engine().objects() {
        let done = replay(&view, object, None, Some(&NoGuest)).unwrap();
        assert_eq!(done.problems, [], "{name}: {} {:#?}", object.id, lineage(&view, &object.id));
        assert_eq!(done.live_equal, Some(true), "{name}: {}", object.id);
        assert_eq!(
            (done.records, done.executed),
            (object.length, Some(object.length)),
            "{name}: {}",
            object.id
        );
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
    has(&sender(), "sender", &["outcome", "policy", "seal"]);
}

#[test]
fn a_state_at_any_record_is_the_fold_up_to_it() {
    let run = lamp();
    let view = run.view();
    let object = view.object("lamp").unwrap();
    for (seq, record) in (0..).zip(lineage(&view, "lamp")) {
        for execute in [None, Some(&NoGuest as &dyn Guest)] {
            let done = replay(&view, object, Some(At::Seq(seq)), execute).unwrap();
            assert_eq!(done.records, seq + 1);
            assert_eq!(done.problems, [], "record {seq}");
            assert_eq!(done.state["lineage"]["head"], record["hash"]);
            assert_eq!(done.live_equal, (seq + 1 == object.length).then_some(true));
        }
    }
}

#[test]
fn a_state_at_a_time_counts_the_records_of_that_time() {
    let run = lamp();
    let view = run.view();
    let object = view.object("lamp").unwrap();
    let at_two = replay(&view, object, Some(At::Time(at(2))), Some(&NoGuest)).unwrap();
    assert_eq!((at_two.records, &at_two.state["memory"]["lux"]), (2, &400.0.into()));
    assert_eq!(at_two.state["status"], "active");
    let before = replay(&view, object, Some(At::Time(at(1))), Some(&NoGuest)).unwrap();
    assert_eq!((before.records, &before.state["gaps"]), (1, &serde_json::json!(["lux"])));
    let done = replay(&view, object, Some(At::Time(at(9_999))), None).unwrap();
    assert_eq!((done.live_equal, done.executed), (Some(true), None));
}

#[test]
fn a_place_that_is_not_there_is_an_error() {
    let run = lamp();
    let view = run.view();
    let object = view.object("lamp").unwrap();
    let length = object.length;
    let error = replay(&view, object, Some(At::Seq(length)), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`lamp` has no record {length}: its records are 0 to {}", length - 1)
    );
    let error = replay(&view, object, Some(At::Time(at(-1))), Some(&NoGuest)).unwrap_err();
    assert!(matches!(error, ReplayError::Time { .. }));
    assert_eq!(
        error.to_string(),
        "`lamp` began at 2026-01-01T00:00:00.000000001Z: there is nothing of it at 2025-12-31T23:59:59Z"
    );
}

/// Running again finds what no fold can: an act that the rules did not ask for, or asked for and is not there.
#[test]
fn rules_run_again_find_what_is_missing_and_what_was_added() {
    let run = lamp();
    let switched = |event: &Event| matches!(event, Event::Mutation(mutated) if mutated.rule.is_some());
    let view_of = |disk| View::open_disk(Arc::new(disk), None).unwrap();
    let mut dropped = false;
    let view = view_of(rewritten(&run, true, |record| {
        let lie = switched(&record.event) && !dropped;
        dropped |= lie;
        if lie { Lie::Drop } else { Lie::Keep }
    }));
    let done = replay(&view, view.object("lamp").unwrap(), None, Some(&NoGuest)).unwrap();
    assert_eq!(done.live_equal, Some(true), "the fold alone agrees");
    let told = done.problems.first().unwrap().to_string();
    assert!(
        told.contains(
            "run again, the tick goes on after this record: mutation `switch` by rule `dark` (on = true)"
        ),
        "{told}"
    );

    let quiet = view_of(rewritten(&run, true, |record| {
        // The reading that made it dark is told to have been another one.
        match &record.event {
            Event::Mutation(mutated) if mutated.args.first() == Some(&abide_core::value::Value::Num(3.0)) => {
                let mut other = record.clone();
                if let Event::Mutation(mutated) = &mut other.event {
                    mutated.args[0] = abide_core::value::Value::Num(30.0);
                    mutated.changes[0].1 = abide_core::value::Value::Num(30.0);
                }
                Lie::Other(Box::new(other))
            }
            _ => Lie::Keep,
        }
    }));
    let done = replay(&quiet, quiet.object("lamp").unwrap(), None, Some(&NoGuest)).unwrap();
    let told = done.problems.first().unwrap().to_string();
    assert!(told.contains("run again, the tick ends before it"), "{told}");
    assert!(!done.agrees());
    assert_eq!(done.to_json()["agrees"], false);
}

#[test]
fn a_family_is_held_to_one_another() {
    let run = family();
    let disk = rewritten(&run, true, |record| {
        // The parent is told to have been begun with more than it was.
        match &record.event {
            Event::Spawn(spawned) => {
                let mut other = record.clone();
                let mut spawned = spawned.clone();
                if let Some(part) = &mut spawned.allotment {
                    part.budget -= 1_000_000;
                }
                other.event = Event::Spawn(spawned);
                Lie::Other(Box::new(other))
            }
            _ => Lie::Keep,
        }
    });
    let view = View::open_disk(Arc::new(disk), None).unwrap();
    let done = replay(&view, view.object("parent").unwrap(), None, Some(&NoGuest)).unwrap();
    assert!(!done.problems.is_empty());
    let child = view.engine().objects().iter().find(|object| object.parent.is_some()).unwrap();
    let done = replay(&view, child, None, Some(&NoGuest)).unwrap();
    assert!(done.problems[0].what.contains("has no record"), "{:#?}", done.problems);
}
