//! Which keyword belongs to which type, and a word about those that belong to none.

use crate::document::Reader;

/// The types of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Kinds {
    pub(super) const ALL: [Self; 6] =
        [Self::Boolean, Self::Integer, Self::Number, Self::String, Self::Array, Self::Object];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(super) fn listed() -> String {
        crate::document::listed(&Self::ALL.map(Self::name))
    }

    /// The type that other languages call so.
    pub(super) fn by_another_name(name: &str) -> Option<&'static str> {
        Some(match name {
            "bool" => "boolean",
            "int" | "long" | "int64" | "int32" | "i64" | "u64" => "integer",
            "float" | "double" | "decimal" | "f64" | "real" => "number",
            "str" | "text" | "date" | "time" | "timestamp" | "date-time" | "datetime" | "duration"
            | "bytes" | "byte" => "string",
            "list" | "vec" | "sequence" => "array",
            "map" | "dict" | "record" | "struct" => "object",
            _ => return None,
        })
    }
}

const KEYWORDS: [(&str, &[Kinds]); 17] = {
    use Kinds::{Array, Integer, Number, Object, String};
    [
        ("enum", &[Integer, Number, String]),
        ("minimum", &[Integer, Number]),
        ("maximum", &[Integer, Number]),
        ("exclusiveMinimum", &[Integer, Number]),
        ("exclusiveMaximum", &[Integer, Number]),
        ("multipleOf", &[Integer, Number]),
        ("unit", &[Integer, Number]),
        ("format", &[String]),
        ("minLength", &[String]),
        ("maxLength", &[String]),
        ("pattern", &[String]),
        ("items", &[Array]),
        ("minItems", &[Array]),
        ("maxItems", &[Array]),
        ("properties", &[Object]),
        ("required", &[Object]),
        ("additionalProperties", &[Object]),
    ]
};

/// Keywords of JSON Schema that a structural schema does not have, with what to do instead.
const REFUSED: [(&str, &str); 12] = [
    ("const", "write `enum` with one value"),
    ("oneOf", "a field has one type; state the condition as an invariant"),
    ("anyOf", "a field has one type; state the condition as an invariant"),
    ("allOf", "write the keywords side by side"),
    ("not", "state the condition as an invariant"),
    ("if", "state the condition as an invariant"),
    ("uniqueItems", "state it as an invariant"),
    ("patternProperties", "write `additionalProperties`"),
    ("propertyNames", "the names of a map have at most 64 characters"),
    ("examples", "write them into the `description`"),
    ("readOnly", "only mutations change memory"),
    ("$defs", "refer to fields: `$ref: \"#/fields/NAME\"`"),
];

/// Reports the keywords that do not go with a type (`None`: with a reference), and those that no type has.
pub(super) fn refuse_other_keywords(reader: &mut Reader<'_>, kind: Option<Kinds>) {
    let out = reader.diagnostics();
    let more: [(&'static str, &[Kinds]); 2] =
        [("minProperties", &[Kinds::Object]), ("maxProperties", &[Kinds::Object])];
    for (keyword, kinds) in KEYWORDS.into_iter().chain(more) {
        if !reader.has(keyword) {
            continue;
        }
        let Some((key, _)) = reader.entry(keyword) else { continue };
        match kind {
            None => {
                let message = format!("`{keyword}` cannot stand beside `$ref`");
                let help = "beside `$ref` go `nullable`, `default`, `title` and `description`; write the type out to bound it otherwise";
                out.error(key.span.clone(), message, help);
            }
            Some(kind) if !kinds.contains(&kind) => {
                let message = format!("`{keyword}` says nothing of type `{}`", kind.name());
                let of: Vec<_> = kinds.iter().map(|k| k.name()).collect();
                out.error(
                    key.span.clone(),
                    message,
                    format!("leave it out; it goes with {}", crate::document::listed(&of)),
                );
            }
            Some(_) => {}
        }
    }
    if kind.is_none()
        && let Some((key, _)) = reader.entry("type")
    {
        out.error(key.span.clone(), "`type` cannot stand beside `$ref`", "leave one of the two out");
    }
    for (keyword, help) in REFUSED {
        if reader.has(keyword)
            && let Some((key, _)) = reader.entry(keyword)
        {
            out.error(key.span.clone(), format!("`{keyword}` is not a keyword of a field"), help);
        }
    }
}
