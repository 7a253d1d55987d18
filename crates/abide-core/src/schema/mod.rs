//! A schema: what an object's memory may hold and how it may change.
//!
//! [`Schema::load`] reads, checks and compiles one; what it says has one canonical form, whose hash is its identity.
//! The submodules: `load` reads, `canonical` writes the canonical form and reads it back, `render` shows a schema to tools,
//! to language models and to people.

mod canonical;
mod load;
mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use canonical::CanonicalError;

use crate::expr::{Program, SlotSet};
use crate::field::{Slot, StructType};
use crate::time::Span;
use crate::value::Value;

/// What the key `schema` of a document must say.
pub const FORMAT: &str = "abide/v1";
/// Most mutations of a schema.
pub const MUTATIONS_MAX: usize = 1_000;
/// Most rules of a schema.
pub const RULES_MAX: usize = 1_000;
/// Most invariants of a schema.
pub const INVARIANTS_MAX: usize = 1_000;
/// Most versions that a schema takes over from.
pub const MIGRATION_VERSIONS_MAX: usize = 64;
/// Most labels under `context`.
pub const LABELS_MAX: usize = 64;
/// Greatest cost, budget or refill: a thousand million.
pub const AMOUNT_MAX: u64 = 1_000_000_000;
/// Of one attempt of an effect, where its schema does not say.
pub const TIMEOUT_DEFAULT: Span = Span::from_secs(10);
/// Attempts of an effect after the first, where its schema does not say.
pub const RETRIES_DEFAULT: u32 = 3;
/// Most attempts of an effect after the first.
pub const RETRIES_MAX: u32 = 100;

/// Most fuel of an act: ten thousand million.
pub const FUEL_MAX: u64 = 10_000_000_000;
/// Most linear memory of an act, in bytes: 64 MiB.
pub const GUEST_MEMORY_MAX: u64 = 64 << 20;
/// Most elements in the tables of an act.
pub const TABLES_MAX: u64 = 20_000;
/// Most that an act may answer with, in bytes: 16 MiB.
pub const OUTPUT_MAX: u64 = 16 << 20;
/// Most that an act may write to its log, in bytes: 1 MiB.
pub const LOG_MAX: u64 = 1 << 20;

/// A cost or a budget in millionths.
pub type Micro = u64;

/// A loaded schema: typed, bounded and compiled.
#[derive(Debug)]
pub struct Schema {
    /// Its name.
    pub name: Arc<str>,
    /// Its version: semver.
    pub version: Arc<str>,
    /// What it is for, in words.
    pub intent: Option<Arc<str>>,
    /// Labels.
    pub context: BTreeMap<Arc<str>, Arc<str>>,
    /// SHA-256 of `canonical`.
    pub digest: [u8; 32],
    /// The canonical form: deterministic CBOR of the normalised document.
    pub canonical: Vec<u8>,
    /// The fields of memory.
    pub memory: Arc<StructType>,
    /// What always holds of a complete object.
    pub invariants: Vec<Invariant>,
    /// Sorted by [`crate::value::key_order`] of the name.
    pub mutations: Vec<Mutation>,
    /// In the order of evaluation: higher `priority` first, then the order of the file.
    pub rules: Vec<Rule>,
    /// Asked of an object when it is quarantined or terminated: a mutation and its arguments.
    pub safe_state: Option<MutateStep>,
    /// The bound on self-change.
    pub trust_slope: TrustSlope,
    /// What becomes of what was due during a pause.
    pub missed: Missed,
    /// What an act of the behaviour may use up.
    pub behaviour: BehaviourLimits,
    /// How it takes over from other versions; without one, from any, field by field of the same name.
    pub migration: Option<Migration>,
}

/// How a schema takes over the memory of objects from other versions of it. Expressions are over the memory as it was, so
/// they are compiled where both schemas are known: see [`crate::transition::Transition`].
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// The versions that it takes over from; at least one, each once, sorted.
    pub from: Vec<Arc<str>>,
    /// By its name before, the field that takes up the value.
    pub rename: BTreeMap<Arc<str>, Slot>,
    /// The value of a field that would have none; by slot, ascending.
    pub default: Vec<(Slot, Value)>,
    /// The value of a field, as an expression over the memory before and `now`; by slot, ascending.
    pub set: Vec<(Slot, Arc<str>)>,
    /// Fields of the memory before whose values are not taken up.
    pub remove: BTreeSet<Arc<str>>,
}

/// Two schemas are the same if their canonical forms are.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Schema {}

