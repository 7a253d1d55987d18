//! The targets, a file for each.

mod act;
mod answer;
mod bundle;
mod canonical;
mod cursor;
mod exec;
mod expression;
mod fold;
mod http;
mod keyvalue;
mod local;
mod log;
mod manifest;
mod note;
mod record;
mod scenario;
mod schema;
mod snapshot;
mod source;
mod time;
mod verify;

use std::fmt::{self, Debug, Write as _};
use std::ops::Range;

/// What takes bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder in the corpus.
    pub name: &'static str,
    /// Tries an input. It panics where the law of the target does not hold.
    pub run: fn(&[u8]) -> Reached,
    /// Sound inputs that are made and not kept, so that they are always of today's format.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    record::TARGET,
    fold::TARGET,
    bundle::TARGET,
    verify::TARGET,
    log::TARGET,
    snapshot::TARGET,
    note::TARGET,
    canonical::TARGET,
    schema::TARGET,
    expression::TARGET,
    manifest::TARGET,
    scenario::TARGET,
    source::CSV,
    source::JSON_LINES,
    cursor::TARGET,
    act::TARGET,
    http::TARGET,
    exec::TARGET,
    keyvalue::TARGET,
    local::TARGET,
    time::TARGET,
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The end that an input came to: the same for those that came to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached(pub u64);

impl Reached {
    /// By what it says of itself, numbers and what stands in backticks aside.
    pub fn of(end: &impl Debug) -> Self {
        let mut hash = Words { hash: 0xcbf2_9ce4_8422_2325, is_quoted: false };
        // Writing into a hash does not fail.
        let _ = write!(hash, "{end:?}");
        Self(hash.hash)
    }
}

struct Words {
    hash: u64,
    is_quoted: bool,
}

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.is_quoted ^= byte == b'`';
            if !self.is_quoted && !byte.is_ascii_digit() {
                self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Ok(())
    }
}

/// A place that a person is shown lies in the text, and cuts no character.
fn check_span(text: &str, span: Option<&Range<usize>>) {
    if let Some(span) = span {
        assert!(text.get(span.clone()).is_some(), "the place {span:?} is none of the text");
    }
}

const fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
