//! Hostile bytes for everything of Abide that takes bytes from outside.
//!
//! A [`Target`] is a function over bytes that states a law and panics where it does not hold. [`fuzz`] plays its corpus
//! and its seeds, then what [`Mutator`] makes of them, for a while. The runs are seeded and need no more than stable Rust;
//! that a target is a plain function leaves it open to drive the same ones by coverage.

mod corpus;
mod mutate;
mod random;
mod run;
pub mod sample;
mod targets;

pub use corpus::corpus;
pub use mutate::Mutator;
pub use run::{Failure, Tally, fuzz, replay};
pub use targets::{Reached, TARGETS, Target, find};
