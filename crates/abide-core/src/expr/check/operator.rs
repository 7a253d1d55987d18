//! Operators: `!`, `-`, arithmetic, comparison, `in`, `&&`, `||` and `? :`.

use super::narrow::facts;
use super::{Checked, Checker, Known, unknown};
use crate::document::nearest;
use crate::expr::lex::At;
use crate::expr::node::{Arith, Cmp, Node, OnNull, Op, Root};
use crate::expr::parse::{Ast, AstKind};
use crate::expr::ty::{Shape, Ty};
use crate::value::Value;

impl Checker<'_> {
    pub(super) fn not(&mut self, at: At, of: &Ast) -> Checked {
        let checked = self.boolean(of);
        let known = Known::new(Ty { shape: checked.ty.shape.clone(), nullable: false }, 1, &[&checked]);
        self.made(at, Op::Not(Box::new(checked.node)), known)
    }

    pub(super) fn negate(&mut self, at: At, of: &Ast) -> Checked {
        let checked = self.value(of, None);
        let known = |ty| Known::new(ty, 1, &[&checked]);
        match checked.ty.shape {
            Shape::Unknown => unknown(at),
            Shape::Int { least, greatest } => {
                let ty = Ty::int(greatest.saturating_neg(), least.saturating_neg());
                let known = known(ty).fails(least == i64::MIN).literal(checked.literal);
                self.made(at, Op::IntNegate(Box::new(checked.node)), known)
            }
            Shape::Num => {
                let known = known(Ty::NUM);
                self.made(at, Op::NumNegate(Box::new(checked.node)), known)
            }
            _ => {
                let text = self.text(of.at);
                self.error(
                    at,
                    format!("`{text}` is {}; only a number is negated", checked.ty),
                    "remove the `-`",
                );
                unknown(at)
            }
        }
    }

    /// A chain of `&&` (`all`) or `||`. What an operand says of null holds in those after it.
    pub(super) fn logic(&mut self, at: At, of: &[Ast], all: bool) -> Checked {
        let before = self.facts.len();
        let mut operands = Vec::with_capacity(of.len());
        for ast in of {
            let checked = self.boolean(ast);
            self.facts.extend(facts(&checked.node, all));
            operands.push(checked);
        }
        self.facts.truncate(before);
        if operands.iter().any(|operand| operand.ty.is_unknown()) {
            return unknown(at);
        }
        let known = Known::new(Ty::BOOL, 1, &operands.iter().collect::<Vec<_>>());
        let nodes = operands.into_iter().map(|operand| operand.node).collect();
        self.made(at, if all { Op::And(nodes) } else { Op::Or(nodes) }, known)
    }

    pub(super) fn cond(&mut self, at: At, of: &[Ast; 3], want: Option<&Ty>) -> Checked {
        let [condition_ast, yes_ast, no_ast] = of;
        let condition = self.boolean(condition_ast);
        let before = self.facts.len();
        self.facts.extend(facts(&condition.node, true));
        let mut yes = self.expr(yes_ast, want);
        self.facts.truncate(before);
        self.facts.extend(facts(&condition.node, false));
        let mut no = self.expr(no_ast, want);
        self.facts.truncate(before);
        let Some(ty) = self.unify(&mut yes, &mut no) else {
            self.mixed(at, (yes_ast, &yes.ty), (no_ast, &no.ty), "both results have one type");
            return unknown(at);
        };
        let known = Known {
            ty: if condition.ty.is_unknown() { Ty::UNKNOWN } else { ty },
            cost: condition.cost.saturating_add(yes.cost.max(no.cost)).saturating_add(1),
            constant: condition.constant && yes.constant && no.constant,
            literal: yes.literal && no.literal,
            fails: false,
        };
        self.made(at, Op::Cond(Box::new([condition.node, yes.node, no.node])), known)
    }

    pub(super) fn arith(&mut self, at: At, arith: Arith, of: &[Ast; 2]) -> Checked {
        let [a_ast, b_ast] = of;
        let mut a = self.value(a_ast, None);
        let mut b = self.value(b_ast, None);
        if a.ty.is_unknown() || b.ty.is_unknown() {
            return unknown(at);
        }
        let literal = a.literal && b.literal && matches!(arith, Arith::Add | Arith::Sub | Arith::Mul);
        let _ = self.unify(&mut a, &mut b);
        let Some(Rule { make, ty, cost, fails }) = rule(arith, &a.ty.shape, &b.ty.shape) else {
            return self.not_arith(at, arith, (a_ast, &a.ty), (b_ast, &b.ty));
        };
        if cost > 1 {
            self.costs(at, cost);
        }
        let known = Known::new(ty, cost, &[&a, &b]).fails(fails).literal(literal);
        self.made(at, make(arith, Box::new([a.node, b.node])), known)
    }

    fn not_arith(&mut self, at: At, arith: Arith, a: (&Ast, &Ty), b: (&Ast, &Ty)) -> Checked {
        let symbol = arith.symbol();
        match (&a.1.shape, &b.1.shape) {
            (Shape::Num, Shape::Num) => {
                let message = "`%` is for integers".to_owned();
                self.error(at, message, "convert both with `int(…)`, or use `x - floor(x / y) * y`");
            }
            (Shape::Str { .. }, _) | (_, Shape::Str { .. }) if arith == Arith::Add => {
                self.mixed(at, a, b, "`+` takes two of one type");
                if let Some(error) = self.errors.last_mut() {
                    error.help = Some("write `string(…)` to make a text of a value".into());
                }
            }
            _ => self.mixed(at, a, b, &format!("`{symbol}` does not take these")),
        }
        unknown(at)
    }

    pub(super) fn compare(&mut self, at: At, cmp: Cmp, of: &[Ast; 2]) -> Checked {
        let [a_ast, b_ast] = of;
        if matches!(cmp, Cmp::Eq | Cmp::Ne) {
            for (null, other) in [(b_ast, a_ast), (a_ast, b_ast)] {
                if matches!(null.kind, AstKind::Null) && !matches!(other.kind, AstKind::Null) {
                    let checked = self.expr(other, None);
                    return self.null_test(at, other, checked, cmp == Cmp::Eq);
                }
            }
        }
        let ordered = !matches!(cmp, Cmp::Eq | Cmp::Ne);
        let mut a = if ordered { self.value(a_ast, None) } else { self.expr(a_ast, None) };
        let mut b = if ordered { self.value(b_ast, None) } else { self.expr(b_ast, Some(&a.ty)) };
        if a.ty.is_unknown() || b.ty.is_unknown() {
            return unknown(at);
        }
        let Some(ty) = self.unify(&mut a, &mut b) else {
            let what = format!("`{}` compares two of one type", cmp.symbol());
            self.mixed(at, (a_ast, &a.ty.clone()), (b_ast, &b.ty.clone()), &what);
            return unknown(at);
        };
        if ordered
            && matches!(ty.shape, Shape::List { .. } | Shape::Map { .. } | Shape::Struct(_) | Shape::Never)
        {
            let text = self.text(a_ast.at);
            self.error(at, format!("`{text}` is {ty}, which has no order"), "use `==` or `!=`");
            return unknown(at);
        }
        if !self.can_be_equal(at, (&a.ty, a_ast), (&b.ty, b_ast), cmp) {
            return unknown(at);
        }
        let known = Known::new(Ty::BOOL, a.ty.weight().min(b.ty.weight()), &[&a, &b]);
        self.made(at, comparison(cmp, &ty, a.node, b.node), known)
    }

    /// Reports two strings of which no value is of both.
    fn can_be_equal(&mut self, at: At, a: (&Ty, &Ast), b: (&Ty, &Ast), cmp: Cmp) -> bool {
        let (Shape::Str { one_of: Some(these), .. }, Shape::Str { one_of: Some(those), .. }) =
            (&a.0.shape, &b.0.shape)
        else {
            return true;
        };
        if these.iter().any(|text| those.contains(text)) || !matches!(cmp, Cmp::Eq | Cmp::Ne) {
            return true;
        }
        if these.len() == 1 && those.len() == 1 {
            // Two constants: the answer is known, and nobody was misled by an enumeration.
            return true;
        }
        let (owner, values, stray, stray_ast) =
            if these.len() == 1 { (b.1, those, these, a.1) } else { (a.1, these, those, b.1) };
        let owner = self.text(owner.at);
        let message = format!("{} is never `{owner}`, so this is always {}", quoted(stray), cmp == Cmp::Ne);
        let near = stray.first().and_then(|text| nearest(text, values.iter().map(|text| &**text)));
        let help = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", quoted(values)),
        };
        self.error(if stray.len() == 1 { stray_ast.at } else { at }, message, help);
        false
    }

    /// `x in list`, `key in map`.
    pub(super) fn within(&mut self, at: At, of: &[Ast; 2]) -> Checked {
        let [item_ast, owner_ast] = of;
        let mut item = self.expr(item_ast, None);
        let mut owner = self.value(owner_ast, Some(&Ty::list(item.ty.clone(), 0, 0)));
        if item.ty.is_unknown() || owner.ty.is_unknown() {
            return unknown(at);
        }
        if let Shape::Map { max, key_max, .. } = owner.ty.shape {
            if !self.demand_value(item_ast.at, &item.ty) {
                return unknown(at);
            }
            if !matches!(item.ty.shape, Shape::Str { .. }) {
                let text = self.text(item_ast.at);
                let message = format!("`{text}` is {}; the keys of a map are strings", item.ty);
                self.error(item_ast.at, message, "look for a string");
                return unknown(at);
            }
            let own = 1 + u64::from(64 - max.leading_zeros()) * (1 + key_max / 64);
            let known = Known::new(Ty::BOOL, own, &[&item, &owner]);
            return self.made(at, Op::InMap(Box::new([item.node, owner.node])), known);
        }
        let Shape::List { item: items, max, .. } = owner.ty.shape.clone() else {
            let text = self.text(owner_ast.at);
            let message = format!("`{text}` is {}; `in` looks in a list or a map", owner.ty);
            let help = match owner.ty.shape {
                Shape::Str { .. } => "write `text.contains(part)`",
                _ => "write a list: `[…]`",
            };
            self.error(owner_ast.at, message, help);
            return unknown(at);
        };
        let mut one = item.clone();
        if !super::widen_to(&mut owner, &Ty::list(one.ty.clone(), 0, 0)) && super::widen_to(&mut one, &items)
        {
            item = one;
        }
        let found = match &owner.ty.shape {
            Shape::List { item: items, .. } => items.join(&item.ty).is_some(),
            _ => false,
        };
        if !found {
            self.mixed(
                at,
                (item_ast, &item.ty),
                (owner_ast, &owner.ty),
                "`in` looks for an item of the list",
            );
            return unknown(at);
        }
        if !self.can_be_within(&item.ty, item_ast, &owner.node) {
            return unknown(at);
        }
        let own = max.saturating_mul(items.weight().min(item.ty.weight())).saturating_add(1);
        let known = Known::new(Ty::BOOL, own, &[&item, &owner]);
        self.made(at, Op::InList(Box::new([item.node, owner.node])), known)
    }

    /// Reports the literals of a list that a string can never be.
    fn can_be_within(&mut self, item: &Ty, item_ast: &Ast, owner: &Node) -> bool {
        let (Shape::Str { one_of: Some(values), .. }, Op::Const(Value::List(items))) =
            (&item.shape, &owner.op)
        else {
            return true;
        };
        if values.len() < 2 {
            return true;
        }
        let mut fine = true;
        for stray in items.iter() {
            let Value::Str(stray) = stray else { continue };
            if !values.contains(stray) {
                let owned = self.text(item_ast.at);
                let help = match nearest(stray, values.iter().map(|text| &**text)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("it is one of {}", quoted(values)),
                };
                self.error(owner.at, format!("{stray:?} is never `{owned}`"), help);
                fine = false;
            }
        }
        fine
    }
}

