//! Admission, check by check: what is denied, with which code and place, and that the order of the checks holds.

use abide_core::admission::OperatorAct;
use abide_core::cycle::{Input, Verdict};
use abide_core::engine::BeginError;
use abide_core::policy::Policy;
use abide_core::record::{Caller, Code, Place, Reason};
use serde_json::{Value as Json, json};

use super::world::{World, policy, schema, signature};

/// What became of the only input of the next tick.
fn reason(world: &mut World, seconds: i64) -> Reason {
    world.tick(seconds);
    match world.verdicts.as_slice() {
        [(_, Verdict::Denied(reason))] => reason.clone(),
        other => panic!("one denial is expected: {other:?}"),
    }
}

fn recorded(world: &mut World, seconds: i64) -> bool {
    world.tick(seconds);
    matches!(world.verdicts.as_slice(), [(_, Verdict::Recorded(_))])
}

/// Fails every check at once; each round mends the first.
const LADDER: &str = r"
fields:
  a: { type: integer, minimum: 0, maximum: 100, default: 0 }
  b: { type: number, minimum: 0, maximum: 100, default: 50 }
invariants: [ { expression: self.a != 13 } ]
mutations:
  step:
    from: [behaviour]
    args: { v: { type: integer, minimum: -1000, maximum: 1000 } }
    requires: args.v != 1
    set: { a: args.v, b: self.b + double(args.v) / 10.0 }
    cost: 'args.v > 40 ? 5 : 11'
    effect: { interface: example:lab/valve, function: open, valid_for: 1m }
  other: { from: [observation], args: { v: { type: integer, minimum: 0, maximum: 9 } }, set: { a: args.v } }
trust_slope: { budget: 10, drift: { b: { within: 5 } } }
";

#[test]
fn the_checks_are_made_in_their_order() {
    let mut world = World::new(LADDER);
    let mut bare = World::empty();
    bare.begin("o", &schema("lab", LADDER), Policy::default(), &json!({})).unwrap();
    let ask = |world: &mut World, caller: Caller, v: Json, seconds| {
        world.ask("step", &json!({ "v": v }), caller);
        let reason = reason(world, seconds);
        (reason.code, reason.place, reason.value.as_deref().map(str::to_owned))
    };
    let place = |source: &str| Place::Expression(source.into());
    let (valve, text) = ("example:lab/valve.open".to_owned(), |s: &str| Some(s.to_owned()));

    // 2: who asks. Then 3: the argument, 4: `requires`, 5: the bounds of the result, 6: the invariant, 7: the grant.
    let observation = || Caller::Observation("src".into());
    assert_eq!(
        ask(&mut bare, observation(), json!("x"), 1),
        (Code::Caller, Place::Object, text("observation"))
    );
    assert_eq!(
        ask(&mut bare, Caller::Behaviour, json!("x"), 2),
        (Code::Argument, Place::Argument("v".into()), text("\"x\""))
    );
    assert_eq!(ask(&mut bare, Caller::Behaviour, json!(1001), 3).0, Code::Argument);
    assert_eq!(
        ask(&mut bare, Caller::Behaviour, json!(null), 4),
        (Code::Argument, Place::Argument("v".into()), None)
    );
    assert_eq!(ask(&mut bare, Caller::Behaviour, json!(1), 5), (Code::Requires, place("args.v != 1"), None));
    assert_eq!(
        ask(&mut bare, Caller::Behaviour, json!(101), 6),
        (Code::Bounds, Place::Field("a".into()), text("101"))
    );
    assert_eq!(ask(&mut bare, Caller::Behaviour, json!(-1), 7).1, Place::Field("a".into()));
    assert_eq!(
        ask(&mut bare, Caller::Behaviour, json!(13), 8),
        (Code::Invariant, place("self.a != 13"), None)
    );
    assert_eq!(ask(&mut bare, Caller::Behaviour, json!(99), 9), (Code::Effect, Place::Object, Some(valve)));
    // 8: where the link is granted, the slope, then drift.
    assert_eq!(ask(&mut world, Caller::Behaviour, json!(20), 1), (Code::Slope, Place::Object, text("11")));
    assert_eq!(
        ask(&mut world, Caller::Behaviour, json!(99), 2),
        (Code::Drift, Place::Field("b".into()), text("59.9"))
    );
    // Just at the bound of drift.
    world.ask("step", &json!({ "v": 50 }), Caller::Behaviour);
    assert!(recorded(&mut world, 3));
    assert_eq!(
        (world.field("a"), world.field("b"), world.level("o")),
        ("50".into(), "55.0".into(), 5_000_000)
    );
    // 1: the status goes before all of them.
    world.act("o", OperatorAct::Seal);
    assert!(recorded(&mut world, 4));
    assert_eq!(ask(&mut world, observation(), json!("x"), 5), (Code::Status, Place::Object, text("sealed")));
}

