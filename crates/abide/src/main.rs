//! The command line of Abide: each command is a file in `command`, and says what came of it by its exit code.
//!
//! Errors are classified once, in `error`; everything that objects do is left to the host library.

mod command;
mod context;
mod error;
mod file;
mod folders;
mod input;
mod output;
mod report;

use std::process::ExitCode;

use command::Cli;
use context::Context;
use error::{Answer, ErrorKind};

fn main() -> ExitCode {
    let cli = Cli::read();
    let (json, color) = (cli.global.json, cli.global.color);
    let mut context = Context::new(cli.global);
    let result = cli.command.run(&mut context).and_then(|answer| context.out.flush().map(|()| answer));
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            // What was written before it failed comes first; whether it arrives changes nothing about the failure.
            let _ = context.out.flush();
            if error.kind != ErrorKind::Unheard {
                output::report(&error, json, color);
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}
