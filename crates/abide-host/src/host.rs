//! A host: its engine, its log, and what stands between them. One tick at a time, whoever drives the clock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use abide_core::admission::{OperatorAct, OperatorRequest};
use abide_core::clock::Clock;
use abide_core::cycle::{Input, Verdict};
use abide_core::engine::{Arrival, BeginError, Beginning, Engine, FoldError};
use abide_core::frame::Frame;
use abide_core::guest::{Behaviour, LogLine};
use abide_core::policy::Policy;
use abide_core::record::{Hash, HostGenesis, Signature};
use abide_core::reset::ResetError;
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_store::{
    AppendError, BlobError, Commit, Disk, Entry, FileDisk, Frames, Log, LogOptions, LogReader, OpenError,
    Position, ReadError, SignerError, Snapshot, SnapshotError,
};

use crate::ask::{AskError, observation};
use crate::behaviour::{Behaviours, Compiler};
use crate::effect;
use crate::flusher::Flusher;
use crate::keys::{Keys, KeysError};
use crate::transitions::Transitions;

/// Records after which a snapshot is written, so that a start has at most this many to fold.
const SNAPSHOT_EVERY_RECORDS: usize = 250_000;
/// Most bytes that the records of upgrades in one tick may take: a quarter of what a commit may have. Each of them holds a whole
/// memory.
const UPGRADE_BYTES_MAX: u64 = 1 << 28;
/// Most bytes of such a record beside the memory.
const UPGRADE_HEAD_BYTES_MAX: u64 = 1 << 12;

/// Why a host cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record of the log does not follow those before it.
    #[error(
        "the log is damaged at record {leaf}: {source}; nothing was changed: restore the data folder from a copy"
    )]
    Fold {
        /// The record's number in the log.
        leaf: u64,
        /// Why not.
        #[source]
        source: FoldError,
    },
    /// A commit did not reach the disk. The host writes no more.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A snapshot did not reach the disk.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A key is missing or malformed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An object cannot begin.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// A component cannot be kept in the store.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A log cannot be named or signed so.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// An observation names what is not there.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What an operator asks to put in force cannot be.
    #[error("{0}")]
    Upgrade(String),
    /// The clock is not reset. Nothing was changed.
    #[error(transparent)]
    Reset(#[from] ResetError),
    /// The store was made with another kind of clock.
    #[error(
        "the store has {had} clock, and this run has {has} clock; give this run a data folder of its own"
    )]
    ClockKind {
        /// The store's.
        had: &'static str,
        /// The run's.
        has: &'static str,
    },
    /// Another identity made the store.
    #[error(
        "the store belongs to the host `{had}`, and the keys in use are those of `{has}`; use its own keys (`--keys`)"
    )]
    Identity {
        /// The store's.
        had: Arc<str>,
        /// The keys'.
        has: Arc<str>,
    },
    /// The thread that brings commits to the disk cannot start, or is gone.
    #[error(
        "the thread that writes the log cannot go on ({0}); start the host again: what was acknowledged is on the disk"
    )]
    Flusher(String),
    /// An object's inbox is full.
    #[error("the inbox of `{object}` is full: {waiting} wait for the next tick already; ask again after it")]
    InboxFull {
        /// Whose.
        object: Arc<str>,
        /// How many wait.
        waiting: u32,
    },
}

/// What one tick came to.
#[derive(Debug)]
pub struct Ticked {
    /// The tick.
    pub clock: Clock,
    /// How many records it made.
    pub records: usize,
    /// How many mutations of rules are among them.
    pub acts: usize,
    /// How many denials there were, recorded in full or counted.
    pub denials: usize,
    /// What became of each input, by its ticket.
    pub verdicts: Vec<(u64, Verdict)>,
    /// The effects it ordered, which are now durable.
    pub effects: Vec<effect::Request>,
    /// What its acts wrote to their logs, with the object's id.
    pub log: Vec<(Arc<str>, LogLine)>,
}

