//! Acts: the steps of a behaviour, all or none.

use std::cell::RefCell;
use std::rc::Rc;

use abide_core::admission::OperatorAct;
use abide_core::cycle::Verdict;
use abide_core::guest::{Act, ActError, ActSpawn, ActStep, Behaviour, Fault, Wake};
use abide_core::record::{Event, Hash};
use abide_core::schema::MutationIx;
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use serde_json::json;

use crate::world::{BEHAVIOUR, S, Scripted, World, policy, schema};

const BODY: &str = r"
fields:
  x: { type: integer, minimum: -99, maximum: 99, default: 0 }
  n: { type: integer, minimum: 0, maximum: 9, default: 0 }
  lit: { type: boolean, default: false }
mutations:
  x: { from: [observation], args: { v: { $ref: '#/fields/x' } }, set: { x: args.v } }
  add: { from: [behaviour], args: { by: { $ref: '#/fields/n' } }, set: { n: self.n + args.by }, cost: 1 }
  light: { from: [behaviour], set: { lit: true }, effect: { interface: 'example:lab/valve', function: open, args: ['${self.n}'], valid_for: 1m } }
  off: { from: [rule], set: { lit: false } }
rules:
  - { name: plan, when: self.x > 0, then: { act: plan } }
safe_state: { mutate: off }
trust_slope: { budget: 10, quarantine: { denials: 3, within: 1h } }
";

fn world(answer: impl Fn(&Act<'_>) -> Result<Vec<ActStep>, ActError> + 'static) -> World {
    let mut world = World::new(BODY);
    world.guest = Box::new(Scripted(answer));
    world
}

fn x(world: &mut World, seconds: i64, v: i64) -> Vec<String> {
    world.observe("x", &json!({ "v": v }));
    world.tick(seconds)
}

/// A mutation of the schema in key order: `x` 0, `add` 1, `off` 2, `light` 3.
fn mutate(name: &str, args: Vec<Value>) -> ActStep {
    let order = ["x", "add", "off", "light"];
    let ix = order.iter().position(|known| *known == name).and_then(|n| u16::try_from(n).ok()).unwrap();
    ActStep::Mutate { mutation: MutationIx(ix), args }
}

fn add(by: i64) -> ActStep {
    mutate("add", vec![Value::Int(by)])
}

#[test]
fn each_step_sees_what_those_before_it_left() {
    let mut world = world(|_| Ok(vec![add(2), add(3), mutate("light", vec![])]));
    assert_eq!(
        x(&mut world, 1, 1),
        [
            "x by observation, x = 1",
            "add by behaviour plan, n = 2, cost 1",
            "add by behaviour plan, n = 5, cost 1",
            "light by behaviour plan, lit = true, effect [5]",
        ]
    );
    assert_eq!(world.level("o"), 8_000_000, "every step is charged");
    assert_eq!(world.state().effects.len(), 1);
    assert!(world.tick(2).is_empty(), "the rule is ready again when what its guard reads has changed");
    world.restart();
    assert_eq!(world.field("n"), "5", "it folds");
}

#[test]
fn it_is_given_the_cycle_the_memory_and_the_slope() {
    let seen = Rc::new(RefCell::new(String::new()));
    let told = Rc::clone(&seen);
    let mut world = world(move |act| {
        *told.borrow_mut() = format!(
            "{} {} {} tick {} at {} attempts {} slope {:?} {:?} {}",
            act.object,
            act.rule,
            act.action,
            act.tick,
            act.now.0,
            act.attempts,
            act.slope,
            act.memory,
            act.behaviour == BEHAVIOUR,
        );
        Ok(vec![add(1), ActStep::Retry])
    });
    x(&mut world, 1, 7);
    let head = "o plan plan tick 1 at 1000000000 attempts 0 slope Some(10000000)";
    assert_eq!(*seen.borrow(), format!("{head} [Int(0), Int(7), Bool(false)] true"));
    assert_eq!(world.tick(2), ["add by behaviour plan, n = 2, cost 1", "retry 2 by plan, due 4s"]);
    assert!(
        seen.borrow().contains("attempts 1"),
        "an act that goes before the retry does not forget the count"
    );
    assert_eq!(world.tick(3), Vec::<String>::new());
    assert_eq!(world.tick(4).last().map(String::as_str), Some("retry 3 by plan, due 8s"));
}

#[test]
fn one_denial_drops_all_steps_and_names_the_step() {
    let mut world = world(|_| Ok(vec![add(4), mutate("light", vec![]), add(4), add(4), ActStep::Terminate]));
    let before = world.object("o").clone();
    assert_eq!(
        x(&mut world, 1, 1),
        ["x by observation, x = 1", "denied add by behaviour plan step 3: bounds at field n"]
    );
    let after = world.object("o");
    assert_eq!((after.length, after.state.status), (before.length + 2, before.state.status));
    assert_eq!(world.field("n"), "0");
    assert_eq!(world.level("o"), 10_000_000, "what is dropped is not charged");
    assert!(world.state().effects.is_empty(), "and orders nothing");
    assert!(world.tick(2).is_empty());
    assert_eq!(x(&mut world, 3, 2).len(), 1, "the same denial is counted");
    let third = x(&mut world, 4, 3);
    assert_eq!(
        third[third.len() - 3..],
        ["denied add by behaviour plan step 3: bounds at field n", "quarantine", "off by safe_state"]
    );
}

#[test]
fn a_failed_act_is_one_denial_of_its_own_doing() {
    for (fault, word) in [(Fault::Trap, "trap"), (Fault::Fuel, "fuel"), (Fault::Error, "error")] {
        let mut world = world(move |_| Err(ActError { fault, message: "out of luck ".repeat(1000) }));
        let told = x(&mut world, 1, 1);
        assert_eq!(told[1..], ["denied an act by behaviour plan step 0: act of the object"]);
        let record = abide_core::record::decode::decode(
            &world.log.last().unwrap().0.clone(),
            Some(&world.object("o").schema),
        );
        // The last record of a tick is the host's progress only where something is counted.
        if let Ok(record) = record
            && let Event::Denial(denied) = record.event
        {
            assert_eq!(denied.reason.value.as_deref(), Some(word));
            assert!(denied.reason.message.chars().count() <= 513, "a guest's words are cut");
        }
        assert_eq!(world.state().own_denials.len(), 1);
    }
}

#[test]
fn no_step_leaves_a_record_that_the_rule_was_chosen() {
    let mut world = world(|_| Ok(Vec::new()));
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "idle"]);
    assert!(world.tick(2).is_empty());
}

