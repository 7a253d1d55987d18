//! The carried component of the example, and its source: they decide alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::guest::{Act, ActStep, Behaviour as InForce};
use abide_core::record::Hash;
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use abide_wasm::{Component, Options, Sandbox};
use frost_guard::{Actions as _, Behaviour, Burner, Cycle, Memory, Mutation, Step};
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

const SCHEMA: &str = include_str!("../../../../examples/frost-guard/frost-guard.yaml");
const COMPONENT: &[u8] = include_bytes!("../../../../examples/frost-guard/frost_guard.wasm");
const NOW: Timestamp = Timestamp(1_364_774_400_000_000_000);

/// Memories on both sides of each threshold of the behaviour, and far from all of them.
fn memories() -> impl Strategy<Value = Memory> {
    let temperature = prop_oneof![4 => -4.0..4.0, 1 => -60.0..60.0, 1 => Just(1.5)];
    let wind =
        proptest::option::of(prop_oneof![4 => 3.0..7.0, 1 => 0.0..110.0, 1 => Just(5.5), 1 => Just(4.5)]);
    let recent = proptest::collection::vec(-6.0..6.0, 0..=24);
    let light_below = prop_oneof![3 => -3.0..5.0, 1 => Just(-60.0)];
    let burner = prop_oneof![Just(Burner::Idle), Just(Burner::Low), Just(Burner::High)];
    let fuel = prop_oneof![4 => 40.0..70.0, 1 => 0.0..800.0, 1 => Just(54.0), 1 => Just(60.0)];
    (temperature, any::<i64>(), wind, recent, 0.0..9_000.0, light_below, burner, fuel).prop_map(
        |(temperature, observed_at, wind, recent, warmth, light_below, burner, fuel)| Memory {
            temperature,
            observed_at,
            wind,
            recent,
            warmth,
            light_below,
            burner,
            fuel,
        },
    )
}

/// The memory as the host holds it: a value for each field of the schema.
fn values(schema: &Schema, memory: &Memory) -> Vec<Value> {
    let value = |field: &str| match field {
        "temperature" => Value::Num(memory.temperature),
        "observed_at" => Value::Time(Timestamp(memory.observed_at)),
        "wind" => memory.wind.map_or(Value::Null, Value::Num),
        "recent" => Value::List(memory.recent.iter().copied().map(Value::Num).collect()),
        "warmth" => Value::Num(memory.warmth),
        "light_below" => Value::Num(memory.light_below),
        "burner" => Value::Str(level(memory.burner).into()),
        "fuel" => Value::Num(memory.fuel),
        other => panic!("the schema has a field `{other}` that this test does not know"),
    };
    schema.memory.fields.iter().map(|field| value(&field.name)).collect()
}

fn level(burner: Burner) -> &'static str {
    match burner {
        Burner::Idle => "idle",
        Burner::Low => "low",
        Burner::High => "high",
    }
}

fn of_component(component: &Component, schema: &Arc<Schema>, memory: &Memory) -> Result<Vec<String>, String> {
    let acted = component.act(&Act {
        schema,
        behaviour: InForce { component: component.digest(), config: Hash::default() },
        action: "plan",
        object: "test",
        rule: "test",
        tick: 1,
        now: NOW,
        attempts: 0,
        slope: None,
        head: Hash::default(),
        memory: &values(schema, memory),
    });
    let step = |step: &ActStep| match step {
        ActStep::Mutate { mutation, args } => {
            let name = &schema.mutations[mutation.0 as usize].name;
            format!("{name} {args:?}")
        }
        other => format!("{other:?}"),
    };
    acted.answer.map(|steps| steps.iter().map(step).collect()).map_err(|error| error.message)
}

fn of_source(memory: Memory) -> Result<Vec<String>, String> {
    let cycle = Cycle { now: NOW.0, ..Cycle::at(NOW.0) };
    let step = |step: &Step| match step {
        Step::Mutate(Mutation::SetBurner(args)) => {
            format!("set_burner {:?}", [Value::Str(level(args.level).into())])
        }
        other => format!("{other:?}"),
    };
    Behaviour::plan(cycle, memory).map(|steps| steps.iter().map(step).collect())
}

#[test]
fn source_and_component_decide_alike() {
    let schema = Arc::new(Schema::load(SCHEMA).unwrap().0);
    let component =
        Sandbox::new(Options::default()).unwrap().load(&schema, COMPONENT, BTreeMap::new()).unwrap();
    let mut decisions: BTreeMap<String, usize> = BTreeMap::new();
    let seen = std::cell::RefCell::new(&mut decisions);
    TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() })
        .run(&memories(), |memory| {
            let expected = of_source(memory.clone());
            *seen.borrow_mut().entry(format!("{expected:?}")).or_default() += 1;
            prop_assert_eq!(of_component(&component, &schema, &memory), expected, "{:?}", memory);
            Ok(())
        })
        .unwrap();
    // Or the memories would say little: to do nothing, and each level.
    assert!(decisions.len() == 4 && decisions.values().all(|count| *count >= 40), "{decisions:?}");
}