#[test]
fn a_sealed_or_terminated_object_admits_nothing_not_even_its_operator() {
    let body = r"
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations: { set: { from: [observation, operator], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } } }
rules: [ { name: end, when: self.a == 9, then: terminate } ]
";
    let mut world = World::new(body);
    world.observe("set", &json!({ "v": 9 }));
    assert_eq!(world.tick(1), ["set by observation, a = 9", "terminate by end"]);
    let args = json!({ "v": 1 });
    world.operate("o", "set", &args);
    assert_eq!(reason(&mut world, 2).value.as_deref(), Some("terminated"));
    world.act("o", OperatorAct::Seal);
    assert_eq!(reason(&mut world, 3).code, Code::Status);

    let mut world = World::new(body);
    world.act("o", OperatorAct::Release);
    assert_eq!(reason(&mut world, 1).code, Code::Status, "there is nothing to release it from");
    world.act("o", OperatorAct::Seal);
    assert!(recorded(&mut world, 2));
    for (n, act) in [OperatorAct::Seal, OperatorAct::Release].into_iter().enumerate() {
        world.act("o", act);
        assert_eq!(reason(&mut world, 3 + i64::try_from(n).unwrap()).value.as_deref(), Some("sealed"));
    }
    world.operate("o", "set", &args);
    assert_eq!(reason(&mut world, 9).code, Code::Status);
}

const OPERATED: &str = r"
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations: { set: { from: [operator], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } } }
";

#[test]
fn an_operators_signature_covers_object_mutation_arguments_and_counter() {
    let mut world = World::new(OPERATED);
    world.begin("twin", &schema("lab", OPERATED), policy(), &json!({})).unwrap();
    let good = world.signed("o", "set", &json!({ "v": 3 }), 1, 7);
    let denied = |world: &mut World, request, seconds| {
        world.submit("o", Input::Ask(request));
        let reason = reason(world, seconds);
        assert_eq!((reason.code, &reason.place), (Code::Signature, &Place::Object));
        reason.message.to_string()
    };
    // Another value, another counter, another object, an act of the same counter, another key.
    let mut other = good.clone();
    other.args = world.request("o", "set", &json!({ "v": 4 }), Caller::Rule).args;
    assert_eq!(denied(&mut world, other, 1), "the signature of `op` does not verify");
    let mut other = good.clone();
    let Caller::Operator(signed) = &mut other.caller else { panic!("an operator asks") };
    signed.counter = 8;
    assert_eq!(denied(&mut world, other, 2), "the signature of `op` does not verify");
    let twin = world.signed("twin", "set", &json!({ "v": 3 }), 1, 7);
    assert_eq!(denied(&mut world, twin, 3), "the signature of `op` does not verify");
    let bytes = abide_core::admission::signed_bytes(world.object("o").genesis, "seal", None, 7);
    let act = Caller::Operator(Box::new(signature(1, 7, &bytes)));
    let request = world.request("o", "set", &json!({ "v": 3 }), act);
    assert_eq!(denied(&mut world, request, 4), "the signature of `op` does not verify");
    let stranger = world.signed("o", "set", &json!({ "v": 3 }), 2, 7);
    assert_eq!(denied(&mut world, stranger, 5), "`op` with this key is not an operator of this object");
    let mut renamed = good.clone();
    let Caller::Operator(signed) = &mut renamed.caller else { panic!("an operator asks") };
    signed.name = "root".into();
    assert_eq!(denied(&mut world, renamed, 6), "`root` with this key is not an operator of this object");
    assert_eq!(world.field("a"), "0");

    // None of those used the counter up; once it is recorded, it is used up, and all below it.
    world.submit("o", Input::Ask(good.clone()));
    assert!(recorded(&mut world, 7));
    assert_eq!(
        denied(&mut world, good, 8),
        "the counter 7 is not above the last one recorded, 7: another act was signed with this key meanwhile; ask again"
    );
    let below = world.signed("o", "set", &json!({ "v": 5 }), 1, 6);
    assert_eq!(
        denied(&mut world, below, 9),
        "the counter 6 is not above the last one recorded, 7: another act was signed with this key meanwhile; ask again"
    );
    let gap = world.signed("o", "set", &json!({ "v": 5 }), 1, u64::MAX);
    world.submit("o", Input::Ask(gap));
    assert!(recorded(&mut world, 10));
    assert_eq!(world.field("a"), "5");
}

