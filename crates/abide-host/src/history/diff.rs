//! One object at two places of its lineage, held against each other, with the records in between that made the difference.

use std::collections::VecDeque;
use std::sync::Arc;

use abide_core::object::Object;
use abide_core::record::Record;
use abide_core::record::json::micro_json;
use abide_core::schema::{Micro, Schema};
use abide_core::state::Status;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use serde_json::{Value as Json, json};

use super::{At, ReplayError, check_place, fold, last_until};
use crate::view::{Lineage, Link, View};

/// Most records that are named for one part of an object: the last ones.
pub const RECORDS_MAX: usize = 1_000;

/// An object at two places.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// Its id.
    pub object: Arc<str>,
    /// The first place that was asked for.
    pub a: Place,
    /// The second, which may be before the first.
    pub b: Place,
    /// How many records lie between the two.
    pub records: u64,
    /// Its fields in the order of the schema at the second place, those that it has no more, then its status and its slope's level.
    pub parts: Vec<Part>,
}

/// A place in a lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last record that counts.
    pub seq: u64,
    /// The time that was asked for, or that of the record: to it the slope's level is reckoned.
    pub time: Timestamp,
}

/// What of an object is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A field of its memory.
    Field(Arc<str>),
    /// Its status.
    Status,
    /// The level of its slope; null where it has no bound.
    Slope,
}

/// One part of an object at both places.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which.
    pub what: What,
    /// At the first place; null where it has no value.
    pub a: Json,
    /// At the second.
    pub b: Json,
    /// The records in between that changed it, in the order of the lineage: at most [`RECORDS_MAX`], the last ones.
    pub changes: VecDeque<Change>,
    /// How many were before those.
    pub changes_before: u64,
}

/// A record that changed a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub time: Timestamp,
    /// What it says, in words.
    pub cause: String,
    /// What the part was after it.
    pub value: Json,
}

