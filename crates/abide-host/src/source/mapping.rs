//! A source's mapping, bound to the schemas of the objects that it reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::document::Diagnostics;
use abide_core::field::{FieldType, Kind};
use abide_core::schema::{CallerKind, Mutation, MutationIx, Schema};
use abide_core::time::Timestamp;
use abide_core::value::Value;

use super::config::{ArgumentConfig, At, ObjectConfig, ObservationConfig, SourceConfig, suggestion};
use super::{LineError, Observation, TimeFormat};
use crate::units::Conversion;

/// An object component that a source is linked to.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The component's name.
    pub component: Arc<str>,
    /// Its schema.
    pub schema: Arc<Schema>,
    /// The ids of its objects.
    pub objects: Vec<Arc<str>>,
}

/// How a line becomes observations.
#[derive(Debug)]
pub struct Mapping {
    columns: Vec<Box<str>>,
    time: Option<(usize, TimeFormat)>,
    object: ObjectPlan,
    /// For each object the plans of its component.
    objects: BTreeMap<Arc<str>, usize>,
    plans: Vec<(Arc<Schema>, Vec<ObservationPlan>)>,
    missing: Vec<Box<str>>,
}

#[derive(Debug)]
enum ObjectPlan {
    Fixed(Arc<str>),
    Column { column: usize, map: BTreeMap<Box<str>, Arc<str>>, lowercase: bool },
}

#[derive(Debug)]
struct ObservationPlan {
    mutation: MutationIx,
    args: Vec<ArgumentPlan>,
}

#[derive(Debug)]
enum ArgumentPlan {
    Fixed(Value),
    Column(Box<ColumnPlan>),
}

#[derive(Debug)]
struct ColumnPlan {
    column: usize,
    ty: FieldType,
    conversion: Option<Conversion>,
    format: TimeFormat,
    missing_null: bool,
}

