//! An act of a behaviour in a fresh instance, against what the engine alone takes to make one and call it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abide_core::guest::{Act, Behaviour};
use abide_core::record::Hash;
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use abide_wasm::{Component, Options, Sandbox};
use serde::Serialize;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre, Linker, Val};

use crate::race::{median, verdict};

/// The example's behaviour, and its schema.
pub(crate) const COMPONENT: &[u8] = include_bytes!("../../../examples/frost-guard/frost_guard.wasm");
const SCHEMA: &str = include_str!("../../../examples/frost-guard/frost-guard.yaml");

/// Most that an act may cost, in terms of the engine alone.
const RATIO_MAX: f64 = 1.3;
/// Fewest acts a second on one core.
const ACTS_MIN: f64 = 20_000.0;

/// What acts took.
#[derive(Serialize)]
pub(crate) struct Acts {
    rounds: u32,
    acts: u32,
    median_us_per_act: f64,
    engine_us_per_call: f64,
    /// The median over rounds of what an act took over what the engine alone did.
    ratio: f64,
    ratio_max: f64,
    acts_per_second: f64,
    acts_per_second_min: f64,
}

/// The engine alone: the same component, instantiated and called with values that are there already.
struct Engine {
    pre: InstancePre<()>,
    export: ComponentExportIndex,
    params: [Val; 2],
}

/// Takes turns with the engine, round by round.
pub(crate) fn run(quick: bool) -> io::Result<Acts> {
    let (rounds, acts) = if quick { (3, 200) } else { (15, 5_000) };
    let (schema, _) = Schema::load(SCHEMA).map_err(|errors| {
        io::Error::other(errors.first().map_or_else(String::new, |first| first.message.clone()))
    })?;
    let schema = Arc::new(schema);
    let sandbox = Sandbox::new(Options::default())?;
    let component = sandbox.load(&schema, COMPONENT, BTreeMap::new()).map_err(io::Error::other)?;
    let memory = memory_of(&schema);
    let engine =
        Engine::new(&sandbox, &schema, &memory).map_err(|error| io::Error::other(format!("{error:#}")))?;
    let (mut own, mut alone, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let mine = our_acts(&component, &schema, &memory, acts)?.as_secs_f64() * 1e6 / f64::from(acts);
        let theirs = engine.calls(acts).map_err(|error| io::Error::other(format!("{error:#}")))?;
        let theirs = theirs.as_secs_f64() * 1e6 / f64::from(acts);
        // The first round warms the pool up.
        if round > 0 {
            own.push(mine);
            alone.push(theirs);
            ratios.push(mine / theirs);
        }
    }
    let median_us_per_act = median(&mut own);
    Ok(Acts {
        rounds,
        acts,
        median_us_per_act,
        engine_us_per_call: median(&mut alone),
        ratio: median(&mut ratios),
        ratio_max: RATIO_MAX,
        acts_per_second: 1e6 / median_us_per_act,
        acts_per_second_min: ACTS_MIN,
    })
}

/// A night in blossom, with a full list of readings.
fn memory_of(schema: &Schema) -> Vec<Value> {
    let fields = schema.memory.fields.iter();
    fields
        .map(|field| match &*field.name {
            "temperature" => Value::Num(1.2),
            "wind" => Value::Num(1.0),
            "warmth" => Value::Num(2_500.0),
            "light_below" => Value::Num(1.5),
            "observed_at" => Value::Time(Timestamp(1_363_824_000_000_000_000)),
            "recent" => Value::List((0..24).map(|hour| Value::Num(f64::from(hour) / 4.0)).collect()),
            _ => field.ty.initial(),
        })
        .collect()
}

fn our_acts(
    component: &Component,
    schema: &Arc<Schema>,
    memory: &[Value],
    acts: u32,
) -> io::Result<Duration> {
    let start = Instant::now();
    for tick in 0..acts {
        let act = Act {
            schema,
            behaviour: Behaviour::default(),
            action: "plan",
            object: "ewr",
            rule: "plan",
            tick: u64::from(tick),
            now: Timestamp(1_363_824_000_000_000_000),
            attempts: 0,
            slope: Some(60_000_000),
            head: Hash([7; 32]),
            memory,
        };
        let acted = component.act(&act);
        match acted.answer {
            Ok(steps) if steps.len() == 1 => {}
            other => return Err(io::Error::other(format!("the act came to {other:?}"))),
        }
    }
    Ok(start.elapsed())
}

