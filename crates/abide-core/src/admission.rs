//! Admission: the one function that decides whether a mutation may change an object.

mod operator;

use std::sync::Arc;

use crate::expr::{Env, EvalError, Program};
use crate::field::{Slot, StructType, untyped_to_json};
use crate::policy::Policy;
use crate::record::{Caller, Code, Hash, Mutated, Place, Reason};
use crate::schema::{Cost, Effect, Micro, Mutation, MutationIx, Schema};
use crate::state::{State, Status, numeric};
use crate::template;
use crate::time::Timestamp;
use crate::value::Value;

use operator::check_operator;
pub use operator::{Change, Granted, OperatorAct, OperatorRequest, check_signature, signed_bytes};
pub(crate) use operator::{first_of, missing_behaviour};

/// A mutation that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which.
    pub mutation: MutationIx,
    /// For each argument, in the order of its type, a value; `Null` where none was given.
    pub args: Vec<Value>,
    /// Who asks.
    pub caller: Caller,
}

/// The object that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The schema in force.
    pub schema: &'a Schema,
    /// The policy in force.
    pub policy: &'a Policy,
    /// The hash of the object's genesis record.
    pub genesis: Hash,
    /// The state before.
    pub state: &'a State,
}

/// Why a mutation was denied, and when the slope could pay for it if that is why.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// When the slope can pay, if it ever can.
    pub affordable_at: Option<Timestamp>,
}

/// Admits or denies a mutation. Pure and total: it changes nothing, and every request has an answer.
///
/// The checks are made in the order of [`Code`]; the first that fails is the denial.
///
/// # Errors
/// A denial is a value: what failed, where, and the offending value.
pub fn admit(subject: Subject<'_>, request: &Request, now: Timestamp) -> Result<Mutated, Box<Denial>> {
    let Subject { schema, state, .. } = subject;
    let mutation = mutation_of(schema, request.mutation)?;
    check_status(state.status, &request.caller)?;
    check_caller(subject, mutation, request)?;
    let args = check_args(&mutation.args, &request.args)?;
    let env = Env {
        memory: &state.memory,
        old_memory: &state.memory,
        args: &args,
        now,
        caller: (request.caller.kind().name(), request.caller.name()),
    };
    if let Some(requires) = &mutation.requires
        && !requires.holds(&env).map_err(|e| evaluation(schema, requires, &e))?
    {
        let place = Place::Expression(requires.source().into());
        return Err(denial(
            Code::Requires,
            place,
            None,
            format!("`{}` requires `{}`", mutation.name, requires.source()),
        ));
    }
    let changes = changes(schema, mutation, &env)?;
    let mut effect = None;
    if mutation.effect.is_some() || may_break_invariants(schema, state, mutation) {
        let memory = with_changes(&state.memory, &changes);
        check_invariants(schema, Some(&state.memory), &memory, now)?;
        let after = Env { memory: &memory, ..env };
        effect = mutation.effect.as_ref().map(|effect| check_effect(subject, effect, &after)).transpose()?;
    }
    let cost = charge(subject, mutation, &request.caller, &env)?;
    check_drift(subject, &request.caller, &changes)?;
    Ok(Mutated {
        mutation: request.mutation,
        caller: request.caller.clone(),
        rule: None,
        step: None,
        args,
        changes,
        cost,
        effect,
    })
}

/// Whether the mutation's `ignore` drops an observation that says nothing new. What admission would deny is not dropped.
#[must_use]
pub fn ignores(subject: Subject<'_>, request: &Request, now: Timestamp) -> bool {
    let Ok(mutation) = mutation_of(subject.schema, request.mutation) else { return false };
    let Some(ignore) = &mutation.ignore else { return false };
    if !matches!(request.caller, Caller::Observation(_))
        || check_status(subject.state.status, &request.caller).is_err()
        || check_caller(subject, mutation, request).is_err()
    {
        return false;
    }
    let Ok(args) = check_args(&mutation.args, &request.args) else { return false };
    let memory = &subject.state.memory;
    let env =
        Env { memory, old_memory: memory, args: &args, now, caller: ("observation", request.caller.name()) };
    ignore.holds(&env).unwrap_or(false)
}

