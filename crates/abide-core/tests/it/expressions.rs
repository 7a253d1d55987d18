//! Expressions: the conformance table, the laws, what is known at load, bounds, and explanations.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says so, also in what its tests share"
)]

mod allocation;
mod bounds;
mod explained;
mod fixture;
mod known;
mod law;
mod table;
