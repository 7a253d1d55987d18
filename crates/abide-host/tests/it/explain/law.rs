//! A law: whatever happens to a host, its log replays, executes and verifies to what the host itself holds.

use abide_core::admission::OperatorAct;
use abide_core::guest::NoGuest;
use abide_core::record::OutcomeStatus;
use abide_host::history::{differences, replay};
use abide_host::verify::{Against, verify_disk};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;

use super::scenario::{CHILD, FAULTY, LAMP, PARENT, Run, SENDER, SLEEPER, SPENDER, later};

#[derive(Clone, Debug)]
enum Act {
    Observe(&'static str, &'static str, Json),
    Mutate(&'static str, &'static str, Json),
    Operate(&'static str, OperatorAct),
    Upgrade(&'static str, u32),
    Revert(&'static str),
    Outcome(OutcomeStatus, i64),
    Tick(i64),
    Due,
    Pause(i64),
    SetBack(i64),
    Reopen(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let observed = prop_oneof![
        (-10i64..120).prop_map(|lux| Act::Observe("lamp", "observe", json!({ "lux": lux }))),
        (0i64..30).prop_map(|x| Act::Observe("lamp", "place", json!({ "to": { "x": x - 15, "y": 1 } }))),
        (0i64..130).prop_map(|heat| Act::Observe("faulty", "observe", json!({ "heat": heat }))),
        (-2i64..12).prop_map(|n| Act::Observe("spender", "want", json!({ "n": n }))),
        (0i64..14).prop_map(|level| Act::Observe("sleeper", "observe", json!({ "level": level }))),
        (0i64..8).prop_map(|jobs| Act::Observe("parent", "observe", json!({ "jobs": jobs }))),
        prop::sample::select(vec!["off", "low", "high", "odd"]).prop_map(|level| Act::Observe(
            "sender",
            "want",
            json!({ "level": level })
        )),
    ];
    let operated = prop_oneof![
        Just(Act::Operate("faulty", OperatorAct::Release)),
        (0i64..3).prop_map(|by| Act::Mutate("faulty", "divide", json!({ "by": by }))),
        Just(Act::Mutate("spender", "reset", json!({}))),
        Just(Act::Mutate("lamp", "switch", json!({ "on": true }))),
    ];
    let objects = || prop::sample::select(vec!["lamp", "faulty", "spender", "sleeper", "parent", "sender"]);
    let upgraded = prop_oneof![
        2 => (objects(), 1u32..=3).prop_map(|(object, version)| Act::Upgrade(object, version)),
        1 => objects().prop_map(Act::Revert),
    ];
    let status = prop::sample::select(vec![
        OutcomeStatus::Delivered,
        OutcomeStatus::Failed,
        OutcomeStatus::Abandoned,
        OutcomeStatus::Simulated,
    ]);
    prop_oneof![
        8 => observed,
        2 => operated,
        2 => upgraded,
        2 => (status, 90i64..110).prop_map(|(status, code)| Act::Outcome(status, code)),
        6 => prop_oneof![Just(1), Just(2), Just(7), Just(40), Just(4000)].prop_map(Act::Tick),
        3 => Just(Act::Due),
        1 => (1i64..60).prop_map(Act::Pause),
        1 => prop::sample::select(vec![1, 40, 5000]).prop_map(Act::SetBack),
        1 => prop::bool::ANY.prop_map(Act::Reopen),
    ]
}

fn text_of(object: &str) -> &'static str {
    match object {
        "lamp" => LAMP,
        "faulty" => FAULTY,
        "spender" => SPENDER,
        "sleeper" => SLEEPER,
        "parent" => PARENT,
        _ => SENDER,
    }
}

fn play(acts: &[Act]) -> Run {
    let mut run = Run::with(&[LAMP, FAULTY, SPENDER, SLEEPER, PARENT, SENDER], &[CHILD]);
    for act in acts {
        let now = run.host.time();
        let after = |seconds: i64| now.saturating_add(abide_core::time::Span::from_secs(seconds));
        match act {
            Act::Observe(object, mutation, args) => run.observe(object, mutation, args),
            Act::Mutate(object, mutation, args) => run.mutate(object, mutation, args),
            Act::Operate(object, act) => run.operate(object, act.clone()),
            // What cannot take over is refused before it is asked.
            Act::Upgrade(object, version) => drop(run.upgrade(object, &later(text_of(object), *version))),
            Act::Revert(object) => run.revert(object),
            Act::Outcome(status, code) => {
                if !run.host.engine().object("sender").unwrap().state.effects.is_empty() {
                    run.outcome("sender", *status, Some(json!({ "code": code })));
                }
            }
            Act::Tick(seconds) => drop(run.host.tick(after(*seconds)).unwrap()),
            Act::Due => {
                if let Some(due) = run.host.next_due() {
                    run.host.tick(due).unwrap();
                }
            }
            Act::Pause(seconds) => drop(run.host.tick_with(after(*seconds), Vec::new(), Some(now)).unwrap()),
            Act::SetBack(seconds) => {
                run.reset(now.set_back(abide_core::time::Span::from_secs(*seconds)));
            }
            Act::Reopen(finish) => run.reopen(*finish),
        }
    }
    run.host.finish().unwrap();
    run
}

/// The log alone verifies, and comes to what the host holds, rule by rule.
fn log_says_it(acts: &[Act]) -> Result<(), TestCaseError> {
    let run = play(acts);
    let verified = verify_disk(Arc::new(run.disk.clone()), &Against::default()).unwrap();
    prop_assert_eq!(&verified.problems, &[]);
    let view = run.view();
    for object in view.engine().objects() {
        let done = replay(&view, object, None, Some(&NoGuest)).unwrap();
        prop_assert_eq!(&done.problems, &[], "{:#?}", super::scenario::lineage(&view, &object.id));
        prop_assert_eq!((done.live_equal, done.executed), (Some(true), Some(object.length)));
        let live = run.host.engine().object(&object.id).unwrap();
        prop_assert_eq!(differences(object, live), Vec::<String>::new(), "{}", object.id);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_log_alone_says_what_its_host_holds(acts in prop::collection::vec(act(), 1..80)) {
        log_says_it(&acts)?;
    }
}

/// What a child left is reckoned as it ended, also after the clock was reset.
#[test]
fn a_reset_after_the_end_of_a_child() {
    let observe = |jobs: i64| Act::Observe("parent", "observe", json!({ "jobs": jobs }));
    let mut acts =
        vec![observe(2), Act::Tick(1), Act::Tick(1), Act::Outcome(OutcomeStatus::Delivered, 90), observe(5)];
    acts.extend((0..9).map(|_| Act::Tick(1)));
    acts.extend([Act::Due, Act::Tick(1), Act::SetBack(1)]);
    log_says_it(&acts).unwrap();
}
