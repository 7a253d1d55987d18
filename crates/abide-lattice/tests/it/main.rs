//! The control interface through its boundary: a request goes in, and what is answered, told and written comes out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod asked;
mod hostile;
mod subjects;
mod support;
mod told;
