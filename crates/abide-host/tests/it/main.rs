//! Tests of the host through its public boundary.

mod effect;
mod manifest;
mod source;
mod units;
