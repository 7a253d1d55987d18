//! What `observe`, `mutate`, `release` and `seal` have in common: the object and the mutation they name, and the answer.

use abide_core::object::Object;
use abide_core::schema::Mutation;
use abide_core::value::Value;
use abide_host::ask;
use abide_host::view::View;
use serde_json::Value as Json;

use crate::context::Context;
use crate::error::{Answer, CommandError, ErrorKind};
use crate::input;

/// The object of that name.
pub(crate) fn object<'a>(view: &'a View, id: &str) -> Result<&'a Object, CommandError> {
    view.object(id).map_err(|error| {
        let error = CommandError::from(error);
        if error.kind == ErrorKind::Usage && !error.message.contains("did you mean") {
            error.help(known(view.engine().objects().iter().map(|object| &*object.id), "the objects are"))
        } else {
            error
        }
    })
}

/// The objects of those names, or every one.
pub(crate) fn objects<'a>(
    view: &'a View,
    ids: &[String],
    all: bool,
) -> Result<Vec<&'a Object>, CommandError> {
    if all {
        return Ok(view.engine().objects().iter().collect());
    }
    ids.iter().map(|id| object(view, id)).collect()
}

/// The mutation of that name, and the arguments that `name=value` pairs mean for it.
pub(crate) fn mutation<'a>(
    object: &'a Object,
    name: &str,
    args: &[String],
) -> Result<(&'a Mutation, Vec<Value>), CommandError> {
    let (_, mutation) = ask::mutation(&object.schema, name).map_err(|error| {
        let error = CommandError::from(error);
        error.help(known(object.schema.mutations.iter().map(|mutation| &*mutation.name), "its mutations are"))
    })?;
    let args = ask::args_from_text(mutation, &input::pairs(args)?).map_err(|error| {
        let error = CommandError::from(error);
        error.help(known(mutation.args.fields.iter().map(|field| &*field.name), "its arguments are"))
    })?;
    Ok((mutation, args))
}

/// What became of a request, as programs read it.
pub(super) fn completed(object: &str, mut answer: Json) -> Json {
    if let Some(reason) = answer.get_mut("reason") {
        complete_reason(reason);
    }
    if let Json::Object(entries) = &mut answer {
        entries.insert("object".to_owned(), object.into());
    }
    answer
}

/// Whether a request was admitted.
pub(super) fn verdict(answer: &Json) -> Answer {
    Answer::of(answer.get("verdict").and_then(Json::as_str) != Some("denied"))
}

/// Tells what became of a request, and whether it was admitted.
pub(crate) fn tell(context: &mut Context, object: &str, answer: Json) -> Result<Answer, CommandError> {
    let admitted = verdict(&answer);
    let out = &mut context.out;
    if out.json() {
        out.json_pretty(&completed(object, answer))?;
        return Ok(admitted);
    }
    let verdict = answer.get("verdict").and_then(Json::as_str).unwrap_or_default();
    match verdict {
        "recorded" => {
            let seq = answer.get("seq").and_then(Json::as_u64).unwrap_or_default();
            let line = format!("{}: record {seq} of `{object}`", out.good("admitted"));
            out.line(line)?;
        }
        "ignored" => {
            out.line(format_args!("ignored: it says nothing new to `{object}`, and is not recorded"))?;
        }
        _ => {
            let reason = answer.get("reason").cloned().unwrap_or_default();
            let text = |name: &str| reason.get(name).and_then(Json::as_str).unwrap_or_default();
            let line = format!("{} ({}): {}", out.bad("denied"), text("code"), text("message"));
            out.line(line)?;
        }
    }
    Ok(admitted)
}

/// A denial's reason with the keys that every reason has: `field` also where it is an argument that was wrong, and `value`
/// also where there was none.
pub(super) fn complete_reason(reason: &mut Json) {
    let Json::Object(reason) = reason else { return };
    if let Some(name) = reason.get("argument").cloned() {
        reason.entry("field").or_insert(name);
    }
    reason.entry("value").or_insert(Json::Null);
}

/// All names there are, as far as they fit a line.
pub(crate) fn known<'n>(names: impl Iterator<Item = &'n str>, lead: &str) -> String {
    const MOST: usize = 12;
    let all: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match all.len() {
        0 => "there are none".to_owned(),
        n if n > MOST => format!(
            "{lead} {} and {} more",
            all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", "),
            n - MOST
        ),
        _ => format!("{lead} {}", all.join(", ")),
    }
}
