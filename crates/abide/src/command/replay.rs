//! `replay`: a lineage done again.

use abide_core::guest::Guest;
use abide_core::time::Timestamp;
use abide_host::behaviour::Behaviours;
use abide_host::history::{self, At};
use clap::Args;

use super::{ask, show};
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::output::counted;

const EXAMPLES: &str = "\
Examples:
  abide replay ewr                              fold the whole lineage and hold it against the live state
  abide replay ewr --at 2013-03-01T05:00:00Z    the object as it stood then
  abide replay ewr --at 120                     the object after its record 120
  abide replay ewr --execute                    run its rules again on what was recorded";

/// Fold an object's lineage again, and compare
///
/// With `--execute` its rules run again on the recorded inputs and must come to the same records, byte for byte. The exit
/// code is 1 if anything differs.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The object's id
    object: String,
    /// Up to that record, by its number, or up to that time
    #[arg(long, value_name = "SEQ|TIME", value_parser = place)]
    at: Option<At>,
    /// Run the rules again, too, and the acts in their recorded components
    #[arg(long)]
    execute: bool,
}

impl Replay {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let object = ask::object(&view, &self.object)?;
        let behaviours = Behaviours::new(view.reader().blobs(), context.compiler());
        let guest: Option<&dyn Guest> = if self.execute { Some(&behaviours) } else { None };
        let replayed = history::replay(&view, object, self.at, guest)?;
        let answer = Answer::of(replayed.agrees());
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&replayed.to_json())?;
            return Ok(answer);
        }
        for problem in &replayed.problems {
            let line = format!("{} {problem}", out.bad("differs:"));
            out.line(line)?;
        }
        if let Some(executed) = replayed.executed {
            out.line(format_args!(
                "{executed} of {} came out of running its rules again",
                counted(replayed.records, "record")
            ))?;
        }
        let records = counted(replayed.records, "record");
        let verdict = match (answer, replayed.live_equal) {
            (Answer::No, _) => out.bad("the lineage and the object differ"),
            (Answer::Yes, Some(_)) => out.good(format_args!("{records} fold to the live state")),
            (Answer::Yes, None) => out.good(format_args!("{records} fold")),
        };
        out.line(verdict)?;
        if let (Some(_), Some(schema)) = (self.at, &replayed.schema) {
            out.line("")?;
            show::tell(out, schema, &replayed.state)?;
        }
        Ok(answer)
    }
}

/// A place of a lineage: a record's number, or a time.
pub(super) fn place(text: &str) -> Result<At, String> {
    if let Ok(seq) = text.parse() {
        return Ok(At::Seq(seq));
    }
    text.parse::<Timestamp>()
        .map(At::Time)
        .map_err(|error| format!("{error}; a record is named by its number, as in 120"))
}
