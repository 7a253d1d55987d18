//! The law that every record must keep, whoever wrote it: what the schema admits of the state before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::admission::{OperatorAct, Request, Subject, admit};
use abide_core::cycle::check_first_values;
use abide_core::object::Object;
use abide_core::policy::Policy;
use abide_core::record::{Caller, Event, Genesis, Hash, Mutated, Record, Signature, Spawned};
use abide_core::schema::{RuleIx, Schema, Step};
use abide_core::slope::Allotment;
use abide_core::state::Status;
use abide_core::time::Timestamp;

use crate::history::spawn_problem;
use crate::transitions::{Transitions, in_words};

/// In what a record breaks the law, held against the object as it stood before; `after` is the schema in force after it.
pub(super) fn breach(
    object: &Object,
    record: &Record,
    after: &Arc<Schema>,
    schemas: &BTreeMap<Hash, Arc<Schema>>,
    transitions: &mut Transitions,
) -> Option<String> {
    if record.force != object.force {
        return Some(format!(
            "it names record {} as what put its schema in force, which is record {}",
            record.force, object.force
        ));
    }
    let own = matches!(
        &record.event,
        Event::Hold(_)
            | Event::Idle(_)
            | Event::Spawn(_)
            | Event::Sleep { .. }
            | Event::Wake
            | Event::Retry { .. }
            | Event::Quarantine
            | Event::Terminate(_)
    );
    if own && object.state.status.is_closed() {
        return Some("it was sealed or had ended before".to_owned());
    }
    let step = |rule: RuleIx| object.schema.rules.get(usize::from(rule.0)).map(|rule| &rule.then);
    let is_asked = match &record.event {
        Event::Spawn(spawned) => matches!(step(spawned.rule), Some(Step::Spawn(_) | Step::Act(_))),
        Event::Sleep { rule, .. } => matches!(step(*rule), Some(Step::Sleep(_) | Step::Act(_))),
        Event::Retry { rule, .. } => matches!(step(*rule), Some(Step::Retry | Step::Act(_))),
        Event::Terminate(rule) => matches!(step(*rule), Some(Step::Terminate | Step::Act(_))),
        _ => true,
    };
    if !is_asked {
        return Some("the rule that it names does not ask for that".to_owned());
    }
    match &record.event {
        Event::Mutation(mutated) => mutation_breach(object, mutated, record.time),
        Event::Release(signature) => operator_breach(object, &OperatorAct::Release, signature, record),
        Event::Seal(signature) => operator_breach(object, &OperatorAct::Seal, signature, record),
        Event::Upgrade(upgrade) => match transitions.act(upgrade, object, after) {
            Ok(act) => operator_breach(object, &act, &upgrade.signature, record),
            Err(what) => Some(format!("it cannot have been admitted: {what}")),
        },
        Event::Spawn(spawned) => spawn_breach(object, spawned, record.time, schemas),
        Event::Outcome(outcome) if !object.state.effects.contains_key(&outcome.of) => {
            Some(format!("record {} has no effect that waits for an outcome", outcome.of))
        }
        Event::ChildEnded { child, part } => match object.state.children.get(child) {
            None => Some(format!("`{child}` is no child of it that is alive")),
            Some(given) if part.budget > given.budget || part.refill > given.refill => {
                Some(format!("`{child}` leaves more of the slope than it was given"))
            }
            Some(_) => None,
        },
        Event::Quarantine => quarantine_breach(object, record.time),
        Event::Wake if object.state.status != Status::Sleeping => Some("it did not sleep".to_owned()),
        Event::Clock { signature: Some(_), .. } => {
            Some("the signature of a reset stands in the host's lineage alone".to_owned())
        }
        Event::Genesis(_) | Event::Host(_) | Event::Schema(_) | Event::Progress(_) => {
            Some("such a record does not stand there in an object's lineage".to_owned())
        }
        _ => None,
    }
}

/// A mutation is admitted again: the same must come of it.
fn mutation_breach(object: &Object, mutated: &Mutated, now: Timestamp) -> Option<String> {
    if let Some(what) = rule_breach(&object.schema, mutated) {
        return Some(what);
    }
    let request =
        Request { mutation: mutated.mutation, args: mutated.args.clone(), caller: mutated.caller.clone() };
    let admitted = match admit(subject(object), &request, now) {
        Ok(admitted) => admitted,
        Err(denial) => return Some(format!("it cannot have been admitted: {}", denial.reason.message)),
    };
    let parts = [
        ("arguments", admitted.args == mutated.args),
        ("changes", admitted.changes == mutated.changes),
        ("cost", admitted.cost == mutated.cost),
        ("effect", admitted.effect == mutated.effect),
    ];
    let differing: Vec<&str> = parts.iter().filter(|(_, same)| !same).map(|(what, _)| *what).collect();
    (!differing.is_empty()).then(|| format!("admitted again, it has other {}", differing.join(", ")))
}

fn rule_breach(schema: &Schema, mutated: &Mutated) -> Option<String> {
    let step = mutated.rule.map(|ix| schema.rules.get(usize::from(ix.0)).map(|rule| &rule.then));
    let ordered = match (&mutated.caller, step) {
        (Caller::Rule, Some(Some(Step::Mutate(step)))) => step.mutation == mutated.mutation,
        (Caller::Behaviour, Some(Some(Step::Act(_)))) => mutated.step.is_some(),
        (Caller::SafeState, None) => {
            schema.safe_state.as_ref().is_some_and(|step| step.mutation == mutated.mutation)
        }
        (Caller::Rule | Caller::Behaviour | Caller::SafeState, _) => false,
        (_, rule) => rule.is_none(),
    };
    let stepped = mutated.step.is_none() || mutated.caller == Caller::Behaviour;
    (!ordered || !stepped).then(|| "the rule that it names does not ask for that".to_owned())
}

