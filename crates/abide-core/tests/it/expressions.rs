//! Expressions: the conformance table, the laws, what is known at load, bounds, and explanations.

mod allocation;
mod bounds;
mod explained;
mod fixture;
mod known;
mod law;
mod table;
