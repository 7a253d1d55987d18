//! A record from its bytes.

use std::sync::Arc;

use minicbor::Decoder;
use minicbor::data::Type;

use super::encode::{KINDS, key};
use super::{
    Caller, Code, Counted, DenialKey, Denied, Event, Genesis, Hash, HostGenesis, Mutated, Outcome,
    OutcomeStatus, Place, Progress, Reason, Record, SchemaChange, SchemaKnown, Signature, Spawned, Upgrade,
};
use crate::codec::{self, decode_any};
use crate::field::{Slot, untyped_to_json};
use crate::guest::Behaviour;
use crate::policy::{Grant, Limits, Operator, Policy};
use crate::schema::{MutationIx, RuleIx, Schema};
use crate::slope::Allotment;
use crate::time::{Span, Timestamp};
use crate::value::Value;

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are not CBOR of the record format.
    #[error("the record's bytes are not of the record format: {0}")]
    Malformed(String),
    /// They are, but another encoding of the same record is the canonical one.
    #[error("the record's bytes are not in canonical form")]
    NotCanonical,
    /// A newer format.
    #[error("the record is of format {0}; this version reads format 1")]
    Version(u64),
    /// The record names a schema that was not given.
    #[error("the record needs schema {0}, which is not at hand")]
    UnknownSchema(Hash),
    /// The record names what its schema lacks.
    #[error("the record names {what} `{name}`, which its schema lacks")]
    UnknownName {
        /// A mutation, a rule, a field or an argument.
        what: &'static str,
        /// As the record has it.
        name: String,
    },
}

type Result<T> = std::result::Result<T, DecodeError>;

impl From<codec::DecodeError> for DecodeError {
    fn from(error: codec::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<minicbor::decode::Error> for DecodeError {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The part of a record that is read without its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Index into [`KINDS`].
    pub kind: u8,
    /// Whose lineage it is in.
    pub object: Arc<str>,
    /// Its number in that lineage.
    pub seq: u64,
    /// The hash of the record before it.
    pub prev: Option<Hash>,
    /// The tick.
    pub tick: u64,
    /// The time of the tick.
    pub time: Timestamp,
    /// The record that put the schema in force.
    pub force: u64,
    /// Of a genesis, a spawn, and an upgrade to another schema: the digest that it names.
    pub schema: Option<Hash>,
    /// Of an upgrade to another schema: the digest of the one before.
    pub was: Option<Hash>,
}

impl Header {
    /// The digest of the schema that the record puts in force, if it does.
    #[must_use]
    pub fn puts_in_force(&self) -> Option<Hash> {
        self.schema.filter(|_| self.prev.is_none() || self.was.is_some())
    }
}

/// Reads the header of a record.
///
/// # Errors
/// When the bytes are not of the record format.
pub fn header(bytes: &[u8]) -> Result<Header> {
    header_of(&Entries::read(bytes)?)
}

/// The digest of the schema that a record puts in force, if it does; most records are told by their kind.
///
/// # Errors
/// When the bytes are not of the record format.
pub fn puts_in_force(bytes: &[u8]) -> Result<Option<Hash>> {
    let mut d = Decoder::new(bytes);
    let is_upgrade_or_genesis = d.map()?.is_some() && d.u8()? == key::KIND && matches!(d.u8()?, 3 | 22);
    if is_upgrade_or_genesis { Ok(header(bytes)?.puts_in_force()) } else { Ok(None) }
}

/// Reads a record. The schema is the one in force after it: of most, the one that was in force before; of a genesis and of an
/// upgrade, the one of [`Header::puts_in_force`], if any. A host's own records need none.
///
/// # Errors
/// When the bytes are not of the record format, or name what the schema lacks.
pub fn decode(bytes: &[u8], schema: Option<&Schema>) -> Result<Record> {
    let entries = Entries::read(bytes)?;
    let Header { kind, object, seq, prev, tick, time, force, .. } = header_of(&entries)?;
    let event = Reader { entries, schema }.event(kind)?;
    Ok(Record { object, seq, prev, tick, time, force, event })
}

/// As [`decode`], and refuses any bytes but the canonical ones.
///
/// # Errors
/// As [`decode`], and [`DecodeError::NotCanonical`].
pub fn decode_strict(bytes: &[u8], schema: Option<&Schema>) -> Result<Record> {
    let record = decode(bytes, schema)?;
    let mut again = Vec::with_capacity(bytes.len());
    super::encode::encode(&record, schema, &mut again);
    if again == bytes { Ok(record) } else { Err(DecodeError::NotCanonical) }
}

fn header_of(entries: &Entries<'_>) -> Result<Header> {
    let kind = entries.need(key::KIND)?.u8()?;
    if usize::from(kind) >= KINDS.len() {
        return malformed(format!("kind {kind} is unknown"));
    }
    let prev = entries.get(key::PREV).map(|mut d| hash(&mut d)).transpose()?;
    let seq = entries.need(key::SEQ)?.u64()?;
    if prev.is_none() != (seq == 0) {
        return malformed("only the first record of a lineage names none before it".to_owned());
    }
    Ok(Header {
        kind,
        object: entries.need(key::OBJECT)?.str()?.into(),
        seq,
        prev,
        tick: entries.need(key::TICK)?.u64()?,
        time: Timestamp(entries.need(key::TIME)?.i64()?),
        force: if prev.is_some() { entries.need(key::FORCE)?.u64()? } else { 0 },
        schema: entries.get(key::SCHEMA).map(|mut d| hash(&mut d)).transpose()?,
        was: entries.get(key::WAS).map(|mut d| hash(&mut d)).transpose()?,
    })
}

fn malformed<T>(why: String) -> Result<T> {
    Err(DecodeError::Malformed(why))
}

/// The entries of a record's map, each still as bytes.
struct Entries<'a>([Option<&'a [u8]>; 44]);

