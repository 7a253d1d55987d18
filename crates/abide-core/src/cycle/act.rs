//! Acts: a behaviour is called, and its steps are done one after the other, all or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spawn::Wanted;
use super::{Cycle, subject};
use crate::admission::{Denial, Request, admit, denial};
use crate::guest::{Act, ActError, ActSpawn, ActStep, Fault, STEPS_MAX, Wake};
use crate::record::{Caller, Code, Denied, Event, Mutated, Place};
use crate::schema::{MutationIx, RuleIx, Schema};
use crate::value::Value;

/// Most characters of a guest's words that a record takes.
const WORDS_MAX: usize = 512;

/// A step that was denied.
struct Refused {
    step: u32,
    mutation: Option<MutationIx>,
    args: Vec<Value>,
    denial: Box<Denial>,
}

impl Cycle<'_> {
    /// Calls an action of the behaviour. Each step sees the memory that those before it left; a denial drops them all.
    pub(super) fn act_behaviour(&mut self, ix: RuleIx, action: &str) {
        let attempts = self.attempts(ix);
        let steps =
            match self.call(ix, action, attempts).and_then(|steps| well_formed(&self.object.schema, steps)) {
                Ok(steps) => steps,
                Err(error) => return self.deny_act(ix, 0, &error),
            };
        if steps.is_empty() {
            self.record(Event::Idle(ix));
            return;
        }
        let mark = self.frame.mark(self.object);
        let children = self.end.children.len();
        for (n, step) in (0..).zip(steps) {
            if let Err(refused) = self.act_step(ix, n, attempts, step) {
                *self.object = self.frame.rewind(mark);
                self.end.children.truncate(children);
                self.end.terminated = false;
                let Refused { step, mutation, args, denial } = *refused;
                let denied = self.denied(mutation, Caller::Behaviour, &args, *denial);
                return self.deny(Denied { rule: Some(ix), step: Some(step), ..denied });
            }
        }
    }

    fn call(&mut self, ix: RuleIx, action: &str, attempts: u32) -> Result<Vec<ActStep>, ActError> {
        let object = &*self.object;
        let Some(behaviour) = object.behaviour else {
            return Err(ActError {
                fault: Fault::Missing,
                message: "the object has no behaviour".to_owned(),
            });
        };
        let act = Act {
            schema: &object.schema,
            behaviour,
            action,
            object: &object.id,
            rule: object.schema.rules.get(usize::from(ix.0)).map_or("", |rule| &rule.name),
            tick: self.clock.tick,
            now: self.clock.time,
            attempts,
            slope: object.state.bucket.map(|bucket| bucket.at(self.clock.time).level),
            head: object.head,
            memory: &object.state.memory,
        };
        let acted = self.world.guest.act(&act);
        let number = object.number;
        self.frame.log.extend(acted.log.into_iter().map(|line| (number, line)));
        acted.answer
    }

    fn act_step(&mut self, ix: RuleIx, n: u32, attempts: u32, step: ActStep) -> Result<(), Box<Refused>> {
        let refused = |mutation, args, denial| Box::new(Refused { step: n, mutation, args, denial });
        match step {
            ActStep::Mutate { mutation, args } => {
                let request = Request { mutation, args, caller: Caller::Behaviour };
                match admit(subject(self.object), &request, self.clock.time) {
                    Ok(mutated) => {
                        self.record(Event::Mutation(Mutated { rule: Some(ix), step: Some(n), ..mutated }));
                    }
                    Err(denial) => return Err(refused(Some(mutation), request.args, denial)),
                }
            }
            ActStep::Spawn(ActSpawn { schema, values, budget, refill, links }) => {
                let values: BTreeMap<Arc<str>, _> =
                    values.into_iter().map(|(name, json)| (name.into(), json)).collect();
                let wanted = Wanted { schema: &schema, values, budget, refill, links: &links };
                self.spawn(ix, n, &wanted).map_err(|denial| refused(None, Vec::new(), denial))?;
            }
            ActStep::Sleep(wake) => {
                let until = match wake {
                    Wake::At(time) => time,
                    Wake::After(span) => self.clock.time.saturating_add(span),
                };
                self.record(Event::Sleep { rule: ix, until: Some(until) });
            }
            ActStep::Retry => self.retry(ix, attempts),
            ActStep::Terminate => self.terminate(ix),
        }
        Ok(())
    }

    fn deny_act(&mut self, ix: RuleIx, step: u32, error: &ActError) {
        let words = match error.message.char_indices().nth(WORDS_MAX) {
            Some((at, _)) => format!("{}…", error.message.get(..at).unwrap_or_default()),
            None => error.message.clone(),
        };
        let denial = denial(Code::Act, Place::Object, Some(error.fault.name().to_owned()), words);
        let denied = self.denied(None, Caller::Behaviour, &[], *denial);
        self.deny(Denied { rule: Some(ix), step: Some(step), ..denied });
    }
}

/// At most [`STEPS_MAX`] steps of the schema's mutations, of which the last alone sleeps, asks for a retry or ends the
/// object.
fn well_formed(schema: &Schema, steps: Vec<ActStep>) -> Result<Vec<ActStep>, ActError> {
    let answer = |message: String| Err(ActError { fault: Fault::Answer, message });
    if steps.len() > STEPS_MAX {
        return answer(format!("the act answers with {} steps; at most {STEPS_MAX} are done", steps.len()));
    }
    let lacks = |step: &ActStep| matches!(step, ActStep::Mutate { mutation, .. } if schema.mutations.len() <= usize::from(mutation.0));
    if let Some(at) = steps.iter().position(lacks) {
        return answer(format!("step {at} asks for a mutation that the schema lacks"));
    }
    let ends = |step: &ActStep| matches!(step, ActStep::Sleep(_) | ActStep::Retry | ActStep::Terminate);
    match steps.iter().position(ends) {
        Some(at) if at + 1 < steps.len() => {
            answer(format!("step {at} sleeps, retries or terminates: only the last step may"))
        }
        _ => Ok(steps),
    }
}
