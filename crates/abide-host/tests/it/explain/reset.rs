//! A host whose clock was ahead and was set back: what is told of it.

use std::sync::Arc;

use abide_core::guest::NoGuest;
use abide_core::record::{Event, HOST, Signature};
use abide_core::reset::ResetError;
use abide_core::time::Timestamp;
use abide_host::HostError;
use abide_host::history::{At, ReplayError, replay};
use abide_host::verify::{Against, verify_disk};
use abide_host::why::{Kept, why_not};

use super::scenario::{ahead, at, lineage};

#[test]
fn a_time_means_the_last_record_that_is_not_after_it() {
    let run = ahead();
    let view = run.view();
    let faulty = view.object("faulty").unwrap();
    let told = lineage(&view, "faulty");
    let heat = |time: Timestamp| {
        let replayed = replay(&view, faulty, Some(At::Time(time)), Some(&NoGuest)).unwrap();
        assert_eq!(replayed.problems, []);
        (replayed.records, replayed.state["memory"]["heat"].as_f64().unwrap())
    };
    // Before the clock was ahead there are the genesis and a denial; after the last reset, all are at or before.
    assert_eq!(heat(at(2)), (2, 0.0));
    let length = told.len() as u64;
    for later in [60, 70, 101, 200_000, 500_000] {
        assert_eq!(heat(at(later)), (length, 2.0), "{later}");
    }
    // Between the last reset, to 50, and the tick at 60, the object stands as the reset left it.
    assert_eq!(heat(at(55)), (length - 1, 1.0));
    assert_eq!(told[told.len() - 2]["kind"], "clock");
    assert_eq!(told[told.len() - 2]["since"], at(300_000).to_string());
    let before = replay(&view, faulty, Some(At::Time(at(-1))), None).unwrap_err();
    assert!(matches!(before, ReplayError::Time { began, .. } if began < at(1)), "{before}");
}

#[test]
fn a_reset_is_told_in_words_and_in_json() {
    let run = ahead();
    let view = run.view();
    let of = |id: &str| {
        let lineage = view.lineage(id).unwrap();
        let mut links = view.records(lineage).unwrap().map(|link| link.unwrap());
        links.find(|link| matches!(link.record.event, Event::Clock { .. }))
    };
    let link = of("sender").unwrap();
    assert_eq!(link.describe(), format!("clock set back from {}", at(400_002)));
    let json = link.to_json();
    assert_eq!((&json["kind"], &json["since"]), (&"clock".into(), &at(400_002).to_string().into()));
    assert!(json.get("operator").is_none());
    let link = of(HOST).unwrap();
    let (record, json) = (&link.record, link.to_json());
    assert_eq!((&json["caller"], &json["operator"]["name"]), (&"operator".into(), &"operator".into()));
    assert_eq!((record.time, record.seq), (at(100), json["seq"].as_u64().unwrap()));
    assert!(of("lamp").is_none(), "it was sealed before");
}

#[test]
fn no_rule_has_a_turn_in_the_tick_of_a_reset() {
    let run = ahead();
    let view = run.view();
    let faulty = view.object("faulty").unwrap();
    let answer = why_not(&view, faulty, "jumpy", at(50)).unwrap();
    assert_eq!(answer.kept, Kept::Turn);
    assert_eq!(
        answer.message,
        format!("the clock was set back in that tick, from {}: no rule has a turn in it", at(300_000))
    );
    // At a time that came twice, the later one counts.
    let answer = why_not(&view, faulty, "jumpy", at(60)).unwrap();
    assert_eq!((answer.kept, answer.at), (Kept::Guard, at(60)));
    let answer = why_not(&view, faulty, "jumpy", at(400_001)).unwrap();
    assert!(answer.at == at(60) && answer.message.contains("the log ends at"), "{answer:?}");
}

#[test]
fn an_effect_under_way_stays_valid_for_as_long_as_it_was() {
    let mut run = ahead();
    run.observe("sender", "want", &serde_json::json!({ "level": "high" }));
    run.tick(1000);
    let ordered = run.host.pending_effects();
    assert_eq!((ordered.len(), ordered[0].valid_until), (1, at(1060)));
    run.tick(1030);
    run.reset(at(100));
    // Half of its minute had passed, and half of it is left.
    assert_eq!(run.host.pending_effects()[0].valid_until, at(130));
    run.reopen(false);
    assert_eq!(run.host.pending_effects()[0].valid_until, at(130));
    assert_eq!(run.host.pending_effects()[0].key, ordered[0].key);
}

#[test]
fn a_tick_under_way_lands_before_a_reset() {
    let mut run = ahead();
    run.observe("sender", "want", &serde_json::json!({ "level": "high" }));
    assert!(run.host.tick_ahead(at(1000), Vec::new(), None).unwrap().is_none());
    assert!(run.host.owes_effects());
    run.reset(at(100));
    assert_eq!((run.host.shown_clock(), run.host.time()), (run.host.engine().clock(), at(100)));
    // What it came to is told after the reset, with effects that are reckoned on the clock as it is now.
    let landed = run.host.settle().unwrap().unwrap();
    assert_eq!(landed.clock.time, at(1000));
    let ordered: Vec<_> = landed.effects.iter().map(|effect| (effect.time, effect.valid_until)).collect();
    assert_eq!(ordered, [(at(100), at(160))]);
    assert_eq!(run.host.pending_effects()[0].valid_until, at(160));
    let kinds = run.kinds("sender");
    assert_eq!(kinds[kinds.len() - 2..], ["mutation", "clock"]);
    run.reopen(true);
    assert_eq!(verify_disk(Arc::new(run.disk.clone()), &Against::default()).unwrap().problems, []);
}

#[test]
fn a_reset_that_is_refused_leaves_the_log_as_it_is() {
    let mut run = ahead();
    let (before, clock) = (run.host.log().checkpoint().cloned(), run.host.engine().clock());
    let unsigned = Signature { name: "operator".into(), key: [7; 32], counter: 99, signature: [0; 64] };
    let refused = run.host.reset_clock(at(10), unsigned).unwrap_err();
    assert!(matches!(refused, HostError::Reset(ResetError::Operator { .. })), "{refused}");
    assert_eq!((run.host.log().checkpoint().cloned(), run.host.engine().clock()), (before, clock));
    run.tick(61);
}
