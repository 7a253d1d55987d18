//! Why a field has its value.

use std::collections::BTreeSet;
use std::sync::Arc;

use abide_core::expr::{Env, Explanation, Program, show};
use abide_core::field::Slot;
use abide_core::object::Object;
use abide_core::record::{Caller, Event, Mutated, Record, Upgrade};
use abide_core::schema::{RuleIx, Schema, Step, Template, TextPart};
use abide_core::transition::{Origin as FieldOrigin, Transition, carried_back, counterpart};
use abide_core::value::Value;
use serde_json::{Map, Value as Json, json};

use super::trail::{Setter, Trail};
use super::{Branch, Mark, WhyError, explanation_branch, explanation_json, slot_of};
use crate::host::HostError;
use crate::view::{Link, View, by, describe, mutation_name, rule_name};

/// How many records stand behind one another at most.
const DEPTH_MAX: u32 = 8;
/// How many values are told in all at most.
const VALUES_MAX: usize = 200;
/// Characters of a value or of arguments on a line.
const SHOWN_MAX: usize = 160;

/// A field, its value, and where the value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueNode {
    /// The field.
    pub field: String,
    /// Its value; null for a gap.
    pub value: Json,
    /// The value as an expression would write it.
    pub shown: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// It has none yet.
    Gap,
    /// The schema's default.
    Default,
    /// It was given at genesis.
    Genesis(Json),
    /// A record.
    Record(Box<RecordNode>),
    /// A record that stands elsewhere in the tree already.
    Told(u64),
    /// A record at which the tree ends, so that it stays readable.
    Further(u64),
    /// A record before the last ones, so many.
    Before(u64),
}

/// A record behind a value.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordNode {
    /// As `lineage --json` has it.
    pub record: Json,
    /// In a few words.
    pub summary: String,
    /// What brought its caller to ask, where that is another record; of an upgrade, where the value comes from.
    pub because: Option<String>,
    /// The schema whose fields the operands read.
    pub schema: Arc<Schema>,
    /// How the rule that asked came to hold: its name and its guard.
    pub guard: Option<(String, Explanation)>,
    /// How the arguments that the rule computed came about.
    pub args: Vec<Explanation>,
    /// How the new value came about.
    pub set: Option<Explanation>,
    /// The values that were read.
    pub read: Vec<ValueNode>,
}

/// Why a field has its value now: the record behind it, the rule or caller behind the record, the values that were read,
/// and the records behind those.
///
/// # Errors
/// When the log cannot be read, or the schema has no such field.
pub fn why_field(view: &View, object: &Object, field: &str) -> Result<ValueNode, WhyError> {
    let slot = slot_of(&object.schema, field)?;
    let trail = Trail::new(view, object)?;
    let mut search = Search { trail, told: BTreeSet::new(), values: 0 };
    Ok(search.value(slot, object.length, 0)?)
}

struct Search<'a> {
    trail: Trail<'a>,
    /// The records in the tree.
    told: BTreeSet<u64>,
    values: usize,
}

