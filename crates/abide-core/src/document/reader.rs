//! Taking a mapping apart: typed access to its keys, and a word about every key that nobody asked for.

use std::ops::Range;

use super::{Diagnostics, Key, Node, NodeKind};
use crate::time::Span;

/// Reads a mapping. Every accessor marks its key as known; [`Reader::finish`] reports the keys that are not, with the
/// nearest known one. A value of the wrong type is reported and read as absent.
#[derive(Debug)]
pub struct Reader<'a> {
    what: String,
    place: Range<usize>,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
    out: &'a Diagnostics,
}

impl<'a> Reader<'a> {
    /// A reader of `node`, which is `what` to a person (`a field`, `the schema`); `None`, and a diagnostic, where it is
    /// no mapping.
    pub fn new(node: &'a Node, what: impl Into<String>, out: &'a Diagnostics) -> Option<Self> {
        let what = what.into();
        let entries = map_of(node, &what, out)?;
        let place = entries.first().map_or_else(|| node.span.clone(), |(key, _)| key.span.clone());
        Some(Self { what, place, entries, known: Vec::new(), out })
    }

    /// The same, where what is missing is reported at `place` (such as the key that this mapping is the value of).
    #[must_use]
    pub fn at(mut self, place: Range<usize>) -> Self {
        self.place = place;
        self
    }

    /// Where what is missing is reported.
    #[must_use]
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Where diagnostics go.
    #[must_use]
    pub fn diagnostics(&self) -> &'a Diagnostics {
        self.out
    }

    /// Whether a key is there; it does not count as read.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(k, _)| k.text == key)
    }

    /// The key and the value of an entry.
    pub fn entry(&mut self, key: &'static str) -> Option<(&'a Key, &'a Node)> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|(k, _)| k.text == key).map(|(k, v)| (k, v))
    }

    /// The value of a key, if it is there.
    pub fn optional(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The value of a key that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<&'a Node> {
        let node = self.optional(key);
        if node.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            self.out.error(self.place.clone(), message, format!("add `{key}:`"));
        }
        node
    }

    /// A text, if it is there.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let node = self.optional(key)?;
        text_of(node, &format!("`{key}`"), self.out)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &'static str) -> Option<&'a str> {
        let node = self.required(key)?;
        text_of(node, &format!("`{key}`"), self.out)
    }

    /// A 64-bit integer, if it is there.
    pub fn integer(&mut self, key: &'static str) -> Option<i64> {
        let node = self.optional(key)?;
        match node.kind {
            NodeKind::Int(value) => Some(value),
            _ => self.wrong(node, key, "an integer"),
        }
    }

    /// A finite number, written as an integer or a float, if it is there.
    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        let node = self.optional(key)?;
        number_of(node).or_else(|| self.wrong(node, key, "a number"))
    }

    /// A boolean, if it is there.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let node = self.optional(key)?;
        match node.kind {
            NodeKind::Bool(value) => Some(value),
            _ => self.wrong(node, key, "`true` or `false`"),
        }
    }

    /// A duration such as `90s` or `1h30m`, if it is there.
    pub fn duration(&mut self, key: &'static str) -> Option<Span> {
        let node = self.optional(key)?;
        duration_of(node, &format!("`{key}`"), self.out)
    }

    /// A duration that must be there.
    pub fn required_duration(&mut self, key: &'static str) -> Option<Span> {
        let node = self.required(key)?;
        duration_of(node, &format!("`{key}`"), self.out)
    }

    /// The items of a list, if it is there.
    pub fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        let node = self.optional(key)?;
        match &node.kind {
            NodeKind::Seq(items) => Some(items),
            _ => self.wrong(node, key, "a list"),
        }
    }

    /// The entries of a mapping, if it is there.
    pub fn map(&mut self, key: &'static str) -> Option<&'a [(Key, Node)]> {
        let node = self.optional(key)?;
        map_of(node, &format!("`{key}`"), self.out)
    }

    /// A reader of the mapping at a key, if it is there; it is `what` to a person.
    pub fn child(&mut self, key: &'static str, what: impl Into<String>) -> Option<Reader<'a>> {
        let (key, node) = self.entry(key)?;
        Some(Reader::new(node, what, self.out)?.at(key.span.clone()))
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        for (key, _) in self.entries.iter().filter(|(k, _)| !self.known.contains(&k.text.as_str())) {
            let help = match nearest(&key.text, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys of {} are {}", self.what, listed(&self.known)),
            };
            self.out.error(key.span.clone(), format!("{} has no key `{}`", self.what, key.text), help);
        }
    }

    fn wrong<T>(&self, node: &Node, key: &str, expected: &str) -> Option<T> {
        let message = format!("`{key}` is {}; it must be {expected}", node.describe());
        self.out.error(node.span.clone(), message, format!("write {expected}"));
        None
    }
}

/// The text of a node that is `what` to a person.
pub(crate) fn text_of<'a>(node: &'a Node, what: &str, out: &Diagnostics) -> Option<&'a str> {
    match &node.kind {
        NodeKind::Str(text) => Some(text),
        _ => {
            let help = match node.kind {
                NodeKind::Null => "write a text",
                NodeKind::Seq(_) | NodeKind::Map(_) => "write a text; quote it if it begins with a bracket",
                _ => "put it in quotes",
            };
            out.error(node.span.clone(), format!("{what} is {}; it must be a text", node.describe()), help);
            None
        }
    }
}

/// The number of a node, if it is one.
pub(crate) fn number_of(node: &Node) -> Option<f64> {
    match node.kind {
        #[expect(clippy::cast_precision_loss, reason = "a number field is a float, and says so")]
        NodeKind::Int(value) => Some(value as f64),
        NodeKind::Float(value) => Some(value),
        _ => None,
    }
}

fn map_of<'a>(node: &'a Node, what: &str, out: &Diagnostics) -> Option<&'a [(Key, Node)]> {
    if let NodeKind::Map(entries) = &node.kind {
        return Some(entries);
    }
    let message = format!("{what} is {}; it must be a mapping", node.describe());
    out.error(node.span.clone(), message, "write `key: value` pairs; `{}` is an empty mapping");
    None
}

fn duration_of(node: &Node, what: &str, out: &Diagnostics) -> Option<Span> {
    let help = "write it as in 90s, 10m, 1h30m or 250ms";
    let NodeKind::Str(text) = &node.kind else {
        out.error(node.span.clone(), format!("{what} is {}; it must be a duration", node.describe()), help);
        return None;
    };
    match text.parse() {
        Ok(span) => Some(span),
        Err(_) => {
            out.error(node.span.clone(), format!("{what} is `{text}`, which is not a duration"), help);
            None
        }
    }
}

/// The candidate that a misspelt name probably means.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Names are short; a long text is no misspelling of one, and comparing it with all of them would take long.
    if name.len() > 128 {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(&lower, &c.to_lowercase()), c))
        .filter(|(distance, c)| {
            // A name of one letter is near to every other, and suggests none.
            let length = c.chars().count().max(name.chars().count());
            *distance <= (length / 3).max(1) && *distance < name.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `a, b and c`, each in backticks.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{}`", one.as_ref()),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(|name| format!("`{}`", name.as_ref())).collect();
            format!("{} and `{}`", most.join(", "), last.as_ref())
        }
    }
}
