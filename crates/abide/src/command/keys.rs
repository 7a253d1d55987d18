//! `keys`: who the host and its operator are.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide keys
  abide keys --keys ./team-keys --json

To let others act on new objects, put their public keys (`O…`) beside yours as `operators/NAME.pub`.";

/// Show the host's identity, its log key and the operator's key; make those that are missing
///
/// Public keys only. The secret halves stay in files of the keys folder that only their owner may read.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowKeys {}

impl ShowKeys {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let keys = context.keys()?;
        let log = keys.signer()?.verifier().verifier_key();
        let operators: Vec<_> = keys.operators().iter().map(|operator| operator.name.to_string()).collect();
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&json!({
                "identity": keys.identity(),
                "operator": keys.operator(),
                "log_key": log,
                "operators": operators,
                "folder": keys.folder().display().to_string(),
            }))?;
            return Ok(Answer::Yes);
        }
        out.line(format_args!("identity  {}", keys.identity()))?;
        out.line(format_args!("operator  {}", keys.operator()))?;
        out.line(format_args!("log key   {log}"))?;
        out.line(format_args!("folder    {}", keys.folder().display()))?;
        if operators.len() > 1 {
            out.line(format_args!("operators of new objects: {}", operators.join(", ")))?;
        }
        Ok(Answer::Yes)
    }
}
