//! The state of an object, and the fold: how each record changes it.
//!
//! INVARIANT: [`State::apply`] and, for an upgrade, `State::upgrade` are all that changes a state, live and in replay
//! alike; so the state is the fold of the lineage. What stands beside it is [`State::pending`], which is the fold of the host's own lineage.

mod shift;
mod upgrade;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::field::Slot;
use crate::record::{
    Caller, Code, Counted, DenialKey, Denied, Event, Genesis, Hash, Mutated, Record, Signature,
};
use crate::schema::{Micro, MutationIx, Refill, Rule, RuleIx, Schema};
use crate::slope::{Allotment, Bucket};
use crate::time::{Span, Timestamp};
use crate::value::Value;

pub use upgrade::{Before, Previous, RebaseError, Rebased};

/// What an object may do, as its lineage left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Fields are still without a value: its rules do not run.
    Incomplete = 0,
    /// Its rules run.
    Active = 1,
    /// Its rules wait for a time or a condition.
    Sleeping = 2,
    /// Too many denials of its own doing: it admits observations and operators only.
    Quarantined = 3,
    /// Closed by an operator: it admits nothing.
    Sealed = 4,
    /// Ended by itself: it admits nothing.
    Terminated = 5,
}

impl Status {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Active => "active",
            Self::Sleeping => "sleeping",
            Self::Quarantined => "quarantined",
            Self::Sealed => "sealed",
            Self::Terminated => "terminated",
        }
    }

    /// Whether the object will never act again.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Sealed | Self::Terminated)
    }
}

/// All that an object's next cycle depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The typed fields, in the order of the schema's memory; `Null` in a field that is not nullable is a gap.
    pub memory: Vec<Value>,
    /// See [`Status`].
    pub status: Status,
    /// The slope's bucket; `None`: no bound.
    pub bucket: Option<Bucket>,
    /// What was spent that a smaller budget, or none, had no room for, in millionths: a greater one begins with it.
    pub owed: Micro,
    /// The value each field under `drift` is measured from, in the order of the schema's `drift`.
    pub drift_from: Vec<f64>,
    /// What the rules remember, in the order of the schema's rules.
    pub rules: Vec<RuleMemory>,
    /// Of a sleeping object: the rule that put it to sleep, and until when, if it is a time.
    pub sleep: Option<(RuleIx, Option<Timestamp>)>,
    /// The last counter of each operator's key.
    pub counters: BTreeMap<[u8; 32], u64>,
    /// When the first of each kind of denial was recorded in full.
    pub denied: BTreeMap<DenialKey, Timestamp>,
    /// When denials of the object's own doing were, of those that still count towards a quarantine.
    pub own_denials: Vec<Timestamp>,
    /// Effects without an outcome, by the number of the record that ordered them.
    pub effects: BTreeMap<u64, PendingEffect>,
    /// Children alive, by id.
    pub children: BTreeMap<Arc<str>, Allotment>,
    /// Denials that are counted and not recorded yet.
    pub pending: Vec<Counted>,
    /// What was in force before the last upgrade; none where that was a reversal.
    pub previous: Option<Box<Previous>>,
}

/// The end of time: when a slope can pay that never can.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// What a rule remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleMemory {
    /// When it was last chosen.
    pub chosen_at: Option<Timestamp>,
    /// Whether a record changed a field that its guard reads since it was chosen, or it never was chosen.
    pub fresh: bool,
    /// Since when its guard holds, of a rule with `for`.
    pub held_since: Option<Timestamp>,
    /// How often in a row it asked to be tried again, and when it is ready for that.
    pub retry: Option<(u32, Timestamp)>,
    /// When the slope can pay for what it was denied; the end of time when it never can, unless a child gives back.
    pub affordable_at: Option<Timestamp>,
}

impl Default for RuleMemory {
    fn default() -> Self {
        Self { chosen_at: None, fresh: true, held_since: None, retry: None, affordable_at: None }
    }
}