/// A running host.
///
/// ```
/// use abide_core::time::Timestamp;
/// use abide_host::{Host, keys::Keys};
///
/// let folder = tempfile::tempdir()?;
/// let keys = Keys::open(&folder.path().join("keys"))?;
/// let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
/// let mut host = Host::open_folder(&folder.path().join("data"), &keys, false, start)?;
/// host.add_object("lamp", r"
/// schema: abide/v1
/// name: lamp
/// version: 1.0.0
/// fields: { lux: { type: number, minimum: 0, maximum: 200000 }, on: { type: boolean, default: false } }
/// mutations:
///   observe: { from: [observation], args: { lux: { $ref: '#/fields/lux' } }, set: { lux: args.lux } }
///   switch: { from: [rule], args: { on: { $ref: '#/fields/on' } }, set: { on: args.on } }
/// rules:
///   - { name: dark, when: self.lux < 10 && !self.on, then: { mutate: switch, args: { on: true } } }
/// ")?;
/// host.observe("lamp", "observe", &serde_json::json!({ "lux": 3 }))?;
/// host.tick(start.saturating_add(abide_core::time::Span::from_secs(1)))?;
/// assert_eq!(host.memory("lamp"), Some(serde_json::json!({ "lux": 3.0, "on": true })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Host {
    engine: Engine,
    behaviours: Arc<Behaviours>,
    frame: Frame,
    /// Stands before the log: its work ends before the log gives up the store's lock.
    flusher: Option<Flusher>,
    log: Log,
    inbox: Vec<Arrival>,
    /// Upgrades for which the next tick has no room: they are in the ticks after it.
    held: VecDeque<Arrival>,
    /// Most bytes that the records of the upgrades in the inbox may take.
    upgrade_bytes: u64,
    /// How much waits in each inbox, by the number of the object.
    waiting: Vec<u32>,
    tickets: u64,
    unsnapped: usize,
    late_ticks: u64,
    /// How far resets set the clock back since [`Host::take_set_back`].
    set_back: Span,
    recovered: Recovered,
    /// Schemas that were asked for and are not in the log.
    schemas: BTreeMap<Hash, Arc<Schema>>,
    transitions: Transitions,
    /// The tick whose commit is on its way to the disk.
    under_way: Option<UnderWay>,
    /// A tick that is durable, and that nobody was told of yet.
    landed: Option<Ticked>,
    /// The last tick that is durable.
    shown: Clock,
}

/// A tick that nobody may know of yet.
#[derive(Debug)]
struct UnderWay {
    ticked: Ticked,
    /// Whether it has a commit: a tick without records has none.
    in_flight: bool,
}

/// What opening a host came upon.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Whether the store was there before.
    pub existed: bool,
    /// Records that were folded onto the snapshot.
    pub records: u64,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
}

impl Host {
    /// Opens the host in a data folder, or makes one there.
    ///
    /// # Errors
    /// When the store is in use, damaged, or of another host or clock.
    pub fn open_folder(
        folder: &Path,
        keys: &Keys,
        replayed: bool,
        start: Timestamp,
    ) -> Result<Self, HostError> {
        Self::open(Arc::new(FileDisk::new(folder)), keys, replayed, start)
    }

