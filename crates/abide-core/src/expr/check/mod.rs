//! The type checker: resolves every name to a slot, gives every node its type, bounds its cost, and compiles it.
//!
//! [`check`] finds everything that is wrong at once: what has an error becomes [`Shape::Unknown`], which goes with
//! everything, so that one slip is reported once. What is constant is computed here, and refused here if it fails.

mod function;
mod loops;
mod narrow;
mod operator;
mod place;
mod result;

use super::eval::{Context, Val, eval};
use super::lex::At;
use super::node::{Node, Op};
use super::parse::{Ast, AstKind};
use super::ty::{Shape, Ty, size};
use super::{COST_MAX, Env, Expected, ExprError, Scope, SlotSet};
use crate::time::Timestamp;
use crate::value::Value;
use narrow::Path;

/// What costs more is not computed at load, constant or not.
const FOLD_COST_MAX: u64 = 10_000;
/// The most errors that are reported of one expression.
const ERRORS_MAX: usize = 20;

/// A compiled expression and what is known of it.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) node: Node,
    pub(super) is_time: bool,
    pub(super) ty: Ty,
    pub(super) cost: u64,
    pub(super) reads: SlotSet,
    pub(super) reads_now: bool,
    pub(super) reads_old: bool,
    pub(super) can_fail: bool,
}

/// Checks and compiles a syntax tree.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn check(
    source: &str,
    ast: &Ast,
    scope: &Scope,
    expected: &Expected<'_>,
) -> Result<Compiled, Vec<ExprError>> {
    let mut checker = Checker {
        source,
        scope,
        errors: Vec::new(),
        reads: SlotSet::default(),
        reads_now: false,
        reads_old: false,
        can_fail: false,
        locals: Vec::new(),
        facts: Vec::new(),
        costliest: None,
    };
    let checked = checker.expected(ast, expected);
    checker.check_cost(&checked);
    if !checker.errors.is_empty() {
        checker.errors.sort_by_key(|error| error.span.start);
        return Err(checker.errors);
    }
    Ok(Compiled {
        node: checked.node,
        is_time: matches!(checked.ty.shape, Shape::Time),
        ty: checked.ty,
        cost: checked.cost,
        reads: checker.reads,
        reads_now: checker.reads_now,
        reads_old: checker.reads_old,
        can_fail: checker.can_fail,
    })
}

struct Checker<'s> {
    source: &'s str,
    scope: &'s Scope,
    errors: Vec<ExprError>,
    reads: SlotSet,
    reads_now: bool,
    reads_old: bool,
    can_fail: bool,
    /// The variables of the loops around, outermost first.
    locals: Vec<(String, Ty)>,
    /// The nullable places that are known not to be null here.
    facts: Vec<Path>,
    /// The loop or join that costs most by itself.
    costliest: Option<(u64, At)>,
}

/// A checked (sub)expression.
#[derive(Clone, Debug)]
struct Checked {
    node: Node,
    ty: Ty,
    cost: u64,
    /// It reads nothing: its value is known now, unless it cost too much to compute.
    constant: bool,
    /// The integers in it are literals, which may widen to numbers.
    literal: bool,
}

/// What is known of a node besides what it computes.
struct Known {
    ty: Ty,
    cost: u64,
    constant: bool,
    literal: bool,
    /// Whether it can fail of itself, its operands aside.
    fails: bool,
}

impl Known {
    /// Of a type, at a cost beyond that of its operands.
    fn new(ty: Ty, own_cost: u64, operands: &[&Checked]) -> Self {
        let cost = operands.iter().fold(own_cost, |sum, operand| sum.saturating_add(operand.cost));
        let constant = operands.iter().all(|operand| operand.constant);
        Self { ty, cost, constant, literal: false, fails: false }
    }

    fn fails(mut self, fails: bool) -> Self {
        self.fails = fails;
        self
    }

    fn literal(mut self, literal: bool) -> Self {
        self.literal = literal;
        self
    }
}