impl<'a> Entries<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut d = Decoder::new(bytes);
        let Some(count) = d.map()? else { return malformed("the map has no length".to_owned()) };
        let mut entries = [None; 44];
        let mut above = None;
        for _ in 0..count {
            let number = d.u8()?;
            if above.is_some_and(|a| number <= a) {
                return malformed(format!("key {number} is out of order"));
            }
            above = Some(number);
            let start = d.position();
            d.skip()?;
            match (entries.get_mut(usize::from(number)), bytes.get(start..d.position())) {
                (Some(entry), Some(value)) => *entry = Some(value),
                _ => return malformed(format!("key {number} is unknown")),
            }
        }
        if d.position() != bytes.len() {
            return malformed("bytes follow the map".to_owned());
        }
        Ok(Self(entries))
    }

    fn get(&self, number: u8) -> Option<Decoder<'a>> {
        self.0.get(usize::from(number)).copied().flatten().map(Decoder::new)
    }

    fn need(&self, number: u8) -> Result<Decoder<'a>> {
        self.get(number).ok_or_else(|| DecodeError::Malformed(format!("key {number} is missing")))
    }
}

struct Reader<'a> {
    entries: Entries<'a>,
    schema: Option<&'a Schema>,
}

impl Reader<'_> {
    fn event(&self, kind: u8) -> Result<Event> {
        let need = |number| self.entries.need(number);
        Ok(match kind {
            0 => Event::Host(Box::new(self.host()?)),
            1 => Event::Schema(SchemaKnown {
                canonical: need(key::CANONICAL)?.bytes()?.into(),
                behaviour: self.behaviour()?,
                for_upgrade: self.entries.get(key::FOR_UPGRADE).map_or(Ok(false), |mut d| d.bool())?,
            }),
            2 => Event::Progress(Box::new(self.progress()?)),
            3 => Event::Genesis(Box::new(self.genesis()?)),
            4 => Event::Mutation(self.mutation()?),
            5 => Event::Denial(Box::new(self.denial()?)),
            6 => Event::Denials(list(&mut need(key::COUNTED)?, |d| self.counted(d))?),
            7 => Event::Hold(list(&mut need(key::HOLDS)?, |d| {
                arity(d, 2)?;
                Ok((self.rule_of(d.str()?)?, d.bool()?))
            })?),
            8 => Event::Idle(self.rule()?),
            9 => Event::Spawn(Box::new(Spawned {
                rule: self.rule()?,
                step: need(key::STEP)?.u32()?,
                schema: hash(&mut need(key::SCHEMA)?)?,
                behaviour: self.behaviour()?,
                allotment: self.allotment()?,
            })),
            10 => Event::Sleep {
                rule: self.rule()?,
                until: self.entries.get(key::UNTIL).map(|mut d| d.i64().map(Timestamp)).transpose()?,
            },
            11 => Event::Wake,
            12 => Event::Retry {
                rule: self.rule()?,
                attempt: need(key::ATTEMPTS)?.u32()?,
                due: Timestamp(need(key::UNTIL)?.i64()?),
            },
            13 => Event::Quarantine,
            14 => Event::Release(signature(&mut need(key::BY)?)?),
            15 => Event::Seal(signature(&mut need(key::BY)?)?),
            16 => Event::Terminate(self.rule()?),
            17 => Event::Policy(Box::new(policy(&mut need(key::POLICY)?)?)),
            18 => Event::Pause { since: Timestamp(need(key::SINCE)?.i64()?) },
            19 => Event::Outcome(self.outcome()?),
            22 => Event::Upgrade(Box::new(self.upgrade()?)),
            20 => Event::ChildEnded {
                child: need(key::CHILD)?.str()?.into(),
                part: self
                    .allotment()?
                    .ok_or_else(|| DecodeError::Malformed("key 20 is missing".to_owned()))?,
            },
            21 => Event::Clock {
                since: Timestamp(need(key::SINCE)?.i64()?),
                signature: self
                    .entries
                    .get(key::BY)
                    .map(|mut d| signature(&mut d).map(Box::new))
                    .transpose()?,
            },
            other => return malformed(format!("kind {other} is unknown")),
        })
    }

    fn host(&self) -> Result<HostGenesis> {
        let need = |number| self.entries.need(number);
        let version = need(key::VERSION)?.u64()?;
        if version != super::FORMAT_VERSION {
            return Err(DecodeError::Version(version));
        }
        Ok(HostGenesis {
            identity: need(key::HOST)?.str()?.into(),
            log_key: fixed(&mut need(key::LOG_KEY)?)?,
            origin: need(key::ORIGIN)?.str()?.into(),
            certificate: fixed(&mut need(key::CERTIFICATE)?)?,
            replayed: need(key::REPLAYED)?.bool()?,
        })
    }

    fn progress(&self) -> Result<Progress> {
        let mut cursors = Vec::new();
        let mut d = self.entries.need(key::CURSORS)?;
        for _ in 0..length(d.map()?)? {
            cursors.push((d.str()?.into(), d.bytes()?.into()));
        }
        let pending = list(&mut self.entries.need(key::PENDING)?, |d| {
            arity(d, 2)?;
            Ok((d.u32()?, list(d, pending_one)?))
        })?;
        Ok(Progress { cursors, pending })
    }

    fn genesis(&self) -> Result<Genesis> {
        let parent = |mut d: Decoder<'_>| {
            arity(&mut d, 2)?;
            Ok::<_, DecodeError>((d.str()?.into(), hash(&mut d)?))
        };
        Ok(Genesis {
            host: self.entries.need(key::HOST)?.str()?.into(),
            schema: hash(&mut self.entries.need(key::SCHEMA)?)?,
            behaviour: self.behaviour()?,
            policy: policy(&mut self.entries.need(key::POLICY)?)?,
            parent: self.entries.get(key::PARENT).map(parent).transpose()?,
            depth: self.entries.need(key::DEPTH)?.u32()?,
            allotment: self.allotment()?,
            values: self.slots(&mut self.entries.need(key::CHANGES)?)?,
        })
    }

    fn upgrade(&self) -> Result<Upgrade> {
        let change = |mut is: Decoder<'_>| {
            Ok::<_, DecodeError>(SchemaChange {
                was: hash(&mut self.entries.need(key::WAS)?)?,
                is: hash(&mut is)?,
                memory: self.slots(&mut self.entries.need(key::CHANGES)?)?,
            })
        };
        Ok(Upgrade {
            behaviour: self.behaviour()?,
            schema: self.entries.get(key::SCHEMA).map(change).transpose()?,
            reverts: self.entries.get(key::OF).map(|mut d| d.u64()).transpose()?,
            signature: signature(&mut self.entries.need(key::BY)?)?,
        })
    }

    fn mutation(&self) -> Result<Mutated> {
        let mutation = self.mutation_of(self.entries.need(key::MUTATION)?.str()?)?;
        let ty = self
            .schema
            .and_then(|s| s.mutations.get(usize::from(mutation.0)))
            .map(|m| Arc::clone(&m.args))
            .unwrap_or_default();
        let effect = self
            .entries
            .get(key::EFFECT)
            .map(|mut d| list(&mut d, |d| Ok(untyped_to_json(&decode_any(d)?))))
            .transpose()?;
        Ok(Mutated {
            mutation,
            caller: self.caller()?,
            rule: self.maybe_rule()?,
            step: self.entries.get(key::STEP).map(|mut d| d.u32()).transpose()?,
            args: ty.decode(&mut self.entries.need(key::ARGS)?)?,
            changes: self.slots(&mut self.entries.need(key::CHANGES)?)?,
            cost: self.entries.get(key::COST).map_or(Ok(0), |mut d| d.u64())?,
            effect: effect.map(Into::into),
        })
    }

    fn denial(&self) -> Result<Denied> {
        let mut args = Vec::new();
        let mut d = self.entries.need(key::ARGS)?;
        for _ in 0..length(d.map()?)? {
            args.push((d.str()?.into(), decode_any(&mut d)?));
        }
        let mut reason = self.entries.need(key::REASON)?;
        arity(&mut reason, 4)?;
        Ok(Denied {
            mutation: self.entries.get(key::MUTATION).map(|mut d| self.mutation_of(d.str()?)).transpose()?,
            caller: self.caller()?,
            rule: self.maybe_rule()?,
            step: self.entries.get(key::STEP).map(|mut d| d.u32()).transpose()?,
            args,
            reason: Reason {
                code: code(&mut reason)?,
                place: place(&mut reason)?,
                value: if null(&mut reason)? { None } else { Some(reason.str()?.into()) },
                message: reason.str()?.into(),
            },
            affordable_at: self
                .entries
                .get(key::AFFORDABLE_AT)
                .map(|mut d| d.i64().map(Timestamp))
                .transpose()?,
        })
    }

    fn outcome(&self) -> Result<Outcome> {
        let status = match self.entries.need(key::STATUS)?.u8()? {
            0 => OutcomeStatus::Delivered,
            1 => OutcomeStatus::Failed,
            2 => OutcomeStatus::Abandoned,
            3 => OutcomeStatus::Simulated,
            other => return malformed(format!("outcome {other} is unknown")),
        };
        Ok(Outcome {
            of: self.entries.need(key::OF)?.u64()?,
            status,
            attempts: self.entries.need(key::ATTEMPTS)?.u32()?,
            message: self.entries.get(key::MESSAGE).map(|mut d| d.str().map(Into::into)).transpose()?,
        })
    }

    fn counted(&self, d: &mut Decoder<'_>) -> Result<Counted> {
        arity(d, 5)?;
        arity(d, 3)?;
        let mutation = if null(d)? { None } else { Some(self.mutation_of(d.str()?)?) };
        let key = DenialKey { mutation, code: code(d)?, place: place(d)? };
        let (count, last, own) = tally(d)?;
        let chosen = list(d, |d| {
            arity(d, 3)?;
            Ok((self.rule_of(d.str()?)?, Timestamp(d.i64()?), maybe_time(d)?))
        })?;
        Ok(Counted { key, count, last, own, chosen })
    }

    fn caller(&self) -> Result<Caller> {
        let mut by = self.entries.get(key::BY);
        let kind = self.entries.need(key::CALLER)?.u8()?;
        let name = |by: &mut Option<Decoder<'_>>| match by {
            Some(d) => Ok::<Arc<str>, DecodeError>(d.str()?.into()),
            None => malformed("key 9 is missing".to_owned()),
        };
        Ok(match (kind, &mut by) {
            (0, None) => Caller::Rule,
            (0, Some(_)) => Caller::SafeState,
            (1, _) => Caller::Behaviour,
            (2, by) => Caller::Observation(name(by)?),
            (3, Some(d)) => Caller::Operator(Box::new(signature(d)?)),
            (4, by) => Caller::Component(name(by)?),
            (5, by) => Caller::Parent(name(by)?),
            _ => return malformed(format!("caller {kind} is unknown")),
        })
    }

    fn allotment(&self) -> Result<Option<Allotment>> {
        self.entries.get(key::ALLOTMENT).map(|mut d| allotment(&mut d)).transpose()
    }

    fn behaviour(&self) -> Result<Option<Behaviour>> {
        let read = |mut d: Decoder<'_>| {
            arity(&mut d, 2)?;
            Ok(Behaviour { component: hash(&mut d)?, config: hash(&mut d)? })
        };
        self.entries.get(key::BEHAVIOUR).map(read).transpose()
    }

    fn rule(&self) -> Result<RuleIx> {
        self.rule_of(self.entries.need(key::RULE)?.str()?)
    }

    fn maybe_rule(&self) -> Result<Option<RuleIx>> {
        self.entries.get(key::RULE).map(|mut d| self.rule_of(d.str()?)).transpose()
    }

    fn rule_of(&self, name: &str) -> Result<RuleIx> {
        let found = self.schema.and_then(|schema| schema.rule(name));
        found.ok_or_else(|| DecodeError::UnknownName { what: "rule", name: name.to_owned() })
    }

    fn mutation_of(&self, name: &str) -> Result<MutationIx> {
        let found = self.schema.and_then(|schema| schema.mutation(name));
        found.ok_or_else(|| DecodeError::UnknownName { what: "mutation", name: name.to_owned() })
    }

    fn slots(&self, d: &mut Decoder<'_>) -> Result<Vec<(Slot, Value)>> {
        let count = length(d.map()?)?;
        let mut slots = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let name = d.str()?;
            let found = self.schema.and_then(|s| Some((s.memory.slot(name)?, &s.memory)));
            let Some((slot, field)) = found.and_then(|(slot, memory)| Some((slot, memory.get(slot)?))) else {
                return Err(DecodeError::UnknownName { what: "field", name: name.to_owned() });
            };
            slots.push((slot, field.ty.decode(d)?));
        }
        Ok(slots)
    }
}

