//! What of an object's state stays over an upgrade, and the way back.

use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::cycle::Verdict;
use abide_core::engine::Engine;
use abide_core::record::{Event, OutcomeStatus};
use abide_core::state::Status;
use abide_core::time::{Span, Timestamp};
use serde_json::{Value as Json, json};

use crate::world::{S, World, policy, version};

const TANK: &str = r"
fields:
  level: { type: integer, minimum: 0, maximum: 100, default: 50 }
  pump: { type: boolean, default: false }
mutations:
  observe: { from: [observation], args: { v: { type: integer } }, set: { level: args.v } }
  switch: { from: [rule, operator], args: { on: { type: boolean } }, set: { pump: args.on }, cost: 3 }
  ring: { from: [rule], effect: { interface: example:lab/valve, function: open, args: [], valid_for: 1h, result: observe } }
rules:
  - { name: full, when: self.level > 80 && !self.pump, for: 60s, then: { mutate: switch, args: { on: true } } }
  - { name: alarm, when: self.level > 90, then: { mutate: ring } }
  - { name: rest, when: self.level < 5, then: { sleep: { for: 1h } } }
trust_slope: { budget: 10, quarantine: { denials: 3, within: 1h }, drift: { level: { from: 50, within: 50 } } }
";

fn tank() -> World {
    let mut world = World::empty();
    world.begin("o", &version("tank", 1, TANK), policy(), &json!({})).unwrap();
    world
}

/// Puts that text in force as the next version, and gives what else was recorded in that tick.
fn upgraded(world: &mut World, text: &str) -> Vec<String> {
    let to = version("tank", world.object("o").schema.version[..1].parse::<u32>().unwrap() + 1, text);
    world.upgrade("o", &to);
    let mut told = world.tick(world.clock.time.0 / S + 1);
    assert!(matches!(world.verdicts[0].1, Verdict::Recorded(_)), "{:?}", world.verdicts);
    assert_eq!(told.remove(0), "upgrade");
    told
}

fn observe(world: &mut World, level: i64) {
    world.observe("observe", &json!({ "v": level }));
}

fn memory(world: &World) -> Json {
    let object = world.object("o");
    object.schema.memory.to_json(&object.state.memory)
}

#[test]
fn a_guard_that_held_goes_on_and_another_begins_anew() {
    let mut world = tank();
    observe(&mut world, 85);
    world.tick(1);
    upgraded(&mut world, &TANK.replace("budget: 10", "budget: 20"));
    assert_eq!(world.tick(60), [""; 0], "since 1s, for 60s");
    assert_eq!(world.tick(61), ["switch by rule full, pump = true, cost 3"]);

    let mut world = tank();
    observe(&mut world, 85);
    world.tick(1);
    upgraded(&mut world, &TANK.replace("self.level > 80 &&", "self.level > 70 &&"));
    assert_eq!(world.tick(61), [""; 0], "another guard, since 2s");
    assert_eq!(world.tick(62), ["switch by rule full, pump = true, cost 3"]);
}

#[test]
fn a_rule_that_was_chosen_is_not_ready_again_unless_something_changed() {
    let mut world = tank();
    observe(&mut world, 95);
    assert_eq!(world.tick(1)[2..], ["ring by rule alarm, effect []"]);
    let ring = world.object("o").length - 1;
    assert_eq!(upgraded(&mut world, &format!("{TANK}intent: Ring once.\n")), [""; 0]);
    assert_eq!(world.tick(3), [""; 0]);
    let told = upgraded(&mut world, &TANK.replace("when: self.level > 90", "when: self.level > 91"));
    assert_eq!(told, ["ring by rule alarm, effect []"], "another guard");
    // What was ordered under the first version comes back to the third.
    world.outcome(ring, OutcomeStatus::Delivered, Some(json!({ "v": 12 })));
    assert_eq!(world.tick(7)[..2], ["outcome of 3: Delivered", "observe by observation, level = 12"]);
}

