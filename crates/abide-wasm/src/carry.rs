//! Values into a guest and steps out of it, both by the model of the world.

use std::sync::Arc;

use abide_core::admission::micro;
use abide_core::guest::{Act, ActSpawn, ActStep, Wake};
use abide_core::schema::Micro;
use abide_core::time::{Span, Timestamp};
use abide_core::value::{Value, key_order};
use abide_core::wit::{RecordType, Type, World};
use wasmtime::component::Val;

/// Why an answer does not lift: a place and what is wrong there.
pub(crate) type Wrong = String;

/// What an action is told of the cycle.
pub(crate) fn cycle(act: &Act<'_>) -> Val {
    #[expect(clippy::cast_precision_loss, reason = "what a bucket holds stays below 2^53 millionths")]
    let slope = act.slope.map(|micro| Box::new(Val::Float64(micro as f64 / 1e6)));
    let field = |name: &str, value| (name.to_owned(), value);
    Val::Record(vec![
        field("object", Val::String(act.object.to_owned())),
        field("tick", Val::U64(act.tick)),
        field("now", Val::S64(act.now.0)),
        field("rule", Val::String(act.rule.to_owned())),
        field("attempts", Val::U32(act.attempts)),
        field("slope", Val::Option(slope)),
    ])
}

/// The memory of an object; `None` where it is not of the world.
pub(crate) fn memory(world: &World, values: &[Value]) -> Option<Val> {
    match &world.memory {
        Type::Record(of) => record(of, values),
        _ => values.is_empty().then(nothing),
    }
}

fn nothing() -> Val {
    Val::Enum("nothing".to_owned())
}

fn record(of: &RecordType, values: &[Value]) -> Option<Val> {
    if of.fields.len() != values.len() {
        return None;
    }
    let fields = of.fields.iter().zip(values);
    fields
        .map(|(field, value)| Some((field.name.clone(), lower(&field.ty, value)?)))
        .collect::<Option<_>>()
        .map(Val::Record)
}