/// What an act of the behaviour may use up. What it asks for beyond that costs the object a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BehaviourLimits {
    /// Instructions, roughly, and bytes that are copied; 1 to [`FUEL_MAX`].
    pub fuel: u64,
    /// Linear memory, all of its memories together, in bytes; 64 KiB to [`GUEST_MEMORY_MAX`].
    pub memory: u64,
    /// Elements of all of its tables together; at most [`TABLES_MAX`].
    pub tables: u64,
    /// What it gives to the host at a time, its answer or a line of its log, in bytes; 1 KiB to [`OUTPUT_MAX`].
    pub output: u64,
    /// What it writes to its log, in bytes, a line break for each line; at most [`LOG_MAX`].
    pub log: u64,
}

impl Default for BehaviourLimits {
    fn default() -> Self {
        Self { fuel: 100_000_000, memory: 64 << 20, tables: 20_000, output: 1 << 20, log: 64 << 10 }
    }
}

/// See DESIGN: `missed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Missed {
    /// One cycle makes up for all that was missed.
    #[default]
    Coalesce,
    /// What was due during the pause is dropped.
    Skip,
}

/// A condition over `self` and `oldSelf`.
#[derive(Debug)]
pub struct Invariant {
    /// The condition.
    pub expression: Program,
    /// What to tell a person when it would not hold.
    pub message: Option<Arc<str>>,
    /// Whether it mentions `oldSelf`: then it does not apply to an object's first complete memory.
    pub transition: bool,
}

/// The index of a mutation in [`Schema::mutations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MutationIx(pub u16);

/// The index of a rule in [`Schema::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIx(pub u16);

/// The kind of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CallerKind {
    /// A rule of the object.
    Rule = 0,
    /// A behaviour of the object.
    Behaviour = 1,
    /// Data from outside.
    Observation = 2,
    /// An operator, by signature.
    Operator = 3,
    /// A message-driven component.
    Component = 4,
    /// The parent object.
    Parent = 5,
}

impl CallerKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Rule, Self::Behaviour, Self::Observation, Self::Operator, Self::Component, Self::Parent];

    /// As `from` and `caller.kind` name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Behaviour => "behaviour",
            Self::Observation => "observation",
            Self::Operator => "operator",
            Self::Component => "component",
            Self::Parent => "parent",
        }
    }

    /// Whether the bits of a mutation's `from` have it.
    #[must_use]
    pub const fn is_in(self, from: u8) -> bool {
        from & self.bit() != 0
    }

    /// Its bit in [`Mutation::from`].
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A named entry point: the only way memory changes.
#[derive(Debug)]
pub struct Mutation {
    /// Its name.
    pub name: Arc<str>,
    /// For people: what it is.
    pub description: Option<Arc<str>>,
    /// Who may ask; a bit `1 << CallerKind` each.
    pub from: u8,
    /// The arguments.
    pub args: Arc<StructType>,
    /// Drops an observation that says nothing new.
    pub ignore: Option<Program>,
    /// Must hold.
    pub requires: Option<Program>,
    /// The new values, all computed from the memory before; by slot, ascending.
    pub set: Vec<(Slot, Program)>,
    /// The slots of `set`.
    pub writes: SlotSet,
    /// What it costs a caller that is bound by the slope.
    pub cost: Cost,
    /// A call to the outside, sent after the record is durable.
    pub effect: Option<Effect>,
}

/// What a mutation costs.
#[derive(Debug)]
pub enum Cost {
    /// Always the same, in millionths.
    Constant(Micro),
    /// Computed over `self` (before), `args`, `now`, `caller`; rounded up to a millionth; negative or non-finite is an error.
    Expression(Box<Program>),
}

/// A call to the outside.
#[derive(Debug)]
pub struct Effect {
    /// WIT interface, as in `example:orchard/burner`.
    pub interface: Arc<str>,
    /// Function of it.
    pub function: Arc<str>,
    /// Arguments; expressions see `self` (after), `args`, `now`.
    pub args: Vec<Template>,
    /// After this from the record's time it is abandoned.
    pub valid_for: Span,
    /// Of one attempt.
    pub timeout: Span,
    /// Attempts after the first.
    pub retries: u32,
    /// The mutation that its result comes back to, as an observation.
    pub result: Option<MutationIx>,
    /// The mutation that its failure comes back to, as an observation.
    pub error: Option<MutationIx>,
}

