//! Each target for a second, and the bombs by name.
#![cfg(test)]

mod bombs;
mod targets;
