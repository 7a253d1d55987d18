//! One object, its arguments and its caller: what the expressions of these tests are about.

use std::sync::Arc;

use abide_core::expr::{Env, Expected, ExprError, Program, Scope, compile};
use abide_core::field::{Field, FieldType, Kind, StructType};
use abide_core::time::{Span, Timestamp};
use abide_core::value::{Value, key_order};

#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) scope: Scope,
    pub(super) memory: Vec<Value>,
    pub(super) old: Vec<Value>,
    pub(super) args: Vec<Value>,
    pub(super) now: Timestamp,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let (memory_type, memory) = sorted(memory());
        let (args_type, args) = sorted(vec![
            ("level", one_of(&["idle", "low", "high"]), "low".into()),
            ("value", number(), Value::Num(2.0)),
            ("opt", nullable(number()), Value::Null),
            ("key", string(16), "bb".into()),
            ("i", integer(i64::MIN, i64::MAX), Value::Int(1)),
        ]);
        let scope = Scope {
            memory: Some(Arc::new(memory_type)),
            old_self: true,
            args: Some(Arc::new(args_type)),
            now: true,
            caller: true,
        };
        let now = "2013-02-01T07:00:00Z".parse().unwrap();
        Self { scope, old: memory.clone(), memory, args, now }
    }

    pub(super) fn env(&self) -> Env<'_> {
        Env {
            memory: &self.memory,
            old_memory: &self.old,
            args: &self.args,
            now: self.now,
            caller: ("operator", "ops"),
        }
    }

    pub(super) fn compile(&self, source: &str) -> Result<Program, Vec<ExprError>> {
        compile(source, &self.scope, &Expected::Any)
    }

    pub(super) fn slot(&self, name: &str) -> usize {
        usize::from(self.scope.memory.as_ref().unwrap().slot(name).unwrap().0)
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        let slot = self.slot(name);
        self.memory[slot] = value;
    }
}

fn memory() -> Vec<(&'static str, FieldType, Value)> {
    let numbers = |values: &[f64]| Value::List(values.iter().map(|value| Value::Num(*value)).collect());
    let position =
        StructType { fields: vec![field("x", number(), false), field("y", nullable(number()), false)] };
    vec![
        ("n", integer(-1000, 1000), Value::Int(7)),
        ("big", integer(i64::MIN, i64::MAX), Value::Int(i64::MAX)),
        ("zero", integer(0, 10), Value::Int(0)),
        ("fuel", number(), Value::Num(400.0)),
        ("temp", number(), Value::Num(-1.5)),
        ("wind", nullable(number()), Value::Null),
        ("gust", nullable(number()), Value::Num(12.5)),
        ("burner", one_of(&["idle", "low", "high"]), "idle".into()),
        ("name", string(32), "Frost é".into()),
        ("note", nullable(string(32)), Value::Null),
        ("on", of(Kind::Boolean), Value::Bool(true)),
        ("off", of(Kind::Boolean), Value::Bool(false)),
        ("at", of(Kind::DateTime), Value::Time("2013-02-01T05:30:15.25Z".parse().unwrap())),
        ("age", of(Kind::Duration), Value::Span(Span::from_secs(5400))),
        ("recent", list(number(), 0, 24), numbers(&[1.0, 2.5, -3.0])),
        ("counts", list(integer(0, 9), 3, 24), Value::List([3, 1, 2].map(Value::Int).into())),
        ("empty", list(number(), 0, 24), numbers(&[])),
        ("holes", list(nullable(number()), 0, 4), Value::List([Value::Num(1.0), Value::Null].into())),
        ("tags", list(string(8), 0, 4), Value::List(["a", "bb"].map(Value::from).into())),
        ("pos", of(Kind::Object(Arc::new(position))), Value::Struct([Value::Num(1.0), Value::Null].into())),
        (
            "limits",
            map(integer(0, 9)),
            Value::Map([("a".into(), Value::Int(1)), ("bb".into(), Value::Int(2))].into()),
        ),
        ("raw", of(Kind::Bytes { max_length: 8 }), Value::Bytes(b"ab"[..].into())),
        ("gap", number(), Value::Null),
    ]
}

fn sorted(mut slots: Vec<(&'static str, FieldType, Value)>) -> (StructType, Vec<Value>) {
    slots.sort_by(|a, b| key_order(a.0, b.0));
    let fields = slots.iter().map(|(name, ty, _)| field(name, ty.clone(), *name == "gap")).collect();
    (StructType { fields }, slots.into_iter().map(|(_, _, value)| value).collect())
}

fn field(name: &str, ty: FieldType, required: bool) -> Field {
    Field { name: name.into(), ty, required }
}

pub(super) fn of(kind: Kind) -> FieldType {
    FieldType { kind, nullable: false, unit: None, default: None, title: None, description: None }
}

pub(super) fn nullable(ty: FieldType) -> FieldType {
    FieldType { nullable: true, ..ty }
}

pub(super) fn integer(minimum: i64, maximum: i64) -> FieldType {
    of(Kind::Integer { minimum, maximum, multiple_of: None, one_of: Vec::new() })
}

pub(super) fn number() -> FieldType {
    of(Kind::Number { minimum: None, maximum: None, multiple_of: None, one_of: Vec::new() })
}

pub(super) fn string(max_length: u32) -> FieldType {
    of(Kind::String { min_length: 0, max_length, pattern: None, one_of: Vec::new() })
}

pub(super) fn one_of(values: &[&str]) -> FieldType {
    let one_of = values.iter().map(|value| Arc::from(*value)).collect();
    of(Kind::String { min_length: 0, max_length: 16, pattern: None, one_of })
}

pub(super) fn list(items: FieldType, min_items: u32, max_items: u32) -> FieldType {
    of(Kind::Array { items: Box::new(items), min_items, max_items })
}

fn map(values: FieldType) -> FieldType {
    of(Kind::Map { values: Box::new(values), min_properties: 0, max_properties: 8, max_key_length: 8 })
}
