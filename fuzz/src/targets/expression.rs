//! Expressions: one compiles or everything that is wrong is said of places in it; what compiles keeps its promises.

use std::sync::{Arc, OnceLock};

use abide_core::expr::{COST_MAX, Env, Expected, Program, Scope, compile, show};
use abide_core::field::{StructType, untyped_from_json};
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use serde_json::json;

use super::{Reached, Target, check_span, no_seeds};
use crate::sample::SCHEMA;

pub(super) const TARGET: Target = Target { name: "expression", run, seeds: no_seeds };

/// What expressions are tried against: a complete memory, one with gaps, and arguments.
struct World {
    scope: Scope,
    full: Vec<Value>,
    gaps: Vec<Value>,
    args: Vec<Value>,
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(make).as_ref()
}

fn make() -> Option<World> {
    // Of the sample, with a field that has no value at first.
    let text = SCHEMA.replace("fields:\n", "fields:\n  gap: { type: number }\n");
    let (schema, _) = Schema::load(&text).ok()?;
    let memory = Arc::clone(&schema.memory);
    let args = Arc::clone(&schema.mutations.iter().find(|mutation| &*mutation.name == "observe")?.args);
    let mut full = memory.initial();
    let given = |ty: &StructType, name: &str| ty.slot(name).map(|slot| usize::from(slot.0));
    *full.get_mut(given(&memory, "gap")?)? = Value::Num(-0.5);
    let json = json!({ "level": 3, "heat": 1e-9, "at": "2026-01-01T00:00:00.000000001Z", "note": "é𝄞" });
    let values = args.values_from_json(&json).unwrap_or_else(|_| vec![untyped_from_json(&json)]);
    let gaps = memory.initial();
    let scope = Scope { memory: Some(memory), old_self: true, args: Some(args), now: true, caller: true };
    Some(World { scope, full, gaps, args: values })
}

fn run(bytes: &[u8]) -> Reached {
    let source = String::from_utf8_lossy(bytes);
    let Some(world) = world() else { return Reached::of(&"no world") };
    let compiled = compile(&source, &world.scope, &Expected::Any);
    let as_bool = compile(&source, &world.scope, &Expected::Bool);
    for error in [&compiled, &as_bool].into_iter().filter_map(|compiled| compiled.as_ref().err()).flatten() {
        check_span(&source, Some(&error.span));
    }
    match compiled {
        Ok(program) => Reached::of(&keeps_its_promises(&program, world)),
        Err(errors) => Reached::of(&errors.into_iter().map(|error| error.message).collect::<Vec<_>>()),
    }
}

fn keeps_its_promises(program: &Program, world: &World) -> Vec<String> {
    assert!(program.cost() <= COST_MAX, "an expression is let through at {} units", program.cost());
    let moments = [0, 1_767_225_600_000_000_001, i64::MAX, i64::MIN].map(Timestamp);
    let envs = moments.iter().flat_map(|now| {
        let (args, caller) = (world.args.as_slice(), ("operator", "é"));
        let env = |memory| Env { memory, old_memory: &world.full, args, now: *now, caller };
        [env(world.full.as_slice()), env(world.gaps.as_slice())]
    });
    let ends = envs.map(|env| {
        let value = program.eval(&env);
        let is_full = env.memory == world.full;
        assert!(program.can_fail() || !is_full || value.is_ok(), "what cannot fail fails: {value:?}");
        if let Ok(Value::Bool(holds)) = value {
            assert_eq!(program.holds(&env), Ok(holds), "it holds and is false, or the reverse");
        }
        let explained = program.explain(&env);
        assert_eq!(
            explained.result.is_ok(),
            value.is_ok(),
            "its explanation comes to another end: {explained:?}"
        );
        value.map_or_else(|error| error.message, |value| show(&value))
    });
    ends.take(2).collect()
}
