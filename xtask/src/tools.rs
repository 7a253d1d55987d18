//! The tools that the checks need: found, or installed where that is possible without asking.

use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use crate::{cargo, process, target_dir};

/// Built from source where it is missing, so its version is chosen here and not on the day of the build.
const CARGO_DENY_VERSION: &str = "0.20.2";

const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Something that a check needs.
struct Tool {
    name: &'static str,
    /// Succeeds where the tool is there.
    probe: Command,
    /// Run in order, each within its limit, until one fails.
    install: Vec<(Command, Duration)>,
    /// What a person does where that fails.
    remedy: &'static str,
}

/// Finds the tools, and installs what is missing unless that is forbidden. Returns a line for each that is not there
/// in the end.
pub(crate) fn ensure(install: bool, with_slow: bool) -> Vec<String> {
    let mut wanted = vec![rust_component("rustfmt", "fmt"), rust_component("clippy", "clippy"), python()];
    if with_slow {
        wanted.push(npm());
        wanted.push(cargo_deny());
    }
    wanted.into_iter().filter_map(|tool| missing(tool, install)).collect()
}

/// `PATH` with the folder of our own tools in front.
pub(crate) fn search_path() -> Option<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let ours = target_dir().join("tools").join("bin");
    env::join_paths(std::iter::once(ours).chain(env::split_paths(&rest))).ok()
}

fn missing(mut tool: Tool, install: bool) -> Option<String> {
    if process::succeeds(&mut tool.probe, PROBE_LIMIT) {
        return None;
    }
    if install {
        for (command, limit) in &mut tool.install {
            println!("{} is missing: {}", tool.name, process::shown(command));
            if let Err(failure) = process::run(command, *limit) {
                println!("{} {failure}", process::shown(command));
                break;
            }
        }
        if process::succeeds(&mut tool.probe, PROBE_LIMIT) {
            return None;
        }
    }
    Some(format!("{} is missing: {}", tool.name, tool.remedy))
}

fn rust_component(name: &'static str, subcommand: &'static str) -> Tool {
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", name]);
    Tool {
        name,
        probe: cargo(&[subcommand, "--version"]),
        install: vec![(rustup, Duration::from_secs(5 * 60))],
        remedy: "install it with `rustup component add`, or from where this Rust came from",
    }
}

/// The readers that are independent of our code are written in Python, and so are some behaviours.
fn python() -> Tool {
    let mut probe = Command::new("python3");
    probe.args(["-c", "import ensurepip, hashlib, json, sqlite3, venv"]);
    let install = install_packages(&["python3", "python3-venv"]);
    Tool {
        name: "python3",
        probe,
        install,
        remedy: "install Python 3, as with `apt-get install python3 python3-venv`",
    }
}

/// For behaviours in JavaScript.
fn npm() -> Tool {
    let mut probe = Command::new("sh");
    probe.args(["-c", "node --version && npm --version"]);
    let install = install_packages(&["nodejs", "npm"]);
    Tool {
        name: "npm",
        probe,
        install,
        remedy: "install Node.js and npm, as with `apt-get install nodejs npm`",
    }
}

/// How packages of Debian are installed; nothing where that takes another user, or is another system.
fn install_packages(packages: &[&str]) -> Vec<(Command, Duration)> {
    let may_install =
        rustix::process::geteuid().is_root() && process::succeeds(&mut apt(&["--version"]), PROBE_LIMIT);
    if !may_install {
        return Vec::new();
    }
    let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
    install.args(packages);
    vec![(apt(&["update"]), Duration::from_secs(3 * 60)), (install, Duration::from_secs(10 * 60))]
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    command
}

fn cargo_deny() -> Tool {
    // Unoptimised it builds in half the time and still answers in seconds.
    let mut install = cargo(&["install", "--locked", "--debug", "--version", CARGO_DENY_VERSION, "--root"]);
    install.arg(target_dir().join("tools")).arg("cargo-deny");
    Tool {
        name: "cargo-deny",
        probe: cargo(&["deny", "--version"]),
        install: vec![(install, Duration::from_secs(20 * 60))],
        remedy: "install it with `cargo install --locked cargo-deny`",
    }
}
