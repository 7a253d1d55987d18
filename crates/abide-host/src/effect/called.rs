//! A function of a component on this host, called for each effect.

use abide_core::schema::BehaviourLimits;
use abide_wasm::{Call, Callable};
use serde_json::Value as Json;

use super::{CallError, RESULT_BYTES_MAX, Request, Target};

/// What of an effect's `timeout` a second is worth in fuel, of which an instruction takes about one. So what bounds a
/// call is the same on every machine; how long it takes there is not.
pub const FUEL_PER_SECOND: u64 = 1_000_000_000;

/// A component that effects call.
///
/// Each call is made in a fresh instance, whose clocks show the time of the record and whose random numbers follow from
/// its key: a call that is made again is answered as it was. So no failure is tried again.
#[derive(Debug)]
pub struct Called {
    component: Callable,
}

impl Called {
    /// A target of its exported functions.
    #[must_use]
    pub fn new(component: Callable) -> Self {
        Self { component }
    }
}

impl Target for Called {
    fn call(&self, request: &Request) -> Result<Json, CallError> {
        let timeout = u128::try_from(request.timeout.0).unwrap_or_default();
        let fuel = timeout * u128::from(FUEL_PER_SECOND) / 1_000_000_000;
        let limits = BehaviourLimits {
            fuel: u64::try_from(fuel).unwrap_or(u64::MAX).max(1),
            // What is counted is values in memory, of which a number takes 32 bytes.
            output: RESULT_BYTES_MAX as u64 * 64,
            ..BehaviourLimits::default()
        };
        let call = Call {
            interface: &request.interface,
            function: &request.function,
            args: &request.args,
            now: request.time.0,
            seed: &request.key,
            limits,
        };
        let answer = self.component.call(&call).map_err(|error| CallError::permanent(error.0))?;
        let length = answer.to_string().len();
        if length > RESULT_BYTES_MAX {
            let message =
                format!("the answer has {length} bytes of JSON; at most {RESULT_BYTES_MAX} are kept");
            return Err(CallError::permanent(message));
        }
        Ok(answer)
    }
}
