//! Behaviours for Abide in Rust.
//!
//! A behaviour is a WebAssembly component. The rules of a schema name its actions, as in `then: { act: plan }`, and Abide calls one with the
//! cycle and the memory of the object; it answers with steps. This crate makes all of that typed, from the schema:
//!
//! ```text
//! abide_sdk::behaviour!("frost-guard.yaml");
//!
//! impl Actions for Behaviour {
//!     fn plan(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
//!         let coldest = memory.recent.iter().copied().fold(memory.temperature, f64::min);
//!         Ok(if coldest < 0.5 { vec![Step::set_burner(Burner::Low)] } else { vec![] })
//!     }
//! }
//! ```
//!
//! [`behaviour!`] says what it defines. The steps pass admission one after the other, as any change does; a denial drops them all. So a behaviour cannot
//! do what the schema does not allow, and it need not check again what the schema checks.
//!
//! # An act is a function
//!
//! Each act runs in a fresh instance, so a `static` keeps nothing from one to the next: what is to be remembered is in the schema's
//! memory. An act knows the [`Cycle`], the memory and its configuration ([`config`]), and the same ones must lead to the same steps,
//! since `abide replay --execute` runs every act again. [`log`] writes lines that are no part of that. There is nothing
//! else: what reaches the outside is an effect of a mutation.
//!
//! # Testing
//!
//! Natively an action is a function like any other, and its steps compare. [`Cycle::at`] makes a cycle,
//! [`config::with`] gives it configuration, and log lines go to standard error:
//!
//! ```
//! use abide_sdk::Cycle;
//! use abide_sdk::time::HOUR;
//!
//! let cycle = Cycle::at(12 * HOUR);
//! assert_eq!((cycle.now, cycle.attempts, cycle.slope), (12 * HOUR, 0, None));
//! ```
//!
//! # Building
//!
//! ```sh
//! rustup target add wasm32-unknown-unknown
//! cargo build --release --target wasm32-unknown-unknown
//! abide componentize target/wasm32-unknown-unknown/release/NAME.wasm -o NAME.wasm
//! ```
//!
//! A small guest is a fast one: `abide new --behaviour rust NAME` makes a project with the settings for it.
//!
//! On `wasm32` this crate sets the global allocator, one that never gives back what an act took (feature `allocator`, on by default), and has a
//! panic tell its message in the log before the act ends.

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod bindings;
pub mod config;
pub mod log;
pub mod time;

pub use abide_sdk_macros::behaviour;
#[doc(inline)]
pub use bindings::abide::object::types::{Cycle, Duration, Spawn, Timestamp, Wake};

impl Cycle {
    /// A cycle at a time, for tests: of the object `test` and the rule `test`, in tick 1, without attempts and without a
    /// budget. Set what else matters: `Cycle { attempts: 3, ..Cycle::at(now) }`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { object: "test".to_owned(), tick: 1, now, rule: "test".to_owned(), attempts: 0, slope: None }
    }
}

/// For what [`behaviour!`] expands to, and for nothing else.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::abide::object::{log, types};
    pub use crate::bindings::wasi::config::store;
    pub use wit_bindgen;

    /// Before an action.
    pub fn begin() {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| {
            crate::log::write(crate::log::Level::Error, format_args!("{panic}"));
        }));
    }
}