impl Engine {
    fn new(sandbox: &Sandbox, schema: &Schema, memory: &[Value]) -> wasmtime::Result<Self> {
        let component = wasmtime::component::Component::new(sandbox.engine(), COMPONENT)?;
        let mut linker: Linker<()> = Linker::new(sandbox.engine());
        linker.define_unknown_imports_as_traps(&component)?;
        // What the guest logs costs the engine nothing.
        linker.allow_shadowing(true);
        linker.instance("abide:object/log@0.1.0")?.func_new("log", |_, _, _, _| Ok(()))?;
        let pre = linker.instantiate_pre(&component)?;
        let export = component
            .get_export_index(None, "plan")
            .ok_or_else(|| wasmtime::Error::msg("the component lacks `plan`"))?;
        Ok(Self { pre, export, params: [cycle(), memory_val(schema, memory)] })
    }

    fn calls(&self, calls: u32) -> wasmtime::Result<Duration> {
        let start = Instant::now();
        for _ in 0..calls {
            let mut store = Store::new(self.pre.engine(), ());
            store.set_fuel(u64::MAX / 2)?;
            let instance = self.pre.instantiate(&mut store)?;
            let function = instance
                .get_func(&mut store, self.export)
                .ok_or_else(|| wasmtime::Error::msg("the component lacks `plan`"))?;
            let mut answer = [Val::Bool(false)];
            function.call(&mut store, &self.params, &mut answer)?;
            std::hint::black_box(answer);
        }
        Ok(start.elapsed())
    }
}

fn field(name: &str, value: Val) -> (String, Val) {
    (name.to_owned(), value)
}

fn cycle() -> Val {
    Val::Record(vec![
        field("object", Val::String("ewr".to_owned())),
        field("tick", Val::U64(7)),
        field("now", Val::S64(1_363_824_000_000_000_000)),
        field("rule", Val::String("plan".to_owned())),
        field("attempts", Val::U32(0)),
        field("slope", Val::Option(Some(Box::new(Val::Float64(60.0))))),
    ])
}

/// The memory as the engine takes it, by the kinds that the example's fields have.
fn memory_val(schema: &Schema, memory: &[Value]) -> Val {
    let fields = schema.memory.fields.iter().zip(memory);
    Val::Record(
        fields.map(|(of, value)| field(&of.name.replace('_', "-"), val(value, of.ty.nullable))).collect(),
    )
}

fn val(value: &Value, nullable: bool) -> Val {
    let lowered = match value {
        Value::Num(n) => Val::Float64(*n),
        Value::Int(n) => Val::S64(*n),
        Value::Time(time) => Val::S64(time.0),
        Value::Str(text) => Val::Enum(text.to_string()),
        Value::List(items) => Val::List(items.iter().map(|item| val(item, false)).collect()),
        _ => return Val::Option(None),
    };
    if nullable { Val::Option(Some(Box::new(lowered))) } else { lowered }
}

impl fmt::Display for Acts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} rounds of {} acts of examples/frost-guard, taking turns", self.rounds, self.acts)?;
        writeln!(f, "  an act                      {:>8.2} us", self.median_us_per_act)?;
        writeln!(f, "  the engine alone            {:>8.2} us", self.engine_us_per_call)?;
        let kept = verdict(self.ratio <= self.ratio_max, &format!("at most {}", self.ratio_max));
        writeln!(f, "  ratio                       {:>8.2}     {kept}", self.ratio)?;
        let enough = self.acts_per_second >= self.acts_per_second_min;
        let kept = verdict(enough, &format!("at least {}", self.acts_per_second_min));
        write!(f, "  acts a second, one core     {:>8.0}     {kept}", self.acts_per_second)
    }
}
