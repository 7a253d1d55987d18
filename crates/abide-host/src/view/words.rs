//! Records in words, for people.

use abide_core::expr::show;
use abide_core::record::encode::KINDS;
use abide_core::record::{Caller, Event, Mutated, Record, Upgrade};
use abide_core::schema::{MutationIx, RuleIx, Schema};

/// What a record says, in a few words: `mutation set_burner by rule light`. The schema is the one in force after it, which a
/// host's own records do without.
#[must_use]
pub fn describe(record: &Record, schema: Option<&Schema>) -> String {
    let kind = KINDS.get(usize::from(record.event.kind())).copied().unwrap_or_default();
    let Some(schema) = schema else { return of_host(record, kind) };
    let rule = |ix: RuleIx| format!("rule `{}`", rule_name(schema, ix));
    match &record.event {
        Event::Mutation(mutated) => {
            let by = by(&mutated.caller, mutated.rule, schema);
            format!(
                "mutation `{}` by {by}{}",
                mutation_name(schema, mutated.mutation),
                changes(mutated, schema)
            )
        }
        Event::Denial(denied) => {
            let by = by(&denied.caller, denied.rule, schema);
            let what =
                denied.mutation.map_or_else(String::new, |ix| format!(" of `{}`", mutation_name(schema, ix)));
            format!("denial{what} by {by}: {}", denied.reason.message)
        }
        Event::Denials(counted) => {
            format!("denials counted: {}", counted.iter().map(|one| one.count).sum::<u64>())
        }
        Event::Hold(holds) => {
            let each = holds.iter().map(|(ix, held)| {
                format!("{} {}", rule(*ix), if *held { "began to hold" } else { "ceased to hold" })
            });
            each.collect::<Vec<_>>().join(", ")
        }
        Event::Idle(ix) | Event::Terminate(ix) => format!("{kind} by {}", rule(*ix)),
        Event::Spawn(spawned) => format!("spawn by {}", rule(spawned.rule)),
        Event::Sleep { rule: ix, until } => {
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            format!("sleep by {}{until}", rule(*ix))
        }
        Event::Retry { rule: ix, attempt, due } => format!("retry {attempt} by {}, due {due}", rule(*ix)),
        Event::Release(signature) | Event::Seal(signature) => {
            format!("{kind} by operator `{}`", signature.name)
        }
        Event::Upgrade(upgrade) => upgrade_words(upgrade, schema),
        Event::Outcome(outcome) => format!("outcome of record {}: {}", outcome.of, outcome.status.name()),
        Event::ChildEnded { child, .. } => format!("end of child `{child}`"),
        Event::Pause { since } => format!("pause since {since}"),
        Event::Clock { since, .. } => format!("clock set back from {since}"),
        _ => kind.to_owned(),
    }
}

fn of_host(record: &Record, kind: &str) -> String {
    match &record.event {
        Event::Clock { since, signature: Some(signature) } => {
            format!("clock set back from {since} by operator `{}`", signature.name)
        }
        _ => kind.to_owned(),
    }
}

fn upgrade_words(upgrade: &Upgrade, schema: &Schema) -> String {
    let what = match (&upgrade.schema, upgrade.behaviour) {
        (Some(_), _) => format!("schema `{}` {}", schema.name, schema.version),
        (None, Some(behaviour)) => format!("behaviour {:.12}", behaviour.component.to_string()),
        (None, None) => "nothing".to_owned(),
    };
    let by = &upgrade.signature.name;
    match upgrade.reverts {
        Some(of) => format!("upgrade of record {of} reverted to {what} by operator `{by}`"),
        None => format!("upgrade to {what} by operator `{by}`"),
    }
}

/// Who asked, in words.
#[must_use]
pub(crate) fn by(caller: &Caller, rule: Option<RuleIx>, schema: &Schema) -> String {
    match (caller, rule) {
        (Caller::SafeState, _) => "its safe state".to_owned(),
        (Caller::Behaviour, Some(ix)) => format!("its behaviour, for rule `{}`", rule_name(schema, ix)),
        (_, Some(ix)) => format!("rule `{}`", rule_name(schema, ix)),
        (Caller::Observation(source), None) => format!("observation from `{source}`"),
        (Caller::Operator(signature), None) => format!("operator `{}`", signature.name),
        (caller, None) => format!("{} `{}`", caller.kind().name(), caller.name()),
    }
}

/// The name of a mutation of a schema.
#[must_use]
pub(crate) fn mutation_name(schema: &Schema, ix: MutationIx) -> &str {
    schema.mutations.get(usize::from(ix.0)).map_or("?", |mutation| &mutation.name)
}

/// The name of a rule of a schema.
#[must_use]
pub(crate) fn rule_name(schema: &Schema, ix: RuleIx) -> &str {
    schema.rules.get(usize::from(ix.0)).map_or("?", |rule| &rule.name)
}

fn changes(mutated: &Mutated, schema: &Schema) -> String {
    let named =
        mutated.changes.iter().filter_map(|(slot, value)| Some((&schema.memory.get(*slot)?.name, value)));
    let each: Vec<String> = named.map(|(name, value)| format!("{name} = {}", show(value))).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}