#[test]
fn what_is_no_answer_is_denied() {
    let sleep = || ActStep::Sleep(Wake::After(Span::from_secs(1)));
    let answers: [Vec<ActStep>; 6] = [
        vec![add(0); 65],
        vec![add(1), ActStep::Mutate { mutation: MutationIx(4), args: vec![] }],
        vec![sleep(), add(1)],
        vec![ActStep::Retry, ActStep::Retry],
        vec![ActStep::Terminate, sleep()],
        vec![add(1), ActStep::Retry, add(1)],
    ];
    for answer in answers {
        let mut world = world(move |_| Ok(answer.clone()));
        assert_eq!(x(&mut world, 1, 1)[1..], ["denied an act by behaviour plan step 0: act of the object"]);
    }
    let mut world = world(|_| Ok(vec![mutate("light", vec![]); 64]));
    assert_eq!(x(&mut world, 1, 1).len(), 65, "64 steps are done");
}

#[test]
fn a_behaviour_may_ask_for_what_its_schema_opens_to_it_alone() {
    for step in [
        mutate("off", vec![]),
        mutate("x", vec![Value::Int(1)]),
        mutate("add", vec![]),
        mutate("add", vec![Value::Str("2".into())]),
        add(10),
    ] {
        let mut world = world(move |_| Ok(vec![add(1), step.clone()]));
        let told = x(&mut world, 1, 1);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].starts_with("denied") && told[1].contains("step 1"), "{told:?}");
        assert_eq!(world.field("n"), "0");
    }
}