#[test]
fn a_stranger_learns_nothing_of_the_arguments() {
    let mut world = World::new(OPERATED);
    let request = world.signed("o", "set", &json!({ "v": "no number" }), 2, 1);
    world.submit("o", Input::Ask(request));
    assert_eq!(reason(&mut world, 1).code, Code::Signature, "the signature goes before the arguments");
    let request = world.signed("o", "set", &json!({ "v": "no number" }), 1, 1);
    world.submit("o", Input::Ask(request));
    assert_eq!(reason(&mut world, 2).code, Code::Argument, "an operator is told what is wrong");
}

#[test]
fn arguments_have_their_types_bounds_and_defaults() {
    let mut world = World::new(
        r"
fields: { seen: { type: string, maxLength: 200, default: '' } }
mutations:
  take:
    from: [observation]
    args:
      i: { type: integer, minimum: -2, maximum: 2, default: 1 }
      n: { type: number, minimum: 0, maximum: 1, exclusiveMaximum: true, default: 0.5 }
      s: { type: string, maxLength: 3, default: abc }
      e: { type: string, enum: [x, y], default: x }
      t: { type: string, format: date-time, nullable: true }
      l: { type: array, items: { type: integer }, maxItems: 2, default: [] }
    set: { seen: 'string(args.i) + args.s + args.e + string(args.n)' }
",
    );
    world.observe("take", &json!({}));
    assert_eq!(world.tick(1), ["take by observation, seen = \"1abcx0.5\""]);
    let mut seconds = 1;
    let mut outcome = |args: Json| {
        seconds += 1;
        world.observe("take", &args);
        world.tick(seconds);
        match world.verdicts.as_slice() {
            [(_, Verdict::Denied(reason))] => match (&reason.code, &reason.place) {
                (Code::Argument, Place::Argument(name)) => Some(name.to_string()),
                other => panic!("{other:?}"),
            },
            _ => None,
        }
    };
    for good in [
        json!({"i": -2}),
        json!({"i": 2}),
        json!({"n": 0}),
        json!({"n": 0.999}),
        json!({"s": "äöü"}),
        json!({"l": [1, 2]}),
    ] {
        assert_eq!(outcome(good.clone()), None, "{good}");
    }
    let bad = [
        ("i", json!(3)),
        ("i", json!(-3)),
        ("i", json!(1.5)),
        ("i", json!("1")),
        ("i", json!(18_446_744_073_709_551_615_u64)),
        ("n", json!(1)),
        ("n", json!(-0.001)),
        ("n", json!(true)),
        ("s", json!("abcd")),
        ("s", json!(7)),
        ("e", json!("z")),
        ("t", json!("yesterday")),
        ("l", json!([1, 2, 3])),
        ("l", json!([1, "2"])),
        ("l", json!({"a": 1})),
    ];
    for (name, value) in bad {
        assert_eq!(outcome(json!({ name: value })).as_deref(), Some(name), "{value}");
    }
}

