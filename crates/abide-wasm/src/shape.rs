//! Types by their structure: what the world of a schema has, against what a component has.
//!
//! Named types of WIT are structural in a component, so names of records and enums are not compared.

use std::fmt::{self, Write as _};

use abide_core::wit::{RecordType, Type as Wit, World};
use wasmtime::component::types::{ComponentFunc, Type};

/// Most characters of a type in a message.
const SHOWN_MAX: usize = 160;

/// The structure of a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Bool,
    U8,
    U32,
    U64,
    S64,
    F64,
    String,
    Enum(Vec<String>),
    Record(Vec<(String, Self)>),
    Variant(Vec<(String, Option<Self>)>),
    List(Box<Self>),
    Tuple(Vec<Self>),
    Option(Box<Self>),
    Result(Option<Box<Self>>, Option<Box<Self>>),
}

/// The structure of a function: its parameters and its result.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Vec<(&'static str, Shape)>,
    pub(crate) result: Option<Shape>,
}

impl Shape {
    pub(crate) fn option(some: Self) -> Self {
        Self::Option(Box::new(some))
    }

    pub(crate) fn list(item: Self) -> Self {
        Self::List(Box::new(item))
    }

    pub(crate) fn enumeration(cases: &[&str]) -> Self {
        Self::Enum(cases.iter().map(|case| (*case).to_owned()).collect())
    }

    fn record(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Record(fields.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect())
    }

    fn of(ty: &Wit) -> Self {
        match ty {
            Wit::Bool => Self::Bool,
            Wit::S64 | Wit::Timestamp | Wit::Duration => Self::S64,
            Wit::F64 => Self::F64,
            Wit::String => Self::String,
            Wit::Bytes => Self::list(Self::U8),
            Wit::Enum(of) => Self::Enum(of.cases.iter().map(|case| case.name.clone()).collect()),
            Wit::Record(of) => Self::of_record(of),
            Wit::Nothing(_) => Self::enumeration(&["nothing"]),
            Wit::List(item) => Self::list(Self::of(item)),
            Wit::Map(value) => Self::list(Self::Tuple(vec![Self::String, Self::of(value)])),
            Wit::Option(some) => Self::option(Self::of(some)),
        }
    }

    fn of_record(of: &RecordType) -> Self {
        Self::Record(of.fields.iter().map(|field| (field.name.clone(), Self::of(&field.ty))).collect())
    }
}

impl Signature {
    /// What every action of a world has.
    pub(crate) fn of_actions(world: &World) -> Self {
        let cycle = Shape::record([
            ("object", Shape::String),
            ("tick", Shape::U64),
            ("now", Shape::S64),
            ("rule", Shape::String),
            ("attempts", Shape::U32),
            ("slope", Shape::option(Shape::F64)),
        ]);
        let spawn = Shape::record([
            ("schema", Shape::String),
            ("values", Shape::String),
            ("budget", Shape::F64),
            ("refill", Shape::F64),
            ("links", Shape::list(Shape::String)),
        ]);
        let wake =
            Shape::Variant(vec![("time".into(), Some(Shape::S64)), ("after".into(), Some(Shape::S64))]);
        let mutations: Vec<_> = world
            .mutations
            .iter()
            .map(|case| (case.name.clone(), case.args.as_deref().map(Shape::of_record)))
            .collect();
        let mut step = Vec::new();
        if !mutations.is_empty() {
            step.push(("mutate".into(), Some(Shape::Variant(mutations))));
        }
        step.extend([
            ("spawn".into(), Some(spawn)),
            ("sleep".into(), Some(wake)),
            ("retry".into(), None),
            ("terminate".into(), None),
        ]);
        let steps = Shape::list(Shape::Variant(step));
        Self {
            params: vec![("cycle", cycle), ("memory", Shape::of(&world.memory))],
            result: Some(Shape::Result(Some(Box::new(steps)), Some(Box::new(Shape::String)))),
        }
    }