#[test]
fn what_was_spent_stays_spent_and_drift_stays_where_operators_left_it() {
    let mut world = tank();
    observe(&mut world, 85);
    world.tick(1);
    world.tick(61);
    assert_eq!(world.level("o"), 7_000_000);
    upgraded(&mut world, &TANK.replace("budget: 10", "budget: 12"));
    assert_eq!(world.level("o"), 9_000_000);
    upgraded(&mut world, &TANK.replace("budget: 10", "budget: 2"));
    assert_eq!(world.level("o"), 0, "3 of 2 are spent");
    upgraded(&mut world, &TANK.replace("budget: 10,", ""));
    assert_eq!(world.state().bucket, None);
    upgraded(&mut world, &TANK.replace("within: 50", "within: 60"));
    assert_eq!((world.level("o"), &world.state().drift_from), (7_000_000, &vec![50.0]), "3 of 10 are spent");
    upgraded(&mut world, &TANK.replace("from: 50, within: 50", "from: 40, within: 50"));
    assert_eq!(world.state().drift_from, [40.0], "another `from` is stated");
}

#[test]
fn sleep_goes_on_where_its_rule_is_and_quarantine_always() {
    let mut world = tank();
    observe(&mut world, 1);
    world.tick(1);
    assert_eq!(world.state().status, Status::Sleeping);
    upgraded(&mut world, &TANK.replace("budget: 10", "budget: 20"));
    assert_eq!(world.state().status, Status::Sleeping);
    upgraded(&mut world, &TANK.replace("name: rest", "name: nap"));
    assert_eq!(world.state().status, Status::Sleeping, "the new rule sleeps in the same cycle");
    assert!(world.log.len() > 3);
    let told = world.records();
    let last: Vec<_> = told.iter().rev().take(2).map(|(record, _)| record.event.kind()).collect();
    assert!(last.contains(&10), "a sleep of its own: {last:?}");

    // Three denials of its own doing.
    let text = TANK.replace("set: { pump: args.on }", "requires: self.level > 200, set: { pump: args.on }");
    let text =
        text.replace("when: self.level > 80 && !self.pump, for: 60s", "when: self.level > 80, every: 1s");
    let mut world = World::empty();
    world.begin("o", &version("tank", 1, &text), policy(), &json!({})).unwrap();
    observe(&mut world, 85);
    (1..5).for_each(|at| drop(world.tick(at)));
    assert_eq!(world.state().status, Status::Quarantined);
    upgraded(
        &mut world,
        "fields: { level: { type: integer, default: 1 }, pump: { type: boolean, default: true } }",
    );
    assert_eq!(world.state().status, Status::Quarantined);
    world.act("o", OperatorAct::Release);
    world.tick(20);
    assert_eq!(world.state().status, Status::Active);
}

#[test]
fn what_waits_for_the_tick_was_asked_under_the_schema_before() {
    let mut world = tank();
    let to = version("tank", 2, &TANK.replace("  observe:", "  aaa: { from: [observation] }\n  observe:"));
    world.upgrade("o", &to);
    observe(&mut world, 33);
    let told = world.tick(1);
    assert_eq!(told, ["observe by observation, level = 33", "upgrade"]);
    assert_eq!(memory(&world)["level"], 33);
    // Of two upgrades from the same version, the second comes too late.
    let (third, other) = (version("tank", 3, TANK), version("tank", 4, TANK));
    world.upgrade("o", &third);
    world.upgrade("o", &other);
    world.tick(2);
    assert!(
        matches!(&world.verdicts[1].1, Verdict::Denied(reason) if reason.message.contains("in force by now"))
    );
    assert_eq!(&*world.object("o").schema.version, "3.0.0");
}

