//! Scenarios: what an object of a schema does, given its memory, observations and times, held against what is expected.
//!
//! [`fn@load`] reads a document of them; [`Suite::run`] plays each with the engine alone: no store, no clock but the
//! scenario's, no effects but simulated ones. What is compared is what the object does of its own, and what it is denied.

mod load;
mod play;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::field::Slot;
use abide_core::schema::{MutationIx, Schema};
use abide_core::time::Timestamp;
use abide_core::value::Value;
use serde_json::{Map, Value as Json};

pub use load::load;
pub(crate) use play::{line, same};

/// Most scenarios of a document.
pub const SCENARIOS_MAX: usize = 1_000;
/// Most moments of a scenario.
pub const MOMENTS_MAX: usize = 10_000;

/// Scenarios of one schema and its behaviour.
#[derive(Debug)]
pub struct Suite {
    /// The schema.
    pub schema: Arc<Schema>,
    /// The component, where the schema has acts.
    pub image: Option<Image>,
    /// Schemas that children may have.
    pub children: Vec<Arc<Schema>>,
    /// The scenarios, in the order of the document.
    pub scenarios: Vec<Scenario>,
}

/// A component that is named, and not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// The named values that it sees.
    pub config: BTreeMap<String, String>,
    /// Where it is named.
    pub span: Range<usize>,
}

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// When the object begins.
    pub start: Timestamp,
    /// Its first values.
    pub memory: Vec<(Slot, Value)>,
    /// What happens, in the order of time.
    pub moments: Vec<Moment>,
}

/// A moment: a tick with what comes in, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What is observed.
    pub observations: Vec<(MutationIx, Vec<Value>)>,
    /// What the object does from the moment before up to this one, in order; `None`: whatever it does.
    pub expected: Option<Vec<Expected>>,
    /// Fields of its memory after it.
    pub memory: Map<String, Json>,
    /// Its status after it.
    pub status: Option<String>,
}

/// Something that is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// A mutation of its own, `denied`, or the kind of a record.
    pub what: String,
    /// What must be so of it: arguments, or parts of a denial. What is not named may be anything.
    pub parts: Map<String, Json>,
}

/// What a scenario came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What differs, by moment: empty where all is as expected.
    pub differences: Vec<Difference>,
}

/// A moment that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When.
    pub at: Timestamp,
    /// Lines that begin with ` ` where both agree, with `-` for what was expected and did not come, with `+` for what
    /// came and was not expected, and with `!` for why it could not be played.
    pub lines: Vec<String>,
}
