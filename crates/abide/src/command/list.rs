//! `ls`: every object of the store.

use clap::Args;
use serde_json::Value as Json;

use super::show::{short, slope};
use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide ls
  abide ls --json | jq '.[] | select(.status != \"active\") | .id'";

/// List the objects
///
/// With `--json`: an array of what `show` prints.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let objects = context.view()?.list();
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&Json::Array(objects))?;
            return Ok(Answer::Yes);
        }
        if objects.is_empty() {
            out.line("there are no objects")?;
            return Ok(Answer::Yes);
        }
        let rows = objects.iter().map(|object| {
            let text =
                |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
            let length = object.pointer("/lineage/length").and_then(Json::as_u64).unwrap_or_default();
            vec![
                text("/id"),
                format!("{} {}", text("/schema/name"), text("/schema/version")),
                text("/status"),
                slope(object),
                length.to_string(),
                short(&text("/lineage/head")),
                text("/changed_at"),
            ]
        });
        let rows = rows.collect();
        out.table(&["OBJECT", "SCHEMA", "STATUS", "SLOPE", "RECORDS", "HEAD", "LAST CHANGE"], &[3, 4], rows)?;
        Ok(Answer::Yes)
    }
}
