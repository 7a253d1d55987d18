//! An object begun anew under other rules, and given its recorded inputs tick by tick.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use abide_core::clock::Clock;
use abide_core::cycle::{Cycle, Input, World, check_first_values, due_after};
use abide_core::frame::Frame;
use abide_core::guest::NoGuest;
use abide_core::object::Object;
use abide_core::record::decode::decode;
use abide_core::record::{Counted, Event, Genesis, Hash, Mutated, Outcome, OutcomeStatus, Record};
use abide_core::slope::Allotment;
use abide_core::time::Timestamp;
use abide_core::transition::given;

use super::decision::{Decision, compare};
use super::first::first_memory;
use super::input::{Fed, Translator, feed, with_stand_ins};
use super::{BacktestError, Backtested, Counts, Rules, TURNS_MAX, Ticks};
use crate::history::{fold, known_schemas};
use crate::host::{HostError, Known};
use crate::view::{Lineage, Link, Records, View};

/// Tries an object's lineage under other rules.
///
/// The object has a turn in each recorded tick of its host in which it would have had one, and whenever something is due for
/// it in between. What its children did and left behind is taken as it was recorded, and so is every answer of an effect.
///
/// # Errors
/// When the log cannot be read, the object cannot begin under these rules, or they never come to rest.
pub fn backtest(
    view: &View,
    live: &Object,
    rules: &Rules<'_>,
    ticks: &Ticks,
) -> Result<Backtested, BacktestError> {
    let mut links = view.records(Lineage::of(live))?.peekable();
    let mut out = Backtested {
        object: Arc::clone(&live.id),
        counts: Counts::default(),
        kinds: BTreeMap::new(),
        differences: Vec::new(),
        differences_more: 0,
        remarks: BTreeSet::new(),
    };
    let Some(first) = links.next() else { return Ok(out) };
    let first = first?;
    let mut run = Run::begin(view, live, rules, &first)?;
    let mut recorded = Vec::new();
    for clock in ticks.after(first.record.tick) {
        run.turns_before(clock, ticks)?;
        let of_tick = of_tick(&mut links, clock.tick)?;
        // What cannot be asked again is a remark, and no difference.
        let again = of_tick.iter().filter(|link| run.translator.is_asked_again(link));
        let schemas = view.engine().schemas();
        let decision =
            |Link { record, hash, schema }: &Link| Decision::of(record, *hash, schema.as_deref()?, schemas);
        recorded.extend(again.filter_map(decision));
        match ticks.reset(clock.tick) {
            Some(since) => run.reset(clock, since),
            None => run.tick(clock, &of_tick),
        }
        for link in &of_tick {
            fold(&mut run.recorded, live, link);
        }
    }
    out.remarks = run.translator.remarks;
    compare(&mut out, recorded, run.decisions);
    Ok(out)
}

/// The records of an object up to that tick.
fn of_tick(links: &mut Peekable<Records<'_>>, tick: u64) -> Result<Vec<Link>, HostError> {
    let mut all = Vec::new();
    while let Some(link) = links.next_if(|link| link.as_ref().map_or(true, |link| link.record.tick <= tick)) {
        all.push(link?);
    }
    Ok(all)
}

/// When denials of an object's own doing were counted, as far as that is recorded.
fn counted_at(view: &View, live: &Object) -> Result<BTreeSet<Timestamp>, HostError> {
    let mut all = BTreeSet::new();
    let mut take = |counted: &[Counted]| {
        for one in counted {
            all.extend(&one.own);
            all.extend(one.chosen.iter().map(|(_, at, _)| *at));
        }
    };
    for link in view.records(Lineage::of(live))? {
        if let Event::Denials(counted) = &link?.record.event {
            take(counted);
        }
    }
    take(&live.state.pending);
    Ok(all)
}

struct Run<'a> {
    view: &'a View,
    rules: &'a Rules<'a>,
    translator: Translator<'a>,
    object: Object,
    /// Ticks that are known only by the denials that were counted in them.
    counted: BTreeSet<Timestamp>,
    /// The object as it stood by its records.
    recorded: Option<Object>,
    frame: Frame,
    decisions: Vec<Decision>,
    /// The last tick that the object could have had a turn in.
    clock: Clock,
    /// Whether the next tick gives it a turn, and when it is due for one otherwise.
    hot: bool,
    due: Option<Timestamp>,
    /// Outcomes of effects that were ordered anew: for the next tick.
    simulated: Vec<Outcome>,
    /// Ids of children, in the order in which they were made: the recorded ones, and those of this run.
    children: (Vec<Arc<str>>, Vec<Arc<str>>),
    /// The schemas that children may have, by name.
    schemas: BTreeMap<Arc<str>, Known>,
    /// Those that are not known yet, each with the tick from which on it is.
    to_come: std::vec::IntoIter<(u64, Known)>,
}

