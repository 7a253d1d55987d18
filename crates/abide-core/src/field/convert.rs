//! What values of one type are as values of another.

use super::check::missing;
use super::{FieldType, Kind, StructType, Violation};
use crate::value::Value;

impl FieldType {
    /// Whether values of `other` can be values of this type as they are: where the type is the same, bounds aside, or integers
    /// become numbers. Of lists, objects and maps, that holds of what is within, too.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        match (&other.kind, &self.kind) {
            (Kind::Integer { .. }, Kind::Number { .. }) => true,
            (Kind::Array { items: other, .. }, Kind::Array { items: this, .. })
            | (Kind::Map { values: other, .. }, Kind::Map { values: this, .. }) => this.takes(other),
            (Kind::Object(other), Kind::Object(this)) => other.fields.iter().all(|property| {
                let same = this.slot(&property.name).and_then(|slot| this.get(slot));
                same.is_none_or(|same| same.ty.takes(&property.ty))
            }),
            (other, this) => std::mem::discriminant(other) == std::mem::discriminant(this),
        }
    }

    /// A value of `other` as one of this type, within its bounds. Between integers and numbers it is exact, either way; a
    /// property that an object lacks has its default.
    ///
    /// # Errors
    /// The first thing that keeps it from being one.
    pub(crate) fn convert(&self, other: &Self, value: &Value) -> Result<Value, Violation> {
        let value = self.normalize(self.carried(other, value)?);
        self.check(&value)?;
        Ok(value)
    }

    fn carried(&self, other: &Self, value: &Value) -> Result<Value, Violation> {
        let value = match (&other.kind, &self.kind, value) {
            (Kind::Integer { .. }, Kind::Number { .. }, Value::Int(whole)) => {
                exact_number(*whole).ok_or_else(|| inexact(value, "is no number of 64 bits"))?
            }
            (Kind::Number { .. }, Kind::Integer { .. }, Value::Num(number)) => {
                exact_integer(*number).ok_or_else(|| inexact(value, "is no integer"))?
            }
            (Kind::Array { items: other, .. }, Kind::Array { items: this, .. }, Value::List(items)) => {
                let item = |(n, item)| this.carried(other, item).map_err(|v| v.within(&format!("[{n}]")));
                Value::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
            }
            (Kind::Map { values: other, .. }, Kind::Map { values: this, .. }, Value::Map(entries)) => {
                let entry = |(key, value): &(_, _)| {
                    let value = this.carried(other, value).map_err(|v| v.within(&format!(".{key}")))?;
                    Ok((std::sync::Arc::clone(key), value))
                };
                Value::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            (Kind::Object(other), Kind::Object(this), Value::Struct(values)) => {
                Value::Struct(this.carried(other, values)?.into())
            }
            _ => value.clone(),
        };
        Ok(value)
    }
}

impl StructType {
    fn carried(&self, other: &Self, values: &[Value]) -> Result<Vec<Value>, Violation> {
        // A null is a value where the type says so, and else stands for none.
        let had = other.fields.iter().zip(values);
        let had: Vec<_> = had.filter(|(f, value)| f.ty.nullable || !matches!(value, Value::Null)).collect();
        if let Some((lost, _)) = had.iter().find(|(property, _)| self.slot(&property.name).is_none()) {
            return Err(self.unknown(&lost.name));
        }
        let one = |property: &super::Field| match had.iter().find(|(had, _)| had.name == property.name) {
            Some((had, value)) => {
                property.ty.carried(&had.ty, value).map_err(|v| v.within(&format!(".{}", property.name)))
            }
            None if property.required => Err(missing(&property.name)),
            None => Ok(property.ty.initial()),
        };
        self.fields.iter().map(one).collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a loss is what is looked for"
)]
fn exact_number(whole: i64) -> Option<Value> {
    let number = whole as f64;
    (number as i128 == i128::from(whole)).then_some(Value::Num(number))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a loss is what is looked for"
)]
fn exact_integer(number: f64) -> Option<Value> {
    let whole = i64::try_from(number as i128).ok()?;
    (whole as f64).eq(&number).then_some(Value::Int(whole))
}

fn inexact(value: &Value, what: &str) -> Violation {
    let value = super::untyped_to_json(value).to_string();
    Violation { keyword: "type", path: String::new(), message: format!("`{value}` {what}"), value }
}
