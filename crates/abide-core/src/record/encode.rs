//! A record as bytes: a map with small integer keys in core deterministic CBOR (RFC 8949 §4.2).

use std::convert::Infallible;

use minicbor::Encoder;
use minicbor::encode::Error;

use super::{
    Caller, Counted, DenialKey, Denied, Event, Genesis, HostGenesis, Mutated, Outcome, Place, Progress,
    Reason, Record, Signature, Spawned, Upgrade,
};
use crate::codec::encode_any;
use crate::field::{Slot, StructType, untyped_from_json};
use crate::guest::Behaviour;
use crate::policy::Policy;
use crate::schema::{MutationIx, RuleIx, Schema};
use crate::slope::Allotment;
use crate::time::Timestamp;
use crate::value::{Value, key_order};

/// The keys of a record's map.
pub(crate) mod key {
    pub(crate) const KIND: u8 = 0;
    pub(crate) const OBJECT: u8 = 1;
    pub(crate) const SEQ: u8 = 2;
    pub(crate) const PREV: u8 = 3;
    pub(crate) const TICK: u8 = 4;
    pub(crate) const TIME: u8 = 5;
    pub(crate) const FORCE: u8 = 6;
    pub(crate) const MUTATION: u8 = 7;
    pub(crate) const CALLER: u8 = 8;
    pub(crate) const BY: u8 = 9;
    pub(crate) const RULE: u8 = 10;
    pub(crate) const ARGS: u8 = 11;
    pub(crate) const CHANGES: u8 = 12;
    pub(crate) const COST: u8 = 13;
    pub(crate) const REASON: u8 = 14;
    pub(crate) const EFFECT: u8 = 15;
    pub(crate) const STEP: u8 = 16;
    pub(crate) const SCHEMA: u8 = 17;
    pub(crate) const POLICY: u8 = 18;
    pub(crate) const PARENT: u8 = 19;
    pub(crate) const ALLOTMENT: u8 = 20;
    pub(crate) const HOST: u8 = 21;
    pub(crate) const DEPTH: u8 = 22;
    pub(crate) const COUNTED: u8 = 23;
    pub(crate) const HOLDS: u8 = 24;
    pub(crate) const UNTIL: u8 = 25;
    pub(crate) const ATTEMPTS: u8 = 26;
    pub(crate) const OF: u8 = 27;
    pub(crate) const STATUS: u8 = 28;
    pub(crate) const MESSAGE: u8 = 29;
    pub(crate) const SINCE: u8 = 30;
    pub(crate) const CHILD: u8 = 31;
    pub(crate) const VERSION: u8 = 32;
    pub(crate) const LOG_KEY: u8 = 33;
    pub(crate) const ORIGIN: u8 = 34;
    pub(crate) const CERTIFICATE: u8 = 35;
    pub(crate) const REPLAYED: u8 = 36;
    pub(crate) const CANONICAL: u8 = 37;
    pub(crate) const CURSORS: u8 = 38;
    pub(crate) const PENDING: u8 = 39;
    pub(crate) const AFFORDABLE_AT: u8 = 40;
    pub(crate) const BEHAVIOUR: u8 = 41;
    pub(crate) const WAS: u8 = 42;
    pub(crate) const FOR_UPGRADE: u8 = 43;
}

/// The kinds of record, by the number that stands under key 0, and their names in text.
pub const KINDS: [&str; 23] = [
    "host",
    "schema",
    "progress",
    "genesis",
    "mutation",
    "denial",
    "denials",
    "hold",
    "idle",
    "spawn",
    "sleep",
    "wake",
    "retry",
    "quarantine",
    "release",
    "seal",
    "terminate",
    "policy",
    "pause",
    "outcome",
    "child-ended",
    "clock",
    "upgrade",
];

pub(crate) type Sink<'a> = Encoder<&'a mut Vec<u8>>;
type Done = Result<(), Error<Infallible>>;

/// Appends the bytes of a record to `out`. The schema is the one in force after it; a host's own records need none.
pub fn encode(record: &Record, schema: Option<&Schema>, out: &mut Vec<u8>) {
    let mut sink = Encoder::new(out);
    let done = write(record, schema, &mut sink);
    debug_assert!(done.is_ok(), "writing to a vector does not fail");
}

