//! How a state stands after another version of the schema, or another behaviour, took force.

use std::sync::Arc;

use super::{RuleMemory, State, Status, bucket, numeric};
use crate::field::Field;
use crate::guest::Behaviour;
use crate::record::{Record, Upgrade};
use crate::schema::{Drift, Micro, MutationIx, Refill, Rule, RuleIx, Schema};
use crate::slope::{Allotment, Bucket};
use crate::time::Timestamp;
use crate::transition::{counterpart, source};
use crate::value::Value;

/// What was in force before the last upgrade, for its reversal.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous {
    /// The number of the upgrade's record.
    pub seq: u64,
    /// The schema and what was under it, if the upgrade changed them.
    pub schema: Option<Before>,
    /// The behaviour.
    pub behaviour: Option<Behaviour>,
}

/// A schema that was in force, and what was under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// The schema.
    pub schema: Arc<Schema>,
    /// The memory.
    pub memory: Vec<Value>,
    /// What the fields under `drift` were measured from.
    pub drift_from: Vec<f64>,
}

/// What a slope is after another schema took force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebased {
    /// The bucket.
    pub bucket: Option<Bucket>,
    /// What was spent that the bucket has no room for.
    pub owed: Micro,
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
            let drifts = self.drifts(was, is, &memory, upgrade.reverts.is_some());
            let drift_from = drifts.map(|(.., from)| from).collect();
            let drift_from = std::mem::replace(&mut self.drift_from, drift_from);
            if let Ok(Rebased { bucket, owed }) = self.rebased(was, is, allotment, record.time) {
                (self.bucket, self.owed) = (bucket, owed);
            }
            let before = std::mem::replace(&mut self.memory, memory);
            self.take_over(was, is, &before, record.time);
            kept = Some(Before { schema: Arc::clone(was), memory: before, drift_from });
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
                    let Some(old) = was.memory.slot(&field.name) else { return true };
                    let values = before.get(usize::from(old.0)).zip(self.memory.get(usize::from(slot.0)));
                    let Some((had, has)) = values else { return true };
                    let ty = was.memory.get(old).map(|old| &old.ty);
                    // An integer that became a number has no other value.
                    had != has && ty.is_none_or(|ty| field.ty.convert(ty, had).ok().as_ref() != Some(has))
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

    /// The slope under another schema, at a time: what was spent stays spent, also what the new bucket has no room for, and what
    /// was given to children and has not come back stays given.
    ///
    /// # Errors
    /// When more was given than there would be, or of a refill that would have another period.
    pub fn rebased(
        &self,
        was: &Schema,
        is: &Schema,
        allotment: Option<&Allotment>,
        at: Timestamp,
    ) -> Result<Rebased, RebaseError> {
        let (slope_was, slope_is) = (&was.trust_slope, &is.trust_slope);
        if slope_was.budget == slope_is.budget && slope_was.refill == slope_is.refill {
            return Ok(Rebased { bucket: self.bucket, owed: self.owed });
        }
        // What there is, debts off, in relation to what it began with.
        let begun = bucket(was, allotment, at).map_or(0, |whole| i128::from(whole.level));
        let level = self.bucket.map_or(begun, |old| i128::from(old.at(at).level)) - i128::from(self.owed);
        let owed = |level: i128| Micro::try_from(-level).unwrap_or(0);
        let Some(whole) = bucket(is, allotment, at) else {
            return Ok(Rebased { bucket: None, owed: owed(level - begun) });
        };
        let level = level - begun + i128::from(whole.level);
        let of = |whole: Bucket| {
            let within = Micro::try_from(level.max(0)).unwrap_or(Micro::MAX).min(whole.capacity);
            Rebased { bucket: Some(Bucket { level: within, ..whole }), owed: owed(level) }
        };
        let refuse = |message| Err(RebaseError { message });
        let Some(lent) = self.lent(was, allotment) else {
            return match self.children.values().any(|part| part.budget > 0 || part.refill > 0) {
                false => Ok(of(whole)),
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
            Some(Refill { per, .. }) if per != lent.per => {
                return refuse(
                    "a part of the refill was given to children, and has not come back: its period must stay",
                );
            }
            refill => {
                let left = refill.and_then(|Refill { amount, per }| {
                    Some(Refill { amount: amount.checked_sub(lent.refill)?, per })
                });
                if left.is_none() {
                    return refuse(
                        "more of the refill was given to children, and has not come back, than there would be",
                    );
                }
                left
            }
        };
        Ok(of(Bucket::full(capacity, refill, at)))
    }

    /// The fields that drift under another schema: each with its value in a memory of that schema, and what it is measured
    /// from. That stays where operators left it, unless the schema states another value; a reversal brings back what it was.
    pub fn drifts<'a>(
        &'a self,
        was: &'a Schema,
        is: &'a Schema,
        memory: &'a [Value],
        reverts: bool,
    ) -> impl Iterator<Item = (&'a Field, f64, &'a Drift, f64)> {
        let kept = self.previous.as_deref().filter(|_| reverts).and_then(|previous| previous.schema.as_ref());
        is.trust_slope.drift.iter().zip(0..).filter_map(move |(drift, nth): (_, usize)| {
            let field = is.memory.get(drift.field)?;
            let old = if reverts { counterpart(is, drift.field, was) } else { source(was, is, drift.field) };
            let stayed = was
                .trust_slope
                .drift
                .iter()
                .zip(&self.drift_from)
                .find(|(had, _)| Some(had.field) == old && had.from.to_bits() == drift.from.to_bits());
            let came_back = || kept.and_then(|kept| kept.drift_from.get(nth));
            let from = stayed.map(|(_, from)| from).or_else(came_back).copied().unwrap_or(drift.from);
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
