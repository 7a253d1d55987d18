//! From one version of a schema to another: what becomes of an object's memory. See `migration` in `docs/schema.md`.

use std::sync::Arc;

use crate::admission::{denial, evaluation};
use crate::document::Diagnostic;
use crate::expr::{Env, Expected, Program, Scope, compile};
use crate::field::{Field, FieldType, Slot, Violation};
use crate::record::{Code, Place, Reason};
use crate::schema::{Migration, Schema};
use crate::time::Timestamp;
use crate::value::Value;

/// How one schema takes over from another, bound to both. It is the same for every object, so it is made once for all.
#[derive(Debug)]
pub struct Transition {
    from: Arc<Schema>,
    to: Arc<Schema>,
    /// For each field of `to`, where its value comes from.
    origins: Vec<Origin>,
}

/// Where the value of a field comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// From the field before that has its name, or that is renamed to it. Where that has no value, from the default.
    Carried(Slot),
    /// From an expression over the memory before.
    Computed(Program),
    /// There was none before: the default of the migration, or of the schema, or no value.
    New,
}

impl Transition {
    /// Binds the migration of `to` to the schema it takes over from.
    ///
    /// # Errors
    /// Everything that keeps it from doing so, whatever the objects hold: another schema, a version that it does not know, a
    /// field that would be lost or has another type, an expression that does not fit.
    pub fn new(from: &Arc<Schema>, to: &Arc<Schema>) -> Result<Self, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        if from.name != to.name {
            let message = format!("schema `{}` cannot take over from `{}`", to.name, from.name);
            let help = "an upgrade is to another version of the same schema; make a new object of this one";
            return Err(vec![refusal(message, help)]);
        }
        if let Some(migration) = &to.migration {
            check_version(migration, from, to, &mut wrong);
            check_names(migration, from, &mut wrong);
        }
        check_kept(from, to, &mut wrong);
        let origins = to.memory.fields.iter().zip(0..).map(|(field, ix)| origin(from, to, field, Slot(ix)));
        let mut bound = Vec::with_capacity(to.memory.fields.len());
        for origin in origins {
            match origin {
                Ok(origin) => bound.push(origin),
                Err(errors) => wrong.extend(errors),
            }
        }
        if wrong.is_empty() {
            Ok(Self { from: Arc::clone(from), to: Arc::clone(to), origins: bound })
        } else {
            Err(wrong)
        }
    }

    /// The schema that it takes over from.
    #[must_use]
    pub fn from(&self) -> &Arc<Schema> {
        &self.from
    }

    /// The schema that takes over.
    #[must_use]
    pub fn to(&self) -> &Arc<Schema> {
        &self.to
    }

    /// For each field of the schema that takes over, where its value comes from.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The memory under the schema that takes over: each value of its type and within its bounds, or a gap.
    ///
    /// # Errors
    /// Each field that has no such value.
    pub fn memory(&self, before: &[Value], now: Timestamp) -> Result<Vec<Value>, Vec<Reason>> {
        let mut wrong = Vec::new();
        let mut memory = Vec::with_capacity(self.origins.len());
        for value in self.values(before, now) {
            match value {
                Ok(value) => memory.push(value),
                Err(reason) => wrong.push(reason),
            }
        }
        if wrong.is_empty() { Ok(memory) } else { Err(wrong) }
    }

    /// As [`Transition::memory`], field by field.
    pub fn values<'a>(
        &'a self,
        before: &'a [Value],
        now: Timestamp,
    ) -> impl Iterator<Item = Result<Value, Reason>> + 'a {
        let fields = self.to.memory.fields.iter().zip(&self.origins).zip((0..).map(Slot));
        fields.map(move |((field, origin), slot)| self.value(field, origin, slot, before, now))
    }

    fn value(
        &self,
        field: &Field,
        origin: &Origin,
        slot: Slot,
        before: &[Value],
        now: Timestamp,
    ) -> Result<Value, Reason> {
        let ty = &field.ty;
        let value = match origin {
            Origin::New => self.otherwise(slot, ty),
            Origin::Carried(was) => match (self.from.memory.get(*was), before.get(usize::from(was.0))) {
                (Some(old), Some(value)) if !matches!(value, Value::Null) => {
                    ty.convert(&old.ty, value).map_err(|violation| out_of_bounds(field, violation))?
                }
                _ if ty.nullable => Value::Null,
                _ => self.otherwise(slot, ty),
            },
            Origin::Computed(program) => {
                let env = Env { memory: before, old_memory: before, args: &[], now, caller: ("", "") };
                let value = program.eval(&env).map_err(|error| {
                    let reason = evaluation(&self.from, program, &error).reason;
                    let message = format!("field `{}`: {}", field.name, reason.message).into();
                    Reason { place: Place::Field(Arc::clone(&field.name)), message, ..reason }
                })?;
                let value = ty.normalize(value);
                ty.check(&value).map_err(|violation| out_of_bounds(field, violation))?;
                value
            }
        };
        Ok(value)
    }

    fn otherwise(&self, slot: Slot, ty: &FieldType) -> Value {
        let given = self.to.migration.iter().flat_map(|migration| &migration.default);
        let given = given.clone().find(|(of, _)| *of == slot).map(|(_, value)| value.clone());
        given.unwrap_or_else(|| ty.initial())
    }
}

