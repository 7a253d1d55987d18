//! Expressions: a documented profile of CEL, type-checked and compiled when a schema is loaded.
//!
//! [`compile`] parses with the `cel` crate, checks types and bounds cost against a [`Scope`], and gives a [`Program`] that
//! reads fields by slot. What the profile holds and where it differs from the CEL specification is in
//! `docs/expressions.md`. Bounds of fields are left to [`crate::field`], and what a result is for to its place.

mod check;
mod eval;
mod explain;
mod lex;
mod node;
mod parse;
mod show;
mod slots;
mod ty;

use std::ops::Range;
use std::sync::Arc;

use crate::field::{FieldType, Slot, StructType};
use crate::time::Timestamp;
use crate::value::Value;

pub use show::show;
pub use slots::SlotSet;

/// The longest source, in bytes.
pub const SOURCE_MAX: usize = 8192;
/// How many brackets may be open at once.
pub const NESTING_MAX: usize = 32;
/// How many operations may be in one another. A chain of `+` counts each; a chain of `&&` or `||` counts as one.
pub const DEPTH_MAX: usize = 100;
/// The most that one evaluation may cost. A unit is one step: a field read, a comparison, an item looked at or copied, 16
/// bytes of text searched or copied; some 5 to 20 ns.
pub const COST_MAX: u64 = 1_000_000;

/// What an expression may mention.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The type of `self`, where it may be mentioned.
    pub memory: Option<Arc<StructType>>,
    /// Whether `oldSelf` may be mentioned; it has the type of `self`.
    pub old_self: bool,
    /// The type of `args`, where it may be mentioned.
    pub args: Option<Arc<StructType>>,
    /// Whether `now` may be mentioned.
    pub now: bool,
    /// Whether `caller` (`caller.kind`, `caller.name`: strings) may be mentioned.
    pub caller: bool,
}

/// What the result of an expression must be.
#[derive(Clone, Debug)]
pub enum Expected<'a> {
    /// A boolean.
    Bool,
    /// An integer or a number: a cost.
    Numeric,
    /// A boolean or a timestamp: until when to sleep.
    BoolOrTime,
    /// A value of that type (its bounds are checked when it is set).
    Field(&'a FieldType),
    /// Anything.
    Any,
}

/// Something wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// What is wrong: lower case, input in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where: bytes of the source.
    pub span: Range<usize>,
}

/// What an expression is evaluated against. The slices are in the order of their types.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// `self`
    pub memory: &'a [Value],
    /// `oldSelf`
    pub old_memory: &'a [Value],
    /// `args`
    pub args: &'a [Value],
    /// `now`
    pub now: Timestamp,
    /// `caller.kind` and `caller.name`
    pub caller: (&'a str, &'a str),
}

/// Why an evaluation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What went wrong: lower case.
    pub message: String,
    /// The memory field that was read while it was a gap, if that is what went wrong.
    pub gap: Option<Slot>,
}

/// One step of how a result came about, for `why`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The text of the (sub)expression, as written.
    pub source: String,
    /// Its value as text, or the error.
    pub result: Result<String, String>,
    /// The memory field it reads, if it is one.
    pub field: Option<Slot>,
    /// Its operands. An operand that short-circuit left out is not here.
    pub operands: Vec<Explanation>,
}

/// What kind of value an expression has, its bounds and what is within it aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A boolean.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Num,
    /// A string.
    Str,
    /// Bytes, which are Base64 in JSON.
    Bytes,
    /// A moment, which is a text in JSON.
    Time,
    /// A duration, which is a text in JSON.
    Span,
    /// A list.
    List,
    /// An object with properties of its schema.
    Struct,
    /// An object with any properties.
    Map,
}

/// A type-checked, compiled expression.
#[derive(Clone, Debug)]
pub struct Program {
    source: Arc<str>,
    compiled: Arc<check::Compiled>,
}

/// Parses, resolves, type-checks, bounds and compiles an expression.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(source: &str, scope: &Scope, expected: &Expected<'_>) -> Result<Program, Vec<ExprError>> {
    let ast = parse::parse(source)?;
    let compiled = check::check(source, &ast, scope, expected)?;
    Ok(Program { source: source.into(), compiled: Arc::new(compiled) })
}

/// Whether an expression over `self` and `now` can be read, whatever fields it mentions.
///
/// # Errors
/// Everything that is wrong with its syntax, and each mention of what is not there.
pub fn parses(source: &str) -> Result<(), Vec<ExprError>> {
    parse::parse(source)?;
    let tokens = lex::Tokens::read(source).map_err(|error| vec![error])?;
    let absent = tokens.roots(source).filter(|at| matches!(at.slice(source), "oldSelf" | "args" | "caller"));
    let wrong: Vec<_> = absent
        .map(|at| ExprError {
            message: format!("`{}` may not be mentioned here", at.slice(source)),
            help: Some("use `self`, `now`".into()),
            span: at.range(),
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

impl Program {
    /// As written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The memory fields it reads through `self`, in whichever branch.
    #[must_use]
    pub fn reads(&self) -> &SlotSet {
        &self.compiled.reads
    }

    /// Whether it reads `now`.
    #[must_use]
    pub fn reads_now(&self) -> bool {
        self.compiled.reads_now
    }

    /// Whether it reads `oldSelf`.
    #[must_use]
    pub fn reads_old(&self) -> bool {
        self.compiled.reads_old
    }

    /// Whether its evaluation over a complete memory can fail. `false` is a promise; `true` may be caution.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        self.compiled.can_fail
    }

    /// A bound on the cost of an evaluation, at most [`COST_MAX`].
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.compiled.cost
    }

    /// The kind of its values other than null; `None` where it is always null.
    #[must_use]
    pub fn kind(&self) -> Option<ValueKind> {
        self.compiled.ty.kind()
    }

    /// Whether its value may be null.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.compiled.ty.nullable
    }

    /// A value of it as JSON: objects have the names of their properties, which only the type knows.
    #[must_use]
    pub fn to_json(&self, value: &Value) -> serde_json::Value {
        self.compiled.ty.to_json(value)
    }

    /// Whether the result is a timestamp (and not a boolean), for [`Expected::BoolOrTime`].
    #[must_use]
    pub fn is_time(&self) -> bool {
        self.compiled.is_time
    }

    /// The value.
    ///
    /// # Errors
    /// When it has none: a gap was read, an integer overflowed, a divisor was zero, an index was out of range.
    pub fn eval(&self, env: &Env<'_>) -> Result<Value, EvalError> {
        let value = eval::eval(&self.compiled.node, &eval::Context::new(env));
        value.map(eval::Val::into_value).map_err(|fault| fault.error(&self.source))
    }

    /// The value of a boolean expression, without allocation where it has one.
    ///
    /// # Errors
    /// As [`Program::eval`].
    pub fn holds(&self, env: &Env<'_>) -> Result<bool, EvalError> {
        eval::test(&self.compiled.node, &eval::Context::new(env)).map_err(|fault| fault.error(&self.source))
    }

    /// How the value comes about: the tree of operands with their values. Literals, and what is computed of nothing else,
    /// stand for themselves and are left out.
    #[must_use]
    pub fn explain(&self, env: &Env<'_>) -> Explanation {
        explain::explain(&self.compiled.node, env, &self.source)
    }
}