/// An effect that was ordered and has no outcome yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEffect {
    /// The mutation that it belongs to.
    pub mutation: MutationIx,
    /// The hash of the record that ordered it: its idempotency key.
    pub key: Hash,
    /// The tick in which it was ordered.
    pub tick: u64,
    /// When it was ordered.
    pub time: Timestamp,
    /// Its arguments.
    pub args: Arc<[serde_json::Value]>,
}

impl RuleMemory {
    /// Whether the rule may be chosen at `now` if its guard holds.
    #[must_use]
    pub fn ready(&self, rule: &Rule, now: Timestamp) -> bool {
        let regular = match rule.every {
            Some(every) => self.chosen_at.is_none_or(|at| at.saturating_add(every) <= now),
            None => self.fresh,
        };
        regular
            || self.retry.is_some_and(|(_, due)| due <= now)
            || self.affordable_at.is_some_and(|due| due <= now)
    }

    /// Whether the guard has held long enough.
    #[must_use]
    pub fn held(&self, rule: &Rule, now: Timestamp) -> bool {
        rule.held_for
            .is_none_or(|span| self.held_since.is_some_and(|since| since.saturating_add(span) <= now))
    }

    /// The times after `now` at which the rule may become ready, or have held long enough.
    pub fn due_after<'a>(&'a self, rule: &'a Rule, now: Timestamp) -> impl Iterator<Item = Timestamp> + 'a {
        let plus = |at: Option<Timestamp>, span: Option<Span>| {
            at.zip(span).map(|(at, span)| at.saturating_add(span))
        };
        [
            plus(self.chosen_at, rule.every),
            plus(self.held_since, rule.held_for),
            self.retry.map(|(_, due)| due),
            self.affordable_at,
        ]
        .into_iter()
        .flatten()
        .filter(move |due| *due > now && *due < NEVER)
    }

    /// The rule is chosen, which uses its readiness up. The steps of one act say so each, and the first one counts: what
    /// they change after it makes the rule ready again.
    fn choose(&mut self, at: Timestamp) {
        if self.chosen_at == Some(at) {
            return;
        }
        self.chosen_at = Some(at);
        self.fresh = false;
        self.affordable_at = None;
        self.retry = None;
    }
}

impl State {
    /// The state that a genesis record begins.
    #[must_use]
    pub fn new(schema: &Schema, genesis: &Genesis, at: Timestamp) -> Self {
        let mut memory: Vec<Value> = schema
            .memory
            .fields
            .iter()
            .map(|field| field.ty.default.clone().unwrap_or(Value::Null))
            .collect();
        for (slot, value) in &genesis.values {
            put(&mut memory, *slot, value.clone());
        }
        let mut state = Self {
            memory,
            status: Status::Incomplete,
            bucket: bucket(schema, genesis.allotment.as_ref(), at),
            owed: 0,
            drift_from: schema.trust_slope.drift.iter().map(|drift| drift.from).collect(),
            rules: vec![RuleMemory::default(); schema.rules.len()],
            sleep: None,
            counters: BTreeMap::new(),
            denied: BTreeMap::new(),
            own_denials: Vec::new(),
            effects: BTreeMap::new(),
            children: BTreeMap::new(),
            pending: Vec::new(),
            previous: None,
        };
        state.complete(schema);
        state
    }

