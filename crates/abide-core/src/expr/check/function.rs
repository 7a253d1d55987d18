//! Functions and methods: what each takes, and the type of what it gives.

use super::{Checked, Checker, Known, unknown};
use crate::document::nearest;
use crate::expr::lex::At;
use crate::expr::node::{Binary, Op, SpanPart, TimePart, Unary};
use crate::expr::parse::{Ast, AstKind};
use crate::expr::ty::{Shape, Ty};
use crate::field::compile_pattern;

const FUNCTIONS: [&str; 17] = [
    "has",
    "size",
    "min",
    "max",
    "sum",
    "abs",
    "floor",
    "ceil",
    "round",
    "int",
    "double",
    "string",
    "bytes",
    "timestamp",
    "duration",
    "matches",
    "bool",
];
const METHODS: [&str; 25] = [
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "lowerAscii",
    "upperAscii",
    "takeLast",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "sum",
];

impl Checker<'_> {
    pub(super) fn call(&mut self, at: At, name: &str, target: Option<&Ast>, args: &[Ast]) -> Checked {
        match (name, target) {
            ("has", None) => self.has(at, args),
            ("min" | "max", None) => self.extreme(at, name == "max", args),
            ("matches", None) => match args {
                [text, pattern] => self.matches(at, text, pattern),
                _ => self.arity(at, name, "a text and a pattern"),
            },
            ("matches", Some(text)) => match args {
                [pattern] => self.matches(at, text, pattern),
                _ => self.arity(at, name, "a pattern"),
            },
            ("all" | "exists" | "exists_one" | "existsOne" | "map" | "filter", Some(range)) => {
                self.comprehension(at, name, range, args)
            }
            ("startsWith" | "endsWith" | "contains", Some(text)) => self.part(at, name, text, args),
            ("takeLast", Some(list)) => self.take_last(at, list, args),
            ("size", Some(of)) => match args {
                [] => self.unary(at, "size", of),
                _ => self.arity(at, name, "nothing"),
            },
            ("lowerAscii" | "upperAscii", Some(of)) => match args {
                [] => self.unary(at, name, of),
                _ => self.arity(at, name, "nothing"),
            },
            (_, Some(of)) if name.starts_with("get") && METHODS.contains(&name) => match args {
                [] => self.getter(at, name, of),
                _ => {
                    self.error(at, format!("`{name}` takes no time zone"), "times are UTC: leave it out");
                    unknown(at)
                }
            },
            (
                "size" | "sum" | "abs" | "floor" | "ceil" | "round" | "int" | "double" | "string" | "bytes"
                | "timestamp" | "duration",
                None,
            ) => match args {
                [of] => self.unary(at, name, of),
                _ => self.arity(at, name, "one value"),
            },
            _ => self.unknown_function(at, name, target),
        }
    }

    fn arity(&mut self, at: At, name: &str, takes: &str) -> Checked {
        self.error(
            at,
            format!("`{name}` takes {takes}"),
            "see docs/expressions.md for what each function takes",
        );
        unknown(at)
    }

    fn unary(&mut self, at: At, name: &str, ast: &Ast) -> Checked {
        let of = self.value(ast, None);
        if of.ty.is_unknown() {
            return unknown(at);
        }
        let Some((function, ty, own, fails)) = signature(name, &of.ty) else {
            let text = self.text(ast.at);
            let message = format!("`{name}` takes {}; `{text}` is {}", takes(name), of.ty);
            let help = match (name, &of.ty.shape) {
                ("floor" | "ceil" | "round", Shape::Int { .. }) => "an integer has no fraction: leave it out",
                ("bytes", _) => "convert it with `string(…)` first",
                _ => "convert it first, or use another function",
            };
            self.error(at, message, help);
            return unknown(at);
        };
        if own > 1 {
            self.costs(at, own);
        }
        let literal = of.literal && function == Unary::Abs;
        let known = Known::new(ty, own, &[&of]).fails(fails).literal(literal);
        let before = self.errors.len();
        let made = self.made(at, Op::Unary(function, Box::new(of.node)), known);
        // The time module says better what is wrong with a literal.
        if let (Some(error), AstKind::Str(text)) = (self.errors.get_mut(before), &ast.kind) {
            let said = match function {
                Unary::ToTime => text.parse::<crate::time::Timestamp>().err().map(|error| error.to_string()),
                Unary::ToSpan => text.parse::<crate::time::Span>().err().map(|error| error.to_string()),
                _ => None,
            };
            if let Some((what, help)) = said.as_deref().and_then(|said| said.split_once("; ")) {
                (error.message, error.help, error.span) =
                    (what.to_owned(), Some(help.to_owned()), ast.at.range());
            } else if let Some(said) = said {
                (error.message, error.help, error.span) = (said, None, ast.at.range());
            }
        }
        made
    }

    fn getter(&mut self, at: At, name: &str, ast: &Ast) -> Checked {
        let of = self.value(ast, None);
        let (function, ty) = match (&of.ty.shape, time_part(name), span_part(name)) {
            (Shape::Unknown, ..) => return unknown(at),
            (Shape::Time, Some((part, least, greatest)), _) => {
                (Unary::TimePart(part), Ty::int(least, greatest))
            }
            (Shape::Span, _, Some((part, most))) => (Unary::SpanPart(part), Ty::int(-most, most)),
            _ => {
                let text = self.text(ast.at);
                let of_what =
                    if span_part(name).is_some() { "a timestamp or a duration" } else { "a timestamp" };
                let message = format!("`{name}` is of {of_what}; `{text}` is {}", of.ty);
                self.error(at, message, "convert a text with `timestamp(…)` or `duration(…)`");
                return unknown(at);
            }
        };
        let known = Known::new(ty, 2, &[&of]);
        self.made(at, Op::Unary(function, Box::new(of.node)), known)
    }

    /// `startsWith`, `endsWith`, `contains`.
    fn part(&mut self, at: At, name: &str, text_ast: &Ast, args: &[Ast]) -> Checked {
        let [part_ast] = args else { return self.arity(at, name, "one text") };
        let text = self.value(text_ast, None);
        let part = self.value(part_ast, None);
        let mut longest = 0_u64;
        for (checked, ast) in [(&text, text_ast), (&part, part_ast)] {
            match checked.ty.shape {
                Shape::Unknown => return unknown(at),
                Shape::Str { max, .. } => longest = longest.saturating_add(max),
                _ => {
                    let written = self.text(ast.at);
                    let message = format!("`{name}` is of strings; `{written}` is {}", checked.ty);
                    let help = if matches!(checked.ty.shape, Shape::List { .. }) {
                        "write `item in list`"
                    } else {
                        "convert it with `string(…)`"
                    };
                    self.error(ast.at, message, help);
                    return unknown(at);
                }
            }
        }
        let function = match name {
            "startsWith" => Binary::StartsWith,
            "endsWith" => Binary::EndsWith,
            _ => Binary::Contains,
        };
        let own = 1 + longest / 16;
        self.costs(at, own);
        let known = Known::new(Ty::BOOL, own, &[&text, &part]);
        self.made(at, Op::Binary(function, Box::new([text.node, part.node])), known)
    }

    fn matches(&mut self, at: At, text_ast: &Ast, pattern_ast: &Ast) -> Checked {
        let text = self.value(text_ast, None);
        let AstKind::Str(written) = &pattern_ast.kind else {
            let shown = self.text(pattern_ast.at);
            let message =
                format!("`{shown}` is not a literal, and a pattern is compiled when the schema is loaded");
            self.error(
                pattern_ast.at,
                message,
                "write the pattern as a text, as in `x.matches(\"^[a-z]+$\")`",
            );
            return unknown(at);
        };
        let compiled = match compile_pattern(written) {
            Ok(compiled) => compiled,
            Err(why) => {
                let message = format!("the pattern cannot be used: {why}");
                self.error(pattern_ast.at, message, "see docs/expressions.md for what a pattern may be");
                return unknown(at);
            }
        };
        let Shape::Str { max, .. } = text.ty.shape else {
            if !text.ty.is_unknown() {
                let shown = self.text(text_ast.at);
                let message = format!("`matches` is of strings; `{shown}` is {}", text.ty);
                self.error(text_ast.at, message, "convert it with `string(…)`");
            }
            return unknown(at);
        };
        // Linear in the text for each state of the pattern that may be live at once.
        let states = 1 + crate::expr::ty::size(written.len()) / 8;
        let own = (1 + max / 16).saturating_mul(states);
        self.costs(at, own);
        let known = Known::new(Ty::BOOL, own, &[&text]);
        self.made(at, Op::Matches(Box::new((text.node, compiled.regex))), known)
    }

    fn take_last(&mut self, at: At, list_ast: &Ast, args: &[Ast]) -> Checked {
        let [count_ast] = args else { return self.arity(at, "takeLast", "a number of items") };
        let list = self.value(list_ast, None);
        let count = self.value(count_ast, None);
        if list.ty.is_unknown() || count.ty.is_unknown() {
            return unknown(at);
        }
        let Shape::List { item, min, max } = list.ty.shape.clone() else {
            let text = self.text(list_ast.at);
            self.error(list_ast.at, format!("`takeLast` is of lists; `{text}` is {}", list.ty), "use a list");
            return unknown(at);
        };
        let Shape::Int { least, greatest } = count.ty.shape else {
            let text = self.text(count_ast.at);
            self.error(
                count_ast.at,
                format!("`{text}` is {}, not an integer", count.ty),
                "give a number of items",
            );
            return unknown(at);
        };
        if greatest < 0 {
            let text = self.text(count_ast.at);
            self.error(count_ast.at, format!("`{text}` is a negative number of items"), "give 0 or more");
            return unknown(at);
        }
        let held = |n: i64| u64::try_from(n).unwrap_or(0);
        let max = max.min(held(greatest));
        let ty = Ty { shape: Shape::List { item, min: min.min(held(least)), max }, nullable: false };
        let own = max.saturating_add(1);
        self.costs(at, own);
        let known = Known::new(ty, own, &[&list, &count]).fails(least < 0);
        self.made(at, Op::Binary(Binary::TakeLast, Box::new([list.node, count.node])), known)
    }

    /// `min` and `max`: of two or more values, or of the items of one list.
    fn extreme(&mut self, at: At, greatest: bool, args: &[Ast]) -> Checked {
        let name = if greatest { "max" } else { "min" };
        match args {
            [] => return self.arity(at, name, "two or more values, or one list"),
            [list] => return self.unary(at, name, list),
            _ => {}
        }
        let mut checked: Vec<Checked> = args.iter().map(|arg| self.value(arg, None)).collect();
        let what = format!("`{name}` takes values of one type");
        let mut ty = self.common(at, args.iter(), &mut checked, &what);
        if ty.is_unknown() || checked.iter().any(|one| one.ty.is_unknown()) {
            return unknown(at);
        }
        if !ordered(&ty) {
            let message =
                format!("`{name}` takes integers, numbers, timestamps or durations; these are not: {ty}");
            self.error(at, message, "compare them with `==`, or choose with `? :`");
            return unknown(at);
        }
        let bounds = checked.iter().filter_map(|one| match one.ty.shape {
            Shape::Int { least, greatest } => Some((least, greatest)),
            _ => None,
        });
        if let Shape::Int { .. } = ty.shape {
            let pick = |a: i64, b: i64| if greatest { a.max(b) } else { a.min(b) };
            if let Some((least, most)) = bounds.reduce(|(a, b), (c, d)| (pick(a, c), pick(b, d))) {
                ty = Ty::int(least, most);
            }
        }
        let literal = checked.iter().all(|one| one.literal);
        let count = crate::expr::ty::size(checked.len());
        let known = Known::new(ty, count, &checked.iter().collect::<Vec<_>>()).literal(literal);
        let of = checked.into_iter().map(|one| one.node).collect();
        self.made(at, Op::Extreme { greatest, of }, known)
    }

    fn unknown_function(&mut self, at: At, name: &str, target: Option<&Ast>) -> Checked {
        let (here, there): (&[&str], &[&str]) =
            if target.is_some() { (&METHODS, &FUNCTIONS) } else { (&FUNCTIONS, &METHODS) };
        let help = match (name, target) {
            ("uint" | "type" | "dyn" | "bool", _) => {
                "this profile has no such conversion; see docs/expressions.md".into()
            }
            (_, Some(_)) if there.contains(&name) => format!("it is a function: write `{name}(…)`"),
            (_, None) if there.contains(&name) => format!("it is a method: write `value.{name}(…)`"),
            _ => match nearest(name, here.iter().chain(there).copied().filter(|known| *known != name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see docs/expressions.md for the functions there are".into(),
            },
        };
        let what = if target.is_some() { "method" } else { "function" };
        self.error(at, format!("there is no {what} `{name}`"), help);
        unknown(at)
    }
}

