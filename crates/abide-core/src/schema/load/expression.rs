//! Compiling the expressions of a schema, with the place of each fault within the document.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use crate::document::{Diagnostic, Diagnostics, Node, NodeKind, inner_span};
use crate::expr::{Expected, ExprError, Program, Scope, compile, parses};
use crate::field::{Kind, StructType};

/// Most expressions of a schema, so that one loads in well under a second.
const EXPRESSIONS_MAX: usize = 10_000;

/// Compiles expressions of one document.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    /// The document.
    pub(super) text: &'a str,
    pub(super) out: &'a Diagnostics,
    pub(super) memory: Arc<StructType>,
    /// Fields that did not load.
    pub(super) broken: Vec<String>,
    /// How many expressions the document has had so far.
    pub(super) count: &'a Cell<usize>,
}

impl Compiler<'_> {
    /// The expression that a scalar holds.
    pub(super) fn compile(&self, node: &Node, scope: &Scope, expected: &Expected<'_>) -> Option<Program> {
        self.compile_part(node, &self.source(node)?, 0, scope, expected)
    }

    /// The expression `source`, which stands at byte `offset` of the value of a scalar.
    pub(super) fn compile_part(
        &self,
        node: &Node,
        source: &str,
        offset: usize,
        scope: &Scope,
        expected: &Expected<'_>,
    ) -> Option<Program> {
        if !self.count(node) {
            return None;
        }
        let trimmed = source.trim();
        let offset = offset + (source.len() - source.trim_start().len());
        let errors = match compile(trimmed, scope, expected) {
            Ok(program) => return Some(program),
            Err(errors) => errors,
        };
        if self.broken.iter().any(|name| mentions(trimmed, name)) && self.out.has_errors() {
            return None;
        }
        let word = bare_word(trimmed, expected);
        self.report(
            node,
            offset,
            errors.into_iter().map(|e| ExprError { help: word.clone().or(e.help), ..e }),
        );
        None
    }

    /// The source of an expression that a scalar holds, which is compiled elsewhere: here it is only parsed.
    pub(super) fn parse(&self, node: &Node) -> Option<Arc<str>> {
        let source = self.source(node)?;
        if !self.count(node) {
            return None;
        }
        let trimmed = source.trim();
        let offset = source.len() - source.trim_start().len();
        match parses(trimmed) {
            Ok(()) => Some(trimmed.into()),
            Err(errors) => {
                self.report(node, offset, errors.into_iter());
                None
            }
        }
    }

    fn source<'n>(&self, node: &'n Node) -> Option<Cow<'n, str>> {
        let source = source_of(node);
        if source.is_none() {
            let message = format!("{} stands where an expression is expected", node.describe());
            self.out.error(node.span.clone(), message, "put the expression in quotes");
        }
        source
    }

    /// Counts one more expression. Whether that is still within bounds.
    fn count(&self, node: &Node) -> bool {
        self.count.set(self.count.get() + 1);
        if self.count.get() == EXPRESSIONS_MAX + 1 {
            let message = format!("the schema has more than {EXPRESSIONS_MAX} expressions");
            self.out.error(node.span.clone(), message, "split the schema");
        }
        self.count.get() <= EXPRESSIONS_MAX
    }

    /// Reports what is wrong with an expression that stands at byte `offset` of the value of a scalar.
    fn report(&self, node: &Node, offset: usize, errors: impl Iterator<Item = ExprError>) {
        let whole = source_of(node).unwrap_or_default();
        for error in errors {
            let part = error.span.start + offset..error.span.end + offset;
            let span = inner_span(self.text, &node.span, &whole, &part);
            let diagnostic = Diagnostic::error(span, error.message);
            self.out.push(Diagnostic { help: error.help, ..diagnostic });
        }
    }
}

/// The text of an expression: that of a string, or of a scalar that YAML reads as something else (`set: { n: 0 }`).
fn source_of(node: &Node) -> Option<Cow<'_, str>> {
    Some(match &node.kind {
        NodeKind::Str(text) => text.as_str().into(),
        NodeKind::Bool(value) => value.to_string().into(),
        NodeKind::Int(value) => value.to_string().into(),
        NodeKind::Float(value) => format!("{value:?}").into(),
        NodeKind::Null => "null".into(),
        NodeKind::Seq(_) | NodeKind::Map(_) => return None,
    })
}

/// A text for a string field that was written without quotes of its own.
fn bare_word(source: &str, expected: &Expected<'_>) -> Option<String> {
    let Expected::Field(ty) = expected else { return None };
    let word =
        !source.is_empty() && source.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let text = matches!(ty.kind, Kind::String { .. });
    (word && text).then(|| format!("this is an expression: for the text itself write '\"{source}\"'"))
}

fn mentions(source: &str, name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    source.match_indices(name).any(|(at, _)| {
        let before = source.get(..at).unwrap_or_default();
        let after = source.get(at + name.len()..).unwrap_or_default();
        before.ends_with('.') && !after.starts_with(word)
    })
}