    /// Folds one record, whose hash is given beside it, into the state. An upgrade is folded by its object, which has what
    /// was in force: see [`crate::object::Object::fold`].
    pub fn apply(&mut self, schema: &Schema, record: &Record, hash: Hash) {
        let at = record.time;
        match &record.event {
            Event::Mutation(mutated) => self.apply_mutation(schema, record, hash, mutated),
            Event::Denial(denied) => self.apply_denial(schema, at, denied),
            Event::Denials(counted) => {
                self.resume_pending(schema, counted.clone());
                self.pending.clear();
            }
            Event::Hold(holds) => {
                for (rule, held) in holds {
                    if let Some(memory) = self.rule_mut(*rule) {
                        memory.held_since = held.then_some(at);
                    }
                }
            }
            Event::Idle(rule) => self.choose(*rule, at),
            Event::Spawn(spawned) => {
                self.choose(spawned.rule, at);
                if let (Some(part), Some(bucket)) = (&spawned.allotment, self.bucket)
                    && let Some((rest, _)) = bucket.divide(part.budget, part.refill, at)
                {
                    self.bucket = Some(rest);
                }
                let none = Allotment { budget: 0, level: 0, refill: 0, per: Span::ZERO };
                self.children.insert(
                    hash.of_child(spawned.step).to_string().into(),
                    spawned.allotment.unwrap_or(none),
                );
            }
            Event::Sleep { rule, until } => {
                self.choose(*rule, at);
                self.sleep = Some((*rule, *until));
                self.status = Status::Sleeping;
            }
            Event::Wake => {
                self.sleep = None;
                self.status = Status::Active;
            }
            Event::Retry { rule, attempt, due } => {
                self.choose(*rule, at);
                if let Some(memory) = self.rule_mut(*rule) {
                    memory.retry = Some((*attempt, *due));
                }
            }
            Event::Quarantine => {
                self.status = Status::Quarantined;
                self.sleep = None;
                self.own_denials.clear();
            }
            Event::Release(signature) => {
                self.count_operator(signature);
                self.status = Status::Incomplete;
                self.complete(schema);
                for memory in &mut self.rules {
                    memory.held_since = None;
                }
            }
            Event::Seal(signature) => {
                self.count_operator(signature);
                self.status = Status::Sealed;
            }
            Event::Terminate(rule) => {
                self.choose(*rule, at);
                self.status = Status::Terminated;
            }
            Event::Pause { since } => self.skip_missed(schema, *since, at),
            Event::Clock { since, .. } => self.set_back(since.since(at)),
            Event::Outcome(outcome) => {
                self.effects.remove(&outcome.of);
            }
            Event::ChildEnded { child, part } => {
                self.children.remove(child);
                self.bucket = self.bucket.map(|bucket| bucket.rejoin(part, at));
                // The slope can pay for more now: what was denied for want of it is tried again.
                for memory in &mut self.rules {
                    memory.affordable_at = memory.affordable_at.map(|due| due.min(at));
                }
            }
            Event::Genesis(_)
            | Event::Upgrade(_)
            | Event::Policy(_)
            | Event::Host(_)
            | Event::Schema(_)
            | Event::Progress(_) => {}
        }
    }