/// What a line holds in one column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Absent,
    /// Text, without the spaces around it.
    Text(&'a str),
    /// A JSON value.
    Json(&'a serde_json::Value),
}

/// A line, taken apart.
pub(super) trait Row {
    /// What it holds in a column, by its place in [`Mapping::columns`].
    fn cell(&self, column: usize) -> Cell<'_>;
}

impl Mapping {
    /// Binds what the manifest says to the schemas of the recipients. Every observation must be a mutation of each of
    /// them. `None`, and diagnostics, where something does not fit.
    pub fn bind(config: &SourceConfig, recipients: &[Recipient], out: &Diagnostics) -> Option<Self> {
        let mut columns = Columns { names: Vec::new() };
        let time = config.time.as_ref().map(|time| (columns.index(&time.column.value), time.format.clone()));
        let objects: BTreeMap<Arc<str>, usize> = recipients
            .iter()
            .enumerate()
            .flat_map(|(n, recipient)| recipient.objects.iter().map(move |id| (Arc::clone(id), n)))
            .collect();
        let object = bind_object(&config.object, &objects, &mut columns, out);
        let mut plans = Vec::new();
        for recipient in recipients {
            let binder = Binder { config, recipient, out };
            let bound: Vec<_> =
                config.observations.iter().map(|o| binder.observation(o, &mut columns)).collect();
            let bound = bound.into_iter().collect::<Option<Vec<_>>>();
            plans.push(bound.map(|bound| (Arc::clone(&recipient.schema), bound)));
        }
        let plans = plans.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Self {
            columns: columns.names,
            time,
            object: object?,
            objects,
            plans,
            missing: config.missing.clone(),
        })
    }

    /// The columns that are read, each once.
    #[must_use]
    pub fn columns(&self) -> &[Box<str>] {
        &self.columns
    }

    /// The line's time, where the mapping names a column for it.
    pub(super) fn time(&self, row: &impl Row) -> Result<Option<Timestamp>, LineError> {
        let Some((column, format)) = &self.time else { return Ok(None) };
        let name = self.column_name(*column);
        let text = self.text(row, *column).ok_or_else(|| {
            LineError::new(format!("the time in `{name}` is missing"), "a replayed line needs a time")
        })?;
        format.read(&text).map(Some).ok_or_else(|| {
            let message = format!("`{}` in `{name}` is not a time", shortened(&text));
            LineError::new(
                message,
                format!("write it as in `{}`, or set the `format` of `time`", format.example()),
            )
        })
    }

    /// The id of the object that the line is for.
    pub(super) fn object(&self, row: &impl Row) -> Result<&Arc<str>, LineError> {
        let (column, map, lowercase) = match &self.object {
            ObjectPlan::Fixed(id) => return Ok(id),
            ObjectPlan::Column { column, map, lowercase } => (*column, map, *lowercase),
        };
        let name = self.column_name(column);
        let Some(text) = self.text(row, column) else {
            return Err(LineError::new(
                format!("the object in `{name}` is missing"),
                "name an object in every line",
            ));
        };
        let found = if map.is_empty() {
            let id = if lowercase { text.to_lowercase() } else { text.clone() };
            self.objects.get_key_value(id.as_str()).map(|(id, _)| id)
        } else {
            map.get(text.as_str())
        };
        found.ok_or_else(|| {
            let message =
                format!("`{}` in `{name}` names no object that this source is linked to", shortened(&text));
            let known: Vec<&str> = match map.is_empty() {
                true => self.objects.keys().map(|id| &**id).collect(),
                false => map.keys().map(|key| &**key).collect(),
            };
            LineError::new(message, suggestion(&text, known, "names"))
        })
    }

    /// What the line asks for. A value that is missing leaves out its observation alone.
    pub(super) fn observations(&self, row: &impl Row) -> Result<Vec<Observation>, LineError> {
        let object = self.object(row)?;
        let Some((schema, plans)) = self.objects.get(object).and_then(|n| self.plans.get(*n)) else {
            return Ok(Vec::new());
        };
        let read = |plan: &ObservationPlan| {
            let args = plan.args.iter().map(|arg| self.argument(arg, row)).collect::<Option<Vec<_>>>()?;
            let (object, schema) = (Arc::clone(object), Arc::clone(schema));
            Some(Observation { object, schema, mutation: plan.mutation, args })
        };
        Ok(plans.iter().filter_map(read).collect())
    }

    /// The argument; `None` where it is missing.
    fn argument(&self, plan: &ArgumentPlan, row: &impl Row) -> Option<Value> {
        let plan = match plan {
            ArgumentPlan::Fixed(value) => return Some(value.clone()),
            ArgumentPlan::Column(plan) => plan,
        };
        let value = match row.cell(plan.column) {
            Cell::Text(text) if !self.is_missing(text) => Some(plan.read_text(text)),
            Cell::Json(json) if !self.is_missing_json(json) => Some(plan.read_json(json)),
            _ => None,
        };
        value.or(plan.missing_null.then_some(Value::Null))
    }

    fn text(&self, row: &impl Row, column: usize) -> Option<String> {
        match row.cell(column) {
            Cell::Text(text) if !self.is_missing(text) => Some(text.to_owned()),
            Cell::Json(json) if !self.is_missing_json(json) => match json {
                serde_json::Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            },
            _ => None,
        }
    }

    fn is_missing(&self, text: &str) -> bool {
        self.missing.iter().any(|missing| **missing == *text)
    }

    fn is_missing_json(&self, json: &serde_json::Value) -> bool {
        match json {
            serde_json::Value::Null => true,
            serde_json::Value::String(text) => self.is_missing(text),
            serde_json::Value::Number(number) => self.is_missing(&number.to_string()),
            _ => false,
        }
    }

    fn column_name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", |name| &**name)
    }
}

impl ColumnPlan {
    /// The value of a text; the text itself where it is none of the type.
    fn read_text(&self, text: &str) -> Value {
        let read = match (&self.ty.kind, &self.conversion) {
            (_, Some(conversion)) => decimal(text).and_then(|value| self.converted(conversion, value)),
            (Kind::Number { .. }, None) => decimal(text).map(Value::Num),
            (Kind::DateTime, None) => self.format.read(text).map(Value::Time),
            _ => self.ty.value_from_text(text).ok(),
        };
        read.map_or_else(|| Value::from(text), |value| self.ty.normalize(value))
    }