/// The memory of an object that goes back from `now` to the schema `then`, under which its memory was `kept`: what a field
/// holds now where that is a value of it then; else what it held.
#[must_use]
pub fn back(then: &Schema, kept: &[Value], now: &Schema, memory: &[Value]) -> Vec<Value> {
    let slots = (0..).map(Slot).zip(then.memory.fields.iter().zip(kept));
    let one = |(slot, (field, kept)): (Slot, (&Field, &Value))| {
        let later = counterpart(then, slot, now)?;
        match memory.get(usize::from(later.0))? {
            Value::Null => (field.ty.nullable || matches!(kept, Value::Null)).then_some(Value::Null),
            value => carried_back(then, slot, now, later, value),
        }
    };
    slots.map(|pair| one(pair).unwrap_or_else(|| pair.1.1.clone())).collect()
}

/// The field of the schema `now` that took up the value of a field of `then`, and still means the same.
#[must_use]
pub fn counterpart(then: &Schema, slot: Slot, now: &Schema) -> Option<Slot> {
    let (migration, field) = (now.migration.as_ref(), then.memory.get(slot)?);
    let renamed = migration.and_then(|migration| migration.rename.get(&field.name).copied());
    let is_removed = migration.is_some_and(|migration| migration.remove.contains(&field.name));
    let later = renamed.or_else(|| now.memory.slot(&field.name).filter(|_| !is_removed))?;
    let is_computed = migration.is_some_and(|m| m.set.iter().any(|(computed, _)| *computed == later));
    let (later_ty, ty) = (&now.memory.get(later)?.ty, &field.ty);
    (!is_computed && (ty.takes(later_ty) || later_ty.takes(ty))).then_some(later)
}

/// A value of a field of the schema `now` as one of its counterpart in `then`, if it is one.
#[must_use]
pub fn carried_back(then: &Schema, slot: Slot, now: &Schema, later: Slot, value: &Value) -> Option<Value> {
    let field = then.memory.get(slot)?;
    field.ty.convert(&now.memory.get(later)?.ty, value).ok()
}

/// The values of a memory that there are.
#[must_use]
pub fn given(memory: Vec<Value>) -> Vec<(Slot, Value)> {
    (0..).map(Slot).zip(memory).filter(|(_, value)| !matches!(value, Value::Null)).collect()
}

fn refusal(message: String, help: impl Into<String>) -> Diagnostic {
    Diagnostic { span: None, ..Diagnostic::error(0..0, message) }.help(help)
}

fn check_version(migration: &Migration, from: &Schema, to: &Schema, wrong: &mut Vec<Diagnostic>) {
    if !migration.from.contains(&from.version) {
        let known: Vec<&str> = migration.from.iter().map(|version| &**version).collect();
        let message = format!(
            "schema `{}` {} takes over from {}, and {} is in force",
            to.name,
            to.version,
            known.join(", "),
            from.version
        );
        wrong.push(refusal(
            message,
            "add that version to `from` of the `migration`, or upgrade by way of one of these",
        ));
    }
}

