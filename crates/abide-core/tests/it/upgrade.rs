//! Upgrades of an object's schema: what is admitted and what is refused, what stays, and the way back.

mod state;
mod table;