    fn read_json(&self, json: &serde_json::Value) -> Value {
        let read = match (&self.ty.kind, &self.conversion) {
            (_, Some(conversion)) => json.as_f64().and_then(|value| self.converted(conversion, value)),
            (Kind::DateTime, None) => match json {
                serde_json::Value::String(text) => self.format.read(text).map(Value::Time),
                serde_json::Value::Number(number) => self.format.read(&number.to_string()).map(Value::Time),
                _ => None,
            },
            _ => self.ty.value_from_json(json).ok(),
        };
        let as_it_stands = || match json {
            serde_json::Value::String(text) => Value::from(text.as_str()),
            other => Value::from(other.to_string().as_str()),
        };
        read.map_or_else(as_it_stands, |value| self.ty.normalize(value))
    }

    /// The value in the unit of the argument. An integer stays one only where the result is whole.
    fn converted(&self, conversion: &Conversion, value: f64) -> Option<Value> {
        let value = conversion.apply(value)?;
        match self.ty.kind {
            Kind::Integer { .. } if value.fract() == 0.0 => {
                format!("{value:.0}").parse().ok().map(Value::Int)
            }
            _ => Some(Value::Num(value)),
        }
    }
}

/// A finite decimal; not `inf`, `nan` or a hexadecimal.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|value: &f64| plain && value.is_finite())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Column names, each once, in the order in which they are first asked for.
struct Columns {
    names: Vec<Box<str>>,
}

impl Columns {
    fn index(&mut self, name: &str) -> usize {
        if let Some(found) = self.names.iter().position(|n| **n == *name) {
            return found;
        }
        self.names.push(name.into());
        self.names.len() - 1
    }
}

fn bind_object(
    config: &ObjectConfig,
    objects: &BTreeMap<Arc<str>, usize>,
    columns: &mut Columns,
    out: &Diagnostics,
) -> Option<ObjectPlan> {
    let known = |id: &At<Arc<str>>| {
        let found = objects.contains_key(&id.value);
        if !found {
            let message = format!("this source is linked to no object `{}`", id.value);
            let ids: Vec<&str> = objects.keys().map(|id| &**id).collect();
            out.error(id.span.clone(), message, suggestion(&id.value, ids, "objects"));
        }
        found
    };
    match config {
        ObjectConfig::Fixed(id) => known(id).then(|| ObjectPlan::Fixed(Arc::clone(&id.value))),
        ObjectConfig::Column { column, map, lowercase } => {
            let unknown = map.iter().filter(|(_, id)| !known(id)).count();
            let map = map.iter().map(|(text, id)| (text.clone(), Arc::clone(&id.value))).collect();
            let plan =
                ObjectPlan::Column { column: columns.index(&column.value), map, lowercase: *lowercase };
            (unknown == 0).then_some(plan)
        }
    }
}

/// Binds observations to the schema of one recipient.
struct Binder<'a> {
    config: &'a SourceConfig,
    recipient: &'a Recipient,
    out: &'a Diagnostics,
}