impl Diff {
    /// Whether nothing differs between the two places. What changed in between and came back does not.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        !self.parts.iter().any(Part::differs)
    }

    /// What `diff --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let place = |place: Place| json!({ "seq": place.seq, "time": place.time.to_string() });
        json!({
            "object": &*self.object,
            "equal": self.is_equal(),
            "a": place(self.a),
            "b": place(self.b),
            "records": self.records,
            "parts": self.parts.iter().map(Part::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Part {
    /// Whether it is another at the second place.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.a != self.b
    }

    fn to_json(&self) -> Json {
        let changes = self.changes.iter().map(|change| {
            json!({ "seq": change.seq, "time": change.time.to_string(), "cause": change.cause, "value": change.value })
        });
        let (kind, field) = match &self.what {
            What::Field(name) => ("field", Some(&**name)),
            What::Status => ("status", None),
            What::Slope => ("slope", None),
        };
        json!({
            "part": kind,
            "field": field,
            "differs": self.differs(),
            "a": self.a,
            "b": self.b,
            "changes": changes.collect::<Vec<_>>(),
            "changes_before": self.changes_before,
        })
    }

    fn note(&mut self, record: &Record, cause: &str, value: Json) {
        if self.changes.len() == RECORDS_MAX {
            self.changes.pop_front();
            self.changes_before += 1;
        }
        let change = Change { seq: record.seq, time: record.time, cause: cause.to_owned(), value };
        self.changes.push_back(change);
    }
}

/// Holds an object at two places of its lineage against each other. Its level is compared as it was reckoned at each place's
/// time, so it may differ by what flowed in alone. Where another schema took force in between, fields are compared by name.
///
/// # Errors
/// When the log cannot be read, a record of it does not verify, or there is nothing at one of the places.
pub fn diff(view: &View, object: &Object, a: At, b: At) -> Result<Diff, ReplayError> {
    let (a, b) = (place(view, object, a)?, place(view, object, b)?);
    let (from, to) = (a.0.min(b.0), a.0.max(b.0));
    let mut folded: Option<Object> = None;
    let mut parts = Compared::default();
    let (mut at_a, mut at_b) = (None, None);
    for link in view.records(Lineage::of(object))? {
        let link = link?;
        let seq = link.record.seq;
        if seq > to {
            break;
        }
        let before = folded.as_ref().filter(|_| seq > from).map(|then| Parts::of(then, link.record.time));
        fold(&mut folded, object, &link);
        let Some(now) = &folded else { continue };
        if let Some(before) = before {
            before.note(now, &link, &mut parts);
        }
        let shown = |(asked, time): (u64, Option<Timestamp>)| {
            let time = time.unwrap_or(link.record.time);
            (seq == asked).then(|| (Place { seq, time }, Parts::of(now, time).to_json()))
        };
        at_a = at_a.or_else(|| shown(a));
        at_b = at_b.or_else(|| shown(b));
    }
    let none = |at: (u64, Option<Timestamp>)| ReplayError::Seq {
        object: Arc::clone(&object.id),
        seq: at.0,
        last: object.length.saturating_sub(1),
    };
    let (a, values_a) = at_a.ok_or_else(|| none(a))?;
    let (b, values_b) = at_b.ok_or_else(|| none(b))?;
    for (what, value) in values_a {
        parts.of(&what, |part| part.a = value);
    }
    for (what, value) in values_b.iter().cloned() {
        parts.of(&what, |part| part.b = value);
    }
    // The fields of the second place in the order of its schema, those that are gone after them.
    let order = |part: &Part| match &part.what {
        What::Status => (1, 0),
        What::Slope => (2, 0),
        what => (0, values_b.iter().position(|(other, _)| other == what).unwrap_or(usize::MAX)),
    };
    let mut parts = parts.0;
    parts.sort_by_key(order);
    Ok(Diff { object: Arc::clone(&object.id), a, b, records: to - from, parts })
}

/// The parts that were compared so far.
#[derive(Default)]
struct Compared(Vec<Part>);

impl Compared {
    /// The part of that kind, which may be new.
    fn of(&mut self, what: &What, change: impl FnOnce(&mut Part)) {
        if let Some(known) = self.0.iter_mut().find(|part| part.what == *what) {
            return change(known);
        }
        let (a, b, changes) = (Json::Null, Json::Null, VecDeque::new());
        let mut part = Part { what: what.clone(), a, b, changes, changes_before: 0 };
        change(&mut part);
        self.0.push(part);
    }
}

/// The record that a place names, and the time if it names one.
fn place(view: &View, object: &Object, at: At) -> Result<(u64, Option<Timestamp>), ReplayError> {
    check_place(object, Some(at))?;
    match at {
        At::Seq(seq) => Ok((seq, None)),
        At::Time(time) => Ok((last_until(view, object, time)?.map_or(0, |record| record.seq), Some(time))),
    }
}

/// What is compared of an object, as it stood at a time.
struct Parts {
    schema: Arc<Schema>,
    memory: Vec<Value>,
    status: Status,
    level: Option<Micro>,
}

impl Parts {
    fn of(object: &Object, at: Timestamp) -> Self {
        let state = &object.state;
        let level = state.bucket.map(|bucket| bucket.at(at).level);
        let schema = Arc::clone(&object.schema);
        Self { schema, memory: state.memory.clone(), status: state.status, level }
    }

    fn to_json(&self) -> Vec<(What, Json)> {
        let fields = self.schema.memory.fields.iter().zip(&self.memory);
        let fields = fields.map(|(field, value)| {
            let value = if matches!(value, Value::Null) { Json::Null } else { field.ty.to_json(value) };
            (What::Field(Arc::clone(&field.name)), value)
        });
        let level = self.level.map_or(Json::Null, micro_json);
        fields.chain([(What::Status, self.status.name().into()), (What::Slope, level)]).collect()
    }

    /// Takes note of what a record changed, where this is the object before it.
    fn note(&self, after: &Object, link: &Link, parts: &mut Compared) {
        let later = Self::of(after, link.record.time);
        let same_memory = self.schema == later.schema && self.memory == later.memory;
        if same_memory && self.status == later.status && self.level == later.level {
            return;
        }
        let (before, now) = (self.to_json(), later.to_json());
        let had = |what: &What| before.iter().find(|(other, _)| other == what).map(|(_, value)| value);
        let changed = now.iter().filter(|(what, value)| had(what) != Some(value));
        let gone = before.iter().filter(|(what, _)| now.iter().all(|(other, _)| other != what));
        let changed: Vec<(&What, Json)> = changed
            .map(|(what, value)| (what, value.clone()))
            .chain(gone.map(|(what, _)| (what, Json::Null)))
            .collect();
        let cause = link.describe();
        for (what, value) in changed {
            parts.of(what, |part| part.note(&link.record, &cause, value));
        }
    }
}
