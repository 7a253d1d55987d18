//! The cycle, paragraph by paragraph of what a tick is: inspect, evaluate, act, record.

mod acts;
mod denials;
mod effects;
mod inbox;
mod quarantine;
mod readiness;
mod spawn;
mod steps;
