//! What the macro makes of schemas, used as a behaviour's author does.

mod awkward;
mod guard;
mod kinds;
