//! A record: one entry of a lineage, and what it says.
//!
//! The bytes of a record are in `docs/formats/lineage.md`; [`encode`] and [`decode`] are that page in code.

pub mod decode;
pub mod encode;
pub mod json;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::field::Slot;
use crate::guest::Behaviour;
use crate::policy::Policy;
use crate::schema::{CallerKind, Micro, MutationIx, RuleIx};
use crate::slope::Allotment;
use crate::time::Timestamp;
use crate::value::Value;

/// The version of the record format, as record 0 of a log carries it.
pub const FORMAT_VERSION: u64 = 1;

/// The object id under which a host keeps its own lineage. No object can have it.
pub const HOST: &str = "@host";

/// A SHA-256 digest: of a record (with the leaf prefix), a schema, a component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of a record: `SHA-256(0x00 || bytes)`, at once the link for the next one and the leaf of the tree.
    #[must_use]
    pub fn of_record(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
    }

    /// The id of the child that a step of a spawn record makes: `SHA-256(0x02 || record hash || step, 4 bytes big-endian)`.
    #[must_use]
    pub fn of_child(self, step: u32) -> Self {
        Self(
            Sha256::new()
                .chain_update([2])
                .chain_update(self.0)
                .chain_update(step.to_be_bytes())
                .finalize()
                .into(),
        )
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.pad(&digits)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One entry of a lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whose lineage it is in.
    pub object: Arc<str>,
    /// Its number in that lineage, from 0.
    pub seq: u64,
    /// The hash of the record before it; `None` at genesis.
    pub prev: Option<Hash>,
    /// The tick it was made in.
    pub tick: u64,
    /// The time of that tick.
    pub time: Timestamp,
    /// The number of the record that put the schema and behaviour in force; itself at genesis. Of an upgrade, the one before.
    pub force: u64,
    /// What happened.
    pub event: Event,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An object begins.
    Genesis(Box<Genesis>),
    /// A mutation was admitted.
    Mutation(Mutated),
    /// A mutation, a step or a guard was denied.
    Denial(Box<Denied>),
    /// Denials that were counted since the last record.
    Denials(Vec<Counted>),
    /// Guards with `for` that began to hold, or ceased to.
    Hold(Vec<(RuleIx, bool)>),
    /// A rule was chosen and its act came to no step.
    Idle(RuleIx),
    /// A child was made; its id is the hash of this record and the step.
    Spawn(Box<Spawned>),
    /// The object sleeps until a time, or until the condition of the rule's step holds.
    Sleep {
        /// The rule whose step it is.
        rule: RuleIx,
        /// Until then; `None`: until the condition holds.
        until: Option<Timestamp>,
    },
    /// The object wakes.
    Wake,
    /// A rule asked to be tried again.
    Retry {
        /// Which.
        rule: RuleIx,
        /// How often it has asked in a row.
        attempt: u32,
        /// When it is ready again.
        due: Timestamp,
    },
    /// The object stopped acting: too many denials of its own doing.
    Quarantine,
    /// An operator ended the quarantine.
    Release(Signature),
    /// An operator closed the object for good; it stays to be read.
    Seal(Signature),
    /// The object ended by a rule's step.
    Terminate(RuleIx),
    /// An operator put another behaviour, another version of the schema, or what was before, in force.
    Upgrade(Box<Upgrade>),
    /// Its policy changed.
    Policy(Box<Policy>),
    /// The host did not tick from `since` to this record's time, and the schema skips what was missed.
    Pause {
        /// The time of the tick before the pause.
        since: Timestamp,
    },
    /// How an effect ended.
    Outcome(Outcome),
    /// A child ended, and this part came back.
    ChildEnded {
        /// Its id.
        child: Arc<str>,
        /// What came back.
        part: Allotment,
    },
    /// The host's clock was ahead, and an operator set it back to this record's time. It stands in the host's lineage, and in
    /// that of each object which it concerns.
    Clock {
        /// The last time before it.
        since: Timestamp,
        /// The operator's, in the host's lineage; it covers [`crate::reset::reset_bytes`].
        signature: Option<Box<Signature>>,
    },
    /// Record 0 of a host.
    Host(Box<HostGenesis>),
    /// A schema that objects of this log have.
    Schema(SchemaKnown),
    /// How far the sources of a host have been read, and denials that are counted but not yet recorded.
    Progress(Box<Progress>),
}

