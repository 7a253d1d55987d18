//! Rules and their steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::amount::amount_of;
use super::effect::{is_interface, positive};
use super::expression::Compiler;
use super::mutation::{Signature, Signatures};
use super::template::template;
use super::{check_label, too_many, words};
use crate::document::{Node, NodeKind, Reader, line_column, listed, nearest};
use crate::expr::{Expected, Scope};
use crate::schema::{CallerKind, MutateStep, RULES_MAX, Rule, SpawnStep, Step, Template, TrustSlope, Until};
use crate::value::key_order;

/// What a rule may do.
const STEPS: [&str; 6] = ["mutate", "spawn", "sleep", "retry", "terminate", "act"];

/// The rules in the order of evaluation; `None` where one of them did not load.
pub(super) fn rules(
    reader: &mut Reader<'_>,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
    slope: &TrustSlope,
) -> Option<Vec<Rule>> {
    let nodes = reader.list("rules").unwrap_or_default();
    too_many(nodes, RULES_MAX, "rules", compiler.out);
    let mut names: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let mut loaded = Vec::new();
    for node in nodes.iter().take(RULES_MAX) {
        loaded.push(rule(node, &mut names, signatures, compiler, slope));
    }
    let mut rules: Vec<Rule> = loaded.into_iter().collect::<Option<_>>()?;
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    Some(rules)
}

fn rule(
    node: &Node,
    names: &mut BTreeMap<String, Range<usize>>,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
    slope: &TrustSlope,
) -> Option<Rule> {
    let out = compiler.out;
    let mut reader = Reader::new(node, "a rule", out)?;
    let name = reader.required("name").zip(reader.text("name"));
    if let Some((node, name)) = name {
        check_label(node, name, "a rule", out);
        if let Some(first) = names.get(name) {
            let (line, column) = line_column(compiler.text, first.start);
            let message = format!("there are two rules `{name}`: the first in line {line}, column {column}");
            out.error(node.span.clone(), message, "rename one of the two");
        }
        names.entry(name.to_owned()).or_insert_with(|| node.span.clone());
    }
    let scope = Scope { memory: Some(Arc::clone(&compiler.memory)), now: true, ..Scope::default() };
    let description = words(&mut reader, "description");
    let priority = reader.integer("priority").unwrap_or(0);
    let guard = reader.required("when");
    let when = guard.and_then(|node| compiler.compile(node, &scope, &Expected::Bool));
    let held_for = reader.duration("for");
    let every = reader.duration("every");
    positive(&mut reader, "for", held_for);
    positive(&mut reader, "every", every);
    if let (Some(when), Some(node), false) = (&when, guard, reader.has("every"))
        && when.reads().is_empty()
    {
        let message = "`when` reads no field of `self`, so no change can make the rule ready";
        out.error(node.span.clone(), message, "add `every`, such as `every: 1h`");
    }
    let then = reader.required("then").and_then(|node| step(node, signatures, compiler, &scope, slope));
    reader.finish();
    Some(Rule { name: name?.1.into(), description, priority, when: when?, held_for, every, then: then? })
}

fn step(
    node: &Node,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
    scope: &Scope,
    slope: &TrustSlope,
) -> Option<Step> {
    let out = compiler.out;
    if let NodeKind::Str(word) = &node.kind {
        return match word.as_str() {
            "retry" => Some(Step::Retry),
            "terminate" => Some(Step::Terminate),
            other => {
                let help = match nearest(other, STEPS) {
                    Some(near @ ("retry" | "terminate")) => format!("did you mean `{near}`?"),
                    Some(near) => format!("write `{{ {near}: … }}`"),
                    None => "write `{ mutate: NAME }`, `retry` or `terminate`".to_owned(),
                };
                out.error(node.span.clone(), format!("`{other}` is no step"), help);
                None
            }
        };
    }
    let mut reader = Reader::new(node, "a step", out)?;
    let named: Vec<&str> = STEPS.into_iter().filter(|step| reader.has(step)).collect();
    let step = match named.as_slice() {
        ["mutate"] => mutate(&mut reader, signatures, compiler, scope).map(Step::Mutate),
        ["spawn"] => {
            reader.child("spawn", "a `spawn`").and_then(|child| spawn(child, compiler, scope, slope))
        }
        ["sleep"] => reader.child("sleep", "a `sleep`").and_then(|child| sleep(child, compiler, scope)),
        ["retry"] => empty(&mut reader, "retry").map(|()| Step::Retry),
        ["terminate"] => empty(&mut reader, "terminate").map(|()| Step::Terminate),
        ["act"] => {
            let action = reader.required("act").zip(reader.text("act"));
            if let Some((node, name)) = action {
                check_label(node, name, "an action", out);
            }
            action.map(|(_, name)| Step::Act(name.into()))
        }
        [] => {
            out.error(reader.place(), "this is no step", format!("a step is one of {}", listed(&STEPS)));
            return None;
        }
        many => {
            out.error(
                reader.place(),
                format!("a rule has one step; here are {}", listed(many)),
                "make a rule of each",
            );
            return None;
        }
    };
    reader.finish();
    step
}

