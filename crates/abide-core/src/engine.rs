//! The engine: every object of a host, and the tick that gives each its turn.
//!
//! [`Engine::tick`] takes what came in and the clock, and fills a [`Frame`] with the records of the tick. It does no I/O:
//! the shell appends the frame to the log, flushes it, and only then lets anyone see what happened.

mod reset;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use crate::admission::{Granted, missing_behaviour};
use crate::clock::Clock;
use crate::cycle::{Child, Cycle, End, Input, Verdict, World, check_first_values, due_after};
use crate::field::Slot;
use crate::frame::Frame;
use crate::guest::{Behaviour, Guest};
use crate::object::Object;
use crate::policy::Policy;
use crate::record::decode::{self, DecodeError};
use crate::record::encode::encode;
use crate::record::{Event, Genesis, HOST, Hash, HostGenesis, Progress, Reason, Record, SchemaKnown};
use crate::schema::Schema;
use crate::state::Status;
use crate::time::Timestamp;
use crate::value::Value;

/// Something for an object, in the order it came in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The number of the object.
    pub object: u32,
    /// What it is.
    pub input: Input,
    /// The shell's mark, to find the verdict by.
    pub ticket: u64,
}

/// An object to begin.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its id.
    pub id: Arc<str>,
    /// Its schema.
    pub schema: Arc<Schema>,
    /// Its behaviour, where the schema has acts.
    pub behaviour: Option<Behaviour>,
    /// Its policy.
    pub policy: Policy,
    /// Its first values.
    pub values: Vec<(Slot, Value)>,
}

/// Why an object cannot begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BeginError {
    /// The id is taken.
    #[error("object `{0}` exists already")]
    Exists(Arc<str>),
    /// The id has other characters, or is too long.
    #[error("`{0}` cannot be an object's id: write 1 to 128 letters, digits, `.`, `_` or `-`")]
    Id(Arc<str>),
    /// A first value is not admitted by the schema.
    #[error("object `{id}`: {}", reason.message)]
    Value {
        /// The object.
        id: Arc<str>,
        /// What is wrong with it.
        reason: Reason,
    },
    /// The schema has acts and there is no behaviour, or the other way round.
    #[error("object `{id}`: {what}")]
    Behaviour {
        /// The object.
        id: Arc<str>,
        /// What is wrong.
        what: &'static str,
    },
    /// No more numbers.
    #[error("a host holds at most 4,294,967,295 objects")]
    Full,
}

/// Why a record cannot follow those before it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FoldError {
    /// Its bytes are not a record.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It does not name the record before it.
    #[error("record {seq} of `{object}` does not follow the one before it")]
    Chain {
        /// In whose lineage.
        object: Arc<str>,
        /// Its number.
        seq: u64,
    },
    /// It is of an object that has no genesis, or of a schema that is not in the log.
    #[error("record {seq} of `{object}` has no beginning in this log")]
    Orphan {
        /// In whose lineage.
        object: Arc<str>,
        /// Its number.
        seq: u64,
    },
}

/// Every object of a host.
#[derive(Debug)]
pub struct Engine {
    pub(crate) host: HostGenesis,
    /// The hash of record 0.
    pub(crate) host_genesis: Hash,
    pub(crate) host_length: u64,
    /// Whether records of the host's own lineage may be left out, as they are of a bundle.
    host_gaps: bool,
    pub(crate) host_head: Hash,
    pub(crate) clock: Clock,
    /// The last counter of each key that reset the clock.
    pub(crate) clock_counters: BTreeMap<[u8; 32], u64>,
    pub(crate) objects: Vec<Object>,
    numbers: BTreeMap<Arc<str>, u32>,
    pub(crate) schemas: BTreeMap<Hash, Arc<Schema>>,
    /// By name, the schemas that children get, each with its behaviour.
    names: BTreeMap<Arc<str>, (Arc<Schema>, Option<Behaviour>)>,
    pub(crate) cursors: BTreeMap<Arc<str>, Arc<[u8]>>,
    /// Objects whose counted denials the host's lineage does not hold yet.
    pub(crate) uncommitted: Vec<u32>,
    /// A bit for each object that the next tick must give a turn.
    hot: Vec<u64>,
    timers: BinaryHeap<Reverse<(Timestamp, u32)>>,
    due: Vec<Option<Timestamp>>,
    evaluate_all: bool,
}