fn mutation_of(schema: &Schema, ix: MutationIx) -> Result<&Mutation, Box<Denial>> {
    schema.mutations.get(usize::from(ix.0)).ok_or_else(|| {
        denial(
            Code::Argument,
            Place::Object,
            Some(ix.0.to_string()),
            "the schema has no such mutation".to_owned(),
        )
    })
}

fn check_status(status: Status, caller: &Caller) -> Result<(), Box<Denial>> {
    let allowed = match status {
        Status::Incomplete | Status::Active | Status::Sleeping => true,
        Status::Quarantined => {
            matches!(caller, Caller::Observation(_) | Caller::Operator(_) | Caller::SafeState)
        }
        Status::Sealed | Status::Terminated => false,
    };
    if allowed {
        return Ok(());
    }
    let message = match status {
        Status::Quarantined => "a quarantined object admits observations and its operators only",
        Status::Sealed => "a sealed object admits nothing",
        _ => "a terminated object admits nothing",
    };
    Err(denial(Code::Status, Place::Object, Some(status.name().to_owned()), message.to_owned()))
}

fn check_caller(subject: Subject<'_>, mutation: &Mutation, request: &Request) -> Result<(), Box<Denial>> {
    let kind = request.caller.kind();
    if !kind.is_in(mutation.from) {
        let message = format!("`{}` is not open to a caller of kind `{}`", mutation.name, kind.name());
        return Err(denial(Code::Caller, Place::Object, Some(kind.name().to_owned()), message));
    }
    let Caller::Operator(signature) = &request.caller else { return Ok(()) };
    // A signature covers arguments of their types; where they are not, whoever holds a key is told that.
    check_operator(subject.policy, subject.state, signature)?;
    let args = check_args(&mutation.args, &request.args)?;
    let bytes = signed_bytes(subject.genesis, "mutate", Some((mutation, &args)), signature.counter);
    check_signature(subject.policy, subject.state, signature, &bytes)
}

/// The arguments with defaults filled in, each of its type and within its bounds.
///
/// # Errors
/// A denial that names the first argument that is not.
pub fn check_args(ty: &StructType, given: &[Value]) -> Result<Vec<Value>, Box<Denial>> {
    let mut args = Vec::with_capacity(ty.fields.len());
    for (n, field) in ty.fields.iter().enumerate() {
        let value = match given.get(n) {
            None | Some(Value::Null) => field.ty.default.clone().unwrap_or(Value::Null),
            Some(value) => field.ty.normalize(value.clone()),
        };
        let place = || Place::Argument(Arc::clone(&field.name));
        if matches!(value, Value::Null) && !field.ty.nullable {
            return Err(denial(
                Code::Argument,
                place(),
                None,
                format!("argument `{}` is missing", field.name),
            ));
        }
        if let Err(violation) = field.ty.check(&value) {
            let message = format!("argument `{}`: {}", field.name, violation.message);
            return Err(denial(Code::Argument, place(), Some(violation.value), message));
        }
        args.push(value);
    }
    Ok(args)
}

/// The new values of `set`, all seen from the memory before; those that are not new are left out.
fn changes(schema: &Schema, mutation: &Mutation, env: &Env<'_>) -> Result<Vec<(Slot, Value)>, Box<Denial>> {
    let mut changes = Vec::with_capacity(mutation.set.len());
    for (slot, program) in &mutation.set {
        let value = program.eval(env).map_err(|e| evaluation(schema, program, &e))?;
        let Some(field) = schema.memory.get(*slot) else { continue };
        let value = field.ty.normalize(value);
        if let Err(violation) = field.ty.check(&value) {
            let message = format!("field `{}`: {}", field.name, violation.message);
            return Err(denial(
                Code::Bounds,
                Place::Field(Arc::clone(&field.name)),
                Some(violation.value),
                message,
            ));
        }
        if env.memory.get(usize::from(slot.0)) != Some(&value) {
            changes.push((*slot, value));
        }
    }
    Ok(changes)
}