/// Fields of the version before that the migration names. Of several versions, not each must have them.
fn check_names(migration: &Migration, from: &Schema, wrong: &mut Vec<Diagnostic>) {
    let named = migration.rename.keys().map(|name| ("rename", name));
    let named = named.chain(migration.remove.iter().map(|name| ("remove", name)));
    let missing = named.filter(|(_, name)| migration.from.len() == 1 && from.memory.slot(name).is_none());
    wrong.extend(missing.map(|(how, name)| {
        let message =
            format!("`{how}` names `{name}`, which schema `{}` {} has not", from.name, from.version);
        refusal(message, format!("take it out of `{how}` of the `migration`"))
    }));
}

/// No value is lost without a word.
fn check_kept(from: &Schema, to: &Schema, wrong: &mut Vec<Diagnostic>) {
    let migration = to.migration.as_ref();
    for field in &from.memory.fields {
        // A field of its name that another one is renamed to does not take its value.
        let renamed_to = |slot: &Slot| {
            let mut renamed = migration.iter().flat_map(|m| &m.rename);
            renamed.any(|(was, is)| is == slot && from.memory.slot(was).is_some())
        };
        let same = to.memory.slot(&field.name).filter(|slot| !renamed_to(slot));
        let is_taken = same.is_some()
            || migration
                .is_some_and(|m| m.rename.contains_key(&field.name) || m.remove.contains(&field.name));
        if !is_taken {
            let message = format!("field `{}` would be lost", field.name);
            let help = format!(
                "keep it, or name it under `rename` or `remove` of a `migration` from {}",
                from.version
            );
            wrong.push(refusal(message, help));
        }
    }
}

fn origin(from: &Schema, to: &Schema, field: &Field, slot: Slot) -> Result<Origin, Vec<Diagnostic>> {
    let migration = to.migration.as_ref();
    if let Some((_, source)) = migration.and_then(|m| m.set.iter().find(|(of, _)| *of == slot)) {
        let scope = Scope { memory: Some(Arc::clone(&from.memory)), now: true, ..Scope::default() };
        let compiled = compile(source, &scope, &Expected::Field(&field.ty));
        return compiled.map(Origin::Computed).map_err(|errors| {
            let error = |error: crate::expr::ExprError| {
                let message = format!(
                    "`set` of `{}` in the `migration`, over schema `{}` {}: {}",
                    field.name, from.name, from.version, error.message
                );
                Diagnostic {
                    help: error.help,
                    ..Diagnostic { span: None, ..Diagnostic::error(0..0, message) }
                }
            };
            errors.into_iter().map(error).collect()
        });
    }
    let Some(was) = source(from, to, slot) else { return Ok(Origin::New) };
    match from.memory.get(was) {
        Some(old) if !field.ty.takes(&old.ty) => {
            let words = |ty: &FieldType| ty.in_words().split(", as in").next().unwrap_or_default().to_owned();
            let message =
                format!("field `{}` is {} now, and was {}", field.name, words(&field.ty), words(&old.ty));
            let help = format!("give its value under `set` of a `migration` from {}", from.version);
            Err(vec![refusal(message, help)])
        }
        _ => Ok(Origin::Carried(was)),
    }
}

/// The field of `from` that is renamed to a field of `to`, or that has its name and is neither renamed nor removed.
pub(crate) fn source(from: &Schema, to: &Schema, slot: Slot) -> Option<Slot> {
    let (field, migration) = (to.memory.get(slot)?, to.migration.as_ref());
    let renamed = migration.and_then(|m| {
        m.rename.iter().filter(|(_, is)| **is == slot).find_map(|(was, _)| from.memory.slot(was))
    });
    let is_gone =
        migration.is_some_and(|m| m.remove.contains(&field.name) || m.rename.contains_key(&field.name));
    renamed.or_else(|| from.memory.slot(&field.name).filter(|_| !is_gone))
}

fn out_of_bounds(field: &Field, violation: Violation) -> Reason {
    let message = format!("field `{}{}`: {}", field.name, violation.path, violation.message);
    denial(Code::Bounds, Place::Field(Arc::clone(&field.name)), Some(violation.value), message).reason
}
