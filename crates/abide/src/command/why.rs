//! `why`: how a value came about, and why a rule did not act.

use clap::Args;

use crate::context::Context;
use crate::error::{Answer, CommandError};

/// x
#[derive(Args, Debug)]
pub(crate) struct Why {}

impl Why {
    pub(crate) fn run(self, _context: &mut Context) -> Result<Answer, CommandError> {
        Ok(Answer::Yes)
    }
}