#[test]
fn a_long_argument_is_cut_short_in_the_record_of_its_denial() {
    let mut world = World::new(
        r"
fields: { a: { type: string, maxLength: 8, default: '' } }
mutations: { set: { from: [observation], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } } }
",
    );
    world.observe("set", &json!({ "v": "ä".repeat(1_000_000) }));
    world.tick(1);
    let (bytes, _) = world.log.last().unwrap();
    assert!(bytes.len() < 4_000, "{} bytes", bytes.len());
}

#[test]
fn set_is_simultaneous() {
    let mut world = World::new(
        r"
fields:
  a: { type: integer, minimum: 0, maximum: 9, default: 1 }
  b: { type: integer, minimum: 0, maximum: 9, default: 2 }
  c: { type: integer, minimum: 0, maximum: 9, default: 3 }
mutations: { turn: { from: [observation], set: { a: self.b, b: self.c, c: self.a } } }
",
    );
    world.observe("turn", &json!({}));
    world.observe("turn", &json!({}));
    let told = world.tick(1);
    assert_eq!(
        told,
        ["turn by observation, a = 2, b = 3, c = 1", "turn by observation, a = 3, b = 1, c = 2"]
    );
}

#[test]
fn what_has_no_value_is_denied_by_its_expression() {
    let mut world = World::new(
        r"
fields:
  a: { type: integer, minimum: 0, maximum: 9, default: 0 }
  gap: { type: integer, minimum: 0, maximum: 9 }
mutations:
  divide: { from: [observation], set: { a: 9 / self.a } }
  overflow: { from: [observation], set: { a: 9223372036854775807 + self.a + 1 } }
  gate: { from: [observation], requires: 1 / self.a > 0, set: { a: 1 } }
  read: { from: [observation], set: { a: self.gap } }
  fill: { from: [observation], set: { gap: 4 } }
",
    );
    let denied = |world: &mut World, mutation: &str, seconds| {
        world.observe(mutation, &json!({}));
        let reason = reason(world, seconds);
        assert_eq!(reason.code, Code::Evaluation);
        reason.place
    };
    assert_eq!(denied(&mut world, "divide", 1), Place::Expression("9 / self.a".into()));
    assert_eq!(
        denied(&mut world, "overflow", 2),
        Place::Expression("9223372036854775807 + self.a + 1".into())
    );
    assert_eq!(denied(&mut world, "gate", 3), Place::Expression("1 / self.a > 0".into()));
    assert_eq!(denied(&mut world, "read", 4), Place::Field("gap".into()), "a gap is told by its field");
    world.observe("fill", &json!({}));
    assert!(recorded(&mut world, 5));
    world.observe("read", &json!({}));
    assert!(recorded(&mut world, 6));
}

#[test]
fn invariants_see_the_memory_before_and_hold_from_completion() {
    let body = r"
fields:
  a: { type: integer, minimum: 0, maximum: 9, default: 0 }
  g: { type: integer, minimum: 0, maximum: 9 }
invariants:
  - { expression: self.g > self.a, message: g leads }
  - { expression: self.a - oldSelf.a <= 2 }
mutations:
  set: { from: [observation], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } }
  fill: { from: [observation], args: { v: { $ref: '#/fields/g' } }, set: { g: args.v } }
";
    let mut world = World::new(body);
    let gaps = |world: &World| world.state().gaps(&world.object("o").schema).cloned().collect::<Vec<_>>();
    assert_eq!(gaps(&world), ["g".into()]);
    // No invariant while it is incomplete, not even the one about change.
    world.observe("set", &json!({ "v": 5 }));
    assert!(recorded(&mut world, 1));
    world.observe("fill", &json!({ "v": 5 }));
    let reason = reason(&mut world, 2);
    assert_eq!(
        (reason.code, &*reason.message),
        (Code::Invariant, "g leads: `self.g > self.a` would not hold")
    );
    assert_eq!(gaps(&world), ["g".into()], "it stays incomplete");
    world.observe("fill", &json!({ "v": 9 }));
    assert!(recorded(&mut world, 3));
    assert!(gaps(&world).is_empty());
    for (seconds, v, admitted) in [(4, 8, false), (5, 7, true), (6, 0, true), (7, 3, false), (8, 2, true)] {
        world.observe("set", &json!({ "v": v }));
        assert_eq!(recorded(&mut world, seconds), admitted, "{v}");
    }
}

