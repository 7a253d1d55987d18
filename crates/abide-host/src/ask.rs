//! What a person or a program asks of an object by name, turned into what the core takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::admission::Request;
use abide_core::document::{Diagnostic, nearest};
use abide_core::engine::Engine;
use abide_core::field::untyped_from_json;
use abide_core::object::Object;
use abide_core::record::Caller;
use abide_core::schema::{Mutation, MutationIx, Schema};
use abide_core::value::Value;
use serde_json::Value as Json;

/// Why something cannot even be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The schema has errors.
    #[error("the schema has {} errors: {}", .0.len(), .0.first().map_or("", |first| &first.message))]
    Schema(Arc<[Diagnostic]>),
    /// There is no such object.
    #[error("there is no object `{name}` here{}", hint(nearest_name))]
    Object {
        /// As asked.
        name: String,
        /// The nearest that there is.
        nearest_name: Option<String>,
    },
    /// The schema has no such mutation.
    #[error("schema `{schema}` has no mutation `{name}`{}", hint(nearest_name))]
    Mutation {
        /// The schema.
        schema: Arc<str>,
        /// As asked.
        name: String,
        /// The nearest that there is.
        nearest_name: Option<String>,
    },
    /// The mutation has no such argument.
    #[error("mutation `{mutation}` has no argument `{name}`{}", hint(nearest_name))]
    Argument {
        /// The mutation.
        mutation: Arc<str>,
        /// As asked.
        name: String,
        /// The nearest that there is.
        nearest_name: Option<String>,
    },
    /// The arguments are not a JSON object.
    #[error("arguments are a JSON object of names and values")]
    Shape,
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The object of that id.
///
/// # Errors
/// [`AskError::Object`], with the nearest id.
pub fn object<'a>(engine: &'a Engine, id: &str) -> Result<&'a Object, AskError> {
    engine.object(id).ok_or_else(|| AskError::Object {
        name: id.to_owned(),
        nearest_name: nearest(id, engine.objects().iter().map(|object| &*object.id)).map(str::to_owned),
    })
}

/// The mutation of that name.
///
/// # Errors
/// [`AskError::Mutation`], with the nearest name.
pub fn mutation<'a>(schema: &'a Schema, name: &str) -> Result<(MutationIx, &'a Mutation), AskError> {
    let found = schema.mutation(name).and_then(|ix| Some((ix, schema.mutations.get(usize::from(ix.0))?)));
    found.ok_or_else(|| AskError::Mutation {
        schema: Arc::clone(&schema.name),
        name: name.to_owned(),
        nearest_name: nearest(name, schema.mutations.iter().map(|mutation| &*mutation.name))
            .map(str::to_owned),
    })
}

/// Arguments from JSON, in the order of their type. A value that is not of its type is passed on for admission to deny.
///
/// # Errors
/// [`AskError::Argument`] for a name that the mutation lacks.
pub fn args_from_json(mutation: &Mutation, args: &Json) -> Result<Vec<Value>, AskError> {
    let Json::Object(given) = args else { return Err(AskError::Shape) };
    let given: BTreeMap<&str, &Json> = given.iter().map(|(name, value)| (name.as_str(), value)).collect();
    check_names(mutation, given.keys().copied())?;
    let read = mutation.args.fields.iter().map(|field| match given.get(&*field.name) {
        Some(json) => field.ty.value_from_json(json).unwrap_or_else(|_| untyped_from_json(json)),
        None => Value::Null,
    });
    Ok(read.collect())
}

/// Arguments from `name=value` pairs, in the order of their type. A text that is not of its type is passed on for
/// admission to deny.
///
/// # Errors
/// [`AskError::Argument`] for a name that the mutation lacks.
pub fn args_from_text(mutation: &Mutation, pairs: &[(String, String)]) -> Result<Vec<Value>, AskError> {
    check_names(mutation, pairs.iter().map(|(name, _)| name.as_str()))?;
    let read = mutation.args.fields.iter().map(|field| {
        let given = pairs.iter().rfind(|(name, _)| *name == *field.name);
        given.map_or(Value::Null, |(_, text)| {
            field.ty.value_from_text(text).unwrap_or_else(|_| Value::Str(text.as_str().into()))
        })
    });
    Ok(read.collect())
}

/// An observation by hand, or of a program that embeds a host.
///
/// # Errors
/// When the object, the mutation or an argument does not exist.
pub fn observation(
    engine: &Engine,
    id: &str,
    name: &str,
    args: &Json,
    source: &str,
) -> Result<(u32, Request), AskError> {
    let object = object(engine, id)?;
    let (ix, mutation) = mutation(&object.schema, name)?;
    let args = args_from_json(mutation, args)?;
    Ok((object.number, Request { mutation: ix, args, caller: Caller::Observation(source.into()) }))
}

/// What was asked of a mutation, asked of the one of that name in another schema: arguments by name, each of its type if it can
/// be. `None` where that schema has no such mutation.
pub(crate) fn by_name(
    from: &Schema,
    to: &Schema,
    mutation: MutationIx,
    args: &[Value],
) -> Option<(MutationIx, Vec<Value>)> {
    let was = from.mutations.get(usize::from(mutation.0))?;
    let is = to.mutation(&was.name)?;
    let fields = &to.mutations.get(usize::from(is.0))?.args.fields;
    let args = fields.iter().map(|field| {
        let given = was.args.fields.iter().zip(args).find(|(old, _)| old.name == field.name);
        let Some((old, value)) = given.filter(|(_, value)| !matches!(value, Value::Null)) else {
            return Value::Null;
        };
        let json = old.ty.to_json(value);
        field.ty.value_from_json(&json).unwrap_or_else(|_| untyped_from_json(&json))
    });
    Some((is, args.collect()))
}

fn check_names<'a>(mutation: &Mutation, names: impl Iterator<Item = &'a str>) -> Result<(), AskError> {
    for name in names {
        if mutation.args.slot(name).is_none() {
            return Err(AskError::Argument {
                mutation: Arc::clone(&mutation.name),
                name: name.to_owned(),
                nearest_name: nearest(name, mutation.args.fields.iter().map(|field| &*field.name))
                    .map(str::to_owned),
            });
        }
    }
    Ok(())
}