/// What a function of one value is for a type: how it is computed, what it gives, what it costs, whether it can fail.
fn signature(name: &str, of: &Ty) -> Option<(Unary, Ty, u64, bool)> {
    let number = (Unary::ToNum, Ty::NUM);
    Some(match (name, &of.shape) {
        ("size", Shape::Str { max, .. }) => (Unary::Size, count(0, *max), 1 + max / 16, false),
        ("size", Shape::Bytes { max } | Shape::Map { max, .. }) => (Unary::Size, count(0, *max), 1, false),
        ("size", Shape::List { min, max, .. }) => (Unary::Size, count(*min, *max), 1, false),
        ("lowerAscii", Shape::Str { max, .. }) => (Unary::Lower, Ty::string(*max), 1 + max / 8, false),
        ("upperAscii", Shape::Str { max, .. }) => (Unary::Upper, Ty::string(*max), 1 + max / 8, false),
        ("abs", Shape::Int { least, greatest }) => {
            let most = least.saturating_abs().max(greatest.saturating_abs());
            (Unary::Abs, Ty::int(0, most), 1, *least == i64::MIN)
        }
        ("abs", Shape::Num) => (Unary::Abs, Ty::NUM, 1, false),
        ("floor", Shape::Num) => (Unary::Floor, Ty::NUM, 1, false),
        ("ceil", Shape::Num) => (Unary::Ceil, Ty::NUM, 1, false),
        ("round", Shape::Num) => (Unary::Round, Ty::NUM, 1, false),
        ("min" | "max", Shape::List { item, min, max }) if ordered(item) && !item.nullable => {
            let function = if name == "max" { Unary::Greatest } else { Unary::Least };
            (function, (**item).clone(), max.saturating_add(1), *min == 0)
        }
        ("sum", Shape::List { item, max, .. }) if !item.nullable => match item.shape {
            Shape::Int { least, greatest } => {
                let bound = i128::from(*max) * i128::from(least).abs().max(i128::from(greatest).abs());
                let fails = bound > i128::from(i64::MAX);
                (Unary::Sum { integers: true }, Ty::INT, max.saturating_add(1), fails)
            }
            Shape::Num => (Unary::Sum { integers: false }, Ty::NUM, max.saturating_add(1), false),
            _ => return None,
        },
        ("int", Shape::Int { .. }) => (Unary::ToInt, of.clone(), 1, false),
        ("int", Shape::Num) => (Unary::ToInt, Ty::INT, 1, true),
        ("int", Shape::Time) => (Unary::ToInt, Ty::INT, 1, false),
        ("int", Shape::Str { max, .. }) => (Unary::ToInt, Ty::INT, 1 + max / 16, true),
        ("double", Shape::Int { .. } | Shape::Num) => (number.0, number.1, 1, false),
        ("double", Shape::Str { max, .. }) => (number.0, number.1, 1 + max / 8, true),
        ("string", Shape::Str { .. }) => (Unary::ToStr, of.clone(), 1, false),
        ("string", Shape::Bool | Shape::Int { .. } | Shape::Time | Shape::Span) => {
            (Unary::ToStr, Ty::string(40), 8, false)
        }
        ("string", Shape::Num) => (Unary::ToStr, Ty::string(40), 16, false),
        ("string", Shape::Bytes { max }) => (Unary::ToStr, Ty::string(*max), 1 + max / 8, true),
        ("bytes", Shape::Str { max, .. }) => {
            (Unary::ToBytes, Shape::Bytes { max: *max }.into(), 1 + max / 16, false)
        }
        ("timestamp", Shape::Time) => (Unary::ToTime, Shape::Time.into(), 1, false),
        ("timestamp", Shape::Int { .. }) => (Unary::ToTime, Shape::Time.into(), 1, true),
        ("timestamp", Shape::Str { max, .. }) => (Unary::ToTime, Shape::Time.into(), 8 + max / 8, true),
        ("duration", Shape::Span) => (Unary::ToSpan, Shape::Span.into(), 1, false),
        ("duration", Shape::Str { max, .. }) => (Unary::ToSpan, Shape::Span.into(), 8 + max / 8, true),
        _ => return None,
    })
}

