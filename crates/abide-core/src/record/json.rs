//! A record as JSON: what `lineage --json` prints.

use serde_json::{Map, Value as Json, json};

use super::encode::{KINDS, Names};
use super::{Caller, Code, Counted, Event, Hash, Outcome, OutcomeStatus, Place, Reason, Record, Signature};
use crate::admission::show_micro;
use crate::field::{Slot, untyped_to_json};
use crate::guest::Behaviour;
use crate::policy::Policy;
use crate::schema::{Micro, Schema};
use crate::slope::Allotment;
use crate::value::Value;

/// Millionths as a JSON number.
#[must_use]
pub fn micro_json(value: Micro) -> Json {
    show_micro(value).parse::<serde_json::Number>().map_or(Json::Null, Json::Number)
}

impl Code {
    /// As it is shown, and as JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Caller => "caller",
            Self::Signature => "signature",
            Self::Argument => "argument",
            Self::Requires => "requires",
            Self::Evaluation => "evaluation",
            Self::Bounds => "bounds",
            Self::Invariant => "invariant",
            Self::Effect => "effect",
            Self::Slope => "slope",
            Self::Drift => "drift",
            Self::Spawn => "spawn",
            Self::Act => "act",
        }
    }
}

impl OutcomeStatus {
    /// As it is shown, and as JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Simulated => "simulated",
        }
    }
}

impl Reason {
    /// `{code, field | argument | expression, value, message}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        out.insert("code".into(), self.code.name().into());
        match &self.place {
            Place::Object => None,
            Place::Field(name) => out.insert("field".into(), (&**name).into()),
            Place::Argument(name) => out.insert("argument".into(), (&**name).into()),
            Place::Expression(source) => out.insert("expression".into(), (&**source).into()),
        };
        if let Some(value) = &self.value {
            // The value was recorded as JSON text where it is of a field; any other text stands for itself.
            out.insert("value".into(), serde_json::from_str(value).unwrap_or_else(|_| (&**value).into()));
        }
        out.insert("message".into(), (&*self.message).into());
        Json::Object(out)
    }
}

impl Record {
    /// The record as JSON, with its hash and the digest of the schema in force.
    #[must_use]
    pub fn to_json(&self, hash: Hash, schema: Option<&Schema>) -> Json {
        let mut out = Map::new();
        out.insert("seq".into(), self.seq.into());
        out.insert("hash".into(), hash.to_string().into());
        out.insert("prev".into(), self.prev.map_or(Json::Null, |prev| prev.to_string().into()));
        out.insert("object".into(), (&*self.object).into());
        out.insert("tick".into(), self.tick.into());
        out.insert("time".into(), self.time.to_string().into());
        out.insert(
            "kind".into(),
            KINDS.get(usize::from(self.event.kind())).copied().unwrap_or_default().into(),
        );
        if let Some(schema) = schema {
            out.insert("schema".into(), Hash(schema.digest).to_string().into());
        }
        event_json(&self.event, Names(schema), &mut out);
        Json::Object(out)
    }
}

