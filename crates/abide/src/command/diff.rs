//! `diff`: one object at two places of its lineage.

use abide_host::history::{self, At, Diff, Part, What};
use clap::Args;

use super::ask;
use super::lineage::cut;
use super::replay::place;
use super::show::value_text;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::output::{Output, counted};

/// Most records that people are shown for one part: the last ones.
const SHOWN: usize = 5;

const EXAMPLES: &str = "\
Examples:
  abide diff ewr 120 180
  abide diff ewr 2013-03-20T00:00:00Z 2013-03-21T00:00:00Z
  abide diff ewr 0 120 --json | jq '.parts[] | select(.differs) | .field'

A place is a record's number or a time, as `abide replay --at` takes it. Exit code: 0 the two are equal, 1 they differ.";

/// Compare an object at two places of its lineage: memory, status and slope
///
/// For each part that differs, the records in between that changed it are named. The exit code is 1 if anything differs.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowDiff {
    /// The object's id
    object: String,
    /// The first place: a record's number, or a time
    #[arg(value_parser = place)]
    a: At,
    /// The second place
    #[arg(value_parser = place)]
    b: At,
}

impl ShowDiff {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let object = ask::object(&view, &self.object)?;
        let diff = history::diff(&view, object, self.a, self.b)?;
        if context.out.json() {
            context.out.json_pretty(&diff.to_json())?;
        } else {
            tell(&mut context.out, &diff)?;
        }
        Ok(Answer::of(diff.is_equal()))
    }
}

fn tell(out: &mut Output, diff: &Diff) -> Result<(), CommandError> {
    let Diff { object, a, b, records, parts } = diff;
    out.line(format_args!("{}  {} between the two", out.strong(object), counted(*records, "record")))?;
    out.line(format_args!("  a  record {}, {}", a.seq, a.time))?;
    out.line(format_args!("  b  record {}, {}", b.seq, b.time))?;
    for part in parts.iter().filter(|part| part.differs()) {
        out.line("")?;
        let line = format!("{}  {} → {}", out.strong(name(part)), value_text(&part.a), value_text(&part.b));
        out.line(line)?;
        tell_changes(out, part)?;
    }
    let back: Vec<String> =
        parts.iter().filter(|part| !part.differs() && !part.changes.is_empty()).map(name).collect();
    if !back.is_empty() {
        out.line(format_args!("\nchanged in between and came back: {}", back.join(", ")))?;
    }
    if diff.is_equal() {
        let line = out.good("the two are equal");
        out.line(line)?;
    }
    Ok(())
}

fn tell_changes(out: &mut Output, part: &Part) -> Result<(), CommandError> {
    let skipped = part.changes.len().saturating_sub(SHOWN);
    let before = part.changes_before.saturating_add(u64::try_from(skipped).unwrap_or(u64::MAX));
    if before > 0 {
        let line = out.faint(format_args!("  … {} before these", counted(before, "record")));
        out.line(line)?;
    }
    for change in part.changes.iter().skip(skipped) {
        out.line(format_args!("  {:>6}  {}  {}", change.seq, change.time, cut(change.cause.clone())))?;
    }
    if part.changes.is_empty() {
        // A level moves with time, too.
        out.line("  no record between the two: it moved with time")?;
    }
    Ok(())
}

fn name(part: &Part) -> String {
    match &part.what {
        What::Field(name) => name.to_string(),
        What::Status => "(status)".to_owned(),
        What::Slope => "(slope level)".to_owned(),
    }
}
