//! The first memory of an object under other rules: what the upgrades that were recorded, and then those rules, make of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use abide_core::object::Object;
use abide_core::record::{Event, Genesis, Reason};
use abide_core::schema::Schema;
use abide_core::state::State;
use abide_core::time::Timestamp;
use abide_core::transition::{Transition, back};
use abide_core::value::Value;

use crate::host::HostError;
use crate::view::{Lineage, View};

/// A memory, and the schema that it is under.
type Under = (Arc<Schema>, Vec<Value>);

/// The first memory under the schema `to`: by way of each upgrade that was recorded, up to where that schema was in force last or
/// can take over; else straight from the schema of the genesis. `None` where neither leads there.
pub(super) fn first_memory(
    view: &View,
    live: &Object,
    (from, genesis, at): (&Arc<Schema>, &Genesis, Timestamp),
    to: &Arc<Schema>,
    remarks: &mut BTreeSet<String>,
) -> Result<Option<Vec<Value>>, HostError> {
    let begun: Under = (Arc::clone(from), State::new(from, genesis, at).memory);
    let mut on_the_way = (begun.0.digest == to.digest).then(|| begun.1.clone());
    let mut now = Some(begun.clone());
    let mut before: Option<Under> = None;
    for link in view.records(Lineage::of(live))? {
        let link = link?;
        let (Event::Upgrade(upgrade), Some(after)) = (&link.record.event, link.schema) else { continue };
        if upgrade.schema.is_none() {
            continue;
        }
        let next = now.as_ref().and_then(|now| match (upgrade.reverts, &before) {
            (Some(_), Some((then, kept))) => Some((after, back(then, kept, &now.0, &now.1))),
            (Some(_), None) => None,
            (None, _) => taken_over(now, &after, at, remarks).map(|memory| (after, memory)),
        });
        before = now.filter(|_| upgrade.reverts.is_none());
        if let Some((_, memory)) = next.as_ref().filter(|(schema, _)| schema.digest == to.digest) {
            on_the_way = Some(memory.clone());
        }
        now = next;
    }
    if on_the_way.is_some() {
        return Ok(on_the_way);
    }
    let last = now.and_then(|now| taken_over(&now, to, at, remarks));
    Ok(last.or_else(|| taken_over(&begun, to, at, remarks)))
}

/// A memory as another schema takes it over.
fn taken_over(
    (from, memory): &Under,
    to: &Arc<Schema>,
    at: Timestamp,
    remarks: &mut BTreeSet<String>,
) -> Option<Vec<Value>> {
    let transition = Transition::new(from, to).ok()?;
    let value = |value: Result<Value, Reason>| {
        // What it is computed of may have had no value yet.
        value.unwrap_or_else(|reason| {
            remarks.insert(format!("a first value is left out: {}", reason.message));
            Value::Null
        })
    };
    Some(transition.values(memory, at).map(value).collect())
}
