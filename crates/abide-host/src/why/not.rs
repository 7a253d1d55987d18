//! Why a rule did not fire at a time.

use std::sync::Arc;

use abide_core::expr::{Env, Explanation};
use abide_core::object::Object;
use abide_core::record::{Caller, Counted, Event, Record};
use abide_core::schema::{Rule, RuleIx, Schema, Step, Until};
use abide_core::state::Status;
use abide_core::time::{Span, Timestamp};
use serde_json::{Map, Value as Json};

use super::{Branch, Mark, WhyError, explanation_branch, explanation_json, rule_of};
use crate::history::{fold, last_until};
use crate::view::{Lineage, Link, View, rule_name};

/// Why a rule did not fire.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyNot {
    /// The rule.
    pub rule: String,
    /// When.
    pub at: Timestamp,
    /// What kept it.
    pub kept: Kept,
    /// In words.
    pub message: String,
    /// The record that shows it, if one does, as `lineage --json` has it.
    pub record: Option<Json>,
    /// The schema that was in force.
    pub schema: Arc<Schema>,
    /// The operands of what was false or had no value: of its guard, or of what a sleeping object waits for.
    pub operands: Option<Explanation>,
}

/// What kept a rule from firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing did: it fired.
    Fired,
    /// It was chosen, and what it asked was denied.
    Denied,
    /// The object's status: its rules did not run.
    Status,
    /// Its guard was false.
    Guard,
    /// Its guard had no value.
    Error,
    /// It was not ready: nothing that its guard reads has changed since it was last chosen, or `every` has not passed.
    NotReady,
    /// Its guard has not held long enough.
    For,
    /// A rule before it was chosen.
    Order,
    /// It has no turn then; nothing else keeps it.
    Turn,
}

impl Kept {
    /// As JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Denied => "denied",
            Self::Status => "status",
            Self::Guard => "guard",
            Self::Error => "error",
            Self::NotReady => "not-ready",
            Self::For => "for",
            Self::Order => "order",
            Self::Turn => "turn",
        }
    }
}

/// Why a rule did not fire at a time: in the tick of that time, or as the object stood then if it had no tick. Where the
/// clock was reset, a time that came twice is the later one.
///
/// # Errors
/// When the log cannot be read, the schema that was in force has no such rule, or the object did not exist yet.
pub fn why_not(view: &View, object: &Object, rule: &str, time: Timestamp) -> Result<WhyNot, WhyError> {
    let moment = Moment::find(view, object, rule, time.min(view.time()))?;
    let mut answer = moment.answer();
    if time > view.time() {
        answer.message = format!("{} (the log ends at {})", answer.message, view.time());
    }
    Ok(answer)
}

impl WhyNot {
    /// As JSON: `{rule, at, fired, kept, message, record, operands}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        out.insert("rule".to_owned(), self.rule.as_str().into());
        out.insert("at".to_owned(), self.at.to_string().into());
        out.insert("fired".to_owned(), (self.kept == Kept::Fired).into());
        out.insert("kept".to_owned(), self.kept.name().into());
        out.insert("message".to_owned(), self.message.as_str().into());
        if let Some(record) = &self.record {
            out.insert("record".to_owned(), record.clone());
        }
        if let Some(operands) = &self.operands {
            out.insert("operands".to_owned(), explanation_json(operands, &self.schema, true));
        }
        Json::Object(out)
    }

    /// As a tree for a terminal.
    #[must_use]
    pub fn branch(&self) -> Branch {
        let below = self.operands.iter().map(|operands| explanation_branch(operands, true)).collect();
        Branch {
            text: format!("rule {} at {}: {}", self.rule, self.at, self.message),
            mark: Mark::Remark,
            below,
        }
    }
}

/// An object at a time.
struct Moment {
    /// The schema that was in force for them.
    schema: Arc<Schema>,
    ix: RuleIx,
    at: Timestamp,
    /// The object as its rules saw it.
    object: Object,
    /// The records of the tick of that time.
    here: Vec<Link>,
    /// The records of the tick after it.
    after: Vec<Link>,
    /// The last record before that is of this rule's doing.
    last: Option<Link>,
    /// The last record before that which ended its rules: a quarantine, a seal or its end.
    ended: Option<Link>,
    /// Denials that were counted then and recorded later.
    counted: Vec<Counted>,
}