/// How an arithmetic operator works on two types.
struct Rule {
    make: fn(Arith, Box<[Node; 2]>) -> Op,
    ty: Ty,
    cost: u64,
    fails: bool,
}

/// The rule for an operator and two types, if there is one.
fn rule(arith: Arith, a: &Shape, b: &Shape) -> Option<Rule> {
    let adds = arith == Arith::Add;
    let shifts = adds || arith == Arith::Sub;
    let time = |shape: Shape| Some(Rule { make: Op::TimeArith, ty: shape.into(), cost: 1, fails: true });
    let join = |ty: Ty, cost: u64| Some(Rule { make: |_, of| Op::Join(of), ty, cost, fails: false });
    match (a, b) {
        (Shape::Int { least: a, greatest: b }, Shape::Int { least: c, greatest: d }) => {
            let (ty, fails) = integers(arith, (*a, *b), (*c, *d));
            Some(Rule { make: Op::IntArith, ty, cost: 1, fails })
        }
        (Shape::Num, Shape::Num) if arith != Arith::Rem => {
            Some(Rule { make: Op::NumArith, ty: Ty::NUM, cost: 1, fails: false })
        }
        (Shape::Time, Shape::Time) if arith == Arith::Sub => time(Shape::Span),
        (Shape::Time, Shape::Span) if shifts => time(Shape::Time),
        (Shape::Span, Shape::Time) if adds => time(Shape::Time),
        (Shape::Span, Shape::Span) if shifts => time(Shape::Span),
        (Shape::Str { max: a, .. }, Shape::Str { max: b, .. }) if adds => {
            let max = a.saturating_add(*b);
            join(Ty::string(max), 1 + max / 16)
        }
        (Shape::Bytes { max: a }, Shape::Bytes { max: b }) if adds => {
            let max = a.saturating_add(*b);
            join(Shape::Bytes { max }.into(), 1 + max / 16)
        }
        (Shape::List { item: x, min: a, max: b }, Shape::List { item: y, min: c, max: d }) if adds => {
            let max = b.saturating_add(*d);
            join(Ty::list(x.join(y)?, a.saturating_add(*c), max), max.saturating_add(1))
        }
        _ => None,
    }
}

