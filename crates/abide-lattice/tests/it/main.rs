//! The control interface through its boundary: a request goes in, and what is answered, told, written and to be done comes out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod acted;
mod asked;
mod hostile;
mod learned;
mod subjects;
mod support;
mod told;
