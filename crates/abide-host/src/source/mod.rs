//! Sources: data from outside, lines of CSV or JSON or messages of a broker, mapped to observations.
//!
//! A [`SourceConfig`] is what the manifest says; a [`Mapping`] is that bound to the schemas of the objects it reaches, so
//! that nothing about a name, a type or a unit is left to find out while it runs. [`Replay`] plays recorded sources in
//! the order of their times; [`Live`] reads one, or listens, as it comes. Admission, and what a tick is, are left to the engine.

mod config;
mod decode;
mod live;
mod mapping;
mod messages;
mod replay;
mod time_format;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::schema::{MutationIx, Schema};
use abide_core::time::Timestamp;
use abide_core::value::Value;

pub(crate) use config::suggestion;
pub use config::{
    ArgumentConfig, At, Format, Input, Mode, ObjectConfig, ObservationConfig, SourceConfig, SourceKind,
    TimeConfig,
};
pub use live::{Live, LiveCursor, LiveEvent, LiveReading};
pub use mapping::{Mapping, Recipient};
pub use replay::{Cursor, Replay, ResumeError};
pub use time_format::TimeFormat;

/// Most bytes of a line, or of what a message says.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Most broken lines that are kept of a source; all are counted.
pub const PROBLEMS_MAX: usize = 100;

/// A source that is ready to be read.
#[derive(Clone, Debug)]
pub struct Source {
    /// What the manifest says of it.
    pub config: SourceConfig,
    /// The same, bound to the objects that it reaches.
    pub mapping: Arc<Mapping>,
}

/// One line of a replayed source.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The line's time.
    pub time: Timestamp,
    /// The source's name.
    pub source: Arc<str>,
    /// The line's number in its file, from 1; the header is a line.
    pub line: u64,
    /// What it says, in the order of the mapping; none where every value was missing.
    pub observations: Vec<Observation>,
}

/// A mutation that a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The object's id.
    pub object: Arc<str>,
    /// The schema that the source was bound to.
    pub schema: Arc<Schema>,
    /// The mutation of that schema.
    pub mutation: MutationIx,
    /// A value for each argument, in the order of their type. A value that is not of its type is passed on as it stands:
    /// that is for admission to deny, by name.
    pub args: Vec<Value>,
}

/// A line or a message that could not be read. The others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// The source's name.
    pub source: Arc<str>,
    /// `line` or `message`.
    pub unit: &'static str,
    /// The line's number in its file, from 1; of a message, how many have come.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {} {}: {}", self.source, self.unit, self.line, self.message)
    }
}

/// Broken lines: the first of them, and how many there are.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// The first [`PROBLEMS_MAX`].
    pub first: Vec<LineProblem>,
    /// All of them.
    pub count: u64,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: LineProblem) {
        self.count += 1;
        if self.first.len() < PROBLEMS_MAX {
            self.first.push(problem);
        }
    }
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LineError {
    message: String,
    help: String,
}

impl LineError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    fn at(self, source: &Arc<str>, line: u64) -> LineProblem {
        let Self { message, help } = self;
        LineProblem { source: Arc::clone(source), unit: "line", line, message, help }
    }
}

/// Why a source cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its input cannot be opened or read.
    #[error("the source `{source_name}` cannot read `{}`: {error}", path.display())]
    Read {
        /// The source.
        source_name: Arc<str>,
        /// Its file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// The header lacks a column that the mapping names.
    #[error("the source `{source_name}` has no column `{column}` in its header; {help}")]
    Column {
        /// The source.
        source_name: Arc<str>,
        /// The column.
        column: String,
        /// The nearest name, or all of them.
        help: String,
    },
    /// The header has a column twice.
    #[error("the source `{source_name}` has the column `{column}` twice in its header; rename one of them")]
    Twice {
        /// The source.
        source_name: Arc<str>,
        /// The column.
        column: String,
    },
    /// The header is no line of CSV.
    #[error("the source `{source_name}` has a broken header: {message}")]
    Header {
        /// The source.
        source_name: Arc<str>,
        /// What is wrong with it.
        message: String,
    },
    /// Its messages cannot be had.
    #[error("the source `{source_name}` cannot listen for `{subject}`: {why}")]
    Messages {
        /// The source.
        source_name: Arc<str>,
        /// What it listens for.
        subject: Box<str>,
        /// Why not.
        why: String,
    },
    /// The file is not the one that the cursor was taken from.
    #[error(
        "the source `{source_name}` has changed: byte {offset} of `{}` no longer ends the line that was taken last; \
         append to a file and do not rewrite it, or start a new store",
        path.display()
    )]
    Changed {
        /// The source.
        source_name: Arc<str>,
        /// Its file.
        path: PathBuf,
        /// Where the cursor stands.
        offset: u64,
    },
}
