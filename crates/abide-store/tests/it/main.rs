//! Tests of the store through its boundary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod crash;
mod disks;
mod golden;
mod log;
mod merkle;
mod notes;
mod recovery;
mod support;