impl Engine {
    /// A new host: its record 0 goes into the frame.
    #[must_use]
    pub fn begin(host: HostGenesis, clock: Clock, frame: &mut Frame) -> Self {
        frame.clear(clock);
        let mut engine = Self::empty(host.clone(), clock);
        engine.record(Event::Host(Box::new(host)), frame);
        engine.host_genesis = engine.host_head;
        engine
    }

    pub(crate) fn empty(host: HostGenesis, clock: Clock) -> Self {
        Self {
            host,
            host_genesis: Hash::default(),
            host_length: 0,
            host_gaps: false,
            host_head: Hash::default(),
            clock,
            clock_counters: BTreeMap::new(),
            objects: Vec::new(),
            numbers: BTreeMap::new(),
            schemas: BTreeMap::new(),
            names: BTreeMap::new(),
            cursors: BTreeMap::new(),
            uncommitted: Vec::new(),
            hot: Vec::new(),
            timers: BinaryHeap::new(),
            due: Vec::new(),
            evaluate_all: false,
        }
    }

    /// Evaluates every rule of every object at every tick. The acts are the same; it is how that is shown.
    pub fn evaluate_all(&mut self, all: bool) {
        self.evaluate_all = all;
    }

    /// The host's own first record.
    #[must_use]
    pub fn host(&self) -> &HostGenesis {
        &self.host
    }

    /// The length and the last hash of the host's own lineage.
    #[must_use]
    pub fn host_lineage(&self) -> (u64, Hash) {
        (self.host_length, self.host_head)
    }

    /// The last tick.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Moves the clock on for what is done between ticks: objects that begin, schemas that become known.
    pub fn set_clock(&mut self, clock: Clock) {
        debug_assert!(clock >= self.clock, "time does not run backwards");
        self.clock = clock;
    }

