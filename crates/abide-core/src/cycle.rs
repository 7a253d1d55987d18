//! A cycle: one object's turn within a tick. Inspect, evaluate, act, record.

mod act;
mod spawn;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::admission::{
    self, Denial, Granted, OperatorAct, OperatorRequest, Request, Subject, admit, denial, ignores,
};
use crate::clock::Clock;
use crate::expr::{Env, EvalError, Program};
use crate::field::Slot;
use crate::frame::Frame;
use crate::guest::{Behaviour, Guest};
use crate::object::Object;
use crate::policy::Policy;
use crate::record::{
    Caller, Code, DenialKey, Denied, Event, Genesis, Hash, Mutated, Outcome, OutcomeStatus, Place, Reason,
};
use crate::schema::{MutateStep, RuleIx, Schema, SpawnStep, Step, Until};
use crate::state::{State, Status};
use crate::template::{self, TemplateError};
use crate::time::{Span, Timestamp};
use crate::value::Value;

/// Something for an object, from outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// An observation, or a mutation that an operator, a component or a parent asks for.
    Ask(Request),
    /// An operator ends a quarantine, or seals the object.
    Operate(OperatorRequest),
    /// An effect ended; of a delivered one, what the target answered.
    Outcome(Outcome, Option<serde_json::Value>),
    /// The policy changes.
    Policy(Box<Policy>),
}

impl Input {
    /// Whether it would put another schema in force, so that what was asked under the one before goes first.
    #[must_use]
    pub fn changes_schema(&self) -> bool {
        let Self::Operate(OperatorRequest { act, .. }) = self else { return false };
        matches!(act, OperatorAct::Schema(..) | OperatorAct::Revert { schema: Some(_), .. })
    }
}

/// What became of an [`Input`].
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is in the record of that number.
    Recorded(u64),
    /// It said nothing new, by the mutation's `ignore`.
    Ignored,
    /// It was denied.
    Denied(Reason),
}

/// What a cycle may look up beyond its object.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Schemas that children may have, by name, with the behaviour that goes with each.
    pub schemas: &'a BTreeMap<Arc<str>, (Arc<Schema>, Option<Behaviour>)>,
    /// Runs acts.
    pub guest: &'a dyn Guest,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("schemas", &self.schemas.len()).finish_non_exhaustive()
    }
}

/// A child that a cycle made, to be begun after it.
#[derive(Debug)]
pub struct Child {
    /// Its id.
    pub id: Arc<str>,
    /// Its schema.
    pub schema: Arc<Schema>,
    /// Its first record.
    pub genesis: Genesis,
}

/// What the host has to know after a cycle.
#[derive(Debug, Default)]
pub struct End {
    /// Whether the next tick must give the object a turn, whatever comes in.
    pub hot: bool,
    /// Children to begin.
    pub children: Vec<Child>,
    /// Whether the object ended in this cycle.
    pub terminated: bool,
}

/// One object's turn.
#[derive(Debug)]
pub struct Cycle<'a> {
    object: &'a mut Object,
    clock: Clock,
    world: World<'a>,
    frame: &'a mut Frame,
    end: End,
}

impl<'a> Cycle<'a> {
    /// A turn that is about to begin.
    pub fn new(object: &'a mut Object, clock: Clock, world: World<'a>, frame: &'a mut Frame) -> Self {
        Self { object, clock, world, frame, end: End::default() }
    }

