//! Names, fields, properties and items: what an expression reads, resolved to slots.

use std::sync::Arc;

use super::narrow::Path;
use super::{Checked, Checker, Known, constant, unknown};
use crate::document::nearest;
use crate::expr::lex::At;
use crate::expr::node::{Node, OnNull, Op, Root};
use crate::expr::parse::{Ast, AstKind};
use crate::expr::ty::{Shape, Ty, size};
use crate::field::{Slot, StructType};
use crate::value::Value;

/// The kinds of caller, as `caller.kind` has them.
const CALLER_KINDS: [&str; 6] = ["rule", "behaviour", "observation", "operator", "component", "parent"];
/// A bound on `caller.name` for the sake of cost.
const CALLER_NAME_MAX: u64 = 1024;

impl Checker<'_> {
    pub(super) fn name(&mut self, at: At, name: &str) -> Checked {
        if let Some((level, ty)) = self.local(name) {
            let mut node = Node { op: Op::Local { level, null: null_of(&ty, OnNull::Fault) }, at };
            let ty = self.narrowed(&mut node, ty);
            return read(node, ty);
        }
        match name {
            "now" if self.scope.now => {
                self.reads_now = true;
                read(Node { op: Op::Now, at }, Shape::Time.into())
            }
            "self" | "oldSelf" | "args" | "caller" if self.in_scope(name) => {
                self.error(
                    at,
                    format!("`{name}` is no value by itself"),
                    format!("name a part of it: `{name}.…`"),
                );
                unknown(at)
            }
            "self" | "oldSelf" | "args" | "caller" | "now" => {
                let here = self.names_in_scope().join("`, `");
                let help =
                    if here.is_empty() { "nothing may be mentioned".into() } else { format!("use `{here}`") };
                self.error(at, format!("`{name}` may not be mentioned here"), help);
                unknown(at)
            }
            _ => self.unknown_name(at, name),
        }
    }

    /// A field of `self`, `oldSelf`, `args` or `caller`, a property of an object, or an entry of a map.
    pub(super) fn select(&mut self, at: At, of: &Ast, name: &str) -> Checked {
        if let AstKind::Name(root) = &of.kind
            && self.local(root).is_none()
            && self.in_scope(root)
        {
            match root.as_str() {
                "self" => return self.field(at, Root::Memory, name),
                "oldSelf" => return self.field(at, Root::Old, name),
                "args" => return self.field(at, Root::Args, name),
                "caller" => return self.caller(at, name),
                _ => {}
            }
        }
        let owner = self.value(of, None);
        match &owner.ty.shape {
            Shape::Unknown => unknown(at),
            Shape::Struct(properties) => self.member(at, &owner, &properties.clone(), name),
            Shape::Map { value, .. } => {
                let key = constant(at, Value::from(name), Ty::one_of([name]));
                self.lookup(at, &owner, &key, (**value).clone())
            }
            _ => {
                let text = self.text(of.at);
                let message = format!("`{text}` is {}; it has no `{name}`", owner.ty);
                let help = match name {
                    "size" | "length" | "len" | "count" => "write `size(…)`".to_owned(),
                    _ => "only objects and maps have named parts; a method is called: `name(…)`".to_owned(),
                };
                self.error(at, message, help);
                unknown(at)
            }
        }
    }

    /// An item of a list, or the value of a map at a key.
    pub(super) fn index(&mut self, at: At, of: &[Ast; 2]) -> Checked {
        let [owner_ast, index_ast] = of;
        let owner = self.value(owner_ast, None);
        let index = self.value(index_ast, None);
        if owner.ty.is_unknown() || index.ty.is_unknown() {
            return unknown(at);
        }
        let text = self.text(index_ast.at);
        match (&owner.ty.shape, &index.ty.shape) {
            (Shape::List { item, min, max }, Shape::Int { least, greatest }) => {
                if *greatest < 0 || u64::try_from(*least).is_ok_and(|least| least >= *max) {
                    let message = format!("`{text}` is out of range: the list has at most {max} items");
                    self.error(index_ast.at, message, "the first item has index 0");
                    return unknown(at);
                }
                let fails = *least < 0 || u64::try_from(*greatest).is_ok_and(|greatest| greatest >= *min);
                let known = Known::new((**item).clone(), 1, &[&owner, &index]).fails(fails);
                self.made(at, Op::Item(Box::new([owner.node, index.node])), known)
            }
            (Shape::Map { value, .. }, Shape::Str { .. }) => {
                self.lookup(at, &owner, &index, (**value).clone())
            }
            (Shape::Struct(_), _) => {
                let whole = self.text(owner_ast.at);
                self.error(at, format!("`{whole}` is an object"), format!("write `{whole}.name`"));
                unknown(at)
            }
            (Shape::List { .. }, _) => {
                self.error(
                    index_ast.at,
                    format!("`{text}` is {}, not an integer", index.ty),
                    "index with an integer",
                );
                unknown(at)
            }
            (Shape::Map { .. }, _) => {
                self.error(
                    index_ast.at,
                    format!("`{text}` is {}, not a string", index.ty),
                    "keys are strings",
                );
                unknown(at)
            }
            _ => {
                let whole = self.text(owner_ast.at);
                let message = format!("`{whole}` is {}; it has no items", owner.ty);
                self.error(at, message, "index a list or a map");
                unknown(at)
            }
        }
    }

    /// `has(x.y)`: whether a field or property has a value, or a map has a key.
    pub(super) fn has(&mut self, at: At, args: &[Ast]) -> Checked {
        let [arg] = args else {
            self.error(at, "`has` takes one field".into(), "write `has(self.name)`");
            return unknown(at);
        };
        let AstKind::Select { .. } = &arg.kind else {
            let text = self.text(arg.at);
            self.error(arg.at, format!("`{text}` is not a field"), "write `has(self.name)`");
            return unknown(at);
        };
        let checked = self.expr(arg, None);
        if checked.ty.is_unknown() {
            return unknown(at);
        }
        if let Op::Lookup(pair) = checked.node.op {
            let [map, key] = *pair;
            let known = Known { constant: false, ..Known::new(Ty::BOOL, checked.cost, &[]) };
            return self.made(at, Op::InMap(Box::new([key, map])), known);
        }
        self.null_test(at, arg, checked, false)
    }

    /// Whether a value is null (`is`), or is not.
    pub(super) fn null_test(&mut self, at: At, ast: &Ast, mut checked: Checked, is: bool) -> Checked {
        if checked.ty.is_unknown() {
            return unknown(at);
        }
        let narrowed = Path::of(&checked.node).is_some_and(|path| self.facts.contains(&path));
        let gap = self.may_be_gap(&checked.node);
        if !checked.ty.nullable && !gap && !narrowed {
            let text = self.text(ast.at);
            let message = format!("`{text}` is never null, so this is always {}", !is);
            self.error(at, message, "leave the test out, or make the field `nullable: true`");
            return unknown(at);
        }
        if let Op::Field { null, .. } | Op::Local { null, .. } | Op::Member { null, .. } =
            &mut checked.node.op
        {
            *null = OnNull::Value;
        }
        let known = Known::new(Ty::BOOL, 1, &[&checked]);
        self.made(at, Op::Null { of: Box::new(checked.node), is }, known)
    }

    /// The type of a place, without null where a check before has excluded it.
    pub(super) fn narrowed(&self, node: &mut Node, mut ty: Ty) -> Ty {
        if ty.nullable && Path::of(node).is_some_and(|path| self.facts.contains(&path)) {
            ty.nullable = false;
            if let Op::Field { null, .. } | Op::Local { null, .. } | Op::Member { null, .. } = &mut node.op {
                *null = OnNull::Fault;
            }
        }
        ty
    }

    /// Whether the node reads a memory field that has no value until it is given one.
    fn may_be_gap(&self, node: &Node) -> bool {
        match (&node.op, &self.scope.memory) {
            (Op::Field { root: Root::Memory | Root::Old, slot, .. }, Some(memory)) => {
                memory.get(*slot).is_some_and(|field| field.required)
            }
            _ => false,
        }
    }

    fn field(&mut self, at: At, root: Root, name: &str) -> Checked {
        let (owner, what) = match root {
            Root::Memory => (&self.scope.memory, "field of `self`"),
            Root::Old => (&self.scope.memory, "field of `oldSelf`"),
            Root::Args => (&self.scope.args, "argument"),
        };
        let Some(owner) = owner.clone() else { return unknown(at) };
        let Some((slot, ty)) = owner.slot(name).and_then(|slot| Some((slot, Ty::of(&owner.get(slot)?.ty))))
        else {
            self.unknown_part(at, &format!("`{name}` is no {what}"), &owner, name);
            return unknown(at);
        };
        match root {
            Root::Memory => self.reads.insert(slot),
            Root::Old => self.reads_old = true,
            Root::Args => {}
        }
        let missing = if root == Root::Args { OnNull::Fault } else { OnNull::Gap };
        let mut node = Node { op: Op::Field { root, slot, null: null_of(&ty, missing) }, at };
        let ty = self.narrowed(&mut node, ty);
        read(node, ty)
    }

    fn caller(&mut self, at: At, name: &str) -> Checked {
        match name {
            "kind" => read(Node { op: Op::CallerKind, at }, Ty::one_of(CALLER_KINDS)),
            "name" => read(Node { op: Op::CallerName, at }, Ty::string(CALLER_NAME_MAX)),
            _ => {
                let message = format!("`{name}` is no part of `caller`");
                self.error(at, message, "it has `caller.kind` and `caller.name`");
                unknown(at)
            }
        }
    }

    fn member(&mut self, at: At, owner: &Checked, properties: &Arc<StructType>, name: &str) -> Checked {
        let found = properties.slot(name).and_then(|slot| Some((slot, Ty::of(&properties.get(slot)?.ty))));
        let Some((Slot(index), ty)) = found else {
            let text = self.text(owner.node.at);
            self.unknown_part(at, &format!("`{name}` is no property of `{text}`"), properties, name);
            return unknown(at);
        };
        let op = Op::Member { of: Box::new(owner.node.clone()), index, null: null_of(&ty, OnNull::Fault) };
        let mut node = Node { op, at };
        let ty = self.narrowed(&mut node, ty);
        let known = Known::new(ty, 1, &[owner]);
        self.made(at, node.op, known)
    }

    fn lookup(&mut self, at: At, map: &Checked, key: &Checked, value: Ty) -> Checked {
        // A binary search compares the key with some of the others.
        let key_cost = match map.ty.shape {
            Shape::Map { max, key_max, .. } => u64::from(64 - max.leading_zeros()) * (1 + key_max / 64),
            _ => 1,
        };
        let known = Known::new(value, 1 + key_cost, &[map, key]).fails(true);
        self.made(at, Op::Lookup(Box::new([map.node.clone(), key.node.clone()])), known)
    }

    /// An object literal: its properties by name, in the order of the type.
    pub(super) fn object(&mut self, at: At, entries: &[[Ast; 2]], properties: &Arc<StructType>) -> Checked {
        let mut given: Vec<Option<Checked>> = vec![None; properties.fields.len()];
        for [key, value] in entries {
            let AstKind::Str(name) = &key.kind else {
                let text = self.text(key.at);
                self.error(key.at, format!("`{text}` is not a literal name of a property"), "quote the name");
                continue;
            };
            let Some((slot, ty)) =
                properties.slot(name).and_then(|slot| Some((slot, Ty::of(&properties.get(slot)?.ty))))
            else {
                self.unknown_part(
                    key.at,
                    &format!("`{name}` is no property of this object"),
                    properties,
                    name,
                );
                continue;
            };
            let checked = self.expr(value, Some(&ty));
            let checked = self.fitted(value, checked, &ty);
            if let Some(place) = given.get_mut(usize::from(slot.0))
                && place.replace(checked).is_some()
            {
                self.error(key.at, format!("`{name}` is given twice"), "remove one");
            }
        }
        let mut nodes = Vec::with_capacity(given.len());
        let mut cost = size(given.len());
        let mut is_constant = true;
        for (field, given) in properties.fields.iter().zip(given) {
            let checked = given.unwrap_or_else(|| {
                if field.required {
                    let message = format!("the object has no `{}`", field.name);
                    self.error(at, message, format!("give it: {{\"{}\": …}}", field.name));
                }
                constant(at, field.ty.default.clone().unwrap_or(Value::Null), Ty::of(&field.ty))
            });
            cost = cost.saturating_add(checked.cost);
            is_constant &= checked.constant;
            nodes.push(checked.node);
        }
        let known = Known {
            ty: Shape::Struct(properties.clone()).into(),
            cost,
            constant: is_constant,
            literal: false,
            fails: false,
        };
        self.made(at, Op::Struct(nodes.into()), known)
    }

    fn local(&self, name: &str) -> Option<(u16, Ty)> {
        let (level, (_, ty)) = self.locals.iter().enumerate().rev().find(|(_, (local, _))| local == name)?;
        Some((u16::try_from(level).ok()?, ty.clone()))
    }

    fn in_scope(&self, name: &str) -> bool {
        match name {
            "self" => self.scope.memory.is_some(),
            "oldSelf" => self.scope.old_self && self.scope.memory.is_some(),
            "args" => self.scope.args.is_some(),
            "caller" => self.scope.caller,
            "now" => self.scope.now,
            _ => false,
        }
    }

    fn names_in_scope(&self) -> Vec<&str> {
        ["self", "oldSelf", "args", "now", "caller"].into_iter().filter(|name| self.in_scope(name)).collect()
    }

    fn unknown_name(&mut self, at: At, name: &str) -> Checked {
        if self.is_full() {
            return unknown(at);
        }
        let field =
            |owner: &Option<Arc<StructType>>| owner.as_ref().is_some_and(|ty| ty.slot(name).is_some());
        let help = if field(&self.scope.args) {
            format!("write `args.{name}`")
        } else if field(&self.scope.memory) {
            format!("write `self.{name}`")
        } else {
            let mut names = self.names_in_scope();
            names.extend(self.locals.iter().map(|(name, _)| name.as_str()));
            match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a text is quoted: \"{name}\"; the names here are `{}`", names.join("`, `")),
            }
        };
        self.error(at, format!("`{name}` is not known"), help);
        unknown(at)
    }

    fn unknown_part(&mut self, at: At, message: &str, owner: &StructType, name: &str) {
        if self.is_full() {
            return;
        }
        let names: Vec<&str> = owner.fields.iter().map(|field| &*field.name).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "there is none".to_owned(),
            None => {
                let shown = names.iter().take(12).copied().collect::<Vec<_>>().join("`, `");
                format!("there is `{shown}`{}", if names.len() > 12 { " and more" } else { "" })
            }
        };
        self.error(at, message.to_owned(), help);
    }
}

fn read(node: Node, ty: Ty) -> Checked {
    Checked { node, ty, cost: 1, constant: false, literal: false }
}

fn null_of(ty: &Ty, missing: OnNull) -> OnNull {
    if ty.nullable { OnNull::Value } else { missing }
}