fn event_json(event: &Event, names: Names<'_>, out: &mut Map<String, Json>) {
    let mut put = |name: &str, value: Json| {
        out.insert(name.to_owned(), value);
    };
    match event {
        Event::Genesis(genesis) => {
            put("host", (&*genesis.host).into());
            if let Some(behaviour) = genesis.behaviour {
                put("behaviour", behaviour_json(behaviour));
            }
            put("policy", policy_json(&genesis.policy));
            put("changes", slots_json(&genesis.values, names));
            put("depth", genesis.depth.into());
            if let Some((id, record)) = &genesis.parent {
                put("parent", json!({ "object": &**id, "record": record.to_string() }));
            }
            if let Some(part) = &genesis.allotment {
                put("allotment", allotment_json(part));
            }
        }
        Event::Mutation(mutated) => {
            put("mutation", names.mutation(mutated.mutation).into());
            caller_json(&mutated.caller, &mut put);
            put("rule", mutated.rule.map_or(Json::Null, |rule| names.rule(rule).into()));
            if let Some(step) = mutated.step {
                put("step", step.into());
            }
            put("args", names.args(mutated.mutation).map_or(Json::Null, |ty| ty.to_json(&mutated.args)));
            put("changes", slots_json(&mutated.changes, names));
            put("cost", micro_json(mutated.cost));
            if let Some(args) = &mutated.effect {
                put("effect", effect_json(mutated.mutation, args, names));
            }
        }
        Event::Denial(denied) => {
            put("mutation", denied.mutation.map_or(Json::Null, |mutation| names.mutation(mutation).into()));
            caller_json(&denied.caller, &mut put);
            put("rule", denied.rule.map_or(Json::Null, |rule| names.rule(rule).into()));
            let ty = denied.mutation.and_then(|mutation| names.args(mutation));
            let args = denied.args.iter().map(|(name, value)| {
                let field = ty.and_then(|ty| ty.get(ty.slot(name)?));
                (
                    name.to_string(),
                    field.map_or_else(
                        || untyped_to_json(value),
                        |field| field.ty.to_json(&field.ty.retyped(value)),
                    ),
                )
            });
            put("args", Json::Object(args.collect()));
            put("reason", denied.reason.to_json());
            if let Some(step) = denied.step {
                put("step", step.into());
            }
        }
        Event::Denials(counted) => {
            put("counted", counted.iter().map(|one| counted_json(one, names)).collect());
        }
        Event::Hold(holds) => {
            put(
                "holds",
                Json::Object(
                    holds.iter().map(|(rule, held)| (names.rule(*rule).to_owned(), (*held).into())).collect(),
                ),
            );
        }
        Event::Idle(rule) | Event::Terminate(rule) => put("rule", names.rule(*rule).into()),
        Event::Spawn(spawned) => {
            put("rule", names.rule(spawned.rule).into());
            put("step", spawned.step.into());
            put("child_schema", spawned.schema.to_string().into());
            if let Some(behaviour) = spawned.behaviour {
                put("child_behaviour", behaviour_json(behaviour));
            }
            if let Some(part) = &spawned.allotment {
                put("allotment", allotment_json(part));
            }
        }
        Event::Sleep { rule, until } => {
            put("rule", names.rule(*rule).into());
            put("until", until.map_or(Json::Null, |until| until.to_string().into()));
        }
        Event::Wake | Event::Quarantine => {}
        Event::Retry { rule, attempt, due } => {
            put("rule", names.rule(*rule).into());
            put("attempt", (*attempt).into());
            put("due", due.to_string().into());
        }
        Event::Release(signature) | Event::Seal(signature) => {
            put("caller", "operator".into());
            put("operator", signature_json(signature));
        }
        Event::Policy(policy) => put("policy", policy_json(policy)),
        Event::Pause { since } => put("since", since.to_string().into()),
        Event::Clock { since, signature } => {
            put("since", since.to_string().into());
            if let Some(signature) = signature {
                put("caller", "operator".into());
                put("operator", signature_json(signature));
            }
        }
        Event::Outcome(outcome) => outcome_json(outcome, &mut put),
        Event::ChildEnded { child, part } => {
            put("child", (&**child).into());
            put("allotment", allotment_json(part));
        }
        Event::Host(host) => {
            put("identity", (&*host.identity).into());
            put("log_key", Hash(host.log_key).to_string().into());
            put("origin", (&*host.origin).into());
            put("replayed", host.replayed.into());
        }
        Event::Schema(known) => {
            put("bytes", known.canonical.len().into());
            if let Some(behaviour) = known.behaviour {
                put("behaviour", behaviour_json(behaviour));
            }
            if known.for_upgrade {
                put("for_upgrade", true.into());
            }
        }
        Event::Upgrade(upgrade) => {
            put("operator", signature_json(&upgrade.signature));
            if let Some(behaviour) = upgrade.behaviour {
                put("behaviour", behaviour_json(behaviour));
            }
            if let Some(of) = upgrade.reverts {
                put("reverts", of.into());
            }
            if let Some(change) = &upgrade.schema {
                put("was", change.was.to_string().into());
                put("changes", slots_json(&change.memory, names));
            }
        }
        Event::Progress(progress) => {
            let cursors = progress.cursors.iter();
            let cursors = cursors
                .map(|(source, c)| (source.to_string(), String::from_utf8_lossy(c).into_owned().into()));
            put("cursors", Json::Object(cursors.collect()));
        }
    }
}