impl Search<'_> {
    /// The value that a field of the schema in force then had before record `end`.
    fn value(&mut self, slot: Slot, end: u64, depth: u32) -> Result<ValueNode, HostError> {
        self.values += 1;
        let setter = self.trail.setter(slot, end, depth == 0)?;
        let schema = self.trail.schema_before(end)?;
        let field = schema.memory.get(slot);
        let value = field.map_or(Json::Null, |field| field.ty.to_json(setter.value()));
        let shown = shortened(&show(setter.value()));
        let origin = match setter {
            Setter::Gap => Origin::Gap,
            Setter::Default(_) => Origin::Default,
            Setter::Before(records, _) => Origin::Before(records),
            Setter::Genesis(link, _) => Origin::Genesis(link.to_json()),
            Setter::Record(link, _) if self.told.contains(&link.record.seq) => Origin::Told(link.record.seq),
            Setter::Record(link, _) if depth == DEPTH_MAX || self.values > VALUES_MAX => {
                Origin::Further(link.record.seq)
            }
            Setter::Record(link, value) => {
                Origin::Record(Box::new(self.record(slot, &schema, &link, &value, depth)?))
            }
        };
        Ok(ValueNode {
            field: field.map_or_else(String::new, |field| field.name.to_string()),
            value,
            shown,
            origin,
        })
    }

    fn record(
        &mut self,
        slot: Slot,
        schema: &Arc<Schema>,
        link: &Link,
        value: &Value,
        depth: u32,
    ) -> Result<RecordNode, HostError> {
        let record = &link.record;
        // An upgrade sets every field: it is told as often as one of them is asked for.
        if !matches!(record.event, Event::Upgrade(_)) {
            self.told.insert(record.seq);
        }
        let mut node = RecordNode {
            record: link.to_json(),
            summary: summary(record, schema),
            because: None,
            schema: Arc::clone(schema),
            guard: None,
            args: Vec::new(),
            set: None,
            read: Vec::new(),
        };
        let mutated = match &record.event {
            Event::Mutation(mutated) => mutated,
            Event::Upgrade(upgrade) => {
                self.upgrade((slot, value), record, upgrade, &mut node, depth)?;
                return Ok(node);
            }
            _ => return Ok(node),
        };
        let (because, rule) = self.cause(record, mutated, schema)?;
        node.because = because;
        let guard = rule.and_then(|ix| schema.rules.get(usize::from(ix.0)));
        let asked = if mutated.rule.is_some() { guard } else { None };
        let computed = asked.map_or_else(Vec::new, |rule| step_programs(&rule.then));
        let mutation = schema.mutations.get(usize::from(mutated.mutation.0));
        let set =
            mutation.and_then(|m| m.set.iter().find(|(set, _)| *set == slot)).map(|(_, program)| program);
        let programs = guard.map(|rule| &rule.when).into_iter().chain(computed.iter().copied()).chain(set);
        let memory = self.memory_before(record.seq, programs)?;
        let env = |args, caller| Env { memory: &memory, old_memory: &memory, args, now: record.time, caller };
        let guard_env = env(&[], ("rule", ""));
        let set_env = env(&mutated.args, (mutated.caller.kind().name(), mutated.caller.name()));
        node.guard = guard.map(|rule| (rule.name.to_string(), rule.when.explain(&guard_env)));
        node.args = computed.iter().map(|program| program.explain(&guard_env)).collect();
        node.set = set.map(|program| program.explain(&set_env));
        self.read(&mut node, record.seq, depth)?;
        Ok(node)
    }

    /// The values that the operands of a record read, and the records behind those.
    fn read(&mut self, node: &mut RecordNode, seq: u64, depth: u32) -> Result<(), HostError> {
        let mut read = Vec::new();
        let trees = node.guard.iter().map(|(_, tree)| tree).chain(&node.args).chain(&node.set);
        trees.for_each(|tree| fields_of(tree, &mut read));
        for slot in read {
            node.read.push(self.value(slot, seq, depth + 1)?);
        }
        Ok(())
    }

    /// What an upgrade to another schema took a field's value from.
    fn upgrade(
        &mut self,
        (slot, value): (Slot, &Value),
        record: &Record,
        upgrade: &Upgrade,
        node: &mut RecordNode,
        depth: u32,
    ) -> Result<(), HostError> {
        let was = self.trail.schema_before(record.seq)?;
        let is = Arc::clone(&node.schema);
        let because = |text: &str| Some(text.to_owned());
        if let Some(of) = upgrade.reverts {
            let carried = match counterpart(&is, slot, &was) {
                Some(later) => {
                    let setter = self.trail.setter(later, record.seq, false)?;
                    carried_back(&is, slot, &was, later, setter.value())
                        .filter(|back| back == value)
                        .map(|_| later)
                }
                None => None,
            };
            let (field, end) = carried.map_or((slot, of), |later| (later, record.seq));
            node.because = match carried {
                Some(_) => because("the field keeps its value"),
                None => Some(format!("the field has the value that it had before record {of} again")),
            };
            node.read.push(self.value(field, end, depth + 1)?);
            return Ok(());
        }
        let Ok(transition) = Transition::new(&was, &is) else { return Ok(()) };
        node.schema = was;
        match transition.origins().get(usize::from(slot.0)) {
            Some(FieldOrigin::Carried(from)) => {
                let had = self.value(*from, record.seq, depth + 1)?;
                let is_kept = had.value != Json::Null;
                node.because = because(if is_kept { "carried over" } else { "it had no value: its default" });
                node.read.push(had);
            }
            Some(FieldOrigin::Computed(program)) => {
                let memory = self.memory_before(record.seq, std::iter::once(program))?;
                let env = Env {
                    memory: &memory,
                    old_memory: &memory,
                    args: &[],
                    now: record.time,
                    caller: ("", ""),
                };
                node.set = Some(program.explain(&env));
                self.read(node, record.seq, depth)?;
            }
            Some(FieldOrigin::New) => node.because = because("the field is new: its default"),
            None => {}
        }
        Ok(())
    }

    /// The rule behind a mutation, if there is one, and what else brought it about.
    fn cause(
        &mut self,
        record: &Record,
        mutated: &Mutated,
        schema: &Schema,
    ) -> Result<(Option<String>, Option<RuleIx>), HostError> {
        if !matches!(mutated.caller, Caller::SafeState) {
            return Ok((None, mutated.rule));
        }
        if let Some(Link { record: next, .. }) = self.trail.record(record.seq + 1)?
            && let Event::Terminate(rule) = next.event
            && next.tick == record.tick
        {
            let because = format!(
                "its safe state was asked for: rule `{}` ended it in record {}",
                rule_name(schema, rule),
                next.seq
            );
            return Ok((Some(because), Some(rule)));
        }
        let denied = match record.seq.checked_sub(2) {
            Some(seq) => self.trail.record(seq)?,
            None => None,
        };
        let because = denied.map(|denied| {
            let (seq, what) = (denied.record.seq, denied.describe());
            format!("its safe state was asked for: record {seq} brought it into quarantine, {what}")
        });
        Ok((because, None))
    }

    /// The memory before a record, as far as these programs read it.
    fn memory_before<'p>(
        &mut self,
        end: u64,
        programs: impl Iterator<Item = &'p Program>,
    ) -> Result<Vec<Value>, HostError> {
        let mut memory = vec![Value::Null; self.trail.schema_before(end)?.memory.fields.len()];
        let slots: BTreeSet<Slot> =
            programs.flat_map(|program| program.reads().iter().collect::<Vec<_>>()).collect();
        for slot in slots {
            let value = self.trail.setter(slot, end, false)?.value().clone();
            if let Some(place) = memory.get_mut(usize::from(slot.0)) {
                *place = value;
            }
        }
        Ok(memory)
    }
}

