//! Effects: calls that change the world outside, sent after the record that orders them is durable.
//!
//! A [`Target`] makes one call; [`JsonLines`], [`Exec`], [`Http`], [`KeyValue`] and [`Messages`] are builtin, [`Called`] is a component. A [`Dispatcher`] decides which call goes when:
//! one in flight for each object and target, in the order of the records, tried again or abandoned, each ending in one
//! [`Outcome`]. Which effects there are, and what is recorded of them, is left to the engine.

mod called;
mod dispatcher;
mod exec;
pub(crate) mod http;
mod json_lines;
pub(crate) mod keyvalue;
pub(crate) mod messages;

use std::sync::Arc;

use abide_core::cycle::Input;
use abide_core::record;
use abide_core::time::{Span, Timestamp};

pub use called::{Called, FUEL_PER_SECOND};
pub use dispatcher::{Backoff, Dispatcher, DispatcherConfig};
pub use exec::{Exec, ExecConfig};
pub use http::{AllowedHost, BODY_BYTES_MAX, HeaderSource, Http, HttpConfig, REDIRECTS_MAX};
pub use json_lines::JsonLines;
#[cfg(feature = "components")]
pub(crate) use keyvalue::open_database;
pub use keyvalue::{APPLIED_MAX, BUCKETS_MAX, KEY_BYTES_MAX, KeyValue, KeyValueConfig, VALUE_BYTES_MAX};
pub use messages::Messages;

/// Most bytes of a result or of a failure's text that are kept.
pub const RESULT_BYTES_MAX: usize = 64 * 1024;

/// One effect, as the record of its mutation orders it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The record's hash: the idempotency key. Every attempt carries the same, also after a restart.
    pub key: [u8; 32],
    /// The number of the record within the object's lineage: effects of an object go out in this order.
    pub seq: u64,
    /// The object's id.
    pub object: Arc<str>,
    /// The target, as the manifest names it.
    pub target: Arc<str>,
    /// WIT interface, as in `example:orchard/burner`.
    pub interface: Arc<str>,
    /// Function of it.
    pub function: Arc<str>,
    /// Arguments, in the order of the function.
    pub args: Arc<[serde_json::Value]>,
    /// The tick of the record.
    pub tick: u64,
    /// The time of the record.
    pub time: Timestamp,
    /// The last moment at which an attempt may begin.
    pub valid_until: Timestamp,
    /// The longest that one attempt may take.
    pub timeout: Span,
    /// Attempts after the first.
    pub retries: u32,
    /// Whether a replay stands for it: it then ends as [`OutcomeStatus::Simulated`], and nothing is sent.
    pub simulated: bool,
}

impl Request {
    /// Moves its times back by as much as the recorded clock, on which they were reckoned: it stays valid for as long as it was.
    pub(crate) fn set_back(&mut self, by: Span) {
        self.time = self.time.set_back(by);
        self.valid_until = self.valid_until.set_back(by);
    }
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The request's key.
    pub key: [u8; 32],
    /// The request's record number.
    pub seq: u64,
    /// The object's id.
    pub object: Arc<str>,
    /// How it ended.
    pub status: OutcomeStatus,
    /// How many attempts were made.
    pub attempts: u32,
}

impl Outcome {
    /// What of it goes into the inbox of its object: the record to be made, and the answer for the mutation that takes it.
    #[must_use]
    pub fn into_input(self) -> Input {
        let (status, message, answer) = match self.status {
            OutcomeStatus::Delivered { result } => (record::OutcomeStatus::Delivered, None, Some(result)),
            OutcomeStatus::Failed { error } => (record::OutcomeStatus::Failed, Some(error.into()), None),
            OutcomeStatus::Abandoned { error } => {
                (record::OutcomeStatus::Abandoned, error.map(Into::into), None)
            }
            OutcomeStatus::Simulated => (record::OutcomeStatus::Simulated, None, None),
        };
        Input::Outcome(record::Outcome { of: self.seq, status, attempts: self.attempts, message }, answer)
    }
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq)]
pub enum OutcomeStatus {
    /// The target took it, and answered.
    Delivered {
        /// Its answer; null where it has none.
        result: serde_json::Value,
    },
    /// Every attempt failed.
    Failed {
        /// The failure of the last one.
        error: String,
    },
    /// It was no longer valid before an attempt succeeded.
    Abandoned {
        /// The failure of the last attempt, if there was one.
        error: Option<String>,
    },
    /// A replay stands for it: nothing was sent.
    Simulated,
}

/// Where calls go. It is called from several threads, though never for one object twice at once.
pub trait Target: Send + Sync {
    /// Makes the call and waits for its end, at most for the request's timeout.
    ///
    /// A call whose success was not seen is made again with the same key: a target that must not act twice keeps the
    /// keys that it has acted on.
    ///
    /// # Errors
    /// Why it did not succeed, and whether another attempt may.
    fn call(&self, request: &Request) -> Result<serde_json::Value, CallError>;
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What went wrong: lower case.
    pub message: String,
    /// Whether no further attempt can help.
    pub permanent: bool,
}

impl CallError {
    /// A failure that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: false }
    }

    /// A failure that no further attempt can mend.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: true }
    }
}

impl Request {
    /// The request as builtin targets write it: one JSON object, its keys in alphabetical order.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "key": self.key_hex(),
            "object": &*self.object,
            "interface": &*self.interface,
            "function": &*self.function,
            "args": &*self.args,
            "tick": self.tick,
            "time": self.time.to_string(),
            "valid_until": self.valid_until.to_string(),
        })
    }

    /// The key in hexadecimal.
    #[must_use]
    pub fn key_hex(&self) -> String {
        self.key.iter().fold(String::with_capacity(64), |mut text, byte| {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
            text
        })
    }
}
