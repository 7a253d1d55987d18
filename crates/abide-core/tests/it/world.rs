//! A small world for tests of the engine: objects, a clock, and every law that can be checked at each tick.
//!
//! Each tick's frame is decoded strictly, its chain is checked, and its records are folded into a second engine, which
//! must come to the same state as the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::admission::{OperatorAct, OperatorRequest, Request, check_args, signed_bytes};
use abide_core::clock::Clock;
use abide_core::cycle::{Input, Verdict};
use abide_core::document::Severity;
use abide_core::engine::{Arrival, BeginError, Beginning, Engine};
use abide_core::expr::{Env, show};
use abide_core::field::untyped_from_json;
use abide_core::frame::Frame;
use abide_core::guest::{Act, ActError, ActStep, Acted, Behaviour, Guest, NoGuest};
use abide_core::object::Object;
use abide_core::policy::{Grant, Operator, Policy};
use abide_core::record::decode::decode_strict;
use abide_core::record::{
    Caller, Event, HOST, Hash, HostGenesis, Outcome, OutcomeStatus, Place, Record, Signature,
};
use abide_core::reset::{ResetError, reset_bytes};
use abide_core::schema::{MutationIx, RuleIx, Schema};
use abide_core::state::{State, Status};
use abide_core::time::Timestamp;
use abide_core::transition::Transition;
use abide_core::value::Value;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value as Json;

/// A second on the clock.
pub(crate) const S: i64 = 1_000_000_000;

/// The behaviour of objects whose schema has acts.
pub(crate) const BEHAVIOUR: Behaviour = Behaviour { component: Hash([7; 32]), config: Hash([8; 32]) };

/// A guest that is a function.
pub(crate) struct Scripted<F>(pub(crate) F);

impl<F: Fn(&Act<'_>) -> Result<Vec<ActStep>, ActError>> Guest for Scripted<F> {
    fn act(&self, act: &Act<'_>) -> Acted {
        Acted { answer: (self.0)(act), log: Vec::new() }
    }
}

/// An engine, its log, and the same log folded.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) folded: Engine,
    pub(crate) log: Vec<(Vec<u8>, Hash)>,
    pub(crate) clock: Clock,
    /// Runs acts.
    pub(crate) guest: Box<dyn Guest>,
    /// Versions of a schema that objects may be upgraded to.
    pub(crate) versions: Vec<Arc<Schema>>,
    /// What became of the inputs of the last tick, by ticket.
    pub(crate) verdicts: Vec<(u64, Verdict)>,
    inbox: Vec<Arrival>,
    frame: Frame,
    heads: BTreeMap<Arc<str>, (u64, Hash)>,
    tickets: u64,
    counters: BTreeMap<u8, u64>,
}

/// The operator with that number: 1 stands in [`policy`].
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// One operator, and a link to `example:lab/valve`.
pub(crate) fn policy() -> Policy {
    let operator = Operator { name: "op".into(), key: key(1).verifying_key().to_bytes() };
    let grant =
        Grant { target: "valves".into(), interface: "example:lab/valve".into(), functions: Vec::new() };
    Policy { operators: vec![operator], links: vec![grant], ..Policy::default() }
}

/// A schema from what stands below its header.
pub(crate) fn schema(name: &str, body: &str) -> Arc<Schema> {
    version(name, 1, body)
}

/// A version of a schema, from what stands below its header.
pub(crate) fn version(name: &str, version: u32, body: &str) -> Arc<Schema> {
    let text = format!("schema: abide/v1\nname: {name}\nversion: {version}.0.0\n{body}");
    match Schema::load(&text) {
        Ok((schema, _)) => Arc::new(schema),
        Err(errors) => {
            let told = errors.iter().filter(|e| e.severity == Severity::Error);
            let told: Vec<_> = told.map(|e| format!("{} ({:?})", e.message, e.help)).collect();
            panic!("{}\n{text}", told.join("\n"))
        }
    }
}