    /// The fields that have no value yet.
    pub fn gaps<'a>(&'a self, schema: &'a Schema) -> impl Iterator<Item = &'a Arc<str>> + 'a {
        let slots = schema.memory.fields.iter().zip(&self.memory);
        slots
            .filter(|(field, value)| !field.ty.nullable && matches!(value, Value::Null))
            .map(|(field, _)| &field.name)
    }

    /// What of the slope was given to children, and has not come back: of a child that ended before its own children, that is what
    /// they have. Its level is of no account. `None` without a bound.
    #[must_use]
    pub fn lent(&self, schema: &Schema, allotment: Option<&Allotment>) -> Option<Allotment> {
        let (own, whole) = (self.bucket?, bucket(schema, allotment, Timestamp(0))?);
        let (refill, per) = whole.refill.map_or((0, Span::ZERO), |whole| {
            (whole.amount.saturating_sub(own.refill.map_or(0, |own| own.amount)), whole.per)
        });
        Some(Allotment { budget: whole.capacity.saturating_sub(own.capacity), level: 0, refill, per })
    }

    /// The window in which denials of one kind are counted rather than recorded.
    #[must_use]
    pub fn denial_window(schema: &Schema) -> Span {
        schema.trust_slope.quarantine.map_or(Span::from_secs(3600), |quarantine| quarantine.within)
    }

    fn apply_mutation(&mut self, schema: &Schema, record: &Record, hash: Hash, mutated: &Mutated) {
        let at = record.time;
        if let Some(rule) = mutated.rule {
            self.choose(rule, at);
        }
        if let Caller::Operator(signature) = &mutated.caller {
            self.count_operator(signature);
            self.move_drift(schema, &mutated.changes);
        }
        if mutated.cost > 0 {
            self.bucket = self.bucket.map(|bucket| bucket.charge(mutated.cost, at).unwrap_or(bucket));
        }
        for (slot, value) in &mutated.changes {
            put(&mut self.memory, *slot, value.clone());
        }
        for (rule, memory) in schema.rules.iter().zip(&mut self.rules) {
            memory.fresh |= mutated.changes.iter().any(|(slot, _)| rule.when.reads().contains(*slot));
        }
        if let Some(args) = &mutated.effect {
            let (mutation, args, tick) = (mutated.mutation, Arc::clone(args), record.tick);
            self.effects.insert(record.seq, PendingEffect { mutation, key: hash, tick, time: at, args });
        }
        self.complete(schema);
    }

    fn apply_denial(&mut self, schema: &Schema, at: Timestamp, denied: &Denied) {
        let key = DenialKey {
            mutation: denied.mutation,
            code: denied.reason.code,
            place: denied.reason.place.clone(),
        };
        self.denied.retain(|_, since| since.saturating_add(Self::denial_window(schema)) > at);
        self.denied.insert(key, at);
        if denied.counts_as_own() {
            self.count_own(schema, at);
        }
        if let (Some(rule), Some(_)) = (denied.rule, denied.step) {
            self.choose(rule, at);
            if let Some(memory) = self.rule_mut(rule) {
                memory.affordable_at = affordable(denied.reason.code, denied.affordable_at);
            }
        }
    }

    /// Folds what counted denials did, in the order of their times, which is the order they were counted in.
    fn apply_counts(&mut self, schema: &Schema, counted: &[Counted]) {
        let mut own: Vec<Timestamp> = counted.iter().flat_map(|one| one.own.iter().copied()).collect();
        own.sort_unstable();
        for at in own {
            self.count_own(schema, at);
        }
        let chosen = counted.iter().flat_map(|one| one.chosen.iter().map(|chosen| (one.key.code, *chosen)));
        let mut chosen: Vec<_> = chosen.collect();
        chosen.sort_by_key(|(_, (_, at, _))| *at);
        for (code, (rule, at, affordable_at)) in chosen {
            self.choose(rule, at);
            if let Some(memory) = self.rule_mut(rule) {
                memory.affordable_at = affordable(code, affordable_at);
            }
        }
    }

    /// Folds what of these counted denials was counted before a time: how an object stood at the start of a tick that
    /// records them.
    pub fn resume_counts_before(&mut self, schema: &Schema, counted: &[Counted], end: Timestamp) {
        let before = counted.iter().map(|one| Counted {
            own: one.own.iter().copied().filter(|at| *at < end).collect(),
            chosen: one.chosen.iter().copied().filter(|(_, at, _)| *at < end).collect(),
            ..one.clone()
        });
        self.apply_counts(schema, &before.collect::<Vec<_>>());
    }

    /// Puts one more denial among those that are counted and not recorded yet.
    pub(crate) fn count(&mut self, schema: &Schema, at: Timestamp, denied: &Denied) {
        let key = DenialKey {
            mutation: denied.mutation,
            code: denied.reason.code,
            place: denied.reason.place.clone(),
        };
        let one = Counted {
            key,
            count: 1,
            last: at,
            own: if denied.counts_as_own() && schema.trust_slope.quarantine.is_some() {
                vec![at]
            } else {
                Vec::new()
            },
            chosen: denied
                .rule
                .filter(|_| denied.step.is_some())
                .map(|r| (r, at, denied.affordable_at))
                .into_iter()
                .collect(),
        };
        self.apply_counts(schema, std::slice::from_ref(&one));
        match self.pending.iter_mut().find(|known| known.key == one.key) {
            Some(known) => {
                known.count += 1;
                known.last = at;
                known.own.extend(one.own);
                for (rule, at, affordable_at) in one.chosen {
                    known.chosen.retain(|(r, ..)| *r != rule);
                    known.chosen.push((rule, at, affordable_at));
                }
            }
            None => self.pending.push(one),
        }
    }

    /// Takes up counted denials as the host's own lineage holds them: all that were counted since the last record.
    pub fn resume_pending(&mut self, schema: &Schema, pending: Vec<Counted>) {
        let news = pending.iter().map(|one| {
            let known =
                self.pending.iter().find(|known| known.key == one.key).map_or(0, |known| known.own.len());
            Counted { own: one.own.get(known..).unwrap_or_default().to_vec(), ..one.clone() }
        });
        let news: Vec<Counted> = news.collect();
        self.apply_counts(schema, &news);
        self.pending = pending;
    }

    fn count_own(&mut self, schema: &Schema, at: Timestamp) {
        let Some(quarantine) = schema.trust_slope.quarantine else { return };
        self.own_denials.retain(|then| then.saturating_add(quarantine.within) > at);
        self.own_denials.push(at);
    }

    fn count_operator(&mut self, signature: &Signature) {
        self.counters.insert(signature.key, signature.counter);
    }

    fn choose(&mut self, rule: RuleIx, at: Timestamp) {
        if let Some(memory) = self.rule_mut(rule) {
            memory.choose(at);
        }
    }

    fn rule_mut(&mut self, rule: RuleIx) -> Option<&mut RuleMemory> {
        self.rules.get_mut(usize::from(rule.0))
    }

    fn complete(&mut self, schema: &Schema) {
        if self.status == Status::Incomplete && self.gaps(schema).next().is_none() {
            self.status = Status::Active;
        }
    }

    fn move_drift(&mut self, schema: &Schema, changes: &[(Slot, Value)]) {
        for (drift, from) in schema.trust_slope.drift.iter().zip(&mut self.drift_from) {
            if let Some((_, value)) = changes.iter().find(|(slot, _)| *slot == drift.field) {
                *from = numeric(value).unwrap_or(*from);
            }
        }
    }

    fn skip_missed(&mut self, schema: &Schema, since: Timestamp, now: Timestamp) {
        for (rule, memory) in schema.rules.iter().zip(&mut self.rules) {
            let Some((at, every)) = memory.chosen_at.zip(rule.every) else { continue };
            let due = at.saturating_add(every);
            if due > since && due <= now && every.0 > 0 {
                let periods = now.since(at).0 / every.0;
                memory.chosen_at = Some(at.saturating_add(Span(periods.saturating_mul(every.0))));
            }
        }
    }
}

