//! Runs behaviours: WebAssembly components that act for an object, each act in a fresh instance and within hard limits.
//!
//! [`Sandbox::load`] checks a component against the world of a schema and compiles it; [`Component::act`] calls an action of
//! it. [`Sandbox::load_callable`] takes any component, whose functions effects call with JSON. An act is a function of what it is given: the same act has the same steps, the same log and the same faults, but for
//! what a machine may run out of. What is decided about the steps is left to the core, and where components come from to the
//! host.

mod act;
mod cache;
mod call;
mod carry;
mod check;
#[cfg(feature = "components")]
pub mod component;
mod imports;
mod journal;
mod json;
mod limits;
pub mod link;
pub mod provider;
mod sandbox;
mod shape;
mod wasi;

pub use act::{Component, Measured};
pub use call::{Call, CallFailed, Callable};
pub use sandbox::{Instances, LoadError, Options, Problem, Sandbox};
