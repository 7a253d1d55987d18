//! JSON as the types of a component, and back: what effects carry.
//!
//! | type | JSON |
//! |---|---|
//! | integers, floats | number |
//! | `char`, `string` | text |
//! | `list<u8>` | Base64, as of a field of format `byte` |
//! | `list`, `tuple` | array |
//! | `record` | object; a field `wind-speed` is `wind_speed` |
//! | `enum` | the case as a text |
//! | `variant` | the case as a text, or an object with the case as its one key where it has a payload |
//! | `flags` | array of texts |
//! | `option` | null, or the value |
//! | `result` within a value | `{ ok: … }` or `{ error: … }` |
//!
//! Handles, streams, futures and options of options have no form.

use abide_core::expr::{Program, ValueKind};
use abide_core::schema::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

/// Whether a type has a form in JSON.
pub(crate) fn is_carried(ty: &Type) -> bool {
    fn all(mut types: impl Iterator<Item = Type>) -> bool {
        types.all(|ty| is_carried(&ty))
    }
    match ty {
        Type::List(list) => is_carried(&list.ty()),
        Type::Record(record) => all(record.fields().map(|field| field.ty)),
        Type::Tuple(tuple) => all(tuple.types()),
        Type::Variant(variant) => all(variant.cases().filter_map(|case| case.ty)),
        // Null would stand for two of its values.
        Type::Option(option) => !matches!(option.ty(), Type::Option(_)) && is_carried(&option.ty()),
        Type::Result(result) => all(result.ok().into_iter().chain(result.err())),
        Type::Map(_)
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext
        | Type::FixedLengthList(_) => false,
        _ => true,
    }
}