/// An operator's act is admitted again: the same must come of it.
fn operator_breach(
    object: &Object,
    act: &OperatorAct,
    signature: &Signature,
    record: &Record,
) -> Option<String> {
    match act.admit(object, signature, record.time) {
        Ok(granted) => {
            (granted.event != record.event).then(|| "admitted again, it comes to another memory".to_owned())
        }
        Err(denials) => Some(format!("it cannot have been admitted: {}", in_words(&denials))),
    }
}

fn quarantine_breach(object: &Object, now: Timestamp) -> Option<String> {
    let Some(quarantine) = object.schema.trust_slope.quarantine else {
        return Some("its schema knows no quarantine".to_owned());
    };
    let recent =
        object.state.own_denials.iter().filter(|at| at.saturating_add(quarantine.within) > now).count();
    let enough = u32::try_from(recent).unwrap_or(u32::MAX) >= quarantine.denials;
    (!enough).then(|| format!("{recent} denials of its own doing do not bring it into quarantine"))
}

fn spawn_breach(
    object: &Object,
    spawned: &Spawned,
    now: Timestamp,
    schemas: &BTreeMap<Hash, Arc<Schema>>,
) -> Option<String> {
    if !schemas.contains_key(&spawned.schema) {
        return Some("the schema of its child is not in the log".to_owned());
    }
    if object.depth >= object.policy.limits.depth {
        return Some(format!("its child would be more than {} generations deep", object.policy.limits.depth));
    }
    let bucket = object.state.bucket?;
    let part =
        spawned.allotment.and_then(|part| bucket.divide(part.budget, part.refill, now).map(|(_, part)| part));
    (part.is_none() || part != spawned.allotment)
        .then(|| "it gives its child what the slope has not to give".to_owned())
}

/// In what a genesis breaks the law by itself.
pub(super) fn genesis_breach(record: &Record, genesis: &Genesis, schema: &Schema) -> Option<String> {
    if record.seq != 0 || record.force != 0 {
        return Some("a genesis is record 0".to_owned());
    }
    let checked = check_first_values(schema, &genesis.values, record.time);
    checked.err().map(|reason| format!("it cannot have begun so: {}", reason.message))
}

/// What a tick does to families: the spawn records, whose children begin in the same tick, and the children that end, of
/// which their parents tell in it.
#[derive(Debug, Default)]
pub(super) struct Family {
    spawned: BTreeMap<Hash, (Arc<str>, Arc<Policy>, u32, Spawned)>,
    ended: BTreeSet<Arc<str>>,
}

impl Family {
    /// Takes note of a spawn record.
    pub(super) fn spawn(&mut self, parent: &Object, record: Hash, spawned: &Spawned) {
        let parent = (Arc::clone(&parent.id), Arc::clone(&parent.policy), parent.depth, spawned.clone());
        self.spawned.insert(record, parent);
    }

    /// In what a genesis is not what a parent ordered.
    pub(super) fn child_breach(&mut self, record: &Record, genesis: &Genesis) -> Option<String> {
        let Some((parent, spawn)) = &genesis.parent else {
            return (genesis.depth != 0 || genesis.allotment.is_some())
                .then(|| "it has no parent, but a depth or a part of a slope".to_owned());
        };
        let Some((id, policy, depth, spawned)) = self.spawned.remove(spawn).filter(|(id, ..)| id == parent)
        else {
            return Some(format!("its parent `{parent}` has no record {spawn} in this tick that makes it"));
        };
        if genesis.depth != depth + 1 {
            return Some(format!("its depth is not one more than that of `{id}`"));
        }
        if let Some(link) = genesis.policy.links.iter().find(|link| !policy.links.contains(link)) {
            return Some(format!("it is granted `{}`, which its parent is not", link.interface));
        }
        spawn_problem(&record.object, genesis, spawn.to_owned(), &spawned)
    }

    /// A tick ends: what it spawned has begun. Gives the children that have not.
    pub(super) fn end_tick(&mut self) -> Vec<(Arc<str>, Hash)> {
        std::mem::take(&mut self.spawned).into_iter().map(|(record, (parent, ..))| (parent, record)).collect()
    }

    /// Takes note of the end of an object.
    pub(super) fn end(&mut self, object: &Object) {
        if object.parent.is_some() {
            self.ended.insert(Arc::clone(&object.id));
        }
    }

    /// In what the end of a child is not what its own lineage comes to.
    pub(super) fn end_breach(
        &mut self,
        child: Option<&Object>,
        part: &Allotment,
        at: Timestamp,
    ) -> Option<String> {
        match child {
            Some(child) if self.ended.remove(&child.id) => (child.leaves(at) != *part)
                .then(|| format!("`{}` leaves another part of the slope", child.id)),
            _ => Some("its child does not end by its own lineage in this tick".to_owned()),
        }
    }

    /// A tick ends: the objects that ended in it and of which no parent told.
    pub(super) fn untold(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.ended)
    }
}

fn subject(object: &Object) -> Subject<'_> {
    Subject { schema: &object.schema, policy: &object.policy, genesis: object.genesis, state: &object.state }
}
