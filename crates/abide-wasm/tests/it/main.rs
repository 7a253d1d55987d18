//! Components that behave and components that do not.

mod guests;
mod hostile;
mod worlds;
