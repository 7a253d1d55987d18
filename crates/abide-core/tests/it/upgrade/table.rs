//! Each row of the table in `docs/upgrades.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::cycle::Verdict;
use abide_core::schema::Schema;
use abide_core::transition::Transition;
use serde_json::{Value as Json, json};

use crate::world::{BEHAVIOUR, World, policy, version};

/// What happens.
enum Comes {
    /// The object has this memory under the new schema.
    Over(Json),
    /// The new schema cannot take over, whatever the object holds; that is said.
    Unbound(&'static str),
    /// The object refuses; the code and that are said.
    Refused(&'static str, &'static str),
}

use Comes::{Over, Refused, Unbound};

/// A row: its text, the old schema, first values, the new schema, and what comes.
struct Row(&'static str, &'static str, Json, &'static str, Comes);

const ONE: &str = "fields: { x: { type: integer, minimum: 0, maximum: 100, default: 5 } }";
const TWO: &str = "fields: { x: { type: integer, minimum: 0, maximum: 100, default: 5 }, y: { type: integer, minimum: 0, maximum: 100, default: 7 } }";
const NULLABLE: &str = "fields: { x: { type: integer, minimum: 0, maximum: 100, nullable: true } }";
const WIND: &str = "fields: { w: { type: object, properties: { gust: { type: number }, dir: { type: number, default: 1 } }, default: { gust: 3 } } }";

fn rows() -> Vec<Row> {
    let none = || json!({});
    vec![
        Row("a field is added that has a `default`", ONE, none(), TWO, Over(json!({ "x": 5, "y": 7 }))),
        Row(
            "a nullable field is added",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 }, y: { type: integer, nullable: true } }",
            Over(json!({ "x": 5, "y": null })),
        ),
        Row(
            "a field is added without a default, with a value under `default` or `set`",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 }, y: { type: integer }, z: { type: string, maxLength: 9 } }\nmigration: { from: 1.0.0, set: { y: self.x * 2 }, default: { z: north } }",
            Over(json!({ "x": 5, "y": 10, "z": "north" })),
        ),
        Row(
            "a field is added without any value",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 }, y: { type: integer } }",
            Refused("bounds", "field `y` would have no value"),
        ),
        Row(
            "a field is under `rename`",
            ONE,
            none(),
            "fields: { level: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, rename: { x: level } }",
            Over(json!({ "level": 5 })),
        ),
        Row(
            "two fields take each other's names",
            TWO,
            none(),
            "fields: { x: { type: integer, default: 1 }, y: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, rename: { x: y, y: x } }",
            Over(json!({ "x": 7, "y": 5 })),
        ),
        Row(
            "a field takes the name of another that is not renamed or removed",
            TWO,
            none(),
            "fields: { y: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, rename: { x: y } }",
            Unbound("field `y` would be lost"),
        ),
        Row(
            "a field is left out and named under `remove`",
            TWO,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, remove: [y] }",
            Over(json!({ "x": 5 })),
        ),
        Row("a field is left out and not named", TWO, none(), ONE, Unbound("field `y` would be lost")),
        Row(
            "a field under `remove` has a new one of its name",
            ONE,
            none(),
            "fields: { x: { type: string, maxLength: 9, default: new } }\nmigration: { from: 1.0.0, remove: [x] }",
            Over(json!({ "x": "new" })),
        ),
        Row(
            "bounds are wider",
            ONE,
            none(),
            "fields: { x: { type: integer, minimum: -9, maximum: 1000, default: 1 } }",
            Over(json!({ "x": 5 })),
        ),
        Row(
            "bounds are narrower, and the value is within",
            ONE,
            none(),
            "fields: { x: { type: integer, minimum: 5, maximum: 5, default: 5 } }",
            Over(json!({ "x": 5 })),
        ),
        Row(
            "bounds are narrower, and the value is not within",
            ONE,
            none(),
            "fields: { x: { type: integer, minimum: 0, maximum: 4, default: 1 } }",
            Refused("bounds", "field `x`"),
        ),
        Row(
            "a value of an `enum` is gone, and the field has it",
            "fields: { b: { type: string, enum: [idle, low, high], default: high } }",
            none(),
            "fields: { b: { type: string, enum: [idle, low], default: idle } }",
            Refused("bounds", "field `b`"),
        ),
        Row(
            "a value out of the new bounds is brought within by `set`",
            ONE,
            json!({ "x": 99 }),
            "fields: { x: { type: integer, minimum: 0, maximum: 4, default: 1 } }\nmigration: { from: 1.0.0, set: { x: 'self.x > 4 ? 4 : self.x' } }",
            Over(json!({ "x": 4 })),
        ),
        Row(
            "an integer becomes a number",
            ONE,
            none(),
            "fields: { x: { type: number, default: 1 } }",
            Over(json!({ "x": 5.0 })),
        ),
        Row(
            "an integer becomes a number, and no number is exactly it",
            "fields: { x: { type: integer, default: 9007199254740993 } }",
            none(),
            "fields: { x: { type: number, default: 1 } }",
            Refused("bounds", "field `x`: `9007199254740993` is no number of 64 bits"),
        ),
        Row(
            "the type is another one, with its value under `set`",
            "fields: { x: { type: number, default: 1.5 } }",
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, set: { x: int(self.x) } }",
            Over(json!({ "x": 1 })),
        ),
        Row(
            "the type is another one, without `set`",
            "fields: { x: { type: number, default: 3 } }",
            none(),
            ONE,
            Unbound("field `x` is an integer now, and was a number"),
        ),
        Row(
            "a nullable field must have a value, and has one",
            NULLABLE,
            json!({ "x": 3 }),
            "fields: { x: { type: integer } }",
            Over(json!({ "x": 3 })),
        ),
        Row(
            "a nullable field must have a value, has none, and has a default",
            NULLABLE,
            none(),
            "fields: { x: { type: integer, default: 8 } }\nmigration: { from: 1.0.0, default: { x: 9 } }",
            Over(json!({ "x": 9 })),
        ),
        Row(
            "a nullable field must have a value, and there is none",
            NULLABLE,
            none(),
            "fields: { x: { type: integer } }",
            Refused("bounds", "field `x` would have no value"),
        ),
        Row(
            "a property with a default is added to an object",
            WIND,
            none(),
            "fields: { w: { type: object, properties: { gust: { type: number }, dir: { type: number, default: 1 }, from: { type: string, maxLength: 3, default: NW } }, default: { gust: 0 } } }",
            Over(json!({ "w": { "gust": 3.0, "dir": 1.0, "from": "NW" } })),
        ),
        Row(
            "a property of an object is left out, and the value has it",
            WIND,
            none(),
            "fields: { w: { type: object, properties: { gust: { type: number } }, default: { gust: 0 } } }",
            Refused("bounds", "field `w.dir`: there is no `dir`"),
        ),
        Row(
            "items of a list become numbers",
            "fields: { l: { type: array, items: { type: integer }, maxItems: 3, default: [1, 2] } }",
            none(),
            "fields: { l: { type: array, items: { type: number }, maxItems: 2, default: [] } }",
            Over(json!({ "l": [1.0, 2.0] })),
        ),
        Row(
            "what is within a list, an object or a map is of another type",
            "fields: { l: { type: array, items: { type: string, maxLength: 9 }, maxItems: 3, default: [90s] } }",
            none(),
            "fields: { l: { type: array, items: { type: string, format: duration }, maxItems: 3, default: [] } }",
            Unbound("field `l` is"),
        ),
        Row(
            "an expression under `set` has no value",
            ONE,
            json!({ "x": 0 }),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, set: { x: 100 / self.x } }",
            Refused("evaluation", "field `x`"),
        ),
        Row(
            "an expression under `set` reads what the old schema has not",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, set: { x: self.level } }",
            Unbound("`set` of `x` in the `migration`, over schema `lab` 1.0.0"),
        ),
        Row(
            "`rename` or `remove` names what the old schema has not",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: 1.0.0, rename: { y: x }, remove: [x, z] }",
            Unbound("`rename` names `y`, which schema `lab` 1.0.0 has not"),
        ),
        Row(
            "`rename` names what this one of several versions has not, and it has the new name",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: [0.9.0, 1.0.0], rename: { old: x } }",
            Over(json!({ "x": 5 })),
        ),
        Row(
            "the version in force is not under `from`",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmigration: { from: [0.9.0, 1.1.0] }",
            Unbound("takes over from 0.9.0, 1.1.0, and 1.0.0 is in force"),
        ),
        Row(
            "an invariant of the new schema would not hold",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 20 } }\ninvariants: [ { expression: self.x > 9 }, { expression: self.x > oldSelf.x } ]",
            Refused("invariant", "`self.x > 9` would not hold"),
        ),
        Row(
            "a field would be farther from its `drift` than is allowed",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 50 } }\ntrust_slope: { drift: { x: { within: 9 } } }",
            Refused("drift", "field `x` would be 5, more than 9 from 50"),
        ),
        Row(
            "mutations, rules, costs, invariants, the slope, limits change",
            ONE,
            none(),
            "fields: { x: { type: integer, default: 1 } }\nmutations: { inc: { from: [rule], set: { x: self.x + 1 }, cost: 2 } }\nrules: [ { name: inc, when: self.x < 7, every: 1s, then: { mutate: inc } } ]\ntrust_slope: { budget: 9 }",
            // The cycle of the upgrade itself goes by the new rules.
            Over(json!({ "x": 6 })),
        ),
    ]
}