impl ValueNode {
    /// As JSON: `{field, value, from, record, because, rule, guard, args, set, read}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        let mut put = |name: &str, value: Json| {
            out.insert(name.to_owned(), value);
        };
        put("field", self.field.as_str().into());
        put("value", self.value.clone());
        match &self.origin {
            Origin::Gap => put("from", "gap".into()),
            Origin::Default => put("from", "default".into()),
            Origin::Before(records) => {
                put("from", "before".into());
                put("unchanged_for", (*records).into());
            }
            Origin::Genesis(record) => {
                put("from", "genesis".into());
                put("record", record.clone());
            }
            Origin::Told(seq) | Origin::Further(seq) => {
                put("from", if matches!(self.origin, Origin::Told(_)) { "told" } else { "further" }.into());
                put("record", json!({ "seq": seq }));
            }
            Origin::Record(node) => {
                let schema = &node.schema;
                put("from", "record".into());
                put("record", node.record.clone());
                if let Some(because) = &node.because {
                    put("because", because.as_str().into());
                }
                if let Some((rule, guard)) = &node.guard {
                    put("rule", rule.as_str().into());
                    put("guard", explanation_json(guard, schema, false));
                }
                if !node.args.is_empty() {
                    put("args", node.args.iter().map(|arg| explanation_json(arg, schema, false)).collect());
                }
                if let Some(set) = &node.set {
                    put("set", explanation_json(set, schema, false));
                }
                put("read", node.read.iter().map(ValueNode::to_json).collect());
            }
        }
        Json::Object(out)
    }

    /// As a tree for a terminal.
    #[must_use]
    pub fn branch(&self) -> Branch {
        let (field, shown) = (&self.field, &self.shown);
        let value = |end: &str| Branch::leaf(Mark::Value, format!("{field} = {shown}{end}"));
        match &self.origin {
            Origin::Gap => Branch::leaf(Mark::Value, format!("{field} has no value yet")),
            Origin::Default => value(", the schema's default"),
            Origin::Genesis(_) => value(", given at genesis (record 0)"),
            Origin::Before(records) => value(&format!(", not changed by the {records} records before")),
            Origin::Told(seq) => value(&format!(", by record {seq}, told above")),
            Origin::Further(seq) => value(&format!(", by record {seq}: …")),
            Origin::Record(node) => Branch { below: vec![node.branch()], ..value("") },
        }
    }
}

