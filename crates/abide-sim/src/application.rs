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
    /// By name and number, those that objects are upgraded to.
    versions: BTreeMap<(&'static str, u32), Arc<Schema>>,
}

impl Application {
    pub(crate) fn load() -> Result<Self, Failure> {
        let mut schemas = BTreeMap::new();
        for (name, text) in [("guard", GUARD), ("pump", PUMP), ("probe", PROBE)] {
            schemas.insert(name, load(name, text)?);
        }
        let second = |text: &str| text.replace("version: 1.0.0", "version: 2.0.0");
        let guard = second(GUARD).replace("temperature", "heat").replace("budget: 20", "budget: 27");
        let pump = second(PUMP).replace("nullable: true", "default: 3").replace("\"null\"", "\"0\"");
        let versions = [
            (("guard", 1), format!("{GUARD}migration: {{ from: 2.0.0, rename: {{ heat: temperature }} }}\n")),
            (("guard", 2), format!("{guard}migration: {{ from: 1.0.0, rename: {{ temperature: heat }} }}\n")),
            (
                ("pump", 1),
                format!("{PUMP}migration: {{ from: 2.0.0, set: {{ level: 'min(self.level, 9)' }} }}\n"),
            ),
            (("pump", 2), format!("{pump}migration: {{ from: 1.0.0, set: {{ seen: self.seen / 2 }} }}\n")),
        ];
        let versions = versions.into_iter().map(|(of, text)| Ok((of, load(of.0, &text)?)));
        let versions = versions.collect::<Result<_, Failure>>()?;
        let keys = Keys::from_seeds([1; 32], [2; 32], [3; 32]).map_err(HostError::from)?;
        Ok(Self { keys, schemas, versions })
    }

    /// How many objects the manifest would name.
    pub(crate) const fn objects() -> usize {
        OBJECTS.len()
    }

    /// The id of one of them, and the name of its schema.
    pub(crate) fn object(n: usize) -> (&'static str, &'static str) {
        OBJECTS.get(n % OBJECTS.len()).copied().unwrap_or(("", ""))
    }

    /// A version of the schema of an object: the first and the second take each other over.
    pub(crate) fn version(&self, object: &str, version: u32) -> Option<Arc<Schema>> {
        let (_, name) = OBJECTS.iter().find(|(id, _)| *id == object)?;
        self.versions.get(&(*name, version)).map(Arc::clone)
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

fn load(name: &str, text: &str) -> Result<Arc<Schema>, Failure> {
    let loaded = Schema::load(text);
    let (schema, _) = loaded.map_err(|errors| Failure::new(format!("the schema `{name}`: {errors:?}")))?;
    Ok(Arc::new(schema))
}