/// Rows that take more than memory; each has a test below.
const OTHERS: [&str; 7] = [
    "the schema has another name",
    "the schema is in force already",
    "an effect waits for its outcome, and the new schema has not its mutation",
    "more of the slope is with children than the new one has",
    "the new schema has acts, and there is no component",
    "the object is sealed or has ended",
    "",
];

#[test]
fn every_row_is_as_it_says() {
    for Row(what, was, values, is, comes) in rows() {
        let mut world = World::empty();
        world.begin("o", &version("lab", 1, was), policy(), &values).unwrap();
        let to = version("lab", 2, is);
        let transition = Transition::new(&world.object("o").schema, &to);
        let verdict = transition.map(|transition| {
            let behaviour = None;
            world.act("o", OperatorAct::Schema(Arc::new(transition), behaviour));
            world.tick(1);
            world.verdicts[0].1.clone()
        });
        let object = world.object("o");
        let memory = object.schema.memory.to_json(&object.state.memory);
        match (verdict, comes) {
            (Ok(Verdict::Recorded(_)), Over(expected)) => {
                assert_eq!((memory, &*object.schema.version), (expected, "2.0.0"), "{what}");
                world.restart();
                assert_eq!(&*world.object("o").schema.version, "2.0.0", "{what}");
            }
            (Ok(Verdict::Denied(reason)), Refused(code, said)) => {
                assert_eq!(reason.code.name(), code, "{what}: {}", reason.message);
                assert!(reason.message.contains(said), "{what}: {}", reason.message);
                assert_eq!(&*object.schema.version, "1.0.0", "{what}");
            }
            (Err(wrong), Unbound(said)) => {
                assert!(wrong.iter().any(|one| one.message.contains(said)), "{what}: {wrong:?}");
                assert!(wrong.iter().all(|one| one.help.is_some()), "{what}: {wrong:?}");
            }
            (came, _) => panic!("{what}: {came:?}, memory {memory}"),
        }
    }
}

