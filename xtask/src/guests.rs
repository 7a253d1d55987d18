//! `cargo xtask guests`: the behaviours that are carried as components, built from their sources.
//!
//! Where rustup has the target `wasm32-unknown-unknown`, or fetches it, that builds them. Where it does not, Debian's compiler for the
//! web does, with a standard library built from source. The bytes depend on the compiler, so a rebuild with another one may
//! differ; what must not differ is what the component decides.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{cargo, process, root, target_dir};

/// A crate, and where its component is carried.
struct Guest {
    folder: &'static str,
    module: &'static str,
    component: &'static str,
}

const GUESTS: [Guest; 1] = [Guest {
    folder: "examples/frost-guard/behaviour",
    module: "frost_guard.wasm",
    component: "examples/frost-guard/frost_guard.wasm",
}];

const TARGET: &str = "wasm32-unknown-unknown";
/// Some networks let rustup hang.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);
const PROBE_LIMIT: Duration = Duration::from_secs(60);
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Debian's compiler and cargo, which share their names with rustup's.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Panics tell their place: let it not be one of this machine.
const REMAP: &str = "target.wasm32-unknown-unknown.rustflags = \
                     [\"--remap-path-prefix=/usr/lib/rustlib/src/rust=rust\"]";
const REMEDY: &str = "there is no compiler for wasm32-unknown-unknown: `rustup target add wasm32-unknown-unknown` gets one, or, \
                      on Debian, `apt-get install rustc-web cargo-web rust-web-src lld`";

/// What builds guests.
#[derive(Clone, Copy, Debug)]
enum Toolchain {
    Rustup,
    Debian,
}

/// Builds all guests into their places, or with `check` compares them with what is there.
///
/// # Errors
/// What could not be built, or that there is no compiler for it, with what to do.
pub(crate) fn build(check: bool) -> Result<(), String> {
    let toolchain = toolchain().ok_or(REMEDY)?;
    for guest in &GUESTS {
        let module = compile(guest, toolchain)?;
        let built = target_dir().join("guests").join(guest.module).with_extension("component.wasm");
        componentize(&module, &built)?;
        let carried = root().join(guest.component);
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        if !check {
            fs::copy(&built, &carried).map_err(|error| format!("{}: {error}", carried.display()))?;
            println!("built {}", guest.component);
        } else if read(&built)? == read(&carried)? {
            println!("{} is what its source builds to", guest.component);
        } else {
            println!(
                "{} differs from what its source builds to here: with another compiler it may",
                guest.component
            );
        }
    }
    Ok(())
}

fn toolchain() -> Option<Toolchain> {
    if has_target() {
        return Some(Toolchain::Rustup);
    }
    if process::run(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT).is_ok()
        && has_target()
    {
        return Some(Toolchain::Rustup);
    }
    if !has_debian() && rustix::process::geteuid().is_root() {
        println!("rustup has no {TARGET}: installing Debian's compiler for it");
        let packages =
            ["install", "--yes", "--no-install-recommends", "rustc-web", "cargo-web", "rust-web-src", "lld"];
        for arguments in [&["update"][..], &packages[..]] {
            let mut apt = Command::new("apt-get");
            apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
            if let Err(failure) = process::run(&mut apt, INSTALL_LIMIT) {
                println!("apt-get {failure}");
                break;
            }
        }
    }
    has_debian().then_some(Toolchain::Debian)
}

/// Whether the compiler in use has a standard library for the target.
fn has_target() -> bool {
    let mut probe = Command::new("rustc");
    probe
        .current_dir(root())
        .args(["--print", "target-libdir", "--target", TARGET])
        .stdout(std::process::Stdio::piped());
    let (result, lines) = process::run_and_read(&mut probe, PROBE_LIMIT);
    result.is_ok() && lines.first().is_some_and(|folder| Path::new(folder).is_dir())
}

fn has_debian() -> bool {
    Path::new(DEBIAN_CARGO).exists() && Path::new("/usr/lib/rustlib/src/rust/library").is_dir()
}

fn compile(guest: &Guest, toolchain: Toolchain) -> Result<PathBuf, String> {
    let target = target_dir().join("guests");
    let mut command = match toolchain {
        Toolchain::Rustup => Command::new("cargo"),
        Toolchain::Debian => {
            let mut command = Command::new(DEBIAN_CARGO);
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            if let Some(path) = path_with_linker() {
                command.env("PATH", path);
            }
            command
        }
    };
    command
        .current_dir(root().join(guest.folder))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO")
        .args(["build", "--release", "--target", TARGET, "--config", REMAP]);
    process::run(&mut command, BUILD_LIMIT)
        .map_err(|failure| format!("the build of {} {failure}", guest.folder))?;
    Ok(target.join(TARGET).join("release").join(guest.module))
}

/// `PATH` with the linker of rustup's toolchain, which Debian's has in a package of its own.
fn path_with_linker() -> Option<OsString> {
    let mut probe = Command::new("rustc");
    probe.current_dir(root()).args(["--print", "target-libdir"]);
    let (_, lines) = process::run_and_read(&mut probe, PROBE_LIMIT);
    let tools = Path::new(lines.first()?).parent()?.join("bin");
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&rest).chain([tools])).ok()
}

/// As a user does it.
fn componentize(module: &Path, component: &Path) -> Result<(), String> {
    let mut command = cargo(&["run", "--quiet", "--locked", "--package", "abide", "--", "componentize"]);
    command.arg(module).arg("-o").arg(component);
    process::run(&mut command, BUILD_LIMIT).map_err(|failure| format!("abide componentize {failure}"))
}
