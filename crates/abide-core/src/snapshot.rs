//! An engine as bytes: what a host keeps so that it need not fold its whole log to start. A cache, never trusted over
//! the log; its form may change with every version.

use std::collections::BTreeMap;
use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use crate::clock::Clock;
use crate::codec::put;
use crate::engine::Engine;
use crate::field::{Slot, untyped_from_json, untyped_to_json};
use crate::guest::Behaviour;
use crate::object::Object;
use crate::record::Hash;
use crate::record::HostGenesis;
use crate::record::decode::{DecodeError, allotment, arity, length, list, pending_one, policy};
use crate::record::encode::{Sink, write_allotment, write_pending, write_policy};
use crate::schema::{MutationIx, Refill, RuleIx, Schema};
use crate::slope::Bucket;
use crate::state::{Before, PendingEffect, Previous, RuleMemory, State, Status};
use crate::time::{Span, Timestamp};

/// The version of this form.
const VERSION: u64 = 5;

type Result<T> = std::result::Result<T, DecodeError>;

impl Engine {
    /// The engine as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.objects.len() * 512);
        let mut e = Encoder::new(&mut bytes);
        let written: std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
            e.array(8)?.u64(VERSION)?;
            let host = &self.host;
            e.array(5)?
                .str(&host.identity)?
                .bytes(&host.log_key)?
                .str(&host.origin)?
                .bytes(&host.certificate)?;
            e.bool(host.replayed)?;
            e.array(5)?
                .bytes(&self.host_genesis.0)?
                .u64(self.host_length)?
                .bytes(&self.host_head.0)?
                .u64(self.clock.tick)?
                .i64(self.clock.time.0)?;
            e.array(self.clock_counters.len() as u64)?;
            self.clock_counters
                .iter()
                .try_for_each(|(key, counter)| e.array(2)?.bytes(key)?.u64(*counter)?.ok())?;
            e.array(self.schemas_in_order().len() as u64)?;
            for (schema, behaviour) in self.schemas_in_order() {
                e.array(2)?.bytes(&schema.canonical)?;
                write_behaviour(behaviour, &mut e)?;
            }
            e.map(self.cursors.len() as u64)?;
            for (source, cursor) in &self.cursors {
                e.str(source)?.bytes(cursor)?;
            }
            e.array(self.objects.len() as u64)?;
            self.objects.iter().try_for_each(|object| write_object(object, &mut e))?;
            // Counted since the last commit: the next one holds it, so a host that restores this must know of it.
            e.array(self.uncommitted.len() as u64)?;
            self.uncommitted.iter().try_for_each(|number| e.u32(*number)?.ok())
        })(
        );
        put(written);
        bytes
    }

    /// The engine that [`Engine::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, or damaged: fold the log instead.
    pub fn restore(bytes: &[u8]) -> Result<Self> {
        let d = &mut Decoder::new(bytes);
        arity(d, 8)?;
        let version = d.u64()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        arity(d, 5)?;
        let host = HostGenesis {
            identity: d.str()?.into(),
            log_key: fixed(d)?,
            origin: d.str()?.into(),
            certificate: fixed(d)?,
            replayed: d.bool()?,
        };
        arity(d, 5)?;
        let host_genesis = Hash(fixed(d)?);
        let (host_length, host_head) = (d.u64()?, Hash(fixed(d)?));
        let clock = Clock { tick: d.u64()?, time: Timestamp(d.i64()?) };
        let mut engine = Self::empty(host, clock);
        engine.host_genesis = host_genesis;
        engine.clock_counters = list(d, counter)?.into_iter().collect();
        engine.host_length = host_length;
        engine.host_head = host_head;
        for (canonical, behaviour) in list(d, |d| {
            arity(d, 2)?;
            Ok((d.bytes()?.to_vec(), read_behaviour(d)?))
        })? {
            let schema = Schema::from_canonical(&canonical)
                .map_err(|_| DecodeError::Malformed("a schema is damaged".to_owned()))?;
            engine.learn(Arc::new(schema), behaviour);
        }
        for _ in 0..length(d.map()?)? {
            let source = d.str()?.into();
            engine.cursors.insert(source, d.bytes()?.into());
        }
        for _ in 0..length(d.array()?)? {
            let object = read_object(d, &engine.schemas)?;
            engine.insert(Arc::clone(&object.id), object);
        }
        engine.uncommitted = list(d, |d| Ok(d.u32()?))?;
        Ok(engine)
    }
}

