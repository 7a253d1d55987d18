//! The text of a schema: it loads, or everything that is wrong is said of places in it.

use abide_core::schema::Schema;

use super::{Reached, Target, check_span, no_seeds};

pub(super) const TARGET: Target = Target { name: "schema", run, seeds: no_seeds };

fn run(bytes: &[u8]) -> Reached {
    let text = String::from_utf8_lossy(bytes);
    let loaded = Schema::load(&text);
    let (Ok((_, said)) | Err(said)) = &loaded;
    said.iter().for_each(|diagnostic| check_span(&text, diagnostic.span.as_ref()));
    if let Ok((schema, _)) = &loaded {
        let again = Schema::from_canonical(&schema.canonical).map(|schema| schema.digest);
        assert_eq!(again, Ok(schema.digest), "a schema is not what its canonical form says");
        let _ = (schema.json_schema(), schema.tools());
    }
    Reached::of(&said.iter().map(|diagnostic| &diagnostic.message).take(4).collect::<Vec<_>>())
}