    /// Every object, in the order of their numbers.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object of that id.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<&Object> {
        self.by_number(*self.numbers.get(id)?)
    }

    /// The object of that number.
    #[must_use]
    pub fn by_number(&self, number: u32) -> Option<&Object> {
        self.objects.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Every schema in the log, by digest.
    #[must_use]
    pub fn schemas(&self) -> &BTreeMap<Hash, Arc<Schema>> {
        &self.schemas
    }

    /// Where a source stands.
    #[must_use]
    pub fn cursor(&self, source: &str) -> Option<&[u8]> {
        self.cursors.get(source).map(|cursor| &**cursor)
    }

    /// The first time after the last tick at which something is due.
    #[must_use]
    pub fn next_due(&mut self) -> Option<Timestamp> {
        // Folded records do not tell of the ticks that made none: what was due by now had its turn in one of those.
        self.wake_due(self.clock.time);
        while let Some(Reverse((at, number))) = self.timers.peek().copied() {
            if self.due_of(number) == Some(at) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// Makes a schema known, so that objects may have it, and children, with the behaviour that goes with it. It is recorded
    /// where either is new.
    pub fn know(&mut self, schema: Arc<Schema>, behaviour: Option<Behaviour>, frame: &mut Frame) {
        if !self.knows(&schema, behaviour) {
            let canonical = schema.canonical.clone().into();
            self.record(Event::Schema(SchemaKnown { canonical, behaviour, for_upgrade: false }), frame);
            self.learn(schema, behaviour);
        }
    }

    /// Makes a schema known that an object is upgraded to. Children go on to get the one that they had.
    fn know_for_upgrade(&mut self, schema: &Arc<Schema>, frame: &mut Frame) {
        let digest = Hash(schema.digest);
        if !self.schemas.contains_key(&digest) {
            let canonical = schema.canonical.clone().into();
            self.record(Event::Schema(SchemaKnown { canonical, behaviour: None, for_upgrade: true }), frame);
            self.schemas.insert(digest, Arc::clone(schema));
        }
    }

    /// Whether a schema is known, with that behaviour for children.
    #[must_use]
    pub fn knows(&self, schema: &Schema, behaviour: Option<Behaviour>) -> bool {
        self.names
            .get(&schema.name)
            .is_some_and(|(known, with)| known.digest == schema.digest && *with == behaviour)
    }

    /// Takes up a schema that the log holds.
    pub(crate) fn learn(&mut self, schema: Arc<Schema>, behaviour: Option<Behaviour>) {
        self.schemas.insert(Hash(schema.digest), Arc::clone(&schema));
        self.names.insert(Arc::clone(&schema.name), (schema, behaviour));
    }

    /// The schemas of the log; of each name the one that children get comes last.
    pub(crate) fn schemas_in_order(&self) -> Vec<(&Arc<Schema>, Option<Behaviour>)> {
        let known = |schema: &Arc<Schema>| match self.names.get(&schema.name) {
            Some((current, behaviour)) if current.digest == schema.digest => (true, *behaviour),
            _ => (false, None),
        };
        let mut all: Vec<_> = self.schemas.values().map(|schema| (schema, known(schema))).collect();
        all.sort_by_key(|(_, (is_current, _))| *is_current);
        all.into_iter().map(|(schema, (_, behaviour))| (schema, behaviour)).collect()
    }

    /// Whether an object could begin: its id, and its first values.
    ///
    /// # Errors
    /// When the id is taken or malformed, or a first value is not admitted.
    pub fn check_beginning(&self, beginning: &Beginning) -> Result<(), BeginError> {
        let Beginning { id, schema, values, .. } = beginning;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if id.is_empty() || id.len() > 128 || !id.bytes().all(allowed) {
            return Err(BeginError::Id(Arc::clone(id)));
        }
        if self.numbers.contains_key(id) {
            return Err(BeginError::Exists(Arc::clone(id)));
        }
        if let Some(what) = missing_behaviour(schema, beginning.behaviour) {
            return Err(BeginError::Behaviour { id: Arc::clone(id), what });
        }
        check_first_values(schema, values, self.clock.time)
            .map_err(|reason| BeginError::Value { id: Arc::clone(id), reason })
    }

    /// Begins an object. Its first cycle is the next tick.
    ///
    /// # Errors
    /// As [`Engine::check_beginning`].
    pub fn begin_object(&mut self, beginning: Beginning, frame: &mut Frame) -> Result<(), BeginError> {
        self.check_beginning(&beginning)?;
        let Beginning { id, schema, behaviour, policy, values } = beginning;
        self.know(Arc::clone(&schema), behaviour, frame);
        let genesis = Genesis {
            host: Arc::clone(&self.host.identity),
            schema: Hash(schema.digest),
            behaviour,
            policy,
            parent: None,
            depth: 0,
            allotment: None,
            values,
        };
        self.add(id, schema, genesis, frame).ok_or(BeginError::Full)
    }

    /// Gives every object that has something to do its turn, in the order of their numbers.
    ///
    /// `arrivals` is drained; what is for no object is dropped; what the sources' cursors are after it is given beside it. `paused_since` is the time of the
    /// tick before, when the host did not tick for a while. Every verdict comes with its ticket, in the order of turns.
    pub fn tick(
        &mut self,
        clock: Clock,
        arrivals: &mut Vec<Arrival>,
        cursors: Vec<(Arc<str>, Arc<[u8]>)>,
        paused_since: Option<Timestamp>,
        guest: &dyn Guest,
        frame: &mut Frame,
    ) -> Vec<(u64, Verdict)> {
        debug_assert!(clock.time > self.clock.time, "time neither stands still nor runs backwards");
        self.clock = clock;
        frame.clear(clock);
        arrivals.retain(|arrival| arrival.object > 0);
        // What waits was asked under the schema in force: another one takes force after it.
        arrivals.sort_by_key(|arrival| (arrival.object, arrival.input.changes_schema()));
        self.wake_due(clock.time);
        let mut verdicts = Vec::with_capacity(arrivals.len());
        let mut inbox = arrivals.drain(..).peekable();
        let existing = self.objects.len();
        let mut index = 0;
        while let Some(next) =
            self.next_turn(index, inbox.peek().map(|a| a.object), paused_since.is_some(), existing)
        {
            index = next + 1;
            let Some(number) = self.objects.get(next).map(|object| object.number) else { break };
            if let Some(since) = paused_since {
                self.cycle(next, guest, frame).into_iter().for_each(|mut cycle| cycle.pause(since));
            }
            while let Some(arrival) = inbox.next_if(|arrival| arrival.object == number) {
                self.know_schema_of(next, &arrival.input, frame);
                let Some(mut cycle) = self.cycle(next, guest, frame) else { break };
                verdicts.push((arrival.ticket, cycle.inspect(arrival.input)));
            }
            let Some(end) = self.cycle(next, guest, frame).map(Cycle::run) else { break };
            self.end_turn(next, end, frame);
        }
        drop(inbox);
        self.record_progress(cursors, frame);
        verdicts
    }

    /// The turn of an object at hand.
    fn cycle<'a>(
        &'a mut self,
        index: usize,
        guest: &'a dyn Guest,
        frame: &'a mut Frame,
    ) -> Option<Cycle<'a>> {
        let object = self.objects.get_mut(index)?;
        Some(Cycle::new(object, self.clock, World { schemas: &self.names, guest }, frame))
    }

    /// Makes the schema known that an input puts in force, if it will: its record goes before the object's.
    fn know_schema_of(&mut self, index: usize, input: &Input, frame: &mut Frame) {
        let (Some(object), Input::Operate(request), true) =
            (self.objects.get(index), input, input.changes_schema())
        else {
            return;
        };
        if let Ok(Granted { schema: Some(schema), .. }) =
            request.act.admit(object, &request.signature, self.clock.time)
        {
            self.know_for_upgrade(&schema, frame);
        }
    }

    /// The index of the next object that has a turn: it is hot, or something came in for it.
    fn next_turn(&self, from: usize, arrival: Option<u32>, all: bool, existing: usize) -> Option<usize> {
        if all || self.evaluate_all {
            return (from < existing).then_some(from);
        }
        let arrival = arrival.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        let mut word = from / 64;
        let mut bits = self.hot.get(word).map_or(0, |bits| bits & (u64::MAX << (from % 64)));
        let hot = loop {
            if bits != 0 {
                break Some(word * 64 + usize::try_from(bits.trailing_zeros()).unwrap_or(0));
            }
            word += 1;
            match self.hot.get(word) {
                Some(next) => bits = *next,
                None => break None,
            }
        };
        hot.into_iter().chain(arrival).min().filter(|index| *index < existing)
    }

    fn end_turn(&mut self, index: usize, end: End, frame: &mut Frame) {
        self.set_hot(index, end.hot);
        self.reschedule(index);
        for Child { id, schema, genesis } in end.children {
            self.add(id, schema, genesis, frame);
        }
        if end.terminated {
            self.return_to_parent(index, frame);
        }
    }

    fn return_to_parent(&mut self, index: usize, frame: &mut Frame) {
        let clock = self.clock;
        let Some(child) = self.objects.get(index) else { return };
        let Some(parent) = child.parent.as_ref().and_then(|id| self.numbers.get(id)).copied() else { return };
        let part = child.leaves(clock.time);
        let child = Arc::clone(&child.id);
        let Some(parent_index) = usize::try_from(parent).ok().and_then(|n| n.checked_sub(1)) else { return };
        if let Some(parent) = self.objects.get_mut(parent_index)
            && !matches!(parent.state.status, Status::Terminated)
        {
            parent.end_child(child, part, clock, frame);
            self.set_hot(parent_index, true);
            self.reschedule(parent_index);
        }
    }

    /// Begins an object that has passed every check. `None` when there are no numbers left.
    fn add(&mut self, id: Arc<str>, schema: Arc<Schema>, genesis: Genesis, frame: &mut Frame) -> Option<()> {
        let number = u32::try_from(self.objects.len()).ok()?.checked_add(1)?;
        let object = Object::begin(Arc::clone(&id), number, schema, genesis, self.clock, frame);
        self.insert(id, object);
        Some(())
    }

    pub(crate) fn insert(&mut self, id: Arc<str>, object: Object) {
        let index = self.objects.len();
        self.numbers.insert(id, object.number);
        self.objects.push(object);
        self.due.push(None);
        self.hot.resize(self.objects.len().div_ceil(64), 0);
        self.set_hot(index, true);
        self.reschedule(index);
    }

    fn set_hot(&mut self, index: usize, hot: bool) {
        if let Some(bits) = self.hot.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *bits = if hot { *bits | bit } else { *bits & !bit };
        }
    }

    fn due_of(&self, number: u32) -> Option<Timestamp> {
        self.due.get(usize::try_from(number).ok()?.checked_sub(1)?).copied().flatten()
    }

    fn reschedule(&mut self, index: usize) {
        let Some(object) = self.objects.get(index) else { return };
        let next = due_after(object, self.clock.time);
        if let Some(due) = self.due.get_mut(index)
            && *due != next
        {
            *due = next;
            if let Some(at) = next {
                self.timers.push(Reverse((at, object.number)));
            }
        }
    }

    /// Everything that is due by `now` gets a turn.
    fn wake_due(&mut self, now: Timestamp) {
        while let Some(Reverse((at, number))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(index) = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)) else { continue };
            if let Some(due) = self.due.get_mut(index)
                && *due == Some(at)
            {
                *due = None;
                self.set_hot(index, true);
                self.reschedule(index);
            }
        }
    }

    /// How far the sources are, and what is counted and not recorded: it goes into the host's own lineage, whenever
    /// something else is committed or a source moved on.
    fn record_progress(&mut self, cursors: Vec<(Arc<str>, Arc<[u8]>)>, frame: &mut Frame) {
        self.uncommitted.append(&mut frame.counted);
        if !frame.is_empty() || !cursors.is_empty() {
            self.write_progress(cursors, frame);
        }
    }

    /// Records the denials that are counted and not recorded yet in the host's own lineage, at a stop.
    pub fn save_progress(&mut self, frame: &mut Frame) {
        self.write_progress(Vec::new(), frame);
    }

    fn write_progress(&mut self, cursors: Vec<(Arc<str>, Arc<[u8]>)>, frame: &mut Frame) {
        self.uncommitted.sort_unstable();
        self.uncommitted.dedup();
        let uncommitted = std::mem::take(&mut self.uncommitted);
        let pending = uncommitted.into_iter().filter_map(|number| {
            let counted = self.by_number(number)?.state.pending.clone();
            (!counted.is_empty()).then_some((number, counted))
        });
        let progress = Progress { pending: pending.collect(), cursors };
        if progress == Progress::default() {
            return;
        }
        for (source, cursor) in &progress.cursors {
            self.cursors.insert(Arc::clone(source), Arc::clone(cursor));
        }
        self.record(Event::Progress(Box::new(progress)), frame);
    }

    fn record(&mut self, event: Event, frame: &mut Frame) {
        let record = Record {
            object: HOST.into(),
            seq: self.host_length,
            prev: (self.host_length > 0).then_some(self.host_head),
            tick: self.clock.tick,
            time: self.clock.time,
            force: 0,
            event,
        };
        self.host_head = frame.push(0, |out| encode(&record, None, out));
        self.host_length += 1;
    }

    /// Begins an engine from record 0 of a log.
    ///
    /// # Errors
    /// When it is not the first record of a host.
    pub fn recover(bytes: &[u8]) -> Result<Self, FoldError> {
        let record = decode::decode(bytes, None)?;
        let Event::Host(host) = record.event else {
            return Err(FoldError::Orphan { object: record.object, seq: record.seq });
        };
        let mut engine = Self::empty(*host, Clock { tick: record.tick, time: record.time });
        engine.host_length = 1;
        engine.host_head = Hash::of_record(bytes);
        engine.host_genesis = engine.host_head;
        Ok(engine)
    }

    /// From now on, records of the host's own lineage may be left out of what is folded: a bundle has not all of them.
    pub fn allow_host_gaps(&mut self) {
        self.host_gaps = true;
    }

    /// Folds the next record of the log into the engine. The number of a record's object is checked against the log's.
    ///
    /// # Errors
    /// When the record does not decode, or does not follow the one before it in its lineage.
    pub fn fold(&mut self, bytes: &[u8], hash: Hash) -> Result<(), FoldError> {
        let header = decode::header(bytes)?;
        if &*header.object == HOST {
            return self.fold_host(bytes, hash);
        }
        let orphan = || FoldError::Orphan { object: Arc::clone(&header.object), seq: header.seq };
        match header.prev {
            None => {
                let schema = header.schema.and_then(|digest| self.schemas.get(&digest)).map(Arc::clone);
                let schema = schema.ok_or_else(orphan)?;
                let record = decode::decode(bytes, Some(&schema))?;
                let Event::Genesis(genesis) = &record.event else { return Err(orphan()) };
                let number = u32::try_from(self.objects.len() + 1).map_err(|_| orphan())?;
                if self.numbers.contains_key(&record.object) {
                    return Err(FoldError::Chain { object: record.object, seq: record.seq });
                }
                let id = Arc::clone(&record.object);
                self.clock = Clock { tick: record.tick, time: record.time };
                self.insert(Arc::clone(&id), Object::bound(id, number, schema, genesis, hash, record.time));
            }
            Some(prev) => {
                let number = self.numbers.get(&header.object).copied().ok_or_else(orphan)?;
                let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).ok_or_else(orphan)?;
                let object = self.objects.get_mut(index).ok_or_else(orphan)?;
                if prev != object.head || header.seq != object.length {
                    return Err(FoldError::Chain { object: Arc::clone(&header.object), seq: header.seq });
                }
                let schema = match (header.puts_in_force(), header.was) {
                    (Some(is), Some(was)) if was == Hash(object.schema.digest) => {
                        Arc::clone(self.schemas.get(&is).ok_or_else(orphan)?)
                    }
                    (Some(_), _) => return Err(orphan()),
                    (None, _) => Arc::clone(&object.schema),
                };
                let record = decode::decode(bytes, Some(&schema))?;
                object.fold(&record, hash, &schema);
                self.clock = Clock { tick: record.tick, time: record.time };
                self.set_hot(index, true);
                self.reschedule(index);
            }
        }
        Ok(())
    }

    fn fold_host(&mut self, bytes: &[u8], hash: Hash) -> Result<(), FoldError> {
        let record = decode::decode(bytes, None)?;
        let follows = record.prev == Some(self.host_head) && record.seq == self.host_length;
        let is_gap = self.host_gaps && record.seq > self.host_length;
        if !(follows || is_gap) {
            return Err(FoldError::Chain { object: record.object, seq: record.seq });
        }
        match record.event {
            Event::Schema(known) => {
                let schema = Schema::from_canonical(&known.canonical)
                    .map_err(|_| FoldError::Orphan { object: Arc::clone(&record.object), seq: record.seq })?;
                if known.for_upgrade {
                    self.schemas.insert(Hash(schema.digest), Arc::new(schema));
                } else {
                    self.learn(Arc::new(schema), known.behaviour);
                }
            }
            Event::Progress(progress) => {
                self.uncommitted.clear();
                for (source, cursor) in progress.cursors {
                    self.cursors.insert(source, cursor);
                }
                for (number, counted) in progress.pending {
                    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
                    if let Some(object) = index.and_then(|index| self.objects.get_mut(index)) {
                        let schema = Arc::clone(&object.schema);
                        object.state.resume_pending(&schema, counted);
                    }
                    if let Some(index) = index {
                        self.reschedule(index);
                    }
                }
            }
            Event::Clock { signature: Some(signature), .. } => {
                self.clock_counters.insert(signature.key, signature.counter);
            }
            _ => {}
        }
        self.clock = Clock { tick: record.tick, time: record.time };
        self.host_length = record.seq + 1;
        self.host_head = hash;
        Ok(())
    }
}
