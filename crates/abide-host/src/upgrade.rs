//! What an upgrade would change of an object, before anyone signs it.

use std::sync::Arc;

use abide_core::admission::{Change, OperatorAct};
use abide_core::field::Slot;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::json::{behaviour_json, micro_json};
use abide_core::record::{Hash, Reason};
use abide_core::schema::{Micro, Schema};
use abide_core::time::Timestamp;
use abide_core::transition::{Origin, carried_back, counterpart};
use abide_core::value::Value;
use serde_json::{Value as Json, json};

/// What would become of an object.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its id.
    pub object: Arc<str>,
    /// The schema in force.
    pub from: Arc<Schema>,
    /// The schema that would be in force.
    pub to: Arc<Schema>,
    /// The behaviour that would be in force.
    pub behaviour: Option<Behaviour>,
    /// Each field of either schema, in the order of the new one, those that it has not at the end; none where it is refused.
    pub fields: Vec<FieldPlan>,
    /// What is left of the slope now, and would be; null without a bound.
    pub slope: (Option<Micro>, Option<Micro>),
    /// Everything that the object has against it.
    pub refused: Vec<Reason>,
}

/// What would become of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPlan {
    /// Its name; of one that is given up, its old name.
    pub field: Arc<str>,
    /// Where its value would come from.
    pub how: How,
    /// Its value now, under the name that it has now; null where it has none.
    pub before: Json,
    /// Its value then.
    pub after: Json,
}

/// Where the value of a field would come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It stays.
    Kept,
    /// From the field of that name.
    Renamed(Arc<str>),
    /// From an expression of the migration.
    Computed(Arc<str>),
    /// From a default: the field is new, or had no value.
    Default,
    /// It is what it was before the upgrade that is reverted.
    Restored,
    /// It is given up.
    Removed,
}

impl How {
    /// As JSON has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Renamed(_) => "renamed",
            Self::Computed(_) => "computed",
            Self::Default => "default",
            Self::Restored => "restored",
            Self::Removed => "removed",
        }
    }
}

impl FieldPlan {
    /// Whether the field would be another one, or have another value.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self.how, How::Kept | How::Computed(_) | How::Restored) || self.before != self.after
    }
}

impl Plan {
    /// What an act would make of an object at a time, its signature aside.
    #[must_use]
    pub fn of(object: &Object, act: &OperatorAct, now: Timestamp) -> Self {
        let to = match act {
            OperatorAct::Schema(transition, _) => transition.to(),
            _ => &object.schema,
        };
        let mut plan = Self::refused(object, to, now, Vec::new());
        match act.check(object, now) {
            Ok(Change::Force { behaviour, schema, .. }) => {
                plan.behaviour = behaviour;
                if let Some((to, memory)) = schema {
                    let rebased = object.state.rebased(&plan.from, &to, object.allotment.as_ref(), now);
                    let bucket = rebased.ok().and_then(|rebased| rebased.bucket);
                    plan.slope.1 = bucket.map(|bucket| bucket.level);
                    plan.to = to;
                    plan.fields = plan.compare(object, act, &memory);
                }
            }
            Ok(_) => {}
            Err(denials) => plan.refused = denials.into_iter().map(|denial| denial.reason).collect(),
        }
        plan
    }

    /// That a schema takes no force for an object, and why.
    #[must_use]
    pub fn refused(object: &Object, to: &Arc<Schema>, now: Timestamp, refused: Vec<Reason>) -> Self {
        let level = object.state.bucket.map(|bucket| bucket.at(now).level);
        Self {
            object: Arc::clone(&object.id),
            from: Arc::clone(&object.schema),
            to: Arc::clone(to),
            behaviour: object.behaviour,
            fields: Vec::new(),
            slope: (level, level),
            refused,
        }
    }

    fn compare(&self, object: &Object, act: &OperatorAct, memory: &[Value]) -> Vec<FieldPlan> {
        let Self { from, to, .. } = self;
        let shown = |schema: &Schema, index: usize, memory: &[Value]| {
            let field = schema.memory.fields.get(index);
            match (field, memory.get(index)) {
                (Some(field), Some(value)) if !matches!(value, Value::Null) => field.ty.to_json(value),
                _ => Json::Null,
            }
        };
        let mut taken = vec![false; from.memory.fields.len()];
        let mut plans = Vec::with_capacity(to.memory.fields.len());
        for ((index, field), slot) in to.memory.fields.iter().enumerate().zip((0..).map(Slot)) {
            let same = from.memory.slot(&field.name);
            let (had, mut how) = match act {
                OperatorAct::Schema(transition, _) => match transition.origins().get(index) {
                    Some(Origin::Carried(had)) => (Some(*had), How::Kept),
                    Some(Origin::Computed(program)) => (same, How::Computed(program.source().into())),
                    Some(Origin::New) | None => (None, How::Default),
                },
                _ => match counterpart(to, slot, from) {
                    Some(had) => {
                        let now = object.state.memory.get(usize::from(had.0));
                        let back = now.and_then(|now| carried_back(to, slot, from, had, now));
                        let is_kept = back.as_ref() == memory.get(index);
                        (Some(had), if is_kept { How::Kept } else { How::Restored })
                    }
                    None => (same, How::Restored),
                },
            };
            let had_index = had.map(|slot| usize::from(slot.0));
            let before = had_index.map_or(Json::Null, |had| shown(from, had, &object.state.memory));
            let after = shown(to, index, memory);
            if let Some(had) = had_index {
                taken.get_mut(had).into_iter().for_each(|taken| *taken = true);
                let name = from.memory.fields.get(had).map(|field| &field.name);
                match (&how, name) {
                    (How::Kept, _) if before.is_null() && !after.is_null() => how = How::Default,
                    (How::Kept, Some(name)) if *name != field.name => how = How::Renamed(Arc::clone(name)),
                    _ => {}
                }
            }
            plans.push(FieldPlan { field: Arc::clone(&field.name), how, before, after });
        }
        let given_up = from.memory.fields.iter().enumerate().zip(taken).filter(|(_, taken)| !taken);
        plans.extend(given_up.map(|((index, field), _)| FieldPlan {
            field: Arc::clone(&field.name),
            how: How::Removed,
            before: shown(from, index, &object.state.memory),
            after: Json::Null,
        }));
        plans
    }

    /// What `upgrade --plan --json` prints of an object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let schema = |schema: &Schema| json!({ "name": &*schema.name, "version": &*schema.version, "digest": Hash(schema.digest).to_string() });
        let field = |plan: &FieldPlan| {
            json!({
                "field": &*plan.field,
                "how": plan.how.name(),
                "from": match &plan.how { How::Renamed(from) => Some(&**from), _ => None },
                "expression": match &plan.how { How::Computed(source) => Some(&**source), _ => None },
                "changes": plan.changes(),
                "before": plan.before,
                "after": plan.after,
            })
        };
        let level = |level: Option<Micro>| level.map_or(Json::Null, micro_json);
        json!({
            "object": &*self.object,
            "admitted": self.refused.is_empty(),
            "from": schema(&self.from),
            "to": schema(&self.to),
            "behaviour": self.behaviour.map(behaviour_json),
            "fields": self.fields.iter().map(field).collect::<Vec<_>>(),
            "slope": { "before": level(self.slope.0), "after": level(self.slope.1) },
            "refused": self.refused.iter().map(Reason::to_json).collect::<Vec<_>>(),
        })
    }
}