/// A value as a guest sees it; `None` where it is not of the type.
pub(crate) fn lower(ty: &Type, value: &Value) -> Option<Val> {
    Some(match (ty, value) {
        (Type::Option(_), Value::Null) => Val::Option(None),
        (Type::Option(some), value) => Val::Option(Some(Box::new(lower(some, value)?))),
        (Type::Bool, Value::Bool(value)) => Val::Bool(*value),
        (Type::S64, Value::Int(n)) => Val::S64(*n),
        (Type::F64, Value::Num(n)) => Val::Float64(*n),
        (Type::String, Value::Str(text)) => Val::String(text.to_string()),
        (Type::Timestamp, Value::Time(time)) => Val::S64(time.0),
        (Type::Duration, Value::Span(span)) => Val::S64(span.0),
        (Type::Bytes, Value::Bytes(bytes)) => Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect()),
        (Type::Enum(of), Value::Str(text)) => {
            Val::Enum(of.cases.iter().find(|case| case.value == *text)?.name.clone())
        }
        (Type::Record(of), Value::Struct(values)) => record(of, values)?,
        (Type::Nothing(_), Value::Struct(values)) if values.is_empty() => nothing(),
        (Type::List(item), Value::List(items)) => {
            Val::List(items.iter().map(|value| lower(item, value)).collect::<Option<_>>()?)
        }
        (Type::Map(of), Value::Map(entries)) => {
            let entry = |(key, value): &(Arc<str>, Value)| {
                Some(Val::Tuple(vec![Val::String(key.to_string()), lower(of, value)?]))
            };
            Val::List(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The steps of an answer.
pub(crate) fn steps(world: &World, answer: Val) -> Result<Vec<ActStep>, Wrong> {
    let Val::List(steps) = answer else { return Err("the answer is no list of steps".to_owned()) };
    let lift = |(n, of)| step(world, of).map_err(|wrong| format!("step {n}: {wrong}"));
    steps.into_iter().enumerate().map(lift).collect()
}

fn step(world: &World, step: Val) -> Result<ActStep, Wrong> {
    let Val::Variant(name, payload) = step else { return Err(not("a step")) };
    match (name.as_str(), payload.map(|payload| *payload)) {
        ("mutate", Some(Val::Variant(name, payload))) => {
            let case = world.mutations.iter().find(|case| case.name == name);
            let case =
                case.ok_or_else(|| format!("the schema has no mutation `{name}` open to behaviours"))?;
            let args = match (&case.args, payload.map(|payload| *payload)) {
                (None, None) => Vec::new(),
                (Some(of), Some(args)) => {
                    fields(of, args).map_err(|wrong| format!("arguments of `{name}`: {wrong}"))?
                }
                _ => return Err(not("a mutation with its arguments")),
            };
            Ok(ActStep::Mutate { mutation: case.ix, args })
        }
        ("spawn", Some(Val::Record(fields))) => spawn(fields).map(ActStep::Spawn),
        ("sleep", Some(Val::Variant(kind, payload))) => {
            match (kind.as_str(), payload.map(|payload| *payload)) {
                ("time", Some(Val::S64(at))) => Ok(ActStep::Sleep(Wake::At(Timestamp(at)))),
                ("after", Some(Val::S64(span))) => Ok(ActStep::Sleep(Wake::After(Span(span)))),
                _ => Err(not("a time to wake")),
            }
        }
        ("retry", None) => Ok(ActStep::Retry),
        ("terminate", None) => Ok(ActStep::Terminate),
        _ => Err(not("a step")),
    }
}

fn spawn(fields: Vec<(String, Val)>) -> Result<ActSpawn, Wrong> {
    let values: Vec<Val> = fields.into_iter().map(|(_, value)| value).collect();
    let Ok(
        [
            Val::String(schema),
            Val::String(values),
            Val::Float64(budget),
            Val::Float64(refill),
            Val::List(links),
        ],
    ) = <[Val; 5]>::try_from(values)
    else {
        return Err(not("a child to make"));
    };
    let Ok(serde_json::Value::Object(values)) = serde_json::from_str(&values) else {
        return Err("`values` of the child is no JSON object; write `{}` for none".to_owned());
    };
    let links = links.into_iter().map(|link| match link {
        Val::String(link) => Ok(link.into()),
        _ => Err(not("a link")),
    });
    Ok(ActSpawn {
        schema: schema.into(),
        values,
        budget: amount("budget", budget)?,
        refill: amount("refill", refill)?,
        links: links.collect::<Result<_, _>>()?,
    })
}

fn amount(what: &str, amount: f64) -> Result<Micro, Wrong> {
    micro(&Value::Num(amount))
        .ok_or_else(|| format!("`{what}` of the child is {amount}; it must be from 0 to 1e12"))
}

fn fields(of: &RecordType, record: Val) -> Result<Vec<Value>, Wrong> {
    let Val::Record(values) = record else { return Err(not("a record")) };
    if values.len() != of.fields.len() {
        return Err(not("a record of its type"));
    }
    let fields = of.fields.iter().zip(values);
    fields
        .map(|(field, (_, value))| lift(&field.ty, value).map_err(|wrong| format!("`{}`: {wrong}", field.of)))
        .collect()
}

/// A value as a guest gave it.
pub(crate) fn lift(ty: &Type, val: Val) -> Result<Value, Wrong> {
    Ok(match (ty, val) {
        (Type::Option(_), Val::Option(None)) => Value::Null,
        (Type::Option(ty), Val::Option(Some(some))) => lift(ty, *some)?,
        (Type::Bool, Val::Bool(value)) => Value::Bool(value),
        (Type::S64, Val::S64(n)) => Value::Int(n),
        // What is computed is one not-a-number; a guest can make others out of bits.
        (Type::F64, Val::Float64(n)) => Value::Num(if n.is_nan() { f64::NAN } else { n }),
        (Type::String, Val::String(text)) => Value::Str(text.into()),
        (Type::Timestamp, Val::S64(time)) => Value::Time(Timestamp(time)),
        (Type::Duration, Val::S64(span)) => Value::Span(Span(span)),
        (Type::Bytes, Val::List(bytes)) => {
            let byte = |val| if let Val::U8(byte) = val { Ok(byte) } else { Err(not("a byte")) };
            Value::Bytes(bytes.into_iter().map(byte).collect::<Result<_, _>>()?)
        }
        (Type::Enum(of), Val::Enum(name)) => {
            let case = of.cases.iter().find(|case| case.name == name);
            Value::Str(Arc::clone(&case.ok_or_else(|| not("a case of the enum"))?.value))
        }
        (Type::Record(of), record) => Value::Struct(fields(of, record)?.into()),
        (Type::Nothing(_), Val::Enum(_)) => Value::Struct(Arc::from([])),
        (Type::List(ty), Val::List(items)) => {
            Value::List(items.into_iter().map(|item| lift(ty, item)).collect::<Result<_, _>>()?)
        }
        (Type::Map(ty), Val::List(entries)) => map(ty, entries)?,
        _ => return Err(not("of its type")),
    })
}

fn map(ty: &Type, entries: Vec<Val>) -> Result<Value, Wrong> {
    let mut lifted: Vec<(Arc<str>, Value)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let Val::Tuple(entry) = entry else { return Err(not("an entry")) };
        let Ok([Val::String(key), value]) = <[Val; 2]>::try_from(entry) else { return Err(not("an entry")) };
        lifted.push((key.into(), lift(ty, value)?));
    }
    lifted.sort_by(|a, b| key_order(&a.0, &b.0));
    let mut pairs = lifted.iter().zip(lifted.iter().skip(1));
    if let Some(((key, _), _)) = pairs.find(|((a, _), (b, _))| a == b) {
        return Err(format!("the key {} is given twice", serde_json::Value::from(&**key)));
    }
    Ok(Value::Map(lifted.into()))
}

fn not(what: &str) -> Wrong {
    format!("what was returned is not {what}")
}

#[cfg(test)]
mod tests {
    use abide_core::schema::Schema;

    use super::*;

    #[test]
    fn a_key_of_a_map_is_given_once() {
        let schema = Schema::load(
            "schema: abide/v1\nname: tags\nversion: 1.0.0\nfields: { n: { type: integer, default: 0 } }\n\
             mutations: { tag: { from: [behaviour], args: { tags: { type: object, additionalProperties: { type: integer }, maxProperties: 9 } }, set: { n: self.n + 1 } } }\n",
        );
        let world = World::of(&schema.unwrap().0);
        let answer = |keys: &[&str]| {
            let entry = |key: &&str| Val::Tuple(vec![Val::String((*key).to_owned()), Val::S64(1)]);
            let args = Val::Record(vec![("tags".to_owned(), Val::List(keys.iter().map(entry).collect()))]);
            let mutation = Val::Variant("tag".to_owned(), Some(Box::new(args)));
            steps(&world, Val::List(vec![Val::Variant("mutate".to_owned(), Some(Box::new(mutation)))]))
        };
        assert_eq!(answer(&["b", "a", "aa"]).map(|steps| steps.len()), Ok(1));
        let twice = answer(&["b", "a", "b"]).unwrap_err();
        assert!(twice.contains("the key \"b\" is given twice"), "{twice}");
    }
}