impl Checker<'_> {
    /// Checks a (sub)expression. Where it is a literal, `want` is the type that its place has.
    fn expr(&mut self, ast: &Ast, want: Option<&Ty>) -> Checked {
        let at = ast.at;
        match &ast.kind {
            AstKind::Null => constant(at, Value::Null, Ty::NULL),
            AstKind::Bool(value) => constant(at, Value::Bool(*value), Ty::BOOL),
            AstKind::Int(value) => constant(at, Value::Int(*value), Ty::int(*value, *value)),
            AstKind::Num(value) => constant(at, Value::Num(*value), Ty::NUM),
            AstKind::Str(text) => constant(at, Value::from(text.as_str()), Ty::one_of([text.as_str()])),
            AstKind::Bytes(bytes) => {
                let ty = Shape::Bytes { max: size(bytes.len()) }.into();
                constant(at, Value::Bytes(bytes.as_slice().into()), ty)
            }
            AstKind::Name(name) => self.name(at, name),
            AstKind::Select { of, name } => self.select(at, of, name),
            AstKind::Index(of) => self.index(at, of),
            AstKind::Call { name, target, args } => self.call(at, name, target.as_deref(), args),
            AstKind::List(items) => self.list(at, items, want),
            AstKind::Map(entries) => self.map(at, entries, want),
            AstKind::Not(of) => self.not(at, of),
            AstKind::Negate(of) => self.negate(at, of),
            AstKind::Arith(arith, of) => self.arith(at, *arith, of),
            AstKind::Compare(cmp, of) => self.compare(at, *cmp, of),
            AstKind::In(of) => self.within(at, of),
            AstKind::And(of) => self.logic(at, of, true),
            AstKind::Or(of) => self.logic(at, of, false),
            AstKind::Cond(of) => self.cond(at, of, want),
        }
    }

    /// Checks what has to be a value, and not null.
    fn value(&mut self, ast: &Ast, want: Option<&Ty>) -> Checked {
        let checked = self.expr(ast, want);
        if self.demand_value(ast.at, &checked.ty) { checked } else { Checked { ty: Ty::UNKNOWN, ..checked } }
    }

    /// Checks what has to be a boolean.
    fn boolean(&mut self, ast: &Ast) -> Checked {
        let checked = self.value(ast, None);
        if !checked.ty.is_unknown() && !matches!(checked.ty.shape, Shape::Bool) {
            let text = self.text(ast.at);
            self.error(
                ast.at,
                format!("`{text}` is {}, not a boolean", checked.ty),
                "compare it with something",
            );
            return Checked { ty: Ty::UNKNOWN, ..checked };
        }
        checked
    }

    /// Whether a value is never null; reports one that may be.
    fn demand_value(&mut self, at: At, ty: &Ty) -> bool {
        if !ty.nullable || ty.is_unknown() {
            return true;
        }
        let text = self.text(at);
        if ty.is_null() {
            self.error(
                at,
                format!("`{text}` has no value"),
                "null can be compared and assigned, nothing else",
            );
        } else {
            let help = format!("check it first: `{text} != null && …`, or `{text} != null ? … : …`");
            self.error(at, format!("`{text}` may be null"), help);
        }
        false
    }

    /// Completes a node: computes it if it is constant.
    fn made(&mut self, at: At, op: Op, known: Known) -> Checked {
        let Known { ty, cost, constant, literal, fails } = known;
        let node = Node { op, at };
        if ty.is_unknown() {
            return Checked { node, ty, cost, constant: false, literal };
        }
        if constant && cost <= FOLD_COST_MAX {
            return self.folded(&node, ty, literal);
        }
        self.can_fail |= fails;
        Checked { node, ty, cost, constant, literal }
    }

    /// The value of a constant node, as a constant.
    fn folded(&mut self, node: &Node, ty: Ty, literal: bool) -> Checked {
        let env = Env { memory: &[], old_memory: &[], args: &[], now: Timestamp(0), caller: ("", "") };
        let at = node.at;
        match eval(node, &Context::new(&env)).map(Val::into_value) {
            Ok(value) => {
                let ty = match &value {
                    Value::Int(value) => Ty::int(*value, *value),
                    Value::Str(text) => Ty::one_of([&**text]),
                    _ => ty,
                };
                Checked { literal, ..constant(at, value, ty) }
            }
            Err(fault) => {
                let error = fault.error(self.source);
                self.error(fault.at, error.message, "it would fail every time: change it");
                unknown(at)
            }
        }
    }

    /// Makes one type of two, widening the literals of either; `None` where they do not go together.
    fn unify(&mut self, a: &mut Checked, b: &mut Checked) -> Option<Ty> {
        if let Some(ty) = a.ty.join(&b.ty) {
            return Some(ty);
        }
        if widen_to(a, &b.ty) || widen_to(b, &a.ty) { a.ty.join(&b.ty) } else { None }
    }

    /// Reports two that do not go together.
    fn mixed(&mut self, at: At, a: (&Ast, &Ty), b: (&Ast, &Ty), what: &str) {
        let (first, second) = (self.text(a.0.at), self.text(b.0.at));
        let message = format!("{what}: `{first}` is {} and `{second}` is {}", a.1, b.1);
        let help = if a.1.non_null().differs_in_number(&b.1.non_null()) {
            let (integer, number) =
                if matches!(a.1.shape, Shape::Int { .. }) { (first, second) } else { (second, first) };
            format!("write `double({integer})`, or `int({number})` to drop its fraction")
        } else {
            "bring both to one type".to_owned()
        };
        self.error(at, message, help);
    }

    fn list(&mut self, at: At, items: &[Ast], want: Option<&Ty>) -> Checked {
        let wanted = match want.map(|ty| &ty.shape) {
            Some(Shape::List { item, .. }) => Some(&**item),
            _ => None,
        };
        let mut checked: Vec<Checked> = items.iter().map(|item| self.expr(item, wanted)).collect();
        let item = self.common(at, items.iter(), &mut checked, "the items of a list have one type");
        let count = size(items.len());
        let literal = checked.iter().all(|item| item.literal);
        let ty = if item.is_unknown() { Ty::UNKNOWN } else { Ty::list(item, count, count) };
        let known = Known::new(ty, count + 1, &checked.iter().collect::<Vec<_>>());
        let nodes = checked.into_iter().map(|item| item.node).collect();
        self.made(at, Op::List(nodes), known.literal(literal))
    }

    /// The type that several have in common, literals widened.
    fn common<'x>(
        &mut self,
        at: At,
        asts: impl Iterator<Item = &'x Ast>,
        checked: &mut [Checked],
        rule: &str,
    ) -> Ty {
        let mut common = Ty { shape: Shape::Never, nullable: false };
        let mut first: Option<&Ast> = None;
        // The first that is no literal decides whether the literals are numbers.
        if let Some(firm) =
            checked.iter().find(|one| !one.literal && !one.ty.is_unknown()).map(|one| one.ty.clone())
        {
            for one in checked.iter_mut() {
                widen_to(one, &firm);
            }
        } else if let Some(number) =
            checked.iter().find(|one| holds_number(&one.ty)).map(|one| one.ty.clone())
        {
            for one in checked.iter_mut() {
                widen_to(one, &number);
            }
        }
        for (ast, one) in asts.zip(checked.iter()) {
            match common.join(&one.ty) {
                Some(ty) => common = ty,
                None => {
                    self.mixed(at, (first.unwrap_or(ast), &common), (ast, &one.ty), rule);
                    return Ty::UNKNOWN;
                }
            }
            first = first.or(Some(ast));
        }
        common
    }

    fn map(&mut self, at: At, entries: &[[Ast; 2]], want: Option<&Ty>) -> Checked {
        let wanted = match want.map(|ty| &ty.shape) {
            Some(Shape::Struct(properties)) => return self.object(at, entries, &properties.clone()),
            Some(Shape::Map { value, .. }) => Some(&**value),
            _ => None,
        };
        let mut keys = Vec::with_capacity(entries.len());
        let mut values = Vec::with_capacity(entries.len());
        let mut key_max = 0;
        for [key, value] in entries {
            let mut checked = self.value(key, None);
            match &checked.ty.shape {
                Shape::Str { max, .. } => key_max = key_max.max(*max),
                Shape::Unknown => {}
                _ => {
                    let text = self.text(key.at);
                    let message = format!("`{text}` is {}; the keys of a map are strings", checked.ty);
                    self.error(key.at, message, "quote it");
                    checked.ty = Ty::UNKNOWN;
                }
            }
            keys.push(checked);
            values.push(self.expr(value, wanted));
        }
        let rule = "the values of a map have one type";
        let value = self.common(at, entries.iter().map(|[_, value]| value), &mut values, rule);
        let count = size(entries.len());
        let literal = values.iter().all(|value| value.literal);
        let constant_keys = keys.iter().all(|key| key.constant);
        let ty = if value.is_unknown() || keys.iter().any(|key| key.ty.is_unknown()) {
            Ty::UNKNOWN
        } else {
            Shape::Map { value: Box::new(value), max: count, key_max }.into()
        };
        let known = Known::new(ty, count * 2 + 1, &keys.iter().chain(&values).collect::<Vec<_>>())
            .literal(literal)
            .fails(!constant_keys);
        let nodes = keys.into_iter().zip(values).map(|(key, value)| [key.node, value.node]).collect();
        self.made(at, Op::Map(nodes), known)
    }

    /// Whether there are so many errors already that one more would help nobody. (Looking for the nearest name of each of a
    /// thousand unknown ones would take long.)
    fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    /// Adds an error.
    fn error(&mut self, at: At, message: String, help: impl Into<String>) {
        if self.is_full() {
            return;
        }
        self.errors.push(ExprError { message, help: Some(help.into()), span: at.range() });
    }

    /// The source at a place.
    fn text(&self, at: At) -> String {
        shortened(at.slice(self.source))
    }

    /// Remembers what costs most, so that a word about cost can name it.
    fn costs(&mut self, at: At, own_cost: u64) {
        if self.costliest.is_none_or(|(most, _)| own_cost > most) {
            self.costliest = Some((own_cost, at));
        }
    }

    fn check_cost(&mut self, checked: &Checked) {
        if checked.cost <= COST_MAX || !self.errors.is_empty() {
            return;
        }
        let whole = At::new(0, self.source.len());
        let at = self.costliest.map_or(whole, |(_, at)| at);
        let cost = match checked.cost {
            u64::MAX => "more than can be counted".to_owned(),
            cost => format!("as much as {cost}"),
        };
        let message = format!("the expression may cost {cost}, and {COST_MAX} is the limit");
        let text = self.text(at);
        let help = format!(
            "most of it is `{text}`; lower `maxItems` or `maxLength` of what it reads, or put one loop in another no more"
        );
        self.error(at, message, help);
    }
}