/// `mutate` and `args`: of a rule, or of the safe state.
pub(super) fn mutate(
    reader: &mut Reader<'_>,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
    scope: &Scope,
) -> Option<MutateStep> {
    let node = reader.required("mutate");
    let name = reader.text("mutate");
    let found = node.zip(name).and_then(|(node, name)| {
        let signature = signatures.find(name, node, compiler.out)?;
        // Without any caller its `from` is wrong, and said to be.
        if signature.from != 0 && !CallerKind::Rule.is_in(signature.from) {
            let message = format!("mutation `{name}` is not open to rules");
            compiler.out.error(node.span.clone(), message, format!("add `rule` to the `from` of `{name}`"));
        }
        Some((name, signature))
    });
    let entry = reader.entry("args");
    let (name, signature) = found?;
    let given = entry.and_then(|_| reader.map("args"));
    if entry.is_some() && given.is_none() {
        return None;
    }
    let given = given.unwrap_or_default();
    let args = arguments(name, signature, given, reader.place(), compiler, scope)?;
    Some(MutateStep { mutation: signature.ix, args })
}

fn arguments(
    name: &str,
    signature: &Signature,
    given: &[(crate::document::Key, Node)],
    place: Range<usize>,
    compiler: &Compiler<'_>,
    scope: &Scope,
) -> Option<Vec<Option<Template>>> {
    let mut complete = true;
    for (key, _) in given {
        if signature.args.slot(&key.text).is_none() && !signature.broken.contains(&key.text) {
            let known = signature.args.fields.iter().map(|f| &*f.name);
            let help = super::instead_of(
                &key.text,
                known,
                &format!("leave it out, or add it to the `args` of `{name}`"),
            );
            compiler.out.error(
                key.span.clone(),
                format!("mutation `{name}` has no argument `{}`", key.text),
                help,
            );
            complete = false;
        }
    }
    let mut args = Vec::new();
    for field in &signature.args.fields {
        let Some((_, node)) = given.iter().find(|(key, _)| key.text == *field.name) else {
            if field.required {
                let message = format!("mutation `{name}` needs the argument `{}`", field.name);
                compiler.out.error(
                    place.clone(),
                    message,
                    format!("add it: `args: {{ {}: … }}`", field.name),
                );
                complete = false;
            }
            args.push(None);
            continue;
        };
        let what = format!("argument `{}`", field.name);
        let loaded = template(node, Some((&field.ty, &what)), scope, compiler);
        complete &= loaded.is_some();
        args.push(loaded);
    }
    complete.then_some(args)
}

fn spawn(mut reader: Reader<'_>, compiler: &Compiler<'_>, scope: &Scope, slope: &TrustSlope) -> Option<Step> {
    let out = compiler.out;
    let schema = reader.required("schema").zip(reader.text("schema"));
    if let Some((node, name)) = schema {
        check_label(node, name, "a schema", out);
    }
    let values: Vec<_> = reader
        .map("values")
        .unwrap_or_default()
        .iter()
        .map(|(key, node)| Some((Arc::from(key.text.as_str()), template(node, None, scope, compiler)?)))
        .collect();
    let budget = share(&mut reader, "budget", slope.budget);
    let refill =
        share(&mut reader, "refill", slope.refill.map(|refill| refill.amount).or(slope.budget.map(|_| 0)));
    let mut links = Vec::new();
    for node in reader.list("links").unwrap_or_default() {
        match &node.kind {
            NodeKind::Str(name) if is_interface(name) => links.push(Arc::from(name.as_str())),
            _ => {
                let message = format!("a link is {}", node.describe());
                out.error(node.span.clone(), message, "name an interface, as in `example:orchard/burner`");
            }
        }
    }
    reader.finish();
    let mut values: Vec<(Arc<str>, Template)> = values.into_iter().collect::<Option<_>>()?;
    values.sort_by(|a, b| key_order(&a.0, &b.0));
    links.sort_by(|a: &Arc<str>, b| key_order(a, b));
    links.dedup();
    let step = SpawnStep { schema: schema?.1.into(), values, budget: budget?, refill: refill?, links };
    Some(Step::Spawn(Box::new(step)))
}

/// What a child gets of the parent's: nothing where it is left out, and no more than there is.
fn share(reader: &mut Reader<'_>, key: &'static str, parent: Option<u64>) -> Option<u64> {
    let Some(node) = reader.optional(key) else { return Some(0) };
    let amount = amount_of(node, &format!("`{key}`"), reader.diagnostics())?;
    if parent.is_some_and(|parent| amount > parent) {
        let message = format!("the child's `{key}` is more than its parent has");
        reader.diagnostics().error(node.span.clone(), message, "lower it, or raise that of `trust_slope`");
    }
    Some(amount)
}

fn sleep(mut reader: Reader<'_>, compiler: &Compiler<'_>, scope: &Scope) -> Option<Step> {
    let until = reader.optional("until");
    let span = reader.duration("for");
    positive(&mut reader, "for", span);
    let step = match (until, reader.has("for")) {
        (Some(node), false) => compiler
            .compile(node, scope, &Expected::BoolOrTime)
            .map(|program| if program.is_time() { Until::Time(program) } else { Until::Condition(program) }),
        (None, true) => span.map(Until::For),
        (both, _) => {
            let message =
                if both.is_some() { "`sleep` has both `until` and `for`" } else { "`sleep` has no end" };
            compiler.out.error(reader.place(), message, "write `{ until: EXPRESSION }` or `{ for: 1h }`");
            None
        }
    };
    reader.finish();
    step.map(Step::Sleep)
}

/// `retry: {}`: nothing goes in.
fn empty(reader: &mut Reader<'_>, key: &'static str) -> Option<()> {
    let node = reader.optional(key)?;
    match &node.kind {
        NodeKind::Null => Some(()),
        NodeKind::Map(entries) if entries.is_empty() => Some(()),
        _ => {
            let message = format!("`{key}` takes nothing, and is {}", node.describe());
            reader.diagnostics().error(node.span.clone(), message, format!("write `then: {key}`"));
            None
        }
    }
}