fn caller_json(caller: &Caller, put: &mut impl FnMut(&str, Json)) {
    put("caller", caller.kind().name().into());
    match caller {
        Caller::Rule | Caller::Behaviour => {}
        Caller::SafeState => put("safe_state", true.into()),
        Caller::Observation(source) => put("source", (&**source).into()),
        Caller::Operator(signature) => put("operator", signature_json(signature)),
        Caller::Component(id) => put("component", (&**id).into()),
        Caller::Parent(id) => put("parent", (&**id).into()),
    }
}

fn signature_json(signature: &Signature) -> Json {
    json!({ "name": &*signature.name, "key": Hash(signature.key).to_string(), "counter": signature.counter })
}

fn outcome_json(outcome: &Outcome, put: &mut impl FnMut(&str, Json)) {
    put("of", outcome.of.into());
    put("outcome", outcome.status.name().into());
    put("attempts", outcome.attempts.into());
    if let Some(message) = &outcome.message {
        put("message", (&**message).into());
    }
}

fn effect_json(mutation: crate::schema::MutationIx, args: &[Json], names: Names<'_>) -> Json {
    let declared =
        names.0.and_then(|s| s.mutations.get(usize::from(mutation.0))).and_then(|m| m.effect.as_ref());
    declared.map_or(
        Json::Null,
        |effect| json!({ "interface": &*effect.interface, "function": &*effect.function, "args": args }),
    )
}

fn counted_json(one: &Counted, names: Names<'_>) -> Json {
    let mut out =
        Reason { code: one.key.code, place: one.key.place.clone(), value: None, message: "".into() }
            .to_json();
    if let Json::Object(out) = &mut out {
        out.remove("message");
        out.insert(
            "mutation".into(),
            one.key.mutation.map_or(Json::Null, |mutation| names.mutation(mutation).into()),
        );
        out.insert("count".into(), one.count.into());
        out.insert("last".into(), one.last.to_string().into());
    }
    out
}

fn allotment_json(part: &Allotment) -> Json {
    json!({
        "budget": micro_json(part.budget),
        "level": micro_json(part.level),
        "refill": { "amount": micro_json(part.refill), "per": part.per.to_string() },
    })
}

/// A behaviour as JSON.
#[must_use]
pub fn behaviour_json(behaviour: Behaviour) -> Json {
    json!({ "component": behaviour.component.to_string(), "config": behaviour.config.to_string() })
}

/// A policy as JSON.
#[must_use]
pub fn policy_json(policy: &Policy) -> Json {
    let operators =
        policy.operators.iter().map(|o| json!({ "name": &*o.name, "key": Hash(o.key).to_string() }));
    let links = policy.links.iter().map(|grant| {
        let functions: Vec<&str> = grant.functions.iter().map(|f| &**f).collect();
        json!({ "target": &*grant.target, "interface": &*grant.interface, "functions": functions })
    });
    let limits = policy.limits;
    json!({
        "operators": operators.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "limits": { "inbox": limits.inbox, "effects": limits.effects, "depth": limits.depth, "children": limits.children },
    })
}

fn slots_json(slots: &[(Slot, Value)], names: Names<'_>) -> Json {
    let Some(memory) = names.memory() else { return Json::Null };
    let named = slots.iter().filter_map(|(slot, value)| {
        let field = memory.get(*slot)?;
        Some((field.name.to_string(), field.ty.to_json(value)))
    });
    Json::Object(named.collect())
}
