//! The canonical form of a schema: what is read from it has it, and so has its text.

use abide_core::schema::Schema;

use super::{Reached, Target};
use crate::sample::sample;

pub(super) const TARGET: Target = Target { name: "canonical", run, seeds };

fn seeds() -> Vec<Vec<u8>> {
    let guard = Schema::load(include_str!("../../../examples/frost-guard/frost-guard.yaml"));
    let guard = guard.into_iter().map(|(schema, _)| schema.canonical);
    guard.chain([sample().schema.canonical.clone()]).collect()
}

fn run(bytes: &[u8]) -> Reached {
    let read = Schema::from_canonical(bytes);
    if let Ok(schema) = &read {
        assert!(schema.canonical == bytes, "a schema has another canonical form than it was read from");
        let text = schema.to_yaml();
        let again = Schema::load(&text).map(|(schema, _)| schema.digest);
        assert_eq!(again, Ok(schema.digest), "the text of a schema is another schema:\n{text}");
    }
    Reached::of(&read.map(drop).map_err(|error| error.to_string()))
}
