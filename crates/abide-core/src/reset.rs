//! The signed reset of a clock that was ahead: what its signature covers, and when it is admitted.
//!
//! A reset is a commit of its own. The host's lineage says who asked for it, and each object that time still runs for has a
//! record of it in its own lineage, so that a state stays the fold of one lineage. What folding it does is in
//! [`crate::state`]: every time that is remembered moves with the clock, so that what had passed has passed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use minicbor::Encoder;

use crate::object::Object;
use crate::record::{Hash, Signature};
use crate::time::Timestamp;

/// The clock of a host, as far as a reset of it is concerned.
#[derive(Clone, Copy, Debug)]
pub struct HostClock<'a> {
    /// The hash of the host's record 0.
    pub genesis: Hash,
    /// Whether a replayed source drives it.
    pub replayed: bool,
    /// The last time on it.
    pub time: Timestamp,
    /// The last counter of each key that reset it.
    pub counters: &'a BTreeMap<[u8; 32], u64>,
}

/// Why a clock is not reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// It is not the host's own.
    #[error("the clock belongs to its sources: a host that replays them has none to reset")]
    Replayed,
    /// Nothing is to be mended.
    #[error(
        "the clock is not ahead: the recorded time, {time}, is not after {to}; there is nothing to reset"
    )]
    NotAhead {
        /// The recorded time.
        time: Timestamp,
        /// The time that was asked for.
        to: Timestamp,
    },
    /// Nobody can speak for the host.
    #[error(
        "every object is sealed or terminated, so no policy names an operator for this host; its clock stays as it is"
    )]
    NoObject,
    /// The key may not act on every object.
    #[error(
        "`{name}` with this key is not an operator of `{object}`: a reset concerns every object that is neither sealed nor \
         terminated, so sign it with the key of an operator of all of them"
    )]
    Operator {
        /// The operator's name, as signed.
        name: Arc<str>,
        /// The first object whose policy does not name it.
        object: Arc<str>,
    },
    /// The signature may have been used before.
    #[error("the counter {counter} is not above the last one recorded, {last}; sign the reset anew")]
    Counter {
        /// As signed.
        counter: u64,
        /// The last one of that key.
        last: u64,
    },
    /// It is not a signature of this.
    #[error(
        "the signature of `{name}` does not verify; it must cover this host's record 0, the time and the counter"
    )]
    Signature {
        /// The operator's name, as signed.
        name: Arc<str>,
    },
}

/// The bytes that an operator's signature covers: core deterministic CBOR of
/// `["abide-operator/1", hash of the host's record 0, "reset-clock", "", {"to": nanoseconds}, counter]`.
#[must_use]
pub fn reset_bytes(genesis: Hash, to: Timestamp, counter: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    let mut e = Encoder::new(&mut bytes);
    let written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        e.array(6)?.str("abide-operator/1")?.bytes(&genesis.0)?.str("reset-clock")?.str("")?;
        e.map(1)?.str("to")?.i64(to.0)?.u64(counter)?.ok()
    })();
    debug_assert!(written.is_ok(), "writing to a vector does not fail");
    bytes
}

impl HostClock<'_> {
    /// The counter that a key's next signature needs.
    #[must_use]
    pub fn next_counter(&self, key: &[u8; 32]) -> u64 {
        self.counters.get(key).map_or(1, |last| last.saturating_add(1))
    }

    /// Whether the clock may be reset: it is ahead, and who signs is an operator of every object that is neither sealed nor
    /// terminated.
    ///
    /// # Errors
    /// The first of these that does not hold; then nothing is changed.
    pub fn check<'o>(
        &self,
        objects: impl Iterator<Item = &'o Object>,
        to: Timestamp,
        signature: &Signature,
    ) -> Result<(), ResetError> {
        if self.replayed {
            return Err(ResetError::Replayed);
        }
        if to >= self.time {
            return Err(ResetError::NotAhead { time: self.time, to });
        }
        let name = &signature.name;
        let mut open = objects.filter(|object| !object.state.status.is_closed()).peekable();
        if open.peek().is_none() {
            return Err(ResetError::NoObject);
        }
        let lacking = open.find(|object| {
            object.policy.operator(&signature.key).is_none_or(|operator| operator.name != *name)
        });
        if let Some(object) = lacking {
            return Err(ResetError::Operator { name: Arc::clone(name), object: Arc::clone(&object.id) });
        }
        if let Some(last) = self.counters.get(&signature.key).copied()
            && signature.counter <= last
        {
            return Err(ResetError::Counter { counter: signature.counter, last });
        }
        let bytes = reset_bytes(self.genesis, to, signature.counter);
        VerifyingKey::from_bytes(&signature.key)
            .and_then(|key| key.verify_strict(&bytes, &Ed25519::from_bytes(&signature.signature)))
            .map_err(|_| ResetError::Signature { name: Arc::clone(name) })
    }
}
