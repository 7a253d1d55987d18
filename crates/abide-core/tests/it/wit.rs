//! The WIT world of a schema: the text is WIT, says what the model says, and a component of it is valid.

mod awkward;
mod held;
mod random;

use abide_core::schema::Schema;
use abide_core::wit::{DEPENDENCIES, Type, World};
use proptest::prelude::*;

use crate::schema::{EVERYTHING, FROST_GUARD, load};
use awkward::AWKWARD;
use held::{component, held};

/// The example with the rule that its design has: an act each hour while it burns.
pub(crate) fn acting_frost_guard() -> Schema {
    let acting = FROST_GUARD.replace(
        "safe_state:",
        "  - { name: plan, when: self.burner != 'idle', every: 1h, then: { act: plan } }\nsafe_state:",
    );
    load(&acting)
}

#[test]
fn the_world_of_the_example() {
    let world = World::of(&acting_frost_guard());
    insta::assert_snapshot!(world.to_wit());
    held(&world);
    component(&world);
}

#[test]
fn every_type_has_its_form() {
    let world = World::of(&load(EVERYTHING));
    insta::assert_snapshot!(world.to_wit());
    held(&world);
}

#[test]
fn awkward_names_and_values_are_borne() {
    let world = World::of(&load(AWKWARD));
    insta::assert_snapshot!(world.to_wit());
    held(&world);
    component(&world);
}

#[test]
fn a_schema_without_anything_has_a_world() {
    let world = World::of(&load("schema: abide/v1\nname: nothing\nversion: 0.0.1\n"));
    assert_eq!(world.memory, Type::Nothing("memory".into()));
    assert!(world.mutations.is_empty() && world.actions.is_empty() && world.types.is_empty());
    held(&world);
    component(&world);
}

/// Every word that WIT keeps to itself may name a field, a type, a case, a mutation and an action.
#[test]
fn keywords_are_names_like_others() {
    let words = "use type func u8 u16 u32 u64 s8 s16 s32 s64 f32 f64 char resource own borrow record flags variant enum bool \
        string option result future stream list map as from static interface tuple world import export package constructor \
        include with async self implements extends";
    for word in words.split_whitespace().chain(["error-context"]) {
        let field = word.replace('-', "_");
        let world = World::of(&load(&format!(
            "schema: abide/v1\nname: {word}\nversion: 1.0.0\n\
             fields:\n  {field}: {{ type: string, enum: [{word}, b], default: b }}\n\
             mutations:\n  {field}: {{ from: [behaviour], args: {{ {field}: {{ $ref: '#/fields/{field}' }} }} }}\n\
             rules: [ {{ name: r, when: now > now, every: 1h, then: {{ act: {word} }} }} ]\n"
        )));
        held(&world);
        component(&world);
    }
}

/// Names of actions beside what the world uses, and beside the memory that a module exports.
#[test]
fn actions_are_kept_apart_from_what_a_module_exports() {
    let rule = |(n, action)| {
        format!("  - {{ name: r{n}, when: now > now, every: 1h, then: {{ act: {action} }} }}\n")
    };
    let actions = ["memory", "cycle", "step", "types", "log", "store", "mutation", "a_b", "a-b", "behaviour"];
    let rules: String = actions.into_iter().enumerate().map(rule).collect();
    let world = World::of(&load(&format!("schema: abide/v1\nname: a\nversion: 1.0.0\nrules:\n{rules}")));
    let exports: Vec<_> =
        world.actions.iter().map(|action| (&*action.name, action.export.as_str())).collect();
    assert_eq!(exports[..3], [("memory", "memory-b"), ("cycle", "cycle-b"), ("step", "step-b")]);
    assert_eq!(exports[7..9], [("a_b", "a-b"), ("a-b", "a-b-b")]);
    held(&world);
    component(&world);
}

#[test]
fn the_largest_of_everything_is_borne() {
    let values: Vec<_> =
        (0..1_000).map(|n| format!("\"{}{n}\"", ["?", "a b ", "A", "é", "0"][n % 5])).collect();
    let fields: String = (0..999).map(|n| format!("  f{n}: {{ type: boolean, default: true }}\n")).collect();
    let mutations: String = (0..1_000)
        .map(|n| format!("  m{n}: {{ from: [behaviour], args: {{ a: {{ type: boolean }} }} }}\n"))
        .collect();
    let world = World::of(&load(&format!(
        "schema: abide/v1\nname: large\nversion: 1.0.0\nfields:\n  e: {{ type: string, enum: [{}] , default: '?0' }}\n{fields}mutations:\n{mutations}",
        values.join(", ")
    )));
    held(&world);
    component(&world);
    // Sixteen levels of what takes the most levels of WIT.
    let mut ty = "{ type: boolean, nullable: true }".to_owned();
    for _ in 0..15 {
        ty = format!("{{ type: object, additionalProperties: {ty}, maxProperties: 1, nullable: true }}");
    }
    let deep = format!(
        "schema: abide/v1\nname: deep\nversion: 1.0.0\nfields:\n  f: {ty}\n\
         mutations: {{ m: {{ from: [behaviour], args: {{ a: {{ $ref: '#/fields/f' }} }} }} }}\n\
         rules: [ {{ name: r, when: now > now, every: 1h, then: {{ act: go }} }} ]\n"
    );
    let world = World::of(&load(&deep));
    held(&world);
    component(&world);
}

#[test]
fn the_dependencies_are_what_they_say() {
    for dependency in DEPENDENCIES {
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str(dependency.folder, dependency.text).unwrap();
        assert_eq!(resolve.packages[package].name.to_string(), dependency.package);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The text of any schema is WIT that says what the model says, and a component of it is valid.
    #[test]
    fn every_schema_has_a_world(schema in random::schema()) {
        let (schema, _) = Schema::load(&schema)
            .unwrap_or_else(|found| panic!("{schema}\n{}", crate::schema::shown(&schema, &found)));
        let world = World::of(&schema);
        prop_assert!(World::of(&schema) == world, "the same each time");
        held(&world);
        component(&world);
    }
}
