//! Components that behave and components that do not.
#![cfg(test)]

mod acts;
mod echo;
mod guests;
mod hostile;
mod neighbours;
mod random;
mod smith;
mod worlds;
