//! The trust slope: budget, refill, drift, quarantine.

use super::amount::amount_of;
use super::effect::positive;
use super::instead_of;
use crate::document::{Key, Node, Reader};
use crate::field::{Kind, StructType};
use crate::schema::{Drift, Micro, Quarantine, Refill, TrustSlope};
use crate::value::Value;

/// What of it is wrong is reported and left out.
pub(super) fn trust_slope(reader: &mut Reader<'_>, memory: &StructType, broken: &[String]) -> TrustSlope {
    let Some(mut reader) = reader.child("trust_slope", "the trust slope") else {
        return TrustSlope::default();
    };
    let out = reader.diagnostics();
    let budget = amount(&mut reader, "budget");
    let refill = reader.child("refill", "the refill").and_then(refill);
    if let Some((key, _)) = reader.entry("refill")
        && !reader.has("budget")
    {
        out.error(key.span.clone(), "there is no `budget` that could be refilled", "add `budget: …`");
    }
    let entries = reader.map("drift").unwrap_or_default();
    let mut drift: Vec<Drift> =
        entries.iter().filter_map(|(key, node)| field_drift(key, node, (memory, broken), &reader)).collect();
    drift.sort_by_key(|drift| drift.field);
    let quarantine = reader.child("quarantine", "the quarantine").and_then(quarantine);
    reader.finish();
    TrustSlope { budget, refill, drift, quarantine }
}

fn amount(reader: &mut Reader<'_>, key: &'static str) -> Option<Micro> {
    let node = reader.optional(key)?;
    amount_of(node, &format!("`{key}`"), reader.diagnostics())
}

fn refill(mut reader: Reader<'_>) -> Option<Refill> {
    reader.required("amount");
    let amount = amount(&mut reader, "amount");
    let per = reader.required_duration("per");
    positive(&mut reader, "per", per);
    reader.finish();
    Some(Refill { amount: amount?, per: per? })
}

fn quarantine(mut reader: Reader<'_>) -> Option<Quarantine> {
    let node = reader.required("denials");
    let denials = reader.integer("denials");
    let counted = denials.and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=1_000).contains(n));
    if let (Some(node), Some(denials), None) = (node, denials, counted) {
        let message = format!("`denials` is {denials}; it must be from 1 to 1000");
        reader.diagnostics().error(node.span.clone(), message, "write how many denials stop the object");
    }
    let within = reader.required_duration("within");
    positive(&mut reader, "within", within);
    reader.finish();
    Some(Quarantine { denials: counted?, within: within? })
}

fn field_drift(
    key: &Key,
    node: &Node,
    (memory, broken): (&StructType, &[String]),
    parent: &Reader<'_>,
) -> Option<Drift> {
    let out = parent.diagnostics();
    let mut reader = Reader::new(node, format!("the drift of `{}`", key.text), out)?.at(key.span.clone());
    let from = reader.number("from");
    reader.required("within");
    let within = reader.number("within");
    if let (Some(within), Some(node)) = (within, reader.optional("within"))
        && within <= 0.0
    {
        out.error(node.span.clone(), "`within` must be above 0", "write the greatest distance from `from`");
    }
    let has_from = reader.has("from");
    reader.finish();
    let Some((slot, field)) = memory.slot(&key.text).and_then(|slot| Some((slot, memory.get(slot)?))) else {
        if broken.contains(&key.text) {
            return None;
        }
        let help = instead_of(&key.text, memory.fields.iter().map(|f| &*f.name), "name a field of `fields`");
        out.error(key.span.clone(), format!("there is no field `{}`", key.text), help);
        return None;
    };
    if !matches!(field.ty.kind, Kind::Integer { .. } | Kind::Number { .. }) {
        let message = format!("field `{}` is {}; only numbers drift", key.text, field.ty.in_words());
        out.error(key.span.clone(), message, "leave it out");
        return None;
    }
    let default = match field.ty.default {
        #[expect(clippy::cast_precision_loss, reason = "a distance is a float, as documented")]
        Some(Value::Int(n)) => Some(n as f64),
        Some(Value::Num(n)) => Some(n),
        _ => None,
    };
    if !has_from && default.is_none() {
        let message = format!("field `{}` has no default to drift from", key.text);
        out.error(key.span.clone(), message, "add `from: …`");
    }
    let drift = Drift { field: slot, from: from.or(default)? + 0.0, within: within? + 0.0 };
    if let Some(default) = default
        && (default - drift.from).abs() > drift.within
    {
        let message = format!(
            "the default of `{}`, {default}, is more than {} from {}",
            key.text, drift.within, drift.from
        );
        out.error(key.span.clone(), message, "change `from`, widen `within`, or change the default");
    }
    Some(drift)
}
