//! A lineage gone back over, and only as far as something is asked.

use abide_core::field::Slot;
use abide_core::object::Object;
use abide_core::record::Event;
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
    /// The fields that it set.
    set: Box<[Slot]>,
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
        match self.passed(seq)?.map(|passed| passed.pos) {
            Some(pos) => self.back.again(pos).map(Some),
            None => Ok(None),
        }
    }

    /// What gave a field the value that it had before record `end`; `thorough`, however far back that is.
    pub(super) fn setter(&mut self, slot: Slot, end: u64, thorough: bool) -> Result<Setter, HostError> {
        let mut seq = end;
        while let Some(before) = seq.checked_sub(1) {
            seq = before;
            let Some(passed) = self.passed(seq)? else { break };
            let (pos, sets) = (passed.pos, passed.set.contains(&slot));
            if sets {
                let link = self.back.again(pos)?;
                return Ok(Self::set_by(slot, link));
            }
            if !thorough && end - seq > SEARCH_MAX && self.is_unchanged_since(slot, end) {
                let value = self.object.state.memory.get(usize::from(slot.0)).cloned();
                return Ok(Setter::Before(end - seq, value.unwrap_or(Value::Null)));
            }
        }
        let default = self.object.schema.memory.get(slot).map_or(Value::Null, |field| field.ty.initial());
        let nullable = self.object.schema.memory.get(slot).is_some_and(|field| field.ty.nullable);
        Ok(if matches!(default, Value::Null) && !nullable { Setter::Gap } else { Setter::Default(default) })
    }

    fn set_by(slot: Slot, link: Link) -> Setter {
        let set = set_by(&link.0.event);
        let value = set.iter().find(|(set, _)| *set == slot).map_or(Value::Null, |(_, value)| value.clone());
        if link.0.seq == 0 {
            Setter::Genesis(Box::new(link), value)
        } else {
            Setter::Record(Box::new(link), value)
        }
    }

    /// Whether no record from `seq` on set the field. All of them were gone past.
    fn is_unchanged_since(&self, slot: Slot, seq: u64) -> bool {
        let since = usize::try_from(self.object.length.saturating_sub(seq)).unwrap_or(usize::MAX);
        !self.passed.iter().take(since).any(|passed| passed.set.contains(&slot))
    }

    fn passed(&mut self, seq: u64) -> Result<Option<&Passed>, HostError> {
        let Some(index) = self.object.length.checked_sub(seq + 1).and_then(|n| usize::try_from(n).ok())
        else {
            return Ok(None);
        };
        while self.passed.len() <= index {
            let Some((pos, link)) = self.back.next_placed() else { return Ok(None) };
            let set = set_by(&link?.0.event).iter().map(|(slot, _)| *slot).collect();
            self.passed.push(Passed { pos, set });
        }
        Ok(self.passed.get(index))
    }
}

fn set_by(event: &Event) -> &[(Slot, Value)] {
    match event {
        Event::Mutation(mutated) => &mutated.changes,
        Event::Genesis(genesis) => &genesis.values,
        _ => &[],
    }
}
