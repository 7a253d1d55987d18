//! `mutate`: a mutation by the operator's signature.

use abide_core::admission::{check_args, signed_bytes};
use abide_host::local::signature_json;
use clap::Args;
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide mutate ewr refuel litres=200
  abide mutate ewr set_burner level=idle --json";

/// Change an object as its operator, by signature
///
/// The signature covers the object, the mutation, its arguments and a counter, so that it can be used once. The exit code
/// is 1 if it is denied.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Mutate {
    /// The object's id
    object: String,
    /// A mutation that is open to operators
    mutation: String,
    /// Arguments: texts as they stand, anything else as JSON
    #[arg(value_name = "NAME=VALUE")]
    args: Vec<String>,
}

impl Mutate {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let keys = context.keys()?;
        let view = context.view()?;
        let object = ask::object(&view, &self.object)?;
        let (mutation, args) = ask::mutation(object, &self.mutation, &self.args)?;
        // Arguments that are not of their types are denied before a signature is looked at.
        let covered = check_args(&mutation.args, &args).unwrap_or_else(|_| args.clone());
        let counter = keys.next_counter(object);
        let bytes = signed_bytes(object.genesis, "mutate", Some((mutation, &covered)), counter);
        let signature = keys.sign_as_operator(&bytes, counter)?;
        let body = json!({
            "op": "mutate",
            "object": self.object,
            "mutation": self.mutation,
            "args": mutation.args.to_json(&args),
            "signature": signature_json(&signature),
        });
        let answer = context.ask(&keys, &body)?;
        ask::tell(context, &self.object, answer)
    }
}
