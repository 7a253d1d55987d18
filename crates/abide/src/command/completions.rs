//! `completions`: a script that lets a shell complete commands and options.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide completions bash > ~/.local/share/bash-completion/completions/abide
  abide completions fish > ~/.config/fish/completions/abide.fish";

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "abide", &mut script);
        context.out.text(String::from_utf8_lossy(&script))?;
        Ok(Answer::Yes)
    }
}