    /// How a function differs, place by place.
    pub(crate) fn differences(&self, found: &ComponentFunc) -> Vec<String> {
        let mut out = Vec::new();
        if found.async_() {
            out.push("it is async, and an act may not wait".to_owned());
        }
        let params: Vec<_> = found.params().collect();
        if params.len() != self.params.len() {
            out.push(format!("expected {} parameters, found {}", self.params.len(), params.len()));
            return out;
        }
        for ((name, expected), (_, found)) in self.params.iter().zip(&params) {
            differ(expected, found, name, &mut out);
        }
        match (&self.result, found.results().next()) {
            (Some(expected), Some(found)) => differ(expected, &found, "result", &mut out),
            (None, None) => {}
            (expected, found) => out.push(format!(
                "expected the result {}, found {}",
                expected.as_ref().map_or_else(|| "nothing".to_owned(), |shape| format!("`{shape}`")),
                found.map_or_else(|| "nothing".to_owned(), |ty| format!("`{}`", shown(&ty)))
            )),
        }
        out
    }
}

/// Adds where the types differ, as deep within as it goes.
fn differ(expected: &Shape, found: &Type, place: &str, out: &mut Vec<String>) {
    match (expected, found) {
        (Shape::Bool, Type::Bool)
        | (Shape::U8, Type::U8)
        | (Shape::U32, Type::U32)
        | (Shape::U64, Type::U64)
        | (Shape::S64, Type::S64)
        | (Shape::F64, Type::Float64)
        | (Shape::String, Type::String) => {}
        (Shape::List(expected), Type::List(found)) => {
            differ(expected, &found.ty(), &format!("{place}, item"), out);
        }
        (Shape::Option(expected), Type::Option(found)) => differ(expected, &found.ty(), place, out),
        (Shape::Tuple(expected), Type::Tuple(found)) if expected.len() == found.types().len() => {
            for (n, (expected, found)) in expected.iter().zip(found.types()).enumerate() {
                differ(expected, &found, &format!("{place}.{n}"), out);
            }
        }
        (Shape::Enum(expected), Type::Enum(found)) => {
            let found: Vec<_> = found.names().collect();
            names(expected.iter().map(String::as_str), &found, ("case", place), out);
        }
        (Shape::Record(expected), Type::Record(found)) => {
            let fields: Vec<_> = found.fields().collect();
            let found: Vec<_> = fields.iter().map(|field| field.name).collect();
            if names(expected.iter().map(|(name, _)| name.as_str()), &found, ("field", place), out) {
                for ((name, expected), found) in expected.iter().zip(&fields) {
                    differ(expected, &found.ty, &format!("{place}.{name}"), out);
                }
            }
        }
        (Shape::Variant(expected), Type::Variant(found)) => {
            let cases: Vec<_> = found.cases().collect();
            let found: Vec<_> = cases.iter().map(|case| case.name).collect();
            if names(expected.iter().map(|(name, _)| name.as_str()), &found, ("case", place), out) {
                for ((name, expected), found) in expected.iter().zip(&cases) {
                    payload(expected.as_ref(), found.ty.as_ref(), &format!("{place}.{name}"), out);
                }
            }
        }
        (Shape::Result(ok, err), Type::Result(found)) => {
            payload(ok.as_deref(), found.ok().as_ref(), place, out);
            payload(err.as_deref(), found.err().as_ref(), &format!("{place}, error"), out);
        }
        (expected, found) => {
            out.push(format!("`{place}`: expected `{expected}`, found `{}`", shown(found)));
        }
    }
}

fn payload(expected: Option<&Shape>, found: Option<&Type>, place: &str, out: &mut Vec<String>) {
    match (expected, found) {
        (None, None) => {}
        (Some(expected), Some(found)) => differ(expected, found, place, out),
        (Some(expected), None) => out.push(format!("`{place}`: expected `{expected}`, found nothing")),
        (None, Some(found)) => out.push(format!("`{place}`: expected nothing, found `{}`", shown(found))),
    }
}