#[test]
fn the_table_has_these_rows_and_no_others() {
    let page = include_str!("../../../../../docs/upgrades.md");
    let table = page.lines().skip_while(|line| *line != "| the change | what happens |").skip(2);
    let told: BTreeSet<&str> = table.map_while(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let rows = rows();
    let tested: BTreeSet<&str> =
        rows.iter().map(|row| row.0).chain(OTHERS).filter(|row| !row.is_empty()).collect();
    assert_eq!(told, tested);
}

/// Asks for that schema without a component, and gives what was said.
fn asked(world: &mut World, to: &Arc<Schema>) -> Verdict {
    let transition = Transition::new(&world.object("o").schema, to).unwrap();
    world.act("o", OperatorAct::Schema(Arc::new(transition), None));
    world.tick(world.clock.time.0 / crate::world::S + 1);
    world.verdicts[0].1.clone()
}

fn refused(world: &mut World, to: &Arc<Schema>, code: &str, said: &str) {
    let Verdict::Denied(reason) = asked(world, to) else { panic!("{code}: it is admitted") };
    assert_eq!(reason.code.name(), code, "{}", reason.message);
    assert!(reason.message.contains(said), "{}", reason.message);
}

#[test]
fn another_name_and_the_same_schema_are_refused() {
    let mut world = World::new(ONE);
    let other = version("other", 2, ONE);
    let wrong = Transition::new(&world.object("o").schema, &other).unwrap_err();
    assert!(wrong[0].message.contains("`other` cannot take over from `lab`"), "{wrong:?}");
    let same = Arc::clone(&world.object("o").schema);
    refused(&mut world, &same, "status", "in force already");
}

#[test]
fn an_effect_that_waits_keeps_its_mutation() {
    let with = "fields: { x: { type: integer, default: 0 } }\nmutations:\n  open: { from: [observation], set: { x: self.x + 1 }, effect: { interface: example:lab/valve, function: open, args: [], valid_for: 1m } }\n";
    let mut world = World::new(with);
    world.observe("open", &json!({}));
    world.tick(1);
    let of = world.object("o").length - 1;
    let without = version("lab", 2, "fields: { x: { type: integer, default: 0 } }");
    refused(&mut world, &without, "effect", "the effect of `open` in record 1 waits for its outcome");
    let other = version("lab", 3, &with.replace("function: open", "function: shut"));
    refused(&mut world, &other, "effect", "waits for its outcome");
    world.outcome(of, abide_core::record::OutcomeStatus::Delivered, None);
    world.tick(20);
    assert!(matches!(asked(&mut world, &without), Verdict::Recorded(_)));
}

#[test]
fn what_children_have_stays_theirs() {
    let kid = version("kid", 1, "fields: { a: { type: integer, default: 0 } }\ntrust_slope: { budget: 100 }");
    let parent = "fields: { x: { type: integer, default: 0 } }\nmutations: { go: { from: [observation], set: { x: self.x + 1 } } }\n";
    let slope = |budget: u32, refill: &str| {
        format!("{parent}trust_slope: {{ budget: {budget}, refill: {refill} }}\n")
    };
    let makes = "rules: [ { name: make, when: self.x == 1, then: { spawn: { schema: kid, budget: 6, refill: 2 } } } ]";
    let first = version("lab", 1, &(slope(10, "{ amount: 4, per: 1h }") + makes));
    let mut world = World::empty();
    world.know(&kid);
    world.begin("o", &first, policy(), &json!({})).unwrap();
    world.observe("go", &json!({}));
    world.tick(1);
    assert_eq!((world.engine.objects().len(), world.level("o")), (2, 4_000_000));
    refused(
        &mut world,
        &version("lab", 2, &slope(5, "{ amount: 4, per: 1h }")),
        "slope",
        "more of the budget was given",
    );
    refused(
        &mut world,
        &version("lab", 2, &slope(10, "{ amount: 1, per: 1h }")),
        "slope",
        "more of the refill was given",
    );
    refused(
        &mut world,
        &version("lab", 2, &slope(10, "{ amount: 4, per: 2h }")),
        "slope",
        "its period must stay",
    );
    let more = version("lab", 2, &slope(16, "{ amount: 5, per: 1h }"));
    assert!(matches!(asked(&mut world, &more), Verdict::Recorded(_)));
    let bucket = world.state().bucket.unwrap();
    assert_eq!((bucket.capacity, bucket.level), (10_000_000, 10_000_000), "16, of which a child has 6");
    assert_eq!(bucket.refill.unwrap().amount, 3_000_000, "5, of which a child has 2");
}

#[test]
fn acts_need_a_component_and_a_component_acts() {
    let mut world = World::new(ONE);
    let acts = version(
        "lab",
        2,
        &format!("{ONE}\nrules: [ {{ name: plan, when: self.x > 0, every: 1h, then: {{ act: plan }} }} ]"),
    );
    refused(&mut world, &acts, "status", "it needs a behaviour");
    let transition = Arc::new(Transition::new(&world.object("o").schema, &acts).unwrap());
    world.act("o", OperatorAct::Schema(transition, Some(BEHAVIOUR)));
    world.tick(9);
    assert_eq!(world.object("o").behaviour, Some(BEHAVIOUR));
    let plain = version("lab", 3, ONE);
    let transition = Arc::new(Transition::new(&world.object("o").schema, &plain).unwrap());
    world.act("o", OperatorAct::Schema(Arc::clone(&transition), Some(BEHAVIOUR)));
    world.tick(10);
    assert!(matches!(&world.verdicts[0].1, Verdict::Denied(reason) if reason.message.contains("no acts")));
    world.act("o", OperatorAct::Schema(transition, None));
    world.tick(11);
    assert_eq!(world.object("o").behaviour, None);
}

#[test]
fn a_closed_object_takes_nothing() {
    let mut world = World::new(ONE);
    world.act("o", OperatorAct::Seal);
    world.tick(1);
    refused(&mut world, &version("lab", 2, ONE), "status", "sealed already");
    let ends = format!("{ONE}\nrules: [ {{ name: end, when: self.x > 0, then: terminate }} ]");
    let mut world = World::new(&ends);
    world.tick(1);
    refused(&mut world, &version("lab", 2, ONE), "status", "terminated already");
}