/// The value of a type.
///
/// # Errors
/// Why it has none, in words.
pub(crate) fn to_val(json: &Json, ty: &Type) -> Result<Val, String> {
    let no = || format!("{} is no {}", shown(json), name(ty));
    let integer = || json.as_i64().ok_or_else(no);
    fn narrow<T: TryFrom<i64>>(value: i64, no: impl Fn() -> String) -> Result<T, String> {
        T::try_from(value).map_err(|_| no())
    }
    Ok(match ty {
        Type::Bool => Val::Bool(json.as_bool().ok_or_else(no)?),
        Type::S8 => Val::S8(narrow(integer()?, no)?),
        Type::U8 => Val::U8(narrow(integer()?, no)?),
        Type::S16 => Val::S16(narrow(integer()?, no)?),
        Type::U16 => Val::U16(narrow(integer()?, no)?),
        Type::S32 => Val::S32(narrow(integer()?, no)?),
        Type::U32 => Val::U32(narrow(integer()?, no)?),
        Type::S64 => Val::S64(integer()?),
        Type::U64 => Val::U64(json.as_u64().ok_or_else(no)?),
        Type::Float32 => {
            #[expect(clippy::cast_possible_truncation, reason = "the type has no more digits")]
            let value = json.as_f64().ok_or_else(no)? as f32;
            Val::Float32(Some(value).filter(|value| value.is_finite()).ok_or_else(no)?)
        }
        Type::Float64 => Val::Float64(json.as_f64().ok_or_else(no)?),
        Type::Char => {
            let mut chars = json.as_str().ok_or_else(no)?.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Val::Char(one),
                _ => return Err(no()),
            }
        }
        Type::String => Val::String(json.as_str().ok_or_else(no)?.to_owned()),
        Type::List(list) if list.ty() == Type::U8 => {
            let bytes = STANDARD.decode(json.as_str().ok_or_else(no)?).map_err(|_| no())?;
            Val::List(bytes.into_iter().map(Val::U8).collect())
        }
        Type::List(list) => {
            let ty = list.ty();
            let items = json.as_array().ok_or_else(no)?.iter().map(|item| to_val(item, &ty));
            Val::List(items.collect::<Result<_, _>>()?)
        }
        Type::Tuple(tuple) => {
            let items = json.as_array().filter(|items| items.len() == tuple.types().len()).ok_or_else(no)?;
            let items = items.iter().zip(tuple.types()).map(|(item, ty)| to_val(item, &ty));
            Val::Tuple(items.collect::<Result<_, _>>()?)
        }
        Type::Record(record) => {
            let members = json.as_object().ok_or_else(no)?;
            let fields = record.fields().map(|field| {
                let member = members.get(&key(field.name)).unwrap_or(&Json::Null);
                let value =
                    to_val(member, &field.ty).map_err(|why| format!("`{}`: {why}", key(field.name)))?;
                Ok::<_, String>((field.name.to_owned(), value))
            });
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            if let Some(more) =
                members.keys().find(|name| record.fields().all(|field| key(field.name) != **name))
            {
                return Err(format!("there is no `{more}` in it"));
            }
            Val::Record(fields)
        }
        Type::Enum(cases) => {
            let case = json.as_str().filter(|case| cases.names().any(|name| name == *case)).ok_or_else(no)?;
            Val::Enum(case.to_owned())
        }
        Type::Variant(variant) => {
            let (case, payload) = match json {
                Json::String(case) => (case, None),
                Json::Object(one) if one.len() == 1 => {
                    one.iter().next().map(|(case, payload)| (case, Some(payload))).ok_or_else(no)?
                }
                _ => return Err(no()),
            };
            let of = variant.cases().find(|known| known.name == case).ok_or_else(no)?;
            let payload = match (payload, of.ty) {
                (None, None) => None,
                (Some(payload), Some(ty)) => Some(Box::new(to_val(payload, &ty)?)),
                _ => return Err(no()),
            };
            Val::Variant(case.clone(), payload)
        }
        Type::Flags(flags) => {
            let set = json.as_array().ok_or_else(no)?.iter().map(|flag| {
                let flag = flag.as_str().filter(|flag| flags.names().any(|name| name == *flag));
                flag.map(str::to_owned).ok_or_else(no)
            });
            Val::Flags(set.collect::<Result<_, _>>()?)
        }
        Type::Option(_) if json.is_null() => Val::Option(None),
        Type::Option(option) => Val::Option(Some(Box::new(to_val(json, &option.ty())?))),
        Type::Result(result) => {
            let (key, payload) = json
                .as_object()
                .filter(|one| one.len() == 1)
                .and_then(|one| one.iter().next())
                .ok_or_else(no)?;
            let of = |ty: Option<Type>| match ty {
                Some(ty) => to_val(payload, &ty).map(|val| Some(Box::new(val))),
                None if payload.is_null() => Ok(None),
                None => Err(no()),
            };
            match key.as_str() {
                "ok" => Val::Result(Ok(of(result.ok())?)),
                "error" => Val::Result(Err(of(result.err())?)),
                _ => return Err(no()),
            }
        }
        _ => return Err(no()),
    })
}

