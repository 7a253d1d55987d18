//! Data with expressions in it, evaluated.

use std::sync::Arc;

use crate::expr::{Env, EvalError, Program};
use crate::field::untyped_to_json;
use crate::schema::{Template, TextPart};
use crate::value::Value;

/// An expression within a template that has no value.
pub type TemplateError<'a> = (&'a Program, EvalError);

/// The value of a template in a typed place.
///
/// # Errors
/// The first expression within it that has no value.
pub fn value<'a>(template: &'a Template, env: &Env<'_>) -> Result<Value, TemplateError<'a>> {
    Ok(match template {
        Template::Value(value) => value.clone(),
        Template::Json(json) => json.as_str().map_or(Value::Null, Value::from),
        Template::Expression(program) => program.eval(env).map_err(|e| (program, e))?,
        Template::Text(parts) => Value::Str(text(parts, env)?.into()),
        Template::List(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| value(item, env)).collect();
            Value::List(items?.into())
        }
        Template::Object(entries) => {
            let entries: Result<Vec<_>, _> =
                entries.iter().map(|(name, entry)| Ok((Arc::clone(name), value(entry, env)?))).collect();
            Value::Map(entries?.into())
        }
    })
}

/// The value of a template as JSON: what an effect takes.
///
/// # Errors
/// The first expression within it that has no value.
pub fn json<'a>(template: &'a Template, env: &Env<'_>) -> Result<serde_json::Value, TemplateError<'a>> {
    Ok(match template {
        Template::Value(value) => untyped_to_json(value),
        Template::Json(json) => json.clone(),
        Template::Expression(program) => program.to_json(&program.eval(env).map_err(|e| (program, e))?),
        Template::Text(parts) => text(parts, env)?.into(),
        Template::List(items) => {
            serde_json::Value::Array(items.iter().map(|item| json(item, env)).collect::<Result<_, _>>()?)
        }
        Template::Object(entries) => serde_json::Value::Object(
            entries
                .iter()
                .map(|(name, entry)| Ok((name.to_string(), json(entry, env)?)))
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn text<'a>(parts: &'a [TextPart], env: &Env<'_>) -> Result<String, TemplateError<'a>> {
    let mut text = String::new();
    for part in parts {
        match part {
            TextPart::Literal(literal) => text.push_str(literal),
            TextPart::Expression(program) => {
                match program.to_json(&program.eval(env).map_err(|e| (program, e))?) {
                    serde_json::Value::String(shown) => text.push_str(&shown),
                    other => text.push_str(&other.to_string()),
                }
            }
        }
    }
    Ok(text)
}