    /// The object as it stands within the turn.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.object
    }

    /// Inspect: one input of the inbox passes admission.
    pub fn inspect(&mut self, input: Input) -> Verdict {
        match input {
            Input::Ask(request) => self.ask(&request),
            Input::Operate(request) => self.operate(&request),
            Input::Outcome(outcome, answer) => self.outcome(outcome, answer),
            Input::Policy(policy) => self.record(Event::Policy(policy)),
        }
    }

    /// For a cycle that is run again: records what cannot be computed again as it was recorded. That is the outcome of an
    /// effect, without what its target answered, a denial of arguments that were cut short, and a reset of the host's clock.
    pub fn take_as_recorded(&mut self, event: Event) {
        debug_assert!(
            matches!(event, Event::Outcome(_) | Event::Denial(_) | Event::Clock { .. }),
            "everything else is computed again"
        );
        self.record(event);
    }

    /// The host did not tick since then: what was due meanwhile is dropped, if the schema says so.
    pub fn pause(&mut self, since: Timestamp) {
        if matches!(self.object.state.status, Status::Sealed | Status::Terminated) {
            return;
        }
        let now = self.clock.time;
        let rules = self.object.schema.rules.iter().zip(&self.object.state.rules);
        let missed = |due: Timestamp| due > since && due <= now;
        let any = rules
            .filter_map(|(rule, memory)| Some(memory.chosen_at?.saturating_add(rule.every?)))
            .any(missed);
        if self.object.schema.missed == crate::schema::Missed::Skip && any {
            self.record(Event::Pause { since });
        }
    }

    /// Evaluate, act, record: after the inbox.
    #[must_use]
    pub fn run(mut self) -> End {
        self.end_denial_windows();
        self.wake();
        if self.object.state.status == Status::Active {
            self.evaluate_and_act();
        }
        self.end
    }

    fn evaluate_and_act(&mut self) {
        let mut truths = std::mem::take(&mut self.frame.truths);
        truths.clear();
        if self.evaluate(&mut truths) {
            self.choose_and_act(&truths);
        }
        self.frame.truths = truths;
    }

    fn choose_and_act(&mut self, truths: &[bool]) {
        let now = self.clock.time;
        let schema = Arc::clone(&self.object.schema);
        let chosen = (0u16..).map(RuleIx).zip(schema.rules.iter().zip(&self.object.state.rules).zip(truths));
        let chosen = chosen.filter(|(_, ((rule, memory), held))| {
            **held && memory.ready(rule, now) && memory.held(rule, now)
        });
        if let Some(ix) = chosen.map(|(ix, _)| ix).next()
            && let Some(rule) = schema.rules.get(usize::from(ix.0))
        {
            let before = self.object.length;
            self.act(ix, &rule.then);
            self.end.hot |= self.object.length > before;
        }
        for ((rule, memory), held) in schema.rules.iter().zip(&self.object.state.rules).zip(truths) {
            let ready = memory.ready(rule, now);
            self.end.hot |= *held && ready && memory.held(rule, now);
            let watches_clock =
                rule.when.reads_now() && (ready || rule.held_for.is_some() || rule.when.can_fail());
            self.end.hot |= watches_clock;
        }
    }

    /// Every guard once, over the memory as the inbox left it. Whether the object is still active after it: a failing
    /// guard may put it in quarantine.
    fn evaluate(&mut self, truths: &mut Vec<bool>) -> bool {
        let schema = Arc::clone(&self.object.schema);
        let mut flips = Vec::new();
        for (ix, rule) in (0u16..).map(RuleIx).zip(&schema.rules) {
            let holds = match rule.when.holds(&guard_env(&self.object.state, self.clock.time)) {
                Ok(holds) => holds,
                Err(error) => {
                    self.end.hot = true;
                    self.deny_guard(ix, &rule.when, &error);
                    if self.object.state.status != Status::Active {
                        return false;
                    }
                    false
                }
            };
            let was_held = self
                .object
                .state
                .rules
                .get(usize::from(ix.0))
                .is_some_and(|memory| memory.held_since.is_some());
            if rule.held_for.is_some() && holds != was_held {
                flips.push((ix, holds));
            }
            truths.push(holds);
        }
        if !flips.is_empty() {
            self.record(Event::Hold(flips));
        }
        true
    }

    fn act(&mut self, ix: RuleIx, step: &Step) {
        match step {
            Step::Mutate(step) => self.act_mutate(ix, step),
            Step::Spawn(step) => self.act_spawn(ix, step),
            Step::Sleep(until) => self.act_sleep(ix, until),
            Step::Retry => self.retry(ix, self.attempts(ix)),
            Step::Terminate => self.terminate(ix),
            Step::Act(action) => self.act_behaviour(ix, action),
        }
    }

    fn act_mutate(&mut self, ix: RuleIx, step: &MutateStep) {
        let asked = self.step_request(step, Caller::Rule);
        let denied = match asked {
            Ok(request) => match admit(subject(self.object), &request, self.clock.time) {
                Ok(mutated) => {
                    self.record(Event::Mutation(Mutated { rule: Some(ix), ..mutated }));
                    return;
                }
                Err(denial) => (request.args, denial),
            },
            Err(denial) => (Vec::new(), denial),
        };
        let (args, denial) = denied;
        let denied = self.denied(Some(step.mutation), Caller::Rule, &args, *denial);
        self.deny(Denied { rule: Some(ix), step: Some(0), ..denied });
    }

    fn step_request(&self, step: &MutateStep, caller: Caller) -> Result<Request, Box<Denial>> {
        let env = guard_env(&self.object.state, self.clock.time);
        let args: Result<Vec<_>, TemplateError<'_>> = step
            .args
            .iter()
            .map(|arg| arg.as_ref().map_or(Ok(Value::Null), |arg| template::value(arg, &env)))
            .collect();
        match args {
            Ok(args) => Ok(Request { mutation: step.mutation, args, caller }),
            Err((program, error)) => Err(admission::evaluation(&self.object.schema, program, &error)),
        }
    }

    fn act_sleep(&mut self, ix: RuleIx, until: &Until) {
        let now = self.clock.time;
        let until = match until {
            Until::Condition(_) => None,
            Until::For(span) => Some(now.saturating_add(*span)),
            Until::Time(program) => match program.eval(&guard_env(&self.object.state, now)) {
                Ok(Value::Time(time)) => Some(time),
                Ok(_) => Some(now),
                Err(error) => {
                    let denial = admission::evaluation(&self.object.schema, program, &error);
                    let denied = self.denied(None, Caller::Rule, &[], *denial);
                    return self.deny(Denied { rule: Some(ix), step: Some(0), ..denied });
                }
            },
        };
        self.record(Event::Sleep { rule: ix, until });
    }

    /// How often the rule has asked to be tried again in a row.
    fn attempts(&self, ix: RuleIx) -> u32 {
        let before = self.object.state.rules.get(usize::from(ix.0)).and_then(|memory| memory.retry);
        before.map_or(0, |(attempt, _)| attempt)
    }

    fn retry(&mut self, ix: RuleIx, attempts: u32) {
        let wait = Span::from_secs(1i64.checked_shl(attempts.min(12)).unwrap_or(3600).min(3600));
        let due = self.clock.time.saturating_add(wait);
        self.record(Event::Retry { rule: ix, attempt: attempts.saturating_add(1), due });
    }

    fn terminate(&mut self, ix: RuleIx) {
        self.ask_safe_state();
        self.record(Event::Terminate(ix));
        self.end.terminated = true;
    }

    fn act_spawn(&mut self, ix: RuleIx, step: &SpawnStep) {
        if let Err(denial) = self.wanted(step).and_then(|wanted| self.spawn(ix, 0, &wanted)) {
            let denied = self.denied(None, Caller::Rule, &[], *denial);
            self.deny(Denied { rule: Some(ix), step: Some(0), ..denied });
        }
    }

    fn ask(&mut self, request: &Request) -> Verdict {
        let now = self.clock.time;
        if ignores(subject(self.object), request, now) {
            return Verdict::Ignored;
        }
        match admit(subject(self.object), request, now) {
            Ok(mutated) => self.record(Event::Mutation(mutated)),
            Err(denial) => {
                let denied =
                    self.denied(Some(request.mutation), request.caller.clone(), &request.args, *denial);
                let reason = denied.reason.clone();
                self.deny(denied);
                Verdict::Denied(reason)
            }
        }
    }

    fn operate(&mut self, request: &OperatorRequest) -> Verdict {
        match request.act.admit(self.object, &request.signature, self.clock.time) {
            Ok(Granted { event, schema }) => {
                self.object.record_under(event, schema.as_ref(), self.clock, self.frame);
                Verdict::Recorded(self.object.length - 1)
            }
            Err(denials) => {
                let caller = Caller::Operator(Box::new(request.signature.clone()));
                let Some(first) = admission::first_of(denials) else { return Verdict::Ignored };
                let denied = self.denied(None, caller, &[], first);
                let reason = denied.reason.clone();
                self.deny(denied);
                Verdict::Denied(reason)
            }
        }
    }

    fn outcome(&mut self, outcome: Outcome, answer: Option<serde_json::Value>) -> Verdict {
        let Some(effect) = self.object.state.effects.get(&outcome.of).cloned() else {
            return Verdict::Ignored;
        };
        let schema = Arc::clone(&self.object.schema);
        let answered = schema.mutations.get(usize::from(effect.mutation.0)).and_then(|m| m.effect.as_ref());
        let status = outcome.status;
        let message = outcome.message.clone();
        let verdict = self.record(Event::Outcome(outcome));
        let Some(declared) = answered else { return verdict };
        let (mutation, answer) = match status {
            OutcomeStatus::Delivered => (declared.result, answer),
            OutcomeStatus::Failed | OutcomeStatus::Abandoned => {
                let why =
                    message.map_or_else(|| "abandoned: it was no longer valid".to_owned(), |m| m.to_string());
                (declared.error, Some(serde_json::json!({ "message": why })))
            }
            OutcomeStatus::Simulated => (None, None),
        };
        if let Some(mutation) = mutation {
            let Some(target) = schema.mutations.get(usize::from(mutation.0)) else { return verdict };
            let args = answer_args(&target.args, &answer.unwrap_or_default());
            let source = format!("{}.{}", declared.interface, declared.function);
            self.ask(&Request { mutation, args, caller: Caller::Observation(source.into()) });
        }
        verdict
    }

    fn wake(&mut self) {
        if self.object.state.status != Status::Sleeping {
            return;
        }
        let Some((rule, until)) = self.object.state.sleep else { return };
        let schema = Arc::clone(&self.object.schema);
        let condition = schema.rules.get(usize::from(rule.0)).and_then(|rule| match &rule.then {
            Step::Sleep(Until::Condition(condition)) => Some(condition),
            _ => None,
        });
        let woken = match (until, condition) {
            (Some(until), _) => until <= self.clock.time,
            (None, Some(condition)) => {
                self.end.hot |= condition.reads_now() || condition.can_fail();
                match condition.holds(&guard_env(&self.object.state, self.clock.time)) {
                    Ok(holds) => holds,
                    Err(error) => {
                        self.deny_guard(rule, condition, &error);
                        false
                    }
                }
            }
            (None, None) => true,
        };
        if woken && self.object.state.status == Status::Sleeping {
            self.record(Event::Wake);
        }
    }

    fn end_denial_windows(&mut self) {
        let state = &self.object.state;
        let window = State::denial_window(&self.object.schema);
        let over = |key: &DenialKey| {
            state.denied.get(key).is_none_or(|at| at.saturating_add(window) <= self.clock.time)
        };
        let pending = self.frame.recorded_counts().unwrap_or(&state.pending);
        if pending.iter().any(|counted| over(&counted.key)) {
            self.object.record_pending(self.clock, self.frame);
        }
    }

    fn deny_guard(&mut self, ix: RuleIx, program: &Program, error: &EvalError) {
        let denial = admission::evaluation(&self.object.schema, program, error);
        let denied = self.denied(None, Caller::Rule, &[], *denial);
        self.deny(Denied { rule: Some(ix), ..denied });
    }

    fn denied(
        &self,
        mutation: Option<crate::schema::MutationIx>,
        caller: Caller,
        args: &[Value],
        denial: Denial,
    ) -> Denied {
        let ty = mutation.and_then(|ix| self.object.schema.mutations.get(usize::from(ix.0))).map(|m| &m.args);
        let named = ty.into_iter().flat_map(|ty| &ty.fields).zip(args);
        let given = named.filter(|(_, value)| !matches!(value, Value::Null));
        let args = given.map(|(field, value)| (Arc::clone(&field.name), admission::excerpt(value))).collect();
        Denied {
            mutation,
            caller,
            rule: None,
            step: None,
            args,
            reason: denial.reason,
            affordable_at: denial.affordable_at,
        }
    }

    /// Records a denial in full, or counts it; and quarantines the object when it was one too many of its own doing.
    fn deny(&mut self, denied: Denied) {
        let now = self.clock.time;
        let schema = Arc::clone(&self.object.schema);
        let trips = denied.counts_as_own() && self.trips_quarantine(now);
        let key = DenialKey {
            mutation: denied.mutation,
            code: denied.reason.code,
            place: denied.reason.place.clone(),
        };
        let window = State::denial_window(&schema);
        let known = self.object.state.denied.get(&key).is_some_and(|at| at.saturating_add(window) > now);
        if known && !trips {
            self.object.state.count(&schema, now, &denied);
            self.frame.denials += 1;
            self.frame.counted.push(self.object.number);
            return;
        }
        self.record(Event::Denial(Box::new(denied)));
        if trips {
            self.record(Event::Quarantine);
            self.ask_safe_state();
        }
    }

    fn trips_quarantine(&self, now: Timestamp) -> bool {
        let Some(quarantine) = self.object.schema.trust_slope.quarantine else { return false };
        let state = &self.object.state;
        let recent = state.own_denials.iter().filter(|at| at.saturating_add(quarantine.within) > now).count();
        state.status != Status::Quarantined
            && recent + 1 >= usize::try_from(quarantine.denials).unwrap_or(usize::MAX)
    }

    fn ask_safe_state(&mut self) {
        let schema = Arc::clone(&self.object.schema);
        let Some(step) = &schema.safe_state else { return };
        let (args, outcome) = match self.step_request(step, Caller::SafeState) {
            Ok(request) => {
                let outcome = admit(subject(self.object), &request, self.clock.time);
                (request.args, outcome)
            }
            Err(denial) => (Vec::new(), Err(denial)),
        };
        match outcome {
            Ok(mutated) => {
                self.record(Event::Mutation(mutated));
            }
            Err(denial) => {
                let denied = self.denied(Some(step.mutation), Caller::SafeState, &args, *denial);
                self.deny(denied);
            }
        }
    }

    fn record(&mut self, event: Event) -> Verdict {
        self.object.record(event, self.clock, self.frame);
        Verdict::Recorded(self.object.length - 1)
    }
}

