//! `report`: one page about objects, for a person.

use std::path::PathBuf;

use abide_host::report::Ground;
use clap::Args;

use super::ask;
use crate::context::{Context, durable};
use crate::error::{Answer, CommandError};
use crate::file::write_whole;
use crate::output::counted;

const EXAMPLES: &str = "\
Examples:
  abide report ewr -o report.html
  abide report --all -o orchard.html
  abide report ewr --json | jq '.objects[0].denials'

The page needs no network and no script. Exit code: 0, or 1 if the log does not verify; the page
says so, too, with all that is wrong, and tells of the objects by what stands before that.";

/// Write a report on objects: one self-contained HTML page for a person
///
/// Of each object: what is in force, decisions, operators' overrides, denials, gaps in time, and its slope as a plot. The
/// whole log is verified; one that is damaged has a page, too. With `--json`: what the page holds.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WriteReport {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The page; `-` is standard output
    #[arg(long, short, value_name = "FILE", required_unless_present = "json")]
    output: Option<PathBuf>,
}

impl WriteReport {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let folder = context.folder()?;
        let ground = Ground::open(&folder, durable(&folder))?;
        if let Some(view) = ground.whole() {
            // Says of a name that is not there what the names are.
            ask::objects(view, &self.objects, self.all)?;
        }
        let report = ground.report((!self.all).then_some(&self.objects))?;
        let answer = Answer::of(report.verified.is_verified());
        let to_stdout = self.output.as_ref().is_some_and(|path| path.as_os_str() == "-");
        if let Some(path) = self.output.as_ref().filter(|_| !to_stdout) {
            write_whole(path, report.to_html().as_bytes())?;
        }
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&report.to_json())?;
        } else if to_stdout {
            out.text(report.to_html())?;
        } else if let Some(path) = &self.output {
            let verdict = if answer == Answer::Yes { out.good("verified") } else { out.bad("not verified") };
            let objects = counted(u64::try_from(report.objects.len()).unwrap_or(u64::MAX), "object");
            let until = report
                .sound_records
                .map(|records| format!(" by the first {} alone", counted(records, "record")));
            let until = until.unwrap_or_default();
            out.line(format_args!("{verdict}: a report on {objects}{until} is in `{}`", path.display()))?;
        }
        Ok(answer)
    }
}