impl World {
    /// A host without objects, at time 0.
    pub(crate) fn empty() -> Self {
        let host = HostGenesis {
            identity: "NTEST".into(),
            log_key: [3; 32],
            origin: "abide.example/host".into(),
            certificate: [4; 64],
            replayed: false,
        };
        let clock = Clock::default();
        let mut frame = Frame::new("NTEST".into());
        let engine = Engine::begin(host, clock, &mut frame);
        let folded = Engine::recover(frame.record(&frame.entries[0])).expect("record 0 begins an engine");
        let mut world = Self {
            engine,
            folded,
            log: Vec::new(),
            clock,
            guest: Box::new(NoGuest),
            versions: Vec::new(),
            verdicts: Vec::new(),
            inbox: Vec::new(),
            frame,
            heads: BTreeMap::new(),
            tickets: 0,
            counters: BTreeMap::new(),
        };
        world.take_frame(true);
        world
    }

    /// A host with one object, `o`, whose schema is `body`.
    pub(crate) fn new(body: &str) -> Self {
        let mut world = Self::empty();
        world.begin("o", &schema("lab", body), policy(), &serde_json::json!({})).expect("the object begins");
        world
    }

    /// Begins an object.
    pub(crate) fn begin(
        &mut self,
        id: &str,
        schema: &Arc<Schema>,
        policy: Policy,
        values: &Json,
    ) -> Result<(), BeginError> {
        let Json::Object(values) = values else { panic!("values are named") };
        let value = |(name, json): (&String, &Json)| {
            let slot = schema.memory.slot(name).expect("the schema has the field");
            let ty = &schema.memory.get(slot).expect("it has a type").ty;
            (slot, ty.value_from_json(json).unwrap_or_else(|_| untyped_from_json(json)))
        };
        let mut values: Vec<_> = values.iter().map(value).collect();
        values.sort_by_key(|(slot, _)| *slot);
        self.frame.clear(self.clock);
        let behaviour = (!schema.actions().is_empty()).then_some(BEHAVIOUR);
        let beginning = Beginning { id: id.into(), schema: Arc::clone(schema), behaviour, policy, values };
        self.engine.begin_object(beginning, &mut self.frame)?;
        self.take_frame(false);
        Ok(())
    }

    /// Makes a schema known.
    pub(crate) fn know(&mut self, schema: &Arc<Schema>) {
        self.frame.clear(self.clock);
        let behaviour = (!schema.actions().is_empty()).then_some(BEHAVIOUR);
        self.engine.know(Arc::clone(schema), behaviour, &mut self.frame);
        self.take_frame(false);
    }

    pub(crate) fn object(&self, id: &str) -> &Object {
        self.engine.object(id).unwrap_or_else(|| panic!("there is no object {id}"))
    }

    pub(crate) fn state(&self) -> &State {
        &self.object("o").state
    }

    /// A field of the object `o`, as an expression shows it.
    pub(crate) fn field(&self, name: &str) -> String {
        let object = self.object("o");
        let slot = object.schema.memory.slot(name).unwrap_or_else(|| panic!("there is no field {name}"));
        show(&object.state.memory[usize::from(slot.0)])
    }

    /// What the slope of the object holds now, in millionths.
    pub(crate) fn level(&self, id: &str) -> u64 {
        self.object(id).state.bucket.map_or(0, |bucket| bucket.at(self.clock.time).level)
    }

    pub(crate) fn submit(&mut self, id: &str, input: Input) -> u64 {
        self.tickets += 1;
        let object = self.object(id).number;
        self.inbox.push(Arrival { object, input, ticket: self.tickets });
        self.tickets
    }

    /// A request as the shell would make it: values that are not of their type are passed on.
    pub(crate) fn request(&self, id: &str, mutation: &str, args: &Json, caller: Caller) -> Request {
        let object = self.object(id);
        let ix =
            object.schema.mutation(mutation).unwrap_or_else(|| panic!("there is no mutation {mutation}"));
        let fields = &object.schema.mutations[usize::from(ix.0)].args.fields;
        let args = fields.iter().map(|field| match args.get(&*field.name) {
            Some(json) => field.ty.value_from_json(json).unwrap_or_else(|_| untyped_from_json(json)),
            None => Value::Null,
        });
        Request { mutation: ix, args: args.collect(), caller }
    }

