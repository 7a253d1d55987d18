//! A lineage done again: folded, and its rules run again on the inputs that it recorded.
//!
//! [`replay`] folds. The state that comes out is the state: there is nothing beside it that could disagree. With `execute`
//! it also runs every tick that left a record once more, on a copy of the object as it stood before, and holds the records
//! that come out against those of the lineage, byte for byte. [`fn@diff`] holds an object at two places against each other.

mod compare;
mod diff;
mod execute;

use std::sync::Arc;

use abide_core::guest::Guest;
use abide_core::object::Object;
use abide_core::record::{Event, Record};
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use serde_json::{Value as Json, json};

use crate::host::HostError;
use crate::view::{Lineage, Link, View, object_json};

pub use compare::differences;
pub use diff::{Change, Diff, Part, Place, RECORDS_MAX, What, diff};
pub(crate) use execute::{is_cut, is_outside, known_schemas, spawn_problem};

/// Up to where a lineage is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Up to the record of that number, which is the last that counts.
    Seq(u64),
    /// Up to the last record that is of that time or before. Where the clock was reset, that is the last one on either side of
    /// the reset.
    Time(Timestamp),
}

/// What doing a lineage again came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The records that were folded.
    pub records: u64,
    /// Of those, the records that came out of running the rules again; `None` where they were not run.
    pub executed: Option<u64>,
    /// The object as it stood then, as `show` has it.
    pub state: Json,
    /// The schema that was in force then; `None` where there is no object.
    pub schema: Option<Arc<Schema>>,
    /// Whether that is how the object stands now; `None` when the fold ended before its last record.
    pub live_equal: Option<bool>,
    /// What is wrong, in the order of the lineage.
    pub problems: Vec<Problem>,
}

/// Something wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In whose lineage; `@host` is the host's own, and `None` stands for the log.
    pub object: Option<Arc<str>>,
    /// The record's number in that lineage.
    pub seq: Option<u64>,
    /// The record's number in the log.
    pub leaf: Option<u64>,
    /// Its tick.
    pub tick: Option<u64>,
    /// What is wrong: lower case.
    pub what: String,
}

/// Why a lineage cannot be done again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no record of that number.
    #[error("`{object}` has no record {seq}: its records are 0 to {last}")]
    Seq {
        /// Whose lineage.
        object: Arc<str>,
        /// As asked.
        seq: u64,
        /// The last there is.
        last: u64,
    },
    /// The object did not exist yet.
    #[error("`{object}` began at {began}: there is nothing of it at {time}")]
    Time {
        /// Whose lineage.
        object: Arc<str>,
        /// As asked.
        time: Timestamp,
        /// The time of its genesis.
        began: Timestamp,
    },
}

impl Replayed {
    /// Whether nothing is wrong, and the state is the live one if it was held against it.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.problems.is_empty() && self.live_equal != Some(false)
    }

    /// What `replay --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "agrees": self.agrees(),
            "records": self.records,
            "executed": self.executed,
            "live_equal": self.live_equal,
            "problems": self.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
            "state": self.state,
        })
    }
}

impl Problem {
    /// Something wrong with that record.
    #[must_use]
    pub fn of(record: &Record, what: impl Into<String>) -> Self {
        Self {
            object: Some(Arc::clone(&record.object)),
            seq: Some(record.seq),
            leaf: None,
            tick: Some(record.tick),
            what: what.into(),
        }
    }

    /// `{object, seq, leaf, tick, what}`, without what is not known.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let parts = [
            ("object", self.object.as_deref().map(Json::from)),
            ("seq", self.seq.map(Json::from)),
            ("record", self.leaf.map(Json::from)),
            ("tick", self.tick.map(Json::from)),
            ("what", Some(self.what.as_str().into())),
        ];
        Json::Object(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.object, self.seq, self.leaf) {
            (Some(object), Some(seq), _) => write!(f, "record {seq} of `{object}`: {}", self.what),
            (Some(object), None, _) => write!(f, "`{object}`: {}", self.what),
            (None, _, Some(leaf)) => write!(f, "record {leaf} of the log: {}", self.what),
            (None, _, None) => f.write_str(&self.what),
        }
    }
}

/// Folds an object's lineage from its genesis, up to its last record or to `at`; with `execute`, runs its rules again, and
/// its acts in that guest.
///
/// What was only counted of denials, what an effect's target answered, and what outside callers asked are inputs: they are
/// taken as they were recorded. A tick that left no record is not run again, since nothing tells that it was.
///
/// # Errors
/// When the log cannot be read, or there is nothing at `at`. What is wrong with the lineage is in the answer.
pub fn replay(
    view: &View,
    object: &Object,
    at: Option<At>,
    execute: Option<&dyn Guest>,
) -> Result<Replayed, ReplayError> {
    check_place(object, at)?;
    let end = match at {
        None => None,
        Some(At::Seq(seq)) => Some(seq),
        Some(At::Time(time)) => Some(last_until(view, object, time)?.map_or(0, |record| record.seq)),
    };
    let mut replay = Replay {
        view,
        at,
        end,
        execute: execute.map(|guest| execute::Executor::new(view, guest)),
        object: None,
        folded: 0,
        problems: Vec::new(),
    };
    let mut tick: Vec<Link> = Vec::new();
    for link in view.records(Lineage::of(object))? {
        let link = match link {
            Ok(link) => link,
            Err(HostError::Fold { leaf, source }) => {
                let object = Some(Arc::clone(&object.id));
                replay.problems.push(Problem {
                    object,
                    seq: None,
                    leaf: Some(leaf),
                    tick: None,
                    what: source.to_string(),
                });
                break;
            }
            Err(error) => return Err(error.into()),
        };
        if tick.first().is_some_and(|first| first.record.tick != link.record.tick) {
            replay.tick(object, &std::mem::take(&mut tick))?;
        }
        let is_after = !counts(end, &link.record);
        if is_after && (tick.is_empty() || execute.is_none()) {
            break;
        }
        tick.push(link);
    }
    if !tick.is_empty() {
        replay.tick(object, &tick)?;
    }
    replay.finish(object)
}

