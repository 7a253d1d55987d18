//! The application under test: a few objects that between them use all that a lineage can hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::document::Diagnostic;
use abide_core::policy::{Grant, Limits, Policy};
use abide_core::schema::Schema;
use abide_host::keys::{Keys, KeysError};
use abide_host::{Beginning, Host, HostError};

/// Guards a temperature: `for`, `every`, an invariant, cost, drift, an effect, a safe state.
const GUARD: &str = r#"
schema: abide/v1
name: guard
version: 1.0.0
fields:
  temperature: { type: number, minimum: -60, maximum: 60 }
  observed_at: { type: string, format: date-time }
  recent: { type: array, items: { type: number }, maxItems: 6, default: [] }
  burner: { type: string, enum: [idle, low, high], default: idle }
  fuel: { type: number, minimum: 0, maximum: 800, default: 120 }
invariants:
  - { expression: 'self.burner == "idle" || self.fuel > 0.0', message: a burner needs fuel }
mutations:
  observe:
    from: [observation]
    args: { value: { $ref: "#/fields/temperature" }, at: { $ref: "#/fields/observed_at" } }
    set: { temperature: args.value, observed_at: args.at, recent: "(self.recent + [args.value]).takeLast(6)" }
  set_burner:
    from: [rule, operator]
    args: { value: { $ref: "#/fields/burner" } }
    requires: args.value != self.burner
    set: { burner: args.value }
    cost: 'args.value == "idle" ? 0 : 7'
    effect: { interface: "example:orchard/burner", function: set-level, args: ["${args.value}"], valid_for: 30m }
  burn: { from: [rule], set: { fuel: "max(self.fuel - 3.0, 0.0)" }, cost: 0.7 }
  refuel: { from: [operator], args: { value: { type: number, minimum: 0, maximum: 800 } }, set: { fuel: args.value } }
rules:
  - name: stale
    priority: 5
    when: self.burner != "idle" && (self.fuel < 6.0 || now - self.observed_at > duration("4m"))
    then: { mutate: set_burner, args: { value: idle } }
  - name: light
    when: self.burner == "idle" && self.temperature < 1.5 && self.fuel >= 6.0
    for: 45s
    then: { mutate: set_burner, args: { value: low } }
  - { name: warm, when: self.burner != "idle" && self.temperature > 4.0, then: { mutate: set_burner, args: { value: idle } } }
  - { name: burn, when: self.burner != "idle", every: 20s, then: { mutate: burn } }
safe_state: { mutate: set_burner, args: { value: idle } }
trust_slope:
  budget: 20
  refill: { amount: 5, per: 1m }
  drift: { fuel: { from: 120, within: 60 } }
  quarantine: { denials: 4, within: 10m }
"#;

/// Keeps a level: sleeps, retries, spawns, and is denied again and again.
const PUMP: &str = r#"
schema: abide/v1
name: pump
version: 1.0.0
fields:
  level: { type: integer, minimum: 0, maximum: 20, default: 5 }
  seen: { type: integer, minimum: 0, maximum: 1000, default: 0 }
  last: { type: integer, minimum: 0, maximum: 20, nullable: true }
mutations:
  observe:
    from: [observation]
    args: { value: { $ref: "#/fields/level" } }
    ignore: args.value == self.level && args.value % 3 == 0
    set: { level: args.value, seen: self.seen + 1 }
  note: { from: [rule], set: { last: self.level }, cost: 1 }
  divide: { from: [rule], args: { value: { type: integer, minimum: 0, maximum: 9 } }, set: { last: 12 / args.value } }
  reset: { from: [operator], args: { value: { $ref: "#/fields/level" } }, set: { level: args.value, last: "null" } }
rules:
  - { name: rest, when: self.level < 3, then: { sleep: { until: self.level >= 5 } } }
  - { name: doze, when: self.level == 4, then: { sleep: { for: 70s } } }
  - { name: again, when: self.level == 7, then: retry }
  - { name: probe, when: self.level > 12, every: 2m, then: { spawn: { schema: probe, budget: 3, refill: 1 } } }
  - { name: broken, when: 12 / (self.level - 9) > 100, then: retry }
  - { name: vain, when: self.level > 9, every: 15s, then: { mutate: divide, args: { value: "${self.level - 10}" } } }
  - { name: note, when: self.level != self.seen, every: 30s, then: { mutate: note } }
trust_slope:
  budget: 12
  refill: { amount: 3, per: 1m }
  quarantine: { denials: 9, within: 5m }
"#;

/// A child that does three things and ends.
const PROBE: &str = r#"
schema: abide/v1
name: probe
version: 1.0.0
fields: { n: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations:
  step: { from: [rule], set: { n: self.n + 1 }, cost: 1 }
rules:
  - { name: end, when: self.n >= 3, then: terminate }
  - { name: work, when: self.n < 3, every: 25s, then: { mutate: step } }
trust_slope: { budget: 5, refill: { amount: 2, per: 1m } }
"#;

/// The objects, and of what schema they are.
const OBJECTS: [(&str, &str); 5] = [("north", "guard"), ("south", "guard"), ("pump-1", "pump"), ("pump-2", "pump"), ("pump-3", "pump")];

/// The application with its keys.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) keys: Keys,
    schemas: BTreeMap<&'static str, Arc<Schema>>,
}

/// Why the application itself is not sound.
#[derive(Debug)]
pub(crate) enum Unsound {
    Schema(Vec<Diagnostic>),
    Keys(KeysError),
}

impl Application {
    pub(crate) fn load() -> Result<Self, Unsound> {
        let mut schemas = BTreeMap::new();
        for (name, text) in [("guard", GUARD), ("pump", PUMP), ("probe", PROBE)] {
            let (schema, _) = Schema::load(text).map_err(Unsound::Schema)?;
            schemas.insert(name, Arc::new(schema));
        }
        let keys = Keys::from_seeds([1; 32], [2; 32], [3; 32]).map_err(Unsound::Keys)?;
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
        let grant =
            Grant { target: "burners".into(), interface: "example:orchard/burner".into(), functions: Vec::new() };
        let limits = Limits { children: 3, depth: 2, ..Limits::default() };
        let policy = Policy { operators: self.keys.operators(), links: vec![grant], limits };
        let begin = |(id, schema): &(&str, &'static str)| {
            let schema = self.schemas.get(schema).map(Arc::clone)?;
            Some(Beginning { id: Arc::from(*id), schema, policy: policy.clone(), values: Vec::new() })
        };
        let beginnings: Vec<_> = OBJECTS.iter().filter_map(begin).collect();
        let schemas: Vec<_> = self.schemas.values().map(Arc::clone).collect();
        host.begin(&schemas, &beginnings)
    }
}
