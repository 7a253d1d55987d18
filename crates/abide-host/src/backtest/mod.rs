//! What an object would have done under other rules, given what came from outside as it was recorded.
//!
//! [`fn@backtest`] takes an object's lineage, begins the object anew under another schema or behaviour, and gives it every
//! recorded observation, operator's act, outcome, pause and reset of the clock at its time. What it decides then is held
//! against what was recorded. Nothing is stored, and nothing is called: an effect that is ordered as it was recorded ends
//! as it did then, any other is simulated.

mod decision;
mod first;
mod input;
mod run;
mod ticks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::guest::{Behaviour, Guest};
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use serde_json::{Value as Json, json};

use crate::host::HostError;

pub use decision::Decision;
pub use run::backtest;
pub use ticks::Ticks;

/// Most differences that are kept: the first ones.
pub const DIFFERENCES_MAX: usize = 1_000;
/// Most turns of an object between two recorded ticks: a rule may be due every millisecond.
pub const TURNS_MAX: usize = 100_000;

/// The rules to try.
#[derive(Clone)]
pub struct Rules<'a> {
    /// The schema.
    pub schema: Arc<Schema>,
    /// The behaviour that is in force throughout; `None`: the recorded ones, each from where it was put in force.
    pub behaviour: Option<Behaviour>,
    /// Runs acts of the schema.
    pub guest: &'a dyn Guest,
}

/// Why a lineage cannot be tried under other rules.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The log cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The object cannot begin under the new rules.
    #[error("`{object}` cannot begin under these rules: {why}")]
    Begin {
        /// Which.
        object: Arc<str>,
        /// Why not, and what to do.
        why: String,
    },
    /// Something is always due.
    #[error(
        "`{object}` had {TURNS_MAX} turns after {at} and before the next recorded tick: give the rules an `every` or a `for` \
         that is longer"
    )]
    Turns {
        /// Which.
        object: Arc<str>,
        /// The recorded tick that they began at.
        at: Timestamp,
    },
}

/// What trying a lineage came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtested {
    /// The object.
    pub object: Arc<str>,
    /// How many decisions were recorded, would have been made, and are the same in both.
    pub counts: Counts,
    /// The same for each kind of decision, by its name.
    pub kinds: BTreeMap<String, Counts>,
    /// Where they differ, in the order of time: the first [`DIFFERENCES_MAX`] moments.
    pub differences: Vec<Difference>,
    /// How many moments more there are.
    pub differences_more: u64,
    /// What was left out and could not be tried, in words: each thing once.
    pub remarks: BTreeSet<String>,
}

/// So many decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Recorded.
    pub recorded: u64,
    /// Made under the new rules.
    pub new: u64,
    /// Made in both, at the same time.
    pub same: u64,
}

/// A moment at which decisions differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// When.
    pub time: Timestamp,
    /// What was decided then and would not have been.
    pub recorded: Vec<Decision>,
    /// What would have been decided then and was not.
    pub new: Vec<Decision>,
}

impl Backtested {
    /// Whether no decision differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// What `backtest --json` prints of an object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let counts =
            |counts: &Counts| json!({ "recorded": counts.recorded, "new": counts.new, "same": counts.same });
        let decisions = |all: &[Decision]| all.iter().map(Decision::to_json).collect::<Vec<_>>();
        let differences = self.differences.iter().map(|difference| {
            json!({
                "time": difference.time.to_string(),
                "recorded": decisions(&difference.recorded),
                "new": decisions(&difference.new),
            })
        });
        json!({
            "object": &*self.object,
            "same": self.is_same(),
            "decisions": counts(&self.counts),
            "kinds": self.kinds.iter().map(|(kind, c)| (kind.clone(), counts(c))).collect::<serde_json::Map<_, _>>(),
            "first": self.differences.first().map(|first| first.time.to_string()),
            "differences": differences.collect::<Vec<_>>(),
            "differences_more": self.differences_more,
            "remarks": self.remarks,
        })
    }
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("schema", &self.schema.name).finish_non_exhaustive()
    }
}