pub(crate) fn policy(d: &mut Decoder<'_>) -> Result<Policy> {
    arity(d, 3)?;
    let operators = list(d, |d| {
        arity(d, 2)?;
        Ok(Operator { name: d.str()?.into(), key: fixed(d)? })
    })?;
    let links = list(d, |d| {
        arity(d, 3)?;
        Ok(Grant {
            target: d.str()?.into(),
            interface: d.str()?.into(),
            functions: list(d, |d| Ok(d.str()?.into()))?,
        })
    })?;
    arity(d, 4)?;
    let limits = Limits { inbox: d.u32()?, effects: d.u32()?, depth: d.u32()?, children: d.u32()? };
    Ok(Policy { operators, links, limits })
}

pub(crate) fn allotment(d: &mut Decoder<'_>) -> Result<Allotment> {
    arity(d, 4)?;
    Ok(Allotment { budget: d.u64()?, level: d.u64()?, refill: d.u64()?, per: Span(d.i64()?) })
}

fn signature(d: &mut Decoder<'_>) -> Result<Signature> {
    arity(d, 4)?;
    Ok(Signature { name: d.str()?.into(), key: fixed(d)?, counter: d.u64()?, signature: fixed(d)? })
}

/// Counted denials as [`super::encode::write_pending`] writes them.
pub(crate) fn pending_one(d: &mut Decoder<'_>) -> Result<Counted> {
    arity(d, 7)?;
    let mutation = if null(d)? { None } else { Some(MutationIx(d.u16()?)) };
    let key = DenialKey { mutation, code: code(d)?, place: place(d)? };
    let (count, last, own) = tally(d)?;
    let chosen = list(d, |d| {
        arity(d, 3)?;
        Ok((RuleIx(d.u16()?), Timestamp(d.i64()?), maybe_time(d)?))
    })?;
    Ok(Counted { key, count, last, own, chosen })
}