/// The first record of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Genesis {
    /// The identity of the host that made it.
    pub host: Arc<str>,
    /// Digest of its schema.
    pub schema: Hash,
    /// Its behaviour, where its schema has acts.
    pub behaviour: Option<Behaviour>,
    /// Its policy.
    pub policy: Policy,
    /// Its parent, and the hash of the parent's spawn record.
    pub parent: Option<(Arc<str>, Hash)>,
    /// How many generations stand above it.
    pub depth: u32,
    /// What it was given out of its parent's slope.
    pub allotment: Option<Allotment>,
    /// First values, beyond the schema's defaults.
    pub values: Vec<(Slot, Value)>,
}

/// A schema that a host knows, and the behaviour that children of it get.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaKnown {
    /// The canonical form of the schema.
    pub canonical: Arc<[u8]>,
    /// The behaviour, where the schema has acts.
    pub behaviour: Option<Behaviour>,
    /// Whether it is for an upgrade alone: children go on to get the one of its name that they had.
    pub for_upgrade: bool,
}

/// What takes force.
#[derive(Clone, Debug, PartialEq)]
pub struct Upgrade {
    /// The behaviour in force after it, where the schema has acts.
    pub behaviour: Option<Behaviour>,
    /// The schema, where that changes.
    pub schema: Option<SchemaChange>,
    /// The number of the upgrade's record that this reverts.
    pub reverts: Option<u64>,
    /// The operator's signature over it.
    pub signature: Signature,
}

/// Another version of an object's schema.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaChange {
    /// Digest of the one before.
    pub was: Hash,
    /// Digest of the one in force from this record on.
    pub is: Hash,
    /// The memory under it: every value that there is, by slots of that schema.
    pub memory: Vec<(Slot, Value)>,
}

/// An admitted mutation.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutated {
    /// Which.
    pub mutation: MutationIx,
    /// Who asked.
    pub caller: Caller,
    /// The rule, when a rule or a behaviour asked.
    pub rule: Option<RuleIx>,
    /// Which step of the act, from 0, when a behaviour asked.
    pub step: Option<u32>,
    /// The arguments, in the order of their type.
    pub args: Vec<Value>,
    /// The fields that changed, and their new values.
    pub changes: Vec<(Slot, Value)>,
    /// What the slope was charged, in millionths.
    pub cost: Micro,
    /// The arguments of the effect that this record orders.
    pub effect: Option<Arc<[serde_json::Value]>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// A rule of the object.
    Rule,
    /// The object's `safe_state`: a rule that is not charged.
    SafeState,
    /// Its behaviour.
    Behaviour,
    /// Data from a source, by name.
    Observation(Arc<str>),
    /// An operator.
    Operator(Box<Signature>),
    /// A message-driven component, by id.
    Component(Arc<str>),
    /// The parent, by id.
    Parent(Arc<str>),
}

/// An operator's signature over an act on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The operator's name in the policy.
    pub name: Arc<str>,
    /// Ed25519 public key.
    pub key: [u8; 32],
    /// Above the last one of this key in the lineage.
    pub counter: u64,
    /// Ed25519 signature; what it covers is in [`crate::admission::signed_bytes`].
    pub signature: [u8; 64],
}

impl Caller {
    /// Its kind, as `from` and `caller.kind` name it.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        match self {
            Self::Rule | Self::SafeState => CallerKind::Rule,
            Self::Behaviour => CallerKind::Behaviour,
            Self::Observation(_) => CallerKind::Observation,
            Self::Operator(_) => CallerKind::Operator,
            Self::Component(_) => CallerKind::Component,
            Self::Parent(_) => CallerKind::Parent,
        }
    }

    /// Its name: of the source, the operator, the component, the parent; of a rule it stands in the record.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Rule | Self::Behaviour => "",
            Self::SafeState => "safe_state",
            Self::Observation(name) | Self::Component(name) | Self::Parent(name) => name,
            Self::Operator(signature) => &signature.name,
        }
    }
}

/// A denial in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    /// The mutation that was asked for; `None` for a guard, a spawn or an operator's act.
    pub mutation: Option<MutationIx>,
    /// Who asked.
    pub caller: Caller,
    /// The rule, when a rule or a behaviour asked.
    pub rule: Option<RuleIx>,
    /// The step of the chosen rule's act that was denied, from 0; `None` when it was a guard that failed, or not a rule.
    pub step: Option<u32>,
    /// The arguments as they came, by name, cut short where they were out of bounds.
    pub args: Vec<(Arc<str>, Value)>,
    /// Why.
    pub reason: Reason,
    /// When the slope can pay for it, if that is why and it ever can.
    pub affordable_at: Option<Timestamp>,
}

