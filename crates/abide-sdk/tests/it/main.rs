//! What the macro makes of schemas, used as a behaviour's author does.

mod guard;
mod kinds;
