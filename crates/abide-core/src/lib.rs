//! The pure core of Abide: what a schema means, what an expression computes, what is admitted, and what is recorded.
//!
//! Nothing here does I/O, reads a clock, or is asynchronous. Every function is deterministic: the same inputs give
//! the same bytes on every machine.
#![forbid(unsafe_code)]

pub mod admission;
pub mod bundle;
pub mod clock;
pub mod codec;
pub mod cycle;
pub mod document;
pub mod engine;
pub mod expr;
pub mod field;
pub mod frame;
pub mod guest;
pub mod object;
pub mod policy;
pub mod record;
pub mod reset;
pub mod schema;
pub mod slope;
mod snapshot;
pub mod state;
pub mod template;
pub mod time;
pub mod transition;
pub mod value;
pub mod wit;
