//! A lineage gone back over, and only as far as something is asked.

use std::sync::Arc;

use abide_core::field::Slot;
use abide_core::object::Object;
use abide_core::record::Event;
use abide_core::schema::Schema;
use abide_core::value::Value;
use abide_store::RecordPos;

use crate::host::HostError;
use crate::view::{Backwards, Lineage, Link, View};

/// How far it is gone back for a field that is only read, when its value is known without.
const SEARCH_MAX: u64 = 50_000;

/// The records of an object that were gone past, the last first.
pub(super) struct Trail<'a> {
    object: &'a Object,
    back: Backwards<'a>,
    passed: Vec<Passed>,
}

/// What is kept of a record that was gone past: most are never asked for.
struct Passed {
    pos: RecordPos,
    /// The schema in force after it.
    schema: Option<Arc<Schema>>,
    /// The fields that it set; `None`: all of them, since it put another schema in force.
    set: Option<Box<[Slot]>>,
}

impl Passed {
    fn sets(&self, slot: Slot) -> bool {
        self.set.as_ref().is_none_or(|set| set.contains(&slot))
    }
}

/// What gave a field its value.
pub(super) enum Setter {
    /// A record.
    Record(Box<Link>, Value),
    /// The genesis record, which gives it.
    Genesis(Box<Link>, Value),
    /// The schema: no record did.
    Default(Value),
    /// Nothing yet.
    Gap,
    /// A record before all that were gone past, so many.
    Before(u64, Value),
}

impl Setter {
    /// The value.
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Record(_, value)
            | Self::Genesis(_, value)
            | Self::Default(value)
            | Self::Before(_, value) => value,
            Self::Gap => &Value::Null,
        }
    }
}

impl<'a> Trail<'a> {
    pub(super) fn new(view: &'a View, object: &'a Object) -> Result<Self, HostError> {
        Ok(Self { object, back: view.backwards(Lineage::of(object))?, passed: Vec::new() })
    }

    /// The record of that number.
    pub(super) fn record(&mut self, seq: u64) -> Result<Option<Link>, HostError> {
        match self.passed(seq)?.map(|passed| (passed.pos, passed.schema.clone())) {
            Some((pos, schema)) => self.back.again(pos, schema).map(Some),
            None => Ok(None),
        }
    }

    /// What gave a field the value that it had before record `end`; `thorough`, however far back that is. The field is one of
    /// the schema that was in force before that record.
    pub(super) fn setter(&mut self, slot: Slot, end: u64, thorough: bool) -> Result<Setter, HostError> {
        let mut seq = end;
        let mut schema = Arc::clone(&self.object.schema);
        while let Some(before) = seq.checked_sub(1) {
            seq = before;
            let Some(passed) = self.passed(seq)? else { break };
            let (pos, sets) = (passed.pos, passed.sets(slot));
            schema = passed.schema.clone().unwrap_or(schema);
            if sets {
                let link = self.back.again(pos, Some(schema))?;
                return Ok(Self::set_by(slot, link));
            }
            if !thorough && end - seq > SEARCH_MAX && self.is_unchanged_since(slot, end) {
                let value = self.object.state.memory.get(usize::from(slot.0)).cloned();
                return Ok(Setter::Before(end - seq, value.unwrap_or(Value::Null)));
            }
        }
        let default = schema.memory.get(slot).map_or(Value::Null, |field| field.ty.initial());
        let nullable = schema.memory.get(slot).is_some_and(|field| field.ty.nullable);
        Ok(if matches!(default, Value::Null) && !nullable { Setter::Gap } else { Setter::Default(default) })
    }

    /// The schema in force before a record, which may be the next one to come.
    pub(super) fn schema_before(&mut self, seq: u64) -> Result<Arc<Schema>, HostError> {
        let passed = match seq.checked_sub(1) {
            Some(before) => self.passed(before)?.and_then(|passed| passed.schema.clone()),
            None => None,
        };
        Ok(passed.unwrap_or_else(|| Arc::clone(&self.object.schema)))
    }

    fn set_by(slot: Slot, link: Link) -> Setter {
        let set = set_by(&link.record.event);
        let value = set.iter().find(|(set, _)| *set == slot).map_or(Value::Null, |(_, value)| value.clone());
        if link.record.seq == 0 {
            Setter::Genesis(Box::new(link), value)
        } else {
            Setter::Record(Box::new(link), value)
        }
    }

    /// Whether no record from `seq` on set the field. All of them were gone past.
    fn is_unchanged_since(&self, slot: Slot, seq: u64) -> bool {
        let since = usize::try_from(self.object.length.saturating_sub(seq)).unwrap_or(usize::MAX);
        !self.passed.iter().take(since).any(|passed| passed.sets(slot))
    }

    fn passed(&mut self, seq: u64) -> Result<Option<&Passed>, HostError> {
        let Some(index) = self.object.length.checked_sub(seq + 1).and_then(|n| usize::try_from(n).ok())
        else {
            return Ok(None);
        };
        while self.passed.len() <= index {
            let Some((pos, link)) = self.back.next_placed() else { return Ok(None) };
            let Link { record, schema, .. } = link?;
            let is_upgrade = matches!(&record.event, Event::Upgrade(upgrade) if upgrade.schema.is_some());
            let slots = || set_by(&record.event).iter().map(|(slot, _)| *slot).collect();
            let set = (!is_upgrade).then(slots);
            self.passed.push(Passed { pos, schema, set });
        }
        Ok(self.passed.get(index))
    }
}

fn set_by(event: &Event) -> &[(Slot, Value)] {
    match event {
        Event::Mutation(mutated) => &mutated.changes,
        Event::Genesis(genesis) => &genesis.values,
        Event::Upgrade(upgrade) => upgrade.schema.as_ref().map_or(&[], |change| &change.memory),
        _ => &[],
    }
}
