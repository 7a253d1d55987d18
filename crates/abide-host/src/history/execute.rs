//! A tick done again: the inputs that its records hold, fed to a cycle on a copy of the object as it stood before.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::admission::{self, OperatorAct, OperatorRequest, Request, Subject, admit, check_signature};
use abide_core::clock::Clock;
use abide_core::cycle::{Child, Cycle, Input, World};
use abide_core::frame::Frame;
use abide_core::guest::{Act, ActError, Acted, Fault, Guest};
use abide_core::object::Object;
use abide_core::record::decode::decode;
use abide_core::record::encode::encode;
use abide_core::record::{Caller, Code, Denied, Event, Genesis, Hash, Mutated, Record, Signature, Spawned};
use abide_core::schema::{Schema, Step};
use abide_core::time::Timestamp;
use abide_core::value::Value;

use super::{Problem, fold};
use crate::host::{HostError, Known};
use crate::transitions::Transitions;
use crate::view::{Lineage, Link, View, describe};

/// A guest whose act ends as the tick's records say where the machine, and not the behaviour, decided how.
struct AsRecorded<'a> {
    guest: &'a dyn Guest,
    outcome: Option<ActError>,
}

impl Guest for AsRecorded<'_> {
    fn act(&self, act: &Act<'_>) -> Acted {
        match &self.outcome {
            Some(error) => Acted { answer: Err(error.clone()), log: Vec::new() },
            None => self.guest.act(act),
        }
    }
}

/// Of a tick's records, the act that the machine cut short.
fn machine_fault(links: &[Link]) -> Option<ActError> {
    links.iter().find_map(|link| match &link.record.event {
        Event::Denial(denied) if denied.reason.code == Code::Act => {
            let fault = Fault::from_name(denied.reason.value.as_deref()?)?;
            let error = ActError { fault, message: denied.reason.message.to_string() };
            fault.is_of_the_machine().then_some(error)
        }
        _ => None,
    })
}

/// Runs the ticks of one object again.
pub(super) struct Executor<'a> {
    view: &'a View,
    guest: &'a dyn Guest,
    frame: Frame,
    /// The schemas of the log, and the tick from which on each is known; read only where there are rules that spawn.
    known: Option<Vec<(u64, Known)>>,
    transitions: Transitions,
    records: u64,
}

impl<'a> Executor<'a> {
    pub(super) fn new(view: &'a View, guest: &'a dyn Guest) -> Self {
        let frame = Frame::new(Arc::clone(&view.engine().host().identity));
        Self { view, guest, frame, known: None, transitions: Transitions::default(), records: 0 }
    }

    /// The records that came out as they were recorded.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Runs the tick that left these records, on the object as it stood before it.
    pub(super) fn tick(
        &mut self,
        live: &Object,
        before: Option<&Object>,
        links: &[Link],
        problems: &mut Vec<Problem>,
    ) -> Result<(), HostError> {
        let Some(Link { record: first, .. }) = links.first() else { return Ok(()) };
        let Some(before) = before else {
            let Event::Genesis(genesis) = &first.event else { return Ok(()) };
            problems.extend(self.genesis(live, first, genesis)?);
            let later = links.iter().skip(1);
            problems.extend(
                later.map(|link| {
                    Problem::of(&link.record, "an object has no turn in the tick of its genesis")
                }),
            );
            return Ok(());
        };
        let schemas = self.schemas(links)?;
        let mut object = before.clone();
        let clock = Clock { tick: first.tick, time: first.time };
        self.frame.clear(clock);
        for (index, link) in links.iter().enumerate() {
            if let Event::Denials(counted) = &link.record.event {
                self.frame.count_as_recorded(index, counted.clone());
                if index == 0 {
                    // All that was counted before this tick stands in its first record.
                    let schema = Arc::clone(&object.schema);
                    object.state.resume_counts_before(&schema, counted, clock.time);
                }
            }
        }
        let guest = AsRecorded { guest: self.guest, outcome: machine_fault(links) };
        let mut cycle =
            Cycle::new(&mut object, clock, World { schemas: &schemas, guest: &guest }, &mut self.frame);
        let reset = links.iter().find(|link| matches!(link.record.event, Event::Clock { .. }));
        if let Some(Link { record: reset, .. }) = reset {
            // The host's clock was set back: the object has no turn in that tick.
            cycle.take_as_recorded(reset.event.clone());
            self.compare(links, problems);
            return Ok(());
        }
        for link in links {
            if !feed(&mut cycle, link, &mut self.transitions) {
                break;
            }
        }
        let end = cycle.run();
        for Link { record, .. } in links {
            if let Event::ChildEnded { child, part } = &record.event {
                let (part, problem) = self.child_end(record, child, *part)?;
                problems.extend(problem);
                object.end_child(Arc::clone(child), part, clock, &mut self.frame);
            }
        }
        self.compare(links, problems);
        for child in &end.children {
            problems.extend(self.child_begin(live, clock, child));
        }
        Ok(())
    }