fn write_object(
    object: &Object,
    e: &mut Sink<'_>,
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    e.array(14)?.str(&object.id)?.u32(object.number)?.bytes(&object.schema.digest)?;
    write_behaviour(object.behaviour, e)?;
    write_policy(&object.policy, e)?;
    e.bytes(&object.genesis.0)?;
    match &object.parent {
        Some(parent) => e.str(parent)?,
        None => e.null()?,
    };
    e.u32(object.depth)?;
    match &object.allotment {
        Some(part) => write_allotment(part, e)?,
        None => e.null()?.ok()?,
    }
    e.array(4)?.u64(object.length)?.bytes(&object.head.0)?.i64(object.changed_at.0)?.u64(object.force)?;
    object.schema.memory.encode_slots(&object.state.memory, e);
    write_state(&object.state, e)?;
    write_pending(&object.state.pending, e)?;
    match object.state.previous.as_deref() {
        Some(previous) => write_previous(previous, e),
        None => e.null()?.ok(),
    }
}

fn write_previous(
    previous: &Previous,
    e: &mut Sink<'_>,
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    e.array(3)?.u64(previous.seq)?;
    match &previous.schema {
        Some(Before { schema, memory, drift_from }) => {
            e.array(3)?.bytes(&schema.digest)?;
            schema.memory.encode_slots(memory, e);
            e.array(drift_from.len() as u64)?;
            drift_from.iter().try_for_each(|from| e.f64(*from)?.ok())?;
        }
        None => e.null()?.ok()?,
    }
    write_behaviour(previous.behaviour, e)
}

fn read_previous(d: &mut Decoder<'_>, schemas: &BTreeMap<Hash, Arc<Schema>>) -> Result<Box<Previous>> {
    arity(d, 3)?;
    let seq = d.u64()?;
    let schema = maybe(d, |d| {
        arity(d, 3)?;
        let digest = Hash(fixed(d)?);
        let schema = Arc::clone(schemas.get(&digest).ok_or(DecodeError::UnknownSchema(digest))?);
        let memory = schema.memory.decode_slots(d)?;
        Ok(Before { schema, memory, drift_from: list(d, |d| Ok(d.f64()?))? })
    })?;
    Ok(Box::new(Previous { seq, schema, behaviour: read_behaviour(d)? }))
}

fn write_behaviour(
    behaviour: Option<Behaviour>,
    e: &mut Sink<'_>,
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    match behaviour {
        Some(behaviour) => e.array(2)?.bytes(&behaviour.component.0)?.bytes(&behaviour.config.0)?.ok(),
        None => e.null()?.ok(),
    }
}

fn read_behaviour(d: &mut Decoder<'_>) -> Result<Option<Behaviour>> {
    maybe(d, |d| {
        arity(d, 2)?;
        Ok(Behaviour { component: Hash(fixed(d)?), config: Hash(fixed(d)?) })
    })
}