    /// Opens the host on a disk, or makes one there. `replayed` says whether sources drive the clock; `start` is the time
    /// of a new host's first record.
    ///
    /// # Errors
    /// As [`Host::open_folder`].
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: &Keys,
        replayed: bool,
        start: Timestamp,
    ) -> Result<Self, HostError> {
        Self::open_log(disk, LogOptions::new(keys.signer()?), keys, replayed, start)
    }

    /// As [`Host::open`], with the log written as the options say.
    ///
    /// # Errors
    /// As [`Host::open_folder`].
    pub fn open_log(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        keys: &Keys,
        replayed: bool,
        start: Timestamp,
    ) -> Result<Self, HostError> {
        let genesis = keys.host_genesis(replayed)?;
        match Log::open(Arc::clone(&disk), options.clone()) {
            Ok((log, recovery)) => {
                let (engine, records) = match recover(recovery.snapshot.as_ref(), |from| log.frames(from))? {
                    Some(recovered) => recovered,
                    None => return Self::create(log, genesis, start),
                };
                check_same_host(engine.host(), &genesis)?;
                let recovered = Recovered { existed: true, records, cut_bytes: recovery.cut_bytes };
                Ok(Self::new(engine, log, recovered))
            }
            Err(OpenError::Missing { .. }) => Self::create(Log::create(disk, options)?, genesis, start),
            Err(error) => Err(error.into()),
        }
    }

    fn create(log: Log, genesis: HostGenesis, start: Timestamp) -> Result<Self, HostError> {
        let mut frame = Frame::new(Arc::clone(&genesis.identity));
        let engine = Engine::begin(genesis, Clock { tick: 0, time: start }, &mut frame);
        let mut host = Self::new(engine, log, Recovered::default());
        host.frame = frame;
        host.commit()?;
        Ok(host)
    }

    fn new(engine: Engine, log: Log, recovered: Recovered) -> Self {
        let frame = Frame::new(Arc::clone(&engine.host().identity));
        let unsnapped = usize::try_from(recovered.records).unwrap_or(usize::MAX);
        Self {
            shown: engine.clock(),
            behaviours: Arc::new(Behaviours::new(log.blobs(), Arc::default())),
            engine,
            frame,
            log,
            inbox: Vec::new(),
            held: VecDeque::new(),
            upgrade_bytes: 0,
            waiting: Vec::new(),
            tickets: 0,
            unsnapped,
            late_ticks: 0,
            set_back: Span::ZERO,
            recovered,
            flusher: None,
            schemas: BTreeMap::new(),
            transitions: Transitions::default(),
            under_way: None,
            landed: None,
        }
    }

    /// What opening it came upon.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The objects and their states.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The log, to be read.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The behaviours beside its log.
    #[must_use]
    pub fn behaviours(&self) -> &Behaviours {
        &self.behaviours
    }

    /// Compiles components with that compiler from here on, so that compiled ones may be kept.
    pub fn set_compiler(&mut self, compiler: Arc<Compiler>) {
        self.behaviours = Arc::new(Behaviours::new(self.log.blobs(), compiler));
    }

    /// Evaluates every rule of every object at every tick: see [`Engine::evaluate_all`].
    pub fn evaluate_all(&mut self, all: bool) {
        self.engine.evaluate_all(all);
    }

    /// When something is due next.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        self.engine.next_due()
    }

    /// The last tick that is durable: the one that may be shown.
    #[must_use]
    pub fn shown_clock(&self) -> Clock {
        self.shown
    }

    /// The time of the last tick.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.engine.clock().time
    }

    /// Begins an object with its schema's text and no first values, no operators and no links.
    ///
    /// # Errors
    /// When the schema has errors, or the object cannot begin.
    pub fn add_object(&mut self, id: &str, schema: &str) -> Result<(), HostError> {
        let (schema, _) = Schema::load(schema).map_err(|diagnostics| AskError::Schema(diagnostics.into()))?;
        let beginning = Beginning {
            id: id.into(),
            schema: Arc::new(schema),
            behaviour: None,
            policy: Policy::default(),
            values: Vec::new(),
        };
        self.begin(&[], &[beginning])
    }

    /// Begins objects, all or none, in one commit of its own, and makes schemas known that their children may have. When
    /// nothing is new, nothing is committed.
    ///
    /// # Errors
    /// When one of the objects cannot begin; then none does.
    pub fn begin(&mut self, schemas: &[Known], beginnings: &[Beginning]) -> Result<(), HostError> {
        for one in beginnings {
            self.engine.check_beginning(one)?;
        }
        let known = |(schema, behaviour): &Known| self.engine.knows(schema, *behaviour);
        if beginnings.is_empty() && schemas.iter().all(known) {
            return Ok(());
        }
        self.land()?;
        let clock = self.engine.clock();
        let clock = clock.next(clock.time);
        self.engine.set_clock(clock);
        self.frame.clear(clock);
        for (schema, behaviour) in schemas {
            self.engine.know(Arc::clone(schema), *behaviour, &mut self.frame);
        }
        for one in beginnings {
            self.engine.begin_object(one.clone(), &mut self.frame)?;
        }
        self.commit()
    }

    /// Leaves the store as a clean stop should: what is counted and not recorded is kept, and a snapshot.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> Result<(), HostError> {
        self.land()?;
        if !self.engine.host().replayed {
            let clock = self.engine.clock();
            self.frame.clear(clock);
            self.engine.save_progress(&mut self.frame);
            self.commit()?;
        }
        self.snapshot()
    }

    /// How many ticks came late since the start.
    #[must_use]
    pub fn late_ticks(&self) -> u64 {
        self.late_ticks
    }

    pub(crate) fn count_late(&mut self, ticks: u64) {
        self.late_ticks += ticks;
    }

    /// Puts an observation in an object's inbox, its arguments given as a JSON object.
    ///
    /// # Errors
    /// When the object, the mutation or an argument does not exist, or the inbox is full.
    pub fn observe(
        &mut self,
        object: &str,
        mutation: &str,
        args: &serde_json::Value,
    ) -> Result<u64, HostError> {
        let (number, request) = observation(&self.engine, object, mutation, args, "host")?;
        self.submit(number, Input::Ask(request))
    }

    /// Puts something in an object's inbox; the ticket finds its verdict. That comes with the next tick; of an upgrade, which
    /// has the whole memory in its record, with a later one where so many are asked for that they would not go into a commit.
    ///
    /// # Errors
    /// When the inbox is full.
    pub fn submit(&mut self, object: u32, input: Input) -> Result<u64, HostError> {
        if !matches!(input, Input::Outcome(..) | Input::Policy(_)) {
            if self.room(object) == 0 {
                let found = self.engine.by_number(object);
                let (object, waiting) =
                    found.map_or(("?".into(), 0), |o| (Arc::clone(&o.id), o.policy.limits.inbox));
                return Err(HostError::InboxFull { object, waiting });
            }
            let index = usize::try_from(object).unwrap_or(usize::MAX);
            if self.waiting.len() <= index {
                self.waiting.resize(self.engine.objects().len() + 1, 0);
            }
            if let Some(waiting) = self.waiting.get_mut(index) {
                *waiting += 1;
            }
        }
        self.tickets += 1;
        let arrival = Arrival { object, input, ticket: self.tickets };
        if self.record_bytes_max(&arrival) > 0 {
            self.held.push_back(arrival);
            self.take_held();
        } else {
            self.inbox.push(arrival);
        }
        Ok(self.tickets)
    }

    /// Moves upgrades to the inbox, as many as the next tick has room for; one at least.
    fn take_held(&mut self) {
        while let Some(arrival) = self.held.front() {
            let bytes = self.upgrade_bytes.saturating_add(self.record_bytes_max(arrival));
            if self.upgrade_bytes > 0 && bytes > UPGRADE_BYTES_MAX {
                return;
            }
            self.upgrade_bytes = bytes;
            self.inbox.extend(self.held.pop_front());
        }
    }

    /// Most bytes of the record that an upgrade of the schema makes; 0 of anything else.
    fn record_bytes_max(&self, arrival: &Arrival) -> u64 {
        let Input::Operate(OperatorRequest { act, .. }) = &arrival.input else { return 0 };
        let schema = match act {
            OperatorAct::Schema(transition, _) => Some(transition.to()),
            OperatorAct::Revert { schema: Some(schema), .. } => self.engine.schemas().get(schema),
            _ => None,
        };
        schema.map_or(0, |schema| schema.memory.size_max().saturating_add(UPGRADE_HEAD_BYTES_MAX))
    }

    /// The act that puts a schema and a behaviour in force for an object. What the object itself has against it is for admission
    /// to say: see [`OperatorAct::check`].
    ///
    /// # Errors
    /// In words: everything that keeps them from it, whatever the object holds.
    pub fn act(
        &mut self,
        object: u32,
        schema: &Arc<Schema>,
        behaviour: Option<Behaviour>,
    ) -> Result<OperatorAct, String> {
        let Some(object) = self.engine.by_number(object) else {
            return Err("there is no such object".into());
        };
        let act = self.transitions.act_to(object, schema, behaviour)?;
        if let Some(behaviour) = behaviour {
            self.behaviours.program(schema, behaviour)?;
        }
        Ok(act)
    }

    /// A schema that the log has, or that stands beside it for an upgrade.
    ///
    /// # Errors
    /// When there is none of that digest.
    pub fn schema(&mut self, digest: Hash) -> Result<Arc<Schema>, HostError> {
        if let Some(known) = self.engine.schemas().get(&digest).or_else(|| self.schemas.get(&digest)) {
            return Ok(Arc::clone(known));
        }
        let canonical = self.log.blobs().get(&digest.0)?;
        let schema = Schema::from_canonical(&canonical).map_err(|e| HostError::Upgrade(e.to_string()))?;
        Ok(Arc::clone(self.schemas.entry(digest).or_insert(Arc::new(schema))))
    }

    /// Whether anything waits for the next tick.
    #[must_use]
    pub fn has_input(&self) -> bool {
        // What is held is only so while something is in the inbox.
        !self.inbox.is_empty()
    }

    /// How much of an object's inbox is still free.
    #[must_use]
    pub fn room(&self, object: u32) -> u32 {
        let Some(found) = self.engine.by_number(object) else { return 0 };
        let waiting = usize::try_from(object).ok().and_then(|index| self.waiting.get(index)).copied();
        found.policy.limits.inbox.saturating_sub(waiting.unwrap_or(0))
    }

    /// One tick at that time, with what is in the inboxes.
    ///
    /// # Errors
    /// When the commit fails: the host is then of no further use.
    pub fn tick(&mut self, time: Timestamp) -> Result<Ticked, HostError> {
        self.tick_with(time, Vec::new(), None)
    }

    /// One tick, with what the sources' cursors are after it, and since when the host did not tick, if it paused.
    ///
    /// # Errors
    /// As [`Host::tick`].
    pub fn tick_with(
        &mut self,
        time: Timestamp,
        cursors: Vec<(Arc<str>, Arc<[u8]>)>,
        paused_since: Option<Timestamp>,
    ) -> Result<Ticked, HostError> {
        self.land()?;
        let ticked = self.turn(time, cursors, paused_since);
        self.commit()?;
        Ok(ticked)
    }

    /// One tick whose flush goes on while the next is worked on. What it came to is given out when it is durable: by the
    /// next call, which gives the tick before it, or by [`Host::settle`].
    ///
    /// # Errors
    /// As [`Host::tick`]; of either tick.
    pub fn tick_ahead(
        &mut self,
        time: Timestamp,
        cursors: Vec<(Arc<str>, Arc<[u8]>)>,
        paused_since: Option<Timestamp>,
    ) -> Result<Option<Ticked>, HostError> {
        if self.unsnapped >= SNAPSHOT_EVERY_RECORDS {
            self.snapshot()?;
        }
        let ticked = self.turn(time, cursors, paused_since);
        let in_flight = self.stage()?;
        self.land()?;
        if in_flight {
            let job = self.log.begin_flush()?;
            if !self.flusher()?.begin(job) {
                return Err(flusher_gone());
            }
        }
        self.under_way = Some(UnderWay { ticked, in_flight });
        Ok(self.landed.take())
    }

    /// Waits until the last tick is durable. What it came to, unless it was given out before.
    ///
    /// # Errors
    /// When its flush failed: the host is then of no further use.
    pub fn settle(&mut self) -> Result<Option<Ticked>, HostError> {
        self.land()?;
        Ok(self.landed.take())
    }

    /// Whether a tick is under way: what it left is not durable yet.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the tick under way ordered effects: they go out when it is durable.
    #[must_use]
    pub fn owes_effects(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| !under_way.ticked.effects.is_empty())
    }

    /// Waits for the flush of the tick under way.
    fn land(&mut self) -> Result<(), HostError> {
        let Some(UnderWay { ticked, in_flight }) = self.under_way.take() else { return Ok(()) };
        if in_flight {
            let flushed = self.flusher()?.wait().ok_or_else(flusher_gone)?;
            self.log.finish_flush(flushed)?;
        }
        self.shown = ticked.clock;
        self.landed = Some(ticked);
        Ok(())
    }

    fn flusher(&mut self) -> Result<&Flusher, HostError> {
        match &mut self.flusher {
            Some(flusher) => Ok(flusher),
            empty => {
                let started = Flusher::start().map_err(|error| HostError::Flusher(error.to_string()))?;
                Ok(empty.insert(started))
            }
        }
    }

    /// The turns of one tick, in memory: its records are in the frame.
    fn turn(
        &mut self,
        time: Timestamp,
        cursors: Vec<(Arc<str>, Arc<[u8]>)>,
        paused_since: Option<Timestamp>,
    ) -> Ticked {
        let clock = self.engine.clock().next(time);
        self.waiting.fill(0);
        let verdicts = self.engine.tick(
            clock,
            &mut self.inbox,
            cursors,
            paused_since,
            &*self.behaviours,
            &mut self.frame,
        );
        self.upgrade_bytes = 0;
        self.take_held();
        let effects =
            self.frame.effects.iter().filter_map(|(object, seq)| self.effect(*object, *seq)).collect();
        let log = self
            .frame
            .log
            .drain(..)
            .filter_map(|(number, line)| Some((Arc::clone(&self.engine.by_number(number)?.id), line)));
        let log = log.collect();
        let (acts, denials) = (self.frame.acts, self.frame.denials);
        Ticked { clock, records: self.frame.entries.len(), acts, denials, verdicts, effects, log }
    }

    /// Sets the clock back to `to` by an operator's signature over [`abide_core::reset::reset_bytes`], in a commit of its own:
    /// its tick and time, which is `to`.
    ///
    /// # Errors
    /// [`HostError::Reset`] when the clock may not be reset; any other when the commit fails.
    pub fn reset_clock(&mut self, to: Timestamp, signature: Signature) -> Result<Clock, HostError> {
        self.land()?;
        let since = self.time();
        self.engine.reset_clock(to, signature, &mut self.frame)?;
        self.commit()?;
        let by = since.since(to);
        self.set_back = Span(self.set_back.0.saturating_add(by.0));
        // Effects of a tick that nobody was told of yet are reckoned on the clock as it is now, as those that went out are.
        for request in self.landed.iter_mut().flat_map(|ticked| &mut ticked.effects) {
            request.set_back(by);
        }
        Ok(self.engine.clock())
    }

    /// How far the clock was set back since this was last asked: whoever keeps times of it moves them as far.
    pub(crate) fn take_set_back(&mut self) -> Span {
        std::mem::take(&mut self.set_back)
    }

    /// Effects that were ordered and have no outcome yet, in the order of objects and records.
    #[must_use]
    pub fn pending_effects(&self) -> Vec<effect::Request> {
        let objects = self.engine.objects().iter();
        objects.flat_map(|o| o.state.effects.keys().filter_map(|seq| self.effect(o.number, *seq))).collect()
    }

    /// Keeps a snapshot, so that the next start is quick. It may be skipped: the log alone is enough.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn snapshot(&mut self) -> Result<(), HostError> {
        self.land()?;
        if self.unsnapped > 0 {
            self.log.write_snapshot(&self.engine.snapshot())?;
            self.unsnapped = 0;
        }
        Ok(())
    }

    /// An object's memory as JSON.
    #[must_use]
    pub fn memory(&self, object: &str) -> Option<serde_json::Value> {
        let object = self.engine.object(object)?;
        Some(object.schema.memory.to_json(&object.state.memory))
    }

    fn effect(&self, object: u32, seq: u64) -> Option<effect::Request> {
        let object = self.engine.by_number(object)?;
        let pending = object.state.effects.get(&seq)?;
        let declared = object.schema.mutations.get(usize::from(pending.mutation.0))?.effect.as_ref()?;
        let grant = object.policy.grant(&declared.interface, &declared.function);
        Some(effect::Request {
            key: pending.key.0,
            seq,
            object: Arc::clone(&object.id),
            target: grant.map_or_else(|| "".into(), |grant| Arc::clone(&grant.target)),
            interface: Arc::clone(&declared.interface),
            function: Arc::clone(&declared.function),
            args: Arc::clone(&pending.args),
            tick: pending.tick,
            time: pending.time,
            valid_until: pending.time.saturating_add(declared.valid_for),
            timeout: declared.timeout,
            retries: declared.retries,
            simulated: false,
        })
    }

    /// Prepares the frame's commit, if it has records. Whether it has.
    fn stage(&mut self) -> Result<bool, HostError> {
        // Also where there is nothing to write: what the engine holds is not what the disk holds any more.
        self.log.check_sound()?;
        if self.frame.is_empty() {
            return Ok(false);
        }
        let frame = &self.frame;
        let entries = frame.entries.iter().map(|entry| Entry {
            object: entry.object,
            bytes: frame.record(entry),
            hash: entry.hash.0,
        });
        self.log.stage(Commit { tick: frame.clock.tick, time: frame.clock.time.0, entries })?;
        self.unsnapped += self.frame.entries.len();
        Ok(true)
    }

    fn commit(&mut self) -> Result<(), HostError> {
        if self.stage()? {
            self.log.flush()?;
            if self.unsnapped >= SNAPSHOT_EVERY_RECORDS {
                self.snapshot()?;
            }
        }
        self.shown = self.engine.clock();
        Ok(())
    }
}