impl Moment {
    fn find(view: &View, live: &Object, rule: &str, at: Timestamp) -> Result<Self, WhyError> {
        let last_record = last_until(view, live, at)?;
        let (end, tick_of_end) = last_record.map_or((0, None), |record| (record.seq, Some(record.tick)));
        let mut object: Option<Object> = None;
        let (mut here, mut after) = (Vec::new(), Vec::<Link>::new());
        let (mut last, mut ended) = (None, None);
        for link in view.records(Lineage::of(live))? {
            let link = link?;
            let record = &link.record;
            if record.seq > end {
                if after.first().is_some_and(|first| first.record.tick != record.tick) {
                    break;
                }
                after.push(link);
                continue;
            }
            // The tick of that time, if there is one, is the last that counts: before a reset, another may have had its time.
            if record.time == at && tick_of_end == Some(record.tick) {
                here.push(link);
                continue;
            }
            fold(&mut object, live, &link);
            if matches!(record.event, Event::Quarantine | Event::Seal(_) | Event::Terminate(_)) {
                ended = Some(link.clone());
            }
            if is_chosen(&link, rule).is_some() {
                last = Some(link);
            }
        }
        if let (None, Some(first)) = (&object, here.first()) {
            fold(&mut object, live, first);
        }
        let Some(mut object) = object else {
            let began = after.first().map_or(at, |first| first.record.time);
            return Err(WhyError::Time { object: live.id.clone(), time: at, began });
        };
        let mut counted = match after.first().map(|first| &first.record.event) {
            Some(Event::Denials(counted)) => counted.clone(),
            Some(_) => Vec::new(),
            None => live.state.pending.clone(),
        };
        if here.is_empty() {
            let schema = Arc::clone(&object.schema);
            object.state.resume_counts_before(&schema, &counted, at.saturating_add(Span(1)));
        }
        counted.extend(here.iter().filter_map(|link| counts_of(&link.record)).flatten().cloned());
        inspect(&mut object, &here, at);
        let schema = Arc::clone(&object.schema);
        let ix = rule_of(&schema, rule)?;
        Ok(Self { schema, ix, at, object, here, after, last, ended, counted })
    }

    fn answer(&self) -> WhyNot {
        self.recorded().unwrap_or_else(|| self.evaluated())
    }

    /// What the records of the tick say themselves.
    fn recorded(&self) -> Option<WhyNot> {
        if self.here.first().is_some_and(|link| matches!(link.record.event, Event::Genesis(_))) {
            let message = "the object began in that tick: its first cycle is the next one".to_owned();
            return Some(self.with(Kept::Turn, message, self.here.first(), None));
        }
        if let Some((link, since)) =
            self.here.iter().find_map(|link| Some((link, reset_since(&link.record)?)))
        {
            let message =
                format!("the clock was set back in that tick, from {since}: no rule has a turn in it");
            return Some(self.with(Kept::Turn, message, Some(link), None));
        }
        let mine = self.here.iter().find_map(|link| Some((link, is_chosen(link, self.rule())?)));
        if let Some((link, denied)) = mine {
            let what = link.describe();
            let (kept, message) = match (denied, &link.record.event) {
                (false, _) => (Kept::Fired, format!("it fired: record {}, {what}", link.record.seq)),
                (true, Event::Denial(d)) if d.step.is_none() => {
                    (Kept::Error, format!("its guard had no value: record {}", link.record.seq))
                }
                (true, _) => {
                    (Kept::Denied, format!("it was chosen and denied: record {}, {what}", link.record.seq))
                }
            };
            let operands = (kept == Kept::Error).then(|| self.explain());
            return Some(self.with(kept, message, Some(link), operands));
        }
        let counted = self
            .counted
            .iter()
            .find(|one| one.chosen.iter().any(|(ix, at, _)| *ix == self.ix && *at == self.at))?;
        let code = counted.key.code.name();
        let message =
            format!("it was chosen and denied (`{code}`); the denial was counted with others like it");
        Some(self.with(Kept::Denied, message, None, None))
    }

    /// What the object's state says.
    fn evaluated(&self) -> WhyNot {
        let Some(rule) = self.schema.rules.get(usize::from(self.ix.0)) else {
            return self.with(Kept::Turn, "the schema has no such rule".to_owned(), None, None);
        };
        if self.object.state.status != Status::Active {
            return self.status();
        }
        match rule.when.holds(&self.env()) {
            Err(error) => {
                let message = format!("its guard has no value: {error}");
                self.with(Kept::Error, message, None, Some(self.explain()))
            }
            Ok(false) => self.with(Kept::Guard, "its guard was false".to_owned(), None, Some(self.explain())),
            Ok(true) => self
                .unready(rule)
                .or_else(|| self.not_held(rule))
                .or_else(|| self.lost())
                .unwrap_or_else(|| self.no_turn()),
        }
    }

