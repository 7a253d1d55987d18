//! Data with `${…}` in it. `$${` stands for `${` itself.

use std::sync::Arc;

use serde_json::Value as Json;

use super::expression::Compiler;
use crate::document::{Node, NodeKind};
use crate::expr::{Expected, Scope};
use crate::field::{FieldType, Kind};
use crate::schema::{Template, TextPart};

/// Most parts of a text with expressions inside.
const PARTS_MAX: usize = 64;

/// A part of a text: as it stands, or the source of an expression and its place in the text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Literal(String),
    Expression(&'a str, usize),
}

/// The template of a node; `ty` is the type of the place it is for, where that is known.
pub(super) fn template(
    node: &Node,
    ty: Option<(&FieldType, &str)>,
    scope: &Scope,
    compiler: &Compiler<'_>,
) -> Option<Template> {
    if !has_expressions(node) {
        return constant(node, ty, compiler);
    }
    match (&node.kind, ty.map(|(ty, what)| (&ty.kind, ty, what))) {
        (NodeKind::Str(text), _) => text_template(node, text, ty, scope, compiler),
        (NodeKind::Seq(items), None) => {
            let items: Vec<_> = items.iter().map(|item| template(item, None, scope, compiler)).collect();
            Some(Template::List(items.into_iter().collect::<Option<_>>()?))
        }
        (NodeKind::Seq(nodes), Some((Kind::Array { items, max_items, .. }, _, what))) => {
            if u32::try_from(nodes.len()).is_ok_and(|n| n > *max_items) {
                let message = format!("{what} has {} items; at most {max_items} are allowed", nodes.len());
                compiler.out.error(node.span.clone(), message, "leave some out");
            }
            let items: Vec<_> =
                nodes.iter().map(|n| template(n, Some((items, what)), scope, compiler)).collect();
            Some(Template::List(items.into_iter().collect::<Option<_>>()?))
        }
        (NodeKind::Map(entries), None) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, node)| {
                    Some((Arc::from(key.text.as_str()), template(node, None, scope, compiler)?))
                })
                .collect();
            let mut entries: Vec<(Arc<str>, Template)> = entries.into_iter().collect::<Option<_>>()?;
            entries.sort_by(|a, b| crate::value::key_order(&a.0, &b.0));
            Some(Template::Object(entries))
        }
        (NodeKind::Map(_), Some((Kind::Object(_) | Kind::Map { .. }, _, what))) => {
            let message = format!("{what} is an object with expressions inside");
            compiler.out.error(
                node.span.clone(),
                message,
                "give the whole object as one expression: `${self.…}`",
            );
            None
        }
        (_, Some((_, ty, what))) => {
            let message = format!("{what} is {}; it must be {}", node.describe(), ty.in_words());
            compiler.out.error(node.span.clone(), message, "write a value of its type, or one `${…}`");
            None
        }
        (_, None) => None,
    }
}

/// Data without expressions: of the type of its place, or JSON where none is known.
fn constant(node: &Node, ty: Option<(&FieldType, &str)>, compiler: &Compiler<'_>) -> Option<Template> {
    let json = unescaped(&node.to_json());
    let Some((ty, what)) = ty else { return Some(Template::Json(json)) };
    let checked = ty.value_from_json(&json).and_then(|value| {
        let value = ty.normalize(value);
        ty.check(&value).map(|()| value)
    });
    match checked {
        Ok(value) => Some(Template::Value(value)),
        Err(wrong) => {
            let message = format!("{what}: {}", wrong.message);
            compiler.out.error(
                node.span.clone(),
                message,
                "write a value of its type and within its bounds, or one `${…}`",
            );
            None
        }
    }
}