#[test]
fn first_values_are_admitted_as_a_whole() {
    let body = r"
fields:
  a: { type: integer, minimum: 0, maximum: 9, nullable: true }
  b: { type: integer, minimum: 0, maximum: 9, nullable: true }
invariants:
  - { expression: self.a == null || self.b == null || self.a < self.b }
  - { expression: oldSelf.a == null || self.a != null }
  - { expression: self.b == null || oldSelf.b != null }
mutations: { set: { from: [observation], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } } }
";
    let mut world = World::empty();
    let lab = schema("lab", body);
    let mut begin = |id: &str, values: Json| world.begin(id, &lab, policy(), &values);
    assert!(
        matches!(begin("o", json!({ "a": 10 })), Err(BeginError::Value { reason, .. }) if reason.code == Code::Bounds)
    );
    assert!(
        matches!(begin("o", json!({ "a": 3, "b": 3 })), Err(BeginError::Value { reason, .. }) if reason.code == Code::Invariant)
    );
    // There is no memory before the first: what is said of change does not bear on it.
    begin("o", json!({ "a": 3, "b": 4 })).unwrap();
    assert_eq!(begin("o", json!({})), Err(BeginError::Exists("o".into())));
    for bad in ["", "a b", "@host", "ä", &"x".repeat(129)] {
        assert_eq!(begin(bad, json!({})), Err(BeginError::Id(bad.into())));
    }
    assert_eq!(world.field("b"), "4");
    world.observe("set", &json!({ "v": null }));
    assert_eq!(reason(&mut world, 1).code, Code::Invariant);
}

