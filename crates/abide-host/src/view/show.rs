//! An object as JSON: what `show` and `ls` print.

use abide_core::object::Object;
use abide_core::record::Hash;
use abide_core::record::json::{behaviour_json, micro_json, policy_json};
use abide_core::schema::Rule;
use abide_core::state::RuleMemory;
use abide_core::time::Timestamp;
use serde_json::{Value as Json, json};

/// An object as JSON, with its slope and its rules as they stand at `now`: see `docs/explain.md`.
#[must_use]
pub fn object_json(object: &Object, now: Timestamp) -> Json {
    let (schema, state) = (&object.schema, &object.state);
    let rules = schema.rules.iter().zip(&state.rules);
    let denials: u64 = state.pending.iter().map(|counted| counted.count).sum();
    let parts = [
        ("id", (&*object.id).into()),
        ("schema", schema_json(object)),
        ("behaviour", object.behaviour.map_or(Json::Null, behaviour_json)),
        ("intent", schema.intent.as_deref().into()),
        (
            "context",
            schema.context.iter().map(|(label, value)| (label.to_string(), Json::from(&**value))).collect(),
        ),
        ("status", state.status.name().into()),
        ("sleep", sleep_json(object)),
        ("memory", schema.memory.to_json(&state.memory)),
        ("gaps", state.gaps(schema).map(|name| Json::from(&**name)).collect()),
        ("slope", slope_json(object, now)),
        ("rules", rules.map(|(rule, memory)| rule_json(rule, memory, now)).collect()),
        ("effects", json!({ "pending": state.effects.len() })),
        ("denials", json!({ "counted": denials })),
        ("parent", object.parent.as_deref().into()),
        ("children", state.children.keys().map(|id| Json::from(&**id)).collect()),
        ("policy", policy_json(&object.policy)),
        (
            "lineage",
            json!({ "length": object.length, "head": object.head.to_string(), "genesis": object.genesis.to_string() }),
        ),
        ("changed_at", object.changed_at.to_string().into()),
    ];
    Json::Object(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect())
}

fn schema_json(object: &Object) -> Json {
    let schema = &object.schema;
    json!({ "name": &*schema.name, "version": &*schema.version, "digest": Hash(schema.digest).to_string() })
}

/// The bound on self-change, or null where there is none.
/// Where there is no bound, every part is null.
fn slope_json(object: &Object, now: Timestamp) -> Json {
    let bucket = object.state.bucket.map(|bucket| bucket.at(now));
    let refill = bucket.and_then(|bucket| bucket.refill);
    json!({
        "level": bucket.map(|bucket| micro_json(bucket.level)),
        "budget": bucket.map(|bucket| micro_json(bucket.capacity)),
        "refill": refill.map(|refill| json!({ "amount": micro_json(refill.amount), "per": refill.per.to_string() })),
    })
}

fn sleep_json(object: &Object) -> Json {
    let Some((rule, until)) = object.state.sleep else { return Json::Null };
    let rule = object.schema.rules.get(usize::from(rule.0)).map(|rule| &*rule.name);
    json!({ "rule": rule, "until": until.map(|until| until.to_string()) })
}

fn rule_json(rule: &Rule, memory: &RuleMemory, now: Timestamp) -> Json {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "name": &*rule.name,
        "chosen_at": time(memory.chosen_at),
        "held_since": time(memory.held_since),
        "ready": memory.ready(rule, now),
        "due": time(memory.due_after(rule, now).min()),
    })
}