/// A literal, or a value computed at load.
fn constant(at: At, value: Value, ty: Ty) -> Checked {
    Checked { node: Node { op: Op::Const(value), at }, ty, cost: 0, constant: true, literal: true }
}

/// What has an error.
fn unknown(at: At) -> Checked {
    Checked { ty: Ty::UNKNOWN, constant: false, ..constant(at, Value::Null, Ty::UNKNOWN) }
}

/// Whether there is a number in the type, where an integer literal beside it would widen.
fn holds_number(ty: &Ty) -> bool {
    match &ty.shape {
        Shape::Num => true,
        Shape::List { item, .. } => holds_number(item),
        Shape::Map { value, .. } => holds_number(value),
        _ => false,
    }
}

/// Makes numbers of the integers of a literal, where that makes it fit and keeps every value exact.
fn widen_to(checked: &mut Checked, want: &Ty) -> bool {
    if !checked.literal || !checked.ty.differs_in_number(want) || checked.ty.widened().join(want).is_none() {
        return false;
    }
    if !widens(&checked.node) {
        return false;
    }
    widen(&mut checked.node);
    checked.ty = checked.ty.widened();
    true
}

fn widens(node: &Node) -> bool {
    fn exact(value: &Value) -> bool {
        match value {
            Value::Int(value) => value.unsigned_abs() <= 1 << 53,
            Value::List(items) => items.iter().all(exact),
            Value::Map(entries) => entries.iter().all(|(_, value)| exact(value)),
            _ => true,
        }
    }
    match &node.op {
        Op::Const(value) => exact(value),
        Op::Cond(of) => of.iter().skip(1).all(widens),
        Op::List(of) => of.iter().all(widens),
        Op::Map(of) => of.iter().all(|[_, value]| widens(value)),
        _ => false,
    }
}

fn widen(node: &mut Node) {
    fn number(value: &Value) -> Value {
        match value {
            Value::Int(value) => Value::Num(*value as f64),
            Value::List(items) => Value::List(items.iter().map(number).collect()),
            Value::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (key.clone(), number(value))).collect())
            }
            other => other.clone(),
        }
    }
    match &mut node.op {
        Op::Const(value) => *value = number(value),
        Op::Cond(of) => of.iter_mut().skip(1).for_each(widen),
        Op::List(of) => of.iter_mut().for_each(widen),
        Op::Map(of) => of.iter_mut().for_each(|[_, value]| widen(value)),
        _ => {}
    }
}

/// A text short enough to stand in a message.
fn shortened(text: &str) -> String {
    const MAX: usize = 60;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}
