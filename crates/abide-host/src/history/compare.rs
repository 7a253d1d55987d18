//! Two states of one object, held against each other.

use abide_core::expr::show;
use abide_core::object::Object;
use abide_core::state::State;
use abide_core::value::Value;

/// In what a folded object and a live one differ, in words; nothing when they are the same.
#[must_use]
pub fn differences(folded: &Object, live: &Object) -> Vec<String> {
    let mut out = Vec::new();
    let mut hold = |what: &str, same: bool| {
        if !same {
            out.push(format!("its {what} is another"));
        }
    };
    hold("schema", folded.schema.digest == live.schema.digest);
    hold("policy", folded.policy == live.policy);
    hold("genesis", folded.genesis == live.genesis && folded.force == live.force);
    hold("parent", folded.parent == live.parent && folded.depth == live.depth);
    hold("allotment", folded.allotment == live.allotment);
    hold(
        "head",
        folded.head == live.head && folded.length == live.length && folded.changed_at == live.changed_at,
    );
    if folded.state == live.state {
        return out;
    }
    let (a, b) = (&folded.state, &live.state);
    if a.status != b.status {
        out.push(format!("its status is {} and not {}", a.status.name(), b.status.name()));
    }
    for ((field, a), b) in live.schema.memory.fields.iter().zip(&a.memory).zip(&b.memory) {
        if a != b {
            out.push(format!("field `{}` is {} and not {}", field.name, show_value(a), show_value(b)));
        }
    }
    out.extend(rest(a, b));
    out
}

fn rest(a: &State, b: &State) -> impl Iterator<Item = String> {
    let parts = [
        ("slope", a.bucket == b.bucket),
        ("drift", a.drift_from == b.drift_from),
        ("rules' memory", a.rules == b.rules),
        ("sleep", a.sleep == b.sleep),
        ("operators' counters", a.counters == b.counters),
        ("recorded denials", a.denied == b.denied),
        ("denials of its own doing", a.own_denials == b.own_denials),
        ("pending effects", a.effects == b.effects),
        ("children", a.children == b.children),
        ("counted denials", a.pending == b.pending),
    ];
    parts.into_iter().filter(|(_, same)| !same).map(|(what, _)| format!("its {what} differ"))
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "without a value".to_owned(),
        value => format!("`{}`", show(value)),
    }
}