    /// Asks for a mutation of `o`, of a caller that needs no signature.
    pub(crate) fn ask(&mut self, mutation: &str, args: &Json, caller: Caller) -> u64 {
        let request = self.request("o", mutation, args, caller);
        self.submit("o", Input::Ask(request))
    }

    /// An observation for `o`.
    pub(crate) fn observe(&mut self, mutation: &str, args: &Json) -> u64 {
        self.ask(mutation, args, Caller::Observation("src".into()))
    }

    /// An operator's mutation of an object, properly signed with the next counter.
    pub(crate) fn operate(&mut self, id: &str, mutation: &str, args: &Json) -> u64 {
        let counter = self.next_counter(1);
        let request = self.signed(id, mutation, args, 1, counter);
        self.submit(id, Input::Ask(request))
    }

    pub(crate) fn next_counter(&mut self, operator: u8) -> u64 {
        let counter = self.counters.entry(operator).or_default();
        *counter += 1;
        *counter
    }

    /// A request that the operator with that number signed.
    pub(crate) fn signed(
        &self,
        id: &str,
        mutation: &str,
        args: &Json,
        operator: u8,
        counter: u64,
    ) -> Request {
        let request = self.request(id, mutation, args, Caller::Rule);
        let object = self.object(id);
        let declared = &object.schema.mutations[usize::from(request.mutation.0)];
        let covered = check_args(&declared.args, &request.args).unwrap_or_else(|_| request.args.clone());
        let bytes = signed_bytes(object.genesis, "mutate", Some((declared, &covered)), counter);
        Request { caller: Caller::Operator(Box::new(signature(operator, counter, &bytes))), ..request }
    }

    /// An operator's act on the object itself, properly signed with the next counter.
    pub(crate) fn act(&mut self, id: &str, act: OperatorAct) -> u64 {
        let counter = self.next_counter(1);
        let bytes = act.signed_bytes(self.object(id).genesis, counter);
        self.submit(id, Input::Operate(OperatorRequest { act, signature: signature(1, counter, &bytes) }))
    }

    /// An effect of `o` ends.
    pub(crate) fn outcome(&mut self, of: u64, status: OutcomeStatus, answer: Option<Json>) -> u64 {
        self.outcome_of("o", of, status, answer)
    }

    pub(crate) fn outcome_of(
        &mut self,
        id: &str,
        of: u64,
        status: OutcomeStatus,
        answer: Option<Json>,
    ) -> u64 {
        let message = (status == OutcomeStatus::Failed).then(|| "it failed".into());
        self.submit(id, Input::Outcome(Outcome { of, status, attempts: 1, message }, answer))
    }

    /// A tick at so many seconds: the records it made, told in a line each.
    pub(crate) fn tick(&mut self, seconds: i64) -> Vec<String> {
        self.tick_at(Timestamp(seconds * S), Vec::new(), None)
    }

    /// A tick after a pause.
    pub(crate) fn tick_after_pause(&mut self, seconds: i64) -> Vec<String> {
        let since = self.clock.time;
        self.tick_at(Timestamp(seconds * S), Vec::new(), Some(since))
    }

    pub(crate) fn tick_at(
        &mut self,
        time: Timestamp,
        cursors: Vec<(Arc<str>, Arc<[u8]>)>,
        paused_since: Option<Timestamp>,
    ) -> Vec<String> {
        self.clock = self.clock.next(time);
        self.verdicts = self.engine.tick(
            self.clock,
            &mut self.inbox,
            cursors,
            paused_since,
            &*self.guest,
            &mut self.frame,
        );
        self.take_frame(false)
    }