    /// Holds what came out against what was recorded. What follows from a first difference is not told.
    fn compare(&mut self, links: &[Link], problems: &mut Vec<Problem>) {
        for (index, link) in links.iter().enumerate() {
            let says = || format!("the record says {}; run again,", link.describe());
            let Some(entry) = self.frame.entries.get(index) else {
                problems.push(Problem::of(&link.record, format!("{} the tick ends before it", says())));
                return;
            };
            if entry.hash != link.hash {
                let again = self.describe(index, link.schema.as_deref());
                problems.push(Problem::of(&link.record, format!("{} it comes to {again}", says())));
                return;
            }
            self.records += 1;
        }
        if let Some(last) = links.last()
            && self.frame.entries.len() > links.len()
        {
            let again = self.describe(links.len(), last.schema.as_deref());
            let what = format!("run again, the tick goes on after this record: {again}");
            problems.push(Problem::of(&last.record, what));
        }
    }

    fn describe(&self, index: usize, schema: Option<&Schema>) -> String {
        let entry = self.frame.entries.get(index).map(|entry| self.frame.record(entry));
        let record = entry.and_then(|bytes| decode(bytes, schema).ok());
        record.map_or_else(|| "a record that cannot be read".to_owned(), |record| describe(&record, schema))
    }

    /// The schemas that a child could have in the tick of these records, by name.
    fn schemas(&mut self, links: &[Link]) -> Result<BTreeMap<Arc<str>, Known>, HostError> {
        let mut names = BTreeMap::new();
        let spawns = |link: &Link| link.schema.as_deref().is_some_and(spawns);
        let Some(first) = links.iter().find(|link| spawns(link)) else { return Ok(names) };
        if self.known.is_none() {
            self.known = Some(known_schemas(self.view)?);
        }
        for (tick, known) in self.known.iter().flatten() {
            if *tick <= first.record.tick {
                names.insert(Arc::clone(&known.0.name), known.clone());
            }
        }
        // Which of two versions a child has is the host's doing: it is in the record.
        let spawned = links.iter().find_map(|link| match &link.record.event {
            Event::Spawn(spawned) => {
                self.view.engine().schemas().get(&spawned.schema).map(|schema| (schema, spawned.behaviour))
            }
            _ => None,
        });
        if let Some((schema, behaviour)) = spawned {
            names.insert(Arc::clone(&schema.name), (Arc::clone(schema), behaviour));
        }
        Ok(names)
    }

    /// Whether a genesis says what its parent's record ordered.
    fn genesis(
        &mut self,
        live: &Object,
        record: &Record,
        genesis: &Genesis,
    ) -> Result<Option<Problem>, HostError> {
        self.records += 1;
        let Some((parent, spawn)) = &genesis.parent else { return Ok(None) };
        let missing = || {
            Some(Problem::of(record, format!("its parent `{parent}` has no record {spawn} that makes it")))
        };
        let Some(parent) = self.view.engine().object(parent) else { return Ok(missing()) };
        for link in self.view.backwards(Lineage::of(parent))? {
            let Link { record: theirs, hash, .. } = link?;
            if theirs.tick < record.tick {
                break;
            }
            if hash != *spawn {
                continue;
            }
            let Event::Spawn(spawned) = &theirs.event else { break };
            return Ok(spawn_problem(&live.id, genesis, hash, spawned).map(|what| Problem::of(record, what)));
        }
        Ok(missing())
    }

