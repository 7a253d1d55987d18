//! Holding a value against a type. Success allocates nothing; a [`Violation`] says what was wrong, and where.

use super::{FieldType, Kind, StructType};
use crate::value::Value;

/// Why a value is not one of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// The keyword of the schema that it breaks: `type`, `maximum`, `required`, …
    pub keyword: &'static str,
    /// Where inside the value: empty for the value itself, else as in `[3]` or `.wind.speed`.
    pub path: String,
    /// The offending value as JSON, shortened.
    pub value: String,
    /// In words: lower case, with the value and the bound, without the path.
    pub message: String,
}

type Outcome = Result<(), Violation>;

impl FieldType {
    /// Whether `value` is one of this type, within its bounds. A number must be a float here: see
    /// [`FieldType::normalize`]. Scalars cost no allocation.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self, value: &Value) -> Outcome {
        if matches!(value, Value::Null) {
            return if self.nullable { Ok(()) } else { Err(self.mismatch(value)) };
        }
        match (&self.kind, value) {
            (Kind::Boolean, Value::Bool(_))
            | (Kind::DateTime, Value::Time(_))
            | (Kind::Duration, Value::Span(_)) => Ok(()),
            (Kind::Integer { minimum, maximum, multiple_of, one_of }, Value::Int(n)) => {
                self.check_integer(*n, (*minimum, *maximum), *multiple_of, one_of)
            }
            (Kind::Number { .. }, Value::Num(n)) => self.check_number(*n),
            (Kind::String { .. }, Value::Str(text)) => self.check_text(text),
            (Kind::Bytes { max_length }, Value::Bytes(bytes)) => {
                at_most(self, value, "maxLength", bytes.len(), *max_length, "bytes")
            }
            (Kind::Array { items, min_items, max_items }, Value::List(list)) => {
                at_least(self, value, "minItems", list.len(), *min_items, "items")?;
                at_most(self, value, "maxItems", list.len(), *max_items, "items")?;
                list.iter()
                    .enumerate()
                    .try_for_each(|(n, item)| items.check(item).map_err(|v| v.within(&format!("[{n}]"))))
            }
            (Kind::Object(object), Value::Struct(values)) => object.check(values),
            (Kind::Map { .. }, Value::Map(entries)) => self.check_map(value, entries),
            _ => Err(self.mismatch(value)),
        }
    }

    fn check_integer(
        &self,
        n: i64,
        (minimum, maximum): (i64, i64),
        multiple_of: Option<i64>,
        one_of: &[i64],
    ) -> Outcome {
        if n < minimum {
            return Err(self.violation(
                &Value::Int(n),
                "minimum",
                &format!("is below the minimum of {minimum}"),
            ));
        }
        if n > maximum {
            return Err(self.violation(
                &Value::Int(n),
                "maximum",
                &format!("is above the maximum of {maximum}"),
            ));
        }
        if let Some(of) = multiple_of
            && n.checked_rem(of).is_some_and(|rest| rest != 0)
        {
            return Err(self.violation(&Value::Int(n), "multipleOf", &format!("is not a multiple of {of}")));
        }
        if !one_of.is_empty() && !one_of.contains(&n) {
            return Err(self.not_one_of(&Value::Int(n), one_of.iter().map(ToString::to_string)));
        }
        Ok(())
    }

    fn check_number(&self, n: f64) -> Outcome {
        let Kind::Number { minimum, maximum, multiple_of, one_of } = &self.kind else { return Ok(()) };
        let fail = |keyword, message: String| Err(self.violation(&Value::Num(n), keyword, &message));
        if !n.is_finite() {
            return fail("type", "is not a finite number".to_owned());
        }
        match *minimum {
            Some((bound, true)) if n <= bound => return fail("minimum", format!("must be above {bound}")),
            Some((bound, false)) if n < bound => {
                return fail("minimum", format!("is below the minimum of {bound}"));
            }
            _ => {}
        }
        match *maximum {
            Some((bound, true)) if n >= bound => return fail("maximum", format!("must be below {bound}")),
            Some((bound, false)) if n > bound => {
                return fail("maximum", format!("is above the maximum of {bound}"));
            }
            _ => {}
        }
        if let Some(of) = *multiple_of
            && !is_multiple(n, of)
        {
            return fail("multipleOf", format!("is not a multiple of {of}"));
        }
        if !one_of.is_empty() && !one_of.iter().any(|m| same_number(*m, n)) {
            return Err(self.not_one_of(&Value::Num(n), one_of.iter().map(ToString::to_string)));
        }
        Ok(())
    }

    fn check_text(&self, text: &str) -> Outcome {
        let Kind::String { min_length, max_length, pattern, one_of } = &self.kind else { return Ok(()) };
        let fail =
            |keyword, message: String| Err(self.violation(&Value::Str(text.into()), keyword, &message));
        if !one_of.is_empty() && !one_of.iter().any(|one| **one == *text) {
            return Err(
                self.not_one_of(&Value::Str(text.into()), one_of.iter().map(|one| format!("`{one}`")))
            );
        }
        // A character has at most four bytes: counting them is left out where the bytes alone decide.
        let most = usize::try_from(*max_length).unwrap_or(usize::MAX);
        if text.len() > most && text.chars().count() > most {
            return fail("maxLength", format!("has more than {max_length} characters"));
        }
        if *min_length > 0 && text.chars().count() < usize::try_from(*min_length).unwrap_or(usize::MAX) {
            return fail("minLength", format!("has fewer than {min_length} characters"));
        }
        match pattern {
            Some(pattern) if !pattern.regex.is_match(text) => {
                fail("pattern", format!("does not match the pattern `{}`", pattern.source))
            }
            _ => Ok(()),
        }
    }

    fn check_map(&self, value: &Value, entries: &[(std::sync::Arc<str>, Value)]) -> Outcome {
        let Kind::Map { values, min_properties, max_properties, max_key_length } = &self.kind else {
            return Ok(());
        };
        at_least(self, value, "minProperties", entries.len(), *min_properties, "entries")?;
        at_most(self, value, "maxProperties", entries.len(), *max_properties, "entries")?;
        for (key, item) in entries {
            if key.chars().count() > usize::try_from(*max_key_length).unwrap_or(usize::MAX) {
                let message = format!("is a key of more than {max_key_length} characters");
                return Err(self.violation(&Value::Str(key.clone()), "maxKeyLength", &message));
            }
            values.check(item).map_err(|v| v.within(&format!(".{key}")))?;
        }
        Ok(())
    }

    /// The same value with −0 as 0 and, where a number is expected, integers as numbers.
    #[must_use]
    pub fn normalize(&self, value: Value) -> Value {
        if self.is_normal(&value) {
            return value;
        }
        match (&self.kind, value) {
            #[expect(clippy::cast_precision_loss, reason = "a number field holds a float, as documented")]
            (Kind::Number { .. }, Value::Int(n)) => Value::Num(n as f64),
            (Kind::Number { .. }, Value::Num(n)) => Value::Num(n + 0.0),
            (Kind::Array { items, .. }, Value::List(list)) => {
                Value::List(list.iter().map(|item| items.normalize(item.clone())).collect())
            }
            (Kind::Object(object), Value::Struct(values)) => Value::Struct(
                object.fields.iter().zip(values.iter()).map(|(f, v)| f.ty.normalize(v.clone())).collect(),
            ),
            (Kind::Map { values, .. }, Value::Map(entries)) => {
                Value::Map(entries.iter().map(|(k, v)| (k.clone(), values.normalize(v.clone()))).collect())
            }
            (_, value) => value,
        }
    }

    fn is_normal(&self, value: &Value) -> bool {
        match (&self.kind, value) {
            (Kind::Number { .. }, Value::Int(_)) => false,
            (Kind::Number { .. }, Value::Num(n)) => n.to_bits() != (-0.0_f64).to_bits(),
            (Kind::Array { items, .. }, Value::List(list)) => list.iter().all(|item| items.is_normal(item)),
            // A struct of another length is no value of the type: it stays as it is, for `check` to refuse.
            (Kind::Object(object), Value::Struct(values)) => {
                object.fields.len() != values.len()
                    || object.fields.iter().zip(values.iter()).all(|(f, v)| f.ty.is_normal(v))
            }
            (Kind::Map { values, .. }, Value::Map(entries)) => {
                entries.iter().all(|(_, v)| values.is_normal(v))
            }
            _ => true,
        }
    }

    pub(super) fn mismatch(&self, value: &Value) -> Violation {
        self.violation(value, "type", &format!("is {}; it must be {}", kind_of(value), self.in_words()))
    }

    pub(super) fn violation(&self, value: &Value, keyword: &'static str, message: &str) -> Violation {
        let value = shortened(&self.to_json(value).to_string());
        Violation { keyword, path: String::new(), message: format!("`{value}` {message}"), value }
    }

    fn not_one_of(&self, value: &Value, allowed: impl Iterator<Item = String>) -> Violation {
        let allowed: Vec<String> = allowed.collect();
        self.violation(value, "enum", &format!("is not one of {}", shortened(&allowed.join(", "))))
    }

    /// What a value of it is, for a message.
    pub(crate) fn in_words(&self) -> &'static str {
        match self.kind {
            Kind::Boolean => "a boolean",
            Kind::Integer { .. } => "an integer",
            Kind::Number { .. } => "a number",
            Kind::String { .. } => "a text",
            Kind::Bytes { .. } => "bytes in base64",
            Kind::DateTime => "a date and time, as in 2013-02-01T05:00:00Z",
            Kind::Duration => "a duration, as in 90s or 1h30m",
            Kind::Array { .. } => "a list",
            Kind::Object(_) | Kind::Map { .. } => "an object",
        }
    }
}