fn write(record: &Record, schema: Option<&Schema>, e: &mut Sink<'_>) -> Done {
    let event = &record.event;
    let first = record.prev.is_none();
    e.map(u64::from(5 + u8::from(!first) * 2) + entries(event))?;
    e.u8(key::KIND)?.u8(event.kind())?;
    e.u8(key::OBJECT)?.str(&record.object)?;
    e.u8(key::SEQ)?.u64(record.seq)?;
    if let Some(prev) = record.prev {
        e.u8(key::PREV)?.bytes(&prev.0)?;
    }
    e.u8(key::TICK)?.u64(record.tick)?;
    e.u8(key::TIME)?.i64(record.time.0)?;
    if !first {
        e.u8(key::FORCE)?.u64(record.force)?;
    }
    let names = Names(schema);
    match event {
        Event::Genesis(genesis) => write_genesis(genesis, names, e),
        Event::Mutation(mutated) => write_mutation(mutated, names, e),
        Event::Denial(denied) => write_denial(denied, names, e),
        Event::Denials(counted) => {
            e.u8(key::COUNTED)?;
            write_counted(counted, names, e)
        }
        Event::Hold(holds) => {
            e.u8(key::HOLDS)?.array(holds.len() as u64)?;
            holds.iter().try_for_each(|(rule, held)| e.array(2)?.str(names.rule(*rule))?.bool(*held)?.ok())
        }
        Event::Idle(rule) | Event::Terminate(rule) => write_rule(Some(*rule), names, e),
        Event::Spawn(spawned) => write_spawn(spawned, names, e),
        Event::Sleep { rule, until } => {
            write_rule(Some(*rule), names, e)?;
            until.map_or(Ok(()), |t| e.u8(key::UNTIL)?.i64(t.0)?.ok())
        }
        Event::Wake | Event::Quarantine => Ok(()),
        Event::Retry { rule, attempt, due } => {
            write_rule(Some(*rule), names, e)?;
            e.u8(key::UNTIL)?.i64(due.0)?.u8(key::ATTEMPTS)?.u32(*attempt)?.ok()
        }
        Event::Release(signature) | Event::Seal(signature) => {
            e.u8(key::BY)?;
            write_signature(signature, e)
        }
        Event::Policy(policy) => {
            e.u8(key::POLICY)?;
            write_policy(policy, e)
        }
        Event::Pause { since } => e.u8(key::SINCE)?.i64(since.0)?.ok(),
        Event::Clock { since, signature } => {
            if let Some(signature) = signature {
                e.u8(key::BY)?;
                write_signature(signature, e)?;
            }
            e.u8(key::SINCE)?.i64(since.0)?.ok()
        }
        Event::Outcome(outcome) => write_outcome(outcome, e),
        Event::ChildEnded { child, part } => {
            e.u8(key::ALLOTMENT)?;
            write_allotment(part, e)?;
            e.u8(key::CHILD)?.str(child)?.ok()
        }
        Event::Host(genesis) => write_host(genesis, e),
        Event::Schema(known) => {
            e.u8(key::CANONICAL)?.bytes(&known.canonical)?;
            write_behaviour(known.behaviour, e)?;
            if known.for_upgrade {
                e.u8(key::FOR_UPGRADE)?.bool(true)?;
            }
            Ok(())
        }
        Event::Upgrade(upgrade) => write_upgrade(upgrade, names, e),
        Event::Progress(progress) => write_progress(progress, e),
    }
}

impl Event {
    /// The number of its kind, an index into [`KINDS`].
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Host(_) => 0,
            Self::Schema(_) => 1,
            Self::Progress(_) => 2,
            Self::Genesis(_) => 3,
            Self::Mutation(_) => 4,
            Self::Denial(_) => 5,
            Self::Denials(_) => 6,
            Self::Hold(_) => 7,
            Self::Idle(_) => 8,
            Self::Spawn(_) => 9,
            Self::Sleep { .. } => 10,
            Self::Wake => 11,
            Self::Retry { .. } => 12,
            Self::Quarantine => 13,
            Self::Release(_) => 14,
            Self::Seal(_) => 15,
            Self::Terminate(_) => 16,
            Self::Policy(_) => 17,
            Self::Pause { .. } => 18,
            Self::Outcome(_) => 19,
            Self::ChildEnded { .. } => 20,
            Self::Clock { .. } => 21,
            Self::Upgrade(_) => 22,
        }
    }
}

