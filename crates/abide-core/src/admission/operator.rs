//! What an operator asks of an object itself, by signature: an end of its quarantine, its seal, and what is in force for it.

use std::sync::Arc;

use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use minicbor::Encoder;

use super::{Denial, broken_invariants, denial, is_complete};
use crate::codec::put;
use crate::guest::Behaviour;
use crate::object::Object;
use crate::policy::Policy;
use crate::record::{Code, Event, Hash, Place, SchemaChange, Signature, Upgrade};
use crate::schema::{Mutation, Schema};
use crate::state::{Before, Previous, RebaseError, State, Status};
use crate::time::Timestamp;
use crate::transition::{Transition, back, given};
use crate::value::Value;

/// What an operator asks of an object itself, by signature.
#[derive(Clone, Debug)]
pub struct OperatorRequest {
    /// What.
    pub act: OperatorAct,
    /// Over [`OperatorAct::signed_bytes`].
    pub signature: Signature,
}

/// What an operator may ask of an object itself.
#[derive(Clone, Debug)]
pub enum OperatorAct {
    /// The end of a quarantine.
    Release,
    /// The end of all change.
    Seal,
    /// Another behaviour.
    Behaviour(Behaviour),
    /// Another version of its schema, and the behaviour that goes with it, where that has acts.
    Schema(Arc<Transition>, Option<Behaviour>),
    /// What was in force before the last upgrade, whose record has that number.
    Revert {
        /// The number of the upgrade's record.
        of: u64,
        /// The schema that was in force, if that upgrade changed it.
        schema: Option<Hash>,
        /// The behaviour that was in force.
        behaviour: Option<Behaviour>,
    },
}

/// An act that is admitted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Its record.
    pub event: Event,
    /// The schema that its record puts in force, if that is another.
    pub schema: Option<Arc<Schema>>,
}

impl OperatorAct {
    /// The reversal of an object's last upgrade, if there is one to revert.
    #[must_use]
    pub fn revert(object: &Object) -> Option<Self> {
        let Previous { seq, schema, behaviour } = object.state.previous.as_deref()?;
        let schema = schema.as_ref().map(|before| Hash(before.schema.digest));
        Some(Self::Revert { of: *seq, schema, behaviour: *behaviour })
    }

