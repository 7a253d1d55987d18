//! `lineage`: the records of an object, as a list and as they come.

use std::thread;
use std::time::Duration;

use abide_core::record::HOST;
use abide_host::view::{Lineage, Link, View};
use clap::Args;
use serde_json::{Map, Value as Json};

use super::ask;
use super::show::short;
use crate::context::{Context, durable};
use crate::error::{Answer, CommandError};
use crate::output::Output;

/// How often a lineage that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Longest text of a record in a list.
const WORDS_MAX: usize = 140;

const EXAMPLES: &str = "\
Examples:
  abide lineage ewr --limit 20
  abide lineage ewr --follow
  abide lineage ewr --json | jq 'select(.kind == \"denial\") | .reason'
  abide lineage @host                the host's own: schemas, and how far sources were read";

/// Show an object's records, the oldest first
///
/// With `--json`: a record a line.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowLineage {
    /// The object's id
    object: String,
    /// Go on with records as they are made, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Only the last N
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

impl ShowLineage {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let folder = context.folder()?;
        let mut view = context.view()?;
        if self.object != HOST {
            ask::object(&view, &self.object)?;
        }
        let lineage = view.lineage(&self.object)?;
        let mut seen = lineage.length;
        match self.limit {
            None => {
                for link in view.records(lineage)? {
                    tell(&mut context.out, &link?)?;
                }
            }
            Some(limit) => tell_last(&mut context.out, &view, lineage, limit)?,
        }
        if !self.follow {
            return Ok(Answer::Yes);
        }
        loop {
            context.out.flush()?;
            thread::sleep(LOOK_EVERY);
            view.refresh_until(durable(&folder))?;
            let lineage = view.lineage(&self.object)?;
            let new = usize::try_from(lineage.length.saturating_sub(seen)).unwrap_or(usize::MAX);
            tell_last(&mut context.out, &view, lineage, new)?;
            seen = lineage.length;
        }
    }
}

fn tell_last(out: &mut Output, view: &View, lineage: Lineage<'_>, limit: usize) -> Result<(), CommandError> {
    let mut links = view.backwards(lineage)?.take(limit).collect::<Result<Vec<_>, _>>()?;
    links.reverse();
    links.iter().try_for_each(|link| tell(out, link))
}

fn tell(out: &mut Output, link: &Link) -> Result<(), CommandError> {
    if out.json() {
        return out.json_line(&whole(link.to_json()));
    }
    let record = &link.record;
    let head = out.faint(format_args!("{:>6}  {}", record.seq, short(&link.hash.to_string())));
    let what = cut(link.describe());
    let what = if what.starts_with("denial") { out.bad(what) } else { what };
    out.line(format_args!("{head}  {}  {what}", record.time))
}

/// One line for a record; the whole of it is in its JSON.
pub(super) fn cut(what: String) -> String {
    if what.chars().count() <= WORDS_MAX {
        return what;
    }
    what.chars().take(WORDS_MAX - 1).chain(['…']).collect()
}

/// A record with the keys that every record has, whatever happened: what it has no word for is null, it changed nothing
/// and cost nothing.
fn whole(record: Json) -> Json {
    let Json::Object(mut record) = record else { return record };
    for name in ["mutation", "caller", "rule", "args"] {
        record.entry(name).or_insert(Json::Null);
    }
    record.entry("changes").or_insert_with(|| Map::new().into());
    record.entry("cost").or_insert_with(|| 0.into());
    if let Some(reason) = record.get_mut("reason") {
        ask::complete_reason(reason);
    }
    Json::Object(record)
}