impl Binder<'_> {
    fn observation(&self, config: &ObservationConfig, columns: &mut Columns) -> Option<ObservationPlan> {
        let schema = &self.recipient.schema;
        let name = &config.mutation.value;
        let Some(ix) = schema.mutation(name) else {
            let open = schema.mutations.iter().filter(|m| is_open(m)).map(|m| &*m.name);
            let message = format!("`{}` has no mutation `{name}`", self.recipient.component);
            let help = suggestion(name, open, "mutations open to observations");
            self.out.error(config.mutation.span.clone(), message, help);
            return None;
        };
        let mutation = schema.mutations.get(usize::from(ix.0))?;
        if !is_open(mutation) {
            let message = format!(
                "the mutation `{name}` of `{}` is not open to observations",
                self.recipient.component
            );
            let help = "add `observation` to its `from`, or observe through another mutation";
            self.out.error(config.mutation.span.clone(), message, help);
            return None;
        }
        let args = self.arguments(mutation, config, columns)?;
        Some(ObservationPlan { mutation: ix, args })
    }

    fn arguments(
        &self,
        mutation: &Mutation,
        config: &ObservationConfig,
        columns: &mut Columns,
    ) -> Option<Vec<ArgumentPlan>> {
        let given: BTreeSet<&str> = config.args.iter().map(|(name, _)| &*name.value).collect();
        let mut complete = true;
        for (name, _) in config.args.iter().filter(|(name, _)| mutation.args.slot(&name.value).is_none()) {
            let message = format!("the mutation `{}` has no argument `{}`", mutation.name, name.value);
            let names = mutation.args.fields.iter().map(|f| &*f.name);
            self.out.error(name.span.clone(), message, suggestion(&name.value, names, "arguments"));
            complete = false;
        }
        for field in mutation.args.fields.iter().filter(|f| f.required && !given.contains(&*f.name)) {
            let message = format!("the argument `{}` of `{}` is not mapped", field.name, mutation.name);
            let help = format!("add `{}: COLUMN` to its `args`", field.name);
            self.out.error(config.mutation.span.clone(), message, help);
            complete = false;
        }
        let bound: Vec<_> = mutation
            .args
            .fields
            .iter()
            .map(|field| match config.args.iter().find(|(name, _)| *name.value == *field.name) {
                Some((name, argument)) => self.argument(&field.ty, name, argument, columns),
                None => Some(ArgumentPlan::Fixed(field.ty.initial())),
            })
            .collect();
        bound.into_iter().collect::<Option<Vec<_>>>().filter(|_| complete)
    }

    fn argument(
        &self,
        ty: &FieldType,
        name: &At<Box<str>>,
        config: &ArgumentConfig,
        columns: &mut Columns,
    ) -> Option<ArgumentPlan> {
        let (column, unit, format, missing_null) = match config {
            ArgumentConfig::Fixed(constant) => return self.constant(ty, name, constant),
            ArgumentConfig::Column { column, unit, format, missing_null } => {
                (column, unit, format, missing_null)
            }
        };
        let index = columns.index(&column.value);
        if let Some(span) = missing_null.as_ref().filter(|_| !ty.nullable) {
            let message = format!("the argument `{}` cannot be null", name.value);
            self.out.error(
                span.clone(),
                message,
                "take out `missing: null`, or make the field `nullable: true`",
            );
            return None;
        }
        let conversion = match unit {
            Some(unit) => Some(self.conversion(ty, name, unit)?),
            None => None,
        };
        let of_time = self.config.time.as_ref().filter(|time| time.column.value == column.value);
        let format = format.clone().or_else(|| of_time.map(|time| time.format.clone())).unwrap_or_default();
        let plan = ColumnPlan {
            column: index,
            ty: ty.clone(),
            conversion,
            format,
            missing_null: missing_null.is_some(),
        };
        Some(ArgumentPlan::Column(Box::new(plan)))
    }

    fn constant(
        &self,
        ty: &FieldType,
        name: &At<Box<str>>,
        constant: &At<serde_json::Value>,
    ) -> Option<ArgumentPlan> {
        let checked = ty.value_from_json(&constant.value).and_then(|value| {
            let value = ty.normalize(value);
            ty.check(&value).map(|()| value)
        });
        match checked {
            Ok(value) => Some(ArgumentPlan::Fixed(value)),
            Err(violation) => {
                let message = format!("the argument `{}{}`: {violation}", name.value, violation.path);
                self.out.error(constant.span.clone(), message, "write a value that the schema admits");
                None
            }
        }
    }

    fn conversion(&self, ty: &FieldType, name: &At<Box<str>>, unit: &At<Box<str>>) -> Option<Conversion> {
        let report = |message: String, help: &str| {
            self.out.error(unit.span.clone(), message, help);
            None
        };
        if !matches!(ty.kind, Kind::Number { .. } | Kind::Integer { .. }) {
            let kind = ty.format().unwrap_or(ty.type_name());
            let message = format!("the argument `{}` is of type `{kind}`, which has no unit", name.value);
            return report(message, "take out `unit`");
        }
        let Some(to) = &ty.unit else {
            let message = format!("the argument `{}` has no unit to convert `{}` to", name.value, unit.value);
            return report(message, "give its field a `unit` in the schema, or take out this one");
        };
        match Conversion::new(&unit.value, to) {
            Ok(conversion) => Some(conversion),
            Err(error) => report(error.to_string(), "check the unit of the column and that of the field"),
        }
    }
}

fn is_open(mutation: &Mutation) -> bool {
    mutation.from & (1 << CallerKind::Observation as u8) != 0
}