fn flusher_gone() -> HostError {
    HostError::Flusher("it is gone".to_owned())
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("engine", &self.engine).field("log", &self.log).finish_non_exhaustive()
    }
}

/// A schema, and the behaviour that children of it get.
pub type Known = (Arc<Schema>, Option<Behaviour>);

/// The engine that a log comes to, and how many records were folded onto the snapshot; `None` for a log without records.
pub(crate) fn recover<'a>(
    snapshot: Option<&Snapshot>,
    frames: impl Fn(Position) -> Frames<'a>,
) -> Result<Option<(Engine, u64)>, HostError> {
    let restored =
        snapshot.and_then(|snapshot| Some((Engine::restore(&snapshot.state).ok()?, snapshot.position)));
    let (mut engine, from) =
        restored.map_or((None, Position::START), |(engine, position)| (Some(engine), position));
    let mut folded = 0;
    for frame in frames(from) {
        for record in frame?.records() {
            let at = |source| HostError::Fold { leaf: record.leaf, source };
            match &mut engine {
                None => engine = Some(Engine::recover(record.bytes).map_err(at)?),
                Some(engine) => {
                    engine.fold(record.bytes, Hash(record.hash())).map_err(at)?;
                }
            }
            folded += 1;
        }
    }
    Ok(engine.map(|engine| (engine, folded)))
}

/// Whether a replayed source drives the clock of the host in a data folder.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn is_replayed(folder: &Path) -> Result<bool, HostError> {
    let reader = LogReader::open(Arc::new(FileDisk::new(folder)))?;
    Ok(engine_of(&reader)?.is_some_and(|engine| engine.host().replayed))
}

/// The engine that a reader's log comes to; `None` for a log without records.
///
/// # Errors
/// When the log cannot be read, or its records do not follow one another.
pub fn engine_of(reader: &LogReader) -> Result<Option<Engine>, HostError> {
    Ok(recover(reader.snapshot(), |from| reader.frames(from))?.map(|(engine, _)| engine))
}

fn check_same_host(had: &HostGenesis, has: &HostGenesis) -> Result<(), HostError> {
    if had.identity != has.identity {
        return Err(HostError::Identity { had: Arc::clone(&had.identity), has: Arc::clone(&has.identity) });
    }
    if had.replayed != has.replayed {
        let name = |replayed| if replayed { "a replayed" } else { "a real-time" };
        return Err(HostError::ClockKind { had: name(had.replayed), has: name(has.replayed) });
    }
    Ok(())
}