fn with_changes(memory: &[Value], changes: &[(Slot, Value)]) -> Vec<Value> {
    let mut after = memory.to_vec();
    for (slot, value) in changes {
        if let Some(place) = after.get_mut(usize::from(slot.0)) {
            *place = value.clone();
        }
    }
    after
}

/// Whether an invariant could cease to hold: one that reads a field which the mutation sets, or any while the object is
/// incomplete. The others held before, and what they read stays as it is.
fn may_break_invariants(schema: &Schema, state: &State, mutation: &Mutation) -> bool {
    let reads = |program: &Program| program.reads_old() || program.reads().intersects(&mutation.writes);
    !schema.invariants.is_empty()
        && (!is_complete(schema, &state.memory) || schema.invariants.iter().any(|i| reads(&i.expression)))
}

/// Every invariant, over a memory that is complete. A transition invariant needs a complete memory before, too; `None` is
/// before genesis.
pub(crate) fn check_invariants(
    schema: &Schema,
    before: Option<&[Value]>,
    memory: &[Value],
    now: Timestamp,
) -> Result<(), Box<Denial>> {
    broken_invariants(schema, before, memory, now).next().map_or(Ok(()), Err)
}

/// As [`check_invariants`]: each that does not hold.
fn broken_invariants<'a>(
    schema: &'a Schema,
    before: Option<&'a [Value]>,
    memory: &'a [Value],
    now: Timestamp,
) -> impl Iterator<Item = Box<Denial>> + 'a {
    let all = if is_complete(schema, memory) { schema.invariants.as_slice() } else { &[] };
    let before = before.filter(|before| is_complete(schema, before));
    let env = Env { memory, old_memory: before.unwrap_or(memory), args: &[], now, caller: ("", "") };
    all.iter().filter(move |i| !i.transition || before.is_some()).filter_map(move |invariant| {
        let source = invariant.expression.source();
        let message = match (invariant.expression.holds(&env), &invariant.message) {
            (Ok(true), _) => return None,
            (Err(error), _) => return Some(evaluation(schema, &invariant.expression, &error)),
            (Ok(false), Some(message)) => format!("{message}: `{source}` would not hold"),
            (Ok(false), None) => format!("the invariant `{source}` would not hold"),
        };
        Some(denial(Code::Invariant, Place::Expression(source.into()), None, message))
    })
}

pub(crate) fn is_complete(schema: &Schema, memory: &[Value]) -> bool {
    schema
        .memory
        .fields
        .iter()
        .zip(memory)
        .all(|(field, value)| field.ty.nullable || !matches!(value, Value::Null))
}

fn check_effect(
    subject: Subject<'_>,
    effect: &Effect,
    env: &Env<'_>,
) -> Result<Arc<[serde_json::Value]>, Box<Denial>> {
    let call = format!("{}.{}", effect.interface, effect.function);
    if subject.policy.grant(&effect.interface, &effect.function).is_none() {
        let message = format!("no link grants this object `{call}`");
        return Err(denial(Code::Effect, Place::Object, Some(call), message));
    }
    let most = usize::try_from(subject.policy.limits.effects).unwrap_or(usize::MAX);
    if subject.state.effects.len() >= most {
        let message = format!("{most} effects of this object wait for an outcome already");
        return Err(denial(Code::Effect, Place::Object, Some(call), message));
    }
    let args: Result<Vec<_>, _> = effect.args.iter().map(|arg| template::json(arg, env)).collect();
    args.map(Into::into).map_err(|(program, e)| evaluation(subject.schema, program, &e))
}