/// Data with expressions in it: `${…}`.
#[derive(Debug)]
pub enum Template {
    /// Data without expressions, of the type that is expected where it stands.
    Value(Value),
    /// Data without expressions where no type is expected (an effect's arguments).
    Json(serde_json::Value),
    /// `"${…}"` alone: the value of the expression, with its type.
    Expression(Program),
    /// Text with expressions within: each shown as text.
    Text(Vec<TextPart>),
    /// A list, where items have expressions.
    List(Vec<Template>),
    /// An object, where properties have expressions (untyped places only); in the order of keys.
    Object(Vec<(Arc<str>, Template)>),
}

/// A part of [`Template::Text`].
#[derive(Debug)]
pub enum TextPart {
    /// As it stands.
    Literal(Arc<str>),
    /// The value of an expression as text.
    Expression(Program),
}

/// A precondition over the object's own memory and the clock, and what to do when it holds.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// For people: what it is.
    pub description: Option<Arc<str>>,
    /// Higher goes first.
    pub priority: i64,
    /// The guard, over `self` and `now`.
    pub when: Program,
    /// The guard must have held that long.
    pub held_for: Option<Span>,
    /// Ready when this has passed since it was last chosen.
    pub every: Option<Span>,
    /// What it does.
    pub then: Step,
}

/// What a rule does when it is chosen.
#[derive(Debug)]
pub enum Step {
    /// Ask for a mutation.
    Mutate(MutateStep),
    /// Make a child.
    Spawn(Box<SpawnStep>),
    /// Run no rules until a condition holds or a time comes.
    Sleep(Until),
    /// Not yet: this rule again, later.
    Retry,
    /// End.
    Terminate,
    /// Call an exported action of the behaviour.
    Act(Arc<str>),
}

/// A mutation and its arguments.
#[derive(Debug)]
pub struct MutateStep {
    /// Which.
    pub mutation: MutationIx,
    /// For each argument of it, in the order of its type, a value; `None` where it was left out (its default, or null).
    pub args: Vec<Option<Template>>,
}

/// A child to make.
#[derive(Debug)]
pub struct SpawnStep {
    /// The name of the child's schema.
    pub schema: Arc<str>,
    /// First values of the child's memory, checked against its schema when both are known; expressions see `self`, `now`.
    pub values: Vec<(Arc<str>, Template)>,
    /// Taken out of the parent's budget.
    pub budget: Micro,
    /// Taken out of the parent's refill; with the parent's `per`.
    pub refill: Micro,
    /// The interfaces of the parent's links that the child has.
    pub links: Vec<Arc<str>>,
}

/// Until when to sleep.
#[derive(Debug)]
pub enum Until {
    /// Until the expression (over `self`, `now`) holds.
    Condition(Program),
    /// Until the time that the expression gives when the rule is chosen.
    Time(Program),
    /// For a fixed span.
    For(Span),
}

/// The bound on how much an object may change itself over time.
#[derive(Debug, Default)]
pub struct TrustSlope {
    /// Most that a bucket holds; `None`: no bound.
    pub budget: Option<Micro>,
    /// How it refills.
    pub refill: Option<Refill>,
    /// Fields held near a stated value.
    pub drift: Vec<Drift>,
    /// When too many denials stop it.
    pub quarantine: Option<Quarantine>,
}

/// `amount` every `per`, continuously.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// In millionths.
    pub amount: Micro,
    /// Over how long.
    pub per: Span,
}

/// A numeric field held within a distance of a value.
#[derive(Clone, Debug)]
pub struct Drift {
    /// Which.
    pub field: Slot,
    /// The value it starts from; only an operator's mutation moves it.
    pub from: f64,
    /// Greatest distance.
    pub within: f64,
}

/// So many denials of the object's own doing within a window stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// How many, 1 to 1,000.
    pub denials: u32,
    /// The window.
    pub within: Span,
}

impl Schema {
    /// The mutation of that name.
    #[must_use]
    pub fn mutation(&self, name: &str) -> Option<MutationIx> {
        let found = self.mutations.binary_search_by(|m| crate::value::key_order(&m.name, name)).ok()?;
        u16::try_from(found).ok().map(MutationIx)
    }

    /// The actions that rules name, each once, with the first rule that names it: in the order of evaluation.
    #[must_use]
    pub fn actions(&self) -> Vec<(RuleIx, &Arc<str>)> {
        let mut actions: Vec<(RuleIx, &Arc<str>)> = Vec::new();
        for (rule, ix) in self.rules.iter().zip(0..) {
            if let Step::Act(name) = &rule.then
                && actions.iter().all(|(_, known)| *known != name)
            {
                actions.push((RuleIx(ix), name));
            }
        }
        actions
    }

    /// The rule of that name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<RuleIx> {
        self.rules.iter().position(|r| &*r.name == name).and_then(|n| u16::try_from(n).ok()).map(RuleIx)
    }
}
