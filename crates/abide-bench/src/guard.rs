//! A guard of three terms over the memory of every object: what a tick costs where nothing happens.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use abide_core::expr::{self, Env, Expected, Scope};
use abide_core::field::{Field, FieldType, Kind, StructType};
use abide_core::time::Timestamp;
use abide_core::value::{Value, key_order};
use serde::Serialize;

use crate::race::{median, verdict};

const GUARD: &str = r#"self.burner == "idle" && self.temperature < 1.5 && self.fuel >= 6"#;

const NS_PER_OBJECT_MAX: f64 = 60.0;

/// What an evaluation took.
#[derive(Serialize)]
pub(crate) struct Guard {
    guard: &'static str,
    objects: u32,
    median_ns_per_object: f64,
    min_ns_per_object: f64,
    ns_per_object_max: f64,
}

/// Evaluates it over all objects, many times.
pub(crate) fn run(objects: u32, quick: bool) -> io::Result<Guard> {
    let memory = Arc::new(memory_type());
    let scope = Scope { memory: Some(Arc::clone(&memory)), now: true, ..Scope::default() };
    let program = expr::compile(GUARD, &scope, &Expected::Bool).map_err(|errors| {
        io::Error::other(errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))
    })?;
    let memories: Vec<Vec<Value>> = (0..objects).map(|object| memory_of(&memory, object)).collect();
    let mut times = Vec::new();
    for _ in 0..if quick { 5 } else { 200 } {
        let start = Instant::now();
        let mut held: u32 = 0;
        for memory in std::hint::black_box(&memories) {
            let env =
                Env { memory, old_memory: &[], args: &[], now: Timestamp(0), caller: ("rule", "light") };
            held += u32::from(program.holds(&env).map_err(io::Error::other)?);
        }
        times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(objects));
        // The last term decides, and decides both ways: a guard that skipped it would be caught here.
        if held != objects.div_ceil(2) {
            return Err(io::Error::other(format!("the guard held for {held} of {objects} objects")));
        }
    }
    Ok(Guard {
        guard: GUARD,
        objects,
        median_ns_per_object: median(&mut times),
        min_ns_per_object: times.first().copied().unwrap_or(f64::NAN),
        ns_per_object_max: NS_PER_OBJECT_MAX,
    })
}

/// The memory of the frost guard, without bounds: a guard does not read them.
fn memory_type() -> StructType {
    let number = || Kind::Number { minimum: None, maximum: None, multiple_of: None, one_of: Vec::new() };
    let levels = ["idle", "low", "high"].map(Arc::from).to_vec();
    let burner = Kind::String { min_length: 0, max_length: 4, pattern: None, one_of: levels };
    let recent = Kind::Array { items: Box::new(plain(number())), min_items: 0, max_items: 24 };
    let mut fields: Vec<Field> = [
        ("temperature", number()),
        ("wind", number()),
        ("observed_at", Kind::DateTime),
        ("recent", recent),
        ("burner", burner),
        ("fuel", number()),
    ]
    .into_iter()
    .map(|(name, kind)| Field { name: name.into(), ty: plain(kind), required: true })
    .collect();
    fields.sort_by(|a, b| key_order(&a.name, &b.name));
    StructType { fields }
}

fn plain(kind: Kind) -> FieldType {
    FieldType { kind, nullable: false, unit: None, default: None, title: None, description: None }
}

fn memory_of(memory: &StructType, object: u32) -> Vec<Value> {
    let fuel = if object.is_multiple_of(2) { 400.0 } else { 5.0 };
    let value = |field: &Field| match &*field.name {
        "temperature" => Value::Num(1.25),
        "wind" => Value::Num(3.0),
        "observed_at" => Value::Time(Timestamp(1_359_694_800_000_000_000)),
        "recent" => Value::List((0..24).map(|n| Value::Num(f64::from(n))).collect()),
        "burner" => Value::from("idle"),
        "fuel" => Value::Num(fuel),
        _ => Value::Null,
    };
    memory.fields.iter().map(value).collect()
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = verdict(
            self.median_ns_per_object <= self.ns_per_object_max,
            &format!("at most {}", self.ns_per_object_max),
        );
        writeln!(f, "  {} over {} objects", self.guard, self.objects)?;
        write!(
            f,
            "  {:.1} ns an object, least {:.1}  {verdict}",
            self.median_ns_per_object, self.min_ns_per_object
        )
    }
}