    /// Resets the clock, properly signed with the next counter: the records of objects, told in a line each.
    pub(crate) fn reset(&mut self, to: Timestamp) -> Result<Vec<String>, ResetError> {
        let counter = self.next_counter(1);
        let bytes = reset_bytes(self.engine.host_clock().genesis, to, counter);
        self.reset_signed(to, signature(1, counter, &bytes))
    }

    /// Resets the clock by that signature. A refusal changes nothing.
    pub(crate) fn reset_signed(
        &mut self,
        to: Timestamp,
        signature: Signature,
    ) -> Result<Vec<String>, ResetError> {
        let before = self.engine.snapshot();
        if let Err(refused) = self.engine.reset_clock(to, signature, &mut self.frame) {
            assert_eq!(self.engine.snapshot(), before, "a refusal changes nothing");
            return Err(refused);
        }
        self.clock = Clock { tick: self.clock.tick + 1, time: to };
        // What is counted is recorded before the reset, so that no count stands on the clock before it.
        assert!(self.engine.objects().iter().all(|object| object.state.pending.is_empty()));
        Ok(self.take_frame(false))
    }

    /// The records of the log, each with the schema in force after it.
    pub(crate) fn records(&self) -> Vec<(Record, Option<Arc<Schema>>)> {
        let mut in_force: BTreeMap<Arc<str>, Arc<Schema>> = BTreeMap::new();
        let one = |(bytes, _): &(Vec<u8>, Hash)| {
            let header = abide_core::record::decode::header(bytes).expect("a record has a header");
            if let Some(digest) = header.puts_in_force() {
                in_force.insert(Arc::clone(&header.object), Arc::clone(&self.engine.schemas()[&digest]));
            }
            let schema = in_force.get(&header.object).cloned();
            (decode_strict(bytes, schema.as_deref()).expect("a record decodes strictly"), schema)
        };
        self.log.iter().map(one).collect()
    }

    /// Puts another version of its schema in force for an object, properly signed with the next counter.
    pub(crate) fn upgrade(&mut self, id: &str, to: &Arc<Schema>) -> u64 {
        let transition =
            Transition::new(&self.object(id).schema, to).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let behaviour = (!to.actions().is_empty()).then_some(BEHAVIOUR);
        self.act(id, OperatorAct::Schema(Arc::new(transition), behaviour))
    }

    /// Replaces the engine by one that folded the log: a restart.
    pub(crate) fn restart(&mut self) {
        let mut records = self.log.iter();
        let (first, _) = records.next().expect("a log has record 0");
        let mut engine = Engine::recover(first).expect("record 0 begins an engine");
        for (bytes, hash) in records {
            engine.fold(bytes, *hash).expect("each record follows");
        }
        self.engine = engine;
    }

    /// Checks the frame and takes it into the log and the second engine. It tells the records of objects.
    fn take_frame(&mut self, first: bool) -> Vec<String> {
        let mut told = Vec::new();
        for entry in self.frame.entries.clone() {
            let bytes = self.frame.record(&entry).to_vec();
            assert_eq!(entry.hash, Hash::of_record(&bytes), "the hash is of the bytes");
            if !first {
                self.fold_checked(&bytes, entry.hash);
            }
            let record = self.check_record(entry.object, &bytes, entry.hash);
            if &*record.object != HOST {
                told.push(tell(&record, &self.folded.object(&record.object).expect("it is there").schema));
            }
            self.log.push((bytes, entry.hash));
        }
        // What is counted and not recorded yet reaches the log with the next frame.
        if !self.frame.is_empty() {
            same_engines(&self.engine, &self.folded);
        }
        told
    }

    fn check_record(&mut self, number: u32, bytes: &[u8], hash: Hash) -> Record {
        // As far as it is folded, so that its schema is the one in force after this record.
        let object = self.folded.by_number(number);
        let record = decode_strict(bytes, object.map(|o| &*o.schema)).expect("a record decodes strictly");
        match object {
            Some(object) => assert_eq!(record.object, object.id),
            None => assert_eq!(&*record.object, HOST),
        }
        let head = self.heads.insert(Arc::clone(&record.object), (record.seq, hash));
        assert_eq!(record.prev, head.map(|(_, hash)| hash), "the chain holds");
        assert_eq!(record.seq, head.map_or(0, |(seq, _)| seq + 1), "the chain is counted");
        assert_eq!((record.tick, record.time), (self.clock.tick, self.clock.time));
        record
    }