    /// Whether the child that came out of a cycle is the one that the log has.
    fn child_begin(&self, parent: &Object, clock: Clock, child: &Child) -> Option<Problem> {
        let record = Record {
            object: Arc::clone(&child.id),
            seq: 0,
            prev: None,
            tick: clock.tick,
            time: clock.time,
            force: 0,
            event: Event::Genesis(Box::new(child.genesis.clone())),
        };
        let mut bytes = Vec::new();
        encode(&record, Some(&child.schema), &mut bytes);
        let what = match self.view.engine().object(&child.id) {
            None => format!("`{}` made this child, and the log has no such object", parent.id),
            Some(object) if object.genesis != Hash::of_record(&bytes) => {
                format!("its genesis is not the one that `{}` gave it", parent.id)
            }
            Some(_) => return None,
        };
        Some(Problem::of(&record, what))
    }

    /// What a child that ended left, from its own lineage.
    fn child_end(
        &self,
        record: &Record,
        child: &Arc<str>,
        recorded: abide_core::slope::Allotment,
    ) -> Result<(abide_core::slope::Allotment, Option<Problem>), HostError> {
        match self.ended(child)? {
            Some(child) => Ok((child.leaves(record.time), None)),
            None => Ok((
                recorded,
                Some(Problem::of(record, format!("`{child}` has not ended by its own lineage"))),
            )),
        }
    }

    /// A child as it ended: what is recorded of it later, as a reset of the clock, changes nothing of what it left.
    fn ended(&self, child: &str) -> Result<Option<Object>, HostError> {
        let Some(live) = self.view.engine().object(child) else { return Ok(None) };
        let mut object = None;
        for link in self.view.records(Lineage::of(live))? {
            let link = link?;
            if !fold(&mut object, live, &link) {
                return Ok(None);
            }
            if matches!(link.record.event, Event::Terminate(_)) {
                return Ok(object);
            }
        }
        Ok(None)
    }
}

/// In what a child's genesis is not what its parent's spawn record orders.
pub(crate) fn spawn_problem(id: &str, genesis: &Genesis, record: Hash, spawned: &Spawned) -> Option<String> {
    let what = if record.of_child(spawned.step).to_string() != id {
        "its id is not the one that its parent's record gives it"
    } else if genesis.schema != spawned.schema {
        "its schema is not the one that its parent's record names"
    } else if genesis.behaviour != spawned.behaviour {
        "its behaviour is not the one that its parent's record names"
    } else if genesis.allotment != spawned.allotment {
        "what it was given of the slope is not what its parent's record gives"
    } else {
        return None;
    };
    Some(what.to_owned())
}

/// Feeds what a record says came from outside, in the order of the inbox. `false` when it is the object's own doing.
fn feed(cycle: &mut Cycle<'_>, link: &Link, transitions: &mut Transitions) -> bool {
    let record = &link.record;
    match &record.event {
        Event::Denials(_) => {}
        Event::Pause { since } => cycle.pause(*since),
        Event::Mutation(mutated) if is_outside(&mutated.caller) => {
            let Mutated { mutation, args, caller, .. } = mutated;
            cycle.inspect(Input::Ask(Request {
                mutation: *mutation,
                args: args.clone(),
                caller: caller.clone(),
            }));
        }
        Event::Denial(denied) if is_outside(&denied.caller) => feed_denied(cycle, denied, record.time),
        Event::Release(signature) => operate(cycle, OperatorAct::Release, signature),
        Event::Seal(signature) => operate(cycle, OperatorAct::Seal, signature),
        Event::Upgrade(upgrade) => {
            let after = link.schema.clone().unwrap_or_else(|| Arc::clone(&cycle.object().schema));
            match transitions.act(upgrade, cycle.object(), &after) {
                Ok(act) => operate(cycle, act, &upgrade.signature),
                // What follows shows that it cannot have been.
                Err(_) => return false,
            }
        }
        Event::Policy(policy) => {
            cycle.inspect(Input::Policy(policy.clone()));
        }
        // What the target answered is asked for in a record of its own, which follows.
        Event::Outcome(_) => cycle.take_as_recorded(record.event.clone()),
        _ => return false,
    }
    true
}

