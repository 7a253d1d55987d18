//! Expressions that a comma cut in two.
//!
//! Within `{ }` YAML ends a plain text at a comma, so `{ fuel: max(self.fuel - 3, 0.0) }` holds the text
//! `max(self.fuel - 3` and the key `0.0)`. No key of a schema has a closing parenthesis, so what was meant is plain, and
//! is read as one expression, with a word to quote it.

use crate::document::{Diagnostics, Node, NodeKind};

/// Puts the parts of such expressions together again, all the way down.
pub(super) fn rejoin(node: &mut Node, text: &str, out: &Diagnostics) {
    match &mut node.kind {
        NodeKind::Seq(items) => items.iter_mut().for_each(|item| rejoin(item, text, out)),
        NodeKind::Map(entries) => {
            let parts = std::mem::take(entries);
            for (key, mut value) in parts {
                let continued = value.kind == NodeKind::Null
                    && entries.last_mut().is_some_and(|(_, before)| extend(before, key.span.end, text));
                if !continued {
                    rejoin(&mut value, text, out);
                    entries.push((key, value));
                } else if let Some((_, before)) = entries.last()
                    && closed(before)
                {
                    let message = "a comma ends a text within `{ }`; this was read as one expression";
                    out.warning(before.span.clone(), message, "put the expression in quotes");
                }
            }
        }
        _ => {}
    }
}

/// Extends a plain text whose parentheses are open to `end`.
fn extend(before: &mut Node, end: usize, text: &str) -> bool {
    let raw = text.get(before.span.clone()).unwrap_or_default();
    let plain = matches!(&before.kind, NodeKind::Str(value) if value == raw);
    let Some(longer) = text.get(before.span.start..end).filter(|_| plain && open(raw) > 0) else {
        return false;
    };
    before.kind = NodeKind::Str(longer.to_owned());
    before.span.end = end;
    true
}

fn closed(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Str(text) if open(text) <= 0)
}

/// How many parentheses are opened and not closed, those within quotes left out.
fn open(text: &str) -> i64 {
    let mut quote = None;
    let mut open = 0;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => open += 1,
            (None, ')') => open -= 1,
            (None, _) => {}
        }
    }
    open
}
