//! A YAML or JSON document with the place of every node, read within bounds.
//!
//! [`parse`] turns text into a [`Node`]; a [`Reader`] takes a mapping apart key by key and says which keys it does not
//! know. Both report everything that is wrong, not only the first thing. What the keys mean is left to the callers.

mod parse;
mod reader;
mod scalar;

use std::cell::RefCell;
use std::ops::Range;

pub use parse::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX, parse, read};
pub use reader::{Reader, nearest};
pub(crate) use reader::{listed, number_of};
pub use scalar::inner_span;

/// Most diagnostics that are reported for one text; how many more there are is said in a last one.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Something wrong, or worth a word, in a text that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it forbids use or only deserves a look.
    pub severity: Severity,
    /// What is wrong: lower case, input in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where: bytes of the text.
    pub span: Option<Range<usize>>,
}

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Use is refused.
    Error,
    /// Use is allowed.
    Warning,
}

/// A node and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What it is.
    pub kind: NodeKind,
}

/// A node without its place.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Null, or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Str(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping in the order of the file, each key once.
    Map(Vec<(Key, Node)>),
}

/// The key of an entry and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The key.
    pub text: String,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), help: None, span: Some(span) }
    }

    /// A warning at a place.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Diagnostics as they are found: many readers share one.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: RefCell<Vec<Diagnostic>>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Adds an error with what to do about it.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(span, message).help(help));
    }

    /// Adds a warning with what to do about it.
    pub fn warning(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::warning(span, message).help(help));
    }

    /// Whether an error is among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|d| d.severity == Severity::Error)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All of them by place, each once, at most [`DIAGNOSTICS_MAX`] and a last one that counts the rest.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|d| (d.span.as_ref().map(|s| (s.start, s.end)), d.severity));
        found.dedup();
        let rest = found.len().saturating_sub(DIAGNOSTICS_MAX);
        if rest > 0 {
            // An error must not hide behind a hundred warnings: what is cut is said with the worst severity of it.
            let severity =
                found.iter().skip(DIAGNOSTICS_MAX).map(|d| d.severity).min().unwrap_or(Severity::Error);
            found.truncate(DIAGNOSTICS_MAX);
            found.push(Diagnostic { severity, message: format!("and {rest} more"), help: None, span: None });
        }
        found
    }
}

impl Node {
    /// What it is, in words for a message.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Int(_) => "an integer",
            NodeKind::Float(_) => "a number",
            NodeKind::Str(_) => "a text",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }

    /// The same as JSON, without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            NodeKind::Null => serde_json::Value::Null,
            NodeKind::Bool(value) => (*value).into(),
            NodeKind::Int(value) => (*value).into(),
            NodeKind::Float(value) => (*value).into(),
            NodeKind::Str(value) => value.as_str().into(),
            NodeKind::Seq(items) => items.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            NodeKind::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|(k, v)| (k.text.clone(), v.to_json())).collect(),
            ),
        }
    }
}

/// The line and the column of a byte of the text, both from 1; columns count characters. A place past the end is that of
/// the end.
#[must_use]
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before.get(line_start..).map_or(0, |l| l.chars().count()) + 1)
}
