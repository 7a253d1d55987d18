//! What an act of the behaviour may use up.

use crate::document::Reader;
use crate::schema::{BehaviourLimits, FUEL_MAX, GUEST_MEMORY_MAX, LOG_MAX, OUTPUT_MAX, TABLES_MAX};

/// What of it is wrong is reported, and is the default.
pub(super) fn limits(reader: &mut Reader<'_>) -> BehaviourLimits {
    let default = BehaviourLimits::default();
    let Some(mut reader) = reader.child("behaviour", "the behaviour") else {
        return default;
    };
    let mut limit = |key, (least, most), default| bounded(&mut reader, key, least, most).unwrap_or(default);
    let limits = BehaviourLimits {
        fuel: limit("fuel", (1, FUEL_MAX), default.fuel),
        memory: limit("memory", (65_536, GUEST_MEMORY_MAX), default.memory),
        tables: limit("tables", (0, TABLES_MAX), default.tables),
        output: limit("output", (1_024, OUTPUT_MAX), default.output),
        log: limit("log", (0, LOG_MAX), default.log),
    };
    reader.finish();
    limits
}

fn bounded(reader: &mut Reader<'_>, key: &'static str, least: u64, most: u64) -> Option<u64> {
    let node = reader.optional(key)?;
    let written = reader.integer(key)?;
    let limit = u64::try_from(written).ok().filter(|limit| (least..=most).contains(limit));
    if limit.is_none() {
        let message = format!("`{key}` is {written}; it must be from {least} to {most}");
        reader.diagnostics().error(node.span.clone(), message, "write a limit within that");
    }
    limit
}