/// The JSON of a value of a type.
///
/// # Errors
/// What in it has no form.
pub(crate) fn from_val(val: &Val, ty: &Type) -> Result<Json, String> {
    let float = |value: f64| {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| format!("{value} is no number of JSON"))
    };
    Ok(match (val, ty) {
        (Val::Bool(value), _) => (*value).into(),
        (Val::S8(value), _) => (*value).into(),
        (Val::U8(value), _) => (*value).into(),
        (Val::S16(value), _) => (*value).into(),
        (Val::U16(value), _) => (*value).into(),
        (Val::S32(value), _) => (*value).into(),
        (Val::U32(value), _) => (*value).into(),
        (Val::S64(value), _) => (*value).into(),
        (Val::U64(value), _) => (*value).into(),
        (Val::Float32(value), _) => float(f64::from(*value))?,
        (Val::Float64(value), _) => float(*value)?,
        (Val::Char(value), _) => value.to_string().into(),
        (Val::String(text) | Val::Enum(text) | Val::Variant(text, None), _) => text.as_str().into(),
        (Val::List(items), Type::List(list)) if list.ty() == Type::U8 => {
            let byte = |val: &Val| if let Val::U8(byte) = val { Some(*byte) } else { None };
            STANDARD.encode(items.iter().filter_map(byte).collect::<Vec<_>>()).into()
        }
        (Val::List(items), Type::List(list)) => {
            let ty = list.ty();
            Json::Array(items.iter().map(|item| from_val(item, &ty)).collect::<Result<_, _>>()?)
        }
        (Val::Tuple(items), Type::Tuple(tuple)) => {
            let items = items.iter().zip(tuple.types()).map(|(item, ty)| from_val(item, &ty));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        (Val::Record(fields), Type::Record(record)) => {
            let members = fields
                .iter()
                .zip(record.fields())
                .map(|((name, val), field)| Ok((key(name), from_val(val, &field.ty)?)));
            Json::Object(members.collect::<Result<_, String>>()?)
        }
        (Val::Variant(case, some), Type::Variant(variant)) => {
            let of = variant.cases().find(|known| known.name == case).and_then(|known| known.ty);
            keyed(case, payload(some.as_deref(), of)?)
        }
        (Val::Flags(set), _) => set.iter().map(String::as_str).collect(),
        (Val::Option(some), Type::Option(option)) => payload(some.as_deref(), Some(option.ty()))?,
        (Val::Result(Ok(ok)), Type::Result(of)) => keyed("ok", payload(ok.as_deref(), of.ok())?),
        (Val::Result(Err(error)), Type::Result(of)) => keyed("error", payload(error.as_deref(), of.err())?),
        _ => return Err("a handle has no form in JSON".to_owned()),
    })
}

/// The JSON of what may be there; null where it is not.
pub(crate) fn payload(val: Option<&Val>, ty: Option<Type>) -> Result<Json, String> {
    val.zip(ty).map_or(Ok(Json::Null), |(val, ty)| from_val(val, &ty))
}

fn keyed(key: &str, value: Json) -> Json {
    Json::Object(Map::from_iter([(key.to_owned(), value)]))
}

/// Why an argument is not always of a type; `None` where it is, or only its value can tell.
pub(crate) fn mismatch(template: &Template, ty: &Type) -> Option<String> {
    let no = |what: &str| Some(format!("{what} is no {}", name(ty)));
    match (template, ty) {
        (_, ty) if !is_carried(ty) => {
            Some("it takes what JSON has no form for: handles, or options of options".to_owned())
        }
        (Template::Json(json), ty) => to_val(json, ty).err(),
        (Template::Value(value), ty) => to_val(&abide_core::field::untyped_to_json(value), ty).err(),
        (Template::Expression(program), ty) => expression_mismatch(program, ty),
        (template, Type::Option(option)) => mismatch(template, &option.ty()),
        (Template::Text(_), Type::String | Type::Char | Type::Enum(_) | Type::Variant(_)) => None,
        (Template::Text(_), _) => no("a text"),
        (Template::List(items), Type::List(list)) if list.ty() != Type::U8 => {
            items.iter().find_map(|item| mismatch(item, &list.ty()))
        }
        (Template::List(items), Type::Tuple(tuple)) if items.len() == tuple.types().len() => {
            items.iter().zip(tuple.types()).find_map(|(item, ty)| mismatch(item, &ty))
        }
        (Template::List(items), Type::Flags(_)) => {
            items.iter().find_map(|item| mismatch(item, &Type::String))
        }
        (Template::List(_), _) => no("a list"),
        (Template::Object(entries), Type::Record(record)) => {
            let unknown =
                entries.iter().find(|(name, _)| record.fields().all(|field| key(field.name) != **name));
            let missing = record.fields().find(|field| {
                !matches!(field.ty, Type::Option(_))
                    && entries.iter().all(|(name, _)| key(field.name) != **name)
            });
            let of_field = || {
                record.fields().find_map(|field| {
                    let (name, entry) = entries.iter().find(|(name, _)| key(field.name) == **name)?;
                    mismatch(entry, &field.ty).map(|why| format!("`{name}`: {why}"))
                })
            };
            unknown
                .map(|(name, _)| format!("there is no `{name}` in it"))
                .or_else(|| missing.map(|field| format!("it lacks `{}`", key(field.name))))
                .or_else(of_field)
        }
        (Template::Object(_), Type::Variant(_) | Type::Result(_)) => None,
        (Template::Object(_), _) => no("a mapping"),
    }
}