#[test]
fn a_refused_upgrade_leaves_no_schema_and_a_flood_of_them_nothing() {
    let mut world = tank();
    let length = world.log.len();
    for n in 0..50 {
        let to = version("tank", 2, &TANK.replace("budget: 10", &format!("budget: {}", 100 + n)));
        let transition = abide_core::transition::Transition::new(&world.object("o").schema, &to).unwrap();
        let act = OperatorAct::Schema(Arc::new(transition), None);
        // Signed by nobody that the object knows.
        let signature = crate::world::signature(9, 1, &act.signed_bytes(world.object("o").genesis, 1));
        let input =
            abide_core::cycle::Input::Operate(abide_core::admission::OperatorRequest { act, signature });
        world.submit("o", input);
        world.tick(n + 1);
    }
    assert_eq!(world.engine.schemas().len(), 1);
    assert!(world.log.len() - length <= 2, "the first denial, and counts");
}

#[test]
fn counts_are_recorded_by_the_names_they_were_counted_under() {
    let mut world = tank();
    for at in 1..4 {
        observe(&mut world, 500);
        world.tick(at);
    }
    assert_eq!(world.state().pending.len(), 1);
    let to = version("tank", 2, &TANK.replace("observe", "read"));
    world.upgrade("o", &to);
    assert_eq!(world.tick(9), ["counted 2 × observe: bounds at field level", "upgrade"]);
    world.restart();
    world.observe("read", &json!({ "v": 500 }));
    assert_eq!(
        world.tick(10),
        ["denied read by observation: bounds at field level"],
        "the first of its kind again"
    );
}

#[test]
fn the_way_back_restores_what_no_longer_means_the_same() {
    let mut world = tank();
    observe(&mut world, 60);
    world.tick(1);
    let second = r"
fields:
  depth: { type: number, minimum: 0, maximum: 300, default: 1 }
  pump: { type: integer, minimum: 0, maximum: 9, default: 0 }
  site: { type: string, maxLength: 9 }
mutations:
  observe: { from: [observation], args: { v: { type: integer } }, set: { depth: double(args.v) } }
  switch: { from: [operator], args: { on: { type: integer } }, set: { pump: args.on } }
migration: { from: 1.0.0, set: { pump: 'self.pump ? 1 : 2', depth: double(self.level) }, default: { site: north }, remove: [level] }
";
    upgraded(&mut world, second);
    assert_eq!(memory(&world), json!({ "depth": 60.0, "pump": 2, "site": "north" }));
    observe(&mut world, 70);
    world.tick(3);
    let (bytes, before) = (world.engine.snapshot(), world.object("o").length);
    let restored = Engine::restore(&bytes).unwrap();
    assert_eq!(restored.snapshot(), bytes, "what is kept for the way back is in a snapshot");
    world.act("o", OperatorAct::revert(world.object("o")).unwrap());
    assert_eq!(world.tick(4), ["upgrade"]);
    assert_eq!(
        memory(&world),
        json!({ "level": 60, "pump": false }),
        "both were computed, so both are what they were"
    );
    assert_eq!(&*world.object("o").schema.version, "1.0.0");
    assert_eq!(world.object("o").force, before);
    let (last, _) = world.records().pop().unwrap();
    assert!(matches!(last.event, Event::Upgrade(upgrade) if upgrade.reverts == Some(2)));
    assert!(OperatorAct::revert(world.object("o")).is_none(), "a reversal is not reverted");
}

#[test]
fn the_way_back_keeps_what_still_means_the_same_if_it_fits() {
    let wider = TANK
        .replace("level:", "depth:")
        .replace("self.level", "self.depth")
        .replace("maximum: 100", "maximum: 900");
    let wider = wider.replace("set: { level", "set: { depth").replace("drift: { level", "drift: { depth");
    let wider = wider.replace("within: 50", "within: 900");
    for (value, restored) in [(77, 77), (101, 60)] {
        let mut world = tank();
        observe(&mut world, 60);
        world.tick(1);
        upgraded(&mut world, &format!("{wider}migration: {{ from: 1.0.0, rename: {{ level: depth }} }}"));
        observe(&mut world, value);
        world.tick(3);
        world.act("o", OperatorAct::revert(world.object("o")).unwrap());
        world.tick(4);
        assert_eq!(memory(&world)["level"], restored, "101 is above the old maximum");
    }
}

