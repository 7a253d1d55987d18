//! The application under test: a few objects that between them use all that a lineage can hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::policy::{Grant, Limits, Policy};
use abide_core::schema::Schema;
use abide_host::keys::Keys;
use abide_host::{Beginning, Host, HostError};

use crate::crash::Failure;

/// Guards a temperature: `for`, `every`, an invariant, cost, drift, an effect, a safe state.
const GUARD: &str = include_str!("application/guard.yaml");

/// Keeps a level: sleeps, retries, spawns, and is denied again and again.
const PUMP: &str = include_str!("application/pump.yaml");

/// A child that does three things and ends.
const PROBE: &str = include_str!("application/probe.yaml");

/// The objects, and of what schema they are.
const OBJECTS: [(&str, &str); 5] =
    [("north", "guard"), ("south", "guard"), ("pump-1", "pump"), ("pump-2", "pump"), ("pump-3", "pump")];

/// The application with its keys.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) keys: Keys,
    schemas: BTreeMap<&'static str, Arc<Schema>>,
}

impl Application {
    pub(crate) fn load() -> Result<Self, Failure> {
        let mut schemas = BTreeMap::new();
        for (name, text) in [("guard", GUARD), ("pump", PUMP), ("probe", PROBE)] {
            let (schema, _) = Schema::load(text)
                .map_err(|errors| Failure::new(format!("the schema `{name}`: {errors:?}")))?;
            schemas.insert(name, Arc::new(schema));
        }
        let keys = Keys::from_seeds([1; 32], [2; 32], [3; 32]).map_err(HostError::from)?;
        Ok(Self { keys, schemas })
    }

    /// How many objects the manifest would name.
    pub(crate) const fn objects() -> usize {
        OBJECTS.len()
    }

    /// The id of one of them, and the name of its schema.
    pub(crate) fn object(n: usize) -> (&'static str, &'static str) {
        OBJECTS.get(n % OBJECTS.len()).copied().unwrap_or(("", ""))
    }

    /// Begins the objects, unless they have begun.
    pub(crate) fn begin(&self, host: &mut Host) -> Result<(), HostError> {
        if !host.engine().objects().is_empty() {
            return Ok(());
        }
        let grant = Grant {
            target: "burners".into(),
            interface: "example:orchard/burner".into(),
            functions: Vec::new(),
        };
        let limits = Limits { children: 3, depth: 2, ..Limits::default() };
        let policy = Policy { operators: self.keys.operators(), links: vec![grant], limits };
        let begin = |(id, schema): &(&str, &'static str)| {
            let schema = self.schemas.get(schema).map(Arc::clone)?;
            Some(Beginning {
                id: Arc::from(*id),
                schema,
                behaviour: None,
                policy: policy.clone(),
                values: Vec::new(),
            })
        };
        let beginnings: Vec<_> = OBJECTS.iter().filter_map(begin).collect();
        let schemas: Vec<_> = self.schemas.values().map(Arc::clone).collect();
        let schemas: Vec<_> = schemas.into_iter().map(|schema| (schema, None)).collect();
        host.begin(&schemas, &beginnings)
    }
}
