//! The port to behaviours: what an act is given, and what it may answer.
//!
//! The core does not know what runs a behaviour. Whatever does must be a function of the [`Act`]: the same act has the same
//! answer on every machine, but for what a machine may run out of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minicbor::{Decoder, Encoder};

use crate::codec::{self, DecodeError, put};
use crate::record::Hash;
use crate::schema::{Micro, MutationIx, Schema};
use crate::time::{Span, Timestamp};
use crate::value::{Value, key_order};

/// Most steps that an act may answer with.
pub const STEPS_MAX: usize = 64;

/// A behaviour in force: the component, and the configuration it sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behaviour {
    /// SHA-256 of the component's bytes.
    pub component: Hash,
    /// SHA-256 of its named values, in the form of [`config_bytes`].
    pub config: Hash,
}

/// The named values of a behaviour's configuration in the form that is digested: core deterministic CBOR, a map of text to
/// text.
#[must_use]
pub fn config_bytes(config: &BTreeMap<String, String>) -> Vec<u8> {
    let mut entries: Vec<_> = config.iter().collect();
    entries.sort_by(|a, b| key_order(a.0, b.0));
    let mut bytes = Vec::new();
    let mut e = Encoder::new(&mut bytes);
    put(e.map(entries.len() as u64));
    for (name, value) in entries {
        put(e.str(name));
        put(e.str(value));
    }
    bytes
}

/// The named values that [`config_bytes`] wrote.
///
/// # Errors
/// When the bytes are not in its form.
pub fn config_from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, String>, DecodeError> {
    let mut d = Decoder::new(bytes);
    let value = codec::decode_any(&mut d)?;
    codec::end(&d)?;
    let not_text = DecodeError { at: 0, what: "a configuration is a map of text to text" };
    let Value::Map(entries) = value else { return Err(not_text) };
    let named = entries.iter().map(|(name, value)| match value {
        Value::Str(text) => Ok((name.to_string(), text.to_string())),
        _ => Err(not_text.clone()),
    });
    named.collect()
}

/// Runs acts.
pub trait Guest {
    /// One act. What it wrote to its log comes back beside its answer, whatever that is.
    fn act(&self, act: &Act<'_>) -> Acted;
}

/// One call of a behaviour's action.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// The schema in force.
    pub schema: &'a Arc<Schema>,
    /// The behaviour in force.
    pub behaviour: Behaviour,
    /// The action, as the rule names it.
    pub action: &'a str,
    /// The object's id.
    pub object: &'a str,
    /// The rule that was chosen.
    pub rule: &'a str,
    /// The tick's number.
    pub tick: u64,
    /// The tick's time.
    pub now: Timestamp,
    /// How often the rule has asked to be tried again in a row.
    pub attempts: u32,
    /// What the trust slope holds, in millionths; `None` where it has no bound.
    pub slope: Option<Micro>,
    /// The hash of the object's last record: the seed of what looks random to the act.
    pub head: Hash,
    /// A value for each field of the schema's memory.
    pub memory: &'a [Value],
}

/// What an act came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// Its steps, or why there are none.
    pub answer: Result<Vec<ActStep>, ActError>,
    /// What it wrote to its log, bounded by whoever ran it.
    pub log: Vec<LogLine>,
}

/// A step that a behaviour asks for. A value is of its declared type or null; its bounds are for admission to check.
#[derive(Clone, Debug, PartialEq)]
pub enum ActStep {
    /// A mutation, its arguments in the order of their type.
    Mutate {
        /// Which.
        mutation: MutationIx,
        /// A value for each argument.
        args: Vec<Value>,
    },
    /// A child.
    Spawn(ActSpawn),
    /// Sleep, until then.
    Sleep(Wake),
    /// Not yet: this rule again after a while.
    Retry,
    /// The end of the object.
    Terminate,
}

/// A child that a behaviour asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ActSpawn {
    /// The name of its schema.
    pub schema: Arc<str>,
    /// First values, by field.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// What it gets of the parent's budget, in millionths.
    pub budget: Micro,
    /// What it gets of the parent's refill, in millionths.
    pub refill: Micro,
    /// Interfaces that it is granted of the parent's.
    pub links: Vec<Arc<str>>,
}

/// When a sleep that a behaviour asks for ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At a time.
    At(Timestamp),
    /// After a while.
    After(Span),
}

/// Why an act came to no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActError {
    /// What went wrong.
    pub fault: Fault,
    /// In words.
    pub message: String,
}

/// What goes wrong in an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The behaviour answered with an error of its own.
    Error,
    /// It trapped.
    Trap,
    /// It used up its fuel.
    Fuel,
    /// It asked for more memory, tables or stack than it is allowed.
    Memory,
    /// What it answered is no answer: too many steps, a step in the wrong place, a text that is no JSON.
    Answer,
    /// The component is not at hand, or cannot be run.
    Missing,
}

impl Fault {
    /// Every fault, in the order of their names in records.
    pub const ALL: [Self; 6] =
        [Self::Error, Self::Trap, Self::Fuel, Self::Memory, Self::Answer, Self::Missing];

    /// Its word in a record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Answer => "answer",
            Self::Missing => "missing",
        }
    }

    /// The fault of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Whether another machine, or another version of the engine, may get further: such an outcome is taken as it was
    /// recorded.
    #[must_use]
    pub fn is_of_the_machine(self) -> bool {
        matches!(self, Self::Fuel | Self::Memory | Self::Missing)
    }
}

/// A line of an act's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// Without a line break at its end.
    pub message: String,
}

/// How much a line of a log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who hunts an error.
    Trace,
    /// For who builds the behaviour.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Wrong.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// A host without behaviours: every act fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGuest;

impl Guest for NoGuest {
    fn act(&self, act: &Act<'_>) -> Acted {
        let message = format!("component {} is not at hand", act.behaviour.component);
        Acted { answer: Err(ActError { fault: Fault::Missing, message }), log: Vec::new() }
    }
}