    fn status(&self) -> WhyNot {
        let state = &self.object.state;
        let (mut operands, mut link) = (None, None);
        let message = match state.status {
            Status::Incomplete => {
                let gaps: Vec<String> = state.gaps(&self.schema).map(|name| format!("`{name}`")).collect();
                format!("the object was incomplete, and no rule of it ran: {} had no value", gaps.join(", "))
            }
            Status::Sleeping => match state.sleep {
                Some((by, Some(until))) => {
                    format!(
                        "the object was sleeping until {until}, by rule `{}`",
                        rule_name(&self.schema, by)
                    )
                }
                Some((by, None)) => {
                    operands = self.wake_condition(by);
                    format!(
                        "the object was sleeping, by rule `{}`, until a condition holds",
                        rule_name(&self.schema, by)
                    )
                }
                None => "the object was sleeping".to_owned(),
            },
            status => {
                let in_tick = self.here.iter().rfind(|link| matches!(link.record.event, Event::Seal(_)));
                link = in_tick.or(self.ended.as_ref());
                let since = link.map_or_else(String::new, |Link { record, .. }| {
                    format!(" since record {}, at {}", record.seq, record.time)
                });
                format!("the object was {}{since}, and no rule of it ran", status.name())
            }
        };
        self.with(Kept::Status, message, link, operands)
    }

    fn wake_condition(&self, by: RuleIx) -> Option<Explanation> {
        match &self.schema.rules.get(usize::from(by.0))?.then {
            Step::Sleep(Until::Condition(condition)) => Some(condition.explain(&self.env())),
            _ => None,
        }
    }

    fn unready(&self, rule: &Rule) -> Option<WhyNot> {
        let memory = self.object.state.rules.get(usize::from(self.ix.0))?;
        if memory.ready(rule, self.at) {
            return None;
        }
        let chosen = memory.chosen_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let mut message = match rule.every {
            Some(every) => {
                let due = memory.chosen_at.map(|at| at.saturating_add(every));
                let due = due.map_or_else(String::new, |due| format!(", which is again at {due}"));
                format!("its guard held, but it is ready every {every}{due}: it was last chosen at {chosen}")
            }
            None => {
                let reads: Vec<String> = rule
                    .when
                    .reads()
                    .iter()
                    .filter_map(|slot| Some(format!("`{}`", self.schema.memory.get(slot)?.name)))
                    .collect();
                format!(
                    "its guard held, but no record has changed {} since it was last chosen, at {chosen}",
                    reads.join(" or ")
                )
            }
        };
        if let Some(due) = memory.due_after(rule, self.at).min().filter(|_| rule.every.is_none()) {
            message.push_str(&format!("; it is tried again at {due}"));
        }
        Some(self.with(Kept::NotReady, message, self.last.as_ref(), None))
    }

    fn not_held(&self, rule: &Rule) -> Option<WhyNot> {
        let memory = self.object.state.rules.get(usize::from(self.ix.0))?;
        let span = rule.held_for.filter(|_| !memory.held(rule, self.at))?;
        let since = memory.held_since.unwrap_or(self.at);
        let due = since.saturating_add(span);
        let message =
            format!("its guard must hold for {span}, and has held since {since}: long enough at {due}");
        Some(self.with(Kept::For, message, None, None))
    }

    /// The rule that was chosen instead, or that stands before it.
    fn lost(&self) -> Option<WhyNot> {
        let other = self.here.iter().find_map(|link| Some((link, chosen_rule(&link.record)?)));
        if let Some((link, ix)) = other {
            let message = format!(
                "rule `{}` was chosen: record {}, {}",
                rule_name(&self.schema, ix),
                link.record.seq,
                link.describe()
            );
            return Some(self.with(Kept::Order, message, Some(link), None));
        }
        let counted = self.counted.iter().flat_map(|one| &one.chosen).find(|(_, at, _)| *at == self.at);
        let before = (0u16..)
            .map(RuleIx)
            .zip(self.schema.rules.iter().zip(&self.object.state.rules))
            .take(usize::from(self.ix.0));
        let first = before.filter(|(_, (rule, memory))| {
            memory.ready(rule, self.at)
                && memory.held(rule, self.at)
                && rule.when.holds(&self.env()).unwrap_or(false)
        });
        let ix = counted.map(|(ix, ..)| *ix).or_else(|| first.map(|(ix, _)| ix).next())?;
        let message =
            format!("rule `{}` stands before it, and was ready as well", rule_name(&self.schema, ix));
        Some(self.with(Kept::Order, message, None, None))
    }