#[test]
fn the_way_back_is_refused_where_an_old_invariant_would_not_hold() {
    let strict =
        format!("{TANK}invariants: [ {{ expression: '!self.pump || self.level > 10', message: dry }} ]\n");
    let mut world = World::empty();
    world.begin("o", &version("tank", 1, &strict), policy(), &json!({})).unwrap();
    upgraded(&mut world, TANK);
    observe(&mut world, 9);
    world.operate("o", "switch", &json!({ "on": true }));
    world.tick(5);
    world.act("o", OperatorAct::revert(world.object("o")).unwrap());
    world.tick(6);
    assert!(
        matches!(&world.verdicts[0].1, Verdict::Denied(reason) if reason.message.contains("dry")),
        "{:?}",
        world.verdicts
    );
    observe(&mut world, 11);
    world.act("o", OperatorAct::revert(world.object("o")).unwrap());
    world.tick(7);
    assert_eq!(&*world.object("o").schema.version, "1.0.0");
}

fn reverted(world: &mut World) {
    world.act("o", OperatorAct::revert(world.object("o")).unwrap());
    world.tick(world.clock.time.0 / S + 1);
    assert!(matches!(world.verdicts[0].1, Verdict::Recorded(_)), "{:?}", world.verdicts);
}

#[test]
fn a_debt_is_not_forgiven() {
    for less in ["budget: 1,", ""] {
        let mut world = tank();
        observe(&mut world, 85);
        world.tick(1);
        world.tick(61);
        assert_eq!(world.level("o"), 7_000_000);
        upgraded(&mut world, &TANK.replace("budget: 10,", less));
        world.restart();
        reverted(&mut world);
        assert_eq!((world.level("o"), world.state().owed), (7_000_000, 0), "{less}");
        // Nor is it by an upgrade instead of a reversal, in several steps.
        upgraded(&mut world, &TANK.replace("budget: 10,", less));
        upgraded(&mut world, &TANK.replace("budget: 10", "budget: 2"));
        assert_eq!((world.level("o"), world.state().owed), (0, 1_000_000), "{less}");
        upgraded(&mut world, &TANK.replace("budget: 10", "budget: 20"));
        assert_eq!((world.level("o"), world.state().owed), (17_000_000, 0), "{less}");
    }
}

#[test]
fn a_child_has_no_more_than_it_was_given() {
    let field = "fields: { x: { type: integer, default: 0 } }\n";
    let kid = |budget: u32| format!("{field}trust_slope: {{ budget: {budget} }}");
    let parent = format!(
        "{field}mutations: {{ go: {{ from: [rule], set: {{ x: self.x + 1 }}, cost: 7 }} }}\nrules: [ {{ name: spend, when: self.x == 0, then: {{ mutate: go }} }}, {{ name: make, when: self.x == 1, then: {{ spawn: {{ schema: kid, budget: 10 }} }} }} ]\ntrust_slope: {{ budget: 10 }}\n"
    );
    let mut world = World::empty();
    world.know(&version("kid", 1, &kid(5)));
    world.begin("o", &version("lab", 1, &parent), policy(), &json!({})).unwrap();
    world.tick(1);
    world.tick(2);
    let id = world.engine.objects().iter().map(|object| object.id.to_string()).find(|id| id != "o").unwrap();
    let level = |world: &World| world.level(&id);
    assert_eq!(level(&world), 3_000_000, "of 5");
    world.upgrade(&id, &version("kid", 2, &kid(10)));
    world.tick(3);
    assert_eq!(level(&world), 3_000_000, "of 10");
    world.upgrade(&id, &version("kid", 3, &kid(2)));
    world.tick(4);
    world.upgrade(&id, &version("kid", 4, &kid(10)));
    world.tick(5);
    assert!(level(&world) <= 3_000_000);
}

