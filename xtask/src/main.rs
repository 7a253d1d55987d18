//! The chores of this repository, as `cargo xtask CHORE`.
//!
//! What a chore does is a list of commands of others: cargo, its linters, the binaries of the workspace. Each runs with
//! a time limit, so that nothing here waits for ever.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to a person on a terminal")]

mod check;
mod guests;
mod interop;
mod process;
mod starters;
mod tools;
mod verifier;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const USAGE: &str = "\
The chores of this repository.

    cargo xtask test [--no-install] [--fast]    everything a change must pass
    cargo xtask bench [ARGUMENT…]               the benchmarks; `cargo xtask bench --help` lists them
    cargo xtask crash [ARGUMENT…]               more crash points than a test run takes: --points N --seed S
    cargo xtask fuzz [--seconds N] [TARGET…]    hostile bytes for longer than a test run takes; --help tells more
    cargo xtask guests [--check]                the carried components, built from their sources
    cargo xtask interop                         clients of others, over a NATS server, against the host
    cargo xtask starters [LANGUAGE…]            what `abide new --behaviour` makes, built and run: rust, js, python

test:
    --no-install    install nothing: a missing tool fails its step
    --fast          formatting, build, clippy and tests alone
";

fn main() -> ExitCode {
    process::forward_signals();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (chore, rest) = match arguments.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("--help", &[][..]),
    };
    match chore {
        "test" => test(rest),
        "bench" => bench(rest),
        "crash" => crash(rest),
        "fuzz" => fuzz(rest),
        "guests" => guests(rest),
        "interop" => interop(rest),
        "starters" => starters(rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => usage_error(chore),
    }
}

fn test(arguments: &[String]) -> ExitCode {
    let mut options = check::Options { install: true, fast: false };
    for argument in arguments {
        match argument.as_str() {
            "--no-install" => options.install = false,
            "--fast" => options.fast = true,
            "-h" | "--help" => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => return usage_error(argument),
        }
    }
    check::everything(options)
}

fn guests(arguments: &[String]) -> ExitCode {
    let check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        [first, ..] => return usage_error(first),
    };
    match build().and_then(|()| guests::build(check)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the binary that the clients drive, then has them drive it.
fn interop(arguments: &[String]) -> ExitCode {
    if let Some(first) = arguments.first() {
        return usage_error(first);
    }
    let ran = build().and_then(|()| interop::tests()).and_then(|mut tests| {
        process::run(&mut tests, interop::RUN_LIMIT).map_err(|failure| format!("the tests {failure}"))
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the binary that makes and runs them, then checks them in each language.
fn starters(arguments: &[String]) -> ExitCode {
    let known = |language: &str| starters::LANGUAGES.into_iter().find(|known| *known == language);
    if let Some(unknown) = arguments.iter().find(|argument| known(argument.as_str()).is_none()) {
        return usage_error(unknown);
    }
    let chosen = starters::LANGUAGES
        .into_iter()
        .filter(|language| arguments.is_empty() || arguments.iter().any(|argument| argument == language));
    match build().and_then(|()| chosen.into_iter().try_for_each(starters::check)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the binary that the start-up benchmark starts, then runs the benchmarks.
fn bench(arguments: &[String]) -> ExitCode {
    let mut build = cargo(&["build", "--release", "--package", "abide", "--package", "abide-bench"]);
    if let Err(failure) = process::run(&mut build, BUILD_LIMIT) {
        eprintln!("xtask: the build of the benchmarks {failure}");
        return ExitCode::FAILURE;
    }
    release_binary("abide-bench", arguments, Duration::from_secs(60 * 60))
}

fn crash(arguments: &[String]) -> ExitCode {
    let crash: Vec<String> = std::iter::once("crash".to_owned()).chain(arguments.iter().cloned()).collect();
    release_binary("abide-sim", &crash, Duration::from_secs(24 * 60 * 60))
}

/// As the tests are built: arithmetic that overflows is found.
fn fuzz(arguments: &[String]) -> ExitCode {
    let mut fuzz = Command::new(target_dir().join("debug/abide-fuzz"));
    fuzz.current_dir(root()).args(arguments);
    let limit = Duration::from_secs(24 * 60 * 60);
    let ran = build()
        .and_then(|()| process::run(&mut fuzz, limit).map_err(|failure| format!("abide-fuzz {failure}")));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A slow machine takes long for the first build.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Builds all binaries and tests. Always the whole workspace and its tests: a part of it has other features of what it shares, which
/// would be built once more.
fn build() -> Result<(), String> {
    let mut build = cargo(&["test", "--workspace", "--locked", "--no-run"]);
    process::run(&mut build, BUILD_LIMIT).map_err(|failure| format!("the build {failure}"))
}

/// `abide`, as `build` leaves it.
fn binary() -> PathBuf {
    target_dir().join("debug/abide")
}

fn release_binary(package: &str, arguments: &[String], limit: Duration) -> ExitCode {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", package, "--"]);
    command.args(arguments);
    match process::run(&mut command, limit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {package} {failure}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error(argument: &str) -> ExitCode {
    eprintln!("xtask: `{argument}` is not known here\n\n{USAGE}");
    ExitCode::from(2)
}

/// A cargo command, run at the root of the workspace, that also finds the tools installed for it.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    if let Some(path) = tools::search_path() {
        command.env("PATH", path);
    }
    command
}

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