fn expression_mismatch(program: &Program, ty: &Type) -> Option<String> {
    if let Type::Option(option) = ty {
        return kind_mismatch(program, &option.ty());
    }
    if program.is_nullable() || program.kind().is_none() {
        return Some(format!("it may be null, which is no {}", name(ty)));
    }
    kind_mismatch(program, ty)
}

fn kind_mismatch(program: &Program, ty: &Type) -> Option<String> {
    let (fits, what) = match program.kind()? {
        ValueKind::Bool => (matches!(ty, Type::Bool), "a boolean"),
        ValueKind::Int => (is_integer(ty) || matches!(ty, Type::Float32 | Type::Float64), "an integer"),
        ValueKind::Num => (matches!(ty, Type::Float32 | Type::Float64), "a number"),
        ValueKind::Str => {
            (matches!(ty, Type::String | Type::Char | Type::Enum(_) | Type::Variant(_)), "a text")
        }
        ValueKind::Time => (matches!(ty, Type::String), "a time, which goes out as a text,"),
        ValueKind::Span => (matches!(ty, Type::String), "a duration, which goes out as a text,"),
        ValueKind::Bytes => (matches!(ty, Type::List(list) if list.ty() == Type::U8), "bytes"),
        ValueKind::List => (matches!(ty, Type::List(_) | Type::Tuple(_) | Type::Flags(_)), "a list"),
        ValueKind::Struct | ValueKind::Map => {
            (matches!(ty, Type::Record(_) | Type::Variant(_) | Type::Result(_)), "an object")
        }
    };
    (!fits).then(|| format!("{what} is no {}", name(ty)))
}

fn is_integer(ty: &Type) -> bool {
    use Type::{S8, S16, S32, S64, U8, U16, U32, U64};
    matches!(ty, S8 | U8 | S16 | U16 | S32 | U32 | S64 | U64)
}

/// A name of WIT as a key of JSON.
fn key(name: &str) -> String {
    name.replace('-', "_")
}

fn name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(list) if list.ty() == Type::U8 => "list<u8> in Base64",
        Type::List(_) | Type::FixedLengthList(_) => "list",
        Type::Map(_) => "map",
        Type::Record(_) => "record of its fields",
        Type::Tuple(_) => "tuple of its length",
        Type::Variant(_) => "case of the variant",
        Type::Enum(_) => "case of the enum",
        Type::Option(_) => "option",
        Type::Result(_) => "result",
        Type::Flags(_) => "set of its flags",
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => "handle",
    }
}

