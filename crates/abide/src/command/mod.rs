//! The commands: a file for each.

mod ask;
mod backtest;
mod check;
mod clock;
mod completions;
mod componentize;
mod diff;
mod export;
mod host;
mod keys;
mod lineage;
mod list;
mod mutate;
mod new;
mod observe;
mod operate;
mod replay;
mod report;
mod run;
mod runtime;
mod schema;
mod show;
mod test;
mod upgrade;
mod verify;
mod why;
mod wit;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::context::{Context, Global};
use crate::error::{Answer, CommandError};

const ABOUT: &str =
    "Runs objects that act on their own state, each change admitted by its schema and recorded";

const EXAMPLES: &str = "\
Examples:
  abide new tank                     make a working object to start from
  abide run tank                     run it
  abide ls                           what there is
  abide why tank.pump                why a field has its value
  abide verify                       whether the record of it all holds

Exit codes: 0 yes; 1 the answer is no (denied, not verified, errors found); 2 usage; 3 a file, a key, the store or the
disk is not as it must be.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "abide", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What the command line says, and the environment where that says nothing. What cannot be read ends the process.
    pub(crate) fn read() -> Self {
        let matches = without_empty(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// An empty variable counts as unset.
fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty)
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::New),
    Check(check::Check),
    Run(run::Run),
    Host(Box<host::Host>),
    Ls(list::List),
    Show(show::Show),
    Schema(schema::ShowSchema),
    Wit(wit::ShowWit),
    Test(test::Test),
    Componentize(componentize::Componentize),
    Observe(observe::Observe),
    Mutate(mutate::Mutate),
    Release(operate::Release),
    Seal(operate::Seal),
    Upgrade(upgrade::Upgrade),
    Lineage(lineage::ShowLineage),
    Replay(replay::Replay),
    Diff(diff::ShowDiff),
    Backtest(backtest::ShowBacktest),
    Why(why::Why),
    Verify(verify::Verify),
    Export(export::Export),
    Checkpoint(export::Checkpoint),
    Report(report::WriteReport),
    Clock(clock::Clock),
    Keys(keys::ShowKeys),
    Completions(completions::Completions),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        match self {
            Self::New(command) => command.run(context),
            Self::Check(command) => command.run(context),
            Self::Run(command) => command.run(context),
            Self::Host(command) => command.run(context),
            Self::Ls(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Schema(command) => command.run(context),
            Self::Wit(command) => command.run(context),
            Self::Test(command) => command.run(context),
            Self::Componentize(command) => command.run(context),
            Self::Observe(command) => command.run(context),
            Self::Mutate(command) => command.run(context),
            Self::Release(command) => command.run(context),
            Self::Seal(command) => command.run(context),
            Self::Upgrade(command) => command.run(context),
            Self::Lineage(command) => command.run(context),
            Self::Replay(command) => command.run(context),
            Self::Diff(command) => command.run(context),
            Self::Backtest(command) => command.run(context),
            Self::Why(command) => command.run(context),
            Self::Verify(command) => command.run(context),
            Self::Export(command) => command.run(context),
            Self::Checkpoint(command) => command.run(context),
            Self::Report(command) => command.run(context),
            Self::Clock(command) => command.run(context),
            Self::Keys(command) => command.run(context),
            Self::Completions(command) => command.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