#[test]
fn an_effect_is_granted_by_interface_and_function_and_waits_for_an_outcome() {
    let body = r"
fields: { a: { type: integer, minimum: 0, maximum: 99, default: 0 } }
mutations:
  open:
    from: [observation]
    set: { a: self.a + 1 }
    effect: { interface: example:lab/valve, function: open, args: ['${self.a}', 'at ${self.a}', { x: ['${self.a > 0}'] }], valid_for: 1m }
  tick: { from: [observation], set: { a: self.a } }
";
    let lab = schema("lab", body);
    let with = |functions: &[&str]| {
        let mut policy = policy();
        policy.links[0].functions = functions.iter().map(|f| (*f).into()).collect();
        policy.limits.effects = 2;
        let mut world = World::empty();
        world.begin("o", &lab, policy, &json!({})).unwrap();
        world.observe("open", &json!({}));
        world
    };
    assert_eq!(reason(&mut with(&["shut"]), 1).code, Code::Effect);
    let mut world = with(&["shut", "open"]);
    // Its arguments see the memory after.
    assert_eq!(world.tick(1), [r#"open by observation, a = 1, effect [1,"at 1",{"x":[true]}]"#]);
    world.observe("open", &json!({}));
    assert!(recorded(&mut world, 2));
    world.observe("open", &json!({}));
    assert_eq!(reason(&mut world, 3).code, Code::Effect, "two wait for an outcome already");
    assert_eq!(world.field("a"), "2", "what has no effect changes nothing");
    world.outcome(1, abide_core::record::OutcomeStatus::Delivered, None);
    assert!(recorded(&mut world, 4));
    world.observe("open", &json!({}));
    assert!(recorded(&mut world, 5));
}

#[test]
fn an_operator_moves_what_drift_is_measured_from_and_nobody_else() {
    let mut world = World::new(
        r"
fields: { a: { type: number, minimum: -1000, maximum: 1000, default: 10 } }
mutations: { set: { from: [observation, behaviour, operator], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } } }
trust_slope: { drift: { a: { within: 5 } } }
",
    );
    let mut ask = |caller: Option<Caller>, v: f64, seconds| {
        match caller {
            Some(caller) => world.ask("set", &json!({ "v": v }), caller),
            None => world.operate("o", "set", &json!({ "v": v })),
        };
        let recorded = recorded(&mut world, seconds);
        (recorded, world.state().drift_from[0])
    };
    let (behaviour, observation) = (|| Some(Caller::Behaviour), || Some(Caller::Observation("s".into())));
    assert_eq!(ask(behaviour(), 15.0, 1), (true, 10.0), "at the bound");
    assert_eq!(ask(behaviour(), 15.000_001, 2), (false, 10.0), "one past it");
    assert_eq!(ask(observation(), 4.9, 3), (false, 10.0), "a sensor is bound, too");
    assert_eq!(ask(None, 700.0, 4), (true, 700.0));
    assert_eq!(ask(behaviour(), 694.0, 5), (false, 700.0));
    assert_eq!(ask(behaviour(), 696.0, 6), (true, 700.0));
    assert_eq!(ask(behaviour(), 692.0, 7), (false, 700.0), "small steps do not add up");
}

#[test]
fn a_cost_is_rounded_up_to_a_millionth_and_charged_to_those_who_are_bound() {
    let mut world = World::new(
        r"
fields: { a: { type: number, minimum: -10, maximum: 10, default: 0 } }
mutations:
  set:
    from: [behaviour, component, observation, operator, parent]
    args: { v: { $ref: '#/fields/a' } }
    set: { a: args.v }
    cost: abs(args.v - self.a) / 3.0
  back: { from: [behaviour], set: { a: 0 }, cost: self.a }
trust_slope: { budget: 1 }
",
    );
    let free = [Caller::Observation("s".into()), Caller::Parent("p".into())];
    for (seconds, caller) in (1..).zip(free) {
        world.ask("set", &json!({ "v": seconds }), caller);
        assert!(recorded(&mut world, seconds));
    }
    world.operate("o", "set", &json!({ "v": 0 }));
    assert!(recorded(&mut world, 5));
    assert_eq!(world.level("o"), 1_000_000, "nothing was charged");
    world.ask("set", &json!({ "v": 1 }), Caller::Component("c".into()));
    assert_eq!(world.tick(6), ["set by component, a = 1.0, cost 0.333334"]);
    world.ask("set", &json!({ "v": -1 }), Caller::Behaviour);
    assert_eq!(
        reason(&mut world, 7).message.as_ref(),
        "`set` costs 0.666667, and the trust slope holds 0.666666"
    );
    assert_eq!(world.level("o"), 666_666, "a denial is free");
    world.operate("o", "set", &json!({ "v": -2 }));
    world.ask("back", &json!({}), Caller::Behaviour);
    world.tick(8);
    assert!(
        matches!(&world.verdicts[1].1, Verdict::Denied(reason) if reason.code == Code::Evaluation),
        "a cost is not negative"
    );
}

#[test]
fn ignore_drops_what_says_nothing_new_and_only_observations() {
    let mut world = World::new(
        r"
fields:
  a: { type: number, minimum: 0, maximum: 9, default: 5 }
  n: { type: integer, minimum: 0, maximum: 99, default: 0 }
mutations:
  see:
    from: [observation, component]
    args: { v: { type: number, minimum: 0, maximum: 9 } }
    ignore: 9 / int(args.v) > 99 || abs(args.v - self.a) < 0.5
    set: { a: args.v, n: self.n + 1 }
",
    );
    let before = world.log.len();
    world.observe("see", &json!({ "v": 5.4 }));
    assert!(world.tick(1).is_empty());
    assert!(matches!(world.verdicts[0].1, Verdict::Ignored));
    assert_eq!(world.log.len(), before, "nothing is recorded, not even beside the object");
    // The band is measured from what was taken last, within one tick, too.
    for v in [5.5, 5.9, 6.0] {
        world.observe("see", &json!({ "v": v }));
    }
    assert_eq!(world.tick(2), ["see by observation, a = 5.5, n = 1", "see by observation, a = 6.0, n = 2"]);
    // What would be denied is not dropped, an `ignore` without a value ignores nothing, and nobody else is ignored.
    world.observe("see", &json!({ "v": 10 }));
    assert_eq!(reason(&mut world, 3).code, Code::Argument);
    world.observe("see", &json!({ "v": 0.2 }));
    assert!(recorded(&mut world, 4));
    world.ask("see", &json!({ "v": 0.2 }), Caller::Component("c".into()));
    assert!(recorded(&mut world, 5));
    assert_eq!(world.field("n"), "4");
}