    /// As the signature covers it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Seal => "seal",
            Self::Behaviour(_) | Self::Schema(..) => "upgrade",
            Self::Revert { .. } => "revert",
        }
    }

    /// The bytes that an operator's signature covers: as [`signed_bytes`]; of an upgrade and of its reversal with the digests
    /// of what takes force as arguments: the schema, if it changes, and the component and its configuration, if there are.
    #[must_use]
    pub fn signed_bytes(&self, genesis: Hash, counter: u64) -> Vec<u8> {
        let (schema, behaviour) = match self {
            Self::Release | Self::Seal => (None, None),
            Self::Behaviour(behaviour) => (None, Some(*behaviour)),
            Self::Schema(transition, behaviour) => (Some(Hash(transition.to().digest)), *behaviour),
            Self::Revert { schema, behaviour, .. } => (*schema, *behaviour),
        };
        signed(genesis, (self.name(), ""), counter, |e| {
            let mut write = || {
                e.map(u64::from(schema.is_some()) + 2 * u64::from(behaviour.is_some()))?;
                if let Some(behaviour) = behaviour {
                    e.str("config")?.bytes(&behaviour.config.0)?;
                }
                if let Some(schema) = schema {
                    e.str("schema")?.bytes(&schema.0)?;
                }
                if let Some(behaviour) = behaviour {
                    e.str("component")?.bytes(&behaviour.component.0)?;
                }
                e.ok()
            };
            put(write());
        })
    }

    /// Admits or denies the act: its signature, and then all that the object has against it.
    ///
    /// # Errors
    /// The signature, or the status; or everything that keeps another version of the schema from taking force.
    pub fn admit(
        &self,
        object: &Object,
        signature: &Signature,
        now: Timestamp,
    ) -> Result<Granted, Vec<Denial>> {
        let bytes = self.signed_bytes(object.genesis, signature.counter);
        check_signature(&object.policy, &object.state, signature, &bytes).map_err(|one| vec![*one])?;
        self.check(object, now).map(|change| {
            let signature = signature.clone();
            let (event, schema) = match change {
                Change::Release => (Event::Release(signature), None),
                Change::Seal => (Event::Seal(signature), None),
                Change::Force { behaviour, schema, reverts } => {
                    let change = schema.as_ref().map(|(to, memory)| SchemaChange {
                        was: Hash(object.schema.digest),
                        is: Hash(to.digest),
                        memory: given(memory.clone()),
                    });
                    let upgrade = Upgrade { behaviour, schema: change, reverts, signature };
                    (Event::Upgrade(Box::new(upgrade)), schema.map(|(to, _)| to))
                }
            };
            Granted { event, schema }
        })
    }

    /// What would come of the act if it were signed, for who wants to know before.
    ///
    /// # Errors
    /// As [`OperatorAct::admit`], the signature aside.
    pub fn check(&self, object: &Object, now: Timestamp) -> Result<Change, Vec<Denial>> {
        let status = object.state.status;
        let refuse = |message: String| {
            let value = Some(status.name().to_owned());
            vec![*denial(Code::Status, Place::Object, value, message)]
        };
        match self {
            Self::Release if status != Status::Quarantined => Err(refuse(format!(
                "the object is {}: only a quarantined one can be released",
                status.name()
            ))),
            Self::Release => Ok(Change::Release),
            _ if status.is_closed() => Err(refuse(format!("the object is {} already", status.name()))),
            Self::Seal => Ok(Change::Seal),
            Self::Behaviour(_) if object.behaviour.is_none() => {
                Err(refuse("the object has no behaviour: its schema has no acts".to_owned()))
            }
            Self::Behaviour(new) if object.behaviour == Some(*new) => {
                Err(refuse("this behaviour is in force already".to_owned()))
            }
            Self::Behaviour(new) => Ok(Change::Force { behaviour: Some(*new), schema: None, reverts: None }),
            Self::Schema(transition, behaviour) => {
                if transition.from().digest != object.schema.digest {
                    let in_force = format!("`{}` {}", object.schema.name, object.schema.version);
                    return Err(refuse(format!(
                        "schema {in_force} is in force by now, and not what this upgrade is from"
                    )));
                }
                if transition.to().digest == object.schema.digest {
                    return Err(refuse("this schema is in force already".to_owned()));
                }
                if let Some(what) = missing_behaviour(transition.to(), *behaviour) {
                    return Err(refuse(what.to_owned()));
                }
                let memory = transition.memory(&object.state.memory, now).map_err(|reasons| {
                    reasons
                        .into_iter()
                        .map(|reason| Denial { reason, affordable_at: None })
                        .collect::<Vec<_>>()
                })?;
                check_change(object, transition.to(), &memory, false, now)?;
                let schema = Some((Arc::clone(transition.to()), memory));
                Ok(Change::Force { behaviour: *behaviour, schema, reverts: None })
            }
            Self::Revert { of, schema, behaviour } => {
                let kept = object.state.previous.as_deref().filter(|kept| {
                    let was = kept.schema.as_ref().map(|before| Hash(before.schema.digest));
                    kept.seq == *of && was == *schema && kept.behaviour == *behaviour
                });
                let Some(kept) = kept else {
                    return Err(refuse("its last upgrade is not the one that this reverts".to_owned()));
                };
                let schema = match &kept.schema {
                    None => None,
                    Some(Before { schema: then, memory, .. }) => {
                        let memory = back(then, memory, &object.schema, &object.state.memory);
                        check_change(object, then, &memory, true, now)?;
                        Some((Arc::clone(then), memory))
                    }
                };
                Ok(Change::Force { behaviour: *behaviour, schema, reverts: Some(*of) })
            }
        }
    }
}

/// The denial that is recorded where there are several: the first, and how many more there are.
pub(crate) fn first_of(denials: Vec<Denial>) -> Option<Denial> {
    let more = denials.len().saturating_sub(1);
    let mut first = denials.into_iter().next()?;
    if more > 0 {
        first.reason.message = format!("{} (and {more} more)", first.reason.message).into();
    }
    Some(first)
}

/// What an operator's act changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// The quarantine ends.
    Release,
    /// The object is closed.
    Seal,
    /// Something else is in force.
    Force {
        /// The behaviour.
        behaviour: Option<Behaviour>,
        /// The schema, if it changes, and the memory under it.
        schema: Option<(Arc<Schema>, Vec<Value>)>,
        /// The number of the upgrade's record that is reverted.
        reverts: Option<u64>,
    },
}

/// What a schema and a behaviour lack of each other.
pub(crate) fn missing_behaviour(schema: &Schema, behaviour: Option<Behaviour>) -> Option<&'static str> {
    match (schema.actions().is_empty(), behaviour) {
        (false, None) => Some("its schema has acts, so it needs a behaviour: give it a component"),
        (true, Some(_)) => Some("its schema has no acts, so nothing would call its behaviour"),
        _ => None,
    }
}

