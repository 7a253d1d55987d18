//! Comprehensions: `all`, `exists`, `exists_one`, `filter`, `map` over the items of a list or the keys of a map.

use super::{Checked, Checker, Known, unknown};
use crate::expr::lex::At;
use crate::expr::node::{Loop, LoopKind, Op};
use crate::expr::parse::{Ast, AstKind};
use crate::expr::ty::{Shape, Ty};

impl Checker<'_> {
    pub(super) fn comprehension(&mut self, at: At, name: &str, range_ast: &Ast, args: &[Ast]) -> Checked {
        let kind = match name {
            "all" => LoopKind::All,
            "exists" => LoopKind::Exists,
            "filter" => LoopKind::Filter,
            "map" => LoopKind::Map,
            _ => LoopKind::ExistsOne,
        };
        let (variable, test_ast, make_ast) = match (args, kind) {
            ([variable, make], LoopKind::Map) => (variable, None, Some(make)),
            ([variable, test, make], LoopKind::Map) => (variable, Some(test), Some(make)),
            ([variable, test], _) => (variable, Some(test), None),
            _ => {
                let message = format!("`{name}` takes a name and an expression over it");
                self.error(at, message, format!("write `list.{name}(x, …)`"));
                return unknown(at);
            }
        };
        let range = self.value(range_ast, None);
        let Some((item, min, max)) = self.range(range_ast, name, &range.ty) else { return unknown(at) };
        if !self.declare(variable, item.clone()) {
            return unknown(at);
        }
        let level = u16::try_from(self.locals.len() - 1).unwrap_or(u16::MAX);
        let before = self.facts.len();
        let test = test_ast.map(|test| self.boolean(test));
        if let Some(test) = &test {
            self.facts.extend(super::narrow::facts(&test.node, true));
        }
        let make = make_ast.map(|make| self.expr(make, None));
        self.facts.truncate(before);
        self.locals.pop();
        let parts = [test.as_ref(), make.as_ref()];
        if parts.iter().flatten().any(|part| part.ty.is_unknown()) {
            return unknown(at);
        }
        let each = parts.iter().flatten().fold(1_u64, |sum, part| sum.saturating_add(part.cost));
        let own = max.saturating_mul(each).saturating_add(1);
        self.costs(at, own);
        let min = if test.is_some() { 0 } else { min };
        let ty = match (kind, &make) {
            (LoopKind::Filter, _) => Ty::list(filtered(item, test.as_ref(), level), min, max),
            (LoopKind::Map, Some(make)) => Ty::list(make.ty.clone(), min, max),
            _ => Ty::BOOL,
        };
        let known = Known { constant: false, ..Known::new(ty, own, &[&range]) };
        let (test, make) = (test.map(|test| test.node), make.map(|make| make.node));
        self.made(at, Op::Loop(Box::new(Loop { kind, range: range.node, level, test, make })), known)
    }

    /// The type of an item of what is looped over, and how many there may be.
    fn range(&mut self, ast: &Ast, name: &str, ty: &Ty) -> Option<(Ty, u64, u64)> {
        match &ty.shape {
            Shape::Unknown => None,
            Shape::List { item, min, max } => Some(((**item).clone(), *min, *max)),
            Shape::Map { max, key_max, .. } => Some((Ty::string(*key_max), 0, *max)),
            _ => {
                let text = self.text(ast.at);
                let message = format!("`{name}` goes over a list or a map; `{text}` is {ty}");
                self.error(ast.at, message, "use a list");
                None
            }
        }
    }

    /// Makes the variable of a loop known.
    fn declare(&mut self, variable: &Ast, ty: Ty) -> bool {
        let AstKind::Name(name) = &variable.kind else {
            let text = self.text(variable.at);
            self.error(variable.at, format!("`{text}` is not a name"), "name the item: `list.all(x, …)`");
            return false;
        };
        if matches!(name.as_str(), "self" | "oldSelf" | "args" | "now" | "caller") {
            let message = format!("`{name}` already means something");
            self.error(variable.at, message, "use another name for the item");
            return false;
        }
        self.locals.push((name.clone(), ty));
        true
    }
}

/// The type of the items that a filter keeps: `filter(x, x != null)` keeps none that is null.
fn filtered(mut item: Ty, test: Option<&Checked>, level: u16) -> Ty {
    use crate::expr::node::{Node, OnNull};
    let local = Node { op: Op::Local { level, null: OnNull::Value }, at: At::default() };
    let path = super::Path::of(&local);
    if let (Some(test), Some(path)) = (test, path)
        && super::narrow::facts(&test.node, true).contains(&path)
    {
        item.nullable = false;
    }
    item
}