    fn no_turn(&self) -> WhyNot {
        let next = self.after.iter().find_map(|link| Some((link, is_chosen(link, self.rule())?)));
        match next {
            Some((link, denied)) => {
                let came = if denied { "it was chosen and denied" } else { "it fired" };
                let message = format!(
                    "nothing kept it, and at its next turn, at {}, {came}: record {}",
                    link.record.time, link.record.seq
                );
                self.with(Kept::Turn, message, Some(link), None)
            }
            None => {
                self.with(Kept::Turn, "nothing kept it: its turn is the next tick".to_owned(), None, None)
            }
        }
    }

    fn rule(&self) -> &str {
        rule_name(&self.schema, self.ix)
    }

    fn env(&self) -> Env<'_> {
        let memory = &self.object.state.memory;
        Env { memory, old_memory: memory, args: &[], now: self.at, caller: ("rule", "") }
    }

    fn explain(&self) -> Explanation {
        let rule = self.schema.rules.get(usize::from(self.ix.0));
        let none = || Explanation {
            source: String::new(),
            result: Ok(String::new()),
            field: None,
            operands: Vec::new(),
        };
        rule.map_or_else(none, |rule| rule.when.explain(&self.env()))
    }

    fn with(
        &self,
        kept: Kept,
        message: String,
        link: Option<&Link>,
        operands: Option<Explanation>,
    ) -> WhyNot {
        WhyNot {
            rule: self.rule().to_owned(),
            at: self.at,
            kept,
            message,
            record: link.map(Link::to_json),
            schema: Arc::clone(&self.schema),
            operands,
        }
    }
}

/// Folds what came before the rules were evaluated.
fn inspect(object: &mut Object, here: &[Link], at: Timestamp) {
    let fold = |object: &mut Object, link: &Link| {
        let schema = link.schema.clone().unwrap_or_else(|| Arc::clone(&object.schema));
        object.fold(&link.record, link.hash, &schema);
    };
    if here.iter().any(|link| reset_since(&link.record).is_some()) {
        // No rule has a turn in such a tick: how the object stands is what all of its records come to.
        here.iter().for_each(|link| fold(object, link));
        return;
    }
    for (index, link) in here.iter().enumerate() {
        if link.record.seq < object.length {
            continue;
        }
        if let Event::Denials(counted) = &link.record.event {
            // What the rules of this very tick had denied is not in what they saw.
            let mut before = object.state.clone();
            if index == 0 {
                before.resume_counts_before(&object.schema, counted, at);
            }
            fold(object, link);
            object.state = before;
            continue;
        }
        if is_act(&link.record.event) {
            break;
        }
        fold(object, link);
    }
}

fn counts_of(record: &Record) -> Option<&Vec<Counted>> {
    match &record.event {
        Event::Denials(counted) => Some(counted),
        _ => None,
    }
}

/// The time before it, of a reset of the clock.
fn reset_since(record: &Record) -> Option<Timestamp> {
    match record.event {
        Event::Clock { since, .. } => Some(since),
        _ => None,
    }
}

/// Whether a record is of the doing of the rule of that name, and if so whether it is a denial.
fn is_chosen(link: &Link, rule: &str) -> Option<bool> {
    let is = |ix: RuleIx| link.schema.as_deref().is_some_and(|schema| rule_name(schema, ix) == rule);
    if let Event::Denial(denied) = &link.record.event {
        return denied.rule.is_some_and(is).then_some(true);
    }
    chosen_rule(&link.record).is_some_and(is).then_some(false)
}

/// The rule that a record shows to have been chosen.
fn chosen_rule(record: &Record) -> Option<RuleIx> {
    match &record.event {
        Event::Mutation(mutated) => mutated.rule,
        Event::Denial(denied) => denied.rule.filter(|_| denied.step.is_some()),
        Event::Idle(ix) | Event::Terminate(ix) => Some(*ix),
        Event::Spawn(spawned) => Some(spawned.rule),
        Event::Sleep { rule, .. } | Event::Retry { rule, .. } => Some(*rule),
        _ => None,
    }
}

/// Whether a record is what the rules came to, and not what they saw.
fn is_act(event: &Event) -> bool {
    match event {
        Event::Mutation(mutated) => {
            matches!(mutated.caller, Caller::Rule | Caller::Behaviour | Caller::SafeState)
        }
        Event::Denial(denied) => denied.step.is_some(),
        Event::Idle(_)
        | Event::Spawn(_)
        | Event::Sleep { .. }
        | Event::Retry { .. }
        | Event::Terminate(_) => true,
        Event::Quarantine | Event::ChildEnded { .. } => true,
        _ => false,
    }
}