/// Everything that an object has against a schema, and a memory under it, in force.
fn check_change(
    object: &Object,
    to: &Schema,
    memory: &[Value],
    reverts: bool,
    now: Timestamp,
) -> Result<(), Vec<Denial>> {
    let state = &object.state;
    let mut wrong = Vec::new();
    let mut deny = |code, place, value, message: String| wrong.push(*denial(code, place, value, message));
    if is_complete(&object.schema, &state.memory) {
        let gaps = to.memory.fields.iter().zip(memory);
        for (field, _) in gaps.filter(|(field, value)| !field.ty.nullable && matches!(value, Value::Null)) {
            let message = format!(
                "field `{}` would have no value: give it a default, or a value under `default` or `set` of the `migration`",
                field.name
            );
            deny(Code::Bounds, Place::Field(Arc::clone(&field.name)), None, message);
        }
    }
    if let Err(RebaseError { message }) = state.rebased(&object.schema, to, object.allotment.as_ref(), now) {
        deny(Code::Slope, Place::Object, None, message.to_owned());
    }
    for (field, value, drift, from) in state.drifts(&object.schema, to, memory, reverts) {
        if (value - from).abs() > drift.within {
            let message =
                format!("field `{}` would be {value}, more than {} from {from}", field.name, drift.within);
            deny(Code::Drift, Place::Field(Arc::clone(&field.name)), Some(value.to_string()), message);
        }
    }
    for (seq, effect) in &state.effects {
        let was = object.schema.mutations.get(usize::from(effect.mutation.0));
        let stays = was.and_then(|was| {
            let (was_effect, is) =
                (was.effect.as_ref()?, to.mutations.get(usize::from(to.mutation(&was.name)?.0))?);
            let is = is.effect.as_ref()?;
            (was_effect.interface == is.interface && was_effect.function == is.function).then_some(())
        });
        if let (Some(was), None) = (was, stays) {
            let message = format!(
                "the effect of `{}` in record {seq} waits for its outcome, and the schema has no such mutation, or one of another effect: ask again after it",
                was.name
            );
            deny(Code::Effect, Place::Object, Some(seq.to_string()), message);
        }
    }
    wrong.extend(broken_invariants(to, None, memory, now).map(|denial| *denial));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The bytes that an operator's signature covers: core deterministic CBOR of
/// `["abide-operator/1", genesis hash, act, mutation or "", arguments, counter]`.
#[must_use]
pub fn signed_bytes(
    genesis: Hash,
    act: &str,
    mutation: Option<(&Mutation, &[Value])>,
    counter: u64,
) -> Vec<u8> {
    let name = mutation.map_or("", |(mutation, _)| &mutation.name);
    signed(genesis, (act, name), counter, |e| match mutation {
        Some((mutation, args)) => mutation.args.encode(args, e),
        None => put(e.map(0)),
    })
}

fn signed(
    genesis: Hash,
    (act, mutation): (&str, &str),
    counter: u64,
    write_args: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    let mut e = Encoder::new(&mut bytes);
    put(e.array(6).and_then(|e| e.str("abide-operator/1")?.bytes(&genesis.0)?.str(act)?.str(mutation)));
    write_args(&mut e);
    put(e.u64(counter));
    bytes
}

/// Checks an operator's signature over `bytes`, its key against the policy and its counter against the last.
///
/// # Errors
/// A denial with [`Code::Signature`].
pub fn check_signature(
    policy: &Policy,
    state: &State,
    signature: &Signature,
    bytes: &[u8],
) -> Result<(), Box<Denial>> {
    check_operator(policy, state, signature)?;
    let verified = VerifyingKey::from_bytes(&signature.key)
        .and_then(|key| key.verify_strict(bytes, &Ed25519::from_bytes(&signature.signature)));
    verified
        .map_err(|_| unsigned(signature, format!("the signature of `{}` does not verify", signature.name)))
}

/// What can be said of a signature without what it covers: whose key it is, and its counter.
pub(super) fn check_operator(
    policy: &Policy,
    state: &State,
    signature: &Signature,
) -> Result<(), Box<Denial>> {
    let deny = |message: String| Err(unsigned(signature, message));
    if policy.operator(&signature.key).is_none_or(|operator| operator.name != signature.name) {
        return deny(format!("`{}` with this key is not an operator of this object", signature.name));
    }
    if let Some(last) = state.counters.get(&signature.key)
        && signature.counter <= *last
    {
        return deny(format!(
            "the counter {} is not above the last one recorded, {last}: another act was signed with this key meanwhile; ask again",
            signature.counter
        ));
    }
    Ok(())
}

fn unsigned(signature: &Signature, message: String) -> Box<Denial> {
    denial(Code::Signature, Place::Object, Some(signature.name.to_string()), message)
}