/// What a function of one value takes, in words.
fn takes(name: &str) -> &'static str {
    match name {
        "size" => "a string, bytes, a list or a map",
        "lowerAscii" | "upperAscii" => "a string",
        "abs" => "an integer or a number",
        "floor" | "ceil" | "round" => "a number",
        "min" | "max" => {
            "two or more values, or a list of integers, numbers, timestamps or durations, none null"
        }
        "sum" => "a list of integers or numbers, none null",
        "int" => "an integer, a number, a string or a timestamp",
        "double" => "an integer, a number or a string",
        "string" => "a string, a boolean, an integer, a number, bytes, a timestamp or a duration",
        "bytes" => "a string",
        "timestamp" => "a string, seconds as an integer, or a timestamp",
        _ => "a string or a duration",
    }
}

/// Whether `min` and `max` take it.
fn ordered(ty: &Ty) -> bool {
    matches!(ty.shape, Shape::Int { .. } | Shape::Num | Shape::Time | Shape::Span)
}

fn count(min: u64, max: u64) -> Ty {
    let held = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Ty::int(held(min), held(max))
}

fn time_part(name: &str) -> Option<(TimePart, i64, i64)> {
    Some(match name {
        "getFullYear" => (TimePart::FullYear, 1677, 2262),
        "getMonth" => (TimePart::Month, 0, 11),
        "getDate" => (TimePart::Date, 1, 31),
        "getDayOfMonth" => (TimePart::DayOfMonth, 0, 30),
        "getDayOfWeek" => (TimePart::DayOfWeek, 0, 6),
        "getDayOfYear" => (TimePart::DayOfYear, 0, 365),
        "getHours" => (TimePart::Hours, 0, 23),
        "getMinutes" => (TimePart::Minutes, 0, 59),
        "getSeconds" => (TimePart::Seconds, 0, 59),
        "getMilliseconds" => (TimePart::Milliseconds, 0, 999),
        _ => return None,
    })
}

fn span_part(name: &str) -> Option<(SpanPart, i64)> {
    const SECONDS: i64 = i64::MAX / 1_000_000_000;
    Some(match name {
        "getHours" => (SpanPart::Hours, SECONDS / 3600),
        "getMinutes" => (SpanPart::Minutes, SECONDS / 60),
        "getSeconds" => (SpanPart::Seconds, SECONDS),
        "getMilliseconds" => (SpanPart::Milliseconds, 999),
        _ => return None,
    })
}