/// How many entries an event adds to the map.
fn entries(event: &Event) -> u64 {
    let some = |present: bool| u64::from(present);
    match event {
        Event::Genesis(g) => {
            5 + some(g.parent.is_some()) + some(g.allotment.is_some()) + some(g.behaviour.is_some())
        }
        Event::Mutation(m) => {
            4 + some(by_is_written(&m.caller))
                + some(m.rule.is_some())
                + some(m.step.is_some())
                + some(m.cost > 0)
                + some(m.effect.is_some())
        }
        Event::Denial(d) => {
            3 + some(d.mutation.is_some())
                + some(by_is_written(&d.caller))
                + some(d.rule.is_some())
                + some(d.step.is_some())
                + some(d.affordable_at.is_some())
        }
        Event::Sleep { until, .. } => 1 + some(until.is_some()),
        Event::Clock { signature, .. } => 1 + some(signature.is_some()),
        Event::Spawn(s) => 3 + some(s.allotment.is_some()) + some(s.behaviour.is_some()),
        Event::Schema(known) => 1 + some(known.behaviour.is_some()) + some(known.for_upgrade),
        Event::Upgrade(u) => {
            1 + some(u.behaviour.is_some()) + some(u.reverts.is_some()) + 3 * some(u.schema.is_some())
        }
        Event::Outcome(o) => 3 + some(o.message.is_some()),
        Event::Wake | Event::Quarantine => 0,
        Event::Retry { .. } => 3,
        Event::Host(_) => 6,
        Event::ChildEnded { .. } | Event::Progress(_) => 2,
        Event::Denials(_)
        | Event::Hold(_)
        | Event::Idle(_)
        | Event::Terminate(_)
        | Event::Release(_)
        | Event::Seal(_)
        | Event::Policy(_)
        | Event::Pause { .. } => 1,
    }
}

/// The names of the schema in force.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a>(pub(crate) Option<&'a Schema>);

impl<'a> Names<'a> {
    pub(crate) fn mutation(self, ix: MutationIx) -> &'a str {
        self.0.and_then(|s| s.mutations.get(usize::from(ix.0))).map_or("", |m| &m.name)
    }

    pub(crate) fn rule(self, ix: RuleIx) -> &'a str {
        self.0.and_then(|s| s.rules.get(usize::from(ix.0))).map_or("", |r| &r.name)
    }

    pub(crate) fn args(self, ix: MutationIx) -> Option<&'a StructType> {
        self.0.and_then(|s| s.mutations.get(usize::from(ix.0))).map(|m| &*m.args)
    }

    pub(crate) fn memory(self) -> Option<&'a StructType> {
        self.0.map(|s| &*s.memory)
    }
}

fn write_rule(rule: Option<RuleIx>, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    rule.map_or(Ok(()), |rule| e.u8(key::RULE)?.str(names.rule(rule))?.ok())
}

fn write_genesis(genesis: &Genesis, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    e.u8(key::CHANGES)?;
    write_slots(&genesis.values, names, e)?;
    e.u8(key::SCHEMA)?.bytes(&genesis.schema.0)?;
    e.u8(key::POLICY)?;
    write_policy(&genesis.policy, e)?;
    if let Some((parent, record)) = &genesis.parent {
        e.u8(key::PARENT)?.array(2)?.str(parent)?.bytes(&record.0)?;
    }
    if let Some(part) = &genesis.allotment {
        e.u8(key::ALLOTMENT)?;
        write_allotment(part, e)?;
    }
    e.u8(key::HOST)?.str(&genesis.host)?.u8(key::DEPTH)?.u32(genesis.depth)?;
    write_behaviour(genesis.behaviour, e)
}

fn write_upgrade(upgrade: &Upgrade, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    e.u8(key::BY)?;
    write_signature(&upgrade.signature, e)?;
    if let Some(change) = &upgrade.schema {
        e.u8(key::CHANGES)?;
        write_slots(&change.memory, names, e)?;
        e.u8(key::SCHEMA)?.bytes(&change.is.0)?;
    }
    if let Some(of) = upgrade.reverts {
        e.u8(key::OF)?.u64(of)?;
    }
    write_behaviour(upgrade.behaviour, e)?;
    if let Some(change) = &upgrade.schema {
        e.u8(key::WAS)?.bytes(&change.was.0)?;
    }
    Ok(())
}

fn write_mutation(mutated: &Mutated, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    e.u8(key::MUTATION)?.str(names.mutation(mutated.mutation))?;
    write_caller(&mutated.caller, e)?;
    write_rule(mutated.rule, names, e)?;
    e.u8(key::ARGS)?;
    match names.args(mutated.mutation) {
        Some(ty) => ty.encode(&mutated.args, e),
        None => e.map(0)?.ok()?,
    }
    e.u8(key::CHANGES)?;
    write_slots(&mutated.changes, names, e)?;
    if mutated.cost > 0 {
        e.u8(key::COST)?.u64(mutated.cost)?;
    }
    if let Some(args) = &mutated.effect {
        e.u8(key::EFFECT)?.array(args.len() as u64)?;
        args.iter().for_each(|arg| encode_any(&untyped_from_json(arg), e));
    }
    mutated.step.map_or(Ok(()), |step| e.u8(key::STEP)?.u32(step)?.ok())
}

