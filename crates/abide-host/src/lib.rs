//! The composition of Abide: sources, effects, the manifest and what binds them to the core.

pub mod ask;
pub mod backtest;
pub mod behaviour;
pub mod broker;
pub mod bundle;
pub mod clock;
#[cfg(feature = "components")]
pub mod components;
pub mod effect;
mod flusher;
pub mod history;
pub mod host;
pub mod keys;
#[cfg(feature = "lattice")]
pub mod lattice;
pub mod local;
pub mod manifest;
pub mod report;
pub mod run;
pub mod scenario;
pub mod source;
pub mod transitions;
pub mod units;
pub mod upgrade;
pub mod verify;
pub mod view;
pub mod why;

pub use abide_core::engine::Beginning;
pub use host::{Host, HostError, Known, Recovered, Ticked};
