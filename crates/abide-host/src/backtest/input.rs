//! What came from outside, out of the records of a tick, in the words of another schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::admission::{OperatorAct, Request, check_args, check_signature, signed_bytes};
use abide_core::cycle::{Cycle, Input};
use abide_core::field::{Slot, untyped_from_json};
use abide_core::object::Object;
use abide_core::policy::{Operator, Policy};
use abide_core::record::{Caller, Code, Denied, Event, Genesis, Mutated, Outcome, Signature};
use abide_core::schema::{MutationIx, Schema};
use abide_core::time::Timestamp;
use abide_core::value::Value;
use nkeys::{KeyPair, KeyPairType};
use sha2::{Digest as _, Sha256};

use crate::ask::by_name;
use crate::history::{is_cut, is_outside};
use crate::view::{Link, mutation_name};

/// Something for the object.
pub(super) enum Fed {
    Pause(Timestamp),
    /// As it was asked; whether its signature was good, if an operator asked.
    Ask(Request, bool),
    Operate(OperatorAct, Signature),
    Policy(Box<Policy>),
    /// Of an effect that was ordered again: what its target answered is asked for in a record of its own.
    Outcome(Outcome),
}

/// Reads inputs out of records of one schema for an object of another.
pub(super) struct Translator<'a> {
    /// The schema of the records that are read, as far as they were read.
    pub(super) from: Arc<Schema>,
    pub(super) to: &'a Schema,
    /// Whether upgrades to other behaviours are taken as they were recorded.
    pub(super) upgrades: bool,
    /// By the recorded number of an effect's record, that of the new one which ordered the same.
    pub(super) orders: BTreeMap<u64, u64>,
    /// By the recorded number of an effect's record, the source that its answer comes from.
    pub(super) sources: BTreeMap<u64, Arc<str>>,
    pub(super) remarks: BTreeSet<String>,
}

impl Translator<'_> {
    /// The first values as far as the schema has fields of the same names.
    pub(super) fn values_by_name(&mut self, genesis: &Genesis) -> Vec<(Slot, Value)> {
        self.remarks.insert(format!(
            "schema `{}` {} does not take over from what was in force: the object begins with the values of fields that have the \
             same names",
            self.to.name, self.to.version
        ));
        let mut values = Vec::new();
        for (slot, value) in &genesis.values {
            let Some(field) = self.from.memory.get(*slot) else { continue };
            match self.to.memory.slot(&field.name).and_then(|slot| Some((slot, self.to.memory.get(slot)?))) {
                Some((slot, new)) => {
                    let json = field.ty.to_json(value);
                    let value = new.ty.value_from_json(&json).unwrap_or_else(|_| untyped_from_json(&json));
                    values.push((slot, value));
                }
                None => {
                    self.remarks.insert(format!(
                        "the first value of `{}` is left out: the schema has no such field",
                        field.name
                    ));
                }
            }
        }
        values
    }

    /// What came in, in the order of the inbox.
    pub(super) fn inputs(&mut self, links: &[Link]) -> Vec<Fed> {
        let mut fed = Vec::new();
        // The answer to an effect that was not ordered again is none.
        let mut unheard: Option<Arc<str>> = None;
        for Link { record, schema, .. } in links {
            if let Some(schema) = schema.as_ref().filter(|schema| !Arc::ptr_eq(schema, &self.from)) {
                self.from = Arc::clone(schema);
            }
            let skipped = unheard.take();
            match &record.event {
                Event::Pause { since } => fed.push(Fed::Pause(*since)),
                Event::Mutation(mutated) => {
                    if let (Some(_), Some(effect)) = (&mutated.effect, self.effect(mutated.mutation)) {
                        self.sources.insert(record.seq, effect);
                    }
                    if is_outside(&mutated.caller) && !is_from(&mutated.caller, skipped.as_deref()) {
                        let Mutated { mutation, args, caller, .. } = mutated;
                        fed.extend(
                            self.request(*mutation, args, caller).map(|request| Fed::Ask(request, true)),
                        );
                    }
                }
                Event::Denial(denied)
                    if is_outside(&denied.caller) && !is_from(&denied.caller, skipped.as_deref()) =>
                {
                    fed.extend(self.denied(denied));
                }
                Event::Release(signature) => fed.push(Fed::Operate(OperatorAct::Release, signature.clone())),
                Event::Seal(signature) => fed.push(Fed::Operate(OperatorAct::Seal, signature.clone())),
                Event::Upgrade(upgrade) if self.upgrades && upgrade.schema.is_none() => {
                    let act = upgrade.behaviour.map(OperatorAct::Behaviour);
                    fed.extend(act.map(|act| Fed::Operate(act, upgrade.signature.clone())));
                }
                Event::Policy(policy) => fed.push(Fed::Policy(policy.clone())),
                Event::Outcome(outcome) => match self.orders.remove(&outcome.of) {
                    Some(of) => fed.push(Fed::Outcome(Outcome { of, ..outcome.clone() })),
                    None => unheard = self.sources.get(&outcome.of).cloned(),
                },
                _ => {}
            }
        }
        fed
    }

    /// Whether a record is anything but the denial of a request that cannot be asked again.
    pub(super) fn is_asked_again(&self, link: &Link) -> bool {
        let (Event::Denial(denied), Some(schema)) = (&link.record.event, &link.schema) else { return true };
        let was = denied.mutation.and_then(|ix| schema.mutations.get(usize::from(ix.0)));
        !is_outside(&denied.caller)
            || was.is_some_and(|was| self.to.mutation(&was.name).is_some())
                && !denied.args.iter().any(|(_, value)| is_cut(value))
    }

    fn effect(&self, mutation: MutationIx) -> Option<Arc<str>> {
        let effect = self.from.mutations.get(usize::from(mutation.0))?.effect.as_ref()?;
        Some(format!("{}.{}", effect.interface, effect.function).into())
    }

    fn denied(&mut self, denied: &Denied) -> Option<Fed> {
        let Some(ix) = denied.mutation else {
            self.remarks.insert("an act of an operator that was denied is not asked again".to_owned());
            return None;
        };
        if denied.args.iter().any(|(_, value)| is_cut(value)) {
            let remark = "a request whose recorded arguments were cut short is not asked again";
            self.remarks.insert(remark.to_owned());
            return None;
        }
        let was = self.from.mutations.get(usize::from(ix.0))?;
        let args: Vec<Value> = was
            .args
            .fields
            .iter()
            .map(|field| {
                let given = denied.args.iter().find(|(name, _)| *name == field.name);
                given.map_or(Value::Null, |(_, value)| field.ty.retyped(value))
            })
            .collect();
        let request = self.request(ix, &args, &denied.caller)?;
        Some(Fed::Ask(request, denied.reason.code != Code::Signature))
    }

    /// The same request of the mutation that has that name now.
    fn request(&mut self, mutation: MutationIx, args: &[Value], caller: &Caller) -> Option<Request> {
        if let Some((mutation, args)) = by_name(&self.from, self.to, mutation, args) {
            return Some(Request { mutation, args, caller: caller.clone() });
        }
        let was = mutation_name(&self.from, mutation);
        self.remarks
            .insert(format!("what was asked of `{was}` is left out: the schema has no such mutation"));
        None
    }
}

