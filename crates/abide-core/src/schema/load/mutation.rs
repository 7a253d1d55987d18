//! Mutations: first what others need to know of them, then each in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::amount::amount_of;
use super::expression::Compiler;
use super::{effect, instead_of, is_name, words};
use crate::document::{Diagnostics, Key, Node, NodeKind, Reader, listed};
use crate::expr::{Expected, Program, Scope, SlotSet};
use crate::field::{Loader, Slot, StructType};
use crate::schema::{CallerKind, Cost, MUTATIONS_MAX, Mutation, MutationIx};

/// What rules, effects and the safe state need to know of a mutation.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) ix: MutationIx,
    pub(super) from: u8,
    pub(super) args: Arc<StructType>,
    /// Arguments that did not load.
    pub(super) broken: Vec<String>,
}

/// The signatures of all mutations, by name.
#[derive(Debug)]
pub(super) struct Signatures(BTreeMap<String, Signature>);

impl Signatures {
    pub(super) fn read<'a>(
        entries: &'a [(Key, Node)],
        loader: &mut Loader<'a>,
        out: &'a Diagnostics,
    ) -> Self {
        if let Some((key, _)) = entries.get(MUTATIONS_MAX) {
            let message =
                format!("there are {} mutations; at most {MUTATIONS_MAX} are allowed", entries.len());
            out.error(key.span.clone(), message, "split the schema");
        }
        let mut named: Vec<&(Key, Node)> = entries.iter().take(MUTATIONS_MAX).collect();
        named.sort_by(|a, b| crate::value::key_order(&a.0.text, &b.0.text));
        let all = named.into_iter().zip(0_u16..).map(|((key, node), ix)| {
            let signature = signature(key, node, MutationIx(ix), loader, out);
            (key.text.clone(), signature)
        });
        Self(all.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Signature> {
        self.0.get(name)
    }

    /// The mutation that `name` at `node` names, or a word about the nearest.
    pub(super) fn find(&self, name: &str, node: &Node, out: &Diagnostics) -> Option<&Signature> {
        let found = self.get(name);
        if found.is_none() {
            let help = instead_of(name, self.0.keys().map(String::as_str), "add it to `mutations`");
            out.error(node.span.clone(), format!("there is no mutation `{name}`"), help);
        }
        found
    }
}

/// Reads `from` and `args`; the other keys are left to [`mutation`], which also reports those that are unknown.
fn signature<'a>(
    key: &Key,
    node: &'a Node,
    ix: MutationIx,
    loader: &mut Loader<'a>,
    out: &'a Diagnostics,
) -> Signature {
    let mut signature = Signature { ix, from: 0, args: Arc::default(), broken: Vec::new() };
    if !is_name(&key.text, false) {
        let message = format!("`{}` is no name of a mutation", key.text);
        out.error(
            key.span.clone(),
            message,
            "begin with a-z and go on with a-z, 0-9 and _, 64 characters at most",
        );
    }
    let Some(reader) = Reader::new(node, format!("mutation `{}`", key.text), out) else { return signature };
    let mut reader = reader.at(key.span.clone());
    signature.from = callers(&mut reader);
    let entries = reader.map("args").unwrap_or_default();
    signature.args = Arc::new(loader.arguments(entries));
    signature.broken = super::broken_names(entries, &signature.args);
    signature
}

fn callers(reader: &mut Reader<'_>) -> u8 {
    let out = reader.diagnostics();
    let names = CallerKind::ALL.map(CallerKind::name);
    let Some(node) = reader.required("from") else { return 0 };
    let Some(nodes) = reader.list("from") else { return 0 };
    if nodes.is_empty() {
        let help = format!("list who may ask for it: {}", listed(&names));
        out.error(node.span.clone(), "`from` is empty: nobody may ask for it", help);
    }
    let mut from = 0;
    for node in nodes {
        let NodeKind::Str(name) = &node.kind else {
            let message = format!("an item of `from` is {}; it must be a text", node.describe());
            out.error(node.span.clone(), message, format!("the callers are {}", listed(&names)));
            continue;
        };
        match CallerKind::ALL.into_iter().find(|kind| kind.name() == name) {
            None => {
                let help =
                    instead_of(name, names.into_iter(), &format!("the callers are {}", listed(&names)));
                out.error(node.span.clone(), format!("`{name}` is no kind of caller"), help);
            }
            Some(kind) if kind.is_in(from) => {
                out.error(node.span.clone(), format!("`{name}` is here twice"), "keep one of the two");
            }
            Some(kind) => from |= kind.bit(),
        }
    }
    from
}

