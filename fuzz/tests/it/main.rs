//! Each target for a second, and the bombs by name.

mod bombs;
mod targets;
