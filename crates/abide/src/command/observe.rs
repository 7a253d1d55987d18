//! `observe`: one observation, given by hand.

use clap::Args;
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide observe ewr observe_wind value=3.5
  abide observe ewr observe_temperature value=-2.5 at=2013-06-01T04:00:00Z";

/// Give an object an observation by hand
///
/// It passes admission as one from a source would, and its outcome is recorded. The exit code is 1 if it is denied. A
/// running host takes it at its next tick; without one it is taken at once.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Observe {
    /// The object's id
    object: String,
    /// A mutation that is open to observations
    mutation: String,
    /// Arguments: texts as they stand, anything else as JSON
    #[arg(value_name = "NAME=VALUE")]
    args: Vec<String>,
}

impl Observe {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let object = ask::object(&view, &self.object)?;
        let (mutation, args) = ask::mutation(object, &self.mutation, &self.args)?;
        let args = mutation.args.to_json(&args);
        let body = json!({ "op": "observe", "object": self.object, "mutation": self.mutation, "args": args });
        let answer = context.ask(&context.keys()?, &body)?;
        ask::tell(context, &self.object, answer)
    }
}