pub(crate) fn is_outside(caller: &Caller) -> bool {
    matches!(caller, Caller::Observation(_) | Caller::Operator(_) | Caller::Component(_) | Caller::Parent(_))
}

fn operate(cycle: &mut Cycle<'_>, act: OperatorAct, signature: &Signature) {
    cycle.inspect(Input::Operate(OperatorRequest { act, signature: signature.clone() }));
}

fn feed_denied(cycle: &mut Cycle<'_>, denied: &Denied, now: Timestamp) {
    let object = cycle.object();
    match (denied.mutation, &denied.caller) {
        (None, Caller::Operator(signature)) => {
            // The record of a denied act does not name it: its signature does, where there is a good one.
            let signed = |act: &OperatorAct| {
                let bytes = act.signed_bytes(object.genesis, signature.counter);
                check_signature(&object.policy, &object.state, signature, &bytes).is_ok()
            };
            let revert = OperatorAct::revert(object);
            let acts = [OperatorAct::Release, OperatorAct::Seal].into_iter().chain(revert);
            match acts.into_iter().find(signed) {
                Some(act) => operate(cycle, act, signature),
                // Nothing tells to what an upgrade that was denied would have led.
                None => cycle.take_as_recorded(Event::Denial(Box::new(denied.clone()))),
            }
        }
        (Some(mutation), _) if !denied.args.iter().any(|(_, value)| is_cut(value)) => {
            let asked = |typed: bool| Request {
                mutation,
                args: given(object, denied, typed),
                caller: denied.caller.clone(),
            };
            let subject = Subject {
                schema: &object.schema,
                policy: &object.policy,
                genesis: object.genesis,
                state: &object.state,
            };
            let as_they_came = asked(false);
            // Untyped, as they are in the record, a time is an integer and an object a list; if that alone explains the denial,
            // they came so.
            let explains =
                admit(subject, &as_they_came, now).is_err_and(|denial| denial.reason == denied.reason);
            let request = if explains { as_they_came } else { asked(true) };
            cycle.inspect(Input::Ask(request));
        }
        _ => cycle.take_as_recorded(Event::Denial(Box::new(denied.clone()))),
    }
}

/// Whether an argument of a denial was cut short: see `denial` in `docs/formats/lineage.md`.
pub(crate) fn is_cut(value: &Value) -> bool {
    matches!(value, Value::Str(text) if text.ends_with('…') && text.chars().count() > admission::EXCERPT_MAX)
}

/// The arguments of a denial in the order of their type, as they are recorded or each of its type.
fn given(object: &Object, denied: &Denied, typed: bool) -> Vec<Value> {
    let mutation = denied.mutation.and_then(|ix| object.schema.mutations.get(usize::from(ix.0)));
    let fields = mutation.into_iter().flat_map(|mutation| &mutation.args.fields);
    let given = fields.map(|field| {
        let value = denied.args.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
        value.map_or(Value::Null, |value| if typed { field.ty.retyped(value) } else { value.clone() })
    });
    given.collect()
}

fn spawns(schema: &Schema) -> bool {
    schema.rules.iter().any(|rule| matches!(rule.then, Step::Spawn(_) | Step::Act(_)))
}

/// The schemas of a log, and the tick from which on each is known.
pub(crate) fn known_schemas(view: &View) -> Result<Vec<(u64, Known)>, HostError> {
    let mut known = Vec::new();
    for link in view.records(view.lineage(abide_core::record::HOST)?)? {
        let record = link?.record;
        let Event::Schema(told) = &record.event else { continue };
        if told.for_upgrade {
            continue;
        }
        let schema = view.engine().schemas().values().find(|schema| schema.canonical == *told.canonical);
        known.extend(schema.map(|schema| (record.tick, (Arc::clone(schema), told.behaviour))));
    }
    Ok(known)
}
