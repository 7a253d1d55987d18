//! What a run came to, counted over the whole lineage of its objects: so a run that goes on after another says the same
//! in the end as one that never stopped.

use std::collections::BTreeMap;

use abide_core::record::{DenialKey, Denied, Event, Place};
use abide_core::schema::{MutationIx, RuleIx, Schema};
use abide_core::time::Timestamp;
use abide_host::HostError;
use abide_host::run::Ran;
use abide_host::source::Problems;
use abide_host::view::{Lineage, Link, View};
use serde_json::{Value as Json, json};

/// What a run came to.
pub(super) struct Summary {
    /// Every object, as `show` has it.
    pub(super) objects: Vec<Json>,
    /// What rules did, by object, rule and what it was.
    pub(super) actions: BTreeMap<Action, u64>,
    /// What was denied, by kind.
    pub(super) denials: BTreeMap<DenialKind, Denials>,
    /// Of the object that is being counted: the last denial of each key.
    last_denied: BTreeMap<DenialKey, DenialKind>,
    /// How effects ended, by object and word.
    pub(super) effects: BTreeMap<(String, &'static str), u64>,
    /// Lines that could not be read, of this run.
    pub(super) problems: Problems,
    /// Ticks of this run.
    pub(super) ticks: u64,
    /// Ticks of this run that came late.
    pub(super) late_ticks: u64,
    /// The number and the time of the last tick.
    pub(super) last: (u64, Timestamp),
    /// Whether all of the input was taken.
    pub(super) finished: bool,
    /// Records in the log.
    pub(super) records: u64,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Action {
    pub(super) object: String,
    pub(super) rule: String,
    /// `mutate`, `spawn`, `sleep`, `retry`, `terminate`.
    pub(super) step: &'static str,
    pub(super) mutation: Option<String>,
}

/// What makes two denials one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DenialKind {
    pub(super) object: String,
    pub(super) mutation: Option<String>,
    pub(super) code: &'static str,
    pub(super) place: Place,
    /// What the denial said; it holds the value that was offered.
    pub(super) message: String,
}

/// The denials of a kind: how many, and the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Denials {
    pub(super) count: u64,
    /// The value that was offered, as it stands in the record.
    pub(super) value: Option<Json>,
    pub(super) first: Option<Timestamp>,
    pub(super) caller: String,
}

impl Summary {
    pub(super) fn of(view: &View, ran: &Ran) -> Result<Self, HostError> {
        let clock = view.engine().clock();
        let mut summary = Self {
            objects: view.list(),
            actions: BTreeMap::new(),
            denials: BTreeMap::new(),
            last_denied: BTreeMap::new(),
            effects: BTreeMap::new(),
            problems: ran.problems.clone(),
            ticks: ran.ticks,
            late_ticks: ran.late_ticks,
            last: (clock.tick, clock.time),
            finished: ran.finished,
            records: view.shown(),
        };
        for object in view.engine().objects() {
            summary.last_denied.clear();
            for link in view.records(Lineage::of(object))? {
                let Link { record, schema, .. } = link?;
                let schema = schema.as_deref().unwrap_or(&object.schema);
                summary.count(&object.id, schema, record.time, &record.event);
            }
            let counted = Event::Denials(object.state.pending.clone());
            summary.count(&object.id, &object.schema, object.changed_at, &counted);
        }
        Ok(summary)
    }