/// Checks the first values of an object's memory: each of its type and bounds, and the invariants where it is complete.
///
/// # Errors
/// The first value that is not, or the invariant that would not hold.
pub fn check_first_values(schema: &Schema, values: &[(Slot, Value)], now: Timestamp) -> Result<(), Reason> {
    for (slot, value) in values {
        let Some(field) = schema.memory.get(*slot) else { continue };
        if let Err(violation) = field.ty.check(value) {
            let message = format!("field `{}`: {}", field.name, violation.message);
            let place = Place::Field(Arc::clone(&field.name));
            return Err(denial(Code::Bounds, place, Some(violation.value), message).reason);
        }
    }
    let genesis = Genesis {
        host: "".into(),
        schema: Hash(schema.digest),
        behaviour: None,
        policy: Policy::default(),
        parent: None,
        depth: 0,
        allotment: None,
        values: values.to_vec(),
    };
    let state = State::new(schema, &genesis, now);
    admission::check_invariants(schema, None, &state.memory, now).map_err(|denial| denial.reason)
}

/// When the object is due for a turn, beyond what comes in: the first time after `now`.
#[must_use]
pub fn due_after(object: &Object, now: Timestamp) -> Option<Timestamp> {
    let state = &object.state;
    let window = State::denial_window(&object.schema);
    let counted = state.pending.iter().filter_map(|c| Some(state.denied.get(&c.key)?.saturating_add(window)));
    let counted = counted.filter(|due| *due > now).min();
    let own = match state.status {
        Status::Active => object
            .schema
            .rules
            .iter()
            .zip(&state.rules)
            .flat_map(|(rule, memory)| memory.due_after(rule, now))
            .min(),
        Status::Sleeping => state.sleep.and_then(|(_, until)| until).filter(|until| *until > now),
        _ => None,
    };
    counted.into_iter().chain(own).min()
}

pub(crate) fn subject(object: &Object) -> Subject<'_> {
    Subject { schema: &object.schema, policy: &object.policy, genesis: object.genesis, state: &object.state }
}

fn guard_env(state: &State, now: Timestamp) -> Env<'_> {
    Env { memory: &state.memory, old_memory: &state.memory, args: &[], now, caller: ("rule", "") }
}

/// What an effect's target answered, as arguments of the mutation that takes it: members by name, or the whole as the
/// only argument.
fn answer_args(ty: &crate::field::StructType, answer: &serde_json::Value) -> Vec<Value> {
    let read = |field: &crate::field::Field, json: &serde_json::Value| {
        field.ty.value_from_json(json).unwrap_or_else(|_| crate::field::untyped_from_json(json))
    };
    match (answer, ty.fields.as_slice()) {
        (serde_json::Value::Object(members), [field]) if !members.contains_key(&*field.name) => {
            vec![read(field, answer)]
        }
        (serde_json::Value::Object(members), fields) => fields
            .iter()
            .map(|field| members.get(&*field.name).map_or(Value::Null, |json| read(field, json)))
            .collect(),
        (_, [field]) => vec![read(field, answer)],
        _ => Vec::new(),
    }
}
