//! Spawning attenuates: what a child is given is taken from its parent, and returns when it ends.

use std::sync::Arc;

use abide_core::cycle::Input;
use abide_core::object::Object;
use abide_core::policy::Grant;
use abide_core::record::decode::decode;
use abide_core::record::{Caller, Event, Record};
use abide_core::schema::Refill;
use abide_core::time::{Span, Timestamp};
use serde_json::json;

use crate::world::{S, World, policy, schema};

const KID: &str = r"
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations:
  act: { from: [rule], set: { n: self.n + 1 }, cost: 1 }
  stop: { from: [observation], set: { n: 9 } }
rules:
  - { name: end, when: self.n == 9, then: terminate }
  - { name: work, when: self.n < 2, then: { mutate: act } }
trust_slope: { budget: 100, refill: { amount: 100, per: 1s } }
";

/// A parent that has one child at a time, of what `spawn` says.
fn parent(spawn: &str, slope: &str) -> World {
    let mut world = World::empty();
    world.know(&schema("kid", KID));
    let body = format!(
        r"
fields: {{ x: {{ type: integer, minimum: 0, maximum: 99, default: 0 }} }}
mutations:
  x: {{ from: [observation], args: {{ v: {{ $ref: '#/fields/x' }} }}, set: {{ x: args.v }} }}
  pay: {{ from: [rule], set: {{ x: 0 }}, cost: 6 }}
rules:
  - {{ name: breed, when: self.x == 1, then: {{ spawn: {{ {spawn} }} }} }}
  - {{ name: buy, when: self.x == 2, then: {{ mutate: pay }} }}
trust_slope: {{ {slope} }}
"
    );
    let mut policy = policy();
    policy.links.push(Grant {
        target: "t".into(),
        interface: "example:lab/lamp".into(),
        functions: Vec::new(),
    });
    policy.limits.children = 2;
    world.begin("o", &schema("lab", &body), policy, &json!({})).unwrap();
    world
}

fn x(world: &mut World, seconds: i64, v: i64) -> Vec<String> {
    world.observe("x", &json!({ "v": v }));
    world.tick(seconds)
}

/// The youngest object.
fn child(world: &World) -> &Object {
    world.engine.objects().last().unwrap()
}

fn records(world: &World) -> Vec<Record> {
    let object = |bytes: &[u8]| abide_core::record::decode::header(bytes).unwrap().object;
    let of = |bytes: &[u8]| world.engine.object(&object(bytes)).map(|object| Arc::clone(&object.schema));
    world.log.iter().map(|(bytes, _)| decode(bytes, of(bytes).as_deref()).unwrap()).collect()
}

#[test]
fn both_lineages_carry_the_link_and_its_first_cycle_is_the_next_tick() {
    let mut world = parent(
        "schema: kid, budget: 4, refill: 1, values: { n: '${self.x - 1}' }, links: ['example:lab/lamp']",
        "budget: 10, refill: { amount: 3, per: 1m }",
    );
    world.tick(1);
    let told = x(&mut world, 2, 1);
    assert_eq!(told[..2], ["x by observation, x = 1", "spawn by breed"]);
    assert!(told[2].ends_with(": genesis") && told.len() == 3, "{told:?}");
    let o = world.object("o");
    let kid = child(&world);
    // Its id is the hash of the parent's record and the step.
    assert_eq!(*kid.id, *o.head.of_child(0).to_string());
    assert_eq!((kid.parent.as_deref(), kid.depth), (Some("o"), 1));
    let records = records(&world);
    let Some(Event::Genesis(genesis)) = records.iter().find(|r| r.object == kid.id).map(|r| &r.event) else {
        panic!("a genesis")
    };
    assert_eq!(genesis.parent, Some((Arc::from("o"), o.head)));
    assert!(o.state.children.contains_key(&kid.id));
    // Of the links it has those that it was given, operators and limits are its parent's.
    assert_eq!(
        kid.policy.links,
        [Grant { target: "t".into(), interface: "example:lab/lamp".into(), functions: Vec::new() }]
    );
    assert_eq!((&kid.policy.operators, kid.policy.limits), (&o.policy.operators, o.policy.limits));
    // Budget and refill are taken out of the parent's; what its own schema says is more, and bounds nothing.
    let bucket = |object: &Object| object.state.bucket.map(|b| (b.capacity, b.refill));
    let refill = |amount: u64| Some(Refill { amount: amount * 1_000_000, per: Span::from_secs(60) });
    assert_eq!(bucket(o), Some((6_000_000, refill(2))));
    assert_eq!(bucket(kid), Some((4_000_000, refill(1))));
    assert_eq!((world.level("o"), world.level(&Arc::clone(&child(&world).id))), (6_000_000, 4_000_000));
    let told = world.tick(3);
    assert!(told.len() == 1 && told[0].ends_with("act by rule work, n = 1, cost 1"), "{told:?}");
}