/// Why something was denied.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The check that it failed.
    pub code: Code,
    /// The field, argument or expression that failed it.
    pub place: Place,
    /// The offending value as text.
    pub value: Option<Arc<str>>,
    /// For people.
    pub message: Arc<str>,
}

/// The check that a mutation failed, in the order of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// The status does not allow it.
    Status = 0,
    /// The caller's kind is not in `from`.
    Caller = 1,
    /// An operator's signature does not verify, its key is unknown, or its counter is not above the last.
    Signature = 2,
    /// An argument is missing, or lacks its type or bounds.
    Argument = 3,
    /// `requires` does not hold.
    Requires = 4,
    /// An expression has no value.
    Evaluation = 5,
    /// A field would lack its type or bounds.
    Bounds = 6,
    /// An invariant would not hold.
    Invariant = 7,
    /// Policy does not grant the effect, or too many wait for an outcome.
    Effect = 8,
    /// The trust slope lacks the budget.
    Slope = 9,
    /// A field would drift too far.
    Drift = 10,
    /// A child can't be made.
    Spawn = 11,
    /// A behaviour came to no answer. The reason's value is the name of a [`Fault`](crate::guest::Fault).
    Act = 12,
}

/// What a [`Reason`] points at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The object itself.
    Object,
    /// A field of memory.
    Field(Arc<str>),
    /// An argument.
    Argument(Arc<str>),
    /// An expression of the schema, as written.
    Expression(Arc<str>),
}

/// Denials of one (mutation, code, place) that were counted after the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// What is counted.
    pub key: DenialKey,
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last: Timestamp,
    /// When each was, of those that count towards a quarantine.
    pub own: Vec<Timestamp>,
    /// The rules that were chosen and denied: when last, and when the slope can pay for the step if it was for want of that.
    pub chosen: Vec<(RuleIx, Timestamp, Option<Timestamp>)>,
}

/// What makes two denials the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DenialKey {
    /// The mutation that was asked for.
    pub mutation: Option<MutationIx>,
    /// The check that failed.
    pub code: Code,
    /// Where.
    pub place: Place,
}

/// A child that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Spawned {
    /// The rule whose step it is.
    pub rule: RuleIx,
    /// Which step of the act, from 0.
    pub step: u32,
    /// Digest of the child's schema.
    pub schema: Hash,
    /// The child's behaviour, where its schema has acts.
    pub behaviour: Option<Behaviour>,
    /// What the child gets out of the slope.
    pub allotment: Option<Allotment>,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The number of the record that ordered it.
    pub of: u64,
    /// How.
    pub status: OutcomeStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong, for people.
    pub message: Option<Arc<str>>,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutcomeStatus {
    /// The target took it.
    Delivered = 0,
    /// The target did not, and no attempt is left.
    Failed = 1,
    /// It was no longer valid.
    Abandoned = 2,
    /// The clock is replayed: it was not sent.
    Simulated = 3,
}

/// Record 0 of a log: the host's identity certifies its log key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostGenesis {
    /// The identity: an nkey, `N…`.
    pub identity: Arc<str>,
    /// Ed25519 public key that signs checkpoints.
    pub log_key: [u8; 32],
    /// The name in the checkpoints' first line.
    pub origin: Arc<str>,
    /// The identity's Ed25519 signature over [`HostGenesis::certified_bytes`].
    pub certificate: [u8; 64],
    /// Whether a replayed source drives the clock.
    pub replayed: bool,
}

impl HostGenesis {
    /// What the certificate covers: `abide-log-key/1`, a zero byte, the origin, a zero byte, the log key.
    #[must_use]
    pub fn certified_bytes(origin: &str, log_key: &[u8; 32]) -> Vec<u8> {
        [b"abide-log-key/1\0".as_slice(), origin.as_bytes(), b"\0", log_key].concat()
    }
}

/// What a host must remember between ticks beyond its objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// For each source whose place changed, where it stands; opaque to the core.
    pub cursors: Vec<(Arc<str>, Arc<[u8]>)>,
    /// Objects by number, and their counted denials that are not recorded yet; an empty list clears.
    pub pending: Vec<(u32, Vec<Counted>)>,
}