    /// Folds a record, and checks what holds of the state after each.
    fn fold_checked(&mut self, bytes: &[u8], hash: Hash) {
        let id = abide_core::record::decode::header(bytes).expect("a record has a header").object;
        let before = self.folded.object(&id).map(|object| object.state.clone());
        self.folded.fold(bytes, hash).expect("the record follows");
        let Some(object) = self.folded.object(&id) else { return };
        let record = decode_strict(bytes, Some(&object.schema)).expect("a record decodes strictly");
        check_state(object, before.as_ref(), &record);
    }
}

/// The signature of the operator with that number.
pub(crate) fn signature(operator: u8, counter: u64, bytes: &[u8]) -> Signature {
    let key = key(operator);
    let signature = key.sign(bytes).to_bytes();
    Signature { name: "op".into(), key: key.verifying_key().to_bytes(), counter, signature }
}

/// Two engines that have the same records behind them stand at the same place.
pub(crate) fn same_engines(a: &Engine, b: &Engine) {
    assert_eq!(a.host_lineage(), b.host_lineage());
    let clock = |engine: &Engine| (engine.host_clock().genesis, engine.host_clock().counters.clone());
    assert_eq!(clock(a), clock(b));
    assert_eq!(a.objects().len(), b.objects().len());
    for (a, b) in a.objects().iter().zip(b.objects()) {
        assert_eq!(a.state, b.state, "the state of {} is the fold of its lineage", a.id);
        assert_eq!(
            (&a.id, a.number, a.head, a.length, a.changed_at, a.genesis, a.force, a.depth, &a.parent),
            (&b.id, b.number, b.head, b.length, b.changed_at, b.genesis, b.force, b.depth, &b.parent),
        );
        assert_eq!((&a.policy, a.allotment, a.schema.digest), (&b.policy, b.allotment, b.schema.digest));
    }
    for source in ["a", "b"] {
        assert_eq!(a.cursor(source), b.cursor(source));
    }
    assert!(a.schemas().keys().eq(b.schemas().keys()));
}

/// Bounds, invariants, and that a denial changes nothing.
fn check_state(object: &Object, before: Option<&State>, record: &Record) {
    let (schema, state) = (&object.schema, &object.state);
    for (field, value) in schema.memory.fields.iter().zip(&state.memory) {
        // An incomplete object can be sealed, and quarantined for what its behaviour asked.
        let gap = matches!(value, Value::Null) && !matches!(state.status, Status::Active | Status::Sleeping);
        assert!(gap || field.ty.check(value).is_ok(), "{} of {} is {value:?}", field.name, object.id);
    }
    let complete = |state: &State| state.gaps(schema).next().is_none();
    let Some(before) = before else { return };
    let is_upgrade = matches!(&record.event, Event::Upgrade(upgrade) if upgrade.schema.is_some());
    // What an invariant says of the time may cease to hold when the clock is reset: it is asked at the next mutation.
    if complete(state) && !matches!(record.event, Event::Clock { .. }) {
        let env = Env {
            memory: &state.memory,
            old_memory: &before.memory,
            args: &[],
            now: record.time,
            caller: ("", ""),
        };
        for invariant in schema.invariants.iter().filter(|i| !i.transition || !is_upgrade && complete(before))
        {
            assert_eq!(
                invariant.expression.holds(&env),
                Ok(true),
                "`{}` holds",
                invariant.expression.source()
            );
        }
    }
    if !matches!(record.event, Event::Mutation(_)) && !is_upgrade {
        assert_eq!(state.memory, before.memory, "only a mutation changes memory");
    }
    if matches!(record.event, Event::Denial(_) | Event::Denials(_)) {
        let same = |state: &State| {
            let State { bucket, drift_from, status, sleep, counters, effects, children, .. } = state.clone();
            (bucket, drift_from, status, sleep, counters, effects, children)
        };
        assert_eq!(same(state), same(before), "a denial changes nothing but the record that it happened");
    }
}