fn tally(d: &mut Decoder<'_>) -> Result<(u64, Timestamp, Vec<Timestamp>)> {
    Ok((d.u64()?, Timestamp(d.i64()?), list(d, |d| Ok(Timestamp(d.i64()?)))?))
}

fn code(d: &mut Decoder<'_>) -> Result<Code> {
    const CODES: [Code; 13] = [
        Code::Status,
        Code::Caller,
        Code::Signature,
        Code::Argument,
        Code::Requires,
        Code::Evaluation,
        Code::Bounds,
        Code::Invariant,
        Code::Effect,
        Code::Slope,
        Code::Drift,
        Code::Spawn,
        Code::Act,
    ];
    let number = d.u8()?;
    CODES
        .get(usize::from(number))
        .copied()
        .ok_or_else(|| DecodeError::Malformed(format!("code {number} is unknown")))
}

fn place(d: &mut Decoder<'_>) -> Result<Place> {
    let count = length(d.array()?)?;
    Ok(match (d.u8()?, count) {
        (0, 1) => Place::Object,
        (1, 2) => Place::Field(d.str()?.into()),
        (2, 2) => Place::Argument(d.str()?.into()),
        (3, 2) => Place::Expression(d.str()?.into()),
        (other, _) => return malformed(format!("place {other} is unknown")),
    })
}