#[test]
fn drift_comes_back_and_goes_with_a_name() {
    let adjust = TANK.replace(
        "  switch:",
        "  adjust: { from: [operator], args: { v: { type: integer } }, set: { level: args.v } }\n  switch:",
    );
    let strict = adjust.replace("within: 50", "within: 5");
    let mut world = World::empty();
    world.begin("o", &version("tank", 1, &strict), policy(), &json!({})).unwrap();
    world.operate("o", "adjust", &json!({ "v": 70 }));
    world.tick(1);
    assert_eq!(world.state().drift_from, [70.0]);
    upgraded(
        &mut world,
        "fields: { level: { type: integer, default: 50 }, pump: { type: boolean, default: false } }",
    );
    world.restart();
    reverted(&mut world);
    assert_eq!(world.state().drift_from, [70.0]);
    let renamed = strict.replace("level:", "depth:").replace("self.level", "self.depth");
    upgraded(&mut world, &format!("{renamed}migration: {{ from: 1.0.0, rename: {{ level: depth }} }}"));
    assert_eq!(world.state().drift_from, [70.0]);
    reverted(&mut world);
    assert_eq!(world.state().drift_from, [70.0]);
}

#[test]
fn an_integer_becomes_a_number_and_an_integer_again() {
    let count = |ty: &str| {
        format!(
            "fields: {{ n: {{ type: {ty}, default: 3 }}, l: {{ type: array, maxItems: 3, items: {{ type: {ty} }}, default: [1, 2] }} }}\nmutations: {{ put: {{ from: [observation], args: {{ v: {{ type: {ty} }} }}, set: {{ n: args.v, l: '[args.v]' }} }}, ring: {{ from: [rule], cost: 0 }} }}\nrules: [ {{ name: high, when: 'double(self.n) > 2.0', then: {{ mutate: ring }} }} ]\n"
        )
    };
    let mut world = World::empty();
    world.begin("o", &version("lab", 1, &count("integer")), policy(), &json!({})).unwrap();
    assert_eq!(world.tick(1), ["ring by rule high"]);
    world.upgrade("o", &version("lab", 2, &count("number")));
    assert_eq!(world.tick(2), ["upgrade"], "its guard reads no other value");
    world.restart();
    world.observe("put", &json!({ "v": 5 }));
    world.tick(3);
    reverted(&mut world);
    assert_eq!(memory(&world), json!({ "n": 5, "l": [5] }));
    // A number that is no integer is none.
    world.upgrade("o", &version("lab", 3, &count("number")));
    world.tick(10);
    world.observe("put", &json!({ "v": 5.5 }));
    world.tick(11);
    reverted(&mut world);
    assert_eq!(memory(&world), json!({ "n": 5, "l": [5] }));
}

#[test]
fn an_incomplete_object_may_stay_so_and_may_become_complete() {
    let lacks = "fields: { a: { type: integer }, b: { type: integer, default: 1 } }";
    let mut world = World::new(lacks);
    let more = "fields: { a: { type: integer }, b: { type: integer, default: 1 }, c: { type: integer } }";
    world.upgrade("o", &version("lab", 2, more));
    world.tick(1);
    assert_eq!(world.state().status, Status::Incomplete);
    assert_eq!(world.state().gaps(&world.object("o").schema).count(), 2);
    let full = "fields: { a: { type: integer, default: 4 }, b: { type: integer, default: 1 }, c: { type: integer } }\nmigration: { from: 2.0.0, set: { c: self.b + 1 } }";
    world.upgrade("o", &version("lab", 3, full));
    world.tick(2);
    assert_eq!((memory(&world), world.state().status), (json!({ "a": 4, "b": 1, "c": 2 }), Status::Active));
}

#[test]
fn a_reset_of_the_clock_after_an_upgrade_moves_what_it_must() {
    let mut world = tank();
    observe(&mut world, 85);
    world.tick(100);
    upgraded(&mut world, &TANK.replace("budget: 10", "budget: 20"));
    world.reset(Timestamp(20 * S)).unwrap();
    let held = world.state().rules[0].held_since.unwrap();
    assert_eq!(held, Timestamp(100 * S).set_back(Span(81 * S)));
    world.restart();
    assert_eq!(world.tick(79), ["switch by rule full, pump = true, cost 3"]);
}