#[test]
fn what_a_child_has_left_returns_when_it_ends() {
    let mut world = parent("schema: kid, budget: 4, refill: 1", "budget: 10, refill: { amount: 1, per: 1h }");
    x(&mut world, 1, 1);
    world.tick(2);
    world.tick(3);
    let id = Arc::clone(&child(&world).id);
    assert_eq!(world.level(&id), 2_000_000 + 277, "two acts, and a little refill");
    let request = world.request(&id, "stop", &json!({}), Caller::Observation("s".into()));
    world.submit(&id, Input::Ask(request));
    let told = world.tick(4);
    assert_eq!(told.last().map(String::as_str), Some("child-ended"), "{told:?}");
    let bucket = world.state().bucket.unwrap();
    assert_eq!((bucket.capacity, bucket.refill.unwrap().amount), (10_000_000, 1_000_000));
    assert_eq!(bucket.level, 8_000_555, "6 of its own, and what the child left");
    assert!(world.state().children.is_empty());
    world.restart();
    assert_eq!(world.state().bucket, Some(bucket));
}

#[test]
fn what_returns_makes_a_denied_rule_ready_at_once() {
    let mut world = parent("schema: kid, budget: 5, refill: 1", "budget: 10, refill: { amount: 1, per: 1h }");
    x(&mut world, 1, 1);
    world.tick(2);
    let told = x(&mut world, 3, 2);
    assert_eq!(told[1], "denied pay by rule buy step 0: slope of the object");
    assert_eq!(world.engine.next_due(), None, "what it has left never holds that much");
    let id = Arc::clone(&child(&world).id);
    let request = world.request(&id, "stop", &json!({}), Caller::Observation("s".into()));
    world.submit(&id, Input::Ask(request));
    world.tick(4);
    world.restart();
    assert_eq!(world.tick(5), ["pay by rule buy, x = 0, cost 6"]);
}

#[test]
fn a_child_that_cannot_be_made_is_a_denial_and_changes_nothing() {
    let denied = |spawn: &str, slope: &str| {
        let mut world = parent(spawn, slope);
        let told = x(&mut world, 1, 1);
        assert_eq!(told[1..], ["denied an act by rule breed step 0: spawn of the object"], "{spawn}");
        assert_eq!(world.engine.objects().len(), 1);
        let (bytes, _) = world
            .log
            .iter()
            .rev()
            .find(|(bytes, _)| abide_core::record::decode::header(bytes).unwrap().kind == 5)
            .unwrap();
        let Event::Denial(denied) = decode(bytes, Some(&world.object("o").schema)).unwrap().event else {
            panic!("a denial")
        };
        denied.reason.message.to_string()
    };
    let slope = "budget: 10";
    assert_eq!(denied("schema: stranger", slope), "no schema `stranger` is at hand for a child");
    assert_eq!(
        denied("schema: kid, links: ['example:lab/door']", slope),
        "a child can't be given `example:lab/door`, which its parent is not granted"
    );
    let mut world = parent("schema: kid, values: { n: 10 }", slope);
    assert!(x(&mut world, 1, 1)[1].contains("spawn at field n"));
    let mut world = parent("schema: kid, values: { m: 1 }", slope);
    assert!(x(&mut world, 1, 1)[1].contains("spawn at field m"));
    let mut world = parent("schema: kid, values: { n: '${1 / (self.x - 1)}' }", slope);
    assert!(x(&mut world, 1, 1)[1].contains("evaluation at `1 / (self.x - 1)`"));
}

