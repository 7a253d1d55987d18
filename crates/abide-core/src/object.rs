//! An object: its identity, what is in force for it, its state, and the end of its lineage.

use std::sync::Arc;

use crate::clock::Clock;
use crate::frame::Frame;
use crate::guest::Behaviour;
use crate::policy::Policy;
use crate::record::encode::encode;
use crate::record::{Event, Genesis, Hash, Record};
use crate::schema::Schema;
use crate::slope::Allotment;
use crate::state::State;
use crate::time::{Span, Timestamp};

/// One object as its lineage left it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its id, unique on its host.
    pub id: Arc<str>,
    /// Its number in the log: the order of its genesis, from 1. The host itself is 0.
    pub number: u32,
    /// The schema in force.
    pub schema: Arc<Schema>,
    /// The behaviour in force, where the schema has acts.
    pub behaviour: Option<Behaviour>,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The hash of its genesis record.
    pub genesis: Hash,
    /// Its parent's id.
    pub parent: Option<Arc<str>>,
    /// How many generations stand above it.
    pub depth: u32,
    /// What it was given out of its parent's slope.
    pub allotment: Option<Allotment>,
    /// See [`State`].
    pub state: State,
    /// How many records its lineage has.
    pub length: u64,
    /// The hash of the last one.
    pub head: Hash,
    /// The time of the last one.
    pub changed_at: Timestamp,
    /// The number of the record that put schema and behaviour in force.
    pub force: u64,
}

impl Object {
    /// Begins an object: its genesis record goes into the frame.
    #[must_use]
    pub fn begin(
        id: Arc<str>,
        number: u32,
        schema: Arc<Schema>,
        genesis: Genesis,
        clock: Clock,
        frame: &mut Frame,
    ) -> Self {
        let mut object = Self::bound(id, number, schema, &genesis, Hash::default(), clock.time);
        object.length = 0;
        object.push(Event::Genesis(Box::new(genesis)), clock, frame);
        object.genesis = object.head;
        object
    }

    /// The object that a recorded genesis begins.
    #[must_use]
    pub fn bound(
        id: Arc<str>,
        number: u32,
        schema: Arc<Schema>,
        genesis: &Genesis,
        hash: Hash,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            number,
            behaviour: genesis.behaviour,
            policy: Arc::new(genesis.policy.clone()),
            genesis: hash,
            parent: genesis.parent.as_ref().map(|(parent, _)| Arc::clone(parent)),
            depth: genesis.depth,
            allotment: genesis.allotment,
            state: State::new(&schema, genesis, at),
            schema,
            length: 1,
            head: hash,
            changed_at: at,
            force: 0,
        }
    }

    /// Records an event: counted denials go before it, then it is encoded, hashed and folded into the state.
    pub(crate) fn record(&mut self, event: Event, clock: Clock, frame: &mut Frame) {
        self.record_pending(clock, frame);
        self.push(event, clock, frame);
    }

    /// Records the denials that are counted and not recorded yet.
    pub(crate) fn record_pending(&mut self, clock: Clock, frame: &mut Frame) {
        let counted = frame.counted_for_next(std::mem::take(&mut self.state.pending));
        if !counted.is_empty() {
            self.push(Event::Denials(counted), clock, frame);
        }
    }

    /// Records that a child ended, and takes back what it leaves of the slope.
    pub fn end_child(&mut self, child: Arc<str>, part: Allotment, clock: Clock, frame: &mut Frame) {
        self.record(Event::ChildEnded { child, part }, clock, frame);
    }

    /// What the object, which ends at `at`, leaves of what its parent gave it: less what it gave on, and has not come back.
    #[must_use]
    pub fn leaves(&self, at: Timestamp) -> Allotment {
        let none = Allotment { budget: 0, level: 0, refill: 0, per: Span::ZERO };
        let Some(given) = self.allotment else { return none };
        let lent = self.state.lent(&self.schema, Some(&given)).unwrap_or(none);
        Allotment {
            budget: given.budget.saturating_sub(lent.budget),
            level: self.state.bucket.map_or(0, |bucket| bucket.at(at).level),
            refill: given.refill.saturating_sub(lent.refill_per(given.per)),
            per: given.per,
        }
    }

    /// As [`Object::record`], for an upgrade that puts another schema in force.
    pub(crate) fn record_under(
        &mut self,
        event: Event,
        schema: Option<&Arc<Schema>>,
        clock: Clock,
        frame: &mut Frame,
    ) {
        self.record_pending(clock, frame);
        self.push_under(event, schema, clock, frame);
    }

    /// Folds a record that was read back: its hash, the record, and the schema in force after it.
    pub fn fold(&mut self, record: &Record, hash: Hash, schema: &Arc<Schema>) {
        debug_assert_eq!(record.seq, self.length, "a lineage is folded in order");
        self.advance(record, hash, Some(schema));
    }

    fn push(&mut self, event: Event, clock: Clock, frame: &mut Frame) {
        self.push_under(event, None, clock, frame);
    }

    /// Records an event; `schema` is the one in force after it, where that is another.
    fn push_under(&mut self, event: Event, schema: Option<&Arc<Schema>>, clock: Clock, frame: &mut Frame) {
        let prev = (self.length > 0).then_some(self.head);
        let record = Record {
            object: Arc::clone(&self.id),
            seq: self.length,
            prev,
            tick: clock.tick,
            time: clock.time,
            force: self.force,
            event,
        };
        let after = schema.unwrap_or(&self.schema);
        let hash = frame.push(self.number, |out| encode(&record, Some(after), out));
        if matches!(record.event, Event::Denials(_)) {
            // The counts were folded when they were counted; folding their record again would count them twice.
            self.step(hash, record.time);
        } else {
            self.advance(&record, hash, schema);
        }
        frame.note(self.number, record);
    }

    fn advance(&mut self, record: &Record, hash: Hash, schema: Option<&Arc<Schema>>) {
        match &record.event {
            Event::Policy(policy) => self.policy = Arc::new((**policy).clone()),
            Event::Upgrade(upgrade) => {
                let (was, allotment) = ((&self.schema, self.behaviour), self.allotment.as_ref());
                let is = schema.unwrap_or(&self.schema);
                self.state.upgrade(was, is, record, upgrade, allotment);
                if let Some(schema) = schema {
                    self.schema = Arc::clone(schema);
                }
                self.behaviour = upgrade.behaviour;
                self.force = record.seq;
            }
            _ => self.state.apply(&self.schema, record, hash),
        }
        self.step(hash, record.time);
    }

    fn step(&mut self, hash: Hash, at: Timestamp) {
        self.head = hash;
        self.length += 1;
        self.changed_at = at;
    }
}