fn write_denial(denied: &Denied, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    if let Some(mutation) = denied.mutation {
        e.u8(key::MUTATION)?.str(names.mutation(mutation))?;
    }
    write_caller(&denied.caller, e)?;
    write_rule(denied.rule, names, e)?;
    e.u8(key::ARGS)?.map(denied.args.len() as u64)?;
    let mut args: Vec<_> = denied.args.iter().collect();
    args.sort_by(|a, b| key_order(&a.0, &b.0));
    for (name, value) in args {
        e.str(name)?;
        encode_any(value, e);
    }
    e.u8(key::REASON)?;
    write_reason(&denied.reason, e)?;
    if let Some(step) = denied.step {
        e.u8(key::STEP)?.u32(step)?;
    }
    denied.affordable_at.map_or(Ok(()), |t| e.u8(key::AFFORDABLE_AT)?.i64(t.0)?.ok())
}

fn write_reason(reason: &Reason, e: &mut Sink<'_>) -> Done {
    e.array(4)?.u8(reason.code as u8)?;
    write_place(&reason.place, e)?;
    match &reason.value {
        Some(value) => e.str(value)?,
        None => e.null()?,
    };
    e.str(&reason.message)?.ok()
}

fn write_place(place: &Place, e: &mut Sink<'_>) -> Done {
    match place {
        Place::Object => e.array(1)?.u8(0)?.ok(),
        Place::Field(name) => e.array(2)?.u8(1)?.str(name)?.ok(),
        Place::Argument(name) => e.array(2)?.u8(2)?.str(name)?.ok(),
        Place::Expression(source) => e.array(2)?.u8(3)?.str(source)?.ok(),
    }
}

fn write_counted(counted: &[Counted], names: Names<'_>, e: &mut Sink<'_>) -> Done {
    e.array(counted.len() as u64)?;
    for one in counted {
        e.array(5)?;
        write_denial_key(&one.key, names, e)?;
        e.u64(one.count)?.i64(one.last.0)?.array(one.own.len() as u64)?;
        one.own.iter().try_for_each(|t| e.i64(t.0)?.ok())?;
        e.array(one.chosen.len() as u64)?;
        for (rule, at, affordable_at) in &one.chosen {
            e.array(3)?.str(names.rule(*rule))?.i64(at.0)?;
            write_time(*affordable_at, e)?;
        }
    }
    Ok(())
}

fn write_denial_key(denial: &DenialKey, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    e.array(3)?;
    match denial.mutation {
        Some(mutation) => e.str(names.mutation(mutation))?,
        None => e.null()?,
    };
    e.u8(denial.code as u8)?;
    write_place(&denial.place, e)
}

fn write_time(time: Option<Timestamp>, e: &mut Sink<'_>) -> Done {
    match time {
        Some(time) => e.i64(time.0)?.ok(),
        None => e.null()?.ok(),
    }
}

fn write_spawn(spawned: &Spawned, names: Names<'_>, e: &mut Sink<'_>) -> Done {
    write_rule(Some(spawned.rule), names, e)?;
    e.u8(key::STEP)?.u32(spawned.step)?.u8(key::SCHEMA)?.bytes(&spawned.schema.0)?;
    if let Some(part) = &spawned.allotment {
        e.u8(key::ALLOTMENT)?;
        write_allotment(part, e)?;
    }
    write_behaviour(spawned.behaviour, e)
}

/// Two digests: of the component and of its configuration.
fn write_behaviour(behaviour: Option<Behaviour>, e: &mut Sink<'_>) -> Done {
    behaviour.map_or(Ok(()), |behaviour| {
        e.u8(key::BEHAVIOUR)?.array(2)?.bytes(&behaviour.component.0)?.bytes(&behaviour.config.0)?.ok()
    })
}

fn write_outcome(outcome: &Outcome, e: &mut Sink<'_>) -> Done {
    e.u8(key::ATTEMPTS)?
        .u32(outcome.attempts)?
        .u8(key::OF)?
        .u64(outcome.of)?
        .u8(key::STATUS)?
        .u8(outcome.status as u8)?;
    match &outcome.message {
        Some(message) => e.u8(key::MESSAGE)?.str(message)?.ok(),
        None => Ok(()),
    }
}