/// What the slope is charged: nothing, unless the object itself or a component asks.
fn charge(
    subject: Subject<'_>,
    mutation: &Mutation,
    caller: &Caller,
    env: &Env<'_>,
) -> Result<Micro, Box<Denial>> {
    if !matches!(caller, Caller::Rule | Caller::Behaviour | Caller::Component(_)) {
        return Ok(0);
    }
    let cost = match &mutation.cost {
        Cost::Constant(cost) => *cost,
        Cost::Expression(program) => {
            let value = program.eval(env).map_err(|e| evaluation(subject.schema, program, &e))?;
            micro(&value).ok_or_else(|| {
                let message = format!("the cost of `{}` must be a number from 0 to 1e12", mutation.name);
                denial(
                    Code::Evaluation,
                    Place::Expression(program.source().into()),
                    Some(untyped_to_json(&value).to_string()),
                    message,
                )
            })?
        }
    };
    let Some(bucket) = subject.state.bucket.filter(|_| cost > 0) else { return Ok(cost) };
    if bucket.charge(cost, env.now).is_some() {
        return Ok(cost);
    }
    let current = bucket.at(env.now);
    let message = format!(
        "`{}` costs {}, and the trust slope holds {}",
        mutation.name,
        show_micro(cost),
        show_micro(current.level)
    );
    let mut denied = denial(Code::Slope, Place::Object, Some(show_micro(cost)), message);
    denied.affordable_at = current.affords_at(cost);
    Err(denied)
}

fn check_drift(subject: Subject<'_>, caller: &Caller, changes: &[(Slot, Value)]) -> Result<(), Box<Denial>> {
    if matches!(caller, Caller::Operator(_)) {
        return Ok(());
    }
    let Subject { schema, state, .. } = subject;
    for (drift, from) in schema.trust_slope.drift.iter().zip(&state.drift_from) {
        let changed = changes.iter().find(|(slot, _)| *slot == drift.field);
        let Some((field, value)) =
            schema.memory.get(drift.field).zip(changed.and_then(|(_, value)| numeric(value)))
        else {
            continue;
        };
        if (value - from).abs() > drift.within {
            let message = format!(
                "field `{}` would drift to {value}, more than {} from {from}",
                field.name, drift.within
            );
            return Err(denial(
                Code::Drift,
                Place::Field(Arc::clone(&field.name)),
                Some(value.to_string()),
                message,
            ));
        }
    }
    Ok(())
}

/// Most characters of an argument that a denial records.
pub const EXCERPT_MAX: usize = 256;

/// An argument as a denial records it: cut to a text of 256 characters where it is longer.
pub(crate) fn excerpt(value: &Value) -> Value {
    let shown = match value {
        Value::Str(text) if text.len() <= EXCERPT_MAX => return value.clone(),
        Value::Str(text) => text.to_string(),
        Value::Bytes(_) | Value::List(_) | Value::Struct(_) | Value::Map(_) => {
            untyped_to_json(value).to_string()
        }
        _ => return value.clone(),
    };
    if shown.len() <= EXCERPT_MAX {
        return value.clone();
    }
    let cut: String = shown.chars().take(EXCERPT_MAX).chain(['…']).collect();
    Value::Str(cut.into())
}

/// A cost in millionths, rounded up; `None` when it is negative, not finite, or above 1e12.
#[must_use]
pub fn micro(value: &Value) -> Option<Micro> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok().filter(|n| *n <= 1_000_000_000_000).map(|n| n * 1_000_000),
        Value::Num(n) if n.is_finite() && *n >= 0.0 && *n <= 1e12 => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounds are checked above"
            )]
            let up = (n * 1e6).ceil() as u64;
            Some(up)
        }
        _ => None,
    }
}

/// Millionths as a decimal number, without trailing zeros.
#[must_use]
pub fn show_micro(value: Micro) -> String {
    let (whole, rest) = (value / 1_000_000, value % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
}

pub(crate) fn evaluation(schema: &Schema, program: &Program, error: &EvalError) -> Box<Denial> {
    let place = match error.gap.and_then(|slot| schema.memory.get(slot)) {
        Some(field) => Place::Field(Arc::clone(&field.name)),
        None => Place::Expression(program.source().into()),
    };
    denial(Code::Evaluation, place, None, format!("`{}`: {}", program.source(), error.message))
}

pub(crate) fn denial(code: Code, place: Place, value: Option<String>, message: String) -> Box<Denial> {
    let reason = Reason { code, place, value: value.map(Into::into), message: message.into() };
    Box::new(Denial { reason, affordable_at: None })
}
