//! A seeded simulator: the real host, over a disk that fails.
//!
//! [`crash_point`] takes a seed, plays a history into a [`Host`](abide_host::Host) until the disk fails in one of the
//! ways of the fault model, opens what survived, and checks that nothing acknowledged is lost and that the run goes on
//! to the same end as one that never failed. The fault model and the checks are in `docs/design/simulation.md`.
#![forbid(unsafe_code)]

mod application;
mod crash;
mod drive;
mod history;
mod plan;
mod random;
mod reference;
mod sweep;

pub use crash::{Failure, Outcome, crash_point};
pub use plan::{Fault, Plan};
pub use reference::{POINTS_PER_HISTORY, Reference};
pub use sweep::{Tally, sweep};
