//! Types as JSON Schema 2020-12.

use serde_json::{Map, Value as Json, json};

use crate::field::{FieldType, Kind, StructType};

/// The keywords of an object with these fields and no others.
pub(super) fn of_fields(fields: &StructType) -> Map<String, Json> {
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    let properties = fields.fields.iter().map(|f| (f.name.to_string(), of_type(&f.ty)));
    map.insert("properties".to_owned(), Json::Object(properties.collect()));
    let required: Vec<Json> =
        fields.fields.iter().filter(|f| f.required).map(|f| (&*f.name).into()).collect();
    if !required.is_empty() {
        map.insert("required".to_owned(), required.into());
    }
    map.insert("additionalProperties".to_owned(), false.into());
    map
}

fn of_type(ty: &FieldType) -> Json {
    let mut map = match &ty.kind {
        Kind::Object(object) => of_fields(object),
        kind => keywords(kind),
    };
    let name = ty.type_name();
    map.insert("type".to_owned(), if ty.nullable { json!([name, "null"]) } else { name.into() });
    if ty.nullable
        && let Some(Json::Array(values)) = map.get_mut("enum")
    {
        values.push(Json::Null);
    }
    for (key, text) in [("title", &ty.title), ("description", &ty.description), ("x-unit", &ty.unit)] {
        if let Some(text) = text {
            map.insert(key.to_owned(), (&**text).into());
        }
    }
    if let Some(unit) = &ty.unit {
        // A reader that does not know `x-unit`, such as a language model, finds it here.
        let words = ty
            .description
            .as_deref()
            .map_or_else(|| format!("in {unit}"), |words| format!("{words} (in {unit})"));
        map.insert("description".to_owned(), words.into());
    }
    if let Some(default) = &ty.default {
        map.insert("default".to_owned(), ty.to_json(default));
    }
    Json::Object(map)
}

fn keywords(kind: &Kind) -> Map<String, Json> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Json| drop(map.insert(key.to_owned(), value));
    match kind {
        Kind::Boolean | Kind::Object(_) => {}
        Kind::Integer { minimum, maximum, multiple_of, one_of } => {
            if *minimum != i64::MIN {
                put("minimum", (*minimum).into());
            }
            if *maximum != i64::MAX {
                put("maximum", (*maximum).into());
            }
            multiple_of.map(|of| put("multipleOf", of.into()));
            if !one_of.is_empty() {
                put("enum", one_of.clone().into());
            }
        }
        Kind::Number { minimum, maximum, multiple_of, one_of } => {
            minimum.map(|(n, excluded)| put(if excluded { "exclusiveMinimum" } else { "minimum" }, n.into()));
            maximum.map(|(n, excluded)| put(if excluded { "exclusiveMaximum" } else { "maximum" }, n.into()));
            multiple_of.map(|of| put("multipleOf", of.into()));
            if !one_of.is_empty() {
                put("enum", one_of.clone().into());
            }
        }
        Kind::String { min_length, max_length, pattern, one_of } => {
            if *min_length > 0 {
                put("minLength", (*min_length).into());
            }
            if let Some(pattern) = pattern {
                put("pattern", (&*pattern.source).into());
            }
            if one_of.is_empty() {
                put("maxLength", (*max_length).into());
            } else {
                put("enum", one_of.iter().map(|one| Json::from(&**one)).collect::<Vec<_>>().into());
            }
        }
        Kind::Bytes { max_length } => {
            put("contentEncoding", "base64".into());
            put("maxLength", (u64::from(*max_length).div_ceil(3) * 4).into());
        }
        Kind::DateTime => put("format", "date-time".into()),
        Kind::Duration => {
            // The format `duration` of JSON Schema is ISO 8601; this is the form in which values are shown.
            put("pattern", "^-?([0-9]+(\\.[0-9]+)?(h|m|s|ms|us|ns))+$".into());
            put("x-format", "duration, as in 90s or 1h30m".into());
        }
        Kind::Array { items, min_items, max_items } => {
            put("items", of_type(items));
            if *min_items > 0 {
                put("minItems", (*min_items).into());
            }
            put("maxItems", (*max_items).into());
        }
        Kind::Map { values, min_properties, max_properties, max_key_length } => {
            put("additionalProperties", of_type(values));
            put("propertyNames", json!({ "maxLength": max_key_length }));
            if *min_properties > 0 {
                put("minProperties", (*min_properties).into());
            }
            put("maxProperties", (*max_properties).into());
        }
    }
    map
}