/// Whether the names are the same; else adds what is missing, what is too much, or that their order differs.
fn names<'n>(
    expected: impl Iterator<Item = &'n str>,
    found: &[&str],
    (what, place): (&str, &str),
    out: &mut Vec<String>,
) -> bool {
    let expected: Vec<_> = expected.collect();
    if expected == found {
        return true;
    }
    let before = out.len();
    let missing = expected.iter().filter(|name| !found.contains(name));
    out.extend(missing.map(|name| format!("`{place}`: the {what} `{name}` of the schema is missing")));
    let strange = found.iter().filter(|name| !expected.contains(name));
    out.extend(strange.map(|name| format!("`{place}`: the schema has no {what} `{name}`")));
    if out.len() == before {
        out.push(format!(
            "`{place}`: the order of its {what}s differs: expected `{}`, found `{}`",
            cut(&expected.join(", ")),
            cut(&found.join(", "))
        ));
    }
    false
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A type in words of WIT, as far as it is short.
pub(crate) fn shown(ty: &Type) -> String {
    let mut out = String::new();
    write_type(ty, &mut out);
    cut(&out)
}

fn write_type(ty: &Type, out: &mut String) {
    // A type may be larger than any message.
    if out.len() > SHOWN_MAX * 4 {
        return;
    }
    match ty {
        Type::Float32 => out.push_str("f32"),
        Type::Float64 => out.push_str("f64"),
        Type::List(list) => within("list<", [list.ty()], ">", out),
        Type::Option(option) => within("option<", [option.ty()], ">", out),
        Type::Tuple(tuple) => within("tuple<", tuple.types(), ">", out),
        Type::Result(result) => within("result<", result.ok().into_iter().chain(result.err()), ">", out),
        Type::Record(record) => {
            out.push_str("record { ");
            for (n, field) in record.fields().enumerate() {
                let _ = write!(out, "{}{}: ", if n > 0 { ", " } else { "" }, field.name);
                write_type(&field.ty, out);
            }
            out.push_str(" }");
        }
        Type::Variant(variant) => {
            let names: Vec<_> = variant.cases().map(|case| case.name).collect();
            let _ = write!(out, "variant {{ {} }}", names.join(", "));
        }
        Type::Enum(of) => {
            let _ = write!(out, "enum {{ {} }}", of.names().collect::<Vec<_>>().join(", "));
        }
        Type::Flags(of) => {
            let _ = write!(out, "flags {{ {} }}", of.names().collect::<Vec<_>>().join(", "));
        }
        Type::Own(_) | Type::Borrow(_) => out.push_str("a resource"),
        Type::Future(_) => out.push_str("future"),
        Type::Stream(_) => out.push_str("stream"),
        Type::ErrorContext => out.push_str("error-context"),
        Type::Map(_) => out.push_str("map"),
        Type::FixedLengthList(_) => out.push_str("a list of fixed length"),
        plain => out.push_str(&format!("{plain:?}").to_lowercase()),
    }
}

fn within(open: &str, types: impl IntoIterator<Item = Type>, close: &str, out: &mut String) {
    out.push_str(open);
    for (n, ty) in types.into_iter().enumerate() {
        out.push_str(if n > 0 { ", " } else { "" });
        write_type(&ty, out);
    }
    out.push_str(close);
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing =
            |shape: &Option<Box<Self>>| shape.as_ref().map_or("_".to_owned(), ToString::to_string);
        let text = match self {
            Self::Bool => "bool".to_owned(),
            Self::U8 => "u8".to_owned(),
            Self::U32 => "u32".to_owned(),
            Self::U64 => "u64".to_owned(),
            Self::S64 => "s64".to_owned(),
            Self::F64 => "f64".to_owned(),
            Self::String => "string".to_owned(),
            Self::Enum(cases) => format!("enum {{ {} }}", cases.join(", ")),
            Self::Record(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
                format!("record {{ {} }}", fields.join(", "))
            }
            Self::Variant(cases) => {
                let names: Vec<_> = cases.iter().map(|(name, _)| name.as_str()).collect();
                format!("variant {{ {} }}", names.join(", "))
            }
            Self::List(item) => format!("list<{item}>"),
            Self::Tuple(types) => {
                let types: Vec<_> = types.iter().map(ToString::to_string).collect();
                format!("tuple<{}>", types.join(", "))
            }
            Self::Option(some) => format!("option<{some}>"),
            Self::Result(ok, err) => format!("result<{}, {}>", or_nothing(ok), or_nothing(err)),
        };
        f.write_str(&cut(&text))
    }
}
