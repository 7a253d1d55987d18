//! What an upgrade would change, and decide otherwise: for people and as JSON.

use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::guest::Behaviour;
use abide_host::backtest::{Backtested, Rules, Ticks, backtest};
use abide_host::behaviour::{Behaviours, Compiler, Image};
use abide_host::upgrade::{FieldPlan, How, Plan};
use abide_host::view::View;
use serde_json::{Value as Json, json};

use super::{Asked, Prepared};
use crate::command::backtest;
use crate::error::{Answer, CommandError};
use crate::output::{Output, counted};

/// What an object would have decided, or why that cannot be tried.
pub(super) type Tried = Result<Backtested, String>;

/// What each object would have decided under what is to take force.
pub(super) fn tried(
    view: &View,
    prepared: &[Prepared<'_>],
    compiler: &Arc<Compiler>,
) -> Result<Vec<Tried>, CommandError> {
    let behaviours = Behaviours::new(view.reader().blobs(), Arc::clone(compiler));
    let ticks = Ticks::read(view)?;
    let one = |Asked { object, act, image }: &Asked<'_>| {
        let schema = match act {
            OperatorAct::Schema(transition, _) => transition.to(),
            OperatorAct::Revert { .. } => {
                let kept = object.state.previous.as_ref().and_then(|kept| kept.schema.as_ref());
                kept.map_or(&object.schema, |before| &before.schema)
            }
            _ => &object.schema,
        };
        let behaviour = match act {
            OperatorAct::Revert { behaviour, .. } => *behaviour,
            _ => image.as_ref().map(Image::behaviour),
        };
        let guest: &dyn abide_core::guest::Guest = match image {
            Some(image) => image,
            None => &behaviours,
        };
        let rules = Rules { schema: Arc::clone(schema), behaviour, guest };
        backtest(view, object, &rules, &ticks).map_err(|error| error.to_string())
    };
    Ok(prepared.iter().filter_map(|one| one.asked.as_ref()).map(one).collect())
}

/// Tells the plans, and what the objects would have decided.
pub(super) fn tell(
    out: &mut Output,
    prepared: &[Prepared<'_>],
    tried: &[Tried],
) -> Result<Answer, CommandError> {
    let plans = || prepared.iter().map(|one| &one.plan);
    let admitted = plans().all(|plan| plan.refused.is_empty());
    if out.json() {
        let tried = tried.iter().zip(plans()).map(|(tried, plan)| match tried {
            Ok(tried) => tried.to_json(),
            Err(why) => json!({ "object": &*plan.object, "error": why }),
        });
        let plan = json!({
            "admitted": admitted,
            "objects": plans().map(Plan::to_json).collect::<Vec<_>>(),
            "backtest": tried.collect::<Vec<Json>>(),
        });
        out.json_pretty(&plan)?;
        return Ok(Answer::of(admitted));
    }
    if prepared.is_empty() {
        out.line("nothing is to be done: no object differs from that")?;
    }
    for (n, one) in prepared.iter().enumerate() {
        tell_plan(out, one)?;
        match tried.get(n) {
            Some(Ok(tried)) => backtest::tell(out, tried, &one.plan.to)?,
            Some(Err(why)) => out.line(format_args!("what it would have decided cannot be tried: {why}"))?,
            None => {}
        }
    }
    Ok(Answer::of(admitted))
}

/// Tells why nothing is changed.
pub(super) fn refuse(out: &mut Output, prepared: &[Prepared<'_>]) -> Result<Answer, CommandError> {
    if out.json() {
        return tell(out, prepared, &[]);
    }
    let mut refused: u64 = 0;
    for one in prepared.iter().filter(|one| !one.plan.refused.is_empty()) {
        tell_plan(out, one)?;
        refused += 1;
    }
    let refused = counted(refused, "object");
    out.line(format_args!("nothing was changed: {refused} of {} cannot take it", prepared.len()))?;
    Ok(Answer::No)
}

fn tell_plan(out: &mut Output, Prepared { object, plan, .. }: &Prepared<'_>) -> Result<(), CommandError> {
    let name = out.strong(&plan.object);
    let (from, to) = (&plan.from, &plan.to);
    let versions = if from == to {
        format!("{} {}", to.name, to.version)
    } else if from.name == to.name {
        format!("{} {} → {}", to.name, from.version, to.version)
    } else {
        format!("{} {} → {} {}", from.name, from.version, to.name, to.version)
    };
    if !plan.refused.is_empty() {
        let refused = out.bad("refused");
        out.line(format_args!("{name}  {versions}  {refused}"))?;
        for reason in &plan.refused {
            out.line(format_args!("  {}: {}", reason.code.name(), reason.message))?;
        }
        return Ok(());
    }
    out.line(format_args!("{name}  {versions}"))?;
    let changed: Vec<&FieldPlan> = plan.fields.iter().filter(|field| field.changes()).collect();
    let rows = changed.iter().map(|field| {
        let shown =
            |value: &Json| if value.is_null() { "-".to_owned() } else { backtest::cut(&value.to_string()) };
        let how = match &field.how {
            How::Renamed(from) => format!("renamed from {from}"),
            How::Computed(source) => backtest::cut(source),
            how => how.name().to_owned(),
        };
        vec![field.field.to_string(), shown(&field.before), shown(&field.after), how]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        out.table(&["FIELD", "NOW", "THEN", "HOW"], &[], rows)?;
    }
    let kept = plan.fields.len() - changed.len();
    if kept > 0 {
        let kept = counted(u64::try_from(kept).unwrap_or(u64::MAX), "field");
        out.line(format_args!("{kept} with the same value"))?;
    }
    if let Some(change) = behaviour_change(object.behaviour, plan.behaviour) {
        out.line(change)?;
    }
    Ok(())
}

/// What becomes of a behaviour, in words; `None` where it stays.
fn behaviour_change(now: Option<Behaviour>, then: Option<Behaviour>) -> Option<String> {
    match (now, then) {
        (Some(now), None) => {
            Some(format!("the component {:.12} goes: the schema has no acts", now.component))
        }
        (None, Some(then)) => Some(format!("the component {:.12} comes", then.component)),
        (Some(now), Some(then)) if now == then => None,
        (Some(now), Some(then)) if now.component == then.component => {
            Some(format!("the component {:.12} stays, with other named values", now.component))
        }
        (Some(now), Some(then)) => {
            Some(format!("the component {:.12} takes over from {:.12}", then.component, now.component))
        }
        (None, None) => None,
    }
}