fn is_from(caller: &Caller, source: Option<&str>) -> bool {
    matches!((caller, source), (Caller::Observation(from), Some(source)) if **from == *source)
}

/// Gives the object one input.
pub(super) fn feed(cycle: &mut Cycle<'_>, fed: Fed) {
    match fed {
        Fed::Pause(since) => cycle.pause(since),
        Fed::Ask(mut request, signed) => {
            if signed && let Caller::Operator(signature) = &request.caller {
                let object = cycle.object();
                let mutation = object.schema.mutations.get(usize::from(request.mutation.0));
                let checked = mutation.and_then(|m| Some((m, check_args(&m.args, &request.args).ok()?)));
                // Arguments that are wrong are denied before the signature is looked at.
                if let Some((mutation, args)) = checked {
                    let genesis = object.genesis;
                    let bytes = signed_bytes(genesis, "mutate", Some((mutation, &args)), signature.counter);
                    request.caller = Caller::Operator(Box::new(vouched(object, signature, &bytes)));
                }
            }
            cycle.inspect(Input::Ask(request));
        }
        Fed::Operate(act, signature) => {
            let object = cycle.object();
            let bytes = act.signed_bytes(object.genesis, signature.counter);
            let signature = vouched(object, &signature, &bytes);
            cycle.inspect(Input::Operate(abide_core::admission::OperatorRequest { act, signature }));
        }
        Fed::Policy(policy) => {
            cycle.inspect(Input::Policy(Box::new(with_stand_ins(*policy))));
        }
        Fed::Outcome(outcome) => {
            if cycle.object().state.effects.contains_key(&outcome.of) {
                cycle.take_as_recorded(Event::Outcome(outcome));
            }
        }
    }
}

/// A signature that was good when it was recorded. Where it does not cover what is asked now, because the schema gives the
/// mutation other arguments, a stand-in signs for its operator.
fn vouched(object: &Object, signature: &Signature, bytes: &[u8]) -> Signature {
    if check_signature(&object.policy, &object.state, signature, bytes).is_ok() {
        return signature.clone();
    }
    let signed = stand_in(&signature.name).and_then(|(pair, key)| {
        let signed = pair.sign(bytes).ok()?.try_into().ok()?;
        Some(Signature { key, signature: signed, ..signature.clone() })
    });
    signed.unwrap_or_else(|| signature.clone())
}

/// A policy in which each operator has a stand-in.
pub(super) fn with_stand_ins(mut policy: Policy) -> Policy {
    let names: BTreeSet<Arc<str>> =
        policy.operators.iter().map(|operator| Arc::clone(&operator.name)).collect();
    for name in names {
        policy.operators.extend(stand_in(&name).map(|(_, key)| Operator { name, key }));
    }
    policy
}

/// A key that is good in a backtest only: anyone can make it.
fn stand_in(name: &str) -> Option<(KeyPair, [u8; 32])> {
    let seed = Sha256::new().chain_update("abide-backtest/1\0").chain_update(name).finalize();
    let pair = KeyPair::new_from_raw(KeyPairType::Operator, seed.into()).ok()?;
    let (_, key) = nkeys::from_public_key(&pair.public_key()).ok()?;
    Some((pair, key))
}