impl<'a> Run<'a> {
    fn begin(
        view: &'a View,
        live: &'a Object,
        rules: &'a Rules<'a>,
        first: &Link,
    ) -> Result<Self, BacktestError> {
        let schema = &rules.schema;
        let refuse = |why: String| BacktestError::Begin { object: Arc::clone(&live.id), why };
        let Link {
            record: Record { event: Event::Genesis(genesis), time: at, .. },
            hash,
            schema: Some(from),
        } = first
        else {
            return Err(refuse("its lineage does not begin with its genesis".to_owned()));
        };
        let (at, hash) = (*at, *hash);
        let behaviour = rules.behaviour.or(genesis.behaviour).filter(|_| !schema.actions().is_empty());
        if behaviour.is_none() && !schema.actions().is_empty() {
            return Err(refuse(
                "the schema has acts: name their component with `--behaviour FILE`".to_owned(),
            ));
        }
        let mut recorded = None;
        fold(&mut recorded, live, first);
        let mut translator = Translator {
            from: Arc::clone(from),
            to: schema,
            upgrades: rules.behaviour.is_none() && behaviour.is_some(),
            orders: BTreeMap::new(),
            sources: BTreeMap::new(),
            remarks: BTreeSet::new(),
        };
        let memory = first_memory(view, live, (from, genesis, at), schema, &mut translator.remarks)?;
        let values = memory.map_or_else(|| translator.values_by_name(genesis), given);
        check_first_values(schema, &values, at).map_err(|reason| refuse(reason.message.to_string()))?;
        let policy = with_stand_ins(genesis.policy.clone());
        let genesis =
            Genesis { schema: Hash(schema.digest), behaviour, policy, values, ..(**genesis).clone() };
        let object = Object::bound(Arc::clone(&live.id), live.number, Arc::clone(schema), &genesis, hash, at);
        Ok(Self {
            view,
            rules,
            translator,
            object,
            counted: counted_at(view, live)?,
            recorded,
            frame: Frame::new(Arc::clone(&view.engine().host().identity)),
            decisions: Vec::new(),
            clock: Clock { tick: 0, time: at },
            hot: true,
            due: None,
            simulated: Vec::new(),
            children: (Vec::new(), Vec::new()),
            schemas: BTreeMap::new(),
            to_come: known_schemas(view)?.into_iter(),
        })
    }

    /// The turns that are due before a recorded tick.
    fn turns_before(&mut self, next: Clock, ticks: &Ticks) -> Result<(), BacktestError> {
        let at = self.clock.time;
        let end = ticks.reset(next.tick).unwrap_or(next.time);
        let until = if self.view.engine().host().replayed {
            end
        } else {
            // In real time, what is due has its turn in the tick that comes next.
            self.silent_from(Timestamp(end.0.saturating_sub(ticks.grace().0)))
        };
        for _ in 0..TURNS_MAX {
            let now = self.clock.time;
            let counted = self.counted.range((Bound::Excluded(now), Bound::Unbounded)).next().copied();
            let counted = counted.filter(|at| *at < end);
            let due = self.due.filter(|due| *due < until);
            let Some(time) = due.into_iter().chain(counted).min() else { return Ok(()) };
            self.turn(Clock { tick: self.clock.tick, time }, Vec::new());
        }
        Err(BacktestError::Turns { object: Arc::clone(&self.object.id), at })
    }

    /// Of a host in real time: from when on, before `until`, it did not tick, for it was stopped or busy. What was due then
    /// by the recorded rules would have left a record, and there is none.
    fn silent_from(&self, until: Timestamp) -> Timestamp {
        let Some(mut object) = self.recorded.clone() else { return until };
        let mut now = self.clock.time;
        let mut frame = Frame::new(Arc::clone(&self.frame.host));
        for _ in 0..TURNS_MAX {
            let Some(due) = due_after(&object, now).filter(|due| *due < until) else { return until };
            let clock = Clock { tick: self.clock.tick, time: due };
            frame.clear(clock);
            // That a rule which acts was chosen is in a record, whatever its act comes to.
            let world = World { schemas: &self.schemas, guest: &NoGuest };
            let _ = Cycle::new(&mut object, clock, world, &mut frame).run();
            if !frame.is_empty() {
                return due;
            }
            now = due;
        }
        until
    }

