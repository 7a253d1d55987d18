//! The pure core of Abide: what a schema means, what an expression computes, what is admitted, and what is recorded.
//!
//! Nothing here does I/O, reads a clock, or is asynchronous. Every function is deterministic: the same inputs give
//! the same bytes on every machine.
#![forbid(unsafe_code)]

pub mod time;
pub mod value;
pub mod codec;
pub mod field;
pub mod document;
pub mod expr;
pub mod schema;
pub mod policy;
pub mod slope;
pub mod record;
pub mod state;
pub mod template;
pub mod admission;
pub mod clock;
pub mod frame;
pub mod object;
pub mod cycle;
pub mod engine;
mod snapshot;
