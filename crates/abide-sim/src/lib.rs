//! A seeded simulator of a host over a disk that fails.
