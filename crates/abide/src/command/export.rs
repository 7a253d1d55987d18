//! `export`: lineages with what proves them, for someone who has no access to the store. `checkpoint`: the head of the log
//! as a signed note, to be kept elsewhere.

use std::path::{Path, PathBuf};

use abide_host::bundle::{self, ExportOptions};
use clap::Args;
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::file::write_whole;
use crate::input::read_note;
use crate::output::counted;

const EXPORT_EXAMPLES: &str = "\
Examples:
  abide export ewr -o ewr.abide
  abide export --all -o everything.abide --since last-month.checkpoint
  abide export ewr -o - | ssh auditor 'abide verify -'";

const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  abide checkpoint -o 2026-03.checkpoint    keep it where this host cannot reach it
  abide verify --since 2026-03.checkpoint   later: whether the log only grew since";

/// Export objects as a bundle that anyone can verify offline
///
/// Whole lineages, and of each object its whole family: the slope is bounded over all of it. Beside a running host, what it has
/// flushed so far. What a bundle holds stands in docs/formats/bundle.md.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct Export {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object of the store
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The file to write; `-` is standard output
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: PathBuf,
    /// Prove that the log only grew since this checkpoint; may be repeated
    #[arg(long, value_name = "CHECKPOINT")]
    since: Vec<PathBuf>,
    /// Leave the components out: who verifies it cannot run acts again
    #[arg(long)]
    no_behaviours: bool,
}

/// Print the signed head of the log
///
/// A C2SP tlog-checkpoint. Whoever keeps it can tell later whether the log was changed, cut off or put back.
#[derive(Args, Debug)]
#[command(after_help = CHECKPOINT_EXAMPLES)]
pub(crate) struct Checkpoint {
    /// Write it to a file
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let objects = ask::objects(&view, &self.objects, self.all)?;
        let since = self.since.iter().map(|path| read_note(path)).collect::<Result<Vec<_>, _>>()?;
        let options = ExportOptions { since: &since, components: !self.no_behaviours };
        let bundle = bundle::export(&view, objects, options)?;
        let bytes = bundle.encode();
        let out = &mut context.out;
        if self.output == Path::new("-") {
            out.bytes(&bytes)?;
            return Ok(Answer::Yes);
        }
        write_whole(&self.output, &bytes)?;
        let (objects, records) = (bundle.lasts.len(), bundle.records.len());
        if out.json() {
            let file = self.output.display().to_string();
            out.json_pretty(
                &json!({ "file": file, "objects": objects, "records": records, "bytes": bytes.len() }),
            )?;
        } else {
            let (objects, records) = (counted(objects as u64, "object"), counted(records as u64, "record"));
            let file = self.output.display();
            out.line(format_args!("wrote `{file}`: {records} of {objects}, {} bytes", bytes.len()))?;
        }
        Ok(Answer::Yes)
    }
}

impl Checkpoint {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let checkpoint = context.view()?.checkpoint()?;
        let checkpoint = checkpoint.ok_or_else(|| CommandError::environment("nothing is in the log yet"))?;
        if let Some(path) = &self.output {
            write_whole(path, checkpoint.note.as_bytes())?;
        }
        let out = &mut context.out;
        if out.json() {
            let root = abide_core::record::Hash(checkpoint.root).to_string();
            out.json_pretty(&json!({ "size": checkpoint.size, "root": root, "note": checkpoint.note }))?;
        } else if let Some(path) = &self.output {
            let records = counted(checkpoint.size, "record");
            out.line(format_args!(
                "wrote `{}`: {records}, to be kept where this host cannot reach it",
                path.display()
            ))?;
        } else {
            out.text(&checkpoint.note)?;
        }
        Ok(Answer::Yes)
    }
}
