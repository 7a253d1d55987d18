//! Denials are coalesced: the first in full, those that follow counted.

use abide_core::record::Caller;
use abide_core::time::Timestamp;
use serde_json::json;

use crate::world::{S, World};

const LAB: &str = r"
fields: { x: { type: integer, minimum: 0, maximum: 9, default: 0 }, y: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations:
  x: { from: [observation], args: { v: { type: integer, minimum: 0, maximum: 50 } }, set: { x: args.v } }
  y: { from: [observation], args: { v: { type: integer, minimum: 0, maximum: 50 } }, set: { y: args.v } }
";

fn ask(world: &mut World, mutation: &str, v: i64) {
    world.observe(mutation, &json!({ "v": v }));
}

#[test]
fn the_first_is_in_full_and_the_count_goes_before_the_next_record() {
    let mut world = World::new(LAB);
    for v in [10, 11, 12, 99, 98] {
        ask(&mut world, "x", v);
    }
    ask(&mut world, "y", 10);
    let told = world.tick(1);
    assert_eq!(
        told,
        [
            "denied x by observation: bounds at field x",
            "counted 2 × x: bounds at field x",
            "denied x by observation: argument at argument v",
            "counted 1 × x: argument at argument v",
            "denied y by observation: bounds at field y",
        ]
    );
    for _ in 0..3 {
        ask(&mut world, "x", 20);
    }
    assert!(world.tick(2).is_empty());
    ask(&mut world, "y", 20);
    ask(&mut world, "x", 1);
    assert_eq!(
        world.tick(3),
        ["counted 3 × x: bounds at field x, 1 × y: bounds at field y", "x by observation, x = 1"]
    );
    assert!(world.state().pending.is_empty());
}

#[test]
fn at_the_end_of_its_window_the_count_is_recorded_and_the_next_is_in_full_again() {
    let mut world =
        World::new(&format!("{LAB}trust_slope: {{ quarantine: {{ denials: 9, within: 60s }} }}\n"));
    ask(&mut world, "x", 10);
    world.tick(10);
    ask(&mut world, "x", 10);
    assert!(world.tick(69).is_empty());
    assert_eq!(world.engine.next_due(), Some(Timestamp(70 * S)), "nothing else has to come in");
    assert_eq!(world.tick(70), ["counted 1 × x: bounds at field x"]);
    assert_eq!(world.engine.next_due(), None);
    ask(&mut world, "x", 10);
    assert_eq!(world.tick(71), ["denied x by observation: bounds at field x"]);
}

#[test]
fn without_a_quarantine_the_window_is_an_hour() {
    let mut world = World::new(LAB);
    ask(&mut world, "x", 10);
    world.tick(1);
    ask(&mut world, "x", 10);
    world.tick(2);
    assert_eq!(world.engine.next_due(), Some(Timestamp(3601 * S)));
    ask(&mut world, "x", 10);
    // What comes in at the very end is the first of the next window; the count of the last one goes before it.
    let told = world.tick(3601);
    assert_eq!(told, ["counted 1 × x: bounds at field x", "denied x by observation: bounds at field x"]);
}

#[test]
fn a_flood_makes_a_bounded_number_of_records() {
    let mut world = World::new(LAB);
    let before = world.object("o").length;
    for tick in 1..=100 {
        for n in 0..1_000 {
            // Each value is another one, in type, too.
            let v = if n % 2 == 0 { json!(10 + n % 40) } else { json!(format!("flood {tick} {n}")) };
            world.observe("x", &json!({ "v": v }));
        }
        world.tick_at(Timestamp(tick * S / 2), Vec::new(), None);
        assert!(world.verdicts.len() == 1_000);
    }
    assert_eq!(world.object("o").length - before, 2, "two kinds in full");
    let counted: u64 = world.state().pending.iter().map(|one| one.count).sum();
    world.observe("y", &json!({ "v": 1 }));
    let told = world.tick(60);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(counted + 2, 100_000, "every one of them is counted");
}

#[test]
fn counts_that_are_not_recorded_yet_are_kept_beside_the_cursors() {
    let mut world = World::new(LAB);
    ask(&mut world, "x", 10);
    world.tick(1);
    ask(&mut world, "x", 10);
    ask(&mut world, "x", 10);
    let cursor = |n: u8| vec![("a".into(), std::sync::Arc::from([n].as_slice()))];
    assert!(world.tick_at(Timestamp(2 * S), cursor(1), None).is_empty());
    world.restart();
    assert_eq!(world.engine.cursor("a"), Some([1].as_slice()));
    assert_eq!(world.state().pending[0].count, 2, "what the source will not send again is not lost");
    ask(&mut world, "y", 3);
    assert_eq!(world.tick(3), ["counted 2 × x: bounds at field x", "y by observation, y = 3"]);
}

#[test]
fn the_kind_of_a_denial_is_mutation_code_and_place() {
    let mut world = World::new(LAB);
    world.ask("x", &json!({ "v": 1 }), Caller::Component("c".into()));
    world.ask("x", &json!({ "v": 1 }), Caller::Parent("p".into()));
    world.ask("y", &json!({ "v": 1 }), Caller::Component("c".into()));
    assert_eq!(
        world.tick(1),
        [
            "denied x by component: caller of the object",
            "counted 1 × x: caller of the object",
            "denied y by component: caller of the object",
        ]
    );
}
