//! The signed reset of a clock that was ahead.

use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::policy::Policy;
use abide_core::record::{Caller, OutcomeStatus};
use abide_core::reset::{ResetError, reset_bytes};
use abide_core::time::{Span, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::world::{S, World, policy, same_engines, schema, signature};

/// Everything that remembers a time, and nothing that reads the clock itself.
const LAB: &str = r"
fields:
  x: { type: integer, minimum: 0, maximum: 99, default: 0 }
  n: { type: integer, minimum: 0, maximum: 1000000, default: 0 }
mutations:
  x: { from: [observation], args: { v: { type: integer } }, set: { x: args.v } }
  spend: { from: [rule], set: { n: self.n + 1 }, cost: 3 }
  send:
    from: [rule]
    set: { n: self.n + 1 }
    effect: { interface: example:lab/valve, function: open, args: ['${self.n}'], valid_for: 1m }
  never: { from: [rule], requires: self.x > 99, set: { n: 0 } }
rules:
  - { name: rest, when: self.x == 8, then: { sleep: { for: 9s } } }
  - { name: again, when: self.x == 5, then: retry }
  - { name: held, when: self.x > 10, for: 7s, then: { mutate: send } }
  - { name: vain, when: self.x > 70, every: 2s, then: { mutate: never } }
  - { name: regular, when: self.x > 0 && self.x < 60, every: 5s, then: { mutate: spend } }
  - { name: burst, when: self.x > 30, then: { mutate: spend } }
trust_slope: { budget: 10, refill: { amount: 2, per: 3s }, quarantine: { denials: 6, within: 20s } }
";

/// What a tick did, without when: a reset records what was counted at once, and is told itself.
fn acts(told: Vec<String>) -> Vec<String> {
    let acts = told.into_iter().filter(|line| !line.starts_with("counted") && !line.starts_with("clock"));
    acts.map(|line| {
        // The number of the record that ordered an effect is another, too.
        if line.starts_with("outcome of") {
            return "outcome".to_owned();
        }
        let end = line.find(" until ").or(line.find(", due ")).unwrap_or(line.len());
        line[..end].to_owned()
    })
    .collect()
}

/// How an object stands, its times counted on a clock that was never set back.
fn stand(object: &Object, now: Timestamp, set_back: i64) -> String {
    let state = &object.state;
    let on = |at: Option<Timestamp>| at.map(|at| if at.0 == i64::MAX { at.0 } else { at.0 + set_back });
    let rules: Vec<_> = state
        .rules
        .iter()
        .map(|rule| {
            let retry = rule.retry.map(|(attempt, due)| (attempt, on(Some(due))));
            (on(rule.chosen_at), rule.fresh, on(rule.held_since), retry, on(rule.affordable_at))
        })
        .collect();
    let own: Vec<_> = state.own_denials.iter().map(|at| on(Some(*at))).collect();
    let effects: Vec<_> = state.effects.values().map(|effect| on(Some(effect.time))).collect();
    let denied: Vec<_> = state.denied.iter().map(|(key, at)| (key, on(Some(*at)))).collect();
    let level = state.bucket.map(|bucket| (bucket.at(now).level, bucket.at(now).remainder));
    let sleep = state.sleep.map(|(rule, until)| (rule, on(until)));
    format!(
        "{:?} {:?} {level:?} {rules:?} {sleep:?} {own:?} {effects:?} {denied:?}",
        state.status, state.memory
    )
}

#[derive(Clone, Debug)]
enum Act {
    X(i64),
    Outcome,
    Release,
    Wait(i64),
    /// Until something is due.
    Due,
    SetBack(i64),
    Restart,
    Restore,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::sample::select(vec![0, 3, 5, 8, 20, 40, 65, 80, 120]).prop_map(Act::X),
        1 => Just(Act::Outcome),
        1 => Just(Act::Release),
        5 => prop::sample::select(vec![1, S / 3, S, 2 * S, 7 * S, 45 * S]).prop_map(Act::Wait),
        3 => Just(Act::Due),
        2 => prop::sample::select(vec![1, S, 100 * S, 1_000_000 * S]).prop_map(Act::SetBack),
        1 => Just(Act::Restart),
        1 => Just(Act::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// A history with resets is the same history without, told on another clock: the same acts in every tick, the same
    /// slope, the same holds, retries, sleeps and quarantines.
    #[test]
    fn what_had_passed_has_passed(history in prop::collection::vec(act(), 1..120)) {
        let (mut plain, mut reset) = (World::new(LAB), World::new(LAB));
        let mut set_back = 0;
        for act in history {
            let mut wait = None;
            match act {
                Act::X(v) => {
                    plain.observe("x", &json!({ "v": v }));
                    reset.observe("x", &json!({ "v": v }));
                    wait = Some(S / 2);
                }
                Act::Outcome => {
                    let of = |world: &World| world.state().effects.keys().next().copied();
                    if let Some((of, other)) = of(&plain).zip(of(&reset)) {
                        plain.outcome(of, OutcomeStatus::Delivered, None);
                        reset.outcome(other, OutcomeStatus::Delivered, None);
                    }
                    wait = Some(S);
                }
                Act::Release => {
                    plain.act("o", OperatorAct::Release);
                    reset.act("o", OperatorAct::Release);
                    wait = Some(1);
                }
                Act::Wait(nanos) => wait = Some(nanos),
                Act::Due => {
                    let now = plain.clock.time;
                    wait = Some(plain.engine.next_due().map_or(S, |due| due.since(now).0));
                }
                Act::SetBack(by) => {
                    let to = reset.clock.time.set_back(Span(by));
                    reset.reset(to).unwrap();
                    set_back += by;
                }
                // A restart forgets a last tick that left no record, and with it what was counted in it.
                Act::Restart => {
                    let to = reset.clock.time.set_back(Span(1));
                    reset.reset(to).unwrap();
                    set_back += 1;
                    reset.restart();
                }
                Act::Restore => reset.engine = Engine::restore(&reset.engine.snapshot()).unwrap(),
            }
            if let Some(nanos) = wait {
                let time = plain.clock.time.saturating_add(Span(nanos));
                let told = plain.tick_at(time, Vec::new(), None);
                let told_reset = reset.tick_at(Timestamp(time.0 - set_back), Vec::new(), None);
                prop_assert_eq!(acts(told), acts(told_reset), "{:?}", &act);
            }
            prop_assert_eq!(plain.clock.time.0, reset.clock.time.0 + set_back);
            prop_assert_eq!(
                stand(plain.object("o"), plain.clock.time, 0),
                stand(reset.object("o"), reset.clock.time, set_back)
            );
        }
    }
}

/// The operator with that number signs a reset.
fn signed(world: &World, operator: u8, to: Timestamp, counter: u64) -> abide_core::record::Signature {
    signature(operator, counter, &reset_bytes(world.engine.host_clock().genesis, to, counter))
}

#[test]
fn a_reset_is_one_commit_in_the_order_of_the_objects() {
    let mut world = World::new(LAB);
    let lab = schema("lab", LAB);
    for id in ["p", "q"] {
        world.begin(id, &lab, policy(), &json!({})).unwrap();
    }
    world.act("p", OperatorAct::Seal);
    // The first is told in full, the second is counted, and recorded before the reset.
    world.observe("x", &json!({ "v": 200 }));
    world.observe("x", &json!({ "v": 200 }));
    world.tick(100);
    let before = world.log.len();
    let told = world.reset(Timestamp(40 * S)).unwrap();
    assert_eq!(
        told,
        ["counted 1 × x: bounds at field x", "clock set back from 100s", "q: clock set back from 100s"]
    );
    assert_eq!(
        world.log.len(),
        before + 4,
        "the host's own record, and nothing for an object that is closed"
    );
    assert_eq!((world.clock.tick, world.clock.time), (2, Timestamp(40 * S)));
    assert_eq!(world.engine.clock(), world.clock);
    assert_eq!(world.engine.host_clock().counters.len(), 1);
    // Time goes on from there.
    world.tick(30);
    assert_eq!(world.clock.time, Timestamp(40 * S + 1));
}

#[test]
fn a_closed_object_with_something_under_way_is_concerned() {
    let mut world = World::new(LAB);
    world.begin("p", &schema("lab", LAB), policy(), &json!({})).unwrap();
    world.observe("x", &json!({ "v": 12 }));
    world.tick(1);
    assert_eq!(world.tick(8), ["send by rule held, n = 2, effect [2]"]);
    world.act("o", OperatorAct::Seal);
    world.tick(1000);
    assert_eq!(
        world.reset(Timestamp(S)).unwrap(),
        ["clock set back from 1000s", "p: clock set back from 1000s"]
    );
    let ordered = world.state().effects.values().next().unwrap().time;
    assert_eq!(ordered, Timestamp((8 - 999) * S), "it is no more valid than it was");
    // Once it ended, and no window is open, a reset does not concern it.
    let of = *world.state().effects.keys().next().unwrap();
    world.outcome(of, OutcomeStatus::Abandoned, None);
    world.tick(5000);
    assert_eq!(world.reset(Timestamp(2 * S)).unwrap(), ["p: clock set back from 5000s"]);
    // One that was asked while it was sealed counts denials until the window ends.
    for _ in 0..2 {
        world.ask("x", &json!({ "v": 1 }), Caller::Observation("src".into()));
    }
    world.tick(10);
    let told = world.reset(Timestamp(3 * S)).unwrap();
    assert_eq!(
        told,
        ["counted 1 × x: status of the object", "clock set back from 10s", "p: clock set back from 10s"]
    );
}

#[test]
fn what_never_comes_does_not_come_sooner() {
    let mut world = World::new(
        r"
fields: { x: { type: integer, minimum: 0, maximum: 99, default: 0 } }
mutations: { spend: { from: [rule], set: { x: self.x + 1 }, cost: 5 } }
rules: [ { name: burst, when: self.x < 9, then: { mutate: spend } } ]
trust_slope: { budget: 3 }
",
    );
    world.tick(10);
    let never = Some(Timestamp(i64::MAX));
    assert_eq!(world.state().rules[0].affordable_at, never);
    world.reset(Timestamp(S)).unwrap();
    assert_eq!(world.state().rules[0].affordable_at, never);
    assert_eq!(world.engine.next_due(), None);
}

#[test]
fn every_refusal_says_why_and_changes_nothing() {
    let mut world = World::new(LAB);
    world.tick(100);
    let refused = |world: &mut World, to: i64, signature| {
        let error = world.reset_signed(Timestamp(to * S), signature).unwrap_err();
        (error.clone(), error.to_string())
    };
    let to = Timestamp(50 * S);
    for ahead in [100, 200] {
        let signature = signed(&world, 1, Timestamp(ahead * S), 1);
        let (error, said) = refused(&mut world, ahead, signature);
        assert!(matches!(error, ResetError::NotAhead { .. }));
        assert!(
            said.starts_with("the clock is not ahead: the recorded time, 1970-01-01T00:01:40Z, is not after")
        );
    }
    let signature = signed(&world, 2, to, 1);
    let (_, said) = refused(&mut world, 50, signature);
    assert!(
        said.starts_with("`op` with this key is not an operator of `o`: a reset concerns every object"),
        "{said}"
    );
    let other_name = abide_core::record::Signature { name: "eve".into(), ..signed(&world, 1, to, 1) };
    assert!(matches!(refused(&mut world, 50, other_name).0, ResetError::Operator { .. }));
    let signature = signed(&world, 1, Timestamp(51 * S), 1);
    let (_, said) = refused(&mut world, 50, signature);
    assert!(said.starts_with("the signature of `op` does not verify"), "{said}");
    let other_counter = abide_core::record::Signature { counter: 2, ..signed(&world, 1, to, 1) };
    assert!(matches!(refused(&mut world, 50, other_counter).0, ResetError::Signature { .. }));

    // The second object is not this operator's.
    let another = Policy { operators: Vec::new(), ..policy() };
    world.begin("p", &schema("lab", LAB), another, &json!({})).unwrap();
    let signature = signed(&world, 1, to, 1);
    assert!(refused(&mut world, 50, signature).1.contains("not an operator of `p`"));
}

#[test]
fn a_signature_is_used_once_also_after_a_restart() {
    let mut world = World::new(LAB);
    world.tick(100);
    let first = signed(&world, 1, Timestamp(50 * S), 7);
    world.reset_signed(Timestamp(50 * S), first.clone()).unwrap();
    world.tick(100);
    let restored = Engine::restore(&world.engine.snapshot()).unwrap();
    same_engines(&restored, &world.engine);
    let said = |world: &mut World| {
        let error = world.reset_signed(Timestamp(50 * S), first.clone()).unwrap_err();
        assert_eq!(error, ResetError::Counter { counter: 7, last: 7 });
        error.to_string()
    };
    assert_eq!(said(&mut world), "the counter 7 is not above the last one recorded, 7; sign the reset anew");
    world.engine = restored;
    said(&mut world);
    // A tick without a record is not in the log: an observation makes one.
    world.observe("x", &json!({ "v": 1 }));
    world.tick(200);
    world.restart();
    said(&mut world);
    let key = signature(1, 1, b"").key;
    assert_eq!(
        (world.engine.host_clock().next_counter(&key), world.engine.host_clock().next_counter(&[0; 32])),
        (8, 1)
    );
}

#[test]
fn a_host_whose_objects_are_all_closed_has_nobody_to_speak_for_it() {
    let mut world = World::empty();
    world.tick(100);
    assert_eq!(world.reset(Timestamp(S)).unwrap_err(), ResetError::NoObject);
    world.begin("o", &schema("lab", LAB), policy(), &json!({})).unwrap();
    world.act("o", OperatorAct::Seal);
    world.tick(200);
    assert_eq!(world.reset(Timestamp(S)).unwrap_err(), ResetError::NoObject);
}

#[test]
fn the_clock_of_a_replay_belongs_to_its_sources() {
    use abide_core::clock::Clock;
    use abide_core::frame::Frame;
    use abide_core::record::HostGenesis;

    let host = HostGenesis {
        identity: "NTEST".into(),
        log_key: [3; 32],
        origin: "abide.example/host".into(),
        certificate: [4; 64],
        replayed: true,
    };
    let mut frame = Frame::new(Arc::clone(&host.identity));
    let mut engine = Engine::begin(host, Clock { tick: 0, time: Timestamp(S) }, &mut frame);
    let bytes = reset_bytes(engine.host_clock().genesis, Timestamp(0), 1);
    let refused = engine.reset_clock(Timestamp(0), signature(1, 1, &bytes), &mut frame).unwrap_err();
    assert_eq!(refused, ResetError::Replayed);
    assert!(refused.to_string().starts_with("the clock belongs to its sources"));
}

#[test]
fn the_signature_covers_the_host_the_time_and_the_counter() {
    let bytes = reset_bytes(abide_core::record::Hash([7; 32]), Timestamp(-5), 3);
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[0x60 + length], text.as_bytes()].concat()
    };
    let expected = [
        vec![0x86],
        text("abide-operator/1"),
        vec![0x58, 32],
        vec![7; 32],
        text("reset-clock"),
        vec![0x60, 0xa1],
        text("to"),
        vec![0x24, 0x03],
    ];
    assert_eq!(bytes, expected.concat());
}
