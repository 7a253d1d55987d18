//! Decisions: what of a lineage an object, or its schema, decided; and two rows of them held against each other.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use abide_core::clock::Clock;
use abide_core::record::{Caller, Event, Hash, Record};
use abide_core::schema::Schema;
use serde_json::{Map, Value as Json, json};

use super::{Backtested, Counts, DIFFERENCES_MAX, Difference};
use crate::scenario::{line, same};

/// Something that was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its record's number, in the lineage that it is of.
    pub seq: u64,
    /// The mutation, `denied`, or the kind of the record.
    pub what: String,
    /// What makes it what it is: arguments, parts of a denial.
    pub parts: Map<String, Json>,
    /// The rule behind it, or who asked. It is told, and not compared.
    pub by: String,
    pub(super) clock: Clock,
}

impl Decision {
    /// The decision that a record is; `None` of what came from outside, and of what is no decision.
    pub(super) fn of(
        record: &Record,
        hash: Hash,
        schema: &Schema,
        schemas: &BTreeMap<Hash, Arc<Schema>>,
    ) -> Option<Self> {
        let is_own = |caller: &Caller| matches!(caller, Caller::Rule | Caller::SafeState | Caller::Behaviour);
        let names: &[&str] = match &record.event {
            Event::Mutation(mutated) if !is_own(&mutated.caller) => return None,
            Event::Mutation(_) => &[],
            Event::Denial(_) => &["mutation"],
            Event::Sleep { .. } => &["until"],
            Event::Retry { .. } => &["attempt", "due"],
            Event::Spawn(_) | Event::Terminate(_) | Event::Wake | Event::Quarantine => &[],
            _ => return None,
        };
        let Json::Object(json) = record.to_json(hash, Some(schema)) else { return None };
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let object = |name: &str| json.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
        let mut parts: Map<String, Json> = match &record.event {
            Event::Mutation(_) => object("args"),
            Event::Denial(_) => object("reason").into_iter().filter(|(name, _)| name != "message").collect(),
            Event::Spawn(spawned) => {
                let name = schemas.get(&spawned.schema).map_or("?", |schema| &schema.name);
                Map::from_iter([("schema".to_owned(), name.into())])
            }
            _ => Map::new(),
        };
        let named = names.iter().filter_map(|name| Some(((*name).to_owned(), json.get(*name)?.clone())));
        parts.extend(named.filter(|(_, part)| !part.is_null()));
        let what = match &record.event {
            Event::Mutation(_) => text("mutation"),
            Event::Denial(_) => "denied".to_owned(),
            _ => text("kind"),
        };
        let rule = text("rule");
        let by = match &record.event {
            _ if !rule.is_empty() => format!("rule {rule}"),
            Event::Denial(denied) => [denied.caller.kind().name(), denied.caller.name()].join(" "),
            Event::Mutation(mutated) => mutated.caller.name().to_owned(),
            _ => String::new(),
        };
        let clock = Clock { tick: record.tick, time: record.time };
        Some(Self { seq: record.seq, what, parts, by, clock })
    }

    /// In words, on a line.
    #[must_use]
    pub fn line(&self) -> String {
        let line = line(&self.what, &self.parts);
        if self.by.is_empty() { line } else { format!("{line} ({})", self.by) }
    }

    /// `{record, what, parts, by}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({ "record": self.seq, "what": self.what, "parts": self.parts, "by": self.by })
    }

    fn is(&self, other: &Self) -> bool {
        self.what == other.what
            && self.parts.len() == other.parts.len()
            && self
                .parts
                .iter()
                .all(|(name, part)| other.parts.get(name).is_some_and(|other| same(part, other)))
    }
}

/// Holds two rows of decisions, each in the order of its ticks, against each other, moment by moment.
pub(super) fn compare(out: &mut Backtested, recorded: Vec<Decision>, new: Vec<Decision>) {
    let (mut recorded, mut new) = (recorded.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let next = recorded.peek().into_iter().chain(new.peek()).map(|decision| decision.clock).min();
        let Some(clock) = next else { return };
        moment(out, clock, take(&mut recorded, clock), take(&mut new, clock));
    }
}

fn take(from: &mut Peekable<std::vec::IntoIter<Decision>>, clock: Clock) -> Vec<Decision> {
    std::iter::from_fn(|| from.next_if(|decision| decision.clock == clock)).collect()
}

fn moment(out: &mut Backtested, clock: Clock, recorded: Vec<Decision>, mut new: Vec<Decision>) {
    fn count(out: &mut Backtested, what: &str, add: impl Fn(&mut Counts)) {
        add(&mut out.counts);
        add(out.kinds.entry(what.to_owned()).or_default());
    }
    for decision in &new {
        count(out, &decision.what, |counts| counts.new += 1);
    }
    let mut only_recorded = Vec::new();
    for decision in recorded {
        count(out, &decision.what, |counts| counts.recorded += 1);
        match new.iter().position(|other| other.is(&decision)) {
            Some(found) => {
                new.remove(found);
                count(out, &decision.what, |counts| counts.same += 1);
            }
            None => only_recorded.push(decision),
        }
    }
    if only_recorded.is_empty() && new.is_empty() {
        return;
    }
    if out.differences.len() < DIFFERENCES_MAX {
        out.differences.push(Difference { time: clock.time, recorded: only_recorded, new });
    } else {
        out.differences_more += 1;
    }
}