/// When a rule that was denied may be chosen again for want of slope alone.
fn affordable(code: Code, at: Option<Timestamp>) -> Option<Timestamp> {
    at.or((code == Code::Slope).then_some(NEVER))
}

impl Denied {
    /// Whether it counts towards a quarantine: it is of the object's own doing.
    #[must_use]
    pub fn counts_as_own(&self) -> bool {
        matches!(self.caller, Caller::Rule | Caller::Behaviour)
    }
}

/// The number that a numeric value stands for.
#[must_use]
pub fn numeric(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a distance is measured in floating point")]
        Value::Int(n) => Some(*n as f64),
        Value::Num(n) => Some(*n),
        _ => None,
    }
}

fn put(memory: &mut [Value], slot: Slot, value: Value) {
    if let Some(place) = memory.get_mut(usize::from(slot.0)) {
        *place = value;
    }
}

/// The bucket that an object begins with: its schema's, and of a child no more than its parent gave.
fn bucket(schema: &Schema, part: Option<&Allotment>, at: Timestamp) -> Option<Bucket> {
    let own = schema.trust_slope.budget.map(|budget| Bucket::full(budget, schema.trust_slope.refill, at));
    let Some(part) = part else { return own };
    let given = Refill { amount: part.refill, per: part.per };
    let (capacity, refill) = match own {
        Some(own) => (own.capacity.min(part.budget), own.refill.map(|refill| slower(refill, given))),
        None => (part.budget, Some(given)),
    };
    Some(Bucket { level: part.level.min(capacity), ..Bucket::full(capacity, refill, at) })
}

fn slower(a: Refill, b: Refill) -> Refill {
    let rate = |one: Refill, other: Refill| u128::from(one.amount) * u128::from(other.per.0.unsigned_abs());
    if rate(a, b) <= rate(b, a) { a } else { b }
}