    /// A recorded tick, of which the object has these records.
    fn tick(&mut self, clock: Clock, links: &[Link]) {
        self.learn(clock.tick);
        let inputs = self.translator.inputs(links);
        let is_due = self.hot || self.due.is_some_and(|due| due <= clock.time);
        if is_due || !inputs.is_empty() || !self.simulated.is_empty() {
            self.turn(clock, inputs);
            self.match_orders(links);
        }
        for Link { record, hash, .. } in links {
            match &record.event {
                Event::Spawn(spawned) => {
                    self.children.0.push(hash.of_child(spawned.step).to_string().into());
                }
                Event::ChildEnded { child, part } => self.end_child(clock, child, *part),
                _ => {}
            }
        }
        self.clock = clock;
    }

    /// The host's clock was set back: the object has no turn in that tick.
    fn reset(&mut self, clock: Clock, since: Timestamp) {
        if self.object.state.minds_the_clock(&self.object.schema, since) {
            self.frame.clear(clock);
            let world = World { schemas: &self.schemas, guest: self.rules.guest };
            let mut cycle = Cycle::new(&mut self.object, clock, world, &mut self.frame);
            cycle.take_as_recorded(Event::Clock { since, signature: None });
            self.hot = true;
            self.due = due_after(&self.object, clock.time);
        }
        self.clock = clock;
    }

    fn turn(&mut self, clock: Clock, inputs: Vec<Fed>) {
        self.clock = clock;
        self.frame.clear(clock);
        let world = World { schemas: &self.schemas, guest: self.rules.guest };
        let mut cycle = Cycle::new(&mut self.object, clock, world, &mut self.frame);
        // A pause comes before everything else.
        let (pauses, inputs): (Vec<_>, Vec<_>) =
            inputs.into_iter().partition(|fed| matches!(fed, Fed::Pause(_)));
        pauses.into_iter().for_each(|pause| feed(&mut cycle, pause));
        for outcome in self.simulated.drain(..) {
            cycle.inspect(Input::Outcome(outcome, None));
        }
        inputs.into_iter().for_each(|input| feed(&mut cycle, input));
        let end = cycle.run();
        self.hot = end.hot;
        self.due = due_after(&self.object, clock.time);
        self.children.1.extend(end.children.into_iter().map(|child| child.id));
        for entry in &self.frame.entries {
            if let Ok(record) = decode(self.frame.record(entry), Some(&self.object.schema)) {
                let schemas = self.view.engine().schemas();
                self.decisions.extend(Decision::of(&record, entry.hash, &self.object.schema, schemas));
            }
        }
        self.simulated.extend(self.frame.effects.iter().map(|(_, of)| Outcome {
            of: *of,
            status: OutcomeStatus::Simulated,
            attempts: 0,
            message: None,
        }));
    }

    /// Effects that were ordered in this turn as the records of the tick have them end as they did then.
    fn match_orders(&mut self, links: &[Link]) {
        for Link { record, schema: recorded, .. } in links {
            let (Event::Mutation(Mutated { mutation, effect: Some(args), .. }), Some(recorded)) =
                (&record.event, recorded)
            else {
                continue;
            };
            let of_schema = |schema: &abide_core::schema::Schema, ix: abide_core::schema::MutationIx| {
                let effect = schema.mutations.get(usize::from(ix.0))?.effect.as_ref()?;
                Some((Arc::clone(&effect.interface), Arc::clone(&effect.function)))
            };
            let call = of_schema(recorded, *mutation);
            let (state, schema) = (&self.object.state, &self.object.schema);
            let same = self.simulated.iter().position(|outcome| {
                state
                    .effects
                    .get(&outcome.of)
                    .is_some_and(|new| new.args == *args && of_schema(schema, new.mutation) == call)
            });
            if let Some(found) = same {
                let outcome = self.simulated.remove(found);
                self.translator.orders.insert(record.seq, outcome.of);
            }
        }
    }

    /// A child ended: the one that was made as many children after the first ends here.
    fn end_child(&mut self, clock: Clock, recorded: &Arc<str>, part: Allotment) {
        let nth = self.children.0.iter().position(|child| child == recorded);
        let Some(child) = nth.and_then(|nth| self.children.1.get(nth)).cloned() else { return };
        if self.object.state.children.contains_key(&child) {
            self.frame.clear(clock);
            self.object.end_child(child, part, clock, &mut self.frame);
            self.hot = true;
            self.due = due_after(&self.object, clock.time);
        }
    }

    /// Takes up the schemas that were known by a tick.
    fn learn(&mut self, tick: u64) {
        while let Some((from, _)) = self.to_come.as_slice().first()
            && *from <= tick
        {
            let known = self.to_come.next();
            self.schemas.extend(known.map(|(_, known)| (Arc::clone(&known.0.name), known)));
        }
    }
}