impl StructType {
    /// Whether there is a value for each field, in their order, each of its type; null stands for absent where a value
    /// is not required.
    ///
    /// # Errors
    /// The first thing that is wrong; its path begins with the name of the field.
    pub fn check(&self, values: &[Value]) -> Outcome {
        if values.len() != self.fields.len() {
            let message = format!("there are {} values for {} fields", values.len(), self.fields.len());
            return Err(Violation { keyword: "type", path: String::new(), value: String::new(), message });
        }
        for (field, value) in self.fields.iter().zip(values) {
            let absent = matches!(value, Value::Null);
            if absent && field.required {
                return Err(missing(&field.name));
            }
            if !absent {
                field.ty.check(value).map_err(|v| v.within(&format!(".{}", field.name)))?;
            }
        }
        Ok(())
    }
}

/// A required field without a value.
pub(super) fn missing(name: &str) -> Violation {
    let (path, message) = (format!(".{name}"), format!("`{name}` is missing"));
    Violation { keyword: "required", path, value: "null".to_owned(), message }
}

impl Violation {
    /// The same, seen from one level out.
    #[must_use]
    pub(super) fn within(mut self, outer: &str) -> Self {
        self.path.insert_str(0, outer);
        self
    }
}

fn at_most(
    ty: &FieldType,
    value: &Value,
    keyword: &'static str,
    length: usize,
    most: u32,
    of: &str,
) -> Outcome {
    if length <= usize::try_from(most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(ty.violation(value, keyword, &format!("has {length} {of}; at most {most} are allowed")))
}

fn at_least(
    ty: &FieldType,
    value: &Value,
    keyword: &'static str,
    length: usize,
    least: u32,
    of: &str,
) -> Outcome {
    if length >= usize::try_from(least).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(ty.violation(value, keyword, &format!("has {length} {of}; at least {least} are needed")))
}

/// Whether a quotient is whole, give or take a billionth of itself: 0.3 is a multiple of 0.1.
fn is_multiple(n: f64, of: f64) -> bool {
    let quotient = n / of;
    (quotient - quotient.round()).abs() <= 1e-9 * quotient.abs().max(1.0)
}

/// Equality of finite numbers, where −0 is 0.
pub(super) fn same_number(a: f64, b: f64) -> bool {
    (a + 0.0).to_bits() == (b + 0.0).to_bits()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "an integer",
        Value::Num(_) => "a number",
        Value::Str(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Time(_) => "a date and time",
        Value::Span(_) => "a duration",
        Value::List(_) => "a list",
        Value::Struct(_) | Value::Map(_) => "an object",
    }
}

/// At most 80 characters of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