    fn count(&mut self, object: &str, schema: &Schema, at: Timestamp, event: &Event) {
        let mut act = |rule: RuleIx, step, mutation: Option<MutationIx>| {
            let mutation = mutation.map(|ix| mutation_name(schema, ix));
            let action = Action { object: object.to_owned(), rule: rule_name(schema, rule), step, mutation };
            *self.actions.entry(action).or_default() += 1;
        };
        match event {
            Event::Mutation(mutated) => {
                if let Some(rule) = mutated.rule {
                    act(rule, "mutate", Some(mutated.mutation));
                }
            }
            Event::Spawn(spawned) => act(spawned.rule, "spawn", None),
            Event::Sleep { rule, .. } => act(*rule, "sleep", None),
            Event::Retry { rule, .. } => act(*rule, "retry", None),
            Event::Terminate(rule) => act(*rule, "terminate", None),
            Event::Denial(denied) => self.deny(object, schema, at, denied),
            Event::Denials(counted) => {
                for one in counted {
                    // Those that were counted were like the last one that was recorded in full.
                    if let Some(all) =
                        self.last_denied.get(&one.key).and_then(|kind| self.denials.get_mut(kind))
                    {
                        all.count += one.count;
                    }
                }
            }
            Event::Outcome(outcome) => {
                *self.effects.entry((object.to_owned(), outcome.status.name())).or_default() += 1;
            }
            _ => {}
        }
    }

    fn deny(&mut self, object: &str, schema: &Schema, at: Timestamp, denied: &Denied) {
        let reason = denied.reason.to_json();
        let mutation = denied.mutation.map(|ix| mutation_name(schema, ix));
        let (code, place) = (denied.reason.code.name(), denied.reason.place.clone());
        let message = denied.reason.message.to_string();
        let kind = DenialKind { object: object.to_owned(), mutation, code, place: place.clone(), message };
        self.last_denied
            .insert(DenialKey { mutation: denied.mutation, code: denied.reason.code, place }, kind.clone());
        let all = self.denials.entry(kind).or_default();
        all.count += 1;
        if all.first.is_none() {
            all.value = reason.get("value").cloned();
            all.first = Some(at);
            all.caller = denied.rule.map_or_else(
                || format!("{} {}", denied.caller.kind().name(), denied.caller.name()).trim().to_owned(),
                |rule| format!("rule {}", rule_name(schema, rule)),
            );
        }
    }

    /// The last line of `run --json`.
    pub(super) fn to_json(&self) -> Json {
        let actions = self.actions.iter().map(|(action, count)| {
            json!({
                "object": action.object, "rule": action.rule, "step": action.step, "mutation": action.mutation, "count": count,
            })
        });
        let effects = self
            .effects
            .iter()
            .map(|((object, outcome), n)| json!({ "object": object, "outcome": outcome, "count": n }));
        let problems = self.problems.first.iter().map(|problem| {
            json!({ "source": &*problem.source, "line": problem.line, "message": problem.message, "help": problem.help })
        });
        json!({
            "event": "finished",
            "complete": self.finished,
            "ticks": self.ticks,
            "late_ticks": self.late_ticks,
            "last_tick": self.last.0,
            "time": self.last.1.to_string(),
            "records": self.records,
            "objects": self.objects,
            "actions": actions.collect::<Vec<_>>(),
            "denials": self.denials.iter().map(|(kind, all)| denial_json(kind, all)).collect::<Vec<_>>(),
            "effects": effects.collect::<Vec<_>>(),
            "problems": problems.collect::<Vec<_>>(),
            "problems_count": self.problems.count,
        })
    }
}

fn denial_json(kind: &DenialKind, all: &Denials) -> Json {
    let mut out = json!({
        "object": kind.object,
        "mutation": kind.mutation,
        "caller": all.caller,
        "code": kind.code,
        "count": all.count,
        "value": all.value,
        "message": kind.message,
        "first": all.first.map(|at| at.to_string()),
    });
    let place = match &kind.place {
        Place::Object => None,
        Place::Field(name) => Some(("field", name)),
        Place::Argument(name) => Some(("argument", name)),
        Place::Expression(source) => Some(("expression", source)),
    };
    if let (Some(entries), Some((what, name))) = (out.as_object_mut(), place) {
        entries.insert(what.to_owned(), (&**name).into());
    }
    out
}

fn mutation_name(schema: &Schema, ix: MutationIx) -> String {
    schema.mutations.get(usize::from(ix.0)).map_or_else(String::new, |mutation| mutation.name.to_string())
}

fn rule_name(schema: &Schema, ix: RuleIx) -> String {
    schema.rules.get(usize::from(ix.0)).map_or_else(String::new, |rule| rule.name.to_string())
}
