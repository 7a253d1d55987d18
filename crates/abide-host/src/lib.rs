//! The composition of Abide: sources, effects, the manifest and what binds them to the core.

pub mod effect;
pub mod manifest;
pub mod source;
pub mod units;
pub mod keys;
pub mod ask;
pub mod host;
pub mod run;
pub mod local;
pub mod clock;
pub mod view;
pub mod history;
pub mod verify;
pub mod why;

pub use host::{Beginning, Host, HostError, Recovered, Ticked};
