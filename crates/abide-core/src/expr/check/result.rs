//! Whether the result of an expression is what its place needs.

use super::{Checked, Checker, widen_to};
use crate::document::nearest;
use crate::expr::Expected;
use crate::expr::node::{Node, Op};
use crate::expr::parse::Ast;
use crate::expr::ty::{Shape, Ty};
use crate::field::{FieldType, Kind};
use crate::value::Value;

impl Checker<'_> {
    /// Checks a whole expression against what it must be.
    pub(super) fn expected(&mut self, ast: &Ast, expected: &Expected<'_>) -> Checked {
        match expected {
            Expected::Bool => self.boolean(ast),
            Expected::Any => self.expr(ast, None),
            Expected::Numeric => {
                let checked = self.value(ast, None);
                self.needs(ast, &checked, "an integer or a number", |shape| {
                    matches!(shape, Shape::Int { .. } | Shape::Num)
                });
                checked
            }
            Expected::BoolOrTime => {
                let checked = self.value(ast, None);
                self.needs(ast, &checked, "a boolean or a timestamp", |shape| {
                    matches!(shape, Shape::Bool | Shape::Time)
                });
                checked
            }
            Expected::Field(field) => {
                let want = Ty::of(field);
                let checked = self.expr(ast, Some(&want));
                let checked = self.fitted(ast, checked, &want);
                if !checked.ty.is_unknown() {
                    self.within_bounds(&checked.node, field);
                }
                checked
            }
        }
    }

    fn needs(&mut self, ast: &Ast, checked: &Checked, what: &str, is: impl Fn(&Shape) -> bool) {
        if !checked.ty.is_unknown() && !is(&checked.ty.shape) {
            let text = self.text(ast.at);
            self.error(
                ast.at,
                format!("`{text}` is {}; {what} is needed", checked.ty),
                format!("give {what}"),
            );
        }
    }

    /// Makes a value fit where that type is wanted, or says why it does not.
    pub(super) fn fitted(&mut self, ast: &Ast, mut checked: Checked, want: &Ty) -> Checked {
        if checked.ty.is_unknown() || checked.ty.fits(want) {
            return checked;
        }
        widen_to(&mut checked, want);
        if checked.ty.fits(want) {
            return checked;
        }
        let text = self.text(ast.at);
        let found = &checked.ty;
        if found.is_null() {
            let help = "give a value, or make what it is given to `nullable: true`";
            self.error(ast.at, format!("`{text}` is null, and {want} is needed"), help);
        } else if found.non_null().fits(want) {
            let help = format!(
                "check it first: `{text} != null ? {text} : …`, or make what it is given to `nullable: true`"
            );
            self.error(ast.at, format!("`{text}` may be null, and {want} is needed"), help);
        } else {
            let help = match (&found.shape, &want.shape) {
                (Shape::Int { .. }, Shape::Num) => format!("write `double({text})`"),
                (Shape::Num, Shape::Int { .. }) => {
                    format!("write `int({text})`, which drops the fraction, or `int(round({text}))`")
                }
                (_, Shape::Str { .. }) => format!("write `string({text})`"),
                (Shape::Str { .. }, Shape::Time) => format!("write `timestamp({text})`"),
                (Shape::Str { .. }, Shape::Span) => format!("write `duration({text})`"),
                (Shape::List { item, .. }, Shape::List { item: wanted, .. })
                    if item.nullable && !wanted.nullable =>
                {
                    format!("leave the nulls out: `{text}.filter(x, x != null)`")
                }
                (Shape::Map { .. }, Shape::Struct(_)) => {
                    "write the object as a literal: {\"name\": …}".to_owned()
                }
                _ => format!("give {want}"),
            };
            self.error(ast.at, format!("`{text}` is {found}; {want} is needed"), help);
        }
        Checked { ty: Ty::UNKNOWN, ..checked }
    }

    /// Reports each constant that a field can never take, in whichever branch it stands.
    fn within_bounds(&mut self, node: &Node, field: &FieldType) {
        match (&node.op, &field.kind) {
            (Op::Cond(of), _) => of.iter().skip(1).for_each(|branch| self.within_bounds(branch, field)),
            (Op::List(of), Kind::Array { items, .. }) => {
                of.iter().for_each(|item| self.within_bounds(item, items));
            }
            (Op::Struct(of), Kind::Object(properties)) => {
                for (value, property) in of.iter().zip(&properties.fields) {
                    self.within_bounds(value, &property.ty);
                }
            }
            (Op::Const(value), _) => self.constant_within_bounds(node, value, field),
            _ => {}
        }
    }

    fn constant_within_bounds(&mut self, node: &Node, value: &Value, field: &FieldType) {
        let shown = crate::expr::show(value);
        let mut out = |range: String| {
            self.error(node.at, format!("`{shown}` is out of bounds"), format!("the field takes {range}"));
        };
        match (value, &field.kind) {
            (Value::Int(value), Kind::Integer { minimum, maximum, .. })
                if value < minimum || value > maximum =>
            {
                out(format!("{minimum} to {maximum}"));
            }
            (Value::Num(value), Kind::Number { minimum, maximum, .. }) => {
                let below = minimum.is_some_and(|(least, not)| *value < least || (not && *value <= least));
                let above = maximum.is_some_and(|(most, not)| *value > most || (not && *value >= most));
                if below || above || !value.is_finite() {
                    let bound = |bound: &Option<(f64, bool)>, none: &str| {
                        bound.map_or(none.to_owned(), |(value, not)| {
                            format!("{value}{}", if not { " (excluded)" } else { "" })
                        })
                    };
                    out(format!("{} to {}", bound(minimum, "any"), bound(maximum, "any")));
                }
            }
            (Value::Str(text), Kind::String { one_of, .. })
                if !one_of.is_empty() && !one_of.contains(text) =>
            {
                let help = match nearest(text, one_of.iter().map(|text| &**text)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "use one of the values of its `enum`".to_owned(),
                };
                self.error(node.at, format!("`{shown}` is no value of the field"), help);
            }
            (Value::Str(text), Kind::String { max_length, min_length, one_of, .. }) if one_of.is_empty() => {
                let length = text.chars().count();
                let held = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
                if length > held(*max_length) || length < held(*min_length) {
                    out(format!("{min_length} to {max_length} characters"));
                }
            }
            (Value::List(items), Kind::Array { min_items, max_items, .. }) => {
                let held = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
                if items.len() > held(*max_items) || items.len() < held(*min_items) {
                    out(format!("{min_items} to {max_items} items"));
                }
            }
            _ => {}
        }
    }
}