/// A comparison of two of a type: one node where it is of a field of `self` with a constant.
fn comparison(cmp: Cmp, ty: &Ty, a: Node, b: Node) -> Op {
    if matches!(a.op, Op::Const(_)) && !matches!(b.op, Op::Const(_)) {
        return comparison(cmp.flipped(), ty, b, a);
    }
    if let (Op::Field { root: Root::Memory, slot, null: OnNull::Gap }, Op::Const(than)) = (&a.op, &b.op) {
        let (slot, field) = (*slot, a.at);
        match (than, cmp) {
            (Value::Num(than), _) => return Op::NumField { slot, cmp, than: *than, field },
            (Value::Int(than), _) => return Op::IntField { slot, cmp, than: *than, field },
            (Value::Str(text), Cmp::Eq | Cmp::Ne) => {
                return Op::StrField { slot, equal: cmp == Cmp::Eq, text: text.clone(), field };
            }
            _ => {}
        }
    }
    let of = Box::new([a, b]);
    match ty.shape {
        Shape::Num if !ty.nullable => Op::CompareNum(cmp, of),
        Shape::Int { .. } | Shape::Time | Shape::Span if !ty.nullable => Op::CompareInt(cmp, of),
        _ => Op::Compare(cmp, of),
    }
}

/// The bounds of a result, and whether it can overflow or divide by zero.
fn integers(arith: Arith, (a, b): (i64, i64), (c, d): (i64, i64)) -> (Ty, bool) {
    let [a, b, c, d] = [a, b, c, d].map(i128::from);
    let zero = c <= 0 && d >= 0;
    let overflows = a == i128::from(i64::MIN) && c <= -1 && d >= -1;
    let (least, greatest, fails) = match arith {
        Arith::Add => (a + c, b + d, false),
        Arith::Sub => (a - d, b - c, false),
        Arith::Mul => {
            let products = [a * c, a * d, b * c, b * d];
            let least = products.iter().copied().min().unwrap_or(0);
            (least, products.iter().copied().max().unwrap_or(0), false)
        }
        Arith::Div => {
            let most = a.abs().max(b.abs());
            let least = if a >= 0 && c >= 0 { 0 } else { -most };
            (least, most, zero || overflows)
        }
        Arith::Rem => {
            let most = (c.abs().max(d.abs()) - 1).max(0);
            (if a >= 0 { 0 } else { -most }, if b <= 0 { 0 } else { most }, zero || overflows)
        }
    };
    let held = |n: i128| i64::try_from(n).ok();
    let ty = Ty::int(held(least).unwrap_or(i64::MIN), held(greatest).unwrap_or(i64::MAX));
    (ty, fails || (arith != Arith::Div && (held(least).is_none() || held(greatest).is_none())))
}

fn quoted(texts: &[std::sync::Arc<str>]) -> String {
    let all: Vec<String> = texts.iter().take(12).map(|text| format!("{text:?}")).collect();
    format!("{}{}", all.join(", "), if texts.len() > 12 { " and more" } else { "" })
}
