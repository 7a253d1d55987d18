//! `report`: one page about objects, for a person.

use std::path::PathBuf;

use abide_host::report::report;
use clap::Args;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::file::write_whole;
use crate::output::counted;

const EXAMPLES: &str = "\
Examples:
  abide report ewr -o report.html
  abide report --all -o orchard.html
  abide report ewr --json | jq '.objects[0].denials'

The page needs no network and no script. Exit code: 0, or 1 if the log does not verify; the page says so, too.";

/// Write a report on objects: one self-contained HTML page for a person
///
/// Of each object: what is in force, decisions, operators' overrides, denials, gaps in time, and its slope as a plot. The
/// whole log is verified. With `--json`: what the page holds.
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
        let view = context.view()?;
        let objects = ask::objects(&view, &self.objects, self.all)?;
        let report = report(&view, &objects)?;
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
            let objects = counted(u64::try_from(objects.len()).unwrap_or(u64::MAX), "object");
            out.line(format_args!("{verdict}: a report on {objects} is in `{}`", path.display()))?;
        }
        Ok(answer)
    }
}