struct Replay<'a> {
    view: &'a View,
    at: Option<At>,
    /// The last record that counts; `None`: all do.
    end: Option<u64>,
    execute: Option<execute::Executor<'a>>,
    /// The object as the records so far left it.
    object: Option<Object>,
    folded: u64,
    problems: Vec<Problem>,
}

impl Replay<'_> {
    /// Runs a tick's records again if that is asked for, and folds those that count.
    fn tick(&mut self, live: &Object, links: &[Link]) -> Result<(), HostError> {
        if let Some(executor) = &mut self.execute {
            executor.tick(live, self.object.as_ref(), links, &mut self.problems)?;
        }
        for link in links.iter().filter(|link| counts(self.end, &link.record)) {
            if !fold(&mut self.object, live, link) {
                self.problems
                    .push(Problem::of(&link.record, "a lineage begins with its genesis, and has one"));
            }
            self.folded += 1;
        }
        Ok(())
    }

    fn finish(self, live: &Object) -> Result<Replayed, ReplayError> {
        let Self { view, at, end: _, execute, object, folded, mut problems } = self;
        let Some(mut object) = object else {
            let state = Json::Null;
            let executed = execute.map(|executor| executor.records());
            let (schema, live_equal) = (None, None);
            return Ok(Replayed { records: folded, executed, state, schema, live_equal, problems });
        };
        let is_whole = folded == live.length;
        let mut live_equal = None;
        if is_whole {
            // Denials that are counted and not recorded yet are in the host's own lineage.
            let schema = Arc::clone(&object.schema);
            object.state.resume_pending(&schema, live.state.pending.clone());
            let differing = differences(&object, live);
            live_equal = Some(differing.is_empty());
            problems.extend(differing.into_iter().map(|what| Problem {
                object: Some(Arc::clone(&live.id)),
                seq: live.length.checked_sub(1),
                leaf: None,
                tick: None,
                what: format!("the fold of the lineage is not how the object stands: {what}"),
            }));
        }
        let now = match at {
            None => view.time(),
            Some(At::Time(time)) => time,
            Some(At::Seq(_)) => object.changed_at,
        };
        let executed = execute.map(|executor| executor.records());
        let (state, schema) = (object_json(&object, now), Some(object.schema));
        Ok(Replayed { records: folded, executed, state, schema, live_equal, problems })
    }
}

/// Folds the next record of an object's lineage: its genesis makes it. `false` where a genesis is not the first record, or another
/// is.
pub(crate) fn fold(object: &mut Option<Object>, live: &Object, link: &Link) -> bool {
    let Link { record, hash, schema: Some(schema) } = link else { return false };
    match (object.as_mut(), &record.event) {
        (None, Event::Genesis(genesis)) => {
            let (id, schema) = (Arc::clone(&live.id), Arc::clone(schema));
            *object = Some(Object::bound(id, live.number, schema, genesis, *hash, record.time));
            true
        }
        (None, _) | (Some(_), Event::Genesis(_)) => false,
        (Some(object), _) => {
            object.fold(record, *hash, schema);
            true
        }
    }
}

/// Whether a record counts, where `end` is the last that does.
fn counts(end: Option<u64>, record: &Record) -> bool {
    end.is_none_or(|end| record.seq <= end)
}

/// An object's last record that is of `time` or before: with a clock that was reset, records before it may be of later
/// times. `None` where not even the first can be read; what follows one that does not verify is not looked at.
pub(crate) fn last_until(view: &View, object: &Object, time: Timestamp) -> Result<Option<Record>, NoRecord> {
    let (mut last, mut began) = (None, None);
    for link in view.records(Lineage::of(object))? {
        let record = match link {
            Ok(link) => link.record,
            Err(HostError::Fold { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        began = began.or(Some(record.time));
        if record.time <= time {
            last = Some(record);
        }
    }
    match (&last, began) {
        (None, Some(began)) => Err(NoRecord::Time { object: Arc::clone(&object.id), time, began }),
        _ => Ok(last),
    }
}

/// Why no record can be the last until a time.
pub(crate) enum NoRecord {
    Host(HostError),
    Time { object: Arc<str>, time: Timestamp, began: Timestamp },
}

impl From<HostError> for NoRecord {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<NoRecord> for ReplayError {
    fn from(error: NoRecord) -> Self {
        match error {
            NoRecord::Host(error) => Self::Host(error),
            NoRecord::Time { object, time, began } => Self::Time { object, time, began },
        }
    }
}

fn check_place(object: &Object, at: Option<At>) -> Result<(), ReplayError> {
    if let Some(At::Seq(seq)) = at
        && seq >= object.length
    {
        let last = object.length.saturating_sub(1);
        return Err(ReplayError::Seq { object: Arc::clone(&object.id), seq, last });
    }
    Ok(())
}