#[test]
fn it_sleeps_and_ends() {
    let mut world = world(|act| {
        let wake =
            if act.now.0 < 5 * S { Wake::At(Timestamp(5 * S)) } else { Wake::After(Span::from_secs(2)) };
        Ok(vec![add(1), ActStep::Sleep(wake)])
    });
    assert_eq!(x(&mut world, 1, 1)[2..], ["sleep by plan until 5s"]);
    assert_eq!(
        x(&mut world, 5, 2),
        ["x by observation, x = 2", "wake", "add by behaviour plan, n = 2, cost 1", "sleep by plan until 7s"]
    );
    world.guest = Box::new(Scripted(|_: &Act<'_>| Ok(vec![add(1), ActStep::Terminate])));
    assert_eq!(
        x(&mut world, 7, 3)[1..],
        ["wake", "add by behaviour plan, n = 3, cost 1", "off by safe_state", "terminate by plan"]
    );
}

#[test]
fn children_of_one_act_have_ids_of_their_own_and_are_dropped_with_it() {
    let child = schema("leaf", "fields: { y: { type: integer, minimum: 0, maximum: 9 } }");
    let spawn = |y: i64| {
        let values = json!({ "y": y }).as_object().unwrap().clone();
        let (budget, refill) = (2_000_000, 0);
        ActStep::Spawn(ActSpawn { schema: "leaf".into(), values, budget, refill, links: Vec::new() })
    };
    let mut world = World::empty();
    world.know(&child);
    world.begin("o", &schema("lab", BODY), policy(), &json!({})).unwrap();
    world.guest = Box::new(Scripted(move |act: &Act<'_>| {
        let last = if act.now.0 == S { add(10) } else { add(1) };
        Ok(vec![spawn(1), spawn(2), last])
    }));
    assert_eq!(x(&mut world, 1, 1)[1..], ["denied add by behaviour plan step 2: argument at argument by"]);
    assert_eq!(world.engine.objects().len(), 1);
    assert_eq!(world.level("o"), 10_000_000);
    x(&mut world, 2, 2);
    assert_eq!(world.engine.objects().len(), 3);
    let ids: Vec<_> = world.engine.objects().iter().skip(1).map(|o| o.id.to_string()).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(world.engine.objects().iter().skip(1).all(|o| o.parent.as_deref() == Some("o")));
    assert_eq!(world.level("o"), 5_000_000, "two budgets of 2 and a step of 1");
}

#[test]
fn an_upgrade_is_signed_and_the_next_act_uses_it() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&seen);
    let mut world = world(move |act| {
        told.borrow_mut().push(act.behaviour.component);
        Ok(Vec::new())
    });
    let new = Behaviour { component: Hash([9; 32]), ..BEHAVIOUR };
    let force = world.object("o").length;
    world.act("o", OperatorAct::Behaviour(new));
    assert_eq!(x(&mut world, 1, 1), ["upgrade", "x by observation, x = 1", "idle"]);
    assert_eq!(*seen.borrow(), [new.component]);
    world.restart();
    let object = world.object("o");
    assert_eq!((object.behaviour, object.force), (Some(new), force), "it is the fold of the lineage");
    world.act("o", OperatorAct::Behaviour(new));
    world.tick(2);
    assert!(matches!(&world.verdicts[0].1, Verdict::Denied(reason) if reason.message.contains("already")));
    world.act("o", OperatorAct::Seal);
    world.tick(3);
    world.act("o", OperatorAct::Behaviour(BEHAVIOUR));
    world.tick(4);
    assert!(matches!(&world.verdicts[0].1, Verdict::Denied(reason) if reason.message.contains("sealed")));
}

#[test]
fn an_object_without_acts_has_no_behaviour_to_upgrade() {
    let mut world = World::new("fields: { x: { type: boolean, default: false } }");
    world.act("o", OperatorAct::Behaviour(BEHAVIOUR));
    world.tick(1);
    assert!(matches!(&world.verdicts[0].1, Verdict::Denied(reason) if reason.message.contains("no acts")));
}