fn hash(d: &mut Decoder<'_>) -> Result<Hash> {
    fixed(d).map(Hash)
}

fn fixed<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N]> {
    let bytes = d.bytes()?;
    bytes
        .try_into()
        .map_err(|_| DecodeError::Malformed(format!("{} bytes stand where {N} belong", bytes.len())))
}

fn maybe_time(d: &mut Decoder<'_>) -> Result<Option<Timestamp>> {
    if null(d)? { Ok(None) } else { Ok(Some(Timestamp(d.i64()?))) }
}

fn null(d: &mut Decoder<'_>) -> Result<bool> {
    let is = d.datatype()? == Type::Null;
    if is {
        d.null()?;
    }
    Ok(is)
}

pub(crate) fn arity(d: &mut Decoder<'_>, count: u64) -> Result<()> {
    match d.array()? {
        Some(found) if found == count => Ok(()),
        _ => malformed(format!("a list of {count} belongs here")),
    }
}

pub(crate) fn length(found: Option<u64>) -> Result<usize> {
    found
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| DecodeError::Malformed("a length is missing".to_owned()))
}

pub(crate) fn list<T>(
    d: &mut Decoder<'_>,
    mut one: impl FnMut(&mut Decoder<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = length(d.array()?)?;
    let mut items = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        items.push(one(d)?);
    }
    Ok(items)
}
