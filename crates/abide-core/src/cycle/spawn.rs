//! Children: what a step asks for, and whether the parent may make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Child, Cycle, check_first_values, guard_env};
use crate::admission::{self, Denial, denial};
use crate::field::Slot;
use crate::guest::Behaviour;
use crate::policy::Policy;
use crate::record::{Code, Event, Genesis, Hash, Place, Reason, Spawned};
use crate::schema::{Micro, RuleIx, Schema, SpawnStep};
use crate::slope::Allotment;
use crate::template;
use crate::time::Span;
use crate::value::Value;

/// A child as a step asks for it.
pub(super) struct Wanted<'a> {
    pub(super) schema: &'a str,
    pub(super) values: BTreeMap<Arc<str>, Json>,
    pub(super) budget: Micro,
    pub(super) refill: Micro,
    pub(super) links: &'a [Arc<str>],
}

/// What a child that may be made begins with.
struct Made {
    schema: Arc<Schema>,
    behaviour: Option<Behaviour>,
    values: Vec<(Slot, Value)>,
    allotment: Option<Allotment>,
}

impl Cycle<'_> {
    /// The child that a declared step asks for.
    pub(super) fn wanted<'a>(&self, step: &'a SpawnStep) -> Result<Wanted<'a>, Box<Denial>> {
        let env = guard_env(&self.object.state, self.clock.time);
        let mut values = BTreeMap::new();
        for (name, template) in &step.values {
            let json = template::json(template, &env)
                .map_err(|(program, error)| admission::evaluation(&self.object.schema, program, &error))?;
            values.insert(Arc::clone(name), json);
        }
        let SpawnStep { schema, budget, refill, links, .. } = step;
        Ok(Wanted { schema, values, budget: *budget, refill: *refill, links })
    }

    /// Makes a child: its parent's record now, its own after the cycle.
    pub(super) fn spawn(&mut self, ix: RuleIx, step: u32, wanted: &Wanted<'_>) -> Result<(), Box<Denial>> {
        let Made { schema, behaviour, values, allotment } = self.prepare_child(wanted)?;
        let policy = child_policy(&self.object.policy, wanted.links);
        let spawned = Spawned { rule: ix, step, schema: Hash(schema.digest), behaviour, allotment };
        self.record(Event::Spawn(Box::new(spawned)));
        let record = self.object.head;
        let genesis = Genesis {
            host: Arc::clone(&self.frame.host),
            schema: Hash(schema.digest),
            behaviour,
            policy,
            parent: Some((Arc::clone(&self.object.id), record)),
            depth: self.object.depth + 1,
            allotment,
            values,
        };
        self.end.children.push(Child { id: record.of_child(step).to_string().into(), schema, genesis });
        Ok(())
    }

    fn prepare_child(&self, wanted: &Wanted<'_>) -> Result<Made, Box<Denial>> {
        let refuse =
            |value: String, message: String| Err(denial(Code::Spawn, Place::Object, Some(value), message));
        let limits = self.object.policy.limits;
        let Some((schema, behaviour)) = self.world.schemas.get(wanted.schema) else {
            return refuse(
                wanted.schema.to_owned(),
                format!("no schema `{}` is at hand for a child", wanted.schema),
            );
        };
        if behaviour.is_none() && !schema.actions().is_empty() {
            let message = format!("schema `{}` has acts, and no behaviour of it is at hand", wanted.schema);
            return refuse(wanted.schema.to_owned(), message);
        }
        if self.object.depth >= limits.depth {
            return refuse(
                self.object.depth.to_string(),
                format!("a child would be more than {} generations deep", limits.depth),
            );
        }
        if self.object.state.children.len() >= usize::try_from(limits.children).unwrap_or(usize::MAX) {
            return refuse(
                limits.children.to_string(),
                format!("{} children are alive already", limits.children),
            );
        }
        for link in wanted.links {
            if !self.object.policy.links.iter().any(|grant| grant.interface == *link) {
                return refuse(
                    link.to_string(),
                    format!("a child can't be given `{link}`, which its parent is not granted"),
                );
            }
        }
        let allotment = match self.object.state.bucket {
            Some(bucket) => match bucket.divide(wanted.budget, wanted.refill, self.clock.time) {
                Some((_, part)) => Some(part),
                None => {
                    return refuse(
                        admission::show_micro(wanted.budget),
                        "the trust slope has not that much budget and refill to give".to_owned(),
                    );
                }
            },
            None if wanted.budget == 0 => None,
            None => Some(Allotment {
                budget: wanted.budget,
                level: wanted.budget,
                refill: wanted.refill,
                per: Span::from_secs(3600),
            }),
        };
        let values = first_values(schema, &wanted.values);
        let checked =
            values.and_then(|values| check_first_values(schema, &values, self.clock.time).map(|()| values));
        let values = checked.map_err(|reason| {
            Box::new(Denial { reason: Reason { code: Code::Spawn, ..reason }, affordable_at: None })
        })?;
        Ok(Made { schema: Arc::clone(schema), behaviour: *behaviour, values, allotment })
    }
}

/// The first values of a child's memory from JSON.
fn first_values(schema: &Schema, given: &BTreeMap<Arc<str>, Json>) -> Result<Vec<(Slot, Value)>, Reason> {
    let mut values = Vec::with_capacity(given.len());
    for (name, json) in given {
        let place = Place::Field(Arc::clone(name));
        let Some((slot, field)) =
            schema.memory.slot(name).and_then(|slot| Some((slot, schema.memory.get(slot)?)))
        else {
            let message = format!("schema `{}` has no field `{name}`", schema.name);
            return Err(denial(Code::Bounds, place, None, message).reason);
        };
        match field.ty.value_from_json(json) {
            Ok(value) => values.push((slot, value)),
            Err(violation) => {
                let message = format!("field `{name}`: {}", violation.message);
                return Err(denial(Code::Bounds, place, Some(violation.value), message).reason);
            }
        }
    }
    values.sort_by_key(|(slot, _)| *slot);
    Ok(values)
}

/// The links of a child are among its parent's, and its operators and limits are its parent's.
fn child_policy(parent: &Policy, links: &[Arc<str>]) -> Policy {
    let links = parent.links.iter().filter(|grant| links.contains(&grant.interface)).cloned().collect();
    Policy { operators: parent.operators.clone(), links, limits: parent.limits }
}