impl RecordNode {
    fn branch(&self) -> Branch {
        let mut below = Vec::new();
        below.extend(self.because.iter().map(|because| Branch::leaf(Mark::Remark, because.clone())));
        let titled = |title: &str, tree: &Explanation| {
            let branch = explanation_branch(tree, false);
            Branch { text: format!("{title}: {}", branch.text), ..branch }
        };
        below.extend(self.guard.iter().map(|(rule, guard)| titled(&format!("rule {rule}"), guard)));
        below.extend(self.args.iter().map(|arg| titled("argument", arg)));
        // A constant explains itself.
        let computed = self.set.iter().filter(|set| set.result.as_ref() != Ok(&set.source));
        below.extend(computed.map(|set| titled("set", set)));
        below.extend(self.read.iter().map(ValueNode::branch));
        Branch { text: self.summary.clone(), mark: Mark::Record, below }
    }
}

fn summary(record: &Record, schema: &Schema) -> String {
    let head = format!("record {} · {} · tick {}", record.seq, record.time, record.tick);
    let mutated = match &record.event {
        Event::Mutation(mutated) => mutated,
        Event::Upgrade(_) => return format!("{head} · {}", describe(record, Some(schema))),
        _ => return head,
    };
    let (name, who) = (mutation_name(schema, mutated.mutation), by(&mutated.caller, mutated.rule, schema));
    let ty = schema.mutations.get(usize::from(mutated.mutation.0)).map(|mutation| &mutation.args);
    let args = ty.map_or(Json::Null, |ty| ty.to_json(&mutated.args));
    let args = match args {
        Json::Object(args) if args.is_empty() => String::new(),
        args => format!(" {}", shortened(&args.to_string())),
    };
    format!("{head} · `{name}`{args} by {who}")
}

/// The fields that an operand tree reads, each once, in order.
fn fields_of(tree: &Explanation, out: &mut Vec<Slot>) {
    if let Some(slot) = tree.field
        && !out.contains(&slot)
    {
        out.push(slot);
    }
    tree.operands.iter().for_each(|operand| fields_of(operand, out));
}

/// The expressions in what a rule does.
fn step_programs(step: &Step) -> Vec<&Program> {
    let mut out = Vec::new();
    if let Step::Mutate(step) = step {
        step.args.iter().flatten().for_each(|template| programs_of(template, &mut out));
    }
    out
}

fn programs_of<'a>(template: &'a Template, out: &mut Vec<&'a Program>) {
    match template {
        Template::Value(_) | Template::Json(_) => {}
        Template::Expression(program) => out.push(program),
        Template::Text(parts) => out.extend(parts.iter().filter_map(|part| match part {
            TextPart::Expression(program) => Some(program),
            TextPart::Literal(_) => None,
        })),
        Template::List(items) => items.iter().for_each(|item| programs_of(item, out)),
        Template::Object(entries) => entries.iter().for_each(|(_, entry)| programs_of(entry, out)),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
