//! Tests of the host through its public boundary.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails panics")]

mod acts;
mod capability;
mod effect;
mod example;
mod explain;
mod manifest;
mod overlap;
mod source;
mod units;
