//! How a state stands after another version of the schema, or another behaviour, took force.

use std::sync::Arc;

use super::{RuleMemory, State, Status, bucket, numeric};
use crate::field::Field;
use crate::guest::Behaviour;
use crate::record::{Record, Upgrade};
use crate::schema::{Drift, MutationIx, Refill, Rule, RuleIx, Schema};
use crate::slope::{Allotment, Bucket};
use crate::time::Timestamp;
use crate::value::Value;

/// What was in force before the last upgrade, for its reversal.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous {
    /// The number of the upgrade's record.
    pub seq: u64,
    /// The schema and the memory under it, if the upgrade changed them.
    pub schema: Option<(Arc<Schema>, Vec<Value>)>,
    /// The behaviour.
    pub behaviour: Option<Behaviour>,
}

/// Why a slope cannot be reckoned anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebaseError {
    /// For people.
    pub message: &'static str,
}

impl State {
    /// Folds an upgrade: `was` and `is` are the schemas in force before and after it, which may be one.
    pub(crate) fn upgrade(
        &mut self,
        (was, behaviour): (&Arc<Schema>, Option<Behaviour>),
        is: &Schema,
        record: &Record,
        upgrade: &Upgrade,
        allotment: Option<&Allotment>,
    ) {
        self.count_operator(&upgrade.signature);
        let mut kept = None;
        if let Some(change) = &upgrade.schema {
            let mut memory = vec![Value::Null; is.memory.fields.len()];
            for (slot, value) in &change.memory {
                super::put(&mut memory, *slot, value.clone());
            }
            let drift_from = self.drifts(was, is, &memory).map(|(.., from)| from);
            self.drift_from = drift_from.collect();
            self.bucket = self.rebased(was, is, allotment, record.time).unwrap_or(self.bucket);
            let before = std::mem::replace(&mut self.memory, memory);
            self.take_over(was, is, &before, record.time);
            kept = Some((Arc::clone(was), before));
        }
        let previous = Previous { seq: record.seq, schema: kept, behaviour };
        self.previous = upgrade.reverts.is_none().then(|| Box::new(previous));
    }

    /// What of the state is by names of the schema: what has the same name stays.
    fn take_over(&mut self, was: &Schema, is: &Schema, before: &[Value], at: Timestamp) {
        let rule_of = |ix: RuleIx| {
            let rule = was.rules.get(usize::from(ix.0))?;
            is.rule(&rule.name)
        };
        let rules = is.rules.iter().map(|rule| {
            let old = was.rule(&rule.name).map(|ix| usize::from(ix.0));
            let old = old.and_then(|ix| was.rules.get(ix).zip(self.rules.get(ix)));
            old.map_or_else(RuleMemory::default, |(old, memory)| {
                let reads_new = rule.when.reads().iter().any(|slot| {
                    let Some(field) = is.memory.get(slot) else { return true };
                    let had = was.memory.slot(&field.name).and_then(|slot| before.get(usize::from(slot.0)));
                    had != self.memory.get(usize::from(slot.0))
                });
                memory.taken_over(old, rule, reads_new, at)
            })
        });
        self.rules = rules.collect();
        self.sleep = self.sleep.and_then(|(rule, until)| Some((rule_of(rule)?, until)));
        if self.status == Status::Sleeping && self.sleep.is_none() {
            self.status = Status::Active;
        }
        // The rules of a kind of denial may be others: the first of each is recorded in full again.
        self.denied.clear();
        if is.trust_slope.quarantine.is_none() {
            self.own_denials.clear();
        }
        let mutation_of = |ix: MutationIx| is.mutation(&was.mutations.get(usize::from(ix.0))?.name);
        self.effects.retain(|_, effect| match mutation_of(effect.mutation) {
            Some(ix) => {
                effect.mutation = ix;
                true
            }
            None => false,
        });
        self.complete(is);
    }

    /// The bucket under another schema, at a time: what was spent stays spent, and what was given to children and has not come
    /// back stays given.
    ///
    /// # Errors
    /// When more was given than there would be, or of a refill that would have another period.
    pub fn rebased(
        &self,
        was: &Schema,
        is: &Schema,
        allotment: Option<&Allotment>,
        at: Timestamp,
    ) -> Result<Option<Bucket>, RebaseError> {
        if was.trust_slope.budget == is.trust_slope.budget && was.trust_slope.refill == is.trust_slope.refill
        {
            return Ok(self.bucket);
        }
        let Some(whole) = bucket(is, allotment, at) else { return Ok(None) };
        let refuse = |message| Err(RebaseError { message });
        let (Some(old), Some(lent)) = (self.bucket.map(|bucket| bucket.at(at)), self.lent(was, allotment))
        else {
            return match self.children.values().any(|part| part.budget > 0 || part.refill > 0) {
                false => Ok(Some(whole)),
                true => refuse(
                    "children that live have parts of a slope without a bound; give it one when they have ended",
                ),
            };
        };
        let Some(capacity) = whole.capacity.checked_sub(lent.budget) else {
            return refuse(
                "more of the budget was given to children, and has not come back, than there would be",
            );
        };
        let refill = match whole.refill {
            refill if lent.refill == 0 => refill,
            Some(Refill { amount, per }) if per == lent.per => match amount.checked_sub(lent.refill) {
                Some(amount) => Some(Refill { amount, per }),
                None => {
                    return refuse(
                        "more of the refill was given to children, and has not come back, than there would be",
                    );
                }
            },
            _ => {
                return refuse(
                    "a part of the refill was given to children, and has not come back: its period must stay",
                );
            }
        };
        let spent = old.capacity.saturating_sub(old.level);
        Ok(Some(Bucket { level: capacity.saturating_sub(spent), ..Bucket::full(capacity, refill, at) }))
    }

    /// The fields that drift under another schema: each with its value in a memory of that schema, and what it is measured
    /// from. That stays where operators left it, unless the schema states another value.
    pub fn drifts<'a>(
        &'a self,
        was: &'a Schema,
        is: &'a Schema,
        memory: &'a [Value],
    ) -> impl Iterator<Item = (&'a Field, f64, &'a Drift, f64)> {
        is.trust_slope.drift.iter().filter_map(move |drift| {
            let field = is.memory.get(drift.field)?;
            let stated = was.trust_slope.drift.iter().zip(&self.drift_from).find(|(old, _)| {
                was.memory.get(old.field).is_some_and(|old| old.name == field.name)
                    && old.from.to_bits() == drift.from.to_bits()
            });
            let from = stated.map_or(drift.from, |(_, from)| *from);
            let value = memory.get(usize::from(drift.field.0)).and_then(numeric).unwrap_or(from);
            Some((field, value, drift, from))
        })
    }
}

impl RuleMemory {
    /// What a rule remembers of the one that had its name.
    fn taken_over(&self, was: &Rule, is: &Rule, reads_new: bool, at: Timestamp) -> Self {
        let same = was.when.source() == is.when.source();
        let held = same && was.held_for.is_some() && is.held_for.is_some();
        Self {
            fresh: self.fresh || !same || reads_new,
            held_since: self.held_since.filter(|_| held),
            // The slope may pay for more now: what was denied for want of it is tried again.
            affordable_at: self.affordable_at.map(|due| due.min(at)),
            ..self.clone()
        }
    }
}