fn text_template(
    node: &Node,
    text: &str,
    ty: Option<(&FieldType, &str)>,
    scope: &Scope,
    compiler: &Compiler<'_>,
) -> Option<Template> {
    let Some(pieces) = pieces(text) else {
        let help = "close it with `}`, or write `$${` for the text `${`";
        compiler.out.error(node.span.clone(), "`${` is not closed", help);
        return None;
    };
    if let [Piece::Expression(source, at)] = pieces.as_slice() {
        let expected = ty.map_or(Expected::Any, |(ty, _)| Expected::Field(ty));
        return compiler.compile_part(node, source, *at, scope, &expected).map(Template::Expression);
    }
    if let Some((ty, what)) = ty
        && !matches!(ty.kind, Kind::String { .. })
    {
        let message = format!("{what} is a text with expressions inside; it must be {}", ty.in_words());
        compiler.out.error(node.span.clone(), message, "write one `${…}` and nothing around it");
        return None;
    }
    if pieces.len() > PARTS_MAX {
        let message =
            format!("a text with expressions has {} parts; at most {PARTS_MAX} are allowed", pieces.len());
        compiler.out.error(node.span.clone(), message, "shorten it");
        return None;
    }
    let part = |piece: Piece<'_>| match piece {
        Piece::Literal(text) => Some(TextPart::Literal(text.into())),
        Piece::Expression(source, at) => {
            compiler.compile_part(node, source, at, scope, &Expected::Any).map(TextPart::Expression)
        }
    };
    let parts: Vec<_> = pieces.into_iter().map(part).collect();
    Some(Template::Text(parts.into_iter().collect::<Option<_>>()?))
}

/// The parts of a text; `None` where a `${` is not closed.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("$${") {
            literal.push_str("${");
            at += 3;
        } else if let Some(inner) = rest.strip_prefix("${") {
            let length = closing(inner)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Expression(inner.get(..length)?, at + 2));
            at += 2 + length + 1;
        } else {
            let c = rest.chars().next()?;
            literal.push(c);
            at += c.len_utf8();
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Some(pieces)
}

/// The byte of the `}` that closes an expression: braces nest, and those within the texts of an expression do not count.
fn closing(inner: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn has_expressions(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Str(text) => {
            pieces(text).is_none_or(|all| all.iter().any(|p| matches!(p, Piece::Expression(..))))
        }
        NodeKind::Seq(items) => items.iter().any(has_expressions),
        NodeKind::Map(entries) => entries.iter().any(|(_, node)| has_expressions(node)),
        _ => false,
    }
}

fn unescaped(json: &Json) -> Json {
    match json {
        Json::String(text) => text.replace("$${", "${").into(),
        Json::Array(items) => Json::Array(items.iter().map(unescaped).collect()),
        Json::Object(entries) => {
            Json::Object(entries.iter().map(|(k, v)| (k.clone(), unescaped(v))).collect())
        }
        other => other.clone(),
    }
}

/// The same with every `${` escaped: what [`unescaped`] takes back.
pub(in crate::schema) fn escaped(json: &Json) -> Json {
    match json {
        Json::String(text) => text.replace("${", "$${").into(),
        Json::Array(items) => Json::Array(items.iter().map(escaped).collect()),
        Json::Object(entries) => Json::Object(entries.iter().map(|(k, v)| (k.clone(), escaped(v))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(source: &'static str, at: usize) -> Piece<'static> {
        Piece::Expression(source, at)
    }

    #[test]
    fn expressions_end_at_their_own_brace() {
        assert_eq!(pieces("${a}"), Some(vec![expression("a", 2)]));
        assert_eq!(
            pieces("${{'k': '}'}}x"),
            Some(vec![expression("{'k': '}'}", 2), Piece::Literal("x".into())])
        );
        assert_eq!(pieces(r#"${"\"}"}"#), Some(vec![expression(r#""\"}""#, 2)]));
        assert_eq!(
            pieces("é${a}${b}"),
            Some(vec![Piece::Literal("é".into()), expression("a", 4), expression("b", 8)])
        );
        assert_eq!(pieces("$${a} $ $$ $$${"), Some(vec![Piece::Literal("${a} $ $$ $${".into())]));
        assert_eq!(pieces("${a"), None);
        assert_eq!(pieces("${'}"), None);
        assert_eq!(pieces(""), Some(vec![]));
    }

    #[test]
    fn escapes_are_taken_back() {
        for text in ["${", "$${", "$$${x}", "a$", "$", "${}${"] {
            let json = Json::from(text);
            assert_eq!(unescaped(&escaped(&json)), json, "{text}");
        }
    }
}
