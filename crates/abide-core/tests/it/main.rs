//! Tests of abide-core through its public boundary.
#![cfg(test)]

mod admission;
mod cycle;
mod document;
mod expressions;
mod laws;
mod records;
mod reset;
mod schema;
mod upgrade;
mod wit;
mod world;