fn write_state(
    state: &State,
    e: &mut Sink<'_>,
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    e.array(11)?.u8(state.status as u8)?;
    match &state.bucket {
        Some(b) => {
            e.array(6)?.u64(b.capacity)?.u64(b.level)?.u64(b.remainder)?.i64(b.at.0)?;
            e.u64(b.refill.map_or(0, |r| r.amount))?.i64(b.refill.map_or(0, |r| r.per.0))?;
        }
        None => {
            e.null()?;
        }
    }
    e.u64(state.owed)?.array(state.drift_from.len() as u64)?;
    state.drift_from.iter().try_for_each(|from| e.f64(*from)?.ok())?;
    e.array(state.rules.len() as u64)?;
    for rule in &state.rules {
        e.array(6)?;
        time(rule.chosen_at, e)?;
        e.bool(rule.fresh)?;
        time(rule.held_since, e)?;
        e.u32(rule.retry.map_or(0, |(attempt, _)| attempt))?;
        time(rule.retry.map(|(_, due)| due), e)?;
        time(rule.affordable_at, e)?;
    }
    match state.sleep {
        Some((rule, until)) => {
            e.array(2)?.u16(rule.0)?;
            time(until, e)?;
        }
        None => {
            e.null()?;
        }
    }
    e.array(state.counters.len() as u64)?;
    state.counters.iter().try_for_each(|(key, counter)| e.array(2)?.bytes(key)?.u64(*counter)?.ok())?;
    // A denial that was recorded in full has the shape of a counted one, with its time and no count.
    let denied = state.denied.iter().map(|(key, at)| crate::record::Counted {
        key: key.clone(),
        count: 0,
        last: *at,
        own: Vec::new(),
        chosen: Vec::new(),
    });
    write_pending(&denied.collect::<Vec<_>>(), e)?;
    e.array(state.own_denials.len() as u64)?;
    state.own_denials.iter().try_for_each(|at| e.i64(at.0)?.ok())?;
    e.array(state.effects.len() as u64)?;
    for (seq, effect) in &state.effects {
        e.array(6)?
            .u64(*seq)?
            .u16(effect.mutation.0)?
            .bytes(&effect.key.0)?
            .u64(effect.tick)?
            .i64(effect.time.0)?;
        e.array(effect.args.len() as u64)?;
        effect.args.iter().for_each(|arg| crate::codec::encode_any(&untyped_from_json(arg), e));
    }
    e.array(state.children.len() as u64)?;
    state.children.iter().try_for_each(|(id, part)| {
        e.array(2)?.str(id)?;
        write_allotment(part, e)
    })
}

fn read_object(d: &mut Decoder<'_>, schemas: &BTreeMap<Hash, Arc<Schema>>) -> Result<Object> {
    arity(d, 14)?;
    let (id, number) = (d.str()?.into(), d.u32()?);
    let digest = Hash(fixed(d)?);
    let schema = schemas.get(&digest).ok_or(DecodeError::UnknownSchema(digest))?;
    let behaviour = read_behaviour(d)?;
    let policy = Arc::new(policy(d)?);
    let genesis = Hash(fixed(d)?);
    let parent = maybe(d, |d| Ok(d.str()?.into()))?;
    let depth = d.u32()?;
    let allotment = maybe(d, allotment)?;
    arity(d, 4)?;
    let (length, head, changed_at, force) = (d.u64()?, Hash(fixed(d)?), Timestamp(d.i64()?), d.u64()?);
    let memory = schema.memory.decode_slots(d)?;
    let mut state = read_state(d)?;
    state.memory = memory;
    if state.rules.len() != schema.rules.len() {
        return Err(DecodeError::Malformed("the rules are not those of the schema".to_owned()));
    }
    state.pending = list(d, pending_one)?;
    state.previous = maybe(d, |d| read_previous(d, schemas))?;
    let schema = Arc::clone(schema);
    Ok(Object {
        id,
        number,
        schema,
        behaviour,
        policy,
        genesis,
        parent,
        depth,
        allotment,
        state,
        length,
        head,
        changed_at,
        force,
    })
}