#[test]
fn children_and_generations_are_bounded_and_so_is_what_is_divided() {
    // Two children of 4 leave 2; a third finds neither a place nor a budget.
    let mut world = parent("schema: kid, budget: 4", "budget: 10");
    for (seconds, born) in [(1, true), (3, true), (5, false)] {
        x(&mut world, seconds, 0);
        let told = x(&mut world, seconds + 1, 1);
        assert_eq!(told.iter().any(|told| told == "spawn by breed"), born, "{told:?}");
    }
    let mut world = parent("schema: kid, budget: 6", "budget: 10");
    x(&mut world, 1, 1);
    x(&mut world, 2, 0);
    let told = x(&mut world, 3, 1);
    assert!(
        told.contains(&"denied an act by rule breed step 0: spawn of the object".to_owned()),
        "4 are left: {told:?}"
    );

    let mut world = World::empty();
    let line = schema(
        "line",
        r"
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
rules: [ { name: breed, when: self.n == 0, then: { spawn: { schema: line } } } ]
",
    );
    world.begin("o", &line, policy(), &json!({})).unwrap();
    for seconds in 1..12 {
        world.tick(seconds);
    }
    let depths: Vec<u32> = world.engine.objects().iter().map(|object| object.depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4], "four generations below it");
}

/// A child keeps part of what it was given for its own child, whose schema refills by another measure.
#[test]
fn what_returns_is_less_what_grandchildren_still_have_whatever_the_measure() {
    let mut world = World::empty();
    world.know(&schema(
        "leaf",
        r"
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
trust_slope: { budget: 9, refill: { amount: 9, per: 1s } }
",
    ));
    world.know(&schema(
        "middle",
        r"
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations: { end: { from: [observation], set: { n: 1 } } }
rules:
  - { name: breed, when: self.n == 0, then: { spawn: { schema: leaf, budget: 1, refill: 0.05 } } }
  - { name: end, when: self.n == 1, then: terminate }
trust_slope: { budget: 9, refill: { amount: 0.1, per: 1m } }
",
    ));
    let root = schema(
        "root",
        r"
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
rules: [ { name: breed, when: self.n == 0, then: { spawn: { schema: middle, budget: 4, refill: 10 } } } ]
trust_slope: { budget: 20, refill: { amount: 20, per: 1h } }
",
    );
    world.begin("o", &root, policy(), &json!({})).unwrap();
    world.tick(1);
    let middle = Arc::clone(&child(&world).id);
    world.tick(2);
    let request = world.request(&middle, "end", &json!({}), Caller::Observation("s".into()));
    world.submit(&middle, Input::Ask(request));
    world.tick(3);
    let refill = world.state().bucket.unwrap().refill.unwrap();
    assert_eq!(refill.per, Span::from_secs(3600));
    // The leaf still refills 0.05 a minute, which is 3 an hour.
    assert_eq!(refill.amount, 17_000_000);
    assert_eq!(world.clock.time, Timestamp(3 * S));
}

#[test]
fn what_a_childs_child_still_has_comes_back_to_nobody() {
    let kid = "fields: { n: { type: integer, default: 0 } }\nmutations: { go: { from: [observation], args: { v: { type: integer } }, set: { n: args.v } } }\nrules:\n  - { name: end, when: self.n == 2, then: terminate }\n  - { name: make, when: self.n == 1, then: { spawn: { schema: kid, budget: 6 } } }\n";
    let mut world = World::empty();
    world.know(&schema("kid", &format!("{kid}trust_slope: {{ budget: 6 }}")));
    let first = schema("lab", &format!("{kid}trust_slope: {{ budget: 10 }}"));
    world.begin("o", &first, policy(), &json!({})).unwrap();
    let mut at = 0;
    let mut go = |world: &mut World, number: u32, v: i64| {
        let id = world.engine.by_number(number).unwrap().id.clone();
        let request = world.request(&id, "go", &json!({ "v": v }), Caller::Observation("src".into()));
        world.submit(&id, Input::Ask(request));
        at += 1;
        world.tick(at);
    };
    // One makes the next, down to the fourth; then the third and the second end.
    (1..=3).for_each(|number| go(&mut world, number, 1));
    go(&mut world, 3, 2);
    go(&mut world, 2, 2);
    assert_eq!(world.engine.objects().len(), 4);
    assert_eq!((world.level("o"), world.state().bucket.unwrap().capacity), (4_000_000, 4_000_000));
    let fourth = world.engine.by_number(4).unwrap().id.clone();
    assert_eq!(world.level(&fourth), 6_000_000, "which has what the others were given");
    // Nor does another budget of the first give that out again.
    world.upgrade("o", &crate::world::version("lab", 2, &format!("{kid}trust_slope: {{ budget: 11 }}")));
    world.tick(at + 1);
    assert_eq!(world.level("o"), 5_000_000);
}