/// Reads a mutation in full.
pub(super) fn mutation(
    key: &Key,
    node: &Node,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
    has_budget: bool,
) -> Option<Mutation> {
    let out = compiler.out;
    let signature = signatures.get(&key.text)?;
    // What is no mapping has been reported with the signature.
    let NodeKind::Map(_) = node.kind else { return None };
    let mut reader = Reader::new(node, format!("mutation `{}`", key.text), out)?.at(key.span.clone());
    let broken = compiler.broken.iter().chain(&signature.broken).cloned().collect();
    let compiler = &Compiler {
        text: compiler.text,
        out,
        memory: Arc::clone(&compiler.memory),
        broken,
        count: compiler.count,
    };
    let scope = Scope {
        memory: Some(Arc::clone(&compiler.memory)),
        args: Some(Arc::clone(&signature.args)),
        now: true,
        caller: true,
        ..Scope::default()
    };
    reader.optional("from");
    reader.optional("args");
    let description = words(&mut reader, "description");
    let condition = |node| compiler.compile(node, &scope, &Expected::Bool);
    let ignore = reader.optional("ignore").map(condition);
    let requires = reader.optional("requires").map(condition);
    let set = assignments(&mut reader, &scope, compiler);
    let cost = cost(&mut reader, signature, &scope, compiler, has_budget);
    let effect =
        reader.entry("effect").map(|(key, node)| effect::effect(key, node, signature, signatures, compiler));
    if let Some((key, _)) = reader.entry("ignore")
        && !CallerKind::Observation.is_in(signature.from)
    {
        let help = "add `observation` to `from`, or leave it out";
        out.warning(
            key.span.clone(),
            "`ignore` drops observations, and no observation may ask for this",
            help,
        );
    }
    reader.finish();
    let set = set?;
    let mut writes = SlotSet::default();
    set.iter().for_each(|(slot, _)| writes.insert(*slot));
    Some(Mutation {
        name: key.text.as_str().into(),
        description,
        from: signature.from,
        args: Arc::clone(&signature.args),
        ignore: present(ignore)?,
        requires: present(requires)?,
        set,
        writes,
        cost: cost?,
        effect: present(effect)?,
    })
}

/// Turns *there, and it loaded or not* into *it did not load* or *it loaded, if it is there*.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn present<T>(loaded: Option<Option<T>>) -> Option<Option<T>> {
    match loaded {
        None => Some(None),
        Some(loaded) => loaded.map(Some),
    }
}

fn assignments(
    reader: &mut Reader<'_>,
    scope: &Scope,
    compiler: &Compiler<'_>,
) -> Option<Vec<(Slot, Program)>> {
    let mut set = Vec::new();
    let mut complete = true;
    for (key, node) in reader.map("set").unwrap_or_default() {
        let memory = &compiler.memory;
        let Some((slot, field)) = memory.slot(&key.text).and_then(|slot| Some((slot, memory.get(slot)?)))
        else {
            complete = false;
            if !compiler.broken.contains(&key.text) {
                let help =
                    instead_of(&key.text, memory.fields.iter().map(|f| &*f.name), "add it to `fields`");
                compiler.out.error(key.span.clone(), format!("there is no field `{}`", key.text), help);
            }
            continue;
        };
        match compiler.compile(node, scope, &Expected::Field(&field.ty)) {
            Some(program) => set.push((slot, program)),
            None => complete = false,
        }
    }
    set.sort_by_key(|(slot, _)| *slot);
    complete.then_some(set)
}

fn cost(
    reader: &mut Reader<'_>,
    signature: &Signature,
    scope: &Scope,
    compiler: &Compiler<'_>,
    has_budget: bool,
) -> Option<Cost> {
    let charged = [CallerKind::Rule, CallerKind::Behaviour, CallerKind::Component]
        .into_iter()
        .find(|k| k.is_in(signature.from));
    let Some((key, node)) = reader.entry("cost") else {
        if let Some(kind) = charged.filter(|_| has_budget) {
            let message = format!("this has no `cost`, so it is free to every {}", kind.name());
            compiler.out.warning(reader.place(), message, "add `cost`, or `cost: 0` to say so");
        }
        return Some(Cost::Constant(0));
    };
    if !has_budget {
        let help = "add `trust_slope: { budget: …, refill: { amount: …, per: … } }`";
        compiler.out.warning(key.span.clone(), "there is no budget that `cost` could be taken from", help);
    } else if charged.is_none() {
        let help = "rules, behaviours and components are charged; leave it out";
        compiler.out.warning(key.span.clone(), "nobody who may ask for this is charged", help);
    }
    let NodeKind::Str(text) = &node.kind else {
        return amount_of(node, "`cost`", compiler.out).map(Cost::Constant);
    };
    // A number in quotes is the number: one meaning has one canonical form.
    let constant = match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let node = Node { span: node.span.clone(), kind: NodeKind::Float(number) };
            return amount_of(&node, "`cost`", compiler.out).map(Cost::Constant);
        }
        _ => compiler.compile(node, scope, &Expected::Numeric),
    };
    constant.map(|program| Cost::Expression(Box::new(program)))
}