fn shown(json: &Json) -> String {
    let mut text = json.to_string();
    if text.len() > 80 {
        text.truncate(text.floor_char_boundary(80));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmtime::Engine;
    use wasmtime::component::types::ComponentItem;
    use wasmtime::component::{Component, types::ComponentFunc};

    use super::*;

    /// The type of that text of WebAssembly; `$c`, `$r`, `$v` and `$f` are an enum, a record, a variant and flags.
    fn with_type(text: &str, check: impl FnOnce(&Type)) {
        let text = format!(
            r#"(component
              (type $c (enum "cold" "very-cold"))
              (type $r (record (field "wind-speed" f64) (field "note" (option string))))
              (type $v (variant (case "none") (case "some-of" u8)))
              (type $f (flags "a" "b-c"))
              (import "all" (instance
                (alias outer 1 $c (type $c')) (export "c" (type $c (eq $c')))
                (alias outer 1 $r (type $r')) (export "r" (type $r (eq $r')))
                (alias outer 1 $v (type $v')) (export "v" (type $v (eq $v')))
                (alias outer 1 $f (type $f')) (export "f" (type $f (eq $f')))
                (export "call" (func (param "x" {text}))))))"#
        );
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(&text).unwrap()).unwrap();
        let ty = component.component_type();
        let Some(ComponentItem::ComponentInstance(all)) = ty.get_import(&engine, "all").map(|i| i.ty) else {
            panic!("an instance")
        };
        let function: Option<ComponentFunc> = all.exports(&engine).find_map(|(_, item)| match item.ty {
            ComponentItem::ComponentFunc(function) => Some(function),
            _ => None,
        });
        let param = function.unwrap().params().next().unwrap().1;
        check(&param);
    }

    #[test]
    fn every_form_comes_back_as_it_went() {
        let forms = [
            ("bool", json!([true, false])),
            ("s8", json!([-128, 127])),
            ("u8", json!([0, 255])),
            ("s16", json!([-32768, 32767])),
            ("u16", json!([0, 65535])),
            ("s32", json!([-2147483648, 2147483647])),
            ("u32", json!([0, 4294967295u32])),
            ("s64", json!([i64::MIN, i64::MAX])),
            ("u64", json!([0, u64::MAX])),
            ("f32", json!([0.5, -1.25])),
            ("f64", json!([0.1, -1e300])),
            ("char", json!(["a", "ß", "日"])),
            ("string", json!(["", "日本", "a\u{0}b"])),
            ("(list u8)", json!(["", "AAH/"])),
            ("(list s32)", json!([[], [1, -2]])),
            ("(list (list u8))", json!([[], ["", "AA=="]])),
            ("(tuple f64 string)", json!([[1.5, "x"]])),
            ("(option s64)", json!([null, 3])),
            ("(result string (error u8))", json!([{ "ok": "x" }, { "error": 1 }])),
            ("(result)", json!([{ "ok": null }, { "error": null }])),
            ("$c", json!(["cold", "very-cold"])),
            ("$r", json!([{ "wind_speed": 1.5, "note": null }, { "wind_speed": 0.0, "note": "x" }])),
            ("$v", json!(["none", { "some-of": 3 }])),
            ("$f", json!([[], ["a"], ["a", "b-c"]])),
        ];
        for (text, values) in forms {
            with_type(text, |ty| {
                assert!(is_carried(ty), "{text}");
                for value in values.as_array().unwrap() {
                    let val = to_val(value, ty).unwrap_or_else(|why| panic!("{text}: {why}"));
                    assert_eq!(from_val(&val, ty).as_ref(), Ok(value), "{text}");
                }
            });
        }
    }

    #[test]
    fn what_is_of_another_type_is_refused_in_words() {
        let faults = [
            ("u8", json!(256), "256 is no u8"),
            ("u64", json!(-1), "-1 is no u64"),
            ("s64", json!(1.5), "1.5 is no s64"),
            ("char", json!("ab"), "\"ab\" is no char"),
            ("(list u8)", json!("?"), "\"?\" is no list<u8> in Base64"),
            ("(tuple f64 string)", json!([1]), "[1] is no tuple of its length"),
            ("$c", json!("warm"), "\"warm\" is no case of the enum"),
            ("$r", json!({ "note": "x" }), "`wind_speed`: null is no f64"),
            ("$r", json!({ "wind_speed": 1, "gust": 2 }), "there is no `gust` in it"),
            ("$v", json!({ "none": 1 }), "{\"none\":1} is no case of the variant"),
            ("$v", json!("some-of"), "\"some-of\" is no case of the variant"),
            ("$f", json!(["c"]), "[\"c\"] is no set of its flags"),
            ("(result)", json!({ "ok": 1 }), "{\"ok\":1} is no result"),
        ];
        for (text, value, expected) in faults {
            with_type(text, |ty| assert_eq!(to_val(&value, ty).unwrap_err(), expected, "{text}"));
        }
        with_type("f64", |ty| assert!(from_val(&Val::Float64(f64::NAN), ty).is_err()));
    }
}
