//! Tests of abide-core through its public boundary.

mod document;
mod expressions;
mod schema;
mod world;
mod admission;
mod cycle;
mod records;
mod laws;
