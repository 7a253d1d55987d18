//! `release` and `seal`: what an operator asks of an object itself.

use abide_core::admission::OperatorAct;
use abide_host::local::signature_json;
use clap::Args;
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};

const RELEASE_EXAMPLES: &str = "\
Examples:
  abide release ewr
  abide lineage ewr --limit 20       what led to the quarantine";

const SEAL_EXAMPLES: &str = "\
Examples:
  abide seal ewr";

/// Release an object from quarantine, by signature
#[derive(Args, Debug)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct Release {
    /// The object's id
    object: String,
}

/// Seal an object, by signature: it admits nothing any more, for good
///
/// Its memory and its lineage stay to be read.
#[derive(Args, Debug)]
#[command(after_help = SEAL_EXAMPLES)]
pub(crate) struct Seal {
    /// The object's id
    object: String,
}

impl Release {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        operate(context, &self.object, &OperatorAct::Release)
    }
}

impl Seal {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        operate(context, &self.object, &OperatorAct::Seal)
    }
}

fn operate(context: &mut Context, id: &str, act: &OperatorAct) -> Result<Answer, CommandError> {
    let keys = context.keys()?;
    let view = context.view()?;
    let object = ask::object(&view, id)?;
    let counter = keys.next_counter(object);
    let signature = keys.sign_as_operator(&act.signed_bytes(object.genesis, counter), counter)?;
    let body = json!({ "op": act.name(), "object": id, "signature": signature_json(&signature) });
    let answer = context.ask(&keys, &body)?;
    ask::tell(context, id, answer)
}