fn read_state(d: &mut Decoder<'_>) -> Result<State> {
    arity(d, 11)?;
    Ok(State {
        memory: Vec::new(),
        status: status(d.u8()?)?,
        bucket: maybe(d, |d| {
            arity(d, 6)?;
            let (capacity, level, remainder, at) = (d.u64()?, d.u64()?, d.u64()?, Timestamp(d.i64()?));
            let refill =
                Some(Refill { amount: d.u64()?, per: Span(d.i64()?) }).filter(|refill| refill.per.0 > 0);
            Ok(Bucket { capacity, refill, level, remainder, at })
        })?,
        owed: d.u64()?,
        drift_from: list(d, |d| Ok(d.f64()?))?,
        rules: list(d, |d| {
            arity(d, 6)?;
            let (chosen_at, fresh, held_since) = (maybe_time(d)?, d.bool()?, maybe_time(d)?);
            let (attempt, due) = (d.u32()?, maybe_time(d)?);
            Ok(RuleMemory {
                chosen_at,
                fresh,
                held_since,
                retry: due.map(|due| (attempt, due)),
                affordable_at: maybe_time(d)?,
            })
        })?,
        sleep: maybe(d, |d| {
            arity(d, 2)?;
            Ok((RuleIx(d.u16()?), maybe_time(d)?))
        })?,
        counters: list(d, counter)?.into_iter().collect(),
        denied: list(d, pending_one)?.into_iter().map(|one| (one.key, one.last)).collect(),
        own_denials: list(d, |d| Ok(Timestamp(d.i64()?)))?,
        effects: list(d, read_effect)?.into_iter().collect(),
        children: list(d, |d| {
            arity(d, 2)?;
            Ok((d.str()?.into(), allotment(d)?))
        })?
        .into_iter()
        .collect(),
        pending: Vec::new(),
        previous: None,
    })
}

/// The last counter of a key.
fn counter(d: &mut Decoder<'_>) -> Result<([u8; 32], u64)> {
    arity(d, 2)?;
    Ok((fixed(d)?, d.u64()?))
}

fn read_effect(d: &mut Decoder<'_>) -> Result<(u64, PendingEffect)> {
    arity(d, 6)?;
    let (seq, mutation, key) = (d.u64()?, MutationIx(d.u16()?), Hash(fixed(d)?));
    let (tick, time) = (d.u64()?, Timestamp(d.i64()?));
    let args = list(d, |d| Ok(untyped_to_json(&crate::codec::decode_any(d)?)))?;
    Ok((seq, PendingEffect { mutation, key, tick, time, args: args.into() }))
}

fn status(number: u8) -> Result<Status> {
    const ALL: [Status; 6] = [
        Status::Incomplete,
        Status::Active,
        Status::Sleeping,
        Status::Quarantined,
        Status::Sealed,
        Status::Terminated,
    ];
    ALL.get(usize::from(number))
        .copied()
        .ok_or_else(|| DecodeError::Malformed(format!("status {number} is unknown")))
}

fn time(
    time: Option<Timestamp>,
    e: &mut Sink<'_>,
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    match time {
        Some(time) => e.i64(time.0)?.ok(),
        None => e.null()?.ok(),
    }
}

fn maybe_time(d: &mut Decoder<'_>) -> Result<Option<Timestamp>> {
    maybe(d, |d| Ok(Timestamp(d.i64()?)))
}

fn maybe<T>(d: &mut Decoder<'_>, read: impl FnOnce(&mut Decoder<'_>) -> Result<T>) -> Result<Option<T>> {
    if d.datatype()? == minicbor::data::Type::Null {
        d.null()?;
        return Ok(None);
    }
    read(d).map(Some)
}

fn fixed<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N]> {
    d.bytes()?.try_into().map_err(|_| DecodeError::Malformed("a length is wrong".to_owned()))
}

impl crate::field::StructType {
    /// Every slot in order; a gap as null.
    fn encode_slots(&self, values: &[crate::value::Value], e: &mut Sink<'_>) {
        put(e.array(self.fields.len() as u64));
        for (field, value) in self.fields.iter().zip(values) {
            match value {
                crate::value::Value::Null => put(e.null()),
                value => field.ty.encode(value, e),
            }
        }
    }

    fn decode_slots(&self, d: &mut Decoder<'_>) -> Result<Vec<crate::value::Value>> {
        arity(d, self.fields.len() as u64)?;
        let slots = (0u16..).map(Slot).take(self.fields.len());
        let read = slots.filter_map(|slot| self.get(slot)).map(|field| {
            maybe(d, |d| Ok(field.ty.decode(d)?)).map(|value| value.unwrap_or(crate::value::Value::Null))
        });
        read.collect()
    }
}
