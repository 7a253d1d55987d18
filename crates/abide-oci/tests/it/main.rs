//! Fetching through its boundary: a reference goes in, and the bytes that a registry of the test's own serves come out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod asked;
mod cached;
mod credentials;
mod faults;
mod images;
mod messages;
mod references;
mod registry;
mod support;