fn write_host(genesis: &HostGenesis, e: &mut Sink<'_>) -> Done {
    e.u8(key::HOST)?.str(&genesis.identity)?;
    e.u8(key::VERSION)?.u64(super::FORMAT_VERSION)?;
    e.u8(key::LOG_KEY)?.bytes(&genesis.log_key)?;
    e.u8(key::ORIGIN)?.str(&genesis.origin)?;
    e.u8(key::CERTIFICATE)?.bytes(&genesis.certificate)?;
    e.u8(key::REPLAYED)?.bool(genesis.replayed)?.ok()
}

fn write_progress(progress: &Progress, e: &mut Sink<'_>) -> Done {
    let mut cursors: Vec<_> = progress.cursors.iter().collect();
    cursors.sort_by(|a, b| key_order(&a.0, &b.0));
    e.u8(key::CURSORS)?.map(cursors.len() as u64)?;
    cursors.iter().try_for_each(|(source, cursor)| e.str(source)?.bytes(cursor)?.ok())?;
    e.u8(key::PENDING)?.array(progress.pending.len() as u64)?;
    for (object, counted) in &progress.pending {
        e.array(2)?.u32(*object)?;
        write_pending(counted, e)?;
    }
    Ok(())
}

/// Counted denials by the numbers of mutations and rules: the host's own record is read without a schema.
pub(crate) fn write_pending(counted: &[Counted], e: &mut Sink<'_>) -> Done {
    e.array(counted.len() as u64)?;
    for one in counted {
        e.array(7)?;
        match one.key.mutation {
            Some(mutation) => e.u16(mutation.0)?,
            None => e.null()?,
        };
        e.u8(one.key.code as u8)?;
        write_place(&one.key.place, e)?;
        e.u64(one.count)?.i64(one.last.0)?.array(one.own.len() as u64)?;
        one.own.iter().try_for_each(|t| e.i64(t.0)?.ok())?;
        e.array(one.chosen.len() as u64)?;
        for (rule, at, affordable_at) in &one.chosen {
            e.array(3)?.u16(rule.0)?.i64(at.0)?;
            write_time(*affordable_at, e)?;
        }
    }
    Ok(())
}

fn write_caller(caller: &Caller, e: &mut Sink<'_>) -> Done {
    e.u8(key::CALLER)?.u8(caller.kind() as u8)?;
    match caller {
        Caller::Rule | Caller::Behaviour => Ok(()),
        Caller::SafeState => e.u8(key::BY)?.str("safe_state")?.ok(),
        Caller::Observation(name) | Caller::Component(name) | Caller::Parent(name) => {
            e.u8(key::BY)?.str(name)?.ok()
        }
        Caller::Operator(signature) => {
            e.u8(key::BY)?;
            write_signature(signature, e)
        }
    }
}

fn by_is_written(caller: &Caller) -> bool {
    !matches!(caller, Caller::Rule | Caller::Behaviour)
}

pub(crate) fn write_signature(signature: &Signature, e: &mut Sink<'_>) -> Done {
    e.array(4)?
        .str(&signature.name)?
        .bytes(&signature.key)?
        .u64(signature.counter)?
        .bytes(&signature.signature)?
        .ok()
}

pub(crate) fn write_allotment(part: &Allotment, e: &mut Sink<'_>) -> Done {
    e.array(4)?.u64(part.budget)?.u64(part.level)?.u64(part.refill)?.i64(part.per.0)?.ok()
}

pub(crate) fn write_policy(policy: &Policy, e: &mut Sink<'_>) -> Done {
    e.array(3)?.array(policy.operators.len() as u64)?;
    for operator in &policy.operators {
        e.array(2)?.str(&operator.name)?.bytes(&operator.key)?;
    }
    e.array(policy.links.len() as u64)?;
    for grant in &policy.links {
        e.array(3)?.str(&grant.target)?.str(&grant.interface)?.array(grant.functions.len() as u64)?;
        grant.functions.iter().try_for_each(|f| e.str(f)?.ok())?;
    }
    let limits = &policy.limits;
    e.array(4)?.u32(limits.inbox)?.u32(limits.effects)?.u32(limits.depth)?.u32(limits.children)?.ok()
}

/// Some slots of memory by name. They stand in the order of their slots, which is that of their keys.
fn write_slots(slots: &[(Slot, Value)], names: Names<'_>, e: &mut Sink<'_>) -> Done {
    let Some(memory) = names.memory() else { return e.map(0)?.ok() };
    e.map(slots.len() as u64)?;
    slots.iter().try_for_each(|(slot, value)| match memory.get(*slot) {
        Some(field) => {
            e.str(&field.name)?;
            field.ty.encode(value, e);
            Ok(())
        }
        None => Ok(()),
    })
}
