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

use crate::{binary, process, root, target_dir};

/// A crate, and where its component is carried.
struct Guest {
    folder: &'static str,
    module: &'static str,
    component: &'static str,
}

const GUESTS: [Guest; 2] = [
    Guest {
        folder: "examples/frost-guard/behaviour",
        module: "frost_guard.wasm",
        component: "examples/frost-guard/frost_guard.wasm",
    },
    Guest {
        folder: "examples/frost-panel/panel",
        module: "panel.wasm",
        component: "examples/frost-panel/panel.wasm",
    },
];

/// The components in `interop/guests`.
const INTEROP: [&str; 10] =
    ["blobs", "caller", "counter", "echo", "fetch", "greeter", "hello", "hello_again", "keeper", "plain"];

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";
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
pub(crate) enum Toolchain {
    Rustup,
    Debian,
}

/// Builds all guests into their places, or with `check` compares them with what is there.
///
/// # Errors
/// What could not be built, or that there is no compiler for it, with what to do.
pub(crate) fn build(check: bool) -> Result<(), String> {
    let toolchain = toolchain()?;
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

/// Builds the components that the tests with clients of others run: a folder with each under its name.
///
/// # Errors
/// What could not be built, or that there is no compiler for it, with what to do.
pub(crate) fn interop() -> Result<PathBuf, String> {
    let toolchain = toolchain()?;
    let folder = root().join("interop/guests");
    let mut command = toolchain.cargo();
    command.current_dir(&folder).args(["build", "--locked", "--release", "--examples", "--target", TARGET]);
    process::run(&mut command, BUILD_LIMIT)
        .map_err(|failure| format!("the build of interop/guests {failure}"))?;
    let components = target_dir().join("guests/interop");
    fs::create_dir_all(&components).map_err(|error| format!("{}: {error}", components.display()))?;
    for name in INTEROP {
        let module = target_dir().join("guests").join(TARGET).join("release/examples").join(name);
        componentize(&module.with_extension("wasm"), &components.join(name).with_extension("wasm"))?;
    }
    Ok(components)
}

impl Toolchain {
    /// A cargo that builds guests.
    fn cargo(self) -> Command {
        let mut command = Command::new(match self {
            Self::Rustup => "cargo",
            Self::Debian => DEBIAN_CARGO,
        });
        self.equip(&mut command, true);
        command
    }

    /// Has the cargo that a command finds build guests, or with `std` false their tests natively, into our own folder.
    pub(crate) fn equip(self, command: &mut Command, std: bool) {
        command.env("CARGO_TARGET_DIR", target_dir().join("guests")).env_remove("CARGO");
        if matches!(self, Self::Debian) {
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            if std {
                command.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
            }
            if let Some(path) = debian_path() {
                command.env("PATH", path);
            }
        }
    }
}

/// Finds what builds guests, or installs it.
///
/// # Errors
/// What to do where neither can be.
pub(crate) fn toolchain() -> Result<Toolchain, String> {
    if has_target() {
        return Ok(Toolchain::Rustup);
    }
    if process::run(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT).is_ok()
        && has_target()
    {
        return Ok(Toolchain::Rustup);
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
    if has_debian() { Ok(Toolchain::Debian) } else { Err(REMEDY.to_owned()) }
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
    let mut command = toolchain.cargo();
    command.current_dir(root().join(guest.folder)).args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
        "--config",
        REMAP,
    ]);
    process::run(&mut command, BUILD_LIMIT)
        .map_err(|failure| format!("the build of {} {failure}", guest.folder))?;
    Ok(target_dir().join("guests").join(TARGET).join(PROFILE).join(guest.module))
}

/// `PATH` with Debian's cargo before all others, and the linker of rustup's toolchain, which Debian's has in a package of its
/// own.
fn debian_path() -> Option<OsString> {
    let mut probe = Command::new("rustc");
    probe.current_dir(root()).args(["--print", "target-libdir"]);
    let (_, lines) = process::run_and_read(&mut probe, PROBE_LIMIT);
    let tools = Path::new(lines.first()?).parent()?.join("bin");
    let debian = Path::new(DEBIAN_CARGO).parent()?.to_owned();
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths([debian].into_iter().chain(env::split_paths(&rest)).chain([tools])).ok()
}

/// As a user does it.
fn componentize(module: &Path, component: &Path) -> Result<(), String> {
    let mut command = Command::new(binary());
    command.arg("componentize").arg(module).arg("-o").arg(component);
    process::run(&mut command, BUILD_LIMIT).map_err(|failure| format!("abide componentize {failure}"))
}