/// A record in a line.
pub(crate) fn tell(record: &Record, schema: &Schema) -> String {
    let event = match &record.event {
        Event::Mutation(m) => {
            let mut told =
                format!("{} by {}", mutation(schema, m.mutation), caller(&m.caller, m.rule, schema));
            for (slot, value) in &m.changes {
                let name = schema.memory.get(*slot).map_or("?", |field| &field.name);
                told += &format!(", {name} = {}", show(value));
            }
            if m.cost > 0 {
                told += &format!(", cost {}", abide_core::admission::show_micro(m.cost));
            }
            if let Some(args) = &m.effect {
                told += &format!(", effect {}", Json::from(args.to_vec()));
            }
            told
        }
        Event::Denial(d) => {
            let what = d.mutation.map_or("an act", |ix| mutation(schema, ix));
            let step = d.step.map_or_else(String::new, |step| format!(" step {step}"));
            let caller = caller(&d.caller, d.rule, schema);
            format!("denied {what} by {caller}{step}: {} {}", d.reason.code.name(), place(&d.reason.place))
        }
        Event::Denials(counted) => {
            let one = |c: &abide_core::record::Counted| {
                let what = c.key.mutation.map_or("an act", |ix| mutation(schema, ix));
                format!("{} × {what}: {} {}", c.count, c.key.code.name(), place(&c.key.place))
            };
            format!("counted {}", counted.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        Event::Hold(holds) => {
            let one = |(ix, held): &(RuleIx, bool)| format!("{} {held}", rule(schema, *ix));
            format!("holds {}", holds.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        Event::Spawn(spawned) => format!("spawn by {}", rule(schema, spawned.rule)),
        Event::Sleep { rule: ix, until } => match until {
            Some(until) => format!("sleep by {} until {}s", rule(schema, *ix), seconds(*until)),
            None => format!("sleep by {}", rule(schema, *ix)),
        },
        Event::Retry { rule: ix, attempt, due } => {
            format!("retry {} by {}, due {}s", attempt, rule(schema, *ix), seconds(*due))
        }
        Event::Terminate(ix) => format!("terminate by {}", rule(schema, *ix)),
        Event::Outcome(outcome) => format!("outcome of {}: {:?}", outcome.of, outcome.status),
        Event::Clock { since, .. } => format!("clock set back from {}s", seconds(*since)),
        Event::Pause { since } => format!("pause since {}s", seconds(*since)),
        other => abide_core::record::encode::KINDS[usize::from(other.kind())].to_owned(),
    };
    if &*record.object == "o" {
        event
    } else {
        format!("{}: {event}", record.object.get(..6).unwrap_or(&record.object))
    }
}

fn seconds(at: Timestamp) -> String {
    let (whole, rest) = (at.0 / S, at.0 % S);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:09}") }
}

fn mutation(schema: &Schema, ix: MutationIx) -> &str {
    &schema.mutations[usize::from(ix.0)].name
}

fn rule(schema: &Schema, ix: RuleIx) -> &str {
    &schema.rules[usize::from(ix.0)].name
}

fn caller(caller: &Caller, ix: Option<RuleIx>, schema: &Schema) -> String {
    match (caller, ix) {
        (Caller::Behaviour, Some(ix)) => format!("behaviour {}", rule(schema, ix)),
        (_, Some(ix)) => format!("rule {}", rule(schema, ix)),
        (Caller::SafeState, _) => "safe_state".to_owned(),
        (caller, _) => caller.kind().name().to_owned(),
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Object => "of the object".to_owned(),
        Place::Field(name) => format!("at field {name}"),
        Place::Argument(name) => format!("at argument {name}"),
        Place::Expression(source) => format!("at `{source}`"),
    }
}
