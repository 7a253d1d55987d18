//! `backtest`: what objects would have done under other rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::guest::Guest;
use abide_core::object::Object;
use abide_core::schema::Schema;
use abide_host::backtest::{Backtested, Decision, Difference, Rules, Ticks, backtest};
use abide_host::behaviour::{Behaviours, Compiler, Image};
use abide_host::view::View;
use clap::Args;
use serde_json::{Value as Json, json};

use super::{ask, schema};
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::pairs;
use crate::output::{Output, counted};

/// Most moments that people are shown of an object: the first ones.
const SHOWN: usize = 20;
/// Widest decision in a column.
const WIDTH: usize = 70;

const EXAMPLES: &str = "\
Examples:
  abide backtest ewr --schema frost-guard.yaml
  abide backtest --all --schema frost-guard.yaml --behaviour frost_guard.wasm --config margin=2.5
  abide backtest ewr --schema new.yaml --json | jq .objects[0].differences[0]

Decisions are the mutations of rules and behaviours with their arguments, denials, spawns, sleeps and wakes, retries, ends
and quarantines. Exit code: 0 every decision is the same, 1 one differs.";

/// Replay recorded observations under other rules, and show each decision that differs
///
/// Nothing is stored and nothing is called. The exit code is 1 if any decision differs.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowBacktest {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object whose schema has the name of the new one
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The new schema
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The new component; without it, the recorded ones act
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
    /// A named value that acts see; all of them anew
    #[arg(long, value_name = "NAME=VALUE", requires = "behaviour")]
    config: Vec<String>,
}

impl ShowBacktest {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let Some(schema) = schema::load_file(&self.schema, context)? else { return Ok(Answer::No) };
        let view = context.view()?;
        let compiler = context.compiler();
        let behaviours = Behaviours::new(view.reader().blobs(), Arc::clone(&compiler));
        let ticks = Ticks::read(&view)?;
        let mut all = Vec::new();
        for object in self.chosen(&view, &schema)? {
            let image = self.image(object, &schema, &behaviours, &compiler)?;
            let guest: &dyn Guest = match &image {
                Some(image) => image,
                None => &behaviours,
            };
            let behaviour = image.as_ref().map(Image::behaviour);
            let rules = Rules { schema: Arc::clone(&schema), behaviour, guest };
            let backtested = backtest(&view, object, &rules, &ticks)?;
            if !context.out.json() {
                tell(&mut context.out, &backtested, &schema)?;
            }
            all.push(backtested);
        }
        let answer = Answer::of(all.iter().all(Backtested::is_same));
        if context.out.json() {
            let objects: Vec<Json> = all.iter().map(Backtested::to_json).collect();
            let same = answer == Answer::Yes;
            context.out.json_pretty(&json!({ "same": same, "objects": objects }))?;
        }
        Ok(answer)
    }

    fn chosen<'a>(&self, view: &'a View, schema: &Schema) -> Result<Vec<&'a Object>, CommandError> {
        if !self.all {
            return self.objects.iter().map(|id| ask::object(view, id)).collect();
        }
        let all = view.engine().objects().iter();
        let all: Vec<_> = all.filter(|object| object.schema.name == schema.name).collect();
        if all.is_empty() {
            let message = format!("no object has a schema of the name `{}`", schema.name);
            return Err(CommandError::usage(message).help("name the objects; `abide ls` shows them"));
        }
        Ok(all)
    }

    fn image(
        &self,
        object: &Object,
        schema: &Arc<Schema>,
        behaviours: &Behaviours,
        compiler: &Compiler,
    ) -> Result<Option<Image>, CommandError> {
        let Some(path) = &self.behaviour else { return Ok(None) };
        let config: BTreeMap<String, String> = match object.behaviour {
            Some(had) if self.config.is_empty() => behaviours.config(had)?,
            _ => pairs(&self.config)?.into_iter().collect(),
        };
        Ok(Some(Image::read(path, config, schema, compiler)?))
    }
}

pub(super) fn tell(out: &mut Output, tested: &Backtested, schema: &Schema) -> Result<(), CommandError> {
    let Backtested { object, counts, differences, .. } = tested;
    let name = out.strong(object);
    let rules = format!("{} {}", schema.name, schema.version);
    for remark in &tested.remarks {
        let line = out.faint(format_args!("{object}: {remark}"));
        out.line(line)?;
    }
    if tested.is_same() {
        let same = out.good("no difference");
        let decisions = counted(counts.recorded, "decision");
        return out.line(format_args!("{name}  {same}: {decisions} under {rules} as recorded"));
    }
    let moments =
        u64::try_from(differences.len()).unwrap_or(u64::MAX).saturating_add(tested.differences_more);
    let differ = out.bad(format_args!("differs at {}", counted(moments, "moment")));
    out.line(format_args!(
        "{name}  {differ}: {} recorded, {} under {rules}, {} the same",
        counted(counts.recorded, "decision"),
        counts.new,
        counts.same
    ))?;
    if let Some(first) = differences.first() {
        out.line(format_args!("first divergence at {}", first.time))?;
    }
    out.line("")?;
    let rows = tested.kinds.iter().map(|(kind, counts)| {
        vec![kind.clone(), counts.recorded.to_string(), counts.new.to_string(), counts.same.to_string()]
    });
    let rows = rows.collect();
    out.table(&["DECISION", "RECORDED", "NEW", "SAME"], &[1, 2, 3], rows)?;
    out.line("")?;
    let rows = differences.iter().take(SHOWN).flat_map(side_by_side).collect();
    out.table(&["TIME", "RECORDED", "NEW"], &[], rows)?;
    let shown = u64::try_from(differences.len().min(SHOWN)).unwrap_or(u64::MAX);
    if moments > shown {
        out.line(format_args!("and {} more", counted(moments - shown, "moment")))?;
    }
    out.line("")
}

fn side_by_side(difference: &Difference) -> Vec<Vec<String>> {
    let line = |decision: Option<&Decision>| decision.map_or_else(|| "-".to_owned(), |one| cut(&one.line()));
    let rows = difference.recorded.len().max(difference.new.len());
    let row = |n: usize| {
        let time = if n == 0 { difference.time.to_string() } else { String::new() };
        vec![time, line(difference.recorded.get(n)), line(difference.new.get(n))]
    };
    (0..rows).map(row).collect()
}

/// What came from outside does not steer the terminal that shows it, and a column has its bound.
pub(super) fn cut(line: &str) -> String {
    let safe: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if safe.chars().count() <= WIDTH {
        return safe;
    }
    safe.chars().take(WIDTH - 1).chain(['…']).collect()
}
