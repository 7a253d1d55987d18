//! Why a field has its value, and why a rule did not fire: answers from the lineage alone.
//!
//! [`why_field`] goes back from a value to the record that set it, to the rule or caller behind the record, and on to what
//! that rule read, down to observations. [`why_not`] goes to a time and says which operand kept a rule from firing then.
//! Both come as JSON and as a [`Branch`] for a terminal.

mod field;
mod not;
mod trail;
mod tree;

use std::sync::Arc;

use abide_core::document::nearest;
use abide_core::expr::Explanation;
use abide_core::field::Slot;
use abide_core::schema::{RuleIx, Schema};
use abide_core::time::Timestamp;
use serde_json::{Map, Value as Json};

use crate::history::NoRecord;
use crate::host::HostError;

pub use field::{Origin, RecordNode, ValueNode, why_field};
pub use not::{Kept, WhyNot, why_not};
pub use tree::{Branch, Mark};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The log cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The schema has no such field.
    #[error("schema `{schema}` has no field `{name}`{}", hint(nearest_name))]
    Field {
        /// The schema.
        schema: Arc<str>,
        /// As asked.
        name: String,
        /// The nearest that there is.
        nearest_name: Option<String>,
    },
    /// The schema has no such rule.
    #[error("schema `{schema}` has no rule `{name}`{}", hint(nearest_name))]
    Rule {
        /// The schema.
        schema: Arc<str>,
        /// As asked.
        name: String,
        /// The nearest that there is.
        nearest_name: Option<String>,
    },
    /// The object did not exist yet.
    #[error("`{object}` began at {began}: it had no rules at {time}")]
    Time {
        /// The object.
        object: Arc<str>,
        /// As asked.
        time: Timestamp,
        /// The time of its genesis.
        began: Timestamp,
    },
}

impl From<NoRecord> for WhyError {
    fn from(error: NoRecord) -> Self {
        match error {
            NoRecord::Host(error) => Self::Host(error),
            NoRecord::Time { object, time, began } => Self::Time { object, time, began },
        }
    }
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn slot_of(schema: &Schema, name: &str) -> Result<Slot, WhyError> {
    schema.memory.slot(name).ok_or_else(|| WhyError::Field {
        schema: Arc::clone(&schema.name),
        name: name.to_owned(),
        nearest_name: nearest(name, schema.memory.fields.iter().map(|field| &*field.name)).map(str::to_owned),
    })
}

fn rule_of(schema: &Schema, name: &str) -> Result<RuleIx, WhyError> {
    schema.rule(name).ok_or_else(|| WhyError::Rule {
        schema: Arc::clone(&schema.name),
        name: name.to_owned(),
        nearest_name: nearest(name, schema.rules.iter().map(|rule| &*rule.name)).map(str::to_owned),
    })
}

/// An operand tree as JSON: `{expression, value | error, field, kept, operands}`.
fn explanation_json(of: &Explanation, schema: &Schema, culprits: bool) -> Json {
    let mut out = Map::new();
    out.insert("expression".to_owned(), of.source.as_str().into());
    match &of.result {
        Ok(value) => out.insert("value".to_owned(), value.as_str().into()),
        Err(error) => out.insert("error".to_owned(), error.as_str().into()),
    };
    if let Some(field) = of.field.and_then(|slot| schema.memory.get(slot)) {
        out.insert("field".to_owned(), (&*field.name).into());
    }
    let is_culprit = culprits && is_culprit(of);
    if is_culprit {
        out.insert("kept".to_owned(), true.into());
    }
    if !of.operands.is_empty() {
        let below = of
            .operands
            .iter()
            .map(|operand| explanation_json(operand, schema, culprits && leads_on(of, operand)));
        out.insert("operands".to_owned(), below.collect());
    }
    Json::Object(out)
}

/// An operand tree for a terminal; what made it false is marked.
fn explanation_branch(of: &Explanation, culprits: bool) -> Branch {
    let result = match &of.result {
        Ok(value) => value.clone(),
        Err(error) => format!("no value: {error}"),
    };
    let is_culprit = culprits && is_culprit(of);
    let below =
        of.operands.iter().map(|operand| explanation_branch(operand, culprits && leads_on(of, operand)));
    let (mark, end) = if is_culprit { (Mark::Culprit, " ← this kept it") } else { (Mark::Operand, "") };
    Branch { text: format!("{} → {result}{end}", one_line(&of.source)), mark, below: below.collect() }
}

/// Whether an operand passes its falsehood, or its lack of a value, on to the whole.
fn leads_on(whole: &Explanation, operand: &Explanation) -> bool {
    is_lacking(whole) && is_lacking(operand)
}

/// Whether the falsehood of the whole begins there: it is not true, and none of its operands is to blame.
fn is_culprit(of: &Explanation) -> bool {
    is_lacking(of) && !of.operands.iter().any(is_lacking)
}

fn is_lacking(of: &Explanation) -> bool {
    of.result.as_deref().map_or(true, |value| value == "false")
}

/// A source as written, on one line.
fn one_line(source: &str) -> String {
    source.split_whitespace().collect::<Vec<_>>().join(" ")
}
